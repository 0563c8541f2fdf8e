import json
import re
from dataclasses import replace

import pytest

from mailcare.inspection.check import Finding, Severity, Target, Unmeasured
from mailcare.inspection.checks import all_checks
from mailcare.papers.inspection import limits_text, overall, urgent
from mailcare.papers.render import print_pdf, render_html
from tests.papers import sample

# The seed's annex 2, in its order and wording.
FORM = (
    "客户方填写", "客户名称：", "服务时间：", "服务地点：", "联系人：", "电话：",
    "工程师服务内容（TS 填写）",
    "系统环境检查：",
    "1、操作系统安装，版本信息：",
    "2、服务器部署情况: (单机/双机/集群/分布式)：",
    "3、是否运行着二次开发后的功能：",
    "Turbomail 运行状况检查 (请详细填写)：",
    "1、mail 服务是否正常运行：",
    "2、web 服务是否正常运行：",
    "4、邮件系统目前的版本号：",
    "6、是否需要升级或补丁更新：",
    "7、对操作系统全面地进行检查测试对出现的严重 Bug 及时通告：",
    "8、邮件收发是否正常：",
    "9、邮件系统高级功能如归档、审核、查询能是否正常：",
    "现场部分：",
    "1、CPU、Memory 使用率：",
    "2、设备及温度：",
    "3、网络带宽占用是否正常：",
    "客户培训及内容：", "1、界面使用：", "2、命令操作：", "3、系统架构：",
    "故障排除：", "1、网络：", "2、DNS：", "3、存储：",
    "其他: (请填写内容)",
    "客户系统架构图：",
    "客户意见 (客户方填写)",
    "总体打分 (满分 5 分)：",
    "工程师沟通能力：", "检查过程是否满意：", "工程师服务态度：",
    "建议改进：",
    "欢迎您随时发邮件至",
    "(内部反馈监督, 我们非常感谢您的意见和建议)",
    "客户签字（盖章）：", "工程师签字：",
)  # fmt: skip


def squeezed(pages: list[str]) -> str:
    return "".join("".join(pages).split())


def answers(results=sample.RESULTS, system=sample.SYSTEM, **remarks) -> dict[str, list[str]]:
    form = sample.report(results, system, **remarks).content["form"]
    rows = [row for section in form["sections"] for row in section["fields"]]
    return {row["label"]: row["answer"] for row in rows} | {"其他": form["others"]}


@pytest.mark.parametrize("results", [sample.RESULTS, ()], ids=["full", "empty"])
def test_every_field_of_the_seeds_form_stands_in_its_order(results, pages):
    html = render_html(sample.report(results))
    place = html.index("二、巡检报告单")
    for field in FORM:
        place = html.index(field, place)


def test_the_forms_fields_are_found_in_the_pdfs_text(pages):
    text = squeezed(pages)
    place = text.index("二、巡检报告单")
    for field in FORM:
        place = text.index("".join(field.split()), place)


def test_page_one_tells_the_state_the_counts_and_the_three_most_urgent(pages):
    page = "".join(pages[0].split())
    assert "存在严重问题，需立即处理，另有5项未能测量；4项需人工确认" in page
    assert "严重警告提示正常未测得需人工不适用43232541" in page
    first, second, third = (
        page.index(word) for word in ("没有dovecot进程", "已用97.0%", "MX指向1台主机")
    )
    assert first < second < third


def test_what_a_cause_explains_is_not_urgent_but_told_under_its_cause():
    content = sample.report().content
    assert [one["title"] for one in content["urgent"]] == [
        "邮件服务进程",
        "磁盘空间与 inode",
        "MX 记录",
    ]
    told = {one["cause"]: one["effects"] for one in content["explained"]}
    assert told["邮件服务进程"] == ["IMAP 登录", "POP3 登录"]


def test_an_obstacle_to_measuring_is_urgent_after_the_findings():
    results = (
        Unmeasured("network.ssh", Target("mx1"), "连接超时"),
        Unmeasured("hardware.cpu", Target("mx1"), "没有回复", "network.ssh"),
        Finding("dns.spf", Target(part="a.example"), Severity.NOTICE, "以 ~all 结尾"),
    )
    assert [item.check.name for item in urgent(sample.items_of(results))] == [
        "dns.spf",
        "network.ssh",
    ]


def test_a_system_with_unmeasured_checks_is_never_all_good():
    unmeasured = Unmeasured("dns.mx", Target(), "没有应答")
    told = overall(sample.items_of((*sample.ALL_GOOD, unmeasured)))
    assert told == {"state": "ok", "says": "已测项目均正常，另有 1 项未能测量"}


def test_a_good_system_says_no_more_than_was_measured():
    assert overall(sample.items_of(sample.ALL_GOOD))["says"] == "已测项目均正常"


@pytest.mark.parametrize("results", [(), (Unmeasured("dns.mx", Target(), "没有应答"),)])
def test_a_system_of_which_nothing_was_measured_is_not_judged(results):
    assert overall(sample.items_of(results))["says"].startswith("没有测得任何项目")


def test_a_field_is_answered_by_its_checks():
    told = answers()
    assert told["1、操作系统安装，版本信息"][0].startswith("mx1：Debian GNU/Linux 12")
    assert told["1、mail 服务是否正常运行"][0] == "异常：严重 3 项"
    assert told["2、web 服务是否正常运行"] == ["正常（1 项检查）"]
    assert told["6、是否需要升级或补丁更新"] == ["待人工确认：向厂商核对最新版本与补丁"]
    assert told["1、CPU、Memory 使用率"][0].startswith("（远程测得）mx1：CPU 使用率 23.4 %")
    assert "☑ 双机" in told["2、服务器部署情况: (单机/双机/集群/分布式)"][0]
    assert "☐ 单机" in told["2、服务器部署情况: (单机/双机/集群/分布式)"][0]
    assert "安全：已测的 1 项正常，另有 1 项未测得" in told["其他"]


def test_a_field_that_could_not_be_measured_says_why():
    told = answers()
    assert told["3、网络带宽占用是否正常"] == ["未测得：网卡 eth0 没有报告速率"]
    assert told["3、是否运行着二次开发后的功能"] == ["未测得：产品档案未填写二次开发功能"]


def test_a_field_that_was_not_checked_says_so_and_a_persons_field_is_a_stroke():
    told = answers(())
    assert told["2、web 服务是否正常运行"] == ["本次未检查"]
    assert told["3、存储"] == ["本次未检查"]
    assert told["1、界面使用"] == ["/"]
    assert told["其他"] == ["无"]


def test_serious_bugs_that_nobody_looked_for_are_not_passed_over():
    label = "7、对操作系统全面地进行检查测试对出现的严重 Bug 及时通告"
    assert answers(sample.ALL_GOOD)[label] == ["正常（1 项检查）", "严重 Bug：本次未检查"]
    assert not any("未检查" in line for line in answers()[label])


def test_an_engineers_own_words_stand_in_place_of_the_results():
    told = answers(written={"training_screens": "讲解了通讯录", "devices": "22 ℃，风扇正常"})
    assert told["1、界面使用"] == ["讲解了通讯录"]
    assert told["2、设备及温度"] == ["22 ℃，风扇正常"]


def test_words_for_a_field_that_the_form_lacks_are_refused():
    with pytest.raises(ValueError, match="traning"):
        answers(written={"traning": "x"})


def test_the_contact_is_who_gets_the_papers():
    customer = sample.report().content["form"]["customer"]
    assert (customer["contact"], customer["phone"]) == ("李示例", "000-0000-0001")


def test_the_customers_opinion_is_never_filled_in():
    html = render_html(sample.report())
    opinion = html[html.index("客户意见 (客户方填写)") : html.index("欢迎您随时发邮件至")]
    assert opinion.count("☐") == 18
    assert "☑" not in opinion


def test_evidence_is_bounded_and_says_what_is_left_out():
    areas = {area["title"]: area for area in sample.report().content["areas"]}
    evidence = areas["邮件队列"]["effects"][0]["evidence"]
    assert len(evidence) == 11
    assert evidence[-1] == "……（其余 10 行见原始回复记录）"
    long = Finding("dns.mx", Target(), Severity.WARNING, "x", evidence=("y" * 5000,))
    cut = sample.report((long,)).content["areas"][0]["own"][0]["evidence"][0]
    assert len(cut) < 310


def test_a_state_is_told_in_words_for_each_area():
    areas = {area["title"]: area["state"] for area in sample.report().content["areas"]}
    assert areas["邮件服务"] == "critical"
    assert areas["安全"] == "unmeasured"
    assert areas["备份"] == "ok"
    assert areas["集群"] == "not_applicable"


def test_each_limit_and_source_is_in_the_appendix(pages):
    text = squeezed(pages)
    text = text[text.index("A.检查依据") :]
    assert "≤30警告，≤7严重" in text
    assert "RFC7208" in text
    basis = {row["name"]: row for row in sample.report().content["basis"]}
    expected = "可用内存 ≤ 20 % 警告，≤ 10 % 严重；交换区使用率 ≥ 25 % 警告，≥ 60 % 严重"
    assert basis["hardware.memory"]["limits"] == expected


@pytest.mark.parametrize(
    ("limits", "text"),
    [(None, ""), (5, "5"), (False, "否"), (frozenset({"b", "a"}), "a、b"), ("250", "250")],
)
def test_limits_of_any_shape_are_written(limits, text):
    assert limits_text(limits) == text


def test_every_profile_field_is_told_with_its_confidence():
    rows = {row["field"]: row for row in sample.report().content["profile"]}
    assert rows["服务程序"]["confidence"] == "已核实"
    assert rows["邮件存储目录"]["confidence"] == "推定，待核实"
    assert rows["安装目录"] == {"field": "安装目录", "value": "未填写", "confidence": None}


def test_a_profile_that_knows_next_to_nothing_still_makes_a_report():
    assert "未填写" in render_html(sample.report(system=sample.EMPTY_PROFILE_SYSTEM))


def test_the_content_is_json_and_the_same_twice():
    first, second = sample.report(), sample.report()
    assert json.loads(json.dumps(first.content)) == first.content
    assert first.fingerprint() == second.fingerprint()


def test_another_result_is_another_fingerprint():
    fewer = sample.report(sample.RESULTS[:-1])
    assert fewer.fingerprint() != sample.report().fingerprint()


def test_an_inspection_without_results_still_prints():
    assert print_pdf(render_html(sample.report(()))).startswith(b"%PDF")


def test_five_hundred_findings_print():
    warnings = tuple(
        replace(result, target=Target(f"mx{number}"))
        for number in range(170)
        for result in sample.RESULTS
        if isinstance(result, Finding) and result.check in {"dns.mx", "queue.length", "dns.spf"}
    )
    assert len(warnings) == 510
    assert print_pdf(render_html(sample.report(warnings))).startswith(b"%PDF")


@pytest.mark.parametrize("check", all_checks(), ids=lambda check: check.name)
def test_limits_are_written_in_words_that_a_customer_reads(check):
    assert not re.search(r"[a-z]+_[a-z]+|[a-z]{4,}", limits_text(check.limits))


def test_the_checks_that_the_limits_belong_to_are_there():
    assert len(all_checks()) > 30

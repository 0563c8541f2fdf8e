import json
import re
from dataclasses import replace
from io import BytesIO

import pytest
from pypdf import PdfReader

from mailcare.inspection.check import (
    Area,
    Check,
    Finding,
    Result,
    Severity,
    Target,
    Unmeasured,
)
from mailcare.inspection.checks import all_checks
from mailcare.papers.inspection import inspection_report, limits_text, overall, urgent
from mailcare.papers.render import print_pdf, render_html
from mailcare.papers.wording import measure_of
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
    assert told["3、是否运行着二次开发后的功能"] == ["本次未检查"]


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


def with_check(name: str, area: Area, title: str, result: Result) -> dict[str, list[str]]:
    check = Check(name, area, title, "如何？", None, None, None, None, "出处")
    report = inspection_report(
        sample.SYSTEM,
        (result,),
        (check,),
        number=sample.NUMBER,
        started_at=sample.STARTED_AT,
        finished_at=sample.FINISHED_AT,
        record=sample.RECORD,
    )
    sections = report.content["form"]["sections"]
    return {row["label"]: row["answer"] for section in sections for row in section["fields"]}


@pytest.mark.parametrize(
    ("name", "area", "label"),
    [
        ("app.advisory", Area.APP, "6、是否需要升级或补丁更新"),
        ("os.updates", Area.OS, "6、是否需要升级或补丁更新"),
        ("os.restart", Area.OS, "6、是否需要升级或补丁更新"),
        (
            "os.serious_bugs",
            Area.OS,
            "7、对操作系统全面地进行检查测试对出现的严重 Bug 及时通告",
        ),
        ("function.archive", Area.FUNCTION, "9、邮件系统高级功能如归档、审核、查询能是否正常"),
        ("app.secondary_development", Area.APP, "3、是否运行着二次开发后的功能"),
        ("cluster.virtual_address", Area.CLUSTER, "2、服务器部署情况: (单机/双机/集群/分布式)"),
        ("hardware.sensors", Area.HARDWARE, "2、设备及温度"),
        ("hardware.memory_errors", Area.HARDWARE, "2、设备及温度"),
        ("network.bandwidth", Area.NETWORK, "3、网络带宽占用是否正常"),
        ("network.errors", Area.NETWORK, "3、网络带宽占用是否正常"),
    ],
)
def test_a_measured_check_answers_its_field(name, area, label):
    result = Finding(name, Target("mx1"), Severity.WARNING, "这就是测得的情况")
    answer = with_check(name, area, "某项", result)[label]
    assert any("这就是测得的情况" in line for line in answer)


def test_whether_an_update_is_needed_is_answered_with_yes_or_no():
    label = "6、是否需要升级或补丁更新"
    bad = Finding("os.updates", Target("mx1"), Severity.WARNING, "有 3 个安全更新")
    assert with_check("os.updates", Area.OS, "x", bad)[label] == [
        "需要（警告 1 项）",
        "mx1：〔警告〕有 3 个安全更新",
    ]
    good = Finding("os.updates", Target("mx1"), Severity.OK, "没有待装更新")
    assert with_check("os.updates", Area.OS, "x", good)[label] == ["目前不需要：正常（1 项检查）"]


def test_page_one_is_one_page_however_much_was_found():
    long = "很长的一段说明" * 60
    heavy = tuple(
        replace(one, summary=long, advice=long, target=Target(one.target.node, 0, long))
        if isinstance(one, Finding) and one.severity > Severity.OK
        else one
        for one in sample.RESULTS
    )
    pdf = print_pdf(render_html(sample.report(heavy, past=(sample.years_ago(1),))))
    second = PdfReader(BytesIO(pdf)).pages[1].extract_text()
    assert "二、巡检报告单" in "".join(second.split())


def test_the_first_inspection_is_compared_with_nothing():
    assert sample.report(past=()).content["changes"]["note"] == "首次巡检，没有可比较的记录"
    assert "命令行" in sample.report(past=None).content["changes"]["note"]


def test_what_changed_since_the_last_inspection_is_told_with_its_numbers():
    before = tuple(
        replace(one, metrics={name: value / 2 for name, value in one.metrics.items()})
        if isinstance(one, Finding)
        else one
        for one in sample.RESULTS
        if one.check != "dns.mx"
    )
    document = sample.report(past=(sample.years_ago(2, before), sample.years_ago(1, before)))
    changes = document.content["changes"]
    assert dict(map(tuple, changes["counts"]))["首次检查"] == 1
    assert changes["rows"][0]["title"] == "MX 记录"
    charts = {chart["title"]: chart for chart in changes["trends"]}
    assert len(charts["存储（%）"]["dates"]) == 3
    text = squeezed(
        [page.extract_text() for page in PdfReader(BytesIO(print_pdf(render_html(document)))).pages]
    )
    assert "与上次巡检（2025年3月18日）相比：首次检查1" in text
    assert "5.2历次数值" in text


def test_the_record_names_authorisation_connections_and_the_replies_digest(pages):
    text = squeezed(pages)
    text = text[text.index("六、巡检过程记录") :]
    for word in ("李示例", "书面", "授权书2026-003", "192.0.2.12", "inspector", "0f" * 32):
        assert word in text
    assert "请求52项，取得回复50项" in text


def test_an_inspection_of_a_handed_in_file_says_that_nobody_logged_in():
    record = replace(sample.RECORD, logins=(), handed_in=True)
    assert "判读客户交回的文件，没有登录主机" in render_html(sample.report(record=record))


def test_each_checks_question_is_in_the_appendix(pages):
    assert "CPU使用率如何？" in squeezed(pages)


def test_good_findings_keep_a_short_excerpt_that_says_where_the_rest_is():
    lines = tuple(f"line {number} {'x' * 200}" for number in range(20))
    good = Finding("dns.mx", Target(part="a.example"), Severity.OK, "正常", evidence=lines)
    twin = replace(good, target=Target(part="b.example"))
    [row] = sample.report((good, twin)).content["excerpts"]
    assert row["targets"] == "a.example、b.example"
    assert len(row["evidence"]) == 4
    assert row["evidence"][-1] == "……（另 17 行）"
    assert len(row["evidence"][0]) < 120


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


def test_what_is_said_of_several_targets_in_the_same_words_is_one_row():
    hosts = tuple(Finding("os.release", Target(f"mx{n}"), Severity.OK, "同") for n in range(30))
    [area] = sample.report(hosts).content["areas"]
    [row] = area["good"]
    assert row["target"].startswith("mx0、mx1、")
    assert row["target"].endswith(" 等 30 个")
    assert area["counts"]["ok"] == 30


def test_the_excerpts_do_not_grow_with_the_fleet():
    found = [
        Finding("dns.mx", Target(f"mx{n}"), Severity.OK, "正常", evidence=(f"line {n}",))
        for n in range(500)
    ]
    [row] = sample.report(tuple(found)).content["excerpts"]
    assert row["targets"] == "mx0（另 499 项见 replies.jsonl）"
    assert row["evidence"] == ["line 0"]


def test_a_script_that_was_asked_takes_one_line_of_the_evidence():
    script = "ssh://mx1 $ sh -c one\ntwo\nthree"
    found = Finding("dns.mx", Target(), Severity.OK, "正常", evidence=(script, "reply"))
    [row] = sample.report((found,)).content["excerpts"]
    assert row["evidence"] == ["ssh://mx1 $ sh -c one two three", "reply"]


def test_the_numbers_of_a_result_stand_in_one_row():
    metrics = {"received_mbps": 1.5, "sent_mbps": 2.0}
    found = Finding("network.bandwidth", Target("mx1"), Severity.OK, "正常", metrics=metrics)
    [row] = sample.report((found,)).content["measures"]
    assert set(row[3].split("，")) == {"接收速率 1.5 Mbit/s", "发送速率 2 Mbit/s"}


def test_a_long_value_of_the_profile_is_cut():
    value = next(
        r["value"] for r in sample.report().content["profile"] if r["field"] == "转发设置查询方式"
    )
    assert value.endswith("……")
    assert len(value) < 170


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("failures_pct", ("失败占比", "%")),
        ("failures_count", ("失败次数", "次")),
        ("messages", ("队列邮件数", "封")),
        ("refused_pct", ("日志中被拒或暂缓占比", "%")),
        ("boots_count", ("启动次数", "次")),
        ("days_left", ("剩余有效期", "天")),
        ("processes_count", ("进程数", "个")),
    ],
)
def test_a_number_is_told_with_its_measure_word(metric, told):
    assert measure_of(metric) == told

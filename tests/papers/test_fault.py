"""The 故障处理报告 beside the form of the service plan."""

import re
from dataclasses import replace
from datetime import datetime
from io import BytesIO

import pytest
from pypdf import PdfReader

from mailcare.deadlines import Level
from mailcare.faults.clocks import clocks
from mailcare.faults.events import (
    Accepted,
    Change,
    Channel,
    Declared,
    Event,
    FirstContact,
    Handled,
    LevelChanged,
    Paused,
    PauseReason,
    Remedy,
    Reopened,
    Resumed,
)
from mailcare.papers.document import Document
from mailcare.papers.fault import Case, Course, Written, fault_report
from mailcare.papers.render import print_pdf, render_html
from mailcare.workdays import Calendar
from tests.faults.story import STANDARD

# 附件三, in its order and wording.
FIELDS = [
    "客户名称", "联系人及联系方式", "故障地点", "故障时间", "故障级别", "故障申报时间",
    "故障受理时间", "故障描述", "处理方法", "处理程度", "经验总结", "用户意见与建议",
]  # fmt: skip
CASE = Case(
    "GZ-2026-00001", "示例银行", "企业邮件系统", "王示例", "分机 1000", "总行机房",
    "网页邮箱无法登录", is_outside_contract=False,
)  # fmt: skip
WRITTEN = Written("清理磁盘并重启服务", "彻底解决", "增加容量告警", "")


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00")


USUAL = (
    Declared(at=at("2026-10-01 18:20"), level=Level.P1),
    Accepted(at=at("2026-10-01 18:24")),
    FirstContact(at=at("2026-10-01 18:26"), channel=Channel.PHONE),
    Paused(at=at("2026-10-01 20:00"), reason=PauseReason.AWAITING_AUTHORISATION),
    Resumed(at=at("2026-10-02 08:00")),
    Handled(at=at("2026-10-02 09:30"), kind=Remedy.FIX),
)


def report(*events: Event, case: Case = CASE, written: Written = WRITTEN) -> Document:
    told = events or USUAL
    calendar = Calendar()
    derived = clocks(told, STANDARD, calendar, told[-1].at)
    return fault_report(
        case, written, Course(told, derived, STANDARD, calendar), vendor="示例维保公司"
    )


def text_of(document: Document) -> list[str]:
    return [
        page.extract_text() for page in PdfReader(BytesIO(print_pdf(render_html(document)))).pages
    ]


def headings(html: str) -> list[str]:
    sheet = re.search(r'<table class="sheet">(.*?)</table>', html, re.DOTALL)
    assert sheet
    return re.findall(r"<th>(.*?)</th>", sheet[1])


@pytest.fixture(scope="module")
def usual() -> list[str]:
    return text_of(report())


def test_every_field_of_the_form_stands_in_its_order_and_wording() -> None:
    assert headings(render_html(report())) == FIELDS


def test_the_usual_report_is_one_page_with_both_signature_boxes(usual: list[str]) -> None:
    assert len(usual) == 1
    assert "客户签字（盖章）：" in usual[0]
    assert "工程师签字：" in usual[0]
    assert "GZ-2026-00001" in usual[0]


def test_the_level_is_ticked_once(usual: list[str]) -> None:
    assert "☑ P1" in usual[0]
    assert [usual[0].count(box) for box in "☑☐"] == [1, 3]


def test_what_nobody_filled_in_is_a_stroke() -> None:
    empty = replace(CASE, place="/")
    events = (USUAL[0], USUAL[-1])
    html = render_html(report(*events, case=empty))

    cells = dict(re.findall(r"<th>(.*?)</th><td[^>]*>(.*?)</td>", html))
    assert [cells[name] for name in ("故障地点", "故障时间", "故障受理时间", "用户意见与建议")] == [
        "/"
    ] * 4


def test_times_gross_and_net_rules_and_pauses_are_printed_with_their_zone(usual: list[str]) -> None:
    for said in (
        "2026-10-01 18:20", "2026-10-03 06:20", "15小时10分", "3小时10分", "等待远程授权",
        "Asia/Shanghai", "自处理完毕次日起算，第3个工作日24:00前送达", "2026-10-10 24:00",
        "一级故障：自申报时起24小时内",
    ):  # fmt: skip
        assert said in usual[0], said


def test_a_broken_promise_stands_on_the_paper() -> None:
    late = report(USUAL[0], Handled(at=at("2026-10-03 09:00"), kind=Remedy.WORKAROUND))

    assert [one["title"] for one in late.content["breaches"]] == [
        "响应（P1）违约",
        "处理（P1）违约",
    ]
    assert "替代方法" in late.content["remedy"]


def test_a_soft_target_is_never_called_a_breach() -> None:
    events = (
        Declared(at=at("2026-10-01 18:20"), level=Level.P3), USUAL[1], USUAL[2],
        Handled(at=at("2026-10-20 09:00"), kind=Remedy.FIX),
    )  # fmt: skip
    assert [one["title"] for one in report(*events).content["breaches"]] == ["处理（P3）超目标"]


def test_a_provisional_deadline_says_why() -> None:
    events = (
        Declared(at=at("2026-12-30 10:00"), level=Level.P1),
        Handled(at=at("2026-12-30 15:00"), kind=Remedy.FIX),
    )
    told = "".join(text_of(report(*events)))

    assert "2027-01-05 24:00（暂行）" in told.replace("\n", "")
    assert "尚未公布的2027年度放假安排" in told


def test_a_worsened_level_is_the_one_that_is_ticked() -> None:
    events = (
        Declared(at=at("2026-10-01 18:20"), level=Level.P3),
        LevelChanged(at=at("2026-10-01 19:00"), level=Level.P1, why=Change.WORSENED),
        Handled(at=at("2026-10-02 09:30"), kind=Remedy.FIX),
    )
    document = report(*events)

    assert document.content["level"] == "P1"
    assert [one["title"] for one in document.content["clocks"]] == [
        "响应（P3）", "处理（P3）", "处理（P1）", "报告（P1）",
    ]  # fmt: skip
    assert document.content["rules"][-1].startswith("情况恶化：自变更时起")
    assert not any("定级更正" in rule for rule in document.content["rules"])


def test_the_time_until_a_reopening_is_told_apart_from_pauses() -> None:
    again = (
        Reopened(at=at("2026-10-03 09:00")),
        Handled(at=at("2026-10-03 10:00"), kind=Remedy.FIX),
    )
    holds = report(*USUAL, *again).content["holds"]

    assert [one["reason"] for one in holds] == ["等待远程授权", "处理完成至重新打开"]
    assert holds[1]["length"] == "23小时30分"


def test_long_texts_go_to_annexes_and_the_signatures_stay_on_the_first_page() -> None:
    long = "检查 IMAP 服务、磁盘与队列，逐项记录结果；" * 60
    many = "\n".join(f"{number}. 逐台核对" for number in range(1, 80))
    told = text_of(
        report(case=replace(CASE, description=long), written=replace(WRITTEN, method=many))
    )

    assert len(told) >= 3
    assert "工程师签字：" in told[0]
    assert "全文见附件1" in told[0]
    assert "79. 逐台核对" in "".join(told[1:])
    assert "附件3　服务时限执行情况" in "".join(told[1:])


def test_a_second_version_says_why_there_is_one() -> None:
    again = replace(WRITTEN, edition=2, why_again="故障重新打开后再次处理")

    assert "第 2 版：故障重新打开后再次处理" in text_of(report(written=again))[0]


def test_strange_characters_are_shown_and_never_boxes() -> None:
    strange = replace(WRITTEN, method="客户⼾ 🫠 <b>\u202e x")
    told = text_of(report(written=strange))[0]

    assert "〔U+1FAE0〕" in told
    assert "<b>" in told
    assert "\\u202e" in told

from dataclasses import replace
from io import BytesIO

import pytest
from pypdf import PdfReader

from mailcare.inspection.check import Finding, Manual, Severity, Target, Unmeasured
from mailcare.papers.actions import action_list
from mailcare.papers.document import Document
from mailcare.papers.render import print_pdf, render_html
from tests.papers import sample

LONG = sample.LONG
BAD = tuple(
    one for one in sample.RESULTS if isinstance(one, Finding) and one.severity > Severity.OK
)
HEAVY = tuple(
    replace(one, summary=LONG, advice=LONG, target=Target(f"mx{number}"), caused_by=None)
    for one in BAD
    for number in range(12)
)
SHORT = tuple(replace(one, summary="短", advice="短") for one in HEAVY)
UNMEASURED = tuple(Unmeasured("dns.ptr", Target(f"mx{n}"), f"{LONG}{n}") for n in range(40))
MANUAL = tuple(Manual("os.serious_bugs", Target(f"mx{n}"), LONG) for n in range(40))


def actions(results=sample.RESULTS) -> Document:
    return action_list(
        sample.SYSTEM,
        results,
        sample.CHECKS,
        number=sample.NUMBER,
        finished_at=sample.FINISHED_AT,
    )


@pytest.mark.parametrize(
    "results",
    [
        (),
        sample.RESULTS,
        HEAVY,
        SHORT,
        UNMEASURED,
        MANUAL,
        tuple(replace(one, reason="查看指示灯") for one in MANUAL),
        (*HEAVY, *UNMEASURED, *MANUAL),
        (*SHORT, *UNMEASURED, *MANUAL),
    ],
    ids=["none", "usual", "long", "short", "unmeasured", "manual", "brief", "all", "mixed"],
)
def test_it_is_one_page_whatever_was_found(results):
    pdf = print_pdf(render_html(actions(results)))
    assert len(PdfReader(BytesIO(pdf)).pages) == 1


def test_causes_come_first_and_effects_are_only_counted():
    content = actions().content
    assert [row["title"] for row in content["to_do"][:3]] == [
        "邮件服务进程（mx2 dovecot）",
        "磁盘空间与 inode（mx1 /var/vmail）",
        "MX 记录（shili-bank.example）",
    ]
    assert content["to_do"][0]["todo"].endswith("（处理后复查由此引起的 2 项）")
    assert "IMAP 登录" not in str(content["to_do"])


def test_one_reason_is_one_line_with_all_that_it_keeps_from_being_measured():
    reason = "没有权限读取 /var/log/mail.log"
    results = tuple(Unmeasured("dns.ptr", Target(f"mx{number}"), reason) for number in (1, 2))
    [row] = actions(results).content["to_open"]
    assert (row["reason"], row["names"]) == (reason, "反向解析（mx1）、反向解析（mx2）")


def test_what_another_failure_explains_needs_no_opening():
    waiting = Unmeasured("dns.ptr", Target("mx1"), "没有回复", "network.ssh")
    assert actions((waiting,)).content["to_open"] == []


def test_manual_items_have_a_box_to_tick():
    html = render_html(actions())
    assert html.count("☐") == sum(
        len(actions().content[key]) for key in ("to_do", "to_open", "to_look_at")
    )
    assert "查看机箱指示灯、电源、风扇与温度" in html


def test_what_does_not_fit_is_counted_and_said():
    content = actions((*HEAVY, *UNMEASURED, *MANUAL)).content
    shown = [len(content[key]) for key in ("to_do", "to_open", "to_look_at")]
    assert min(shown) > 1
    assert content["more"] == [len(HEAVY) - shown[0], 40 - shown[1], 40 - shown[2]]
    assert "项，见报告第三部分" in render_html(actions(HEAVY))


def test_it_is_a_paper_of_its_own_beside_the_report():
    assert actions().number == f"{sample.NUMBER}-TODO"

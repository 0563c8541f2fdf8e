"""Archive, approval and query are judged by what became of a marked mail."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.inspection.check import (
    Channel,
    Manual,
    NotApplicable,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Unmeasured,
)
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.planning import plan_inspection
from mailcare.systems.profile import Approval, Archive, Known, Query, Way
from mailcare.systems.site import Mailboxes
from mailcare.systems.system import System
from tests.inspection.checks.reply_files import RECORDED_AT, REPLIES, check_named, verdicts
from tests.inspection.samples import lab_system

OK, NOTICE, WARNING, CRITICAL = Severity
SYSTEM = lab_system()
NAMES = ("function.archive", "function.approval", "function.query")

JUDGED = [
    ("function.archive", "ok", OK, "进入归档邮箱（上限 15 秒）"),
    ("function.archive", "ok-recipient-lost", OK, "进入归档邮箱"),
    ("function.archive", "late", WARNING, "21.4 秒进入归档邮箱（上限 15 秒）"),
    ("function.archive", "bad", CRITICAL, "25 秒内归档邮箱中没有副本"),
    ("function.approval", "ok", OK, "放行后 0.5 秒到达收件人（上限 15 秒）"),
    ("function.approval", "late", CRITICAL, "75.2 秒到达收件人（上限 15 秒）"),
    ("function.approval", "bad-leaked", CRITICAL, "没有送审，未经放行就到达了收件人"),
    ("function.approval", "bad-leaked-copy", CRITICAL, "审批人收到了送审副本"),
    ("function.approval", "bad-stuck", CRITICAL, "放行后 25 秒内收件人没有收到"),
    ("function.query", "ok", OK, "按正文检索 0.0 秒找到邮件（上限 15 秒）"),
    ("function.query", "bad-no-hit", WARNING, "25 秒内按正文检索不到"),
    ("function.query", "bad-refused", WARNING, "NO [SERVERBUG] Internal error"),
    ("function.query", "bad-false-hit", WARNING, "从未出现过的词也有结果"),
]
UNMEASURED = [
    ("function.archive", "unmeasured", "不是探测记录"),
    ("function.archive", "unmeasured-refused", "没有发出：连接被拒绝"),
    ("function.archive", "unmeasured-login", "无法查看归档邮箱：login51 NO"),
    ("function.archive", "unmeasured-lost", "没有到达收件箱"),
    ("function.approval", "unmeasured", "不是探测记录"),
    ("function.approval", "unmeasured-approver", "等待应答超时"),
    ("function.approval", "unmeasured-lost", "25 秒内既没有被送审，也没有到达"),
    ("function.approval", "unmeasured-not-released", "无法移入放行文件夹"),
    ("function.approval", "unmeasured-cut", "放行没有做完：连接被对方中断"),
    ("function.query", "unmeasured", "不是高级功能的测试记录"),
    ("function.query", "unmeasured-login", "没有发出：login7 NO"),
    ("function.query", "unmeasured-lost", "25 秒内没有到达"),
    ("function.query", "unmeasured-cut", "检索没有做完：连接被对方中断"),
    ("function.query", "unmeasured-folder", "Mailbox doesn't exist"),
]


@pytest.mark.parametrize(("check", "file", "severity", "words"), JUDGED)
def test_a_recorded_trial_is_judged_as_the_table_says(check, file, severity, words):
    [verdict] = verdicts(check, file)
    assert verdict.severity is severity
    assert words in verdict.summary
    assert bool(verdict.advice) == (severity > OK)
    assert verdict.evidence


@pytest.mark.parametrize(("check", "file", "words"), UNMEASURED)
def test_a_trial_that_was_not_finished_is_unmeasured_with_its_reason(check, file, words):
    with pytest.raises(ReplyError) as caught:
        verdicts(check, file)
    assert words in str(caught.value)


@pytest.mark.parametrize("check", NAMES)
def test_every_reply_file_stands_in_a_table(check):
    tabled = {file for name, file, *_ in [*JUDGED, *UNMEASURED] if name == check}
    assert {path.stem for path in (REPLIES / check).iterdir()} == tabled


def test_no_evidence_holds_a_password():
    for check, file, *_ in JUDGED:
        [verdict] = verdicts(check, file)
        assert not any("AUTH PLAIN" in row and "***" not in row for row in verdict.evidence)


def planned(check: str, *, mailboxes: Mailboxes | None = None, **fields: object):
    site = SYSTEM.site.model_copy(update={"mailboxes": mailboxes}) if mailboxes else SYSTEM.site
    system = System(site, SYSTEM.profile.model_copy(update=fields))
    return plan_inspection(system, [check_named(check)])


WAYS = [
    ("function.archive", "archive", Archive),
    ("function.approval", "approval", Approval),
    ("function.query", "query", Query),
]


@pytest.mark.parametrize(("check", "field", "kind"), WAYS)
def test_a_function_that_the_product_lacks_does_not_apply(check, field, kind):
    [result] = planned(check, **{field: Known(value=kind(how=Way.ABSENT))}).settled
    assert isinstance(result, NotApplicable)


@pytest.mark.parametrize(("check", "field", "kind"), WAYS)
def test_a_function_that_only_a_person_can_try_is_a_line_on_the_sheet(check, field, kind):
    for known in (Known(), Known(value=kind(how=Way.MANUAL))):
        plan = planned(check, **{field: known})
        assert plan.asks() == ()
        [result] = judge_answers(plan, {})
        assert isinstance(result, Manual)
        assert len(result.reason) > 20


@pytest.mark.parametrize(("check", "field", "kind"), WAYS)
def test_a_trial_is_one_ask_whose_words_are_in_the_files(check, field, kind):
    plan = planned(check)
    [ask] = plan.asks()
    assert ask.channel is Channel.FUNCTION
    assert ask.words[0] == field
    assert ask.words[1] == "probe@shili-bank.example"
    assert ask.words[-1] == str(SYSTEM.site.probing.mail_wait_s)
    assert kind


@pytest.mark.parametrize(
    ("check", "missing"), [("function.archive", "archive"), ("function.approval", "approver")]
)
def test_a_missing_mailbox_is_named(check, missing):
    mailboxes = SYSTEM.site.mailboxes.model_copy(update={missing: None})
    [result] = planned(check, mailboxes=mailboxes).settled
    assert isinstance(result, Unmeasured)
    assert f"mailboxes.{missing}" in result.reason


def test_a_missing_probe_mailbox_is_named():
    mailboxes = SYSTEM.site.mailboxes.model_copy(update={"inside": None})
    for check in NAMES:
        [result] = planned(check, mailboxes=mailboxes).settled
        assert isinstance(result, Unmeasured)
        assert "mailboxes.inside" in result.reason


def test_an_approval_without_its_mark_is_a_gap():
    approval = Approval(how=Way.IMAP, released_folder="Released")
    [result] = planned("function.approval", approval=Known(value=approval)).settled
    assert isinstance(result, Unmeasured)
    assert "mark" in result.reason


EVENTS = st.sampled_from(
    ["token x", "stage sent", "archived I", "not-archived 5", "arrived I", "not-arrived 5",
     "held I", "not-held 5", "leaked I", "released R", "not-released", "hit", "no-hit 5",
     "false-hit", "delay_s 1.5", "delay_s nan", "delay_s x", "delay_s", "closed", "stage search"]
)  # fmt: skip
RECORDS = st.lists(
    st.one_of(
        EVENTS.map(lambda event: f"# {event}"),
        st.text(max_size=30).map(lambda text: f"< {text}"),
        st.sampled_from(["< uid7 NO x", "> uid7 UID SEARCH", "< uid"]),
    ),
    max_size=14,
).map(lambda rows: "\n".join(["# token x", "# stage sent", *rows]))


@pytest.mark.parametrize("check", NAMES)
@given(text=st.one_of(RECORDS, st.binary().map(lambda data: data.decode("utf-8", "replace"))))
def test_any_bytes_are_a_fact_or_a_reason(check, text):
    subject_of = check_named(check)
    try:
        fact = subject_of.parse((Reply(text, 0, RECORDED_AT, "test"),))
    except ReplyError:
        return
    subject = Subject(replace(SYSTEM), Target(), RECORDED_AT)
    assert list(subject_of.judge(fact, subject_of.limits, subject))

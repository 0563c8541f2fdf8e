"""The report on a fault from the engineer's first word to the customer's signature."""

from datetime import UTC, datetime
from functools import partial

import pytest

from mailcare.clock import BEIJING
from mailcare.contracts.forms import FormError, read_form
from mailcare.delivery.steps import send_again
from mailcare.errors import InputError
from mailcare.faults.clocks import State
from mailcare.faults.events import Refused
from mailcare.faults.steps import Changed, fault_detail
from mailcare.papers.steps import file_signed_return, paper_detail
from mailcare.records.alerts import Alert
from mailcare.records.papers import Paper
from mailcare.reports import steps
from mailcare.reports.forms import DraftForm, HandOverForm, ReportForm
from mailcare.staff.steps import Role, grant_role
from mailcare.systems.evidence import read_evidence
from tests.faults.desk import happened, stored
from tests.faults.story import at
from tests.reports.desk import (
    CONTACT,
    WHEN,
    WRITTEN,
    approve,
    bounced,
    form,
    handled,
    letters,
    mark_sent,
    open_desk,
    state,
    submitted,
    version,
)

SCAN = read_evidence("签回.png", b"\x89PNG\r\n\x1a\n" + bytes(100))
HANDED = {"received_by": "王示例", "handed_at": "2026-03-03T10:00", "remark": "签收单 7 号"}


@pytest.fixture
def fault(records: None) -> int:
    open_desk()
    return handled()


def report_clock(fault: int, epoch: int = 1):
    clocks = fault_detail(fault, at=datetime.now(UTC)).clocks
    return next(one for one in clocks if one.clock == "report" and one.epoch == epoch)


def kinds(fault: int) -> list[str]:
    return [one.title for one in fault_detail(fault, at=WHEN).history if one.kind == "event"]


def test_a_report_begins_with_what_was_recorded(fault: int) -> None:
    report = steps.open_report(fault, by="zhou", at=WHEN)
    again = steps.open_report(fault, by="lee", at=WHEN)

    detail = steps.report_detail(report)
    assert report == again
    assert "处理完成" in detail.method
    assert "客户来电" in detail.method
    assert detail.degree == "彻底解决"
    assert (detail.opinions, detail.occurred_at) == ("", None)


def test_a_fault_that_is_not_handled_owes_no_report(records: None) -> None:
    from tests.faults.desk import declared

    open_desk()
    with pytest.raises(InputError, match="尚未处理完成"):
        steps.open_report(declared(), by="zhou", at=WHEN)


def test_of_two_who_write_at_once_the_second_is_told_and_nothing_is_lost(fault: int) -> None:
    report = steps.open_report(fault, by="zhou", at=WHEN)
    first = read_form(DraftForm, {"method": "第一位写的"})
    second = read_form(DraftForm, {"method": "第二位写的"})
    steps.save_report(report, first, seen=1, by="zhou", at=WHEN)

    with pytest.raises(Changed, match="zhou 已于"):
        steps.save_report(report, second, seen=1, by="lee", at=WHEN)
    assert steps.report_detail(report).method == "第一位写的"


def test_a_draft_may_be_empty_but_what_is_submitted_may_not(fault: int) -> None:
    read_form(DraftForm, {})
    with pytest.raises(FormError) as caught:
        read_form(ReportForm, {"lessons": "无"})
    assert {one.path for one in caught.value.complaints} == {("method",), ("degree",)}


def test_a_fault_does_not_occur_after_it_was_declared(fault: int) -> None:
    report = steps.open_report(fault, by="zhou", at=WHEN)

    with pytest.raises(FormError, match="不能晚于申报时间"):
        steps.save_report(report, form(occurred_at="2026-03-02T09:01"), seen=1, by="zhou", at=WHEN)


def test_what_is_under_review_is_not_changed_any_more(fault: int) -> None:
    report = submitted(fault)

    with pytest.raises(InputError, match="不能再改"):
        steps.save_report(report, form(), seen=2, by="zhou", at=WHEN)


def test_only_a_manager_who_did_not_write_it_reviews(fault: int) -> None:
    report = submitted(fault)

    with pytest.raises(InputError, match="没有主管角色"):
        approve(report, by="lee")
    with pytest.raises(InputError, match="自己提交"):
        approve(report, by="zhou")
    assert state(report) == "in_review"
    assert [one.rung for one in stored(Alert)] == ["manager"]


def test_a_manager_whose_words_are_in_it_does_not_review_whoever_saved_last(fault: int) -> None:
    grant_role("lee", Role.MANAGER, by="test")
    report = steps.open_report(fault, by="boss", at=WHEN)  # begins it, writes nothing
    steps.save_report(report, form(lessons="主管写的"), seen=1, by="lee", at=WHEN)
    steps.submit_report(report, form(), seen=2, by="zhou", at=WHEN)

    with pytest.raises(InputError, match="修改过"):
        approve(report, by="lee")
    assert steps.return_report(
        report, seen=version(report), by="boss", via="console", remark="改", at=WHEN
    )
    steps.submit_report(report, form(), seen=3, by="zhou", at=WHEN)
    assert approve(report, by="boss")  # who returned it has not written it


def test_a_decision_counts_for_the_version_that_was_seen(fault: int) -> None:
    report = submitted(fault)
    before = version(report)
    steps.return_report(report, seen=before, by="boss", via="console", remark="改", at=WHEN)
    submitted(fault, method="改过的")
    for decide in (steps.approve_report, partial(steps.return_report, remark="不看")):
        with pytest.raises(Changed, match="重新提交过"):
            decide(report, seen=before, by="boss", via="console", at=WHEN)
    assert state(report) == "in_review"
    assert steps.begin_review(report, before) == ""
    assert approve(report)


def test_a_returned_report_is_changed_and_submitted_again(fault: int) -> None:
    report = submitted(fault)
    assert steps.return_report(
        report, seen=version(report), by="boss", via="console", remark="写明原因", at=WHEN
    )
    assert not steps.return_report(
        report, seen=version(report), by="boss", via="airflow", remark="", at=WHEN
    )
    assert state(report) == "returned"

    seen = steps.report_detail(report).version
    steps.submit_report(report, form(method="已写明原因"), seen=seen, by="zhou", at=WHEN)
    assert state(report) == "in_review"
    assert steps.report_detail(report).acts[-3].remark == "写明原因"
    assert len(stored(Alert)) == 3


def test_an_approved_report_is_rendered_signed_and_posted_once(fault: int) -> None:
    report = submitted(fault)

    assert approve(report)
    assert not approve(report)
    assert state(report) == "issued"
    paper = steps.report_detail(report).row.paper_id
    detail = paper_detail(paper)
    assert (detail.row.number, detail.row.version) == ("GZ-2026-00001", 1)
    assert [(one.signer, one.verdict) for one in detail.signatures] == [("zhou", "intact")]
    [letter] = letters(report)
    assert letter.recipient == CONTACT["email"]
    assert len(stored(Paper)) == 1


def test_generated_is_not_sent_the_clock_runs_until_the_server_took_it(fault: int) -> None:
    report = submitted(fault)
    approve(report)
    assert steps.follow_reports() == 0
    assert report_clock(fault).stopped_at is None

    mark_sent(report, at("2026-03-04 10:00"))
    assert steps.follow_reports() == 1
    assert steps.follow_reports() == 0
    clock = report_clock(fault)
    assert (clock.state, clock.stopped_at) == (State.MET, at("2026-03-04 10:00"))
    assert state(report) == "sent"


def test_a_report_handed_over_stops_the_clock_with_who_when_and_evidence(fault: int) -> None:
    report = submitted(fault)
    said = read_form(HandOverForm, HANDED)
    with pytest.raises(InputError, match="尚未签发"):
        steps.hand_over(report, said, (), by="zhou", at=at("2026-03-03 11:00"))
    approve(report)
    with pytest.raises(Refused, match="晚于现在"):
        steps.hand_over(report, said, (), by="zhou", at=at("2026-03-03 09:00"))
    steps.hand_over(report, said, (SCAN,), by="zhou", at=at("2026-03-03 11:00"))

    assert state(report) == "sent"
    assert report_clock(fault).stopped_at == at("2026-03-03 10:00")
    entry = fault_detail(fault, at=datetime.now(UTC)).history[-1]
    assert "签收人：王示例" in entry.text
    assert [one.name for one in entry.files] == ["签回.png"]
    mark_sent(report, at("2026-03-04 10:00"))  # the letter that was on its way arrives as well
    steps.follow_reports()
    assert report_clock(fault).stopped_at == at("2026-03-03 10:00")


def test_a_hand_over_without_anything_that_proves_it_is_refused() -> None:
    with pytest.raises(FormError, match="依据"):
        read_form(HandOverForm, HANDED | {"remark": ""})


def test_the_customers_signed_return_ends_the_fault(fault: int) -> None:
    report = submitted(fault)
    approve(report)
    paper = steps.report_detail(report).row.paper_id
    now = datetime.now(UTC)
    today = now.astimezone(BEIJING).date()
    file_signed_return(paper, SCAN, signer="王示例", signed_on=today, by="zhou", at=now)
    steps.follow_reports()
    assert state(report) == "issued"  # it came back, but nobody has recorded that it arrived

    mark_sent(report, at("2026-03-04 10:00"))
    steps.follow_reports()
    steps.follow_reports()
    assert state(report) == "signed"
    assert fault_detail(fault, at=datetime.now(UTC)).row.state == "signed"


def test_a_report_that_came_back_is_owed_again_until_it_arrives(fault: int) -> None:
    report = submitted(fault)
    approve(report)
    mark_sent(report, at("2026-03-03 10:00"))
    steps.follow_reports()
    [letter] = letters(report)

    bounced(letter, at("2026-03-03 15:00"))
    assert (state(report), str(letters(report)[0].state)) == ("issued", "refused")
    assert kinds(fault)[-2:] == ["报告送达", "报告退回"]
    assert report_clock(fault).stopped_at is None
    assert fault_detail(fault, at=WHEN).row.state == "handled"
    told = stored(Alert)[-1]
    assert (told.rung, "被退回" in told.subject) == ("engineer", True)
    assert steps.follow_reports() == 0

    send_again(letter.id, recipient="li@shili-bank.example", reason="更正", by="zhou")
    mark_sent(report, at("2026-03-04 10:00"))
    steps.follow_reports()
    assert (state(report), report_clock(fault).state) == ("sent", State.MET)
    assert kinds(fault)[-1] == "报告送达"


def test_a_letter_that_came_back_before_its_arrival_was_recorded_never_counts(fault: int) -> None:
    report = submitted(fault)
    approve(report)
    mark_sent(report, at("2026-03-03 10:00"))
    bounced(letters(report)[0], at("2026-03-03 10:00"))

    assert steps.follow_reports() == 0
    assert (state(report), "报告送达" in kinds(fault)) == ("issued", False)


def test_a_report_stays_sent_while_another_recipient_has_it_or_it_was_handed_over(
    records: None,
) -> None:
    open_desk(CONTACT, CONTACT | {"name": "李示例", "email": "li@shili-bank.example"})
    report = submitted(handled())
    approve(report)
    mark_sent(report, at("2026-03-03 10:00"))
    steps.follow_reports()
    first, second = letters(report)
    bounced(first, at("2026-03-03 11:00"))
    assert state(report) == "sent"
    bounced(second, at("2026-03-03 12:00"))
    assert state(report) == "issued"

    steps.hand_over(
        report, read_form(HandOverForm, HANDED), (), by="zhou", at=at("2026-03-03 15:00")
    )
    send_again(second.id, recipient=second.recipient, reason="再试", by="zhou")
    mark_sent(report, at("2026-03-03 16:00"))
    bounced(second, at("2026-03-03 17:00"), number=2)
    assert state(report) == "sent"


def test_what_arrived_late_counts_late_when_the_letter_in_time_came_back(records: None) -> None:
    open_desk(CONTACT, CONTACT | {"name": "李示例", "email": "li@shili-bank.example"})
    fault = handled()
    report = submitted(fault)
    approve(report)
    mark_sent(report, at("2026-03-03 10:00"), to=CONTACT["email"])
    steps.follow_reports()
    mark_sent(report, at("2026-03-09 10:00"), to="li@shili-bank.example")
    assert report_clock(fault).state is State.MET

    bounced(letters(report)[0], at("2026-03-09 12:00"))
    clock = report_clock(fault)
    assert (clock.state, clock.breached_at) == (State.LATE, at("2026-03-06 00:00"))
    assert (clock.stopped_at, state(report)) == (at("2026-03-09 10:00"), "sent")
    assert [one for one in stored(Alert) if "被退回" in one.subject] == []


def test_a_hand_over_before_the_letter_came_back_counts(fault: int) -> None:
    report = submitted(fault)
    approve(report)
    mark_sent(report, at("2026-03-03 09:00"))
    steps.follow_reports()
    bounced(letters(report)[0], at("2026-03-03 15:00"))
    said = read_form(HandOverForm, HANDED)  # at 10:00
    steps.hand_over(report, said, (), by="zhou", at=at("2026-03-03 16:00"))

    assert report_clock(fault).stopped_at == at("2026-03-03 10:00")
    assert fault_detail(fault, at=datetime.now(UTC)).row.state == "reported"


def test_a_first_report_that_comes_back_leaves_the_second_one_sent(fault: int) -> None:
    first = submitted(fault)
    approve(first)
    mark_sent(first, at("2026-03-03 10:00"))
    steps.follow_reports()
    happened(fault, "2026-03-04 09:00 reopened", "2026-03-04 12:00 handled fix")
    second = submitted(fault)
    approve(second)
    mark_sent(second, at("2026-03-05 10:00"))
    steps.follow_reports()

    bounced(letters(first)[0], at("2026-03-05 12:00"))
    assert (state(first), state(second)) == ("issued", "sent")
    assert report_clock(fault, 2).stopped_at == at("2026-03-05 10:00")
    assert fault_detail(fault, at=datetime.now(UTC)).row.state == "reported"


def test_a_reopened_fault_gets_a_second_version_that_says_why(fault: int) -> None:
    first = submitted(fault)
    approve(first)
    mark_sent(first, at("2026-03-03 10:00"))
    steps.follow_reports()
    happened(fault, "2026-03-04 09:00 reopened", "2026-03-04 12:00 handled fix")

    second = submitted(fault, method="更换磁盘")
    approve(second)
    assert second != first
    paper = steps.report_detail(second).row.paper_id
    assert paper_detail(paper).row.version == 2
    with_why = stored(Paper)[-1].content
    assert (with_why["edition"], with_why["why_again"]) == (2, "故障重新打开后再次处理")
    assert [one["reason"] for one in with_why["holds"]] == ["处理完成至重新打开"]
    reports = [one for one in with_why["clocks"] if one["title"].startswith("报告")]
    assert [(one["stopped_at"], one["state"]) for one in reports] == [
        ("2026-03-03T10:00:00+08:00", "按时完成"),
        ("", ""),
    ]
    mark_sent(second, at("2026-03-05 10:00"))
    steps.follow_reports()
    assert report_clock(fault, 2).state is State.MET


def test_a_report_that_a_reopening_overtook_is_never_sent(fault: int) -> None:
    report = submitted(fault)
    happened(fault, "2026-03-02 13:00 reopened")

    approve(report)
    assert state(report) == "superseded"
    assert letters(report) == []


def test_the_fix_after_a_workaround_owes_a_report_of_its_own(records: None) -> None:
    from tests.faults.desk import declared

    open_desk()
    fault = declared("P1", "2026-03-02 09:00")
    happened(fault, "2026-03-02 10:00 handled workaround")
    first = submitted(fault)
    approve(first)
    mark_sent(first, at("2026-03-03 10:00"))
    steps.follow_reports()
    happened(fault, "2026-03-05 10:00 handled fix")
    second = submitted(fault)
    approve(second)

    assert [
        one.epoch for one in (steps.report_detail(first).row, steps.report_detail(second).row)
    ] == [1, 2]
    assert "补充报告" in stored(Paper)[-1].content["why_again"]
    mark_sent(second, at("2026-03-06 10:00"))
    steps.follow_reports()
    assert (report_clock(fault, 1).state, report_clock(fault, 2).state) == (State.MET, State.MET)


def test_without_an_address_the_report_is_issued_and_waits_for_hand_delivery(records: None) -> None:
    open_desk({"name": "王示例"})
    report = submitted(handled())
    approve(report)

    assert state(report) == "issued"
    assert "当面送达" in steps.report_detail(report).acts[-1].remark


def test_a_review_is_taken_up_by_one_run_a_submission(fault: int) -> None:
    report = submitted(fault)
    [run] = steps.review_runs()
    assert run["conf"] == {"report": report, "version": version(report)}
    assert run["trigger_run_id"].startswith("report__GZ-2026-00001")

    assert "zhou" in steps.begin_review(report, version(report))
    assert steps.review_runs() == []
    steps.return_report(report, seen=version(report), by="boss", via="airflow", remark="", at=WHEN)
    assert steps.begin_review(report, version(report)) == ""
    submitted(fault)
    assert [one["trigger_run_id"] == run["trigger_run_id"] for one in steps.review_runs()] == [
        False
    ]


def test_a_preview_is_kept_nowhere(fault: int) -> None:
    report = submitted(fault, **WRITTEN)

    assert steps.preview(report).startswith(b"%PDF-")
    assert stored(Paper) == []

"""Faults in the records: declared once, events in order, nobody overwrites anybody."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import Engine, event

from mailcare.contracts import promises
from mailcare.contracts.forms import FormError, read_form
from mailcare.contracts.steps import change_contract
from mailcare.errors import InputError, Unavailable
from mailcare.faults.clocks import State
from mailcare.faults.declaration import DeclarationForm
from mailcare.faults.events import (
    FORMS,
    Accepted,
    Channel,
    FirstContact,
    Merged,
    Paused,
    PauseReason,
    Refused,
    ReportSent,
)
from mailcare.faults.recording import NOTHING, Backing
from mailcare.faults.standing import Stage
from mailcare.faults.steps import (
    Changed,
    add_note,
    ask_follow_up,
    board,
    declare_form,
    fault_detail,
    fault_of,
    follow_up_runs,
    list_faults,
    open_fault,
    record_event,
    sweep,
    timeline,
)
from mailcare.listing import Wish
from mailcare.records import faults
from mailcare.records.inspections import (
    Finding,
    FindingSeverity,
    FindingState,
    Inspection,
    Judgement,
    Service,
    ServiceKind,
    ServicePurpose,
    ServiceState,
)
from mailcare.records.session import transaction
from tests.contracts import desk as contracts
from tests.faults.desk import clock_of, declared, happened, open_desk, stored, stored_clock
from tests.faults.story import at

PDF = ("agreement.pdf", b"%PDF-1.7\n")
PNG = ("screen.png", b"\x89PNG\r\n\x1a\n")
FORM = {
    "customer": "示例银行",
    "site": "head-office",
    "level": "P2",
    "description": "Web 邮箱打不开",
    "contact": "王示例",
    "contact_details": "分机 1000",
    "declared_at": "2026-03-02T09:00",
}


@pytest.fixture(autouse=True)
def records(database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    open_desk()


def row_of(fault: int):
    return fault_detail(fault, at=at("2026-12-31 23:59")).row


def test_a_fault_has_a_number_the_contract_in_force_and_running_clocks():
    fault = declared("P1")
    row = row_of(fault)
    assert row.number == f"GZ-2026-{fault:05d}"
    assert row.contract == "HT-1"
    assert (row.level, row.state, row.event_count) == ("P1", "declared", 1)
    assert fault_of(row.number) == fault
    clocks = stored(faults.FaultClock, fault)
    assert [(one.clock, one.state) for one in clocks] == [
        ("response", "running"),
        ("resolution", "running"),
    ]
    assert stored_clock(fault, "response").due_at == at("2026-03-02 09:15")
    assert stored_clock(fault, "resolution").due_at == at("2026-03-03 09:00")


def test_the_same_declaration_is_one_fault():
    assert declared("P1") == declared("P1")
    assert len(stored(faults.Fault)) == 1
    assert len(stored(faults.FaultEvent)) == 1


def test_two_who_declare_the_same_at_once_get_one_fault():
    with ThreadPoolExecutor(4) as pool:
        found = {one.result() for one in [pool.submit(declared, "P1") for _ in range(4)]}
    assert len(found) == 1
    assert len(stored(faults.FaultEvent)) == 1


def test_numbers_of_faults_declared_at_once_differ():
    with ThreadPoolExecutor(4) as pool:
        every = [pool.submit(declared, "P3", key=f"k{number}") for number in range(8)]
        ids = {one.result() for one in every}
    assert len(ids) == 8
    assert len({row_of(one).number for one in ids}) == 8


@pytest.mark.parametrize(
    "changes", [{"system": None, "customer": 2}, {"when": "2027-03-02 09:00"}], ids=["no", "ended"]
)
def test_a_fault_outside_of_any_contract_is_taken_and_flagged(changes):
    contracts.add_customer(name="无合同行")
    fault = declared(**changes)
    assert row_of(fault).contract is None
    assert clock_of(fault, "response", "2027-12-31 00:00").state is State.LATE


def test_a_contract_without_remote_service_promises_no_support():
    other = contracts.add_customer(name="只买现场")
    contracts.add_system(other, "branch")
    contracts.add_contract(
        number="HT-2", customer="只买现场", systems=["branch"], remote_service=False
    )
    assert row_of(declared(customer=other, system=2)).contract is None


def test_b17_a_later_version_of_the_contract_leaves_the_pinned_one():
    fault = declared("P1")
    [pinned] = [one.contract_version_id for one in stored(faults.Fault)]
    change_contract("HT-1", contracts.form(note="新价"), read_version=1, by="li")
    assert [one.contract_version_id for one in stored(faults.Fault)] == [pinned]
    assert row_of(fault).contract == "HT-1"


HARDER = """
2:
  response_minutes: 5
  resolution: {P1: {hours: 4}, P2: {hours: 8}, P3: {days: 1}, P4: {days: 2, soft: true}}
  report_workdays: 1
  report_internal_due: "12:00"
  reopen_within_hours: 24
  zone: Asia/Shanghai
"""


def test_b17_a_fault_has_the_promises_that_its_contract_version_names(monkeypatch):
    first = declared("P1")
    both = promises._versions() | promises.read_promises(HARDER)
    monkeypatch.setattr(promises, "_versions", lambda: both)
    older = declared("P2", "2026-03-02 09:30")  # its contract does not name the newest ones yet
    change_contract("HT-1", contracts.form(terms_version=2), read_version=1, by="li")
    fault = declared("P1", "2026-03-02 10:00")
    due = [stored_clock(one, "resolution").due_at for one in (first, older, fault)]
    assert due == [at("2026-03-03 09:00"), at("2026-03-04 09:30"), at("2026-03-02 14:00")]
    sweep(at=at("2026-03-02 15:00"))
    broken = {(one.fault_id, str(one.clock), one.breached_at) for one in stored(faults.FaultBreach)}
    assert broken == {
        (first, "response", at("2026-03-02 09:15")),
        (older, "response", at("2026-03-02 09:45")),
        (fault, "response", at("2026-03-02 10:05")),
        (fault, "resolution", at("2026-03-02 14:00")),
    }
    happened(fault, "2026-03-02 15:00 handled")
    assert clock_of(fault, "report", "2026-03-02 16:00").due_at == at("2026-03-04 00:00")


def test_promises_that_there_are_none_of_are_refused_at_entry():
    with pytest.raises(FormError, match="terms_version：没有第 7 版服务承诺，可用：1"):
        contracts.form(terms_version=7)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"customer": 9}, "没有登记这个客户"),
        ({"system": 9}, "没有登记这个系统"),
        ({"follows": "GZ-2026-00009"}, "没有登记这个故障"),
        ({"declared_at": at("2026-03-02 09:01")}, "晚于现在"),
    ],
)
def test_what_cannot_be_declared_is_refused_with_a_sentence(changes, said):
    with pytest.raises(InputError, match=said):
        declared("P1", **changes)
    assert stored(faults.Fault) == []


def test_a_system_of_another_customer_is_refused():
    other = contracts.add_customer(name="另一客户")
    with pytest.raises(InputError, match="该客户没有登记这个系统"):
        declared(customer=other, system=1)


def test_a_form_names_customer_and_site_and_reads_beijing_time():
    form = read_form(DeclarationForm, FORM)
    fault = declare_form(form, key="t1", by="li", at=at("2026-03-02 09:05"), files=[PDF, PNG])
    row = row_of(fault)
    assert row.declared_at == at("2026-03-02 09:00")
    assert (row.customer, row.site, row.place, row.declared_via) == (
        "示例银行", "head-office", "/", "phone",
    )  # fmt: skip
    [entry] = timeline(fault)
    assert [one.name for one in entry.files] == ["agreement.pdf", "screen.png"]
    assert entry.recorded_at == at("2026-03-02 09:05")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"customer": "陌生行"}, "customer"),
        ({"site": "nowhere"}, "site"),
        ({"level": "P5"}, "level"),
        ({"description": " "}, "description"),
        ({"declared_at": "2026-03-02T10:00"}, "declared_at"),
        ({"declared_at": "昨天"}, "declared_at"),
        ({"follows": "GZ-1"}, "follows"),
        ({"contact": "a\x00b"}, "contact"),
    ],
)
def test_a_form_that_cannot_be_taken_names_the_field(changes, field):
    def enter() -> int:
        form = read_form(DeclarationForm, FORM | changes)
        return declare_form(form, key="t1", by="li", at=at("2026-03-02 09:05"))

    with pytest.raises(FormError) as caught:
        enter()
    assert [one.path[0] for one in caught.value.complaints] == [field]


def test_events_move_the_fault_and_are_listed_with_who_and_when():
    fault = declared("P1")
    happened(
        fault,
        "2026-03-02 09:05 accepted",
        "2026-03-02 09:06 contact phone",
        "2026-03-02 10:00 paused",
    )
    assert (row_of(fault).state, row_of(fault).event_count) == ("paused", 4)
    assert [one.title for one in timeline(fault)] == ["申报", "受理", "首次联系", "暂停"]
    assert timeline(fault)[-1].text == "客户要求等待；客户来电"
    assert stored_clock(fault, "resolution").state == "held"
    assert stored_clock(fault, "resolution").due_at is None
    assert stored_clock(fault, "resolution").next_warning_at is None


def test_who_did_not_see_the_last_event_is_told_and_nothing_is_written():
    fault = declared("P1")
    happened(fault, "2026-03-02 09:05 accepted")
    with pytest.raises(Changed, match="li 于 2026-03-02 09:05:00 登记了「受理」"):
        record_event(
            fault, Accepted(at=at("2026-03-02 09:06")), by="wang", at=at("2026-03-02 09:06"), seen=1
        )
    assert row_of(fault).event_count == 2


def test_two_who_act_at_once_are_one_who_did_and_one_who_is_told():
    fault = declared("P1")

    def pause(by: str) -> str:
        event = Paused(at=at("2026-03-02 10:00"), reason=PauseReason.THIRD_PARTY)
        try:
            record_event(
                fault, event, by=by, at=at("2026-03-02 10:00"),
                backing=Backing(remark="运营商"), seen=1,
            )  # fmt: skip
        except (Changed, Refused) as error:
            return type(error).__name__
        return "done"

    with ThreadPoolExecutor(2) as pool:
        ends = sorted(one.result() for one in [pool.submit(pause, one) for one in ("a", "b")])
    assert ends == ["Changed", "done"]
    assert len(stored(faults.FaultEvent, fault)) == 2


def test_a_programs_event_is_written_once_by_its_key():
    fault = declared("P1")
    happened(fault, "2026-03-02 10:00 handled fix")
    sent = ReportSent(at=at("2026-03-02 11:00"))
    for _ in range(2):
        count = record_event(
            fault, sent, by="mailcare", at=at("2026-03-02 11:00"), backing=Backing(key="letter/1")
        )
        assert count == 3
    assert row_of(fault).state == "reported"


def test_an_event_in_the_future_is_refused():
    fault = declared("P1")
    with pytest.raises(Refused, match="晚于现在"):
        happened(fault, "2026-03-02 09:10 accepted", now="2026-03-02 09:09")


def test_an_event_before_the_declaration_is_refused():
    fault = declared("P1")
    with pytest.raises(Refused, match="早于申报"):
        happened(fault, "2026-03-02 08:59 accepted", now="2026-03-02 09:09")


def test_an_event_recorded_late_counts_from_when_it_happened():
    fault = declared("P1")
    happened(fault, "2026-03-02 09:10 contact phone", now="2026-03-02 12:00")
    clock = clock_of(fault, "response", "2026-03-02 12:00")
    assert clock.state is State.MET
    [_, entry] = timeline(fault)
    assert (entry.at, entry.recorded_at) == (at("2026-03-02 09:10"), at("2026-03-02 12:00"))


def test_an_event_put_in_before_another_may_not_make_that_one_impossible():
    fault = declared("P1")
    happened(fault, "2026-03-02 10:00 paused", "2026-03-02 11:00 resumed")
    with pytest.raises(Refused, match="已登记的「暂停」（2026-03-02 10:00:00）不能成立"):
        happened(fault, "2026-03-02 09:30 paused", now="2026-03-02 12:00")
    assert row_of(fault).event_count == 3


def test_an_event_that_would_begin_an_epoch_before_a_later_one_is_refused():
    fault = declared("P3")
    happened(fault, "2026-03-02 12:00 level P1 worsened")
    with pytest.raises(Refused, match="已开始新一轮时限"):
        happened(fault, "2026-03-02 10:00 level P2 worsened", now="2026-03-02 13:00")


def test_a_clock_that_is_set_back_undoes_nothing_that_was_recorded():
    fault = declared("P1")
    happened(fault, "2026-03-02 10:00 paused")
    assert clock_of(fault, "resolution", "2026-03-02 09:30").state is State.HELD
    with pytest.raises(Refused, match="晚于现在"):
        happened(fault, "2026-03-02 10:05 resumed", now="2026-03-02 09:40")
    happened(fault, "2026-03-02 09:20 contact phone", now="2026-03-02 09:40")
    assert clock_of(fault, "response", "2026-03-02 09:40").state is State.LATE


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2026-03-02 10:00 paused", "暂停须写明依据"),
        ("2026-03-02 10:00 level P3 misclassified agreed", "客户同意须写明依据"),
    ],
)
def test_what_the_customer_could_dispute_needs_something_behind_it(line, said):
    fault = declared("P1")
    with pytest.raises(Refused, match=said):
        happened(fault, line, backing=NOTHING)


def test_a_merger_needs_another_open_fault_of_the_same_customer():
    contracts.add_customer(name="另一客户")
    one, same = declared("P1"), declared("P2")
    foreign = declared("P3", customer=2, system=None)
    now = at("2026-03-02 10:00")
    for into in ("GZ-2026-99999", "GZ\0", row_of(foreign).number, row_of(one).number):
        with pytest.raises(Refused, match=r"没有编号|它自己"):
            record_event(one, Merged(at=now, into=into), by="li", at=now)
    record_event(one, Merged(at=now, into=row_of(same).number), by="li", at=now)
    assert row_of(one).state == "merged"
    assert {str(one.state) for one in stored(faults.FaultClock, one)} == {"cancelled"}
    with pytest.raises(Refused, match="已撤销或合并，不能再并入"):
        record_event(same, Merged(at=now, into=row_of(one).number), by="li", at=now)


def test_b18_two_faults_that_go_into_each_other_at_once_are_not_both_closed():
    one, other = declared("P1", "2026-03-02 09:00"), declared("P1", "2026-03-02 09:01")
    both = threading.Barrier(2)

    @event.listens_for(Engine, "before_cursor_execute")
    def meet(_connection, _cursor, statement, *_: object) -> None:
        if "faults.number = " in statement:
            with suppress(threading.BrokenBarrierError):  # SQLite lets one in only
                both.wait(0.3)

    def merge(fault: int, into: int) -> bool:
        when = at("2026-03-02 10:00")
        try:
            record_event(fault, Merged(at=when, into=row_of(into).number), by="li", at=when)
        except (Refused, Unavailable):
            return False
        return True

    try:
        with ThreadPoolExecutor(2) as pool:
            merged = list(pool.map(merge, (one, other), (other, one)))
    finally:
        event.remove(Engine, "before_cursor_execute", meet)
    assert sorted(merged) == [False, True]
    assert sorted(row_of(fault).state for fault in (one, other)) == ["declared", "merged"]


def test_a_pause_for_an_authorisation_may_be_backed_by_it_and_by_no_other_customers():
    fault = declared("P1")
    now = at("2026-03-02 10:00")
    pause = Paused(at=now, reason=PauseReason.AWAITING_AUTHORISATION)
    with pytest.raises(Refused, match="没有这份授权"):
        record_event(fault, pause, by="li", at=now, backing=Backing(authorisation=7))


def test_b7_a_note_is_added_once_to_a_closed_fault_too_and_reopens_nothing():
    fault = declared("P1")
    happened(fault, "2026-03-02 09:01 cancelled")
    for _ in range(2):
        add_note(
            fault, "谢谢", key="<mail-1@bank.example>", said_at=at("2026-03-02 11:00"),
            by="mailcare", at=at("2026-03-02 11:01"),
        )  # fmt: skip
    assert [one.title for one in timeline(fault)] == ["申报", "撤销", "备注"]
    assert row_of(fault).state == "cancelled"


def test_the_board_shows_what_breaks_first_and_nothing_closed():
    slow, quick = declared("P2"), declared("P1")
    held, closed = declared("P3"), declared("P4")
    happened(slow, "2026-03-02 09:01 contact phone")
    happened(quick, "2026-03-02 09:01 contact phone")
    happened(held, "2026-03-02 09:01 contact phone", "2026-03-02 09:02 paused")
    happened(closed, "2026-03-02 09:01 cancelled")
    page = board(Wish(), at=at("2026-03-02 10:00"))
    assert [one.fault.id for one in page.rows] == [quick, slow, held]
    assert page.rows[0].fault.breaks_at == at("2026-03-03 09:00")
    assert page.rows[2].pause == "customer_asked"
    assert len(list_faults(Wish()).rows) == 4


def test_an_empty_desk_has_an_empty_board():
    assert board(Wish(), at=at("2026-03-02 10:00")).rows == ()


def test_the_rules_words_are_the_records_words():
    from mailcare.faults.clocks import Kind
    from mailcare.faults.declaration import Via

    assert set(FORMS) == {str(one) for one in faults.FaultEventType}
    assert list(Stage) == list(faults.FaultState)
    assert list(Kind) == list(faults.ClockKind)
    assert list(State) == list(faults.ClockState)
    assert list(Via) == list(faults.FaultVia)


def test_b15_an_automatic_reply_is_written_down_and_stops_nothing():
    fault = declared("P1")
    now = at("2026-03-02 09:01")
    record_event(fault, FirstContact(at=now, channel=Channel.AUTO), by="mailcare", at=now)
    assert stored_clock(fault, "response").state == "running"


def test_a_run_of_the_dag_declares_one_fault_however_often_it_is_tried():
    conf = {name: value for name, value in FORM.items() if name != "declared_at"}
    conf |= {"declared_at": None, "follows": None, "customer": ""}
    asked_at = at("2026-03-02 09:00")
    ids = {open_fault("manual__1", by="admin", asked_at=asked_at, **conf) for _ in range(2)}
    assert len(ids) == 1
    assert row_of(ids.pop()).declared_at == asked_at


def test_a_run_with_a_param_that_is_none_of_a_faults_is_refused():
    with pytest.raises(FormError, match="不认识的键"):
        open_fault("manual__1", by="admin", asked_at=at("2026-03-02 09:00"), **FORM, colour="red")


def test_what_a_follow_up_inspection_found_lands_on_the_fault():
    fault = declared("P1")
    run = ask_follow_up(fault, by="li", at=at("2026-03-02 09:30"))
    assert [one["trigger_run_id"] for one in follow_up_runs()] == [run]
    begin_inspection(run, "队列积压 900 封（限值 500）")
    assert follow_up_runs() == []
    [found] = fault_detail(fault, at=at("2026-03-02 10:00")).follow_ups
    said = ("mx1：队列积压 900 封（限值 500）", "未测得 1")  # what was not measured is not well
    assert (found.state, found.findings) == ("running", said)
    assert ask_follow_up(fault, by="li", at=at("2026-03-02 11:00")) != run


def begin_inspection(run: str, summary: str) -> None:
    now = at("2026-03-02 09:40")
    finding = {
        "ordinal": 1, "check_name": "queue.depth", "area": "queue", "node": "mx1", "port": 0,
        "part": "", "state": FindingState.MEASURED, "severity": FindingSeverity.WARNING,
        "summary": summary, "advice": "", "evidence": [], "metrics": {},
    }  # fmt: skip
    unmeasured = finding | {
        "ordinal": 2, "node": "mx2", "state": FindingState.UNMEASURED, "severity": None,
        "summary": "", "reason": "连接中断",
    }  # fmt: skip
    with transaction() as session:
        service = Service(
            system_id=1, kind=ServiceKind.REMOTE_INSPECTION, purpose=ServicePurpose.FOLLOW_UP,
            key=run, state=ServiceState.RUNNING, state_changed_at=now,
        )  # fmt: skip
        session.add(service)
        session.flush()
        inspection = Inspection(service_id=service.id, started_at=now, definition={}, scope=[])
        session.add(inspection)
        session.flush()
        judgement = Judgement(
            inspection_id=inspection.id, fingerprint="f", judged_at=now, product_version="0",
            findings=[Finding(**finding), Finding(**unmeasured)],
        )  # fmt: skip
        session.add(judgement)
        session.flush()
        inspection.current_judgement_id = judgement.id


def test_b1_a_level_changed_while_paused_keeps_the_pause_and_its_new_clock_is_held():
    fault = declared("P3")
    happened(fault, "2026-03-02 09:01 contact phone", "2026-03-02 10:00 paused")
    happened(fault, "2026-03-02 12:00 level P1 worsened")
    assert row_of(fault).state == "paused"
    assert stored_clock(fault, "resolution", 1).state == "superseded"
    assert stored_clock(fault, "resolution", 2).state == "held"
    happened(fault, "2026-03-02 13:00 resumed")
    assert stored_clock(fault, "resolution", 2).due_at == at("2026-03-03 13:00")


def test_b3_handling_closes_the_pause_and_nothing_is_left_to_resume():
    fault = declared("P1")
    happened(fault, "2026-03-02 10:00 paused", "2026-03-02 20:00 handled fix")
    assert clock_of(fault, "resolution", "2026-03-02 20:00").net_s == 3600
    with pytest.raises(Refused, match="不在暂停中"):
        happened(fault, "2026-03-02 21:00 resumed")


def test_a_fault_may_be_handled_before_anybody_accepted_it():
    fault = declared("P1")
    happened(fault, "2026-03-02 09:10 handled fix")
    assert row_of(fault).state == "handled"
    happened(fault, "2026-03-02 09:20 accepted")
    assert row_of(fault).state == "handled"
    assert clock_of(fault, "response", "2026-03-02 09:20").state is State.MET


def test_b5_and_b6_a_reopened_fault_leaves_the_gap_out_keeps_breaches_and_owes_a_second_report():
    fault = declared("P1")
    happened(
        fault,
        "2026-03-02 09:01 contact phone",
        "2026-03-03 10:00 handled fix",
        "2026-03-05 10:00 reopened",
        "2026-03-05 11:00 handled fix",
    )
    resolution = clock_of(fault, "resolution", "2026-03-05 12:00")
    assert (resolution.net_s, resolution.gross_s) == (26 * 3600, 74 * 3600)
    assert resolution.state is State.LATE
    assert stored_clock(fault, "report", 1).state == "superseded"
    assert stored_clock(fault, "report", 2).due_at == at("2026-03-11 00:00")
    assert [str(one.clock) for one in stored(faults.FaultBreach, fault)] == ["resolution"]


def test_a_fault_that_comes_back_too_late_is_a_new_one_that_names_the_old():
    old = declared("P1")
    happened(old, "2026-03-02 10:00 handled fix")
    with pytest.raises(Refused, match="应登记为新的关联故障"):
        happened(old, "2026-03-09 10:01 reopened")
    new = declared("P1", "2026-03-09 10:01", follows=row_of(old).number)
    assert row_of(new).follows == row_of(old).number


def test_a_fault_at_the_end_of_a_year_without_calendar_counts_hours_and_marks_days():
    fault = declared("P1", "2026-12-31 23:30")
    assert not stored_clock(fault, "resolution").is_provisional
    happened(fault, "2026-12-31 23:40 handled fix")
    assert stored_clock(fault, "report").is_provisional

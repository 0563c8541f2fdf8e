"""Sweeps over the records: what is due is told once, what broke is kept, nothing is told twice."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, event, select

from mailcare.calendars.steps import confirm_year_table, propose_year_table
from mailcare.faults import steps
from mailcare.faults.clocks import State
from mailcare.faults.sweeping import Swept
from mailcare.listing import Wish
from mailcare.records import faults
from mailcare.records import session as records_session
from mailcare.records.alerts import Alert, Rung
from mailcare.records.faults import EscalationOutcome, FaultEventType
from mailcare.records.session import reading, transaction
from tests.delivery.desk import add_member, letters
from tests.faults.desk import (
    clock_of,
    declared,
    happened,
    open_desk,
    stored,
    stored_clock,
    told,
)
from tests.faults.story import at

YEAR_2027 = """
year: 2027
notice: 国办发明电〔2026〕9号（示例）
off: [2027-01-01..2027-01-02, 2027-02-05..2027-02-11, 2027-04-05, 2027-05-01..2027-05-05, 2027-06-09, 2027-09-15, 2027-10-01..2027-10-07]
work: [2027-01-03]
"""  # noqa: E501 - one list as an operator would write it


@pytest.fixture(autouse=True)
def records(database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    open_desk()


def sweep(*moments: str) -> Swept:
    """Sweep at each moment and return all that was done together."""
    done = Swept()
    for one in moments:
        done += steps.sweep(at=at(one))
    return done


def alerts() -> list[Alert]:
    with reading() as session:
        return list(session.scalars(select(Alert).order_by(Alert.id)))


def breaches(fault: int) -> list[tuple[str, int, str]]:
    rows = stored(faults.FaultBreach, fault)
    return [(str(one.clock), one.epoch, one.breached_at.isoformat()) for one in rows]


def test_nothing_is_due_on_an_empty_desk_and_the_sweep_is_written_down():
    assert steps.last_sweep(at=at("2026-03-02 09:00")) is None
    assert sweep("2026-03-02 09:00") == Swept()
    last = steps.last_sweep(at=at("2026-03-02 09:04"))
    assert last is not None
    assert not last.is_stale
    assert steps.last_sweep(at=at("2026-03-02 09:06")).is_stale


def test_a_response_is_told_after_five_ten_and_fifteen_minutes_to_three_rungs():
    fault = declared("P1", "2026-03-02 09:00")
    assert sweep("2026-03-02 09:04").told == 0
    sweep("2026-03-02 09:05", "2026-03-02 09:09", "2026-03-02 09:10", "2026-03-02 09:15")
    assert told(fault) == [
        ("response", 1, 1, "engineer", "told"),
        ("response", 1, 2, "manager", "told"),
        ("response", 1, 3, "director", "told"),
    ]
    assert [one.rung for one in alerts()] == [Rung.ENGINEER, Rung.MANAGER, Rung.DIRECTOR]
    assert "申报已 5 分钟，尚未响应" in alerts()[0].subject


def test_a_promise_of_minutes_breaks_after_its_due_moment_and_not_at_it():
    fault = declared("P1", "2026-03-02 09:00")
    assert sweep("2026-03-02 09:15").broken == 0
    assert breaches(fault) == []
    assert sweep("2026-03-02 09:16").broken == 1
    assert breaches(fault) == [("response", 1, at("2026-03-02 09:15").isoformat())]


def test_a_resolution_is_told_at_half_three_quarters_and_the_whole_of_its_time():
    fault = declared("P1", "2026-03-02 09:00")
    happened(fault, "2026-03-02 09:01 contact phone")
    sweep("2026-03-02 20:59")
    assert told(fault) == []
    sweep("2026-03-02 21:00", "2026-03-03 03:00", "2026-03-03 09:00")
    assert [one[2:4] for one in told(fault)] == [(1, "engineer"), (2, "manager"), (3, "director")]
    assert "处理时限已用 50%" in alerts()[0].subject
    assert "示例银行" in alerts()[0].subject
    assert "邮件无法外发" not in alerts()[0].subject


def test_b11_the_steps_move_with_the_pauses_as_the_due_moment_does():
    fault = declared("P1", "2026-03-02 09:00")
    happened(
        fault,
        "2026-03-02 09:01 contact phone",
        "2026-03-02 15:00 paused",
        "2026-03-03 01:00 resumed",
    )
    assert stored_clock(fault, "resolution").due_at == at("2026-03-03 19:00")
    assert stored_clock(fault, "resolution").next_warning_at == at("2026-03-03 07:00")


def test_b4_a_paused_fault_is_neither_warned_of_nor_broken():
    fault = declared("P1", "2026-03-02 09:00")
    happened(fault, "2026-03-02 09:01 contact phone", "2026-03-02 12:00 paused")
    assert sweep("2026-03-02 21:00", "2026-03-09 09:00") == Swept()
    assert (told(fault), breaches(fault)) == ([], [])


def test_b4_a_clock_that_broke_before_its_pause_is_told_of_when_it_goes_on():
    fault = declared("P1", "2026-03-02 09:00")
    happened(fault, "2026-03-02 09:01 contact phone", "2026-03-03 10:00 paused")
    sweep("2026-03-03 10:01")
    assert told(fault) == []
    happened(fault, "2026-03-03 12:00 resumed")
    sweep("2026-03-03 12:01")
    assert [one[2:] for one in told(fault)] == [
        (1, "engineer", "skipped"),
        (2, "manager", "skipped"),
        (3, "director", "told"),
    ]


def test_b16_nobody_is_told_while_the_customer_is_the_one_to_act():
    fault = declared("P2", "2026-03-02 09:00")
    happened(fault, "2026-03-02 09:01 contact phone", "2026-03-02 09:30 paused")
    sweep("2026-03-05 09:30")
    assert alerts() == []
    assert steps.board(Wish(), at=at("2026-03-05 09:30")).rows[0].pause == "customer_asked"


def test_b12_a_sweep_each_minute_tells_each_step_once():
    fault = declared("P1", "2026-03-02 09:00")
    done = sweep(*(f"2026-03-02 09:{minute:02}" for minute in range(60)))
    assert done.told == 3
    assert len(told(fault)) == len(alerts()) == 3


def test_b12_two_sweeps_at_once_tell_each_step_once():
    for number in range(20):
        declared("P1", "2026-03-02 09:00", key=f"k{number}")
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(sweep, "2026-03-02 09:20") for _ in range(3)]
        done = [one.result() for one in runs]
    assert sum(one.told for one in done) == 60
    assert sum(one.broken for one in done) == 20
    assert len(alerts()) == 60


def test_b13_a_breach_that_an_event_and_a_sweep_both_find_is_one():
    fault = declared("P1", "2026-03-02 09:00")
    happened(fault, "2026-03-02 09:20 accepted")
    sweep("2026-03-02 09:21")
    happened(fault, "2026-03-02 09:30 contact phone")
    assert breaches(fault) == [("response", 1, at("2026-03-02 09:15").isoformat())]


@pytest.mark.parametrize(
    ("level", "is_urgent"), [("P1", True), ("P2", True), ("P3", False), ("P4", False)]
)
def test_b14_p1_and_p2_are_told_at_any_hour_the_rest_in_working_hours(level, is_urgent):
    declared(level, "2026-03-07 02:00")
    sweep("2026-03-07 02:05")
    assert [one.is_urgent for one in alerts()] == [is_urgent]


def test_b14_a_report_waits_for_working_hours_whatever_the_level():
    fault = declared("P1", "2026-03-02 09:00")
    happened(fault, "2026-03-02 09:01 contact phone", "2026-03-02 10:00 handled fix")
    sweep("2026-03-04 12:00")
    assert [one.is_urgent for one in alerts()] == [False]


def test_b9_a_clock_that_starts_late_fires_its_highest_step_only():
    fault = declared("P4", "2026-03-02 09:00")
    happened(fault, "2026-03-02 09:01 contact phone", "2026-03-03 20:00 level P1 misclassified")
    assert told(fault) == [
        ("resolution", 1, 1, "engineer", "skipped"),
        ("resolution", 1, 2, "manager", "skipped"),
    ]
    sweep("2026-03-03 20:01", "2026-03-03 20:02")
    assert told(fault)[2:] == [("resolution", 1, 3, "director", "told")]
    assert "处理违约" in alerts()[0].subject
    assert breaches(fault) == [("resolution", 1, at("2026-03-03 09:00").isoformat())]


def test_a_fault_entered_long_after_its_declaration_fires_the_highest_steps_only():
    fault = declared("P1", "2026-03-02 09:00")
    late = steps.declare(
        steps.Declaration(
            key="late", customer=1, level="P1", description="x", contact="王", contact_details="1",
            declared_at=at("2026-03-02 09:00"), via="phone",
        ),
        by="li", at=at("2026-03-05 09:00"),
    )  # fmt: skip
    sweep("2026-03-05 09:01")
    outcomes = {(one[0], one[2]): one[4] for one in told(late)}
    assert outcomes == {
        ("response", 1): "skipped",
        ("response", 2): "skipped",
        ("response", 3): "told",
        ("resolution", 1): "skipped",
        ("resolution", 2): "skipped",
        ("resolution", 3): "told",
    }
    assert {one[4] for one in told(fault)} == {"told"}


def test_sweeps_that_were_missed_lose_no_step():
    fault = declared("P1", "2026-03-02 09:00")
    sweep("2026-03-02 10:00")
    assert [one[4] for one in told(fault)] == ["told"] * 3
    assert breaches(fault) == [("response", 1, at("2026-03-02 09:15").isoformat())]


def test_an_event_recorded_before_a_late_sweep_loses_no_step():
    fault = declared("P1", "2026-03-02 09:00")
    happened(fault, "2026-03-02 09:11 accepted")
    sweep("2026-03-02 09:12")
    assert [one[2:] for one in told(fault)] == [(1, "engineer", "told"), (2, "manager", "told")]


def test_b21_a_year_table_loaded_before_a_late_sweep_loses_no_step():
    fault = declared("P1", "2026-12-30 14:00")
    happened(fault, "2026-12-30 14:01 contact phone", "2026-12-30 15:00 handled fix")
    propose_year_table(YEAR_2027, name="2027.yaml", by="li")
    confirm_year_table(2027, by="wang")
    sweep("2027-01-04 09:00")
    assert [one[2:] for one in told(fault)] == [(1, "engineer", "told"), (2, "manager", "told")]


def test_b18_a_cancelled_fault_is_told_of_no_more():
    fault = declared("P1", "2026-03-02 09:00")
    happened(fault, "2026-03-02 09:02 cancelled")
    assert sweep("2026-03-04 09:00") == Swept()
    assert told(fault) == []


def test_b18_warnings_that_wait_for_monday_are_taken_back_when_the_fault_ends_in_time():
    add_member()
    add_member("主管", Rung.MANAGER)
    kept = declared("P3", "2026-03-06 17:00")
    broken = declared("P4", "2026-03-06 17:00")
    sweep("2026-03-06 17:05")
    happened(kept, "2026-03-06 17:10 contact phone")
    sweep("2026-03-07 02:00")  # a Saturday: the other one's response is broken
    happened(broken, "2026-03-07 09:00 contact phone")
    waiting = declared("P3", "2026-03-07 09:00")
    sweep("2026-03-07 09:06")
    happened(waiting, "2026-03-07 09:07 cancelled")
    states = [(one.fault_id, str(one.state)) for one in letters()]
    assert sorted(states) == [
        (kept, "pending"),  # told within working hours: it goes at once
        (broken, "pending"),
        (broken, "pending"),
        (broken, "pending"),
        (waiting, "expired"),
    ]


def test_b6_a_breach_stays_when_an_event_is_recorded_late_that_would_have_kept_it():
    fault = declared("P1", "2026-03-02 09:00")
    sweep("2026-03-02 09:16")
    happened(fault, "2026-03-02 09:10 contact phone", now="2026-03-02 09:20")
    assert breaches(fault) == [("response", 1, at("2026-03-02 09:15").isoformat())]
    assert clock_of(fault, "response", "2026-03-02 09:20").state is State.LATE
    assert stored_clock(fault, "response").state == "late"


def test_a_clock_of_the_machine_set_back_tells_nothing_twice_and_undoes_nothing():
    fault = declared("P1", "2026-03-02 09:00")
    sweep("2026-03-02 09:16")
    before = (told(fault), breaches(fault))
    assert sweep("2026-03-02 08:00", "2026-03-02 09:16") == Swept()
    assert (told(fault), breaches(fault)) == before


def test_a_provisional_report_is_warned_of_from_the_earliest_date_and_breaks_at_its_own():
    fault = declared("P1", "2026-12-30 14:00")
    happened(fault, "2026-12-30 14:01 contact phone", "2026-12-30 15:00 handled fix")
    clock = clock_of(fault, "report", "2026-12-30 15:00")
    assert clock.is_provisional
    assert clock.earliest_due_at == at("2027-01-04 00:00")
    assert clock.due_at == at("2027-01-06 00:00")
    sweep("2027-01-04 00:00")
    assert [one[2] for one in told(fault)] == [1, 2, 3]
    assert breaches(fault) == []
    sweep("2027-01-06 00:00")
    assert breaches(fault) == [("report", 1, at("2027-01-06 00:00").isoformat())]


def test_b21_loading_the_year_counts_open_reports_anew_keeps_the_old_date_and_tells():
    fault = declared("P1", "2026-12-30 14:00")
    happened(fault, "2026-12-30 14:01 contact phone", "2026-12-30 15:00 handled fix")
    propose_year_table(YEAR_2027, name="2027.yaml", by="li")
    confirm_year_table(2027, by="wang")
    assert sweep("2026-12-30 16:00").moved == 1
    assert stored_clock(fault, "report").due_at == at("2027-01-05 00:00")
    assert not stored_clock(fault, "report").is_provisional
    [change] = stored(faults.FaultDueChange, fault)
    assert change.due_before_at == at("2027-01-06 00:00")
    assert change.due_after_at == at("2027-01-05 00:00")
    assert "报告时限变动" in alerts()[0].subject
    assert sweep("2026-12-30 16:01").moved == 0


def test_whoever_is_on_the_rung_gets_a_letter_in_the_same_transaction():
    add_member("甲", Rung.ENGINEER)
    declared("P1", "2026-03-02 09:00")
    sweep("2026-03-02 09:05")
    assert [(one.recipient, one.fault_id) for one in letters()] == [(letters()[0].recipient, 1)]
    assert len(letters()) == 1


def test_a_stalled_sweep_is_told_once_an_hour():
    for minute in ("09:00", "09:30", "10:01"):
        steps.tell_stalled(at=at(f"2026-03-02 {minute}"))
    assert len(alerts()) == 2


def test_many_that_are_due_at_once_take_the_statements_of_two():
    add_member("甲", Rung.ENGINEER)

    def statements(count: int, day: str) -> int:
        for number in range(count):
            declared("P3", f"{day} 09:00", key=f"{day}/{number}")
        sweep(f"{day} 09:01")
        seen = []

        def note(*_: object) -> None:
            seen.append(1)

        event.listen(Engine, "before_cursor_execute", note)
        try:
            assert sweep(f"{day} 09:06").told == count
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        return len(seen)

    assert statements(2, "2026-03-02") == statements(12, "2026-03-03") > 0


@pytest.mark.parametrize("at_once", [1, 1000])
def test_the_worst_faults_are_told_of_first_after_an_outage(monkeypatch, at_once):
    monkeypatch.setattr(steps, "SWEPT_AT_ONCE", at_once)
    light = declared("P4", "2026-03-02 09:00")
    later, late = declared("P1", "2026-03-02 09:20"), declared("P1", "2026-03-02 09:10")
    assert sweep("2026-03-02 10:00").faults == 3
    assert list(dict.fromkeys(one.fault_id for one in alerts())) == [late, later, light]


def test_a_fault_that_cannot_be_reckoned_holds_up_no_other_and_is_told_of():
    found = [declared("P1", "2026-03-02 09:00", key=f"test/{one}") for one in range(5)]
    resumed = faults.FaultEvent(
        fault_id=found[2], ordinal=2, type=FaultEventType.RESUMED, at=at("2026-03-02 09:01"),
        payload={}, recorded_by="test", recorded_at=at("2026-03-02 09:01"),
    )  # fmt: skip
    with transaction() as session:
        session.add(resumed)
    done = sweep("2026-03-02 09:06", "2026-03-02 09:07")
    assert [bool(told(one)) for one in found] == [True, True, False, True, True]
    assert (done.faults, done.told) == (4, 4)
    [said] = [one for one in alerts() if "无法推算" in one.subject]
    assert (said.fault_id, said.rung) == (found[2], Rung.MANAGER)


def test_others_write_between_two_chunks_of_a_long_sweep(monkeypatch):
    monkeypatch.setattr(steps, "SWEPT_AT_ONCE", 1)
    first, *_, last = (declared("P1", "2026-03-02 09:00", key=f"k{one}") for one in range(3))
    other = threading.Thread(target=_note, args=(first,))
    noted = []

    @event.listens_for(Engine, "before_cursor_execute")
    def watch(_connection, _cursor, statement, *_: object) -> None:
        if not statement.startswith("INSERT INTO escalations"):
            return
        if not noted:
            other.start()
        else:
            other.join(5)
        noted.append(len(stored(faults.FaultNote, first)))

    try:
        sweep("2026-03-02 09:20")
    finally:
        event.remove(Engine, "before_cursor_execute", watch)
        other.join()
    assert noted == [0, 1, 1]
    assert len(told(last)) == 3


def _note(fault: int) -> None:
    when = at("2026-03-02 09:20")
    steps.add_note(fault, "客户来电", key="note", said_at=when, by="li", at=when)


def test_a_sweep_writes_only_what_has_changed_of_the_clocks():
    fault = declared("P1", "2026-03-02 09:00")
    written = []

    @event.listens_for(Engine, "before_cursor_execute")
    def watch(_connection, _cursor, statement, *_: object) -> None:
        if "fault_clocks" in statement and not statement.lstrip().startswith("SELECT"):
            written.append(statement.partition(" WHERE")[0])

    try:
        sweep("2026-03-02 09:05", "2026-03-02 09:06")
    finally:
        event.remove(Engine, "before_cursor_execute", watch)
    [changed] = written
    assert changed.startswith("UPDATE fault_clocks SET next_warning_at=")
    assert "," not in changed
    assert stored_clock(fault, "response").next_warning_at == at("2026-03-02 09:10")


def test_a_kill_between_any_two_statements_loses_nothing_and_tells_nothing_twice():
    """The whole of declare → warn, killed at its first, second, … statement, then done again."""
    add_member("甲", Rung.ENGINEER)
    killed = 0
    while _killed_at(killed + 1, f"key-{killed}"):
        killed += 1
        _declare_and_warn(f"key-{killed - 1}")
        assert len(stored(faults.Fault)) == killed
        assert len(stored(faults.FaultEvent)) == killed
        assert len(alerts()) == len(letters()) == killed
    assert killed > 20
    outcomes = [one.outcome for one in stored(faults.Escalation)]
    assert outcomes == [EscalationOutcome.TOLD] * (killed + 1)


def _declare_and_warn(key: str) -> None:
    declared("P1", "2026-03-02 09:00", key=key)
    sweep("2026-03-02 09:06")


def _killed_at(statement: int, key: str) -> bool:
    """Do it in a process that is killed before its n-th statement; tell whether it came so far."""
    records_session._engine_of_process.cache_clear()
    child = os.fork()
    if child == 0:
        _die_before(statement)
        _declare_and_warn(key)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _die_before(statement: int) -> None:
    seen = 0

    @event.listens_for(Engine, "before_cursor_execute")
    def count(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            os.kill(os.getpid(), signal.SIGKILL)

"""Random faults told through the records: what is stored is what the events come to, always."""

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copy

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mailcare.deadlines import Level
from mailcare.faults import steps
from mailcare.faults.clocks import Clock, Kind, State
from mailcare.faults.dossiers import read_dossiers
from mailcare.faults.events import (
    Accepted,
    Cancelled,
    Change,
    Channel,
    Event,
    FirstContact,
    Handled,
    LevelChanged,
    Paused,
    PauseReason,
    Refused,
    Remedy,
    Reopened,
    ReportReturned,
    ReportSent,
    Resumed,
)
from mailcare.records import faults
from mailcare.records.session import reading
from mailcare.workdays import Calendar
from tests.faults.desk import BACKED, declared, open_desk, stored
from tests.faults.story import at

WHEN = "2026-02-12 15:00"  # two working days before the Spring Festival
START = at(WHEN)
MINUTES = st.sampled_from([0, 1, 4, 5, 10, 15, 16, 60, 360, 720, 1439, 1440, 1441, 4000, 10080])
WORDS = st.one_of(
    st.just(lambda when: Accepted(at=when)),
    st.sampled_from(Channel).map(lambda one: lambda when: FirstContact(at=when, channel=one)),
    st.sampled_from(PauseReason).map(lambda one: lambda when: Paused(at=when, reason=one)),
    st.just(lambda when: Resumed(at=when)),
    st.sampled_from(Remedy).map(lambda one: lambda when: Handled(at=when, kind=one)),
    st.just(lambda when: Reopened(at=when)),
    st.just(lambda when: ReportSent(at=when)),
    st.just(lambda when: Cancelled(at=when)),
    st.tuples(st.sampled_from(Level), st.sampled_from(Change), st.booleans()).map(
        lambda one: (
            lambda when: LevelChanged(at=when, level=one[0], why=one[1], customer_agreed=one[2])
        )
    ),
)


class RecordedFault(RuleBasedStateMachine):
    """One fault, events now and in the past, sweeps in between, a clock that is set back."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.broken: set[tuple[str, int, datetime]] = set()
        self.latest: dict[tuple[Kind, int], datetime] = {}

    @initialize(level=st.sampled_from(Level))
    def declare(self, level: Level) -> None:
        self.fault = declared(level, WHEN)

    @rule(minutes=MINUTES)
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule()
    def sweep(self) -> None:
        steps.sweep(at=self.now)

    @rule(back=st.sampled_from([1, 30, 600]))
    def sweep_with_a_clock_set_back(self, back: int) -> None:
        steps.sweep(at=max(START, self.now - timedelta(minutes=back)))

    @rule(make=WORDS, ago=st.sampled_from([0, 0, 0, 0, 7, 600]))
    def record(self, make, ago: int) -> None:
        event: Event = make(max(START, self.now - timedelta(minutes=ago)))
        try:
            steps.record_event(self.fault, event, by="li", at=self.now, backing=BACKED)
        except Refused:
            return
        agreed = isinstance(event, LevelChanged) and event.customer_agreed
        if agreed or isinstance(event, Paused | Resumed | Handled | Reopened):
            self.latest.clear()

    @rule(data=st.data(), ago=st.sampled_from([0, 0, 7]))
    def a_report_comes_back(self, data: st.DataObject, ago: int) -> None:
        rows = stored(faults.FaultEvent, self.fault)
        sent = [one.at for one in rows if one.type is faults.FaultEventType.REPORT_SENT]
        sent_at = data.draw(st.sampled_from(sent or [self.now]))
        event = ReportReturned(at=self.now - timedelta(minutes=ago), sent_at=sent_at)
        with suppress(Refused):
            steps.record_event(self.fault, event, by="li", at=self.now, backing=BACKED)

    @invariant()
    def what_is_stored_is_what_the_events_come_to(self) -> None:
        rows = {(one.clock, one.epoch): one for one in stored(faults.FaultClock, self.fault)}
        derived = self.clocks(self.now)
        assert len(rows) == len(derived)
        for one in derived:
            row = rows[one.clock, one.epoch]
            assert (row.due_at, row.stopped_at, row.level) == (
                one.due_at,
                one.stopped_at,
                one.level,
            )
            if row.state != "running":  # a running one may have broken since it was written
                assert row.state == one.state

    @invariant()
    def times_are_never_negative_and_pauses_count_once(self) -> None:
        for one in self.clocks(self.now):
            assert 0 <= one.net_s <= one.gross_s

    @invariant()
    def a_breach_never_vanishes_and_what_broke_is_never_good_again(self) -> None:
        rows = stored(faults.FaultBreach, self.fault)
        found = {(str(one.clock), one.epoch, one.breached_at) for one in rows}
        assert found >= self.broken
        self.broken = found
        epochs = {(one.clock, one.epoch): one for one in self.clocks(self.now)}
        for clock, epoch, breached_at in found:
            one = epochs[Kind(clock), epoch]
            assert one.breached_at == breached_at
            assert one.state not in (State.MET, State.RUNNING, State.HELD)

    @invariant()
    def a_deadline_never_moves_later_but_by_a_pause_or_an_agreement(self) -> None:
        for one in self.clocks(self.now):
            key = (one.clock, one.epoch)
            if one.due_at and one.breached_at is None:
                assert one.due_at <= self.latest.get(key, one.due_at)
                self.latest[key] = one.due_at

    @invariant()
    def a_step_is_in_the_ledger_once(self) -> None:
        ledger = stored(faults.Escalation, self.fault)
        keys = [(one.clock, one.epoch, one.step) for one in ledger]
        assert len(keys) == len(set(keys))

    def clocks(self, now: datetime) -> tuple[Clock, ...]:
        with reading() as session:
            [dossier] = read_dossiers(session, (self.fault,))
        return dossier.clocks(Calendar(), now)


@pytest.fixture
def records(sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = sqlite_template.parent / "stories.db"
    monkeypatch.setenv("MAILCARE_DB_URL", f"sqlite:///{file}")
    return file


def test_random_stories_through_the_records(sqlite_template: Path, records: Path) -> None:
    class Told(RecordedFault):
        def __init__(self) -> None:
            copy(sqlite_template, records)
            open_desk()
            super().__init__()

        def teardown(self) -> None:
            for leftover in records.parent.glob(f"{records.name}*"):
                leftover.unlink()

    Told.TestCase.settings = settings(
        max_examples=8,
        stateful_step_count=20,
        suppress_health_check=list(HealthCheck),
    )
    Told.TestCase().runTest()

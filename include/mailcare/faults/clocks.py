"""The clocks of a fault 故障时限, derived from its events by one pure function.

Response and report run without a break; the resolution clocks are stopped by held time: the pauses,
and the time between handled and reopened. A breach, once found, stays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from mailcare.deadlines import (
    Level,
    Terms,
    Unit,
    has_passed,
    midnight_from,
    report_deadline,
)
from mailcare.faults.events import (
    Cancelled,
    Change,
    Channel,
    Declared,
    Event,
    FirstContact,
    Handled,
    LevelChanged,
    Merged,
    Paused,
    Reopened,
    ReportSent,
    Resumed,
)
from mailcare.faults.sequence import in_order
from mailcare.workdays import Calendar

ONE_SECOND = timedelta(seconds=1)
NO_TIME = timedelta()
NEVER = datetime.max.replace(tzinfo=UTC)


class Kind(StrEnum):
    """What a clock measures; in the order of rows that start at the same moment."""

    RESPONSE = "response"
    RESOLUTION = "resolution"
    REPORT = "report"


ORDER = {kind: place for place, kind in enumerate(Kind)}


class State(StrEnum):
    """How a clock stands. `LATE` is a broken one, open or stopped; it stays late."""

    RUNNING = "running"
    HELD = "held"
    MET = "met"
    LATE = "late"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Clock:
    """One epoch of a clock as it stands at a moment.

    `is_held` tells whether an open hold keeps it, broken or not. `due_at` is None while held time
    keeps it open, and `unit` decides its boundary; where it is provisional, `earliest_due_at`, from
    which warnings run, may lie before it. `stopped_at` also holds a supersession or a cancellation.
    `net_s` leaves held time out of `gross_s`.
    """

    clock: Kind
    epoch: int
    level: Level
    started_at: datetime
    due_at: datetime | None
    earliest_due_at: datetime | None
    unit: Unit | None
    is_soft: bool
    stopped_at: datetime | None
    state: State
    is_held: bool
    breached_at: datetime | None
    gross_s: int
    net_s: int
    is_provisional: bool

    def as_json(self, zone: ZoneInfo) -> dict[str, object]:
        """Return the row as `mailcare fault clocks --json` prints it, moments in `zone`."""
        return {
            "clock": self.clock,
            "epoch": self.epoch,
            "level": self.level,
            "started_at": _iso(self.started_at, zone),
            "due_at": _iso(self.due_at, zone),
            "soft": self.is_soft,
            "stopped_at": _iso(self.stopped_at, zone),
            "state": self.state,
            "breached_at": _iso(self.breached_at, zone),
            "gross_s": self.gross_s,
            "net_s": self.net_s,
            "provisional": self.is_provisional,
        }


def clocks(
    events: Sequence[Event], terms: Terms, calendar: Calendar, now: datetime
) -> tuple[Clock, ...]:
    """Derive every clock of a fault at `now`, in order of start; events after `now` do not count.

    Raises `Refused` for events that cannot have happened so, `ValueError` for a `now` without zone.
    """
    if now.utcoffset() is None:
        raise ValueError("now must name its zone")
    at = now.astimezone(UTC)
    fault = _Fault(terms, calendar)
    for event in in_order(events, terms, now=at):
        # Before the next event, so that what an event leaves broken is seen before another one of
        # the same instant can move the due moment away.
        fault.look_for_breaches(event.at)
        if apply := APPLIED.get(type(event)):
            apply(event, fault)
    fault.look_for_breaches(at)
    rows = [run.row(at) for run in fault.runs]
    return tuple(sorted(rows, key=lambda row: (row.started_at, ORDER[row.clock], row.epoch)))


def keep_breaches(
    rows: Sequence[Clock], recorded: Mapping[tuple[Kind, int], datetime]
) -> tuple[Clock, ...]:
    """Return the clocks with the breaches that were recorded of their epochs.

    The first one recorded stays for ever: an event that was written down after it, and would have
    kept the promise, does not undo it.
    """
    return tuple(_with_breach(row, recorded.get((row.clock, row.epoch))) for row in rows)


def _with_breach(row: Clock, breached_at: datetime | None) -> Clock:
    if breached_at is None:
        return row
    is_open_or_met = row.state in (State.RUNNING, State.HELD, State.MET)
    state = State.LATE if is_open_or_met else row.state
    return replace(row, breached_at=breached_at, state=state)


class _Hold(NamedTuple):
    """Held time `[starts_at, ends_at)`; an open one has no end yet."""

    starts_at: datetime
    ends_at: datetime | None


class _Due(NamedTuple):
    at: datetime
    unit: Unit

    def has_passed(self, at: datetime) -> bool:
        return has_passed(self.at, self.unit, at)


@dataclass(slots=True)
class _Bound:
    """An allowance of net time from a start; in days, its end is rounded up to a midnight.

    A fault's holds only ever grow at their end. Those that are reckoned in are not looked at again:
    `reached` is the end of the allowance with the first `reckoned` of them.
    """

    started_at: datetime
    reached: datetime
    unit: Unit
    zone: ZoneInfo
    reckoned: int = 0

    def due(self, holds: Sequence[_Hold]) -> _Due | None:
        """Return when the net time reaches the allowance, None while an open hold keeps it off.

        A hold that begins at that very instant comes too late.
        """
        while self.reckoned < len(holds) and holds[self.reckoned].starts_at < self.reached:
            hold = holds[self.reckoned]
            if hold.ends_at is None:
                return None
            self.reached += _overlap(hold, self.started_at, hold.ends_at)
            self.reckoned += 1
        if self.unit is Unit.HOURS:
            return _Due(self.reached, self.unit)
        return _Due(midnight_from(self.reached, self.zone), self.unit)


@dataclass(slots=True)
class _Run:
    """One epoch while it is being derived.

    The earliest of `bounds` binds: its own, first, and the caps. `holds` is the fault's own list,
    so that it grows with it. `last_due` is what an ended epoch's due moment was.
    """

    clock: Kind
    epoch: int
    level: Level
    started_at: datetime
    bounds: tuple[_Bound, ...]
    holds: Sequence[_Hold] = ()
    is_soft: bool = False
    is_provisional: bool = False
    earliest_due_at: datetime | None = None
    stopped_at: datetime | None = None
    ended: State | None = None
    last_due: _Due | None = None
    breached_at: datetime | None = None

    def due(self) -> _Due | None:
        """Return the due moment that binds; of two at one instant the day's rule decides."""
        if self.ended:
            return self.last_due
        dues = [due for bound in self.bounds if (due := bound.due(self.holds))]
        return min(dues, key=lambda due: (due.at, due.unit is Unit.HOURS), default=None)

    def earliest(self) -> datetime:
        """Return a moment before which it is not due: held time and rounding only make it later."""
        return min([bound.reached for bound in self.bounds])

    def passed_unmet(self, at: datetime) -> datetime | None:
        """Return its due moment if that has passed unmet by `at`."""
        until = self.stopped_at or at
        due = None if until < self.earliest() else self.due()
        return due.at if due and due.has_passed(until) else None

    def end(self, state: State, at: datetime) -> None:
        """End an open epoch; held time after this does not move its due moment any more."""
        if self.stopped_at is None:
            self.last_due = self.due()
            self.stopped_at, self.ended = at, state

    def stop(self, at: datetime) -> None:
        """Keep the promise, in time or late; what has stopped stays so."""
        self.stopped_at = self.stopped_at or at

    def is_settled(self) -> bool:
        """Tell whether it has stopped for good; a resolution may be reopened or reckoned anew."""
        return self.stopped_at is not None and self.clock is not Kind.RESOLUTION

    def row(self, now: datetime) -> Clock:
        """Return the epoch as it stands at `now`."""
        until = self.stopped_at or now
        gross = until - self.started_at
        held = sum((_overlap(hold, self.started_at, until) for hold in self.holds), NO_TIME)
        due = self.due()
        return Clock(
            clock=self.clock,
            epoch=self.epoch,
            level=self.level,
            started_at=self.started_at,
            due_at=due.at if due else None,
            earliest_due_at=self.earliest_due_at or (due.at if due else None),
            unit=due.unit if due else None,
            is_soft=self.is_soft,
            stopped_at=self.stopped_at,
            state=self._state(),
            is_held=self._is_held(),
            breached_at=self.breached_at,
            gross_s=gross // ONE_SECOND,
            net_s=(gross - held) // ONE_SECOND,
            is_provisional=self.is_provisional,
        )

    def _state(self) -> State:
        if self.ended:
            return self.ended
        if self.breached_at:
            return State.LATE
        if self.stopped_at:
            return State.MET
        return State.HELD if self._is_held() else State.RUNNING

    def _is_held(self) -> bool:
        return not self.stopped_at and bool(self.holds) and self.holds[-1].ends_at is None


@dataclass(slots=True)
class _Fault:
    """What the events so far have made of a fault.

    `watched` are the epochs that may yet break, none of them before `quiet_until`.
    """

    terms: Terms
    calendar: Calendar
    runs: list[_Run] = field(default_factory=list)
    watched: list[_Run] = field(default_factory=list)
    quiet_until: datetime = NEVER
    holds: list[_Hold] = field(default_factory=list)

    def look_for_breaches(self, at: datetime) -> None:
        """Record what has passed unmet by `at`; the first breach of an epoch stays for ever."""
        if at < self.quiet_until:
            return
        watched = [run for run in self.watched if not run.ended]
        for run in watched:
            run.breached_at = run.passed_unmet(at)
        self.watched = [run for run in watched if not (run.breached_at or run.is_settled())]
        self.quiet_until = min((run.earliest() for run in self.watched), default=NEVER)

    def of(self, kind: Kind) -> list[_Run]:
        """Return the epochs of one clock, in their order."""
        return [run for run in self.runs if run.clock is kind]

    def current(self) -> _Run:
        """Return the resolution epoch that holds now."""
        return self.of(Kind.RESOLUTION)[-1]

    def start(self, run: _Run) -> None:
        """Add an epoch."""
        self.runs.append(run)
        self.watched.append(run)
        self.quiet_until = min(self.quiet_until, run.earliest())

    def start_response(self, at: datetime, level: Level) -> None:
        """Begin the one response clock."""
        due_at = at + timedelta(minutes=self.terms.response_minutes)
        bound = _Bound(at, due_at, Unit.HOURS, self.terms.zone)
        self.start(_Run(Kind.RESPONSE, 1, level, at, bounds=(bound,)))

    def start_resolution(self, at: datetime, level: Level, caps: tuple[_Bound, ...] = ()) -> None:
        """Begin an epoch whose due moment is at the latest that of `caps`."""
        self.start(
            _Run(
                Kind.RESOLUTION,
                len(self.of(Kind.RESOLUTION)) + 1,
                level,
                at,
                bounds=(self.bound(at, level), *caps),
                holds=self.holds,
                is_soft=self.terms.promise(level).is_soft,
            )
        )

    def start_report(self, at: datetime) -> None:
        """Begin the epoch of the report that is owed since `at`."""
        deadline = report_deadline(at, self.calendar, terms=self.terms)
        self.start(
            _Run(
                Kind.REPORT,
                len(self.of(Kind.REPORT)) + 1,
                self.current().level,
                at,
                bounds=(_Bound(at, deadline.due_at, deadline.unit, self.terms.zone),),
                is_provisional=deadline.is_provisional,
                earliest_due_at=deadline.earliest_due_at,
            )
        )

    def reckon_anew(self, run: _Run, level: Level, caps: tuple[_Bound, ...]) -> None:
        """Let an epoch have been of another level from its own start."""
        run.bounds = (self.bound(run.started_at, level), *caps)
        run.level, run.is_soft = level, self.terms.promise(level).is_soft
        self.quiet_until = min(self.quiet_until, run.earliest())

    def bound(self, started_at: datetime, level: Level) -> _Bound:
        """Return what is promised for a level from a start."""
        promise = self.terms.promise(level)
        reached = started_at + promise.allowance(started_at, self.terms.zone)
        return _Bound(started_at, reached, promise.unit, self.terms.zone)

    def caps_on(self, change: LevelChanged) -> tuple[_Bound, ...]:
        """Return what of the current epoch's bounds goes on to bind after a change of level.

        All or nothing: nothing where its due moment has passed unmet, or where the customer agreed
        to a lighter level.
        """
        run = self.current()
        is_agreed = change.customer_agreed and change.level.rank > run.level.rank
        return () if is_agreed or run.passed_unmet(change.at) else run.bounds

    def close_pause(self, at: datetime) -> None:
        """End the open pause, if there is one."""
        if self.holds and self.holds[-1].ends_at is None:
            self.holds[-1] = _Hold(self.holds[-1].starts_at, at)


def _declared(event: Declared, fault: _Fault) -> None:
    fault.start_response(event.at, event.level)
    fault.start_resolution(event.at, event.level)


def _first_contact(event: FirstContact, fault: _Fault) -> None:
    if event.channel is not Channel.AUTO:
        fault.of(Kind.RESPONSE)[0].stop(event.at)


def _paused(event: Paused, fault: _Fault) -> None:
    fault.holds.append(_Hold(event.at, None))


def _resumed(event: Resumed, fault: _Fault) -> None:
    fault.close_pause(event.at)


def _level_changed(event: LevelChanged, fault: _Fault) -> None:
    run, caps = fault.current(), fault.caps_on(event)
    if event.why is Change.WORSENED:
        run.end(State.SUPERSEDED, event.at)
        fault.start_resolution(event.at, event.level, caps)
        return
    fault.reckon_anew(run, event.level, caps)


def _handled(event: Handled, fault: _Fault) -> None:
    fault.close_pause(event.at)
    fault.of(Kind.RESPONSE)[0].stop(event.at)
    fault.current().stop(event.at)
    fault.start_report(event.at)


def _reopened(event: Reopened, fault: _Fault) -> None:
    run = fault.current()
    if run.stopped_at:
        fault.holds.append(_Hold(run.stopped_at, event.at))
        run.stopped_at = None
    for report in fault.of(Kind.REPORT):
        report.end(State.SUPERSEDED, event.at)


def _report_sent(event: ReportSent, fault: _Fault) -> None:
    for report in fault.of(Kind.REPORT):
        report.stop(event.at)


def _closed(event: Cancelled | Merged, fault: _Fault) -> None:
    fault.close_pause(event.at)
    for run in fault.runs:
        run.end(State.CANCELLED, event.at)


# Any other event only says that something was done.
APPLIED: Mapping[type[Event], Callable[[Any, _Fault], None]] = {
    Declared: _declared,
    FirstContact: _first_contact,
    Paused: _paused,
    Resumed: _resumed,
    LevelChanged: _level_changed,
    Handled: _handled,
    Reopened: _reopened,
    ReportSent: _report_sent,
    Cancelled: _closed,
    Merged: _closed,
}


def _overlap(hold: _Hold, start: datetime, end: datetime) -> timedelta:
    starts_at, ends_at = hold
    if starts_at < start:
        starts_at = start
    if ends_at is None or ends_at > end:
        ends_at = end
    return ends_at - starts_at if starts_at < ends_at else NO_TIME


def _iso(at: datetime | None, zone: ZoneInfo) -> str | None:
    return at.astimezone(zone).isoformat() if at else None

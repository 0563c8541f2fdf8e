"""Read faults with all that decides about their clocks, and write down what is derived of it.

Only this module writes clocks and breaches, whoever has recorded an event or swept.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Text, cast, select, type_coerce
from sqlalchemy.orm import Session

from mailcare.contracts.promises import promises
from mailcare.deadlines import Level, Terms
from mailcare.faults.clocks import Clock, Kind, clocks, keep_breaches
from mailcare.faults.events import Event
from mailcare.faults.ladder import (
    Step,
    due_steps,
    next_warning_at,
    open_steps,
    steps_left_behind,
)
from mailcare.faults.sequence import in_order
from mailcare.faults.standing import Standing, maker_of, standing
from mailcare.records import faults
from mailcare.records.changes import add_all_once, change_all, insert_all
from mailcare.records.customers import Customer
from mailcare.records.faults import ClockKind, ClockState, EscalationOutcome
from mailcare.workdays import Calendar

EPOCH = ("fault_id", "clock", "epoch")
Epoch = tuple[Kind, int]
CLOCK = faults.FaultClock


class ClockRow(NamedTuple):
    """What is written down of a clock's epoch: the columns of a `FaultClock`."""

    fault_id: int
    clock: ClockKind
    epoch: int
    level: Level
    started_at: datetime
    due_at: datetime | None
    earliest_due_at: datetime | None
    is_soft: bool
    is_provisional: bool
    stopped_at: datetime | None
    breached_at: datetime | None
    state: ClockState
    next_warning_at: datetime | None
    calendar_key: str


@dataclass(frozen=True, slots=True)
class Dossier:
    """A fault's events in the order of recording, its breaches, told steps and stored clocks.

    `stored` holds the row of each epoch as it was last written.
    """

    id: int
    number: str
    customer_id: int
    customer: str
    event_count: int
    events: tuple[Event, ...]
    breaches: Mapping[Epoch, datetime]
    told: Mapping[Epoch, frozenset[int]]
    stored: Mapping[Epoch, ClockRow]
    terms: Terms

    def present(self, now: datetime) -> datetime:
        """Return `now`, or the last event where the machine's clock has been set back since."""
        return max(now, *(one.at for one in self.events))

    def clocks(self, calendar: Calendar, now: datetime) -> tuple[Clock, ...]:
        """Return the clocks as they stand; a breach that was once recorded stays."""
        derived = clocks(self.events, self.terms, calendar, self.present(now))
        return keep_breaches(derived, self.breaches)

    def standing(self, now: datetime) -> Standing:
        """Return the level and the stage that the events come to."""
        return standing(in_order(self.events, self.terms, now=self.present(now)))

    def told_of(self, clock: Clock) -> frozenset[int]:
        """Return the steps of a clock's ladder that were told or skipped."""
        return self.told.get((clock.clock, clock.epoch), frozenset())

    def stored_of(self, clock: Clock) -> ClockRow | None:
        """Return the row of a clock's epoch as it was last written, None where there is none."""
        return self.stored.get((clock.clock, clock.epoch))


@dataclass(frozen=True, slots=True)
class Reckoned:
    """A fault with its clocks as they stand, each with the steps of its ladder that are open."""

    dossier: Dossier
    clocks: tuple[tuple[Clock, tuple[Step, ...]], ...]

    def after(self, told_at: datetime) -> "Reckoned":
        """Return it after somebody was told of every step that was due."""
        left = (
            (clock, steps[len(due_steps(steps, now=told_at)) :]) for clock, steps in self.clocks
        )
        return replace(self, clocks=tuple(left))


@dataclass(frozen=True, slots=True)
class Moved:
    """A due moment that a new year table moved; what it was before is kept."""

    dossier: Dossier
    clock: Clock
    before_at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """How many promises were found broken, and the due moments that a new year table moved."""

    broken: int
    moved: tuple[Moved, ...]


def lock_faults(session: Session, ids: Collection[int]) -> None:
    """Let nobody else record an event of these faults before the transaction ends."""
    of_these = select(faults.Fault.id).where(faults.Fault.id.in_(ids))
    session.execute(of_these.order_by(faults.Fault.id).with_for_update())


def read_dossiers(session: Session, ids: Collection[int]) -> tuple[Dossier, ...]:
    """Return the faults of these ids, by id; a bounded number of queries, however many."""
    session.flush()
    # Plain rows: thousands of them cost a third of what the session's own would.
    connection = session.connection()
    events, breaches = _events(connection, ids), _breaches(connection, ids)
    told, stored = _told(connection, ids), _stored(connection, ids)
    fault = faults.Fault
    rows = connection.execute(
        select(
            fault.id,
            fault.number,
            fault.customer_id,
            Customer.name.label("customer"),
            fault.event_count,
            fault.terms_version,
        )
        .join(Customer, Customer.id == fault.customer_id)
        .where(fault.id.in_(ids))
        .order_by(fault.id)
    )
    return tuple(
        Dossier(
            id=row.id,
            number=row.number,
            customer_id=row.customer_id,
            customer=row.customer,
            event_count=row.event_count,
            events=events[row.id],
            breaches=breaches[row.id],
            told=told[row.id],
            stored=stored[row.id],
            terms=promises(row.terms_version),
        )
        for row in rows.all()
    )


def reckon(dossiers: Iterable[Dossier], *, calendar: Calendar, now: datetime) -> list[Reckoned]:
    """Return faults with their clocks as they stand at `now`."""
    return [
        Reckoned(
            one,
            tuple(
                (clock, open_steps(clock, one.told_of(clock)))
                for clock in one.clocks(calendar, now)
            ),
        )
        for one in dossiers
    ]


def write_clocks(
    session: Session, reckoned: Iterable[Reckoned], *, calendar: Calendar, now: datetime
) -> Written:
    """Write what the events of faults come to: clocks, breaches, steps that lie behind."""
    key = calendar_key(calendar)
    every = [(one.dossier, clock, steps) for one in reckoned for clock, steps in one.clocks]
    behind = [_left_behind(one.stored_of(clock), steps, now) for one, clock, steps in every]
    rows = [
        (_clock_row(one.id, clock, steps[len(passed) :], key), one.stored_of(clock))
        for (one, clock, steps), passed in zip(every, behind, strict=True)
    ]
    broken = [row for one, clock, _ in every for row in _breach(one, clock, now)]
    skips = [
        step_row(one, clock, step, EscalationOutcome.SKIPPED, now=now)
        for (one, clock, _), passed in zip(every, behind, strict=True)
        for step in passed
    ]
    moved = tuple(_moved(every, key))
    insert_all(session, CLOCK, [row._asdict() for row, stored in rows if stored is None])
    changed = (_changed(row, stored) for row, stored in rows if stored and row != stored)
    change_all(session, CLOCK, changed, key=EPOCH)
    add_all_once(session, faults.FaultBreach, broken)
    add_all_once(session, faults.Escalation, skips)
    add_all_once(session, faults.FaultDueChange, [_due_change(one, now) for one in moved])
    return Written(len(broken), moved)


def step_row(
    dossier: Dossier, clock: Clock, step: Step, outcome: EscalationOutcome, *, now: datetime
) -> dict[str, Any]:
    """Return the ledger's row of a step."""
    return _epoch(dossier, clock) | {
        "step": step.number,
        "rung": str(step.rung),
        "outcome": outcome,
        "reached_at": step.reached_at,
        "found_at": now,
    }


def calendar_key(calendar: Calendar) -> str:
    """Return what names the operator's year tables; a report's days are counted with them."""
    tables = sorted(
        (one.year, one.notice, sorted(one.off), sorted(one.work)) for one in calendar.tables
    )
    return hashlib.sha256(repr(sorted(tables)).encode()).hexdigest()[:16]


def _left_behind(stored: ClockRow | None, steps: Iterable[Step], now: datetime) -> tuple[Step, ...]:
    """Return the steps to skip: none of a clock with which the sweep is late, it tells them all."""
    next_at = stored.next_warning_at if stored else None
    is_swept_late = next_at is not None and next_at <= now
    return () if is_swept_late else steps_left_behind(steps, now=now)


def _moved(every: Iterable[tuple[Dossier, Clock, object]], key: str) -> Iterator[Moved]:
    for dossier, clock, _ in every:
        stored = dossier.stored_of(clock)
        if clock.clock is not Kind.REPORT or clock.stopped_at or stored is None:
            continue
        if stored.calendar_key != key and stored.due_at and stored.due_at != clock.due_at:
            yield Moved(dossier, clock, stored.due_at)


def _due_change(moved: Moved, now: datetime) -> dict[str, Any]:
    return _epoch(moved.dossier, moved.clock) | {
        "due_before_at": moved.before_at,
        "due_after_at": moved.clock.due_at,
        "found_at": now,
    }


def _breach(dossier: Dossier, clock: Clock, now: datetime) -> Iterator[dict[str, Any]]:
    if clock.breached_at and (clock.clock, clock.epoch) not in dossier.breaches:
        yield _epoch(dossier, clock) | {
            "level": clock.level,
            "is_soft": clock.is_soft,
            "breached_at": clock.breached_at,
            "found_at": now,
        }


def _clock_row(fault: int, clock: Clock, steps: Iterable[Step], key: str) -> ClockRow:
    return ClockRow(
        fault_id=fault,
        clock=ClockKind(clock.clock),
        epoch=clock.epoch,
        level=clock.level,
        started_at=clock.started_at,
        due_at=clock.due_at,
        earliest_due_at=clock.earliest_due_at,
        is_soft=clock.is_soft,
        is_provisional=clock.is_provisional,
        stopped_at=clock.stopped_at,
        breached_at=clock.breached_at,
        state=ClockState(clock.state),
        next_warning_at=next_warning_at(clock, steps),
        calendar_key=key if clock.clock is Kind.REPORT else "",
    )


def _changed(row: ClockRow, stored: ClockRow) -> dict[str, Any]:
    pairs = zip(ClockRow._fields, row, stored, strict=True)
    return {name: said for name, said, before in pairs if name in EPOCH or said != before}


def _epoch(dossier: Dossier, clock: Clock) -> dict[str, Any]:
    return {"fault_id": dossier.id, "clock": ClockKind(clock.clock), "epoch": clock.epoch}


def _events(connection: Connection, ids: Collection[int]) -> Mapping[int, tuple[Event, ...]]:
    row = faults.FaultEvent
    found = connection.execute(
        select(row.fault_id, type_coerce(row.type, Text()), row.at, cast(row.payload, Text))
        .where(row.fault_id.in_(ids))
        .order_by(row.fault_id, row.ordinal)
    )
    grouped: dict[int, list[Event]] = defaultdict(list)
    for fault, word, at, payload in found.all():
        grouped[fault].append(_maker(word, payload)(at=at))
    return {fault: tuple(events) for fault, events in grouped.items()}


@lru_cache(maxsize=1024)
def _maker(word: str, payload: str) -> Callable[..., Event]:
    """Return what makes the event of its moment; most rows say the same few words."""
    return maker_of(word, json.loads(payload))


def _breaches(
    connection: Connection, ids: Collection[int]
) -> Mapping[int, Mapping[Epoch, datetime]]:
    row = faults.FaultBreach
    found = connection.execute(
        select(row.fault_id, row.clock, row.epoch, row.breached_at).where(row.fault_id.in_(ids))
    )
    grouped: dict[int, dict[Epoch, datetime]] = defaultdict(dict)
    for one in found.all():
        grouped[one.fault_id][Kind(one.clock), one.epoch] = one.breached_at
    return grouped


def _told(
    connection: Connection, ids: Collection[int]
) -> Mapping[int, Mapping[Epoch, frozenset[int]]]:
    row = faults.Escalation
    found = connection.execute(
        select(row.fault_id, row.clock, row.epoch, row.step).where(row.fault_id.in_(ids))
    )
    grouped: dict[int, dict[Epoch, frozenset[int]]] = defaultdict(dict)
    for one in found.all():
        of_fault, epoch = grouped[one.fault_id], (Kind(one.clock), one.epoch)
        of_fault[epoch] = of_fault.get(epoch, frozenset()) | {one.step}
    return grouped


def _stored(connection: Connection, ids: Collection[int]) -> Mapping[int, Mapping[Epoch, ClockRow]]:
    columns = [getattr(CLOCK, name) for name in ClockRow._fields]
    found = connection.execute(select(*columns).where(CLOCK.fault_id.in_(ids)))
    grouped: dict[int, dict[Epoch, ClockRow]] = defaultdict(dict)
    for one in map(ClockRow._make, found.all()):
        grouped[one.fault_id][Kind(one.clock), one.epoch] = one
    return grouped

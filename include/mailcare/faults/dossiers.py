"""Read faults with all that decides about their clocks, and write down what is derived of it.

Only this module writes clocks and breaches, whoever has recorded an event or swept.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.contracts.promises import promises
from mailcare.deadlines import Terms
from mailcare.faults.clocks import Clock, Kind, clocks, keep_breaches
from mailcare.faults.events import Event
from mailcare.faults.ladder import Step, next_warning_at, steps_left_behind
from mailcare.faults.sequence import in_order
from mailcare.faults.standing import Standing, event_of, standing
from mailcare.records import faults
from mailcare.records.changes import add_all_once, put_all
from mailcare.records.customers import Customer
from mailcare.records.faults import ClockKind, ClockState, EscalationOutcome
from mailcare.workdays import Calendar

EPOCH = ("fault_id", "clock", "epoch")
Epoch = tuple[Kind, int]


@dataclass(frozen=True, slots=True)
class Dossier:
    """A fault's events in the order of recording, its breaches, told steps and stored due moments.

    `due` holds for each stored epoch its due moment and the year tables it was counted with.
    """

    id: int
    number: str
    customer_id: int
    customer: str
    event_count: int
    events: tuple[Event, ...]
    breaches: Mapping[Epoch, datetime]
    told: Mapping[Epoch, frozenset[int]]
    due: Mapping[Epoch, tuple[datetime | None, str]]
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

    def with_told(self, steps: Iterable[tuple[Clock, Step]]) -> "Dossier":
        """Return the dossier after somebody was told of these steps."""
        told = dict(self.told)
        for clock, step in steps:
            epoch = (clock.clock, clock.epoch)
            told[epoch] = told.get(epoch, frozenset()) | {step.number}
        return replace(self, told=told)


@dataclass(frozen=True, slots=True)
class Reckoned:
    """A fault with its clocks as they stand."""

    dossier: Dossier
    clocks: tuple[Clock, ...]


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
    events, breaches = _events(session, ids), _breaches(session, ids)
    told, due = _told(session, ids), _due(session, ids)
    fault = faults.Fault
    rows = session.execute(
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
            due=due[row.id],
            terms=promises(row.terms_version),
        )
        for row in rows
    )


def reckon(dossiers: Iterable[Dossier], *, calendar: Calendar, now: datetime) -> list[Reckoned]:
    """Return faults with their clocks as they stand at `now`."""
    return [Reckoned(one, one.clocks(calendar, now)) for one in dossiers]


def write_clocks(
    session: Session, reckoned: Iterable[Reckoned], *, calendar: Calendar, now: datetime
) -> Written:
    """Write what the events of faults come to: clocks, breaches, steps that lie behind."""
    key = calendar_key(calendar)
    every = [(one.dossier, clock) for one in reckoned for clock in one.clocks]
    behind = [steps_left_behind(clock, one.told_of(clock), now=now) for one, clock in every]
    clocks = [_clock_row(*one, steps, key) for one, steps in zip(every, behind, strict=True)]
    broken = [row for one, clock in every for row in _breach(one, clock, now)]
    skips = [
        step_row(*one, step, EscalationOutcome.SKIPPED, now=now)
        for one, steps in zip(every, behind, strict=True)
        for step in steps
    ]
    moved = tuple(_moved(every, key))
    put_all(session, faults.FaultClock, clocks, key=EPOCH)
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


def _moved(every: Iterable[tuple[Dossier, Clock]], key: str) -> Iterator[Moved]:
    for dossier, clock in every:
        before_at, counted_with = dossier.due.get((clock.clock, clock.epoch), (None, key))
        if counted_with != key and before_at and before_at != clock.due_at and not clock.stopped_at:
            yield Moved(dossier, clock, before_at)


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


def _clock_row(dossier: Dossier, clock: Clock, behind: Iterable[Step], key: str) -> dict[str, Any]:
    told = dossier.told_of(clock).union(one.number for one in behind)
    return _epoch(dossier, clock) | {
        "level": clock.level,
        "started_at": clock.started_at,
        "due_at": clock.due_at,
        "earliest_due_at": clock.earliest_due_at,
        "is_soft": clock.is_soft,
        "is_provisional": clock.is_provisional,
        "stopped_at": clock.stopped_at,
        "breached_at": clock.breached_at,
        "state": ClockState(clock.state),
        "next_warning_at": next_warning_at(clock, told),
        "calendar_key": key if clock.clock is Kind.REPORT else "",
    }


def _epoch(dossier: Dossier, clock: Clock) -> dict[str, Any]:
    return {"fault_id": dossier.id, "clock": ClockKind(clock.clock), "epoch": clock.epoch}


def _events(session: Session, ids: Collection[int]) -> Mapping[int, tuple[Event, ...]]:
    row = faults.FaultEvent
    found = session.execute(
        select(row.fault_id, row.type, row.at, row.payload)
        .where(row.fault_id.in_(ids))
        .order_by(row.fault_id, row.ordinal)
    )
    grouped: dict[int, list[Event]] = defaultdict(list)
    for fault, word, at, payload in found:
        grouped[fault].append(event_of(word, at, payload))
    return {fault: tuple(events) for fault, events in grouped.items()}


def _breaches(session: Session, ids: Collection[int]) -> Mapping[int, Mapping[Epoch, datetime]]:
    row = faults.FaultBreach
    found = session.execute(
        select(row.fault_id, row.clock, row.epoch, row.breached_at).where(row.fault_id.in_(ids))
    )
    grouped: dict[int, dict[Epoch, datetime]] = defaultdict(dict)
    for one in found:
        grouped[one.fault_id][Kind(one.clock), one.epoch] = one.breached_at
    return grouped


def _told(session: Session, ids: Collection[int]) -> Mapping[int, Mapping[Epoch, frozenset[int]]]:
    row = faults.Escalation
    found = session.execute(
        select(row.fault_id, row.clock, row.epoch, row.step).where(row.fault_id.in_(ids))
    )
    grouped: dict[int, dict[Epoch, frozenset[int]]] = defaultdict(dict)
    for one in found:
        of_fault, epoch = grouped[one.fault_id], (Kind(one.clock), one.epoch)
        of_fault[epoch] = of_fault.get(epoch, frozenset()) | {one.step}
    return grouped


def _due(session: Session, ids: Collection[int]) -> Mapping[int, Mapping[Epoch, Any]]:
    row = faults.FaultClock
    found = session.execute(
        select(row.fault_id, row.clock, row.epoch, row.due_at, row.calendar_key).where(
            row.fault_id.in_(ids), row.clock == ClockKind.REPORT
        )
    )
    grouped: dict[int, dict[Epoch, Any]] = defaultdict(dict)
    for one in found:
        grouped[one.fault_id][Kind(one.clock), one.epoch] = (one.due_at, one.calendar_key)
    return grouped

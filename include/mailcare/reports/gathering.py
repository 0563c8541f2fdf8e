"""Gather the faults of some days for their figures."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.clock import BEIJING
from mailcare.faults.breaches import reasons_of
from mailcare.faults.clocks import Clock, Kind
from mailcare.faults.dossiers import read_dossiers
from mailcare.faults.wording import REASON_TITLES
from mailcare.records.faults import Fault, FaultEvent, FaultEventType
from mailcare.reports.statistics import Told
from mailcare.workdays import Calendar

TAKEN_ON = (FaultEventType.ACCEPTED, FaultEventType.FIRST_CONTACT, FaultEventType.HANDLED)
CHUNK = 500  # what a statement takes in one list on every database


def gather(
    session: Session, since: date, until: date, *, calendar: Calendar, now: datetime
) -> tuple[Told, ...]:
    """Return the faults declared from `since` to `until`, both days included, Beijing time."""
    from_at = datetime.combine(since, time.min, BEIJING)
    to_at = datetime.combine(until + timedelta(days=1), time.min, BEIJING)
    declared = select(Fault.id, Fault.level, Fault.declared_at).where(
        Fault.declared_at >= from_at, Fault.declared_at < to_at
    )
    found = {one.id: one for one in session.execute(declared.order_by(Fault.id))}
    ids = list(found)
    told = []
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        events, reasons = _events(session, part), reasons_of(session, part)
        for one in read_dossiers(session, part):
            row, clocks = found[one.id], one.clocks(calendar, now)
            own = events.get(one.id, ())
            told.append(
                Told(
                    one.number, one.customer, _engineer(own), str(row.level), row.declared_at,
                    clocks, {epoch: _reason(clock, own, reasons[one.id, *epoch])
                             for clock in clocks for epoch in ((clock.clock, clock.epoch),)},
                )
            )  # fmt: skip
    return tuple(told)


def _events(session: Session, ids: Sequence[int]) -> Mapping[int, Sequence[FaultEvent]]:
    of_these = select(FaultEvent).where(FaultEvent.fault_id.in_(ids)).order_by(FaultEvent.ordinal)
    grouped: dict[int, list[FaultEvent]] = {}
    for one in session.scalars(of_these):
        grouped.setdefault(one.fault_id, []).append(one)
    return grouped


def _engineer(events: Sequence[FaultEvent]) -> str:
    """Return who took the fault on first, "" where nobody has."""
    return next((one.recorded_by for one in events if one.type in TAKEN_ON), "")


def _reason(clock: Clock, events: Sequence[FaultEvent], recorded: Sequence[str]) -> str:
    """Return why it took so long; "" for nothing.

    What people recorded of the breach, else what was written where the clock stopped and why it was
    held.
    """
    if recorded:
        return "；".join(recorded)
    stopped = [one for one in events if one.at == clock.stopped_at]
    said = [str(one.payload["remark"]) for one in stopped if one.payload.get("remark")]
    if clock.clock is not Kind.RESOLUTION:
        return "；".join(said)
    paused = (one.payload.get("reason") for one in events if one.type is FaultEventType.PAUSED)
    held = [REASON_TITLES[str(one)] for one in paused if one]
    return "；".join(dict.fromkeys((*said, *(f"曾暂停：{one}" for one in held))))

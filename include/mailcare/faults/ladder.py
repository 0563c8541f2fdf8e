"""Who is told how far an open clock has run: engineer, manager, director; each once. Pure.

A step is known by its number; the ledger of the steps that were told, or skipped, is the records'.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from mailcare.deadlines import Level, Unit
from mailcare.faults.clocks import Clock, Kind, State

ONE_SECOND = timedelta(seconds=1)
URGENT_LEVELS = (Level.P1, Level.P2)


class Rung(StrEnum):
    """Who is told."""

    ENGINEER = "engineer"
    MANAGER = "manager"
    DIRECTOR = "director"


# Of a clock's time, in hundredths; of the response's 15 minutes 5, 10 and 15.
SHARES_PCT = {Rung.ENGINEER: 50.0, Rung.MANAGER: 75.0, Rung.DIRECTOR: 100.0}
RESPONSE_SHARES_PCT = {Rung.ENGINEER: 100 / 3, Rung.MANAGER: 200 / 3, Rung.DIRECTOR: 100.0}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a clock's ladder, from 1, and the moment at which it is reached."""

    number: int
    rung: Rung
    reached_at: datetime


def warnings_of(number: str, clock: Clock) -> str:
    """Return what the keys of all that is told of a fault's clock begin with."""
    return f"fault/{number}/{clock.clock}/{clock.epoch}/"


def open_steps(clock: Clock, told: Collection[int]) -> tuple[Step, ...]:
    """Return the steps of a clock, in order, that are not among `told`; none while it stands still.

    They lie where its holds so far leave them. Provisional clocks are warned of from the earliest
    date that they may come to. Held time before `earliest_due_at` has moved that already, so the
    steps are counted back from it.
    """
    if clock.stopped_at or clock.is_held or clock.earliest_due_at is None:
        return ()
    held = (clock.gross_s - clock.net_s) * ONE_SECOND
    allowance = clock.earliest_due_at - clock.started_at - held
    shares = RESPONSE_SHARES_PCT if clock.clock is Kind.RESPONSE else SHARES_PCT
    return tuple(
        Step(number, rung, clock.earliest_due_at - allowance * (100 - pct) / 100)
        for number, (rung, pct) in enumerate(shares.items(), 1)
        if number not in told
    )


def due_steps(steps: Iterable[Step], *, now: datetime) -> tuple[Step, ...]:
    """Return those of the open steps that are reached."""
    return tuple(one for one in steps if one.reached_at <= now)


def steps_left_behind(steps: Iterable[Step], *, now: datetime) -> tuple[Step, ...]:
    """Return the steps that a clock has behind it as it begins, but for the highest of them."""
    return due_steps(steps, now=now)[:-1]


def next_warning_at(clock: Clock, steps: Iterable[Step]) -> datetime | None:
    """Return when the clock must be looked at again: its next open step, or when it breaks."""
    moments = [one.reached_at for one in steps]
    if clock.state is State.RUNNING and clock.due_at:
        moments.append(_breaks_at(clock.due_at, clock.unit))
    return min(moments, default=None)


def _breaks_at(due_at: datetime, unit: Unit | None) -> datetime:
    """Return the first moment at which a promise is broken: of hours it is after the due one."""
    return due_at if unit is Unit.DAYS else due_at + datetime.resolution


def is_urgent(clock: Clock) -> bool:
    """Tell whether people are told at any hour; of everything else in working hours."""
    return clock.level in URGENT_LEVELS and clock.clock is not Kind.REPORT

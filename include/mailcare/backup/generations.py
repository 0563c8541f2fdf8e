"""Which generations a copy should have, which it has, and when each was begun. Pure.

A generation's moment is read from its name where the name tells one; a file's time alone is never
trusted further than that.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise

from mailcare.backup.source import Generation
from mailcare.clock import BEIJING
from mailcare.systems.backups import Schedule

_DATED = re.compile(
    r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])"
    r"(?:[T_. -]?([01]\d|2[0-3])[-:.h]?([0-5]\d)(?:[-:.m]?([0-5]\d))?)?(?!\d)"
)
GRACE = timedelta(hours=2)  # a run takes its time
MISSING_SHOWN = 10


def started_at(name: str, changed_at: datetime) -> tuple[datetime, bool]:
    """Return when a generation was begun, and whether its name says so.

    A name with a date alone is held against the file's time: within that day the file's time is
    taken, else the end of that day. A name with a time of day is taken as it is.
    """
    found = _DATED.search(name)
    if found is None:
        return changed_at, False
    year, month, day, hour, minute, second = (int(part) if part else 0 for part in found.groups())
    try:
        named = datetime(year, month, day, hour, minute, second, tzinfo=BEIJING)
    except ValueError:
        return changed_at, False
    if found[4]:
        return named, True
    next_day = named + timedelta(days=1)
    return (changed_at, False) if named <= changed_at < next_day else (next_day, False)


@dataclass(frozen=True, slots=True)
class Slot:
    """A span of days out of which one generation must be kept; both are in it."""

    kind: str
    first_on: date
    last_on: date

    def __str__(self) -> str:
        """Write it for people."""
        days = f"{self.first_on}" + (f"—{self.last_on}" if self.last_on != self.first_on else "")
        return f"{KINDS[self.kind]} {days}"


KINDS = {"daily": "日备", "weekly": "周备", "monthly": "月备"}


def slots(schedule: Schedule, now: datetime) -> tuple[Slot, ...]:
    """Return the spans that must hold a generation by now, the newest first.

    The current span is not over: it may still be empty where one before it is not.
    """
    today = now.astimezone(BEIJING).date()
    spans = [
        *(_days(today, back) for back in range(1, schedule.daily)),
        *(_weeks(today, back) for back in range(1, schedule.weekly)),
        *(_months(today, back) for back in range(1, schedule.monthly)),
    ]
    return tuple(one for one in spans if schedule.since is None or one.first_on >= schedule.since)


def _days(today: date, back: int) -> Slot:
    on = today - timedelta(days=back)
    return Slot("daily", on, on)


def _weeks(today: date, back: int) -> Slot:
    first_on = today - timedelta(days=today.weekday() + 7 * back)
    return Slot("weekly", first_on, first_on + timedelta(days=6))


def _months(today: date, back: int) -> Slot:
    months = today.year * 12 + today.month - 1 - back
    first_on = date(months // 12, months % 12 + 1, 1)
    next_on = date((months + 1) // 12, (months + 1) % 12 + 1, 1)
    return Slot("monthly", first_on, next_on - timedelta(days=1))


def missing(wanted: Iterable[Slot], found: Sequence[Generation]) -> tuple[Slot, ...]:
    """Return the spans without a generation.

    One made shortly after midnight counts for the day before, too, where that has none and the
    generation before it is less than a day and a half away: a nightly run may slip, but does not
    hide that the one before it is lost. Weeks and months likewise.
    """
    begun = sorted(one.started_at for one in found)
    return tuple(slot for slot in wanted if not (_within(slot, begun) or _slipped(slot, begun)))


def _within(slot: Slot, begun: Sequence[datetime]) -> bool:
    return any(slot.first_on <= one.astimezone(BEIJING).date() <= slot.last_on for one in begun)


def _slipped(slot: Slot, begun: Sequence[datetime]) -> bool:
    begins = datetime.combine(slot.first_on, time(), BEIJING)
    ends = datetime.combine(slot.last_on, time(), BEIJING) + timedelta(days=1)
    return any(
        ends <= late < ends + GRACE and late - before < 1.5 * (ends - begins)
        for before, late in pairwise(begun)
    )


def least_count(schedule: Schedule, now: datetime) -> int:
    """Return how many generations there must be at least."""
    return max(1, len({slot.first_on for slot in slots(schedule, now) if slot.kind == "daily"}))

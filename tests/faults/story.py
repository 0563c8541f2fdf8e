"""Short ways to tell a fault's story in tests, in Beijing time."""

from datetime import UTC, datetime, timedelta

from mailcare.clock import BEIJING
from mailcare.contracts.promises import promises
from mailcare.deadlines import Level, Terms
from mailcare.faults.clocks import Clock, Kind, clocks
from mailcare.faults.events import (
    Accepted,
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
    PauseReason,
    Remedy,
    Reopened,
    ReportReturned,
    ReportSent,
    Resumed,
    Signed,
)
from mailcare.workdays import Calendar

CALENDAR = Calendar()
STANDARD = promises(1)


def at(text: str) -> datetime:
    """Read `2026-03-02 09:00` as Beijing time."""
    return datetime.fromisoformat(text).replace(tzinfo=BEIJING).astimezone(UTC)


def event(word: str, when: datetime) -> Event:
    """Make an event from a word such as `declared P1` or `level P3 misclassified agreed`."""
    name, *rest = word.split()
    return MAKERS[name](when, *rest)


MAKERS = {
    "declared": lambda when, level: Declared(at=when, level=Level(level)),
    "accepted": lambda when: Accepted(at=when),
    "contact": lambda when, channel="phone": FirstContact(at=when, channel=Channel(channel)),
    "paused": lambda when: Paused(at=when, reason=PauseReason.CUSTOMER_ASKED),
    "resumed": lambda when: Resumed(at=when),
    "level": lambda when, level, why, agreed="": LevelChanged(
        at=when, level=Level(level), why=Change(why), customer_agreed=bool(agreed)
    ),
    "handled": lambda when, kind="fix": Handled(at=when, kind=Remedy(kind)),
    "reopened": lambda when: Reopened(at=when),
    "sent": lambda when: ReportSent(at=when),
    "returned": lambda when, sent: ReportReturned(at=when, sent_at=at(sent)),
    "signed": lambda when: Signed(at=when),
    "cancelled": lambda when: Cancelled(at=when),
    "merged": lambda when: Merged(at=when, into="F-2"),
}


def tell(*lines: str) -> tuple[Event, ...]:
    """Read lines such as `2026-03-02 09:00 declared P1`."""
    return tuple(event(line[16:].strip(), at(line[:16])) for line in lines)


def rows(*lines: str, now: str, terms: Terms = STANDARD) -> tuple[Clock, ...]:
    """Derive the clocks of a story."""
    return clocks(tell(*lines), terms, CALENDAR, at(now))


def row(kind: str, *lines: str, now: str, epoch: int = 1, terms: Terms = STANDARD) -> Clock:
    """Derive one clock of a story."""
    found = [
        one
        for one in rows(*lines, now=now, terms=terms)
        if one.clock is Kind(kind) and one.epoch == epoch
    ]
    assert len(found) == 1, found
    return found[0]


def hours(count: float) -> timedelta:
    return timedelta(hours=count)

"""Who is told, in which order, and when: rules over people, their hours and the day's duty."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from mailcare.clock import BEIJING
from mailcare.records.alerts import RobotVendor, Rung
from mailcare.workdays import Calendar

# From each rung upwards: who is asked where nobody of the rung can be told.
UPWARDS = {
    Rung.ENGINEER: (Rung.ENGINEER, Rung.MANAGER, Rung.DIRECTOR),
    Rung.MANAGER: (Rung.MANAGER, Rung.DIRECTOR),
    Rung.DIRECTOR: (Rung.DIRECTOR, Rung.MANAGER),
    Rung.CUSTOMER_SERVICE: (Rung.CUSTOMER_SERVICE, Rung.MANAGER, Rung.DIRECTOR),
}


@dataclass(frozen=True, slots=True)
class ChatRobot:
    """A robot in use."""

    name: str
    vendor: RobotVendor


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the own staff as the rules see them.

    `place` is the place on the day's duty roster, None off duty; hours are Beijing time.
    """

    id: int
    name: str
    rung: Rung
    email: str
    works_from: time
    works_until: time
    robot: ChatRobot | None = None
    place: int | None = None


def told_first(people: Sequence[Person], rung: Rung) -> tuple[Person, ...]:
    """Return who is told at once: the first on duty of the rung, everybody of it without one.

    Where the rung has nobody the next one up is asked; empty where there is no person at all.
    """
    for step in UPWARDS[rung]:
        members = [person for person in people if person.rung is step]
        on_duty = sorted((one for one in members if one.place), key=_order)
        if members:
            return tuple(on_duty[:1] or members)
    return ()


def told_next(people: Sequence[Person], rung: Rung, *, told: set[int]) -> Person | None:
    """Return the next person to be told, `told` (ids) left out: on duty first, then upwards."""
    for step in UPWARDS[rung]:
        members = [one for one in people if one.rung is step and one.id not in told]
        if members:
            return min(members, key=_order)
    return None


def next_open(at: datetime, person: Person, calendar: Calendar) -> datetime:
    """Return the first moment from `at` on that lies in a person's hours on a working day."""
    local = at.astimezone(BEIJING)
    day = local.date()
    if not calendar.is_workday(day) or local.timetz().replace(tzinfo=None) >= person.works_until:
        day += timedelta(days=1)
        while not calendar.is_workday(day):
            day += timedelta(days=1)
    return max(at, datetime.combine(day, person.works_from, BEIJING).astimezone(at.tzinfo))


def _order(person: Person) -> tuple[bool, int, int]:
    return (person.place is None, person.place or 0, person.id)

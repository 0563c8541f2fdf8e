"""What a contract's promises mean as services: which, when, under which key. Pure.

Planning is a function of the contract, the calendar and the day; planned twice is planned once,
because a service's key names the promise that it keeps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from mailcare.contracts.terms import Contract, ContractYear
from mailcare.workdays import ONE_DAY, Calendar

REMINDERS_DAYS = (60, 30, 7)  # before the end of a contract
REVIEW_DAYS = 30  # before the end of a contract year


class Promise(StrEnum):
    """What a contract year owes the customer."""

    REMOTE_INSPECTION = "remote_inspection"
    BACKUP_VERIFICATION = "backup_verification"
    VISIT = "visit"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Owed:
    """One service that a contract owes, without a day; `key` is the same however often asked."""

    key: str
    promise: Promise
    number: int
    system: int
    year: ContractYear


@dataclass(frozen=True, slots=True)
class PlannedService:
    """One service that a contract owes, with the day that it is due.

    `is_provisional` tells that its day rests on a year whose holidays are not published.
    """

    key: str
    promise: Promise
    system: int
    year: ContractYear
    due_on: date
    is_provisional: bool


@dataclass(frozen=True, slots=True)
class Reminder:
    """A notice that a contract ends soon; `key` holds its version: a renewal is reminded anew."""

    key: str
    days_left: int


def owed(contract: Contract, *, since: date) -> tuple[Owed, ...]:
    """Return what the contract owes in all of its years, those to come included.

    `since` is the day that the contract was recorded: a year over by then was somebody else's.
    """
    return tuple(
        Owed(
            f"{contract.number}/{year.number}/{system}/{promise}/{number}",
            promise,
            number,
            system,
            year,
        )
        for year in contract.years()
        if year.last_on >= since
        for system in contract.systems
        for promise, number in _promises(contract)
    )


def plan_services(
    contract: Contract, calendar: Calendar, *, today: date, since: date
) -> tuple[PlannedService, ...]:
    """Return what the contract owes in its years that have begun, those gone by included.

    Who missed a day, or a year, finds the service still there. A service keeps the day that it was
    first given (its key is known); the day here is the one for a service that is new.
    """
    return tuple(
        give_day(contract, one, calendar, today=today)
        for one in owed(contract, since=since)
        if one.year.first_on <= today
    )


def give_day(contract: Contract, one: Owed, calendar: Calendar, *, today: date) -> PlannedService:
    """Return a service with the working day that it is due: not before today, in its year."""
    wanted_on = max(_wanted_on(contract, one), min(today, one.year.last_on))
    due_on = workday_within(one.year, wanted_on, calendar)
    provisional = calendar.day(due_on).is_provisional
    return PlannedService(one.key, one.promise, one.system, one.year, due_on, provisional)


def _promises(contract: Contract) -> Iterator[tuple[Promise, int]]:
    """Yield each promise of a contract year with its number, from 1."""
    if contract.terms.remote_service:
        yield Promise.REMOTE_INSPECTION, 1
        yield Promise.BACKUP_VERIFICATION, 1
    for number in range(1, contract.terms.visits_per_year + 1):
        yield Promise.VISIT, number
    yield Promise.REVIEW, 1


def _wanted_on(contract: Contract, one: Owed) -> date:
    """Return the day that a promise is spread to.

    Visits evenly, the inspection in the middle, the backup verification half-way to it, the
    review before the year ends.
    """
    first_on, last_on = one.year.first_on, one.year.last_on
    if one.promise is Promise.REVIEW:
        return max(first_on, last_on - REVIEW_DAYS * ONE_DAY)
    parts = {
        Promise.REMOTE_INSPECTION: 2,
        Promise.BACKUP_VERIFICATION: 4,
        Promise.VISIT: contract.terms.visits_per_year + 1,
    }[one.promise]
    return first_on + (last_on - first_on).days * one.number // parts * ONE_DAY


def workday_within(year: ContractYear, wanted_on: date, calendar: Calendar) -> date:
    """Return the first working day of a contract year from a day on, else the last one before it.

    A rest of a contract without any working day gets the first one after it: late is better than
    never.
    """
    after = (wanted_on + ONE_DAY * ahead for ahead in range((year.last_on - wanted_on).days + 1))
    back = (wanted_on - ONE_DAY * ago for ago in range(1, (wanted_on - year.first_on).days + 1))
    found = next(filter(calendar.is_workday, after), None)
    found = found or next(filter(calendar.is_workday, back), None)
    return found or calendar.next_workdays(year.last_on, 1)[0]


def reminders(contract: Contract, *, today: date) -> tuple[Reminder, ...]:
    """Return the reminder that is due before the contract's end: of several the latest only."""
    left = (contract.ends_on - today).days
    due = [days for days in REMINDERS_DAYS if 0 <= left <= days]
    if not due:
        return ()
    days = min(due)
    return (Reminder(f"{contract.number}/v{contract.terms.version}/ends/{days}", left),)

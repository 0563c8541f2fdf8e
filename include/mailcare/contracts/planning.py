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


class Promise(StrEnum):
    """What a contract year owes the customer."""

    REMOTE_INSPECTION = "remote_inspection"
    VISIT = "visit"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class PlannedService:
    """One service that a contract owes; `key` is the same however often it is planned.

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


def plan_services(
    contract: Contract, calendar: Calendar, *, today: date
) -> tuple[PlannedService, ...]:
    """Return what the contract owes in its years that have begun, those gone by included.

    Who missed a day, or a year, finds the service still there. A service keeps the day that it was
    first given (its key is known); the day here is the one for a service that is new.
    """
    begun = [year for year in contract.years() if year.first_on <= today]
    return tuple(
        _service(contract, year, system, kept, calendar, today)
        for year in begun
        for system in contract.systems
        for kept in _promises(contract)
    )


def _promises(contract: Contract) -> Iterator[tuple[Promise, int]]:
    """Yield each promise of a contract year with its number, from 1."""
    if contract.terms.remote_service:
        yield Promise.REMOTE_INSPECTION, 1
    for number in range(1, contract.terms.visits_per_year + 1):
        yield Promise.VISIT, number
    yield Promise.REVIEW, 1


def _service(
    contract: Contract,
    year: ContractYear,
    system: int,
    kept: tuple[Promise, int],
    calendar: Calendar,
    today: date,
) -> PlannedService:
    promise, number = kept
    wanted_on = max(_wanted_on(contract, year, promise, number), min(today, year.last_on))
    due_on = workday_within(year, wanted_on, calendar)
    key = f"{contract.number}/{year.number}/{system}/{promise}/{number}"
    provisional = calendar.day(due_on).is_provisional
    return PlannedService(key, promise, system, year, due_on, provisional)


def _wanted_on(contract: Contract, year: ContractYear, promise: Promise, number: int) -> date:
    """Return the day that a promise is spread to: visits evenly, the inspection in the middle."""
    days = (year.last_on - year.first_on).days
    if promise is Promise.REVIEW:
        return max(year.first_on, year.last_on - 30 * ONE_DAY)  # before the contract ends
    parts = 2 if promise is Promise.REMOTE_INSPECTION else contract.terms.visits_per_year + 1
    return year.first_on + days * number // parts * ONE_DAY


def workday_within(year: ContractYear, wanted_on: date, calendar: Calendar) -> date:
    """Return the first working day of a contract year from a day on, else the last one before it.

    A rest of a contract without any working day gets the first one after it: late is better than
    never.
    """
    span = (year.last_on - year.first_on).days + 1
    days = [year.first_on + ONE_DAY * number for number in range(span)]
    after = (on for on in days if on >= wanted_on and calendar.is_workday(on))
    before = (on for on in reversed(days) if on < wanted_on and calendar.is_workday(on))
    found = next(after, None) or next(before, None)
    return found or calendar.next_workdays(year.last_on, 1)[0]


def reminders(contract: Contract, *, today: date) -> tuple[Reminder, ...]:
    """Return the reminder that is due before the contract's end: of several the latest only."""
    left = (contract.ends_on - today).days
    due = [days for days in REMINDERS_DAYS if 0 <= left <= days]
    if not due:
        return ()
    days = min(due)
    return (Reminder(f"{contract.number}/v{contract.terms.version}/ends/{days}", left),)

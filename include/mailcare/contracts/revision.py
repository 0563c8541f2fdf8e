"""What a day's planning changes about the services that a contract already has. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from mailcare.contracts.planning import Owed, PlannedService, give_day, owed
from mailcare.contracts.terms import Contract
from mailcare.workdays import Calendar

PLANNED, WITHDRAWN = "planned", "withdrawn"  # the states that planning may change

Group = tuple[int, int, str]  # contract year, system, promise


@dataclass(frozen=True, slots=True)
class Known:
    """A service as it is recorded; any state but planned and withdrawn is begun or done."""

    id: int
    key: str
    promise: str
    system: int
    contract_year: int
    state: str
    due_on: date | None
    is_provisional: bool

    @property
    def group(self) -> Group:
        """Return which services can stand for it."""
        return (self.contract_year, self.system, self.promise)


@dataclass(frozen=True, slots=True)
class Revision:
    """What is to be written: new services, withdrawn ones owed again, withdrawals, new days."""

    added: tuple[PlannedService, ...]
    again: tuple[tuple[Known, PlannedService], ...]
    withdrawn: tuple[Known, ...]
    moved: tuple[tuple[Known, PlannedService], ...]


def revise(
    contract: Contract, known: Sequence[Known], calendar: Calendar, *, today: date, since: date
) -> Revision:
    """Compare what the contract owes with what is recorded.

    Only planned services change: they are withdrawn when no longer owed, and moved when their day
    can no longer be. A late one keeps its day, so that it stays late.
    """
    open_ones = _still_open(owed(contract, since=since), known)
    recorded = {one.key: one for one in known}
    return Revision(
        added=tuple(
            give_day(contract, one, calendar, today=today)
            for one in open_ones.values()
            if one.key not in recorded and one.year.first_on <= today
        ),
        again=tuple(
            (one, give_day(contract, open_ones[one.key], calendar, today=today))
            for one in known
            if one.state == WITHDRAWN and one.key in open_ones
            if open_ones[one.key].year.first_on <= today
        ),
        withdrawn=tuple(one for one in known if one.state == PLANNED and one.key not in open_ones),
        moved=tuple(
            (one, day)
            for one in known
            if one.state == PLANNED and one.key in open_ones
            if (day := _new_day(contract, one, open_ones[one.key], calendar, today))
        ),
    )


def _still_open(all_owed: Iterable[Owed], known: Iterable[Known]) -> dict[str, Owed]:
    """Return what is owed by key, less what a service under a key no longer owed stands for.

    Two visits were bought and the second one is done; now one is bought: the first is not owed.
    """
    by_key = {one.key: one for one in all_owed}
    begun = [one for one in known if one.state not in (PLANNED, WITHDRAWN)]
    begun_keys = {one.key for one in begun}
    spare = Counter(one.group for one in begun if one.key not in by_key)
    for one in reversed(tuple(by_key.values())):
        group = (one.year.number, one.system, str(one.promise))
        if spare[group] and one.key not in begun_keys:
            spare[group] -= 1
            del by_key[one.key]
    return by_key


def _new_day(
    contract: Contract, known: Known, one: Owed, calendar: Calendar, today: date
) -> PlannedService | None:
    """Return the service with another day, or another certainty of it; None if all may stay."""
    if known.due_on and _may_stay(known.due_on, one, calendar, today):
        is_provisional = calendar.day(known.due_on).is_provisional
        day = PlannedService(
            one.key, one.promise, one.system, one.year, known.due_on, is_provisional
        )
    else:
        day = give_day(contract, one, calendar, today=today)
    is_same = (day.due_on, day.is_provisional) == (known.due_on, known.is_provisional)
    return None if is_same else day


def _may_stay(due_on: date, one: Owed, calendar: Calendar, today: date) -> bool:
    return one.year.holds(due_on) and (due_on < today or calendar.is_workday(due_on))

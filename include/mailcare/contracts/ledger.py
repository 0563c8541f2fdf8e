"""What is left of a contract year's entitlements 服务次数, from the ledger's lines. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from mailcare.contracts.planning import Promise

SOLD = (Promise.REMOTE_INSPECTION, Promise.VISIT)  # the promises that are counted


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger: `reason` is bought, planned, used or given_back."""

    contract_year: int
    promise: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Balance:
    """What a contract year still has of one promise; `over` of it lie outside the contract 合同外.

    `bought + over == left + planned + used`, and none of them is negative.
    """

    contract_year: int
    promise: str
    bought: int
    planned: int
    used: int

    @property
    def left(self) -> int:
        """Return how many are neither planned nor used."""
        return max(0, self.bought - self.planned - self.used)

    @property
    def over(self) -> int:
        """Return how many were planned or used beyond what was bought."""
        return max(0, self.planned + self.used - self.bought)

    @property
    def is_used_up(self) -> bool:
        """Tell whether all that was bought has been used."""
        return 0 < self.bought <= self.used


def balances(lines: Iterable[Line]) -> tuple[Balance, ...]:
    """Return the balance of each contract year and promise that the lines speak of, in order.

    A line `bought` says how many there are from that version on: the last one counts.
    """
    bought: dict[tuple[int, str], int] = {}
    counted: Counter[tuple[int, str, str]] = Counter()
    for line in lines:
        place = (line.contract_year, line.promise)
        bought.setdefault(place, 0)
        if line.reason == "bought":
            bought[place] = line.count
        else:
            counted[*place, line.reason] += line.count
    return tuple(_balance(place, bought[place], counted) for place in sorted(bought))


def _balance(
    place: tuple[int, str], bought: int, counted: Counter[tuple[int, str, str]]
) -> Balance:
    used = counted[*place, "used"]
    planned = counted[*place, "planned"] - counted[*place, "given_back"] - used
    return Balance(*place, bought, planned, used)

"""A contract as a value: who, for how long, what was bought; its years 合同年度."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from mailcare.workdays import ONE_DAY

REMOTE_CNY = Decimal(6000)  # 服务方案附件一：远程服务 6000 元/年
VISIT_CNY = Decimal(12000)  # 服务方案附件一：现场巡检 12000 元/次
VISITS_MOST = 2  # 服务方案第四部分：一年 1 次或 2 次（可选）


@dataclass(frozen=True, slots=True)
class Terms:
    """What one version of a contract promises for each of its years, and at which price."""

    version: int
    visits_per_year: int = 0
    remote_service: bool = True
    remote_cny: Decimal = REMOTE_CNY
    visit_cny: Decimal = VISIT_CNY

    def __post_init__(self) -> None:
        """Refuse what the price list does not sell."""
        if not 0 <= self.visits_per_year <= VISITS_MOST:
            raise ValueError(f"visits_per_year must be 0 to {VISITS_MOST}")

    @property
    def yearly_cny(self) -> Decimal:
        """Return what a contract year costs."""
        remote = self.remote_cny if self.remote_service else Decimal(0)
        return remote + self.visits_per_year * self.visit_cny


@dataclass(frozen=True, slots=True)
class ContractYear:
    """One year of a contract, from 1; both days are in it. The last one may be short."""

    number: int
    first_on: date
    last_on: date

    def holds(self, on: date) -> bool:
        """Tell whether a day lies in it."""
        return self.first_on <= on <= self.last_on


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract 合同; both days are in it. `systems` are the ids of the mail systems covered."""

    number: str
    starts_on: date
    ends_on: date
    terms: Terms
    systems: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse a contract that ends before it begins."""
        if self.ends_on < self.starts_on:
            raise ValueError("a contract cannot end before it starts")

    def in_force(self, on: date) -> bool:
        """Tell whether the contract covers a day."""
        return self.starts_on <= on <= self.ends_on

    def years(self) -> tuple[ContractYear, ...]:
        """Return the contract years in order; together they are the contract, without gaps."""
        return tuple(self._years())

    def year_of(self, on: date) -> ContractYear | None:
        """Return the contract year that a day lies in."""
        return next((year for year in self.years() if year.holds(on)), None)

    def _years(self) -> Iterator[ContractYear]:
        first_on, number = self.starts_on, 1
        while first_on <= self.ends_on:
            next_on = anniversary(self.starts_on, number)
            yield ContractYear(number, first_on, min(next_on - ONE_DAY, self.ends_on))
            first_on, number = next_on, number + 1


def anniversary(on: date, years: int) -> date:
    """Return the same day so many years later; 29 February becomes 1 March in a common year.

    A year that began on 29 February then ends on the last day of February (Civil Code, article
    202: without a corresponding day the last day of the month ends the term).
    """
    try:
        return on.replace(year=on.year + years)
    except ValueError:
        return date(on.year + years, 3, 1)

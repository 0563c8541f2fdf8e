"""What a review is made of, as values: one customer's contract year, or the desk's year. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from mailcare.contracts.ledger import Balance
from mailcare.contracts.terms import Contract
from mailcare.deadlines import Terms
from mailcare.surveys.statistics import Asked


@dataclass(frozen=True, slots=True)
class Span:
    """The days that a review is about, both included, and the day on which it was made."""

    first_on: date
    last_on: date
    made_on: date


@dataclass(frozen=True, slots=True)
class ServiceFact:
    """A planned service; `done_on` is None while it is not done."""

    kind: str
    system: str
    due_on: date | None
    state: str
    done_on: date | None
    is_late: bool


class Keeping(StrEnum):
    """What became of a promise that a clock measures."""

    KEPT = "kept"
    BROKEN = "broken"
    OVER_TARGET = "over_target"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class ClockFact:
    """One clock's epoch; `keeping` is None where it was superseded or cancelled unbroken."""

    clock: str
    keeping: Keeping | None
    took: timedelta | None


@dataclass(frozen=True, slots=True)
class FaultFact:
    """A fault with its clocks; `is_outside` tells that no contract covers it 合同外."""

    number: str
    level: str
    declared_at: datetime
    description: str
    state: str
    is_outside: bool
    engineers: tuple[str, ...]
    clocks: tuple[ClockFact, ...]

    def keepings(self, clock: str) -> tuple[Keeping, ...]:
        """Return what became of the promises of one kind, those that count."""
        return tuple(one.keeping for one in self.clocks if one.clock == clock and one.keeping)


@dataclass(frozen=True, slots=True)
class Bad:
    """A finding that wants something done, as it was last found."""

    title: str
    severity: str
    summary: str
    advice: str


@dataclass(frozen=True, slots=True)
class InspectionFact:
    """An inspection's counts by state (critical, warning, …) and what it found bad."""

    system: str
    on: date
    counts: Mapping[str, int]
    bad: tuple[Bad, ...]


@dataclass(frozen=True, slots=True)
class VisitFact:
    """An on-site visit; `moved` is how often its days were changed after they were agreed.

    `engineer` is a login, `engineer_name` what the customer knows them by.
    """

    number: str
    system: str
    starts_on: date | None
    engineer: str
    engineer_name: str
    state: str
    moved: int
    training_hours: Decimal


@dataclass(frozen=True, slots=True)
class BackupFact:
    """What a year's verifications of one copy came to; `counts` by verdict (PASS, FAIL …).

    The last one, by level, is that which counted at the end of the year; a declared copy that was
    never verified has none.
    """

    system: str
    copy: str
    counts: Mapping[str, int]
    last_on: date | None
    last_verdict: str
    levels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CustomerYear:
    """One contract year of a customer; nothing in it is another customer's.

    `promises` are those of time that the contract's version in force names.
    """

    customer: str
    contract: Contract
    promises: Terms
    year: int
    span: Span
    systems: tuple[str, ...]
    balances: tuple[Balance, ...]
    services: tuple[ServiceFact, ...]
    faults: tuple[FaultFact, ...]
    inspections: tuple[InspectionFact, ...]
    visits: tuple[VisitFact, ...]
    backups: tuple[BackupFact, ...]
    surveys: tuple[Asked, ...]

    @property
    def is_last_year(self) -> bool:
        """Tell whether the contract ends with this year."""
        return self.span.last_on == self.contract.ends_on


@dataclass(frozen=True, slots=True)
class ContractFact:
    """A contract that was in force on some day of the year."""

    number: str
    customer: str
    starts_on: date
    ends_on: date
    yearly_cny: Decimal


@dataclass(frozen=True, slots=True)
class DeskYear:
    """A calendar year of the whole desk."""

    span: Span
    contracts: tuple[ContractFact, ...]
    services: tuple[ServiceFact, ...]
    faults: tuple[FaultFact, ...]
    visits: tuple[VisitFact, ...]
    surveys: tuple[Asked, ...]


def tally(faults: Iterable[FaultFact], clock: str) -> Counter[Keeping]:
    """Count what became of the promises of one kind over all faults."""
    return Counter(keeping for fault in faults for keeping in fault.keepings(clock))

"""Working days 工作日 of mainland China, make-up working days 调休 included.

A day is looked up in the operator's year tables, then in `chinesecalendar` (the State Council's
notices; it raises for unpublished years), and at last guessed: Monday to Friday without the
statutory days of `holidays`. A guessed day is provisional and says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import islice

import chinese_calendar

ONE_DAY = timedelta(days=1)
SATURDAY = 5
MISSING_FROM_MONTH = 11
# Every make-up day of 2004-2026 lies within 10 days of a statutory day (chinesecalendar 1.11).
BESIDE_DAYS = 14


class Source(StrEnum):
    """Where the knowledge about a day comes from."""

    OPERATOR = "operator"
    LIBRARY = "chinesecalendar"
    FALLBACK = "fallback"


@dataclass(frozen=True, slots=True)
class Day:
    """What is known about one day."""

    on: date
    is_working: bool
    source: Source

    @property
    def is_provisional(self) -> bool:
        """Tell whether the year's notice is unpublished, so that the day may still change."""
        return self.source is Source.FALLBACK


@dataclass(frozen=True, slots=True)
class YearTable:
    """One year's notice as the operator entered it.

    `notice` is its source number; `off` and `work` may reach into the last days of the December
    before, as the notices for 2008 and 2019 did.
    """

    year: int
    notice: str
    off: frozenset[date]
    work: frozenset[date]

    def settles(self, on: date) -> bool:
        """Tell whether the notice decides that day."""
        return on.year == self.year or on in self.off or on in self.work

    def is_workday(self, on: date) -> bool:
        """Tell whether the notice makes it a working day."""
        return on in self.work or (on.weekday() < SATURDAY and on not in self.off)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The working days, as far as the operator's tables and the libraries know them.

    Raises `ValueError` for two tables of one year.
    """

    tables: tuple[YearTable, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would make the answer depend on the tables' order."""
        if len({table.year for table in self.tables}) < len(self.tables):
            raise ValueError("two tables for one year")

    def day(self, on: date) -> Day:
        """Return what is known about a day; where two notices decide it, the later year's does."""
        if table := self._table(on):
            return Day(on, table.is_workday(on), Source.OPERATOR)
        published = _published_workdays(on.year)
        if published is None:
            return Day(on, _is_guessed_workday(on), Source.FALLBACK)
        return Day(on, on in published, Source.LIBRARY)

    def is_workday(self, on: date) -> bool:
        """Tell whether people work on that day, provisional or not."""
        return self.day(on).is_working

    def next_workdays(self, after: date, count: int) -> tuple[date, ...]:
        """Return the first `count` working days after a day; the day itself is not among them."""
        return tuple(islice(filter(self.is_workday, _days_from(after, ONE_DAY)), count))

    def earliest_workdays(self, after: date, count: int) -> tuple[date, ...]:
        """Return them as early as a notice still to come could make them."""
        return tuple(islice(filter(self.may_be_workday, _days_from(after, ONE_DAY)), count))

    def add_workdays(self, on: date, count: int) -> date:
        """Return the `count`-th working day after `on`, before it when negative; 0 is `on`."""
        if count == 0:
            return on
        direction = ONE_DAY if count > 0 else -ONE_DAY
        found = filter(self.is_workday, _days_from(on, direction))
        return next(islice(found, abs(count) - 1, None))

    def may_be_workday(self, on: date) -> bool:
        """Tell whether it is a working day or a notice still to come could make it one.

        Beside a statutory day an undecided weekend may become make-up days; the statutory days
        themselves may not.
        """
        day = self.day(on)
        return day.is_working or (day.is_provisional and _is_beside_statutory_day(on))

    def provisional_years(self, after: date, until: date) -> tuple[int, ...]:
        """Return the years that are still unpublished of the days after `after`, up to `until`."""
        span = range(1, (until - after).days + 1)
        days = (self.day(after + ONE_DAY * number) for number in span)
        return tuple(sorted({day.on.year for day in days if day.is_provisional}))

    def table(self, year: int) -> YearTable | None:
        """Return the operator's table of a year."""
        return next((table for table in self.tables if table.year == year), None)

    def source(self, year: int) -> Source:
        """Return where a year's days come from."""
        return self.day(date(year, 7, 1)).source

    def years_missing(self, today: date) -> tuple[int, ...]:
        """Return the unpublished years that are needed: this one, from 1 November the next too."""
        needed = [today.year, today.year + 1][: 2 if today.month >= MISSING_FROM_MONTH else 1]
        return tuple(year for year in needed if self.source(year) is Source.FALLBACK)

    def _table(self, on: date) -> YearTable | None:
        deciding = [table for table in self.tables if table.settles(on)]
        return max(deciding, key=lambda table: table.year, default=None)


@dataclass(frozen=True, slots=True)
class Break:
    """Consecutive rest days that are more than a weekend; `names` of the statutory days in it."""

    first_on: date
    last_on: date
    names: tuple[str, ...]


def days_of(year: int) -> tuple[date, ...]:
    """Return every day of a year."""
    first, beyond = date(year, 1, 1), date(year + 1, 1, 1)
    return tuple(first + ONE_DAY * number for number in range((beyond - first).days))


def makeup_days(calendar: Calendar, year: int) -> tuple[date, ...]:
    """Return the year's weekend days on which people work 调休上班."""
    return tuple(on for on in days_of(year) if on.weekday() >= SATURDAY and calendar.is_workday(on))


def workday_count(calendar: Calendar, year: int) -> int:
    """Return how many working days a year has."""
    return sum(map(calendar.is_workday, days_of(year)))


def breaks(calendar: Calendar, year: int) -> tuple[Break, ...]:
    """Return the year's holidays 放假, each with the weekends that it touches."""
    runs: list[list[date]] = []
    for on in days_of(year):
        if calendar.is_workday(on):
            continue
        if runs and runs[-1][-1] + ONE_DAY == on:
            runs[-1].append(on)
        else:
            runs.append([on])
    return tuple(Break(run[0], run[-1], _names(run)) for run in runs if _is_break(run))


def statutory_days(year: int) -> dict[date, str]:
    """Return the statutory days 法定节假日 and their Chinese names, days in lieu left out."""
    marks = ("补假", "调休")
    return {
        on: name
        for on, name in guessed_rest_days(year).items()
        if not any(mark in name for mark in marks)
    }


@lru_cache(maxsize=64)
def guessed_rest_days(year: int) -> dict[date, str]:
    """Return the days of `holidays` for a year, observed ones included, with their names."""
    # Costs 0.2 s, and is needed only where a year is unpublished or a table is checked.
    import holidays  # noqa: PLC0415

    return dict(holidays.country_holidays("CN", years=year, language="zh_CN").items())


@lru_cache(maxsize=64)
def _published_workdays(year: int) -> frozenset[date] | None:
    # A set for the year: each question to the library searches all of its years for the limits.
    try:
        return frozenset(chinese_calendar.get_workdays(date(year, 1, 1), date(year, 12, 31)))
    except NotImplementedError:
        return None


def _is_guessed_workday(on: date) -> bool:
    return on.weekday() < SATURDAY and on not in guessed_rest_days(on.year)


def _is_beside_statutory_day(on: date) -> bool:
    around = (on - BESIDE_DAYS * ONE_DAY, on + BESIDE_DAYS * ONE_DAY)
    resting = {rest for year in {day.year for day in around} for rest in guessed_rest_days(year)}
    return on not in resting and any(around[0] <= rest <= around[1] for rest in resting)


def _days_from(on: date, step: timedelta) -> Iterator[date]:
    while True:
        on += step
        yield on


def _is_break(run: list[date]) -> bool:
    return any(on.weekday() < SATURDAY for on in run) or bool(_names(run))


def _names(run: list[date]) -> tuple[str, ...]:
    known = statutory_days(run[0].year)
    return tuple(dict.fromkeys(known[on] for on in run if on in known))

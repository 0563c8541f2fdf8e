"""The year table file: the State Council's notice for one year, as the operator types it in.

year: 2027
notice: 国办发明电〔2026〕1号
off:  [2027-01-01..2027-01-03, 2027-04-05]
work: [2027-02-20]
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from pydantic import Field, PlainValidator, StringConstraints, ValidationError

from mailcare.errors import InputError
from mailcare.systems.complaints import Complaint, complaints_of
from mailcare.systems.lines import LineMap, read_yaml
from mailcare.systems.profile import Strict
from mailcare.workdays import (
    ONE_DAY,
    SATURDAY,
    Calendar,
    Source,
    YearTable,
    days_of,
    statutory_days,
    workday_count,
)

FEWEST_WORKDAYS, MOST_WORKDAYS = 245, 252
CARRIED_OVER_DAYS = 7
WEEKDAYS = "一二三四五六日"
SOURCE_NAMES = {
    Source.OPERATOR: "现行年度表",
    Source.LIBRARY: "chinesecalendar 内置的官方安排",
    Source.FALLBACK: "暂行推算（周一至周五，除去法定节假日）",
}
_DAY = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")


@dataclass(frozen=True, slots=True)
class Span:
    """Days from the first to the last, both included."""

    first_on: date
    last_on: date

    def days(self) -> tuple[date, ...]:
        """Return each day."""
        length = (self.last_on - self.first_on).days + 1
        return tuple(self.first_on + ONE_DAY * number for number in range(length))


def _day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value.strip()) if isinstance(value, str) else _no_day()
    except ValueError:
        return _no_day()


def _no_day() -> date:
    raise ValueError("应为日期，例如 2027-01-01")


def _span(value: object) -> Span:
    if not (isinstance(value, str) and ".." in value):
        return Span(_day(value), _day(value))
    first, _, last = value.partition("..")
    span = Span(_day(first), _day(last))
    if span.last_on < span.first_on:
        raise ValueError("起止日期颠倒")
    return span


class YearFile(Strict):
    """The file's shape; what the days mean is checked afterwards."""

    year: Annotated[int, Field(ge=2000, le=2099)]
    notice: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    off: tuple[Annotated[Span, PlainValidator(_span)], ...] = Field(min_length=1)
    work: tuple[Annotated[date, PlainValidator(_day)], ...] = ()


def parse_year_table(text: str, *, name: str) -> YearTable:
    """Read and check a year table; raise `InputError` with every complaint and its line."""
    data, lines = _read(text, name)
    try:
        file = YearFile.model_validate(_with_off(data, lines))
    except ValidationError as error:
        raise InputError(_listed(complaints_of(error), lines), subject=name) from None
    if astray := list(_astray(file)):
        raise InputError(_listed(astray, lines), subject=name)
    table = _table(file)
    if complaints := list(_complaints(file, table)):
        raise InputError(_listed(complaints, lines), subject=name)
    return table


def difference(table: YearTable, known: Calendar) -> str:
    """Say day by day what the table changes against a calendar that does not hold it yet.

    Against `Calendar()` that is the fallback, or the library where it knows the year.
    """
    proposed = Calendar((*(one for one in known.tables if one.year != table.year), table))
    concerned = sorted({*days_of(table.year), *table.off, *table.work})
    changes = [
        f"  {_named(on)}：{_word(known, on)} → {_word(proposed, on)}"
        for on in concerned
        if known.is_workday(on) is not proposed.is_workday(on)
    ]
    totals = f"{workday_count(known, table.year)} → {workday_count(proposed, table.year)}"
    against = SOURCE_NAMES[known.source(table.year)]
    head = f"{table.year} 年（{table.notice}）与{against}相比："
    return "\n".join([f"{head}{len(changes)} 天不同，工作日 {totals} 天", *changes])


def _read(text: str, name: str) -> tuple[object, LineMap]:
    try:
        return read_yaml(text, name=name)
    except InputError:
        # YAML itself reads dates and, for 30 February, does not say on which line.
        if impossible := list(_impossible_days(text)):
            raise InputError("\n".join(["年度表有误：", *impossible]), subject=name) from None
        raise


def _with_off(data: object, lines: LineMap) -> object:
    # YAML 1.1 reads the key `off` as false.
    if not isinstance(data, dict) or ("off",) not in lines.lines:
        return data
    return {"off" if key is False else key: value for key, value in data.items()}


def _impossible_days(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        for year, month, day in _DAY.findall(line.partition("#")[0]):
            try:
                date(int(year), int(month), int(day))
            except ValueError:
                yield f"  第 {number} 行：没有 {year}-{month}-{day} 这一天"


def _table(file: YearFile) -> YearTable:
    off = frozenset(on for span in file.off for on in span.days())
    return YearTable(file.year, file.notice, off, frozenset(file.work))


def _astray(file: YearFile) -> Iterator[Complaint]:
    first = date(file.year, 1, 1) - CARRIED_OVER_DAYS * ONE_DAY
    last = date(file.year, 12, 31)
    ends = [(("off", place), span.first_on, span.last_on) for place, span in enumerate(file.off)]
    days = [(("work", place), on, on) for place, on in enumerate(file.work)]
    for path, earliest, latest in [*ends, *days]:
        if earliest < first or latest > last:
            yield Complaint(path, f"不属于 {file.year} 年（至多涉及上年末 {CARRIED_OVER_DAYS} 天）")


def _complaints(file: YearFile, table: YearTable) -> Iterator[Complaint]:
    yield from _work_complaints(file, table)
    yield from _twice_off(file)
    for on, name in statutory_days(table.year).items():
        if on not in table.off and on.year == table.year:
            yield Complaint(("off",), f"缺少法定节假日 {_named(on)} {name}")
    count = sum(map(table.is_workday, days_of(table.year)))
    if not FEWEST_WORKDAYS <= count <= MOST_WORKDAYS:
        limits = f"{FEWEST_WORKDAYS}—{MOST_WORKDAYS}"
        yield Complaint(("year",), f"全年工作日 {count} 天，不在 {limits} 天之内，请核对")


def _work_complaints(file: YearFile, table: YearTable) -> Iterator[Complaint]:
    for place, on in enumerate(file.work):
        path = ("work", place)
        if on.weekday() < SATURDAY:
            yield Complaint(path, f"{_named(on)} 不是周末，调休上班只能是周六或周日")
        if on in table.off:
            yield Complaint(path, f"{_named(on)} 同时列在 off 中")
        if on in file.work[:place]:
            yield Complaint(path, f"{_named(on)} 重复")


def _twice_off(file: YearFile) -> Iterator[Complaint]:
    seen: set[date] = set()
    for place, span in enumerate(file.off):
        for on in span.days():
            if on in seen:
                yield Complaint(("off", place), f"{_named(on)} 重复")
            seen.add(on)


def _named(on: date) -> str:
    return f"{on.isoformat()}（周{WEEKDAYS[on.weekday()]}）"


def _word(calendar: Calendar, on: date) -> str:
    return "班" if calendar.is_workday(on) else "休"


def _listed(complaints: list[Complaint], lines: LineMap) -> str:
    rows = [f"  第 {lines.line(one.path)} 行 {one}" for one in complaints]
    return "\n".join(["年度表有误：", *rows])

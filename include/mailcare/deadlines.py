"""Deadlines 时限: how long each promise of the contract gives, to the instant.

Moments are aware, UTC inside, and reckoned in the contract's zone. An hour promise is met up to and
with its due moment; a day promise, 「24:00前」, only before it, the next local midnight.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from mailcare.clock import BEIJING
from mailcare.errors import InputError
from mailcare.workdays import ONE_DAY, Calendar

# Outside of these years no calendar knows the statutory days.
FIRST_YEAR, LAST_YEAR = 2000, 2098
VISIT_WORKDAYS = 3


class Level(StrEnum):
    """The level of a fault 故障级别, from the gravest."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"

    @property
    def rank(self) -> int:
        """Return 0 for the gravest, 3 for the lightest."""
        return int(self[1:]) - 1

    @property
    def label(self) -> str:
        """Return the name that the service plan uses."""
        return f"{'一二三四'[self.rank]}级"


# 服务方案第五部分「故障等级设定」
LEVEL_MEANINGS = {
    Level.P1: "现有的网络停机，或对最终用户的业务运作有重大影响",
    Level.P2: "现有网络的操作性能严重降级，或由于网络性能失常严重影响用户业务运作",
    Level.P3: "网络的操作性能受损，但大部分业务运作仍可正常工作",
    Level.P4: "在产品功能、安装或配置方面需要信息或支持，对用户的业务运作几乎没有影响",
}
# What a person chooses from, each level with its meaning beside it.
LEVEL_CHOICES = {str(level): f"{level} {meaning}" for level, meaning in LEVEL_MEANINGS.items()}


class Unit(StrEnum):
    """What a promise is counted in; it decides the boundary too."""

    HOURS = "hours"
    DAYS = "days"


@dataclass(frozen=True, slots=True)
class Promise:
    """How long a resolution may take; exceeding a soft one is 超目标, not 违约."""

    count: int
    unit: Unit
    is_soft: bool = False

    def allowance(self, started_at: datetime, zone: ZoneInfo) -> timedelta:
        """Return the time that it gives from its start: the hours, or up to 24:00 of the last day.

        The day of the start does not count (Civil Code, article 201).
        """
        if self.unit is Unit.HOURS:
            return timedelta(hours=self.count)
        last_on = started_at.astimezone(zone).date() + self.count * ONE_DAY
        return day_end(last_on, zone) - started_at

    def rule(self, level: Level) -> str:
        """Say the promise as the papers print it."""
        if self.unit is Unit.HOURS:
            return (
                f"{level.label}故障：自申报时起{self.count}小时内提供解决方案或经确认有效的替代方法，"
                "节假日与夜间连续计算"
            )
        manner = "目标时限，超过记为超目标" if self.is_soft else "超过即违约"
        last_day = f"其后第{self.count}个自然日24:00前处理完毕"
        return f"{level.label}故障：申报当日不计，{last_day}（{manner}）"


@dataclass(frozen=True, slots=True)
class Terms:
    """The rules of time of one version of the service plan; see `contracts.promises`.

    `resolution` holds one promise a level, P1 first.
    """

    response_minutes: int
    resolution: tuple[Promise, Promise, Promise, Promise]
    report_workdays: int
    report_internal_due: time
    reopen_within_hours: int
    zone: ZoneInfo

    def promise(self, level: Level) -> Promise:
        """Return what is promised for a level."""
        return self.resolution[level.rank]


@dataclass(frozen=True, slots=True)
class Deadline:
    """A deadline and how it was counted.

    `earliest_due_at` is the due moment if a notice still to come makes weekends working days; it
    differs from `due_at` only where that is provisional. Warnings run from it.
    """

    due_at: datetime
    earliest_due_at: datetime
    rule: str
    unit: Unit
    internal_due_at: datetime | None = None
    days: tuple[date, ...] = ()
    provisional_years: tuple[int, ...] = ()

    @property
    def is_provisional(self) -> bool:
        """Tell whether a notice still to come may move it."""
        return bool(self.provisional_years)

    @property
    def note(self) -> str:
        """Return what screen and paper say beside a provisional deadline, nothing otherwise."""
        if not self.provisional_years:
            return ""
        years = "、".join(map(str, self.provisional_years))
        return (
            f"注：本期限涉及尚未公布的{years}年度放假安排，按周一至周五及法定节假日推算，"
            "以国务院办公厅正式通知为准"
        )

    def is_missed(self, at: datetime) -> bool:
        """Tell whether the promise is broken when it is still unmet at that moment."""
        return has_passed(self.due_at, self.unit, at)


@dataclass(frozen=True, slots=True)
class VisitDays:
    """The three working days of an on-site visit 现场巡检 and what speaks against them.

    `rest_days` split them; `objection` is a sentence, and empty when nothing speaks against them.
    """

    days: tuple[date, ...]
    rest_days: tuple[date, ...]
    objection: str
    deadline: Deadline


def report_deadline(handled_at: datetime, calendar: Calendar, *, terms: Terms) -> Deadline:
    """Return until when the report 故障处理报告 must have reached the customer."""
    return _report_deadline(handled_at.astimezone(terms.zone).date(), calendar, terms)


@lru_cache(maxsize=4096)
def _report_deadline(handled_on: date, calendar: Calendar, terms: Terms) -> Deadline:
    days = calendar.next_workdays(handled_on, terms.report_workdays)
    internal_due = datetime.combine(days[-1], terms.report_internal_due, terms.zone)
    return Deadline(
        due_at=day_end(days[-1], terms.zone),
        earliest_due_at=day_end(_earliest(handled_on, days, calendar), terms.zone),
        rule=f"自处理完毕次日起算，第{terms.report_workdays}个工作日24:00前送达",
        unit=Unit.DAYS,
        internal_due_at=internal_due.astimezone(UTC),
        days=days,
        provisional_years=calendar.provisional_years(handled_on, days[-1]),
    )


def resolution_deadline(level: Level, declared_at: datetime, *, terms: Terms) -> Deadline:
    """Return until when a fault must be handled, with no pause in between."""
    promise = terms.promise(level)
    due_at = declared_at.astimezone(UTC) + promise.allowance(declared_at, terms.zone)
    declared_on = declared_at.astimezone(terms.zone).date()
    counted = range(1, promise.count + 1) if promise.unit is Unit.DAYS else ()
    return Deadline(
        due_at=due_at,
        earliest_due_at=due_at,
        rule=promise.rule(level),
        unit=promise.unit,
        days=tuple(declared_on + number * ONE_DAY for number in counted),
    )


def legal_latest_on(last_on: date, calendar: Calendar) -> date:
    """Return the day to which a last day that is a rest day moves (Civil Code, article 203)."""
    return calendar.next_workdays(last_on - ONE_DAY, 1)[0]


def visit_days(start: date, calendar: Calendar) -> VisitDays:
    """Return the working days of a visit that begins on `start`, and what speaks against it."""
    eve = start - ONE_DAY
    days = calendar.next_workdays(eve, VISIT_WORKDAYS)
    rest_days = _rest_days(start, days)
    deadline = Deadline(
        due_at=day_end(days[-1], BEIJING),
        earliest_due_at=day_end(_earliest(eve, days, calendar), BEIJING),
        rule=f"现场巡检为连续{VISIT_WORKDAYS}个工作日，起始日计入",
        unit=Unit.DAYS,
        days=days,
        provisional_years=calendar.provisional_years(eve, days[-1]),
    )
    return VisitDays(days, rest_days, _objection(start, days, rest_days), deadline)


def next_visit_start(after: date, calendar: Calendar) -> date:
    """Return the first day after `after` on which a visit can begin and run without rest days."""
    start = after + ONE_DAY
    while visit_days(start, calendar).objection:
        start += ONE_DAY
    return start


def has_passed(due_at: datetime, unit: Unit, at: datetime) -> bool:
    """Tell whether a promise that is unmet at `at` is broken: hours after it, days from it on."""
    return at >= due_at if unit is Unit.DAYS else at > due_at


@lru_cache(maxsize=4096)
def day_end(on: date, zone: ZoneInfo) -> datetime:
    """Return 24:00 of a local day."""
    return datetime.combine(on + ONE_DAY, time.min, zone).astimezone(UTC)


def midnight_from(at: datetime, zone: ZoneInfo) -> datetime:
    """Return the next local midnight; a midnight stays."""
    local = at.astimezone(zone)
    return at if local.time() == time.min else day_end(local.date(), zone)


def read_moment(text: object) -> datetime:
    """Read an ISO 8601 moment with its zone; raise `InputError` for anything else."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        at = None
    if at is None:
        raise InputError("不是 ISO 8601 时间，例如 2026-02-11T16:00:00+08:00")
    if at.utcoffset() is None:
        raise InputError("时间必须带时区，例如 2026-02-11T16:00:00+08:00")
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise InputError(f"时间须在 {FIRST_YEAR} 至 {LAST_YEAR} 年之间")
    return at.astimezone(UTC)


def _earliest(after: date, days: tuple[date, ...], calendar: Calendar) -> date:
    if not calendar.provisional_years(after, days[-1]):
        return days[-1]
    return calendar.earliest_workdays(after, len(days))[-1]


def _rest_days(start: date, days: tuple[date, ...]) -> tuple[date, ...]:
    span = range((days[-1] - start).days + 1)
    return tuple(on for number in span if (on := start + number * ONE_DAY) not in days)


def _objection(start: date, days: tuple[date, ...], rest_days: tuple[date, ...]) -> str:
    if start not in days:
        return f"{start} 不是工作日，不能作为现场巡检的起始日"
    if rest_days:
        names = "、".join(day.isoformat() for day in days)
        return f"{names} 被休息日隔开，不是连续的{VISIT_WORKDAYS}个工作日；须客户同意并记录在案"
    return ""

"""Bring a fault's events into order, and refuse an order in which they cannot have happened."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import singledispatch

from mailcare.deadlines import Level, Terms
from mailcare.faults.events import (
    Cancelled,
    Change,
    Declared,
    Event,
    Handled,
    LevelChanged,
    Merged,
    Paused,
    Refused,
    Remedy,
    Reopened,
    ReportReturned,
    ReportSent,
    Resumed,
    Signed,
)


@dataclass(slots=True)
class Course:
    """How far a fault has come: what decides which event may follow; each event changes it.

    `has_fix` says that a handled fault needs no further handling; `reports_sent` are the moments of
    those that did not come back.
    """

    level: Level | None = None
    is_paused: bool = False
    is_handled: bool = False
    has_fix: bool = False
    last_handled_at: datetime | None = None
    reports_sent: list[datetime] = field(default_factory=list)
    is_closed: bool = False


def in_order(events: Sequence[Event], terms: Terms, *, now: datetime) -> tuple[Event, ...]:
    """Return the events up to and with `now`, by time and in UTC; equal times keep their order.

    A report that came back is left out with its sending: it is as if it had never been sent.
    Raises `Refused` with the event's place in the given order. Times without a zone are refused
    first, in the given order, those after `now` included.
    """
    for index, event in enumerate(events):
        if event.at.utcoffset() is None:
            raise Refused("时间必须带时区", index=index)
    placed = [(index, _in_utc(event)) for index, event in enumerate(events)]
    placed = sorted((one for one in placed if one[1].at <= now), key=lambda one: one[1].at)
    if not placed:
        raise Refused("没有任何事件" if not events else "在所问时刻之前没有任何事件")
    course = Course()
    for index, event in placed:
        if objection := _objection(course, event, terms):
            raise Refused(objection, index=index)
        _take(event, course)
    return _that_hold([event for _, event in placed])


def _that_hold(events: list[Event]) -> tuple[Event, ...]:
    held = list(events)
    for event in events:
        if isinstance(event, ReportReturned):
            held.remove(event)
            held.remove(ReportSent(at=event.sent_at))
    return tuple(held)


def _in_utc(event: Event) -> Event:
    return event if event.at.tzinfo is UTC else replace(event, at=event.at.astimezone(UTC))


def _objection(course: Course, event: Event, terms: Terms) -> str:
    if course.level is None and not isinstance(event, Declared):
        return "第一个事件必须是申报"
    if course.is_closed and not isinstance(event, ReportSent | ReportReturned | Signed):
        return "故障已撤销或合并，此后只能登记报告送达、退回和客户签字"
    return _against(event, course, terms)


@singledispatch
def _against(_event: Event, _course: Course, _terms: Terms) -> str:
    return ""


@_against.register
def _(_event: Declared, course: Course, _terms: Terms) -> str:
    return "故障已申报，不能再次申报" if course.level else ""


@_against.register
def _(_event: Paused, course: Course, _terms: Terms) -> str:
    if course.is_paused:
        return "故障已在暂停中，不能再次暂停"
    return "故障已处理完成，不能暂停" if course.is_handled else ""


@_against.register
def _(_event: Resumed, course: Course, _terms: Terms) -> str:
    return "" if course.is_paused else "故障不在暂停中，不能恢复"


@_against.register
def _(event: LevelChanged, course: Course, _terms: Terms) -> str:
    if event.level is course.level:
        return f"级别已经是 {event.level}，没有变更"
    if event.why is not Change.WORSENED:
        return ""
    if course.level and event.level.rank > course.level.rank:
        return f"情况恶化不能把级别由 {course.level} 降为 {event.level}"
    return "故障已处理完成，不能再恶化；再次出现请重新打开" if course.is_handled else ""


@_against.register
def _(event: Handled, course: Course, _terms: Terms) -> str:
    if not course.is_handled:
        return ""
    if course.has_fix or event.kind is not Remedy.FIX:
        return "故障已处理完成；替代方法之后只能再登记一次彻底解决"
    return ""


@_against.register
def _(event: Reopened, course: Course, terms: Terms) -> str:
    if not course.is_handled or course.last_handled_at is None:
        return "故障未处理完成，不能重新打开"
    if event.at - course.last_handled_at > timedelta(hours=terms.reopen_within_hours):
        return f"处理完成已超过 {terms.reopen_within_hours} 小时，应登记为新的关联故障"
    return ""


@_against.register
def _(_event: ReportSent, course: Course, _terms: Terms) -> str:
    return "" if course.last_handled_at else "故障尚未处理完成，不能登记报告送达"


@_against.register
def _(event: ReportReturned, course: Course, _terms: Terms) -> str:
    return "" if event.sent_at in course.reports_sent else "所指时刻没有报告送达，不能登记退回"


@_against.register
def _(_event: Signed, course: Course, _terms: Terms) -> str:
    return "" if course.reports_sent else "报告尚未送达，不能登记客户签字"


@singledispatch
def _take(_event: Event, _course: Course) -> None:
    """Let an event change how far the fault has come."""


@_take.register
def _(event: Declared | LevelChanged, course: Course) -> None:
    course.level = event.level


@_take.register
def _(_event: Paused, course: Course) -> None:
    course.is_paused = True


@_take.register
def _(_event: Resumed, course: Course) -> None:
    course.is_paused = False


@_take.register
def _(event: Handled, course: Course) -> None:
    course.is_paused = False
    course.is_handled = True
    course.has_fix = event.kind is Remedy.FIX
    course.last_handled_at = event.at


@_take.register
def _(_event: Reopened, course: Course) -> None:
    course.is_handled = False
    course.has_fix = False


@_take.register
def _(event: ReportSent, course: Course) -> None:
    course.reports_sent.append(event.at)


@_take.register
def _(event: ReportReturned, course: Course) -> None:
    course.reports_sent.remove(event.sent_at)


@_take.register
def _(_event: Cancelled | Merged, course: Course) -> None:
    course.is_closed = True

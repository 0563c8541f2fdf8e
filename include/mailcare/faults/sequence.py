"""Bring a fault's events into order, and refuse an order in which they cannot have happened."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

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
    placed = [(index, one) for index, one in enumerate(map(_in_utc, events)) if one.at <= now]
    if not placed:
        raise Refused("没有任何事件" if not events else "在所问时刻之前没有任何事件")
    placed.sort(key=lambda one: one[1].at)
    course = Course()
    for index, event in placed:
        if objection := _take(event, course, terms):
            raise Refused(objection, index=index)
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


def _take(event: Event, course: Course, terms: Terms) -> str:
    """Let an event change how far the fault has come; return what speaks against it, if anything.

    A course that an event was refused on is of no further use.
    """
    if course.level is None and not isinstance(event, Declared):
        return "第一个事件必须是申报"
    if course.is_closed and not isinstance(event, AFTER_CLOSING):
        return "故障已撤销或合并，此后只能登记报告送达、退回和客户签字"
    taken = TAKEN.get(type(event))
    return taken(event, course, terms) if taken else ""


def _declared(event: Declared, course: Course, _terms: Terms) -> str:
    if course.level:
        return "故障已申报，不能再次申报"
    course.level = event.level
    return ""


def _paused(_event: Paused, course: Course, _terms: Terms) -> str:
    if course.is_paused:
        return "故障已在暂停中，不能再次暂停"
    if course.is_handled:
        return "故障已处理完成，不能暂停"
    course.is_paused = True
    return ""


def _resumed(_event: Resumed, course: Course, _terms: Terms) -> str:
    if not course.is_paused:
        return "故障不在暂停中，不能恢复"
    course.is_paused = False
    return ""


def _level_changed(event: LevelChanged, course: Course, _terms: Terms) -> str:
    if event.level is course.level:
        return f"级别已经是 {event.level}，没有变更"
    is_lighter = course.level is not None and event.level.rank > course.level.rank
    if event.why is Change.WORSENED and is_lighter:
        return f"情况恶化不能把级别由 {course.level} 降为 {event.level}"
    if event.why is Change.WORSENED and course.is_handled:
        return "故障已处理完成，不能再恶化；再次出现请重新打开"
    course.level = event.level
    return ""


def _handled(event: Handled, course: Course, _terms: Terms) -> str:
    if course.is_handled and (course.has_fix or event.kind is not Remedy.FIX):
        return "故障已处理完成；替代方法之后只能再登记一次彻底解决"
    course.is_paused = False
    course.is_handled = True
    course.has_fix = event.kind is Remedy.FIX
    course.last_handled_at = event.at
    return ""


def _reopened(event: Reopened, course: Course, terms: Terms) -> str:
    if not course.is_handled or course.last_handled_at is None:
        return "故障未处理完成，不能重新打开"
    if event.at - course.last_handled_at > timedelta(hours=terms.reopen_within_hours):
        return f"处理完成已超过 {terms.reopen_within_hours} 小时，应登记为新的关联故障"
    course.is_handled = False
    course.has_fix = False
    return ""


def _report_sent(event: ReportSent, course: Course, _terms: Terms) -> str:
    if course.last_handled_at is None:
        return "故障尚未处理完成，不能登记报告送达"
    course.reports_sent.append(event.at)
    return ""


def _report_returned(event: ReportReturned, course: Course, _terms: Terms) -> str:
    if event.sent_at not in course.reports_sent:
        return "所指时刻没有报告送达，不能登记退回"
    course.reports_sent.remove(event.sent_at)
    return ""


def _signed(_event: Signed, course: Course, _terms: Terms) -> str:
    return "" if course.reports_sent else "报告尚未送达，不能登记客户签字"


def _closed(_event: Cancelled | Merged, course: Course, _terms: Terms) -> str:
    course.is_closed = True
    return ""


AFTER_CLOSING = (ReportSent, ReportReturned, Signed)
# What is not among them may happen at any time, and changes nothing.
TAKEN: Mapping[type[Event], Callable[[Any, Course, Terms], str]] = {
    Declared: _declared,
    Paused: _paused,
    Resumed: _resumed,
    LevelChanged: _level_changed,
    Handled: _handled,
    Reopened: _reopened,
    ReportSent: _report_sent,
    ReportReturned: _report_returned,
    Signed: _signed,
    Cancelled: _closed,
    Merged: _closed,
}

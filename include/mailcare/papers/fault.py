"""The content of the 故障处理报告: the form of the service plan's annex 3, then how time was kept.

A text that would push the signatures off the first page stands whole in an annex.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailcare.clock import BEIJING
from mailcare.deadlines import Level, Terms, report_deadline
from mailcare.faults.clocks import Clock, Kind, State
from mailcare.faults.events import (
    Accepted,
    Cancelled,
    Change,
    Event,
    FirstContact,
    Handled,
    LevelChanged,
    Merged,
    Paused,
    Reopened,
    Resumed,
)
from mailcare.faults.wording import KIND_TITLES, REASON_TITLES, WORD_TITLES, duration, state_title
from mailcare.papers.document import Document, Json
from mailcare.papers.formats import BLANK, columns
from mailcare.workdays import Calendar

TEMPLATE, TEMPLATE_VERSION = "fault/report.html", 1
TITLE = "故障处理报告"
# What fits into a field of the form, so that the form keeps to one page.
LINE_COLUMNS = 74
LINES_MOST = 6
CHANGE_RULES = {
    Change.WORSENED: "情况恶化：自变更时起按新级别重新计时；原级别的时限尚未超过的，不晚于它",
    Change.MISCLASSIFIED: (
        "定级更正：自原起算时刻起按更正后的级别推算；原时限尚未超过的，不晚于它，客户同意降级的除外"
    ),
}
PAUSE_ENDS = (Resumed, Handled, Cancelled, Merged)


@dataclass(frozen=True, slots=True)
class Case:
    """A fault as it was declared."""

    number: str
    customer: str
    system: str
    contact: str
    contact_details: str
    place: str
    description: str
    is_outside_contract: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What the engineer wrote; `occurred_at` is None where nobody knows, texts may be empty.

    `edition` counts the reports of this fault that went out, this one included; `why_again` says
    why there is another one.
    """

    method: str
    degree: str
    lessons: str
    opinions: str
    occurred_at: datetime | None = None
    edition: int = 1
    why_again: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    """What happened, in order of time, and the clocks derived of it."""

    events: Sequence[Event]
    clocks: Sequence[Clock]
    terms: Terms
    calendar: Calendar


def fault_report(case: Case, written: Written, course: Course, *, vendor: str) -> Document:
    """Return the report; the last `handled` among the events is the one that it tells of."""
    handled = [one for one in course.events if isinstance(one, Handled)][-1]
    fields, annexes = _long_texts(
        {
            "故障描述": case.description,
            "处理方法": written.method,
            "处理程度": written.degree,
            "经验总结": written.lessons,
            "用户意见与建议": written.opinions,
        }
    )
    content: dict[str, Json] = {
        "title": TITLE,
        "customer": case.customer,
        "system": case.system,
        "vendor": vendor,
        "finished_at": handled.at.isoformat(),
        "edition": written.edition,
        "why_again": written.why_again,
        "contact": f"{case.contact}　{case.contact_details}".strip(),
        "place": "" if case.place == BLANK else case.place,
        "occurred_at": _iso(written.occurred_at),
        "levels": list(Level),
        "level": _level(course),
        "declared_at": course.events[0].at.isoformat(),
        "accepted_at": _iso(_first(course.events, Accepted)),
        "is_outside_contract": case.is_outside_contract,
        "fields": fields,
        "annexes": annexes,
    }
    return Document(case.number, TEMPLATE, TEMPLATE_VERSION, content | _time_kept(course, handled))


def _time_kept(course: Course, handled: Handled) -> dict[str, Json]:
    deadline = report_deadline(handled.at, course.calendar, terms=course.terms)
    return {
        "first_contact_at": _iso(_first(course.events, FirstContact)),
        "handled_at": handled.at.isoformat(),
        "remedy": WORD_TITLES[handled.kind],
        "clocks": [_clock(one) for one in course.clocks],
        "breaches": list(_breaches(course.clocks)),
        "holds": list(_holds(course.events)),
        "rules": list(_rules(course)),
        "report_rule": deadline.rule,
        "provisional": deadline.note,
    }


def _rules(course: Course) -> Iterator[str]:
    minutes = course.terms.response_minutes
    yield f"响应：自申报时起{minutes}分钟内与客户取得联系，7×24×365，不因任何原因暂停"
    levels = dict.fromkeys(one.level for one in course.clocks if one.clock is Kind.RESOLUTION)
    for level in levels:
        yield f"处理：{course.terms.promise(level).rule(level)}"
    changes = {one.why for one in course.events if isinstance(one, LevelChanged)}
    yield from (rule for why, rule in CHANGE_RULES.items() if why in changes)


def _level(course: Course) -> str:
    return [one for one in course.clocks if one.clock is Kind.RESOLUTION][-1].level


def _clock(clock: Clock) -> dict[str, Json]:
    # Of the clock that waits for this very report only start and end are known.
    is_over = clock.stopped_at is not None
    return {
        "title": f"{KIND_TITLES[clock.clock]}（{clock.level}）",
        "started_at": clock.started_at.isoformat(),
        "due_at": _iso(clock.due_at),
        "stopped_at": _iso(clock.stopped_at) if is_over else "",
        "gross": duration(clock.gross_s) if is_over else "",
        "net": duration(clock.net_s) if is_over else "",
        "state": _state(clock) if is_over or clock.breached_at else "",
        "is_provisional": clock.is_provisional,
    }


def _state(clock: Clock) -> str:
    if clock.breached_at and clock.state is not State.LATE:
        return f"{state_title(clock)}，曾超时"
    return state_title(clock)


def _breaches(clocks: Sequence[Clock]) -> Iterator[dict[str, Json]]:
    for one in clocks:
        if one.breached_at:
            word = "超目标" if one.is_soft else "违约"
            title = f"{KIND_TITLES[one.clock]}（{one.level}）{word}"
            yield {"title": title, "at": one.breached_at.isoformat()}


def _holds(events: Sequence[Event]) -> Iterator[dict[str, Json]]:
    """Yield what no resolution clock counts: pauses, and the times from handled to reopened."""
    since: tuple[datetime, str] | None = None
    for one in events:
        if since and isinstance(one, (*PAUSE_ENDS, Reopened)):
            yield _hold(*since, one.at)
            since = None
        if isinstance(one, Paused):
            since = one.at, REASON_TITLES[one.reason]
        elif isinstance(one, Handled) and _is_reopened_later(events, one):
            since = one.at, "处理完成至重新打开"


def _is_reopened_later(events: Sequence[Event], handled: Handled) -> bool:
    later = events[list(events).index(handled) + 1 :]
    ends = (one for one in later if isinstance(one, Handled | Reopened))
    return isinstance(next(ends, None), Reopened)


def _hold(started_at: datetime, reason: str, ended_at: datetime) -> dict[str, Json]:
    length = duration((ended_at - started_at).total_seconds())
    return {
        "reason": reason,
        "started_at": started_at.isoformat(),
        "ended_at": ended_at.isoformat(),
        "length": length,
    }


def _long_texts(texts: dict[str, str]) -> tuple[list[Json], list[Json]]:
    """Return the form's fields, and as annexes the texts that are too long for it."""
    fields: list[Json] = []
    annexes: list[Json] = []
    for label, text in texts.items():
        if _lines(text) <= LINES_MOST:
            fields.append({"label": label, "text": text})
            continue
        annexes.append({"label": label, "text": text})
        head = _head(text, LINES_MOST - 1)
        fields.append({"label": label, "text": f"{head}\n（全文见附件{len(annexes)}）"})
    return fields, annexes


def _lines(text: str) -> int:
    return sum(max(1, -(-columns(line) // LINE_COLUMNS)) for line in text.splitlines())


def _head(text: str, lines_most: int) -> str:
    """Return as much of a text as fits into so many lines, with the cut marked."""
    kept = ""
    for character in text:
        if _lines(f"{kept}{character}…") > lines_most:
            break
        kept += character
    return f"{kept.rstrip()}…"


def _first(events: Sequence[Event], kind: type[Event]) -> datetime | None:
    return next((one.at for one in events if isinstance(one, kind)), None)


def _iso(at: datetime | None) -> str:
    return at.astimezone(BEIJING).isoformat() if at else ""

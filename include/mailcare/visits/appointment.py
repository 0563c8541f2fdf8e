"""The appointment of a visit 现场巡检: what may happen to it, when, and at whose word. Pure.

A visit keeps its history: an act is an event, the state follows from the last one. Only the acts of
`NEXT` exist; everything else is refused with a sentence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from mailcare.deadlines import VisitDays, next_visit_start, visit_days
from mailcare.errors import InputError
from mailcare.workdays import ONE_DAY, Calendar

SUGGESTED_STARTS = 3


class State(StrEnum):
    """How far a visit has come."""

    OPEN = "open"
    PROPOSED = "proposed"
    COUNTERED = "countered"
    CONFIRMED = "confirmed"
    STARTED = "started"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


class Act(StrEnum):
    """What happens to a visit."""

    PROPOSE = "propose"
    COUNTER = "counter"
    CONFIRM = "confirm"
    MOVE = "move"
    CANCEL = "cancel"
    MISS = "miss"
    START = "start"
    COMPLETE = "complete"


class Party(StrEnum):
    """At whose word it happens, whoever writes it down: a phone call may be entered by us."""

    CUSTOMER = "customer"
    VENDOR = "vendor"


BOTH = frozenset(Party)
CUSTOMER = frozenset({Party.CUSTOMER})
VENDOR = frozenset({Party.VENDOR})
OVER = frozenset({State.CANCELLED, State.NO_SHOW})  # may be taken up again by a new proposal
NEXT: Mapping[tuple[State, Act], tuple[State, frozenset[Party]]] = {
    **{
        (state, Act.PROPOSE): (State.PROPOSED, VENDOR)
        for state in (State.OPEN, State.PROPOSED, State.COUNTERED, *sorted(OVER))
    },
    (State.PROPOSED, Act.COUNTER): (State.COUNTERED, CUSTOMER),
    (State.PROPOSED, Act.CONFIRM): (State.CONFIRMED, CUSTOMER),
    (State.COUNTERED, Act.CONFIRM): (State.CONFIRMED, VENDOR),
    (State.CONFIRMED, Act.MOVE): (State.CONFIRMED, BOTH),
    (State.CONFIRMED, Act.MISS): (State.NO_SHOW, BOTH),
    (State.CONFIRMED, Act.START): (State.STARTED, VENDOR),
    (State.STARTED, Act.COMPLETE): (State.COMPLETED, VENDOR),
    **{
        (state, Act.CANCEL): (State.CANCELLED, BOTH)
        for state in (
            State.OPEN, State.PROPOSED, State.COUNTERED, State.CONFIRMED, State.STARTED,
        )
    },
}  # fmt: skip
STATE_TITLES: Mapping[State, str] = {
    State.OPEN: "待提出日期",
    State.PROPOSED: "待客户答复",
    State.COUNTERED: "客户另提日期",
    State.CONFIRMED: "已约定",
    State.STARTED: "现场进行中",
    State.COMPLETED: "已完成",
    State.CANCELLED: "已取消",
    State.NO_SHOW: "未成行",
}
ACT_TITLES: Mapping[Act, str] = {
    Act.PROPOSE: "提出日期",
    Act.COUNTER: "客户另提日期",
    Act.CONFIRM: "约定日期",
    Act.MOVE: "改期",
    Act.CANCEL: "取消",
    Act.MISS: "登记未成行",
    Act.START: "开始",
    Act.COMPLETE: "完成",
}


def next_state(state: State, act: Act, party: Party) -> State:
    """Return the state after an act; raise `InputError` for one that cannot be or is not theirs."""
    found = NEXT.get((state, act))
    if found is None:
        raise InputError(f"{STATE_TITLES[state]}的现场巡检不能{ACT_TITLES[act]}")
    after, parties = found
    if party not in parties:
        whose = "客户" if party is Party.VENDOR else "我方"
        raise InputError(f"{STATE_TITLES[state]}的现场巡检须由{whose}{ACT_TITLES[act]}")
    return after


def acts_of(state: State) -> frozenset[Act]:
    """Return what can happen to a visit in a state."""
    return frozenset(act for before, act in NEXT if before is state)


@dataclass(frozen=True, slots=True)
class Window:
    """The days in which a visit may lie: from `first_on` to `last_on`, both in it."""

    first_on: date
    last_on: date


def checked_days(
    start: date, calendar: Calendar, window: Window, *, split_agreed_by: str = ""
) -> VisitDays:
    """Return the three working days from a first day on; raise `InputError` for what cannot be.

    Days that rest days split need the customer's agreement: who gave it, in words. A first day that
    is a rest day is refused whoever agrees.
    """
    said = f"{window.first_on} 至 {window.last_on}"
    if start == date.min or start > window.last_on:  # at both ends of time no days can be counted
        raise InputError(f"{start} 不在可安排的日期内（{said}）")
    found = visit_days(start, calendar)
    if start not in found.days or (found.objection and not split_agreed_by):
        raise InputError(found.objection)
    if not window.first_on <= start or found.days[-1] > window.last_on:
        raise InputError(f"{_listed(found.days)} 不在可安排的日期内（{said}）")
    return found


def suggested_starts(due_on: date, calendar: Calendar, window: Window) -> tuple[date, ...]:
    """Return first days to propose, from the due day on, as far as the window reaches."""
    starts: list[date] = []
    after = max(due_on, window.first_on) - ONE_DAY
    while len(starts) < SUGGESTED_STARTS:
        after = next_visit_start(after, calendar)
        if visit_days(after, calendar).days[-1] > window.last_on:
            break
        starts.append(after)
    return tuple(starts)


def refuse_early_start(start: date, *, today: date) -> None:
    """Raise `InputError` before the first day."""
    if today < start:
        raise InputError(f"约定自 {start} 开始，今天是 {today}，不能提前登记开始；请先改期")


def _listed(days: tuple[date, ...]) -> str:
    return "、".join(day.isoformat() for day in days)

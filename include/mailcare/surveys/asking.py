"""When a customer is asked, reminded and no longer asked; who may write the answer down. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from mailcare.staff.logins import login_key
from mailcare.workdays import Calendar

REMINDERS_AFTER_WORKDAYS = (3, 6)  # own experience: a week passes between the first and the last
EXPIRES_AFTER_WORKDAYS = 10
OWN_MARKS = "处理该服务的工程师不能登记自己的评价，请由客服或他人登记"
UNKNOWN_ENGINEER = "该服务由哪位工程师处理没有记录，工程师均不能登记其评价，请由客服或主管登记"
USUAL_HOURS = "工作日 9:00–11:30、14:00–17:00"


class CaseKind(StrEnum):
    """What the customer is asked about."""

    VISIT = "visit"
    INSPECTION = "inspection"
    FAULT = "fault"
    REMOTE_SUPPORT = "remote_support"


@dataclass(frozen=True, slots=True)
class EndedCase:
    """A piece of work that has ended, and about which its customer is asked once a version.

    `case_id` is the row's id in its own area, `case_version` goes up when the case is reopened.
    `handled_by` are the logins of who worked on it; none of them may record the answer, and no
    engineer at all may where none is among them. `subject`
    names the case to people (GZ-2026-00001 …), `description` and `outcome` stand on the form as
    故障说明 and 服务完成情况. Without `contact` the customer's own contacts are looked through.
    """

    case_kind: CaseKind
    case_id: int
    case_version: int
    customer: int
    handled_by: tuple[str, ...]
    subject: str
    description: str
    outcome: str
    started_at: datetime
    finished_at: datetime
    system: int | None = None
    contact: str = ""
    phone: str = ""


class Step(StrEnum):
    """What is due for a survey that nobody has answered."""

    REMIND = "remind"
    EXPIRE = "expire"


def step_due(asked_on: date, reminders: int, calendar: Calendar, *, today: date) -> Step | None:
    """Return what is due on a day; nothing on a rest day, for nobody is called then.

    At most two reminders, whatever days were missed: each counts from the day of asking.
    """
    if not calendar.is_workday(today):
        return None
    if today >= calendar.add_workdays(asked_on, EXPIRES_AFTER_WORKDAYS):
        return Step.EXPIRE
    if reminders >= len(REMINDERS_AFTER_WORKDAYS):
        return None
    due_on = calendar.add_workdays(asked_on, REMINDERS_AFTER_WORKDAYS[reminders])
    return Step.REMIND if today >= due_on else None


def why_not(recorder: str, handled_by: Collection[str], engineers: Collection[str]) -> str:
    """Return why somebody may not record what a case's customer said; empty where they may.

    Nobody writes down their own marks. `engineers` are the logins of the staff list's engineers:
    where none of them is known to have handled the case, it may be any of them.
    """
    who, handled, known = login_key(recorder), _keys(handled_by), _keys(engineers)
    if who in handled:
        return OWN_MARKS
    return UNKNOWN_ENGINEER if who in known and not known & handled else ""


def _keys(logins: Collection[str]) -> frozenset[str]:
    return frozenset(map(login_key, logins))

"""When a customer is asked, reminded and no longer asked; who may write the answer down. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from mailcare.workdays import Calendar

REMINDERS_AFTER_WORKDAYS = (3, 6)  # own experience: a week passes between the first and the last
EXPIRES_AFTER_WORKDAYS = 10
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
    `handled_by` are the logins of the engineers; none of them may record the answer. `subject`
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


def is_partial(recorder: str, handled_by: Collection[str]) -> bool:
    """Tell whether the recorder handled the case: nobody writes down their own marks."""
    return recorder in handled_by

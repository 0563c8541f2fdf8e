"""End a visit: judge what was found, and ask its customer about the case."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.errors import InputError
from mailcare.inspection import onsite as inspecting
from mailcare.inspection.check import Reply
from mailcare.inspection.onsite import Standing
from mailcare.records.visits import Visit, VisitAct, VisitEvent, VisitState, VisitWay
from mailcare.staff.roles import FIELD, holders
from mailcare.surveys.asking import CaseKind, EndedCase
from mailcare.surveys.steps import open_survey
from mailcare.visits.appointing import Deed, Word, do
from mailcare.visits.appointment import Act, Party
from mailcare.visits.entries import TOPIC_TITLES, missing_to_complete
from mailcare.visits.onsite import (
    days_written,
    entries_of,
    refuse_unstarted,
    trainings_of,
    writers_of,
)
from mailcare.visits.writing import customer_of, system_of

DESCRIPTION = "现场巡检（硬件设备运行情况、系统整体性能运行分析、用户技术人员培训与交流）"


def complete(session: Session, visit: Visit, *, by: str, at: datetime) -> None:
    """End the three days: what was found is judged, the entitlement used, the customer asked.

    Raise `InputError` that lists what is still missing. Safe to run twice.
    """
    if visit.state is VisitState.COMPLETED:
        return
    refuse_unstarted(visit)
    inspection = inspecting.open_inspection(session, visit.service_id)
    found = inspecting.standing(session, inspection)
    _refuse_incomplete(session, visit, found)
    inspecting.conclude(session, inspection, found, at=at)
    word = Word(Party.VENDOR, VisitWay.CONSOLE, by, by)
    do(session, visit, Deed(Act.COMPLETE, word), at=at)
    open_survey(session, ended_case(session, visit), at=at)


def _refuse_incomplete(session: Session, visit: Visit, found: Standing) -> None:
    told = [ask for ask, one in found.answers.items() if isinstance(one, Reply)]
    topics = {one.topic for one in trainings_of(session, visit)}
    days = days_written(found.plan, told)
    if missing := missing_to_complete(days_written=days, topics=topics):
        raise InputError("；".join(missing), subject=visit.number)


def ended_case(session: Session, visit: Visit) -> EndedCase:
    """Return what the survey's sheet is filled in with, all but scores and comments."""
    system = system_of(session, visit)
    return EndedCase(
        case_kind=CaseKind.VISIT,
        case_id=visit.id,
        case_version=1,
        customer=customer_of(session, visit).id,
        handled_by=_handled_by(session, visit),
        subject=visit.number,
        description=f"{system.title}：{DESCRIPTION}",
        outcome=_outcome(session, visit),
        started_at=moment_of(session, visit, VisitAct.START),
        finished_at=moment_of(session, visit, VisitAct.COMPLETE),
        system=system.id,
    )


def _handled_by(session: Session, visit: Visit) -> tuple[str, ...]:
    """Return the logins of the engineer, and of all field staff who wrote down what they did."""
    inspection = inspecting.open_inspection(session, visit.service_id)
    wrote = writers_of(session, visit) | inspecting.observers(session, inspection)
    return tuple(dict.fromkeys((visit.engineer, *sorted(wrote & holders(session, FIELD).keys()))))


def moment_of(session: Session, visit: Visit, act: VisitAct) -> datetime:
    """Return when an act happened last."""
    events = select(VisitEvent.at).where(VisitEvent.visit_id == visit.id, VisitEvent.act == act)
    return session.scalars(events.order_by(VisitEvent.ordinal.desc()).limit(1)).one()


def _outcome(session: Session, visit: Visit) -> str:
    topics = "、".join(TOPIC_TITLES[one.topic] for one in trainings_of(session, visit))
    done = entries_of(session, visit).get("done", "")
    return "；".join(part for part in ("三日巡检完成", f"培训：{topics}", done) if part)

"""What a completed visit hands on: the case that its customer is asked about."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.records.visits import Visit, VisitAct, VisitEvent
from mailcare.surveys.asking import CaseKind, EndedCase
from mailcare.visits.entries import TOPIC_TITLES
from mailcare.visits.onsite import entries_of, trainings_of
from mailcare.visits.writing import customer_of, system_of

DESCRIPTION = "现场巡检（硬件设备运行情况、系统整体性能运行分析、用户技术人员培训与交流）"


def ended_case(session: Session, visit: Visit) -> EndedCase:
    """Return what the survey's sheet is filled in with, all but scores and comments."""
    system = system_of(session, visit)
    return EndedCase(
        case_kind=CaseKind.VISIT,
        case_id=visit.id,
        case_version=1,
        customer=customer_of(session, visit).id,
        handled_by=(visit.engineer,),
        subject=visit.number,
        description=f"{system.title}：{DESCRIPTION}",
        outcome=_outcome(session, visit),
        started_at=moment_of(session, visit, VisitAct.START),
        finished_at=moment_of(session, visit, VisitAct.COMPLETE),
        system=system.id,
    )


def moment_of(session: Session, visit: Visit, act: VisitAct) -> datetime:
    """Return when an act happened last."""
    events = select(VisitEvent.at).where(VisitEvent.visit_id == visit.id, VisitEvent.act == act)
    return session.scalars(events.order_by(VisitEvent.ordinal.desc()).limit(1)).one()


def _outcome(session: Session, visit: Visit) -> str:
    topics = "、".join(TOPIC_TITLES[one.topic] for one in trainings_of(session, visit))
    done = entries_of(session, visit).get("done", "")
    return "；".join(part for part in ("三日巡检完成", f"培训：{topics}", done) if part)

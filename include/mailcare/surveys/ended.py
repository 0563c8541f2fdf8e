"""Find the inspections and faults that have ended and whose customer was not asked yet.

A visit asks its customer itself when it is completed.
A case that ended more than `LOOK_BACK` ago is let be: nobody remembers how it went.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Exists, and_, exists, select
from sqlalchemy.orm import Session

from mailcare.deadlines import Level
from mailcare.papers.numbering import Series, paper_number
from mailcare.records.customers import System
from mailcare.records.deliveries import Delivery, DeliveryState
from mailcare.records.faults import Fault, FaultEvent, FaultEventType, FaultReport
from mailcare.records.inspections import Inspection, Service, ServicePurpose
from mailcare.records.papers import Paper
from mailcare.records.surveys import Survey, SurveyCase
from mailcare.surveys.asking import CaseKind, EndedCase

LOOK_BACK = timedelta(days=30)
ARRIVED = (DeliveryState.SENT, DeliveryState.SETTLED)
HANDLING = (FaultEventType.ACCEPTED, FaultEventType.FIRST_CONTACT, FaultEventType.HANDLED)
REMEDIES = {"fix": "已修复", "workaround": "已用替代方法恢复"}


def ended_cases(session: Session, *, at: datetime) -> Iterator[EndedCase]:
    """Yield every case that ended lately and has no survey of its version."""
    since = at - LOOK_BACK
    yield from _inspections(session, since)
    yield from _faults(session, since)


def _inspections(session: Session, since: datetime) -> Iterator[EndedCase]:
    """Yield the yearly inspections whose report the customer has."""
    rows = session.execute(
        select(Inspection, System)
        .join(Service, Service.id == Inspection.service_id)
        .join(System, System.id == Service.system_id)
        .where(
            Inspection.finished_at >= since,
            Service.purpose == ServicePurpose.ANNUAL,
            ~_is_asked(),
        )
        .order_by(Inspection.id)
    )
    for inspection, system in rows.all():
        number = paper_number(Series.INSPECTION, inspection.id, at=inspection.started_at)
        if _has_arrived(session, number):
            yield _inspection(inspection, system, number)


def _is_asked() -> Exists:
    return exists().where(
        Survey.case_kind == SurveyCase.INSPECTION, Survey.case_id == Inspection.id
    )


def _has_arrived(session: Session, number: str) -> bool:
    sent = and_(Delivery.paper_id == Paper.id, Delivery.state.in_(ARRIVED))
    arrived = select(Paper.id).join(Delivery, sent).where(Paper.number == number)
    return session.scalar(arrived.limit(1)) is not None


def _inspection(row: Inspection, system: System, number: str) -> EndedCase:
    return EndedCase(
        case_kind=CaseKind.INSPECTION,
        case_id=row.id,
        case_version=1,
        customer=system.customer_id,
        handled_by=(),
        subject=number,
        description=f"{system.title}年度远程巡检",
        outcome=f"巡检报告 {number} 已送达",
        started_at=row.started_at,
        finished_at=row.finished_at or row.started_at,
        system=system.id,
    )


def _faults(session: Session, since: datetime) -> Iterator[EndedCase]:
    """Yield the faults whose report was sent; each reopening before it makes a new version."""
    reported = select(FaultEvent.fault_id).where(
        FaultEvent.type == FaultEventType.REPORT_SENT, FaultEvent.at >= since
    )
    faults = select(Fault).where(Fault.id.in_(reported)).order_by(Fault.id)
    for fault in session.scalars(faults).all():
        events = session.scalars(
            select(FaultEvent)
            .where(FaultEvent.fault_id == fault.id)
            .order_by(FaultEvent.at, FaultEvent.ordinal)
        ).all()
        authors = session.scalars(
            select(FaultReport.author)
            .where(FaultReport.fault_id == fault.id)
            .order_by(FaultReport.epoch)
        ).all()
        if (case := _fault(fault, events, authors)) and not _is_fault_asked(session, case):
            yield case


def _fault(row: Fault, events: Sequence[FaultEvent], authors: Sequence[str]) -> EndedCase | None:
    """Return the case of a fault's last report; None where it was reopened, or came back, since."""
    came_back = {
        datetime.fromisoformat(str(one.payload["sent_at"]))
        for one in events
        if one.type is FaultEventType.REPORT_RETURNED
    }
    version, handled, reported = 1, None, False
    for event in events:
        version += event.type is FaultEventType.REOPENED
        reported = event.type is not FaultEventType.REOPENED and (
            reported or (event.type is FaultEventType.REPORT_SENT and event.at not in came_back)
        )
        handled = event if event.type is FaultEventType.HANDLED else handled
    if not reported or handled is None:
        return None
    handling = (one.recorded_by for one in events if one.type in HANDLING)
    is_support = row.level is Level.P4  # 四级故障：在产品功能、安装或配置方面需要信息或支持
    return EndedCase(
        case_kind=CaseKind.REMOTE_SUPPORT if is_support else CaseKind.FAULT,
        case_id=row.id,
        case_version=version,
        customer=row.customer_id,
        handled_by=tuple(dict.fromkeys((*handling, *authors))),
        subject=row.number,
        description=row.description,
        outcome=_outcome(handled),
        started_at=row.declared_at,
        finished_at=handled.at,
        system=row.system_id,
        contact=row.contact,
        phone=row.contact_details,
    )


def _outcome(handled: FaultEvent) -> str:
    remark = str(handled.payload.get("remark") or "")
    remedy = REMEDIES[str(handled.payload["kind"])]
    return f"{remedy}：{remark}" if remark else remedy


def _is_fault_asked(session: Session, case: EndedCase) -> bool:
    # Its level may have changed since it was asked about: the other kind is the same fault.
    known = select(Survey.id).where(
        Survey.case_kind.in_((SurveyCase.FAULT, SurveyCase.REMOTE_SUPPORT)),
        Survey.case_id == case.case_id,
        Survey.case_version == case.case_version,
    )
    return session.scalar(known.limit(1)) is not None

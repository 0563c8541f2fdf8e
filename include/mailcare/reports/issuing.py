"""Issue an approved report, and write down that it arrived and came back signed.

Every function may run twice, and may be cut off between any two of its steps.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mailcare.delivery.outbox import Draft, FileReference, post
from mailcare.errors import InputError
from mailcare.faults import recording
from mailcare.faults.clocks import Kind, State
from mailcare.faults.dossiers import Dossier, lock_faults
from mailcare.faults.events import Event, Refused, Reopened, ReportReturned, ReportSent, Signed
from mailcare.faults.lists import FaultRow, fault_row
from mailcare.faults.recording import Backing
from mailcare.papers.document import Document
from mailcare.papers.fault import TITLE, Case, Course, Written, fault_report
from mailcare.records.alerts import Rung
from mailcare.records.customers import Contact
from mailcare.records.deliveries import Delivery, DeliveryChannel, DeliveryEvent, DeliveryState
from mailcare.records.faults import FaultEvent, FaultReport, ReportState
from mailcare.records.papers import SignedReturn
from mailcare.reports.wording import LETTER
from mailcare.reports.writing import dossier_of, events_of, handlings, step, tell
from mailcare.workdays import Calendar

PROGRAM = "mailcare"
ARRIVED = (DeliveryState.SENT, DeliveryState.SETTLED)
GONE_OUT = (ReportState.ISSUED, ReportState.SENT, ReportState.SIGNED)
NO_ADDRESS = "没有接收文书的邮箱，请当面送达并登记"


def document_of(session: Session, report: int, *, calendar: Calendar, vendor: str) -> Document:
    """Return the paper of a report as it was when its state last changed."""
    row = session.get_one(FaultReport, report)
    fault, dossier = fault_row(session, row.fault_id), dossier_of(session, row.fault_id)
    handled = handlings(dossier)[row.epoch - 1]
    # What was recorded later belongs to the next report.
    events = sorted((one for one in dossier.events if one.at <= handled.at), key=lambda one: one.at)
    clocks = [one for one in dossier.clocks(calendar, handled.at) if one.started_at <= handled.at]
    edition = _edition(session, row)
    written = Written(
        method=row.method,
        degree=row.degree,
        lessons=row.lessons,
        opinions=row.opinions,
        occurred_at=row.occurred_at,
        edition=edition,
        why_again=_why_again(dossier, row.epoch) if edition > 1 else "",
    )
    course = Course(events, clocks, dossier.terms, calendar)
    return fault_report(_case(fault), written, course, vendor=vendor)


def _case(fault: FaultRow) -> Case:
    return Case(
        number=fault.number,
        customer=fault.customer,
        system=fault.system or "",
        contact=fault.contact,
        contact_details=fault.contact_details,
        place=fault.place,
        description=fault.description,
        is_outside_contract=fault.contract is None,
    )


def _edition(session: Session, row: FaultReport) -> int:
    before = select(func.count(FaultReport.id)).where(
        FaultReport.fault_id == row.fault_id,
        FaultReport.epoch < row.epoch,
        FaultReport.state.in_(GONE_OUT),
    )
    return (session.scalar(before) or 0) + 1


def _why_again(dossier: Dossier, epoch: int) -> str:
    before, now = handlings(dossier)[epoch - 2 : epoch]
    is_reopened = any(
        isinstance(one, Reopened) and before.at <= one.at <= now.at for one in dossier.events
    )
    return "故障重新打开后再次处理" if is_reopened else "采用替代方法之后彻底解决，补充报告"


def is_owed(dossier: Dossier, epoch: int, *, calendar: Calendar, now: datetime) -> bool:
    """Tell whether the report of a handling is still wanted: nothing was reopened or cancelled."""
    reports = [one for one in dossier.clocks(calendar, now) if one.clock is Kind.REPORT]
    state = next((one.state for one in reports if one.epoch == epoch), State.SUPERSEDED)
    return state not in (State.SUPERSEDED, State.CANCELLED)


def release(
    session: Session,
    report: int,
    paper: int,
    file: int,
    *,
    calendar: Calendar,
    vendor: str,
    at: datetime,
) -> bool:
    """Say that an approved report is issued and post its letters; tell whether this call did.

    A report whose fault was reopened, cancelled or merged meanwhile is superseded instead.
    """
    row = session.get_one(FaultReport, report)
    lock_faults(session, (row.fault_id,))
    dossier = dossier_of(session, row.fault_id)
    if not is_owed(dossier, row.epoch, calendar=calendar, now=at):
        said = "故障已重新打开、撤销或合并，报告未送出"
        step(session, report, ReportState.APPROVED, ReportState.SUPERSEDED, by=PROGRAM, at=at,
             remark=said, via=PROGRAM)  # fmt: skip
        return False
    drafts = list(_letters(session, row, paper, file, vendor))
    remark = f"投递 {len(drafts)} 封" if drafts else NO_ADDRESS
    if not step(session, report, ReportState.APPROVED, ReportState.ISSUED, by=PROGRAM, at=at,
                remark=remark, via=PROGRAM):  # fmt: skip
        return False
    session.execute(update(FaultReport).where(FaultReport.id == report).values(paper_id=paper))
    for draft in drafts:
        post(session, draft, at=at)
    return True


def _letters(
    session: Session, row: FaultReport, paper: int, file: int, vendor: str
) -> Iterator[Draft]:
    fault, edition = fault_row(session, row.fault_id), _edition(session, row)
    named = f"{TITLE}-{fault.number}-v{edition}.pdf"
    for contact in _recipients(session, fault):
        yield Draft(
            key=f"report/{row.id}/{contact.email}",
            channel=DeliveryChannel.SMTP,
            recipient=contact.email or "",
            subject=f"【{TITLE}】{fault.customer} {fault.number}",
            body=LETTER.format(
                name=contact.name,
                customer=fault.customer,
                number=fault.number,
                level=fault.level,
                edition=edition,
                vendor=vendor,
            ),
            attachments=(FileReference(named, paper_file=file),),
            paper=paper,
            customer=fault.customer_id,
            fault=fault.id,
        )


def _recipients(session: Session, fault: FaultRow) -> Sequence[Contact]:
    """Return who gets the papers at the customer's, each address once."""
    of_customer = (
        select(Contact)
        .where(
            Contact.customer_id == fault.customer_id,
            Contact.gets_papers,
            Contact.email.is_not(None),
        )
        .order_by(Contact.id)
    )
    return list({one.email: one for one in session.scalars(of_customer)}.values())


def note_arrival(session: Session, report: int, *, calendar: Calendar, at: datetime) -> bool:
    """Record `report_sent` where a letter of an issued report stands accepted; tell whether so.

    A letter that came back before this does not count.
    """
    row = _locked(session, report)
    if row.state is not ReportState.ISSUED:
        return False
    last_of_each = (
        select(func.max(DeliveryEvent.id))
        .join(Delivery, Delivery.id == DeliveryEvent.delivery_id)
        .where(
            Delivery.paper_id == row.paper_id,
            Delivery.key.startswith(f"report/{row.id}/", autoescape=True),
            Delivery.state.in_(ARRIVED),
            DeliveryEvent.state.in_(ARRIVED),
        )
        .group_by(Delivery.id)
    )
    arrived = session.execute(
        select(DeliveryEvent.id, DeliveryEvent.at, Delivery.recipient)
        .join(Delivery, Delivery.id == DeliveryEvent.delivery_id)
        .where(DeliveryEvent.id.in_(last_of_each))
        .order_by(DeliveryEvent.at)
        .limit(1)
    ).first()
    if arrived is None:
        return False
    backing = Backing(f"邮件服务器已接收：{arrived.recipient}", key=f"{_sent(row)}{arrived.id}")
    event, at = ReportSent(at=arrived.at), max(at, arrived.at)
    return _record(session, row, event, backing, ReportState.SENT, calendar=calendar, at=at)


def note_return(
    session: Session, delivery: int, said: str, *, calendar: Calendar, at: datetime
) -> bool:
    """Take back that a report was sent, where that rested on the letter that just came back.

    The report counts as sent when another recipient took it, else its clock runs again from its own
    start and the engineers are told. Tell whether it was taken back: not for another letter, nor
    for a report that was handed over or signed.
    """
    report = session.scalar(
        select(FaultReport.id)
        .join(Delivery, Delivery.paper_id == FaultReport.paper_id)
        .where(Delivery.id == delivery, Delivery.key.startswith("report/"))
    )
    if report is None:
        return False
    row = _locked(session, report)
    sent_at = _sent_with(session, row, delivery)
    if row.state is not ReportState.SENT or sent_at is None:
        return False
    event = ReportReturned(at=max(at, sent_at), sent_at=sent_at)
    came_back = f"came_back/{_last_event(session, delivery)}"
    backing = Backing(said, key=f"report/{row.id}/{came_back}")
    _record(session, row, event, backing, ReportState.ISSUED, calendar=calendar, at=event.at)
    if not note_arrival(session, report, calendar=calendar, at=event.at):
        _tell_came_back(session, row, came_back, said, at=at)
    return True


def _locked(session: Session, report: int) -> FaultReport:
    """Return a report as it is once nobody else can record an event of its fault."""
    row = session.get_one(FaultReport, report)
    lock_faults(session, (row.fault_id,))
    session.refresh(row)
    return row


def _sent(row: FaultReport) -> str:
    """Return what the keys of a report's arrivals begin with; a letter's event ends them."""
    return f"report/{row.id}/sent/"


def _sent_with(session: Session, row: FaultReport, delivery: int) -> datetime | None:
    """Return when a report arrived with a letter, None where it counts as sent by other means."""
    acts = [one for one in events_of(session, row.id) if one.state is ReportState.SENT]
    if not acts or acts[-1].by != PROGRAM:
        return None
    of_letter = select(DeliveryEvent.id).where(DeliveryEvent.delivery_id == delivery)
    keys = {f"{_sent(row)}{one}" for one in session.scalars(of_letter)}
    last = session.execute(
        select(FaultEvent.key, FaultEvent.at)
        .where(FaultEvent.key.startswith(_sent(row), autoescape=True))
        .order_by(FaultEvent.ordinal.desc())
        .limit(1)
    ).first()
    return last.at if last and last.key in keys else None


def _last_event(session: Session, delivery: int) -> int:
    of_letter = select(func.max(DeliveryEvent.id)).where(DeliveryEvent.delivery_id == delivery)
    return session.scalars(of_letter).one()


def _tell_came_back(
    session: Session, row: FaultReport, came_back: str, said: str, *, at: datetime
) -> None:
    tell(
        session,
        row,
        Rung.ENGINEER,
        key=came_back,
        heading="被退回，未送达",
        said=f"：{said}。报告时限继续计算，请在控制台更正收件人后重新投递，或当面送达并登记。",
        at=at,
    )


def note_handed(
    session: Session,
    report: int,
    handed_at: datetime,
    backing: Backing,
    *,
    calendar: Calendar,
    by: str,
    at: datetime,
) -> None:
    """Record that an issued report was handed over.

    Raise `InputError` for one that is not issued, `Refused` for a time that cannot be.
    """
    row = _locked(session, report)
    if row.state is not ReportState.ISSUED:
        raise InputError("报告尚未签发，或已经送达")
    recording.add_event(
        session, row.fault_id, ReportSent(at=handed_at), backing,
        calendar=calendar, by=by, at=at, seen=None,
    )  # fmt: skip
    step(session, report, ReportState.ISSUED, ReportState.SENT, by=by, at=at,
         remark=backing.remark)  # fmt: skip


def note_signature(session: Session, report: int, *, calendar: Calendar, at: datetime) -> bool:
    """Record `signed` where a report that arrived came back signed; tell whether so."""
    row = session.get_one(FaultReport, report)
    returned = session.scalar(
        select(SignedReturn)
        .where(SignedReturn.paper_id == row.paper_id)
        .order_by(SignedReturn.id)
        .limit(1)
    )
    if returned is None:
        return False
    sent_at = max(one.at for one in dossier_of(session, row.fault_id).events
                  if isinstance(one, ReportSent))  # fmt: skip
    said = f"{returned.signer} 于 {returned.signed_on} 签字（盖章）"
    backing = Backing(said, key=f"report/{row.id}/signed")
    event = Signed(at=max(returned.recorded_at, sent_at))
    return _record(session, row, event, backing, ReportState.SIGNED, calendar=calendar, at=at)


def _record(
    session: Session,
    row: FaultReport,
    event: Event,
    backing: Backing,
    to_state: ReportState,
    *,
    calendar: Calendar,
    at: datetime,
) -> bool:
    remark = backing.remark
    try:
        with session.begin_nested():
            recording.add_event(
                session, row.fault_id, event, backing,
                calendar=calendar, by=PROGRAM, at=at, seen=None,
            )  # fmt: skip
    except Refused as error:
        # The fault went on meanwhile: the report did arrive, and its clock is none any more.
        remark = f"{remark}；未计入时限：{error.sentence}"
    return step(session, row.id, row.state, to_state, by=PROGRAM, at=at, remark=remark, via=PROGRAM)

"""Reports as lists and pages show them, read from the records."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from mailcare.errors import InputError
from mailcare.listing import Page, Wish
from mailcare.records.customers import Customer
from mailcare.records.deliveries import Delivery, DeliveryState
from mailcare.records.faults import ClockKind, Fault, FaultClock, FaultReport
from mailcare.records.paging import Statement, page_of, rows_of, searched, sorted_by
from mailcare.reports.writing import events_of


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A report as lists show it; `due_at` is when it must have arrived.

    `terms_version` are the promises that hold for its fault.
    """

    id: int
    fault_id: int
    number: str
    epoch: int
    customer: str
    level: str
    state: str
    author: str
    state_changed_at: datetime
    due_at: datetime | None
    is_provisional: bool | None
    terms_version: int
    paper_id: int | None


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did about a report."""

    at: datetime
    by: str
    state: str
    via: str
    remark: str


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A covering letter and how far it has come."""

    id: int
    recipient: str
    state: DeliveryState
    state_changed_at: datetime
    last_reply: str | None


@dataclass(frozen=True, slots=True)
class ReportDetail:
    """A report with its texts, what was done about it and its letters."""

    row: ReportRow
    version: int
    occurred_at: datetime | None
    method: str
    degree: str
    lessons: str
    opinions: str
    acts: tuple[Act, ...]
    letters: tuple[LetterRow, ...]


def report_rows(session: Session, wish: Wish) -> Page[ReportRow]:
    """Return a page of reports, what is due first on top; sorts: number customer state due_at."""
    columns = {
        "number": Fault.number,
        "customer": Customer.name,
        "state": FaultReport.state,
        "due_at": FaultClock.due_at,
    }
    statement = searched(_rows(), wish, (Fault.number, Customer.name, FaultReport.author))
    usual = (FaultReport.id.desc(),)
    return page_of(session, sorted_by(statement, wish, columns, usual), wish, ReportRow)


def report_detail(session: Session, report: int) -> ReportDetail:
    """Return a report whole; raise `InputError` for one that is not recorded."""
    rows = rows_of(session, _rows().where(FaultReport.id == report), ReportRow)
    if not rows:
        raise InputError("没有这份报告", subject=str(report))
    found = session.get_one(FaultReport, report)
    letters = (
        select(
            Delivery.id,
            Delivery.recipient,
            Delivery.state,
            Delivery.state_changed_at,
            Delivery.last_reply,
        )
        .where(Delivery.key.startswith(f"report/{report}/", autoescape=True))
        .where(Delivery.paper_id.is_not(None))
        .order_by(Delivery.id)
    )
    acts = (
        Act(one.at, one.by, one.state, one.via, one.remark) for one in events_of(session, report)
    )
    return ReportDetail(
        rows[0],
        found.version,
        found.occurred_at,
        found.method,
        found.degree,
        found.lessons,
        found.opinions,
        tuple(acts),
        rows_of(session, letters, LetterRow),
    )


def _rows() -> Statement:
    clock = and_(
        FaultClock.fault_id == FaultReport.fault_id,
        FaultClock.clock == ClockKind.REPORT,
        FaultClock.epoch == FaultReport.epoch,
    )
    return (
        select(
            FaultReport.id,
            FaultReport.fault_id,
            Fault.number,
            FaultReport.epoch,
            Customer.name.label("customer"),
            Fault.level,
            FaultReport.state,
            FaultReport.author,
            FaultReport.state_changed_at,
            FaultClock.due_at,
            FaultClock.is_provisional,
            Fault.terms_version,
            FaultReport.paper_id,
        )
        .join(Fault, Fault.id == FaultReport.fault_id)
        .join(Customer, Customer.id == Fault.customer_id)
        .outerjoin(FaultClock, clock)
    )

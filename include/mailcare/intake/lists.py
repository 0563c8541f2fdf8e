"""The support mailbox as people see it: all mails, and one mail with what helps to decide."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, select
from sqlalchemy.orm import Session, undefer

from mailcare.deadlines import Level
from mailcare.errors import InputError
from mailcare.faults.declaration import TEXT_CHARACTERS_MOST
from mailcare.intake.levels import suggested_level
from mailcare.intake.mails import read_mail
from mailcare.listing import Page, Wish
from mailcare.records.customers import Contact, Customer, System
from mailcare.records.faults import Fault
from mailcare.records.paging import page_of, rows_of, searched, sorted_by
from mailcare.records.received import MailState, ReceivedMail

NOTE_CHARACTERS_MOST = TEXT_CHARACTERS_MOST


@dataclass(frozen=True, slots=True)
class MailRow:
    """A mail as the list shows it."""

    id: int
    received_at: datetime
    sender: str
    subject: str
    customer_id: int | None
    customer: str | None
    fault_id: int | None
    fault: str | None
    state: MailState
    decided_by: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class MailDetail:
    """A mail, and what is suggested for the fault that it may declare; a person confirms."""

    row: MailRow
    text: str
    is_cut: bool
    size_bytes: int
    files: tuple[str, ...]
    level: Level
    contact: str
    contact_details: str
    customers: tuple[str, ...]
    sites: tuple[str, ...]


def mail_rows(session: Session, wish: Wish) -> Page[MailRow]:
    """Return a page of mails, the waiting ones first, then the newest."""
    columns = {
        "received_at": ReceivedMail.received_at,
        "sender": ReceivedMail.sender,
        "state": ReceivedMail.state,
    }
    found = (ReceivedMail.sender, ReceivedMail.subject, Customer.name, Fault.number)
    waits = case((ReceivedMail.state == MailState.WAITING, 0), else_=1)
    statement = searched(_mails(), wish, found)
    statement = sorted_by(statement, wish, columns, (waits, ReceivedMail.id.desc()))
    return page_of(session, statement, wish, MailRow)


def describe_mail(session: Session, mail: int) -> MailDetail:
    """Return a mail with suggestions; raise `InputError` for one not recorded."""
    found = rows_of(session, _mails().where(ReceivedMail.id == mail), MailRow)
    if not found:
        raise InputError("没有这封来信", subject=str(mail))
    row = found[0]
    kept = session.get_one(ReceivedMail, mail)
    contact = session.scalar(
        select(Contact.name).where(
            Contact.customer_id == row.customer_id, Contact.email.ilike(row.sender)
        )
    )
    sites = select(System.site).where(System.customer_id == row.customer_id)
    return MailDetail(
        row,
        kept.text,
        kept.is_cut,
        kept.size_bytes,
        tuple(one.name for one in read_mail(kept.raw).files),
        suggested_level(f"{row.subject}\n{kept.text}"),
        contact or row.sender,
        row.sender,
        tuple(session.scalars(select(Customer.name).order_by(Customer.name))),
        tuple(session.scalars(sites.order_by(System.site))),
    )


def source_of(session: Session, mail: int) -> bytes:
    """Return a mail as it came; raise `InputError` for one not recorded."""
    found = session.get(ReceivedMail, mail, options=[undefer(ReceivedMail.raw)])
    if found is None:
        raise InputError("没有这封来信", subject=str(mail))
    return found.raw


def _mails():  # noqa: ANN202 - SQLAlchemy's own long type
    return (
        select(
            ReceivedMail.id,
            ReceivedMail.received_at,
            ReceivedMail.sender,
            ReceivedMail.subject,
            ReceivedMail.customer_id,
            Customer.name.label("customer"),
            ReceivedMail.fault_id,
            Fault.number.label("fault"),
            ReceivedMail.state,
            ReceivedMail.decided_by,
            ReceivedMail.reason,
        )
        .outerjoin(Customer, Customer.id == ReceivedMail.customer_id)
        .outerjoin(Fault, Fault.id == ReceivedMail.fault_id)
    )

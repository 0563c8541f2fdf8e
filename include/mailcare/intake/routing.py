"""Where a mail belongs: to a fault, to a person, or nowhere."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mailcare.intake.mails import Mail
from mailcare.records.audit import note_change
from mailcare.records.customers import Contact
from mailcare.records.deliveries import Delivery
from mailcare.records.faults import Fault
from mailcare.records.received import MailState, ReceivedMail


@dataclass(frozen=True, slots=True)
class Target:
    """What becomes of a mail.

    `customer` is whose contact sent it, where that is one customer's; `returned` are our letters
    that it reports as not delivered.
    """

    state: MailState
    customer: int | None = None
    fault: int | None = None
    returned: tuple[int, ...] = ()


def target_of(session: Session, mail: Mail, *, own_address: str) -> Target:
    """Return where a mail belongs.

    What a program wrote, and what we sent ourselves, never counts. A mail goes on a fault where it
    answers a letter or mail about it, or names its number and comes from that customer: a number
    alone can be guessed by anybody.
    """
    customer = _customer_of(session, mail.sender)
    if mail.is_automatic or mail.sender == own_address.lower():
        returned = _returned(session, mail.bounced)
        return Target(MailState.AUTOMATIC, customer, returned=returned)
    fault = _answered(session, mail.references) or _named(session, mail, customer)
    if fault is not None:
        return Target(MailState.NOTED, customer, fault)
    return Target(MailState.WAITING, customer)


def settle(session: Session, mail: int, target: Target, *, at: datetime) -> bool:
    """Write down what becomes of a mail just received; tell whether this call did."""
    values = {
        "state": target.state,
        "state_changed_at": at,
        "customer_id": target.customer,
        "fault_id": target.fault,
    }
    return _move(session, mail, MailState.RECEIVED, values)


def decide(
    session: Session,
    mail: int,
    state: MailState,
    *,
    fault: int | None,
    by: str,
    reason: str | None,
    at: datetime,
) -> bool:
    """Write down what a person decided about a waiting mail; tell whether this call did."""
    values = {
        "state": state,
        "state_changed_at": at,
        "fault_id": fault,
        "decided_by": by,
        "reason": reason,
    }
    if not _move(session, mail, MailState.WAITING, values):
        return False
    note_change(
        session,
        by=by,
        at=at,
        action="triage",
        subject=f"mail/{mail}",
        before={"state": MailState.WAITING},
        after={"state": state, "fault": fault, "reason": reason},
    )
    return True


def _move(session: Session, mail: int, before: MailState, values: Mapping[str, object]) -> bool:
    statement = (
        update(ReceivedMail)
        .where(ReceivedMail.id == mail, ReceivedMail.state == before)
        .values(dict(values))
        .returning(ReceivedMail.id)
    )
    return session.scalar(statement) is not None


def _customer_of(session: Session, sender: str) -> int | None:
    of_sender = select(Contact.customer_id).where(func.lower(Contact.email) == sender).distinct()
    found = session.scalars(of_sender).all() if sender else []
    return found[0] if len(found) == 1 else None


def _answered(session: Session, references: Collection[str]) -> int | None:
    """Return the fault that one of the answered letters or mails is about."""
    if not references:
        return None
    sent = select(Delivery.fault_id).where(
        Delivery.message_id.in_(references), Delivery.fault_id.is_not(None)
    )
    came = select(ReceivedMail.fault_id).where(
        ReceivedMail.message_id.in_(references), ReceivedMail.fault_id.is_not(None)
    )
    return session.scalar(sent.limit(1)) or session.scalar(came.limit(1))


def _returned(session: Session, bounced: Collection[str]) -> tuple[int, ...]:
    found = select(Delivery.id).where(Delivery.message_id.in_(bounced))
    return tuple(session.scalars(found)) if bounced else ()


def _named(session: Session, mail: Mail, customer: int | None) -> int | None:
    if mail.fault_number is None or customer is None:
        return None
    named = select(Fault.id).where(Fault.number == mail.fault_number, Fault.customer_id == customer)
    return session.scalar(named)

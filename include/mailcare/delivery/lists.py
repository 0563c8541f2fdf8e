"""The outbox as people see it: all letters, one letter with its events, and how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, exists, func, select
from sqlalchemy.orm import Session

from mailcare.errors import InputError
from mailcare.listing import Page, Wish
from mailcare.records.alerts import Alert, Rung
from mailcare.records.customers import Customer
from mailcare.records.deliveries import (
    Delivery,
    DeliveryChannel,
    DeliveryEvent,
    DeliveryState,
    Enclosure,
)
from mailcare.records.faults import Fault
from mailcare.records.job_runs import JobRun
from mailcare.records.paging import page_of, rows_of, searched, sorted_by
from mailcare.records.papers import PaperFile

# What waits for a person, in the order of urgency.
FOR_A_PERSON = (DeliveryState.UNCERTAIN, DeliveryState.REFUSED, DeliveryState.DEAD)
UNTOLD_MOST = 20
UNTOLD_FOR = timedelta(days=7)  # later than that nobody acts on an alert


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A letter as the list shows it; `next_attempt_at` counts while it is pending."""

    id: int
    posted_at: datetime
    customer_id: int | None
    customer: str | None
    fault_id: int | None
    fault: str | None
    channel: DeliveryChannel
    recipient: str
    subject: str
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime
    last_reply: str | None


@dataclass(frozen=True, slots=True)
class EventRow:
    """What happened to a letter; `by` is the person who decided, if one did."""

    at: datetime
    state: DeliveryState
    detail: str
    by: str | None


@dataclass(frozen=True, slots=True)
class EnclosureRow:
    """A file that goes along; with `paper` it is that paper's rendered file of this `kind`."""

    name: str
    paper: int | None
    kind: str | None


@dataclass(frozen=True, slots=True)
class LetterDetail:
    """A letter with everything that is known of it."""

    row: LetterRow
    body: str
    message_id: str | None
    not_before_at: datetime | None
    expires_at: datetime | None
    enclosures: tuple[EnclosureRow, ...]
    events: tuple[EventRow, ...]


@dataclass(frozen=True, slots=True)
class UntoldRow:
    """An alert for which there was nobody to tell."""

    at: datetime
    rung: Rung
    subject: str


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How many letters stand where, when the outbox last ran, and alerts that nobody got."""

    counts: Mapping[DeliveryState, int]
    last_run_at: datetime | None
    last_outcome: str
    untold: tuple[UntoldRow, ...]


def letter_rows(session: Session, wish: Wish) -> Page[LetterRow]:
    """Return a page of letters, those that wait for a person first, then the newest."""
    columns = {
        "posted_at": Delivery.created_at,
        "customer": Customer.name,
        "channel": Delivery.channel,
        "recipient": Delivery.recipient,
        "state": Delivery.state,
        "attempts": Delivery.attempts,
    }
    found = (Delivery.subject, Delivery.recipient, Customer.name, Fault.number)
    waits = case((Delivery.state.in_(FOR_A_PERSON), 0), else_=1)
    statement = searched(_letters(), wish, found)
    statement = sorted_by(statement, wish, columns, (waits, Delivery.id.desc()))
    return page_of(session, statement, wish, LetterRow)


def describe_letter(session: Session, delivery: int) -> LetterDetail:
    """Return a letter with its files and events; raise `InputError` for one not recorded."""
    found = rows_of(session, _letters().where(Delivery.id == delivery), LetterRow)
    if not found:
        raise InputError("没有这封信", subject=str(delivery))
    row = session.get_one(Delivery, delivery)
    files = (
        select(Enclosure.name, PaperFile.paper_id.label("paper"), PaperFile.kind)
        .outerjoin(PaperFile, PaperFile.id == Enclosure.paper_file_id)
        .where(Enclosure.delivery_id == delivery)
        .order_by(Enclosure.id)
    )
    happened = (
        select(DeliveryEvent.at, DeliveryEvent.state, DeliveryEvent.detail, DeliveryEvent.by)
        .where(DeliveryEvent.delivery_id == delivery)
        .order_by(DeliveryEvent.id)
    )
    return LetterDetail(
        found[0],
        row.body,
        row.message_id,
        row.not_before_at,
        row.expires_at,
        rows_of(session, files, EnclosureRow),
        rows_of(session, happened, EventRow),
    )


def outbox_state(session: Session, job: str, *, at: datetime) -> OutboxState:
    """Return how the outbox stands at a moment; `job` is the one that empties it."""
    counted = select(Delivery.state, func.count()).group_by(Delivery.state)
    run = session.scalar(select(JobRun).where(JobRun.job == job))
    untold = (
        select(Alert.at, Alert.rung, Alert.subject)
        .where(Alert.at > at - UNTOLD_FOR, ~exists().where(Delivery.alert_id == Alert.id))
        .order_by(Alert.id.desc())
        .limit(UNTOLD_MOST)
    )
    return OutboxState(
        {row[0]: row[1] for row in session.execute(counted)},
        run.ended_at if run else None,
        run.outcome if run else "",
        rows_of(session, untold, UntoldRow),
    )


def _letters():  # noqa: ANN202 - SQLAlchemy's own long type
    return (
        select(
            Delivery.id,
            Delivery.created_at.label("posted_at"),
            Delivery.customer_id,
            Customer.name.label("customer"),
            Delivery.fault_id,
            Fault.number.label("fault"),
            Delivery.channel,
            Delivery.recipient,
            Delivery.subject,
            Delivery.state,
            Delivery.attempts,
            Delivery.next_attempt_at,
            Delivery.last_reply,
        )
        .outerjoin(Customer, Customer.id == Delivery.customer_id)
        .outerjoin(Fault, Fault.id == Delivery.fault_id)
    )

"""Letters on their way to customers and own staff, and what happened to each."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailcare.records.alerts import Alert, StaffMember
from mailcare.records.base import AppendOnly, Base, SentenceText, Stateful
from mailcare.records.customers import Customer
from mailcare.records.faults import Fault
from mailcare.records.papers import Paper, PaperFile
from mailcare.records.people import EvidenceFile


class DeliveryChannel(StrEnum):
    """What carries a letter: mail, or a chat robot of one of three vendors."""

    SMTP = "smtp"
    DINGTALK = "dingtalk"
    FEISHU = "feishu"
    WECOM = "wecom"


class DeliveryState(StrEnum):
    """How far a letter has come.

    `sending` is committed before the letter's text goes out: a delivery found in it after a crash
    is `uncertain` and never sent again by itself. `refused` was turned down for good, `dead` was
    tried until its time was over, `expired` came too late to be of use, `settled` was found by a
    person to have arrived.
    """

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    DEAD = "dead"
    EXPIRED = "expired"
    SETTLED = "settled"


class Delivery(Stateful[DeliveryState], Base):
    """One letter to one recipient; `key` and `message_id` make sure that it exists once.

    `recipient` is a mail address, or the name of a robot. `next_attempt_at` says from when a
    pending letter is due.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(None, "state", "state_changed_at"),
        Index(None, "state", "next_attempt_at"),
        Index(None, "channel", "recipient"),
        CheckConstraint(
            "(channel = 'smtp') = (message_id IS NOT NULL)", name="message_id_where_mailed"
        ),
    )

    paper_id: Mapped[int | None] = mapped_column(ForeignKey(Paper.id), index=True)
    customer_id: Mapped[int | None] = mapped_column(ForeignKey(Customer.id), index=True)
    fault_id: Mapped[int | None] = mapped_column(ForeignKey(Fault.id), index=True)
    alert_id: Mapped[int | None] = mapped_column(ForeignKey(Alert.id), index=True)
    member_id: Mapped[int | None] = mapped_column(ForeignKey(StaffMember.id))
    key: Mapped[str] = mapped_column(unique=True)
    channel: Mapped[DeliveryChannel]
    recipient: Mapped[str]
    subject: Mapped[SentenceText]
    body: Mapped[SentenceText]
    message_id: Mapped[str | None] = mapped_column(unique=True)
    not_before_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    state: Mapped[DeliveryState]
    attempts: Mapped[int]
    last_reply: Mapped[SentenceText | None]

    enclosures: Mapped[list["Enclosure"]] = relationship(order_by="Enclosure.id")


class Enclosure(AppendOnly, Base):
    """A file that goes along with a letter, under a name of its own."""

    __tablename__ = "enclosures"
    __table_args__ = (
        UniqueConstraint("delivery_id", "name"),
        CheckConstraint("(paper_file_id IS NULL) <> (evidence_file_id IS NULL)", name="one_file"),
    )

    delivery_id: Mapped[int] = mapped_column(ForeignKey(Delivery.id), index=True)
    name: Mapped[SentenceText]
    paper_file_id: Mapped[int | None] = mapped_column(ForeignKey(PaperFile.id))
    evidence_file_id: Mapped[int | None] = mapped_column(ForeignKey(EvidenceFile.id))

    paper_file: Mapped[PaperFile | None] = relationship()
    evidence_file: Mapped[EvidenceFile | None] = relationship()


class DeliveryEvent(AppendOnly, Base):
    """What happened to a delivery, and when; `by` is the person who decided, if one did."""

    __tablename__ = "delivery_events"

    delivery_id: Mapped[int] = mapped_column(ForeignKey(Delivery.id), index=True)
    at: Mapped[datetime]
    state: Mapped[DeliveryState]
    detail: Mapped[SentenceText]
    by: Mapped[str | None]

"""Mails that came into the support mailbox, and what became of each."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailcare.records.base import Base, SentenceText, Stateful
from mailcare.records.customers import Customer
from mailcare.records.faults import Fault


class MailState(StrEnum):
    """What became of a mail.

    `received` is written down and not looked at yet, `waiting` waits for a person. `automatic` was
    sent by a program and never counts; `noted` stands on a fault, `declared` became one,
    `dismissed` needs nothing.
    """

    RECEIVED = "received"
    WAITING = "waiting"
    AUTOMATIC = "automatic"
    NOTED = "noted"
    DECLARED = "declared"
    DISMISSED = "dismissed"


class ReceivedMail(Stateful[MailState], Base):
    """A mail as our own server received it; `key` makes it one, however often it is read.

    `received_at` is the server's INTERNALDATE, never the sender's Date. `raw` is the mail itself,
    its beginning only where `is_cut`.
    """

    __tablename__ = "received_mails"
    __table_args__ = (
        Index(None, "state", "received_at"),
        CheckConstraint(
            "state NOT IN ('noted', 'declared') OR fault_id IS NOT NULL", name="of_a_fault"
        ),
    )

    key: Mapped[str] = mapped_column(unique=True)
    message_id: Mapped[str | None] = mapped_column(index=True)
    sender: Mapped[SentenceText]
    subject: Mapped[SentenceText]
    text: Mapped[SentenceText]
    received_at: Mapped[datetime]
    size_bytes: Mapped[int]
    is_cut: Mapped[bool]
    raw: Mapped[bytes] = mapped_column(deferred=True)
    customer_id: Mapped[int | None] = mapped_column(ForeignKey(Customer.id), index=True)
    fault_id: Mapped[int | None] = mapped_column(ForeignKey(Fault.id), index=True)
    state: Mapped[MailState]
    decided_by: Mapped[str | None]
    reason: Mapped[SentenceText | None]


class MailboxPosition(Base):
    """How far a mailbox was read: UIDs count within a UIDVALIDITY, both up to 2^32 - 1."""

    __tablename__ = "mailbox_positions"
    __table_args__ = (UniqueConstraint("mailbox", "uid_validity"),)

    mailbox: Mapped[str]
    uid_validity: Mapped[int] = mapped_column(BigInteger)
    last_uid: Mapped[int] = mapped_column(BigInteger)

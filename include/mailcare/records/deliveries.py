"""Letters on their way to the customer, and what happened to each."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from mailcare.records.base import AppendOnly, Base, SentenceText, Stateful
from mailcare.records.papers import Paper


class DeliveryChannel(StrEnum):
    """What carries a letter."""

    SMTP = "smtp"


class DeliveryState(StrEnum):
    """How far a letter has come.

    `sending` is committed before the letter's text goes out: a delivery found in it after a crash
    is `uncertain` and never sent again by itself.
    """

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"


class Delivery(Stateful[DeliveryState], Base):
    """One letter to one recipient; `key` and `message_id` make sure that it exists once."""

    __tablename__ = "deliveries"
    __table_args__ = (Index(None, "state", "state_changed_at"),)

    paper_id: Mapped[int] = mapped_column(ForeignKey(Paper.id), index=True)
    key: Mapped[str] = mapped_column(unique=True)
    channel: Mapped[DeliveryChannel]
    recipient: Mapped[str]
    message_id: Mapped[str] = mapped_column(unique=True)
    state: Mapped[DeliveryState]
    attempts: Mapped[int]
    last_reply: Mapped[SentenceText | None]


class DeliveryEvent(AppendOnly, Base):
    """What happened to a delivery, and when."""

    __tablename__ = "delivery_events"

    delivery_id: Mapped[int] = mapped_column(ForeignKey(Delivery.id), index=True)
    at: Mapped[datetime]
    state: Mapped[DeliveryState]
    detail: Mapped[SentenceText]

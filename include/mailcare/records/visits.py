"""On-site visits: their appointment with its history, the links, and what was written down."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Numeric, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailcare.records.base import AppendOnly, Base, SentenceText, Stateful
from mailcare.records.inspections import Service
from mailcare.records.people import EvidenceFile

HOURS = Numeric(4, 1)


class VisitState(StrEnum):
    """How far a visit has come."""

    OPEN = "open"
    PROPOSED = "proposed"
    COUNTERED = "countered"
    CONFIRMED = "confirmed"
    STARTED = "started"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


class VisitAct(StrEnum):
    """What happened to a visit."""

    PROPOSE = "propose"
    COUNTER = "counter"
    CONFIRM = "confirm"
    MOVE = "move"
    CANCEL = "cancel"
    MISS = "miss"
    START = "start"
    COMPLETE = "complete"


class VisitParty(StrEnum):
    """At whose word it happened."""

    CUSTOMER = "customer"
    VENDOR = "vendor"


class VisitWay(StrEnum):
    """How the word came."""

    LINK = "link"
    PHONE = "phone"
    CONSOLE = "console"


class Visit(Stateful[VisitState], Base):
    """One visit of a planned service.

    `starts_on` is the first day that is agreed now, `sequence` how often days were agreed or taken
    back: the invitation's. `engineer` is a login, empty while nobody goes.
    """

    __tablename__ = "visits"

    service_id: Mapped[int] = mapped_column(ForeignKey(Service.id), unique=True)
    number: Mapped[str] = mapped_column(unique=True)
    engineer: Mapped[str]
    engineer_name: Mapped[SentenceText]
    engineer_email: Mapped[str]
    place: Mapped[SentenceText]
    starts_on: Mapped[date | None] = mapped_column(index=True)
    sequence: Mapped[int]
    state: Mapped[VisitState] = mapped_column(index=True)


class VisitEvent(AppendOnly, Base):
    """One act of a visit's history; `starts` are the first days that it speaks of, ISO.

    `split_agreed_by` tells who of the customer agreed to days that rest days split, else empty.
    """

    __tablename__ = "visit_events"
    __table_args__ = (UniqueConstraint("visit_id", "ordinal"),)

    visit_id: Mapped[int] = mapped_column(ForeignKey(Visit.id))
    ordinal: Mapped[int]
    act: Mapped[VisitAct]
    party: Mapped[VisitParty]
    way: Mapped[VisitWay]
    starts: Mapped[list[str]]
    split_agreed_by: Mapped[SentenceText]
    note: Mapped[SentenceText]
    said_by: Mapped[SentenceText]
    recorded_by: Mapped[str]
    at: Mapped[datetime]


class VisitLink(Base):
    """The link of one letter; of its token only the SHA-256 is kept."""

    __tablename__ = "visit_links"

    event_id: Mapped[int] = mapped_column(ForeignKey(VisitEvent.id), index=True)
    token_sha256: Mapped[str] = mapped_column(unique=True)
    recipient: Mapped[str]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class VisitLinkRefusal(AppendOnly, Base):
    """A link that was not accepted: from which address, for which visit as far as there is one."""

    __tablename__ = "visit_link_refusals"

    at: Mapped[datetime] = mapped_column(index=True)
    reason: Mapped[str]
    address: Mapped[str] = mapped_column(index=True)
    visit_id: Mapped[int | None] = mapped_column(ForeignKey(Visit.id))


class VisitEntry(AppendOnly, Base):
    """What a person wrote about a visit; of a field the last entry counts."""

    __tablename__ = "visit_entries"

    visit_id: Mapped[int] = mapped_column(ForeignKey(Visit.id), index=True)
    field: Mapped[str]
    text: Mapped[SentenceText]
    recorded_by: Mapped[str]
    recorded_at: Mapped[datetime]


class VisitTraining(AppendOnly, Base):
    """What was taught or talked over; of a topic the last row counts."""

    __tablename__ = "visit_trainings"
    __table_args__ = (CheckConstraint("hours > 0", name="some_time"),)

    visit_id: Mapped[int] = mapped_column(ForeignKey(Visit.id), index=True)
    topic: Mapped[str]
    taught_on: Mapped[date]
    hours: Mapped[Decimal] = mapped_column(HOURS)
    content: Mapped[SentenceText]
    attendees: Mapped[list[str]]
    recorded_by: Mapped[str]
    recorded_at: Mapped[datetime]


class VisitEvidence(AppendOnly, Base):
    """A photo or file of the visit; `about` is the field or check that it belongs to."""

    __tablename__ = "visit_evidence"
    __table_args__ = (UniqueConstraint("visit_id", "evidence_file_id", "about"),)

    visit_id: Mapped[int] = mapped_column(ForeignKey(Visit.id))
    evidence_file_id: Mapped[int] = mapped_column(ForeignKey(EvidenceFile.id))
    about: Mapped[SentenceText]
    caption: Mapped[SentenceText]
    recorded_by: Mapped[str]
    recorded_at: Mapped[datetime]

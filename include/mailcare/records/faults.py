"""Faults, what happened to them, the clocks, breaches and escalations, and the reports on them."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailcare.deadlines import Level
from mailcare.records.base import AppendOnly, Base, SentenceText, Stateful
from mailcare.records.contracts import ContractVersion
from mailcare.records.customers import Authorisation, Customer, System
from mailcare.records.papers import Paper
from mailcare.records.people import EvidenceFile


class FaultVia(StrEnum):
    """How the customer declared a fault; `program` is one of our own services that found it."""

    PHONE = "phone"
    EMAIL = "email"
    CHAT = "chat"
    ONSITE = "onsite"
    PROGRAM = "program"


class FaultState(StrEnum):
    """How far a fault has come, as its events tell."""

    DECLARED = "declared"
    ACCEPTED = "accepted"
    PAUSED = "paused"
    HANDLED = "handled"
    REPORTED = "reported"
    SIGNED = "signed"
    CANCELLED = "cancelled"
    MERGED = "merged"


class FaultEventType(StrEnum):
    """What may happen to a fault."""

    DECLARED = "declared"
    ACCEPTED = "accepted"
    FIRST_CONTACT = "first_contact"
    PAUSED = "paused"
    RESUMED = "resumed"
    LEVEL_CHANGED = "level_changed"
    HANDLED = "handled"
    REOPENED = "reopened"
    REPORT_SENT = "report_sent"
    REPORT_RETURNED = "report_returned"
    SIGNED = "signed"
    CANCELLED = "cancelled"
    MERGED = "merged"


class ClockKind(StrEnum):
    """What a clock measures."""

    RESPONSE = "response"
    RESOLUTION = "resolution"
    REPORT = "report"


class ClockState(StrEnum):
    """How a clock stands."""

    RUNNING = "running"
    HELD = "held"
    MET = "met"
    LATE = "late"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


class BreachCause(StrEnum):
    """Why a promise was broken, as far as it fits into a list."""

    CUSTOMER = "customer"
    THIRD_PARTY = "third_party"
    SPARE_PART = "spare_part"
    COMPLEX = "complex"
    STAFFING = "staffing"
    RECORDED_LATE = "recorded_late"
    OTHER = "other"


class EscalationOutcome(StrEnum):
    """What became of a step of the ladder; one that was past when its clock began is skipped."""

    TOLD = "told"
    SKIPPED = "skipped"


class Fault(Base):
    """A fault 故障 as it was declared; `key` makes it one, however often it is handed in.

    Without `contract_version_id` it lies outside of any contract 合同外. `level` and `state` are
    what the events come to; who records an event says how many were read (`event_count`).
    `terms_version` are the promises that held on the day of the declaration, and hold for ever.
    """

    __tablename__ = "faults"
    __table_args__ = (Index(None, "state", "level"),)

    number: Mapped[str] = mapped_column(unique=True)
    key: Mapped[str] = mapped_column(unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id), index=True)
    system_id: Mapped[int | None] = mapped_column(ForeignKey(System.id), index=True)
    contract_version_id: Mapped[int | None] = mapped_column(ForeignKey(ContractVersion.id))
    terms_version: Mapped[int]
    follows_id: Mapped[int | None] = mapped_column(ForeignKey("faults.id"))
    place: Mapped[SentenceText]
    contact: Mapped[SentenceText]
    contact_details: Mapped[SentenceText]
    description: Mapped[SentenceText]
    declared_via: Mapped[FaultVia]
    declared_at: Mapped[datetime] = mapped_column(index=True)
    level: Mapped[Level]
    state: Mapped[FaultState]
    event_count: Mapped[int]


class FaultEvent(AppendOnly, Base):
    """Something that happened to a fault at `at`, and when it was written down.

    `ordinal` counts from 1 in the order of recording; `payload` holds the event's own words, and
    the recorder's remark. A program's event has a `key`, which makes it one.
    """

    __tablename__ = "fault_events"
    __table_args__ = (UniqueConstraint("fault_id", "ordinal"),)

    fault_id: Mapped[int] = mapped_column(ForeignKey(Fault.id))
    ordinal: Mapped[int]
    key: Mapped[str | None] = mapped_column(unique=True)
    type: Mapped[FaultEventType]
    at: Mapped[datetime]
    payload: Mapped[dict[str, object]] = mapped_column(JSON)
    authorisation_id: Mapped[int | None] = mapped_column(ForeignKey(Authorisation.id))
    recorded_by: Mapped[str]
    recorded_at: Mapped[datetime]


class FaultNote(AppendOnly, Base):
    """A remark or a customer's mail about a fault; `key` makes it one, `at` is when it came."""

    __tablename__ = "fault_notes"

    fault_id: Mapped[int] = mapped_column(ForeignKey(Fault.id), index=True)
    key: Mapped[str] = mapped_column(unique=True)
    text: Mapped[SentenceText]
    at: Mapped[datetime]
    recorded_by: Mapped[str]
    recorded_at: Mapped[datetime]


class FaultFile(AppendOnly, Base):
    """A file that proves an event or came with a note."""

    __tablename__ = "fault_files"
    __table_args__ = (
        CheckConstraint("(event_id IS NULL) <> (note_id IS NULL)", name="of_event_or_note"),
    )

    fault_id: Mapped[int] = mapped_column(ForeignKey(Fault.id), index=True)
    event_id: Mapped[int | None] = mapped_column(ForeignKey(FaultEvent.id))
    note_id: Mapped[int | None] = mapped_column(ForeignKey(FaultNote.id))
    evidence_file_id: Mapped[int] = mapped_column(ForeignKey(EvidenceFile.id))
    name: Mapped[SentenceText]


class FaultInspection(AppendOnly, Base):
    """A follow-up inspection asked for; `run` is its Dag run's id and its service's key."""

    __tablename__ = "fault_inspections"

    fault_id: Mapped[int] = mapped_column(ForeignKey(Fault.id), index=True)
    run: Mapped[str] = mapped_column(unique=True)
    asked_by: Mapped[str]
    asked_at: Mapped[datetime]


class FaultClock(Base):
    """A clock's epoch as it was last derived from the events; written by one function only.

    `next_warning_at` is when the sweep has something to do about it: a step of the ladder, or the
    breach. `calendar_key` names the year tables that a report's days were counted with.
    """

    __tablename__ = "fault_clocks"
    __table_args__ = (
        UniqueConstraint("fault_id", "clock", "epoch"),
        Index(None, "state", "due_at"),
        Index(None, "clock", "state", "calendar_key"),
    )

    fault_id: Mapped[int] = mapped_column(ForeignKey(Fault.id))
    clock: Mapped[ClockKind]
    epoch: Mapped[int]
    level: Mapped[Level]
    started_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    earliest_due_at: Mapped[datetime | None]
    is_soft: Mapped[bool]
    is_provisional: Mapped[bool]
    stopped_at: Mapped[datetime | None]
    breached_at: Mapped[datetime | None]
    state: Mapped[ClockState]
    next_warning_at: Mapped[datetime | None] = mapped_column(index=True)
    calendar_key: Mapped[str]


class FaultBreach(AppendOnly, Base):
    """A promise that broke at `breached_at`; soft ones are 超目标. It stays whatever follows."""

    __tablename__ = "fault_breaches"
    __table_args__ = (UniqueConstraint("fault_id", "clock", "epoch"),)

    fault_id: Mapped[int] = mapped_column(ForeignKey(Fault.id))
    clock: Mapped[ClockKind]
    epoch: Mapped[int]
    level: Mapped[Level]
    is_soft: Mapped[bool]
    breached_at: Mapped[datetime] = mapped_column(index=True)
    found_at: Mapped[datetime]


class FaultBreachReason(AppendOnly, Base):
    """Why the promise of a clock's epoch broke, as somebody says; there may be several."""

    __tablename__ = "fault_breach_reasons"

    fault_id: Mapped[int] = mapped_column(ForeignKey(Fault.id), index=True)
    clock: Mapped[ClockKind]
    epoch: Mapped[int]
    cause: Mapped[BreachCause]
    text: Mapped[SentenceText]
    recorded_by: Mapped[str]
    recorded_at: Mapped[datetime]


class FaultDueChange(AppendOnly, Base):
    """A due moment that a new year table moved, and what it was before."""

    __tablename__ = "fault_due_changes"

    fault_id: Mapped[int] = mapped_column(ForeignKey(Fault.id), index=True)
    clock: Mapped[ClockKind]
    epoch: Mapped[int]
    due_before_at: Mapped[datetime]
    due_after_at: Mapped[datetime]
    found_at: Mapped[datetime]


class Escalation(AppendOnly, Base):
    """A step of the ladder that a clock's epoch has reached: told once, or skipped."""

    __tablename__ = "escalations"
    __table_args__ = (UniqueConstraint("fault_id", "clock", "step", "epoch"),)

    fault_id: Mapped[int] = mapped_column(ForeignKey(Fault.id))
    clock: Mapped[ClockKind]
    step: Mapped[int]
    epoch: Mapped[int]
    rung: Mapped[str]
    outcome: Mapped[EscalationOutcome]
    reached_at: Mapped[datetime]
    found_at: Mapped[datetime]


class Sweep(Base):
    """When the open deadlines were last looked through; one row."""

    __tablename__ = "sweeps"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    swept_at: Mapped[datetime]
    told: Mapped[int]
    broken: Mapped[int]


class ReportState(StrEnum):
    """How far a report has come; one that a later handling made pointless is superseded."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    RETURNED = "returned"
    APPROVED = "approved"
    ISSUED = "issued"
    SENT = "sent"
    SIGNED = "signed"
    SUPERSEDED = "superseded"


class FaultReport(Stateful[ReportState], Base):
    """The report on one handling of a fault; `epoch` is that of its clock.

    Who saves it says which `version` was read. `submissions` counts how often it was handed to the
    reviewer, `runs_begun` how many of those a Dag run has taken up.
    """

    __tablename__ = "fault_reports"
    __table_args__ = (UniqueConstraint("fault_id", "epoch"), Index(None, "state"))

    fault_id: Mapped[int] = mapped_column(ForeignKey(Fault.id))
    epoch: Mapped[int]
    state: Mapped[ReportState]
    version: Mapped[int]
    occurred_at: Mapped[datetime | None]
    method: Mapped[SentenceText]
    degree: Mapped[SentenceText]
    lessons: Mapped[SentenceText]
    opinions: Mapped[SentenceText]
    author: Mapped[str]
    submissions: Mapped[int]
    runs_begun: Mapped[int]
    paper_id: Mapped[int | None] = mapped_column(ForeignKey(Paper.id))


class FaultReportEvent(AppendOnly, Base):
    """What somebody did about a report, and when; `via` is console, airflow or mailcare."""

    __tablename__ = "fault_report_events"

    report_id: Mapped[int] = mapped_column(ForeignKey(FaultReport.id), index=True)
    at: Mapped[datetime]
    by: Mapped[str]
    state: Mapped[ReportState]
    via: Mapped[str]
    remark: Mapped[SentenceText]

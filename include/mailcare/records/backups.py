"""Verifications of customers' backups: runs, signed evidence, verdicts by level, connections."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailcare.records.base import AppendOnly, Base, SentenceText, VerbatimText
from mailcare.records.customers import Authorisation, System
from mailcare.records.inspections import Service


class BackupVerdict(StrEnum):
    """What was said of a level."""

    PASS = "PASS"  # noqa: S105 - a verdict, no password
    FAIL = "FAIL"
    DEGRADED = "DEGRADED"
    NOT_RUN = "NOT_RUN"


class BackupPromise(Base):
    """A level of a copy that the site file promises to run every `days`, and how it stands.

    What is promised is written anew with the site file; how it stands follows from the evidence,
    see `backup.promises`. `verdict` is the last one, None without any; `ran_at` is when something
    was last examined, `overdue_at` when it has to be again, None before the copy's first evidence.
    """

    __tablename__ = "backup_promises"
    __table_args__ = (UniqueConstraint("system_id", "copy_name", "level"),)

    system_id: Mapped[int] = mapped_column(ForeignKey(System.id))
    copy_name: Mapped[str]
    level: Mapped[str]
    days: Mapped[int]
    verdict: Mapped[BackupVerdict | None]
    reason: Mapped[SentenceText]
    judged_at: Mapped[datetime | None]
    ran_at: Mapped[datetime | None]
    overdue_at: Mapped[datetime | None]


class Verification(Base):
    """One run over the copies of a system; `key` is the run's, so that it is made once.

    `definition` is the system's site file as it was when the run began, `through` the deepest level
    asked for (empty: what the policy says is due), `copies` the names of the copies (empty: all).
    """

    __tablename__ = "verifications"

    system_id: Mapped[int] = mapped_column(ForeignKey(System.id), index=True)
    service_id: Mapped[int | None] = mapped_column(ForeignKey(Service.id), unique=True)
    key: Mapped[str] = mapped_column(unique=True)
    through: Mapped[str]
    copies: Mapped[list[str]]
    is_routine: Mapped[bool] = mapped_column(server_default=false())
    definition: Mapped[dict[str, object]]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    evidence: Mapped[list["BackupEvidence"]] = relationship(order_by="BackupEvidence.id")


class BackupEvidence(AppendOnly, Base):
    """The signed evidence of one copy in one run; `statement` is its canonical text.

    `sequence` and `previous` chain it to the evidence before of the same copy.
    """

    __tablename__ = "backup_evidence"
    __table_args__ = (
        UniqueConstraint("system_id", "copy_name", "sequence"),
        UniqueConstraint("verification_id", "copy_name"),
        CheckConstraint("sequence >= 1", name="sequence_from_one"),
        CheckConstraint("(sequence = 1) = (previous IS NULL)", name="chained"),
    )

    verification_id: Mapped[int] = mapped_column(ForeignKey(Verification.id))
    system_id: Mapped[int] = mapped_column(ForeignKey(System.id))
    copy_name: Mapped[str]
    sequence: Mapped[int]
    previous: Mapped[str | None]
    statement: Mapped[VerbatimText]
    sha256: Mapped[str] = mapped_column(unique=True)
    signature: Mapped[str]
    public_key: Mapped[str]
    verdict: Mapped[BackupVerdict]
    finished_at: Mapped[datetime]

    levels: Mapped[list["BackupLevel"]] = relationship(order_by="BackupLevel.id")


class BackupLevel(AppendOnly, Base):
    """The verdict on one level of one generation, taken out of the evidence for lists."""

    __tablename__ = "backup_levels"
    __table_args__ = (
        Index(None, "system_id", "copy_name", "level"),
        UniqueConstraint("evidence_id", "level", "generation"),
    )

    evidence_id: Mapped[int] = mapped_column(ForeignKey(BackupEvidence.id))
    system_id: Mapped[int] = mapped_column(ForeignKey(System.id))
    copy_name: Mapped[str]
    level: Mapped[str]
    generation: Mapped[SentenceText]
    verdict: Mapped[BackupVerdict]
    reason: Mapped[SentenceText]
    expected: Mapped[int]
    examined: Mapped[int]
    ok: Mapped[int]
    bad: Mapped[int]
    unreadable: Mapped[int]
    changed: Mapped[int]
    judged_at: Mapped[datetime]


class BackupConnection(AppendOnly, Base):
    """Who connected where and when for a verification; written before the connection."""

    __tablename__ = "backup_connections"

    verification_id: Mapped[int] = mapped_column(ForeignKey(Verification.id), index=True)
    authorisation_id: Mapped[int] = mapped_column(ForeignKey(Authorisation.id), index=True)
    node: Mapped[str]
    address: Mapped[str]
    login: Mapped[str]
    connected_at: Mapped[datetime]

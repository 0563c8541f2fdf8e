"""Who may do what on the console, what they changed, and the files that they handed in."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailcare.records.base import AppendOnly, Base, SentenceText


class Role(StrEnum):
    """A business role; an Airflow user without any may look at nothing on the console."""

    ENGINEER = "engineer"
    CUSTOMER_SERVICE = "customer_service"
    MANAGER = "manager"
    AUDITOR = "auditor"


class StaffRole(Base):
    """A role that a user holds; `login` is the user's name in Airflow."""

    __tablename__ = "staff_roles"
    __table_args__ = (UniqueConstraint("login", "role"),)

    login: Mapped[str]
    role: Mapped[Role]
    given_by: Mapped[str]


class AuditEntry(AppendOnly, Base):
    """One change by a person: who, when, of what, before and after."""

    __tablename__ = "audit_entries"

    at: Mapped[datetime] = mapped_column(index=True)
    by: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str] = mapped_column(index=True)
    before: Mapped[dict[str, object] | None] = mapped_column(JSON)
    after: Mapped[dict[str, object] | None] = mapped_column(JSON)


class EvidenceFile(AppendOnly, Base):
    """A file handed in as evidence, whole; equal files are kept once."""

    __tablename__ = "evidence_files"

    sha256: Mapped[str] = mapped_column(unique=True)
    name: Mapped[SentenceText]
    media_type: Mapped[str]
    size_bytes: Mapped[int]
    body: Mapped[bytes] = mapped_column(deferred=True)
    handed_in_by: Mapped[str]

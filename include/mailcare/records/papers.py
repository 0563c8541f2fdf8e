"""Papers as values, the files that they were rendered to, and what customers signed of them."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailcare.records.base import AppendOnly, Base, SentenceText
from mailcare.records.customers import Customer, System
from mailcare.records.people import EvidenceFile


class FileKind(StrEnum):
    """What a paper is rendered to; `signed` is its PDF with the engineer's signature."""

    PDF = "pdf"
    HTML = "html"
    XLSX = "xlsx"
    SIGNED = "signed"


class Paper(AppendOnly, Base):
    """One version of a paper.

    Equal content is one version, changed content the next. A paper about a system is about that
    system's customer too; one about the whole desk names neither.
    """

    __tablename__ = "papers"
    __table_args__ = (
        UniqueConstraint("number", "version"),
        UniqueConstraint("number", "fingerprint"),
        CheckConstraint("version >= 1", name="version_from_one"),
    )

    customer_id: Mapped[int | None] = mapped_column(ForeignKey(Customer.id), index=True)
    system_id: Mapped[int | None] = mapped_column(ForeignKey(System.id), index=True)
    number: Mapped[str]
    version: Mapped[int]
    template: Mapped[str]
    template_version: Mapped[str]
    content: Mapped[dict[str, object]]
    fingerprint: Mapped[str]

    files: Mapped[list["PaperFile"]] = relationship(order_by="PaperFile.kind")


class PaperFile(AppendOnly, Base):
    """A rendered file; `body` is read from the database only when it is asked for."""

    __tablename__ = "paper_files"
    __table_args__ = (UniqueConstraint("paper_id", "kind"),)

    paper_id: Mapped[int] = mapped_column(ForeignKey(Paper.id))
    kind: Mapped[FileKind]
    sha256: Mapped[str]
    size_bytes: Mapped[int]
    body: Mapped[bytes] = mapped_column(deferred=True)


class SignedReturn(AppendOnly, Base):
    """A signed scan or file that came back from the customer; the same file is kept once."""

    __tablename__ = "signed_returns"
    __table_args__ = (UniqueConstraint("paper_id", "evidence_file_id"),)

    paper_id: Mapped[int] = mapped_column(ForeignKey(Paper.id))
    evidence_file_id: Mapped[int] = mapped_column(ForeignKey(EvidenceFile.id))
    signer: Mapped[SentenceText]
    signed_on: Mapped[date]
    recorded_by: Mapped[str]
    recorded_at: Mapped[datetime]

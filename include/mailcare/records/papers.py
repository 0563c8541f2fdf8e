"""Papers as values, and the files that they were rendered to."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailcare.records.base import AppendOnly, Base
from mailcare.records.customers import System


class FileKind(StrEnum):
    """What a paper is rendered to."""

    PDF = "pdf"
    HTML = "html"
    XLSX = "xlsx"


class Paper(AppendOnly, Base):
    """One version of a paper about a customer's system.

    Equal content is one version, changed content the next.
    """

    __tablename__ = "papers"
    __table_args__ = (
        UniqueConstraint("number", "version"),
        UniqueConstraint("number", "fingerprint"),
        CheckConstraint("version >= 1", name="version_from_one"),
    )

    system_id: Mapped[int] = mapped_column(ForeignKey(System.id), index=True)
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

"""The operator's year tables: proposed by one person, confirmed by another."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped

from mailcare.records.base import Base, SentenceText, Stateful


class TableState(StrEnum):
    """How far a year table has come; only a confirmed one counts, one a year."""

    PROPOSED = "proposed"
    CONFIRMED = "confirmed"
    REPLACED = "replaced"


class YearTable(Stateful[TableState], Base):
    """One year's notice; `off` and `work` are days as ISO texts, `fingerprint` is made of both."""

    __tablename__ = "year_tables"
    __table_args__ = (
        CheckConstraint("confirmed_by <> loaded_by", name="second_person"),
        CheckConstraint("(confirmed_by IS NULL) = (confirmed_at IS NULL)", name="confirmed_whole"),
        CheckConstraint("state = 'proposed' OR confirmed_by IS NOT NULL", name="confirmed_by_one"),
        Index(
            "ix_year_tables_one_in_force",
            "year",
            unique=True,
            sqlite_where=text("state = 'confirmed'"),
            postgresql_where=text("state = 'confirmed'"),
        ),
    )

    year: Mapped[int]
    notice: Mapped[SentenceText]
    off: Mapped[list[str]]
    work: Mapped[list[str]]
    fingerprint: Mapped[str]
    state: Mapped[TableState]
    loaded_by: Mapped[str]
    loaded_at: Mapped[datetime]
    confirmed_by: Mapped[str | None]
    confirmed_at: Mapped[datetime | None]

"""The yearly reviews that were asked for; what stands in them is their papers."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from mailcare.records.base import Base
from mailcare.records.contracts import Contract


class Review(Base):
    """One review, of a contract year or, without a contract, of the desk's calendar year.

    `key` is made of what it is about, so that it exists once; each time it is made is a
    version of its paper.
    """

    __tablename__ = "reviews"
    __table_args__ = (
        CheckConstraint(
            "(contract_id IS NULL) = (contract_year IS NULL)", name="contract_with_its_year"
        ),
    )

    key: Mapped[str] = mapped_column(unique=True)
    contract_id: Mapped[int | None] = mapped_column(ForeignKey(Contract.id), index=True)
    contract_year: Mapped[int | None]
    first_on: Mapped[date]
    last_on: Mapped[date]
    opened_by: Mapped[str]
    opened_at: Mapped[datetime]

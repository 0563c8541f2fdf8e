"""Contracts, their versions, the ledger of what they entitle to, and the notices about them."""

from datetime import date
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Numeric, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailcare.records.base import AppendOnly, Base, SentenceText
from mailcare.records.customers import Customer, System

CNY = Numeric(12, 2)


class Contract(Base):
    """A contract 合同; what it says stands in its versions, of which `version` is in force.

    Who edits it says which version was read: `changes.succeed` refuses a stale one.
    """

    __tablename__ = "contracts"

    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id), index=True)
    number: Mapped[str] = mapped_column(unique=True)
    version: Mapped[int]

    versions: Mapped[list["ContractVersion"]] = relationship(order_by="ContractVersion.version")


class ContractVersion(AppendOnly, Base):
    """What a contract said from one change to the next; both days are in it.

    `terms_version` names the promises of time; see `contracts.promises`.
    """

    __tablename__ = "contract_versions"
    __table_args__ = (
        UniqueConstraint("contract_id", "version"),
        CheckConstraint("ends_on >= starts_on", name="ends_after_start"),
        CheckConstraint("visits_per_year BETWEEN 0 AND 2", name="visits_that_are_sold"),
    )

    contract_id: Mapped[int] = mapped_column(ForeignKey(Contract.id))
    version: Mapped[int]
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    terms_version: Mapped[int]
    remote_service: Mapped[bool]
    visits_per_year: Mapped[int]
    remote_cny: Mapped[Decimal] = mapped_column(CNY)
    visit_cny: Mapped[Decimal] = mapped_column(CNY)
    note: Mapped[SentenceText]
    recorded_by: Mapped[str]

    covered: Mapped[list["CoveredSystem"]] = relationship(order_by="CoveredSystem.system_id")


class CoveredSystem(AppendOnly, Base):
    """A mail system that a version of a contract covers."""

    __tablename__ = "covered_systems"
    __table_args__ = (UniqueConstraint("contract_version_id", "system_id"),)

    contract_version_id: Mapped[int] = mapped_column(ForeignKey(ContractVersion.id))
    system_id: Mapped[int] = mapped_column(ForeignKey(System.id), index=True)


class EntitlementReason(StrEnum):
    """Why the number of services that a customer may have changed."""

    BOUGHT = "bought"
    PLANNED = "planned"
    USED = "used"
    GIVEN_BACK = "given_back"


class Entitlement(AppendOnly, Base):
    """One line of the ledger 服务次数台账; `key` names its cause, so that it is written once.

    `promise` is the kind of service, `count` how many: planning takes one from what was bought,
    using takes it from what was planned, giving back undoes the planning. The last line of what
    was bought counts, for a later version of the contract says it anew, and may say none.
    """

    __tablename__ = "entitlements"
    __table_args__ = (
        CheckConstraint("count > 0 OR (count = 0 AND reason = 'bought')", name="something_counted"),
    )

    contract_id: Mapped[int] = mapped_column(ForeignKey(Contract.id), index=True)
    contract_year: Mapped[int]
    promise: Mapped[str]
    reason: Mapped[EntitlementReason]
    count: Mapped[int]
    key: Mapped[str] = mapped_column(unique=True)
    note: Mapped[SentenceText]
    recorded_by: Mapped[str]


class Notice(AppendOnly, Base):
    """Something that people should know in time; `key` makes it one notice however often found."""

    __tablename__ = "notices"

    key: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(index=True)
    contract_id: Mapped[int | None] = mapped_column(ForeignKey(Contract.id), index=True)
    text: Mapped[SentenceText]
    raised_on: Mapped[date]

"""Customers, their contacts and mail systems, and what they authorised."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, false, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailcare.records.base import AppendOnly, Base
from mailcare.records.people import EvidenceFile


class Customer(Base):
    """A customer 客户; who edits it says which `version` was read."""

    __tablename__ = "customers"

    name: Mapped[str] = mapped_column(unique=True)
    version: Mapped[int] = mapped_column(server_default="1")

    contacts: Mapped[list["Contact"]] = relationship(order_by="Contact.id")


class Contact(Base):
    """A person on the customer's side.

    `gets_papers` marks who receives the reports, `may_authorise` who may consent to remote login.
    """

    __tablename__ = "contacts"

    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id), index=True)
    name: Mapped[str]
    role: Mapped[str]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    gets_papers: Mapped[bool]
    may_authorise: Mapped[bool] = mapped_column(server_default=false())


class System(Base):
    """A customer's mail system; `definition` is the whole site file as it was validated."""

    __tablename__ = "systems"

    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id), index=True)
    site: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    profile: Mapped[str]
    definition: Mapped[dict[str, object]]
    updated_at: Mapped[datetime] = mapped_column(
        server_default=func.current_timestamp(), onupdate=func.current_timestamp()
    )


class Authorisation(AppendOnly, Base):
    """The customer's consent to remote login 授权; only `changes.revoke` ends it early.

    `fingerprint` is made of what was consented to, so that an import repeated adds nothing.
    """

    __tablename__ = "authorisations"
    __table_args__ = (
        CheckConstraint("valid_to > valid_from", name="ends_after_start"),
        CheckConstraint("(revoked_at IS NULL) = (revoked_by IS NULL)", name="revoked_by_somebody"),
    )

    system_id: Mapped[int] = mapped_column(ForeignKey(System.id), index=True)
    fingerprint: Mapped[str] = mapped_column(unique=True)
    given_by: Mapped[str]
    given_at: Mapped[datetime]
    how: Mapped[str]
    purpose: Mapped[str]
    nodes: Mapped[list[str]]
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime]
    evidence: Mapped[str]
    evidence_file_id: Mapped[int | None] = mapped_column(ForeignKey(EvidenceFile.id))
    recorded_by: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.current_timestamp())
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[str | None]

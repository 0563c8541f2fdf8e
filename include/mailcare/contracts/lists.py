"""The lists of customers, contracts, services and notices: searched, sorted and paged in SQL."""

from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from sqlalchemy import ColumnElement, and_, case, false, func, or_, select
from sqlalchemy.orm import Session

from mailcare.listing import Page, Wish
from mailcare.records.contracts import Contract, ContractVersion, CoveredSystem, Notice
from mailcare.records.customers import Contact, Customer, System
from mailcare.records.inspections import Service, ServiceKind, ServicePurpose, ServiceState
from mailcare.records.paging import Statement, page_of, searched, sorted_by

RowT = TypeVar("RowT")
OPEN_STATES = (ServiceState.PLANNED, ServiceState.RUNNING)


@dataclass(frozen=True, slots=True)
class ContractRow:
    """A contract as its list shows it; `is_in_force` is told for the day that was asked for."""

    number: str
    customer_id: int
    customer: str
    starts_on: date
    ends_on: date
    remote_service: bool
    visits_per_year: int
    systems: int
    version: int
    is_in_force: bool


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """A customer as the list shows it; counts of what is recorded under the name."""

    id: int
    name: str
    contacts: int
    systems: int
    contracts: int


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """A service that is planned or running; `contract` is empty for a follow-up."""

    id: int
    customer_id: int
    customer: str
    site: str
    system: str
    kind: ServiceKind
    purpose: ServicePurpose
    state: ServiceState
    due_on: date | None
    is_late: bool
    is_provisional: bool
    contract: str
    contract_year: int | None


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """A notice as its list shows it; `contract` is empty for one that concerns the desk."""

    id: int
    raised_on: date
    kind: str
    contract: str
    text: str


def contract_rows(session: Session, wish: Wish, *, on: date) -> Page[ContractRow]:
    """Return a page of contracts; sorts: number customer starts_on ends_on."""
    columns = {
        "number": Contract.number,
        "customer": Customer.name,
        "starts_on": ContractVersion.starts_on,
        "ends_on": ContractVersion.ends_on,
    }
    looked_at = (Contract.number, Customer.name, ContractVersion.note)
    statement = searched(_contracts(on), wish, looked_at)
    statement = sorted_by(statement, wish, columns, (Contract.number,))
    return page_of(session, statement, wish, ContractRow)


def contracts_of(session: Session, customer: int, *, on: date) -> tuple[ContractRow, ...]:
    """Return the contracts of one customer, in time."""
    of_customer = _contracts(on).where(Contract.customer_id == customer)
    return _all(session, of_customer.order_by(ContractVersion.starts_on), ContractRow)


def _contracts(on: date) -> Statement:
    version = ContractVersion
    in_force = and_(version.starts_on <= on, version.ends_on >= on)
    systems = select(func.count()).where(CoveredSystem.contract_version_id == version.id)
    return (
        select(
            Contract.number,
            Contract.customer_id,
            Customer.name.label("customer"),
            version.starts_on,
            version.ends_on,
            version.remote_service,
            version.visits_per_year,
            systems.scalar_subquery().label("systems"),
            Contract.version,
            in_force.label("is_in_force"),
        )
        .join(Customer, Customer.id == Contract.customer_id)
        .join(
            version, and_(version.contract_id == Contract.id, version.version == Contract.version)
        )
    )


def customer_rows(session: Session, wish: Wish) -> Page[CustomerRow]:
    """Return a page of customers; the only sort is name."""
    statement = select(
        Customer.id,
        Customer.name,
        *(
            select(func.count())
            .where(model.customer_id == Customer.id)
            .scalar_subquery()
            .label(name)
            for name, model in (("contacts", Contact), ("systems", System), ("contracts", Contract))
        ),
    )
    named = Customer.contacts.any(Contact.name.icontains(wish.text, autoescape=True))
    if wish.text:
        statement = statement.where(or_(Customer.name.icontains(wish.text, autoescape=True), named))
    statement = sorted_by(statement, wish, {"name": Customer.name}, (Customer.name,))
    return page_of(session, statement, wish, CustomerRow)


def service_rows(session: Session, wish: Wish, *, until: date | None, on: date) -> Page[ServiceRow]:
    """Return a page of open services due up to a day; sorts: due_on customer system kind state."""
    statement = _services(on).where(Service.state.in_(OPEN_STATES))
    if until:
        statement = statement.where(or_(Service.due_on <= until, Service.due_on.is_(None)))
    columns = {
        "due_on": Service.due_on,
        "customer": Customer.name,
        "system": System.title,
        "kind": Service.kind,
        "state": Service.state,
    }
    looked_at = (Customer.name, System.title, System.site, Contract.number)
    statement = searched(statement, wish, looked_at)
    usual = (case((_is_late(on), 0), else_=1), Service.due_on, Service.id)
    return page_of(session, sorted_by(statement, wish, columns, usual), wish, ServiceRow)


def services_of(session: Session, contract: int, *, on: date) -> tuple[ServiceRow, ...]:
    """Return all services of one contract, withdrawn ones included, by their day."""
    of_contract = _services(on).where(Service.contract_id == contract)
    return _all(session, of_contract.order_by(Service.due_on, Service.id), ServiceRow)


def _is_late(on: date) -> ColumnElement[bool]:
    return and_(Service.due_on < on, Service.state == ServiceState.PLANNED)


def _services(on: date) -> Statement:
    return (
        select(
            Service.id,
            System.customer_id,
            Customer.name.label("customer"),
            System.site,
            System.title.label("system"),
            Service.kind,
            Service.purpose,
            Service.state,
            Service.due_on,
            func.coalesce(_is_late(on), false()).label("is_late"),
            Service.is_provisional,
            func.coalesce(Contract.number, "").label("contract"),
            Service.contract_year,
        )
        .join(System, System.id == Service.system_id)
        .join(Customer, Customer.id == System.customer_id)
        .outerjoin(Contract, Contract.id == Service.contract_id)
    )


def notice_rows(session: Session, wish: Wish) -> Page[NoticeRow]:
    """Return a page of notices, the newest first; sorts: raised_on kind contract."""
    number = func.coalesce(Contract.number, "").label("contract")
    statement = select(Notice.id, Notice.raised_on, Notice.kind, number, Notice.text).outerjoin(
        Contract, Contract.id == Notice.contract_id
    )
    columns = {"raised_on": Notice.raised_on, "kind": Notice.kind, "contract": Contract.number}
    statement = searched(statement, wish, (Notice.text, Contract.number))
    statement = sorted_by(statement, wish, columns, (Notice.raised_on.desc(), Notice.id.desc()))
    return page_of(session, statement, wish, NoticeRow)


def _all(session: Session, statement: Statement, row: type[RowT]) -> tuple[RowT, ...]:
    """Return the rows of a statement whose columns stand in the order of the fields of `row`."""
    return tuple(row(*found) for found in session.execute(statement))

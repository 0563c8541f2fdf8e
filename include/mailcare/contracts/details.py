"""One contract, or one customer, with all that hangs on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from mailcare.contracts.entering import find_contract, find_customer
from mailcare.contracts.ledger import Balance, Line, balances
from mailcare.contracts.lists import (
    ContractRow,
    ServiceRow,
    contracts_of,
    services_of,
)
from mailcare.contracts.terms import Contract, ContractYear, Terms
from mailcare.records import contracts
from mailcare.records.contracts import ContractVersion, Entitlement
from mailcare.records.customers import Customer, System


@dataclass(frozen=True, slots=True)
class VersionRow:
    """What a contract said from one change to the next."""

    version: int
    starts_on: date
    ends_on: date
    terms_version: int
    remote_service: bool
    visits_per_year: int
    remote_cny: Decimal
    visit_cny: Decimal
    systems: tuple[str, ...]
    note: str
    recorded_by: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One line of the ledger 服务次数台账; `reason` is bought, planned, used or given_back."""

    contract_year: int
    promise: str
    reason: str
    count: int
    note: str
    recorded_by: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class YearRow:
    """A contract year, and what is left of each promise in it."""

    year: ContractYear
    balances: tuple[Balance, ...]


@dataclass(frozen=True, slots=True)
class ContractDetail:
    """A contract: `versions` newest first (the first one is in force), all others in time."""

    id: int
    number: str
    customer_id: int
    customer: str
    version: int
    yearly_cny: Decimal
    versions: tuple[VersionRow, ...]
    years: tuple[YearRow, ...]
    ledger: tuple[LedgerRow, ...]
    services: tuple[ServiceRow, ...]


@dataclass(frozen=True, slots=True)
class ContactRow:
    """A person on the customer's side."""

    name: str
    role: str
    email: str | None
    phone: str | None
    gets_papers: bool
    may_authorise: bool


@dataclass(frozen=True, slots=True)
class SystemRow:
    """A mail system of a customer."""

    id: int
    site: str
    title: str
    profile: str


@dataclass(frozen=True, slots=True)
class CustomerDetail:
    """A customer; hand `version` back to `change_customer` as `read_version`."""

    id: int
    name: str
    version: int
    contacts: tuple[ContactRow, ...]
    systems: tuple[SystemRow, ...]
    contracts: tuple[ContractRow, ...]


def describe_contract(session: Session, number: str, *, on: date) -> ContractDetail:
    """Return a contract with all that hangs on it; raise `InputError` for an unknown number."""
    row = find_contract(session, number)
    versions = _versions(session, row)
    now = contract_value(number, versions[0])
    sites = _sites(session, versions)
    ledger = ledger_of(session, row.id)
    left = balances(map(_line, ledger))
    return ContractDetail(
        id=row.id,
        number=number,
        customer_id=row.customer_id,
        customer=session.scalars(select(Customer.name).where(Customer.id == row.customer_id)).one(),
        version=row.version,
        yearly_cny=now.terms.yearly_cny,
        versions=tuple(_version(one, sites) for one in versions),
        years=tuple(
            YearRow(year, tuple(one for one in left if one.contract_year == year.number))
            for year in now.years()
        ),
        ledger=tuple(_ledger_row(one) for one in ledger),
        services=services_of(session, row.id, on=on),
    )


def describe_customer(session: Session, customer_id: int, *, on: date) -> CustomerDetail:
    """Return a customer with all that hangs on it; raise `InputError` for an unknown id."""
    row = find_customer(session, customer_id)
    systems = select(System).where(System.customer_id == row.id).order_by(System.site)
    return CustomerDetail(
        id=row.id,
        name=row.name,
        version=row.version,
        contacts=tuple(
            ContactRow(one.name, one.role, one.email, one.phone, one.gets_papers, one.may_authorise)
            for one in row.contacts
        ),
        systems=tuple(
            SystemRow(one.id, one.site, one.title, one.profile) for one in session.scalars(systems)
        ),
        contracts=contracts_of(session, row.id, on=on),
    )


def ledger_of(session: Session, contract_id: int) -> Sequence[Entitlement]:
    """Return the lines of a contract's ledger, in the order in which they were written."""
    lines = select(Entitlement).where(Entitlement.contract_id == contract_id)
    return session.scalars(lines.order_by(Entitlement.id)).all()


def balances_of(session: Session, contract_id: int) -> tuple[Balance, ...]:
    """Return what is left of each promise in each year of a contract."""
    return balances(map(_line, ledger_of(session, contract_id)))


def contract_value(number: str, version: ContractVersion) -> Contract:
    """Return a contract as the value that the rules reckon with."""
    terms = Terms(
        version.version,
        version.visits_per_year,
        version.remote_service,
        version.remote_cny,
        version.visit_cny,
    )
    systems = tuple(one.system_id for one in version.covered)
    return Contract(number, version.starts_on, version.ends_on, terms, systems)


def _versions(session: Session, contract: contracts.Contract) -> Sequence[ContractVersion]:
    return session.scalars(
        select(ContractVersion)
        .where(ContractVersion.contract_id == contract.id)
        .order_by(ContractVersion.version.desc())
        .options(selectinload(ContractVersion.covered))
    ).all()


def _sites(session: Session, versions: Sequence[ContractVersion]) -> dict[int, str]:
    covered = {one.system_id for version in versions for one in version.covered}
    rows = session.execute(select(System.id, System.site).where(System.id.in_(covered)))
    return {row.id: row.site for row in rows}


def _version(row: ContractVersion, sites: dict[int, str]) -> VersionRow:
    return VersionRow(
        version=row.version,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        terms_version=row.terms_version,
        remote_service=row.remote_service,
        visits_per_year=row.visits_per_year,
        remote_cny=row.remote_cny,
        visit_cny=row.visit_cny,
        systems=tuple(sites[one.system_id] for one in row.covered),
        note=row.note,
        recorded_by=row.recorded_by,
        recorded_at=row.created_at,
    )


def _line(row: Entitlement) -> Line:
    return Line(row.contract_year, row.promise, row.reason, row.count)


def _ledger_row(row: Entitlement) -> LedgerRow:
    return LedgerRow(
        row.contract_year,
        row.promise,
        str(row.reason),
        row.count,
        row.note,
        row.recorded_by,
        row.created_at,
    )

"""A desk with one customer, one system and one contract: what the tests of contracts start from."""

from datetime import date, datetime, time

from sqlalchemy import select, update

from mailcare.clock import BEIJING
from mailcare.contracts.forms import ContractForm, CustomerForm, read_form
from mailcare.contracts.steps import enter_contract, enter_customer
from mailcare.records.contracts import ContractVersion, Entitlement, Notice
from mailcare.records.customers import System
from mailcare.records.inspections import Service
from mailcare.records.people import AuditEntry
from mailcare.records.session import reading, transaction

CUSTOMER = {"name": "示例银行", "contacts": [{"name": "王示例"}]}
CONTRACT = {
    "number": "HT-1",
    "customer": "示例银行",
    "starts_on": "2026-01-01",
    "ends_on": "2026-12-31",
    "systems": ["head-office"],
    "visits_per_year": 1,
}
NEW_YEAR = date(2026, 1, 4)  # a Sunday on which people work


def add_customer(**changes) -> int:
    return enter_customer(read_form(CustomerForm, CUSTOMER | changes), by="li")


def add_system(customer: int, site: str = "head-office") -> int:
    with transaction() as session:
        row = System(
            customer_id=customer, site=site, title="总行", profile="generic", definition={}
        )
        session.add(row)
        session.flush()
        return row.id


def form(**changes) -> ContractForm:
    return read_form(ContractForm, CONTRACT | changes)


def add_contract(**changes) -> int:
    contract = enter_contract(form(**changes), by="li")
    predate_contracts()
    return contract


def predate_contracts() -> None:
    """Let every contract be recorded on the first working day of 2026, whatever day it is now."""
    with transaction() as session:
        recorded_at = datetime.combine(NEW_YEAR, time(9), BEIJING)
        session.execute(update(ContractVersion).values(created_at=recorded_at))


def services() -> dict[str, Service]:
    with reading() as session:
        return {one.key: one for one in session.scalars(select(Service).order_by(Service.id))}


def notices() -> list[Notice]:
    with reading() as session:
        return list(session.scalars(select(Notice).order_by(Notice.id)))


def ledger() -> list[tuple[str, str, int]]:
    with reading() as session:
        lines = session.scalars(select(Entitlement).order_by(Entitlement.id))
        return [(one.promise, str(one.reason), one.count) for one in lines]


def audits(action: str) -> list[AuditEntry]:
    with reading() as session:
        return list(session.scalars(select(AuditEntry).where(AuditEntry.action == action)))

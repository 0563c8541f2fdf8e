"""Customers and contracts: the seam between the records and the rules."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailcare.clock import utc_now
from mailcare.contracts.forms import ContractForm, CustomerForm, complain
from mailcare.errors import InputError
from mailcare.records.audit import note_change
from mailcare.records.changes import add_once
from mailcare.records.contracts import Contract, ContractVersion, CoveredSystem
from mailcare.records.customers import Contact, Customer, System
from mailcare.records.session import transaction


class Changed(InputError):
    """Somebody else changed the record since it was read; nothing was overwritten."""


def enter_customer(form: CustomerForm, *, by: str) -> int:
    """Record a new customer and return the id; raise `FormError` for a name that is known."""
    with transaction() as session:
        if session.scalar(select(Customer.id).where(Customer.name == form.name)):
            raise complain("name", "已有同名客户")
        customer = Customer(name=form.name)
        session.add(customer)
        session.flush()
        _write_contacts(session, customer.id, form)
        _note(session, by, "enter", f"customer/{customer.id}", None, _plain(form))
        return customer.id


def _write_contacts(session: Session, customer: int, form: CustomerForm) -> None:
    known = {
        one.name: one
        for one in session.scalars(select(Contact).where(Contact.customer_id == customer))
    }
    for one in form.contacts:
        contact = known.pop(one.name, None) or Contact(customer_id=customer, name=one.name)
        contact.role, contact.email, contact.phone = one.role, one.email, one.phone
        contact.gets_papers = one.gets_papers
        session.add(contact)
    for gone in known.values():
        session.delete(gone)


def enter_contract(form: ContractForm, *, by: str) -> int:
    """Record a new contract and return its id.

    Raise `FormError` for a number that is taken, a customer or system that is not recorded, or a
    system that another contract covers in the same time.
    """
    with transaction() as session:
        customer, systems = _customer(session, form), _systems(session, form)
        contract = add_once(
            session, Contract, {"customer_id": customer, "number": form.number, "version": 1}
        )
        if contract is None:
            raise complain("number", "已有这个编号的合同")
        _refuse_overlap(session, contract, form, systems)
        _add_version(session, contract, 1, form, systems, by=by)
        _note(session, by, "enter", f"contract/{form.number}", None, _plain(form))
        return contract


def change_contract(number: str, form: ContractForm, *, read_version: int, by: str) -> int:
    """Record the next version of a contract and return it.

    Raise `Changed` where `read_version` is no longer in force: the second editor is told, nothing
    is overwritten; `FormError` as for a new contract.
    """
    with transaction() as session:
        contract = _contract(session, number)
        before = _version_in_force(session, contract)
        if form.number != number:
            raise complain("number", "合同编号不能更改")
        if _customer(session, form) != contract.customer_id:
            raise complain("customer", "合同的客户不能更改")
        systems = _systems(session, form)
        if not _succeed(session, contract.id, read_version):
            raise Changed(_who_changed(session, contract.id), subject=number)
        _refuse_overlap(session, contract.id, form, systems)
        _add_version(session, contract.id, read_version + 1, form, systems, by=by)
        _note(session, by, "change", f"contract/{number}", _described(before), _plain(form))
        return read_version + 1


def _succeed(session: Session, contract: int, version: int) -> bool:
    statement = (
        update(Contract)
        .where(Contract.id == contract, Contract.version == version)
        .values(version=version + 1)
        .returning(Contract.id)
    )
    return session.scalar(statement) is not None


def _who_changed(session: Session, contract: int) -> str:
    latest = session.scalars(
        select(ContractVersion)
        .where(ContractVersion.contract_id == contract)
        .order_by(ContractVersion.version.desc())
        .limit(1)
    ).one()
    return f"合同已由 {latest.recorded_by} 改为第 {latest.version} 版，请重新打开后再改"


def _contract(session: Session, number: str) -> Contract:
    contract = session.scalar(select(Contract).where(Contract.number == number))
    if contract is None:
        raise InputError("没有这份合同", subject=number)
    return contract


def _version_in_force(session: Session, contract: Contract) -> ContractVersion:
    return session.scalars(
        select(ContractVersion).where(
            ContractVersion.contract_id == contract.id,
            ContractVersion.version == contract.version,
        )
    ).one()


def _customer(session: Session, form: ContractForm) -> int:
    found = session.scalar(select(Customer.id).where(Customer.name == form.customer))
    if found is None:
        raise complain("customer", "没有登记这个客户")
    return found


def _systems(session: Session, form: ContractForm) -> tuple[int, ...]:
    """Return the ids of the systems; they must be the contract's customer's own."""
    rows = session.execute(
        select(System.site, System.id)
        .join(Customer, Customer.id == System.customer_id)
        .where(System.site.in_(form.systems), Customer.name == form.customer)
    )
    known = {row.site: row.id for row in rows}
    if unknown := [site for site in form.systems if site not in known]:
        raise complain("systems", f"该客户没有登记这些系统：{'、'.join(unknown)}")
    return tuple(known[site] for site in form.systems)


def _refuse_overlap(
    session: Session, contract: int, form: ContractForm, systems: tuple[int, ...]
) -> None:
    other = session.execute(
        select(Contract.number, ContractVersion.starts_on, ContractVersion.ends_on, System.site)
        .join(ContractVersion, ContractVersion.contract_id == Contract.id)
        .join(CoveredSystem, CoveredSystem.contract_version_id == ContractVersion.id)
        .join(System, System.id == CoveredSystem.system_id)
        .where(
            Contract.id != contract,
            ContractVersion.version == Contract.version,
            CoveredSystem.system_id.in_(systems),
            ContractVersion.starts_on <= form.ends_on,
            ContractVersion.ends_on >= form.starts_on,
        )
        .limit(1)
    ).first()
    if other:
        raise complain(
            "starts_on",
            f"{other.site} 在此期间已有合同 {other.number}（{other.starts_on} 至 {other.ends_on}）",
        )


def _add_version(
    session: Session,
    contract: int,
    version: int,
    form: ContractForm,
    systems: tuple[int, ...],
    *,
    by: str,
) -> None:
    row = ContractVersion(
        contract_id=contract,
        version=version,
        starts_on=form.starts_on,
        ends_on=form.ends_on,
        remote_service=form.remote_service,
        visits_per_year=form.visits_per_year,
        remote_cny=form.remote_cny,
        visit_cny=form.visit_cny,
        note=form.note,
        recorded_by=by,
    )
    session.add(row)
    session.flush()
    session.add_all(CoveredSystem(contract_version_id=row.id, system_id=one) for one in systems)


def _described(version: ContractVersion) -> dict[str, object]:
    return {
        "version": version.version,
        "starts_on": version.starts_on.isoformat(),
        "ends_on": version.ends_on.isoformat(),
        "remote_service": version.remote_service,
        "visits_per_year": version.visits_per_year,
        "remote_cny": str(version.remote_cny),
        "visit_cny": str(version.visit_cny),
        "systems": [one.system_id for one in version.covered],
        "note": version.note,
    }


def _plain(form: CustomerForm | ContractForm) -> dict[str, Any]:
    return form.model_dump(mode="json")


def _note(
    session: Session,
    by: str,
    action: str,
    subject: str,
    before: Mapping[str, object] | None,
    after: Mapping[str, object] | None,
) -> None:
    note_change(
        session,
        by=by,
        at=utc_now(),
        action=action,
        subject=subject,
        before=before,
        after=after,
    )

"""Write customers and contracts into the records, after checking them against what is there."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mailcare.clock import BEIJING, utc_now
from mailcare.contracts.forms import ContactForm, ContractForm, CustomerForm, complain
from mailcare.errors import InputError
from mailcare.records.audit import note_change
from mailcare.records.changes import add_once
from mailcare.records.contracts import Contract, ContractVersion, CoveredSystem
from mailcare.records.customers import Authorisation, Contact, Customer, System
from mailcare.records.deliveries import Delivery
from mailcare.records.faults import Fault
from mailcare.records.inspections import Service
from mailcare.records.papers import Paper
from mailcare.records.people import AuditEntry


class Changed(InputError):
    """Somebody else changed the record since it was read; nothing was overwritten."""


def add_customer(session: Session, form: CustomerForm, *, by: str) -> int:
    """Record a new customer and return the id; raise `FormError` for a name that is known."""
    customer = add_once(session, Customer, {"name": form.name})
    if customer is None:
        raise complain("name", "已有同名客户")
    write_contacts(session, customer, form.contacts)
    note(session, by, "enter", f"customer/{customer}", None, plain(form))
    return customer


def rewrite_customer(
    session: Session, customer_id: int, form: CustomerForm, *, read_version: int, by: str
) -> int:
    """Write a customer's name and contacts anew; return the new version, or raise `Changed`."""
    customer = find_customer(session, customer_id)
    before = described_customer(customer)
    if not succeed(session, Customer, customer_id, read_version):
        raise changed(session, f"customer/{customer_id}", customer.name)
    known = select(Customer.id).where(Customer.name == form.name, Customer.id != customer_id)
    if session.scalar(known):
        raise complain("name", "已有同名客户")
    try:
        session.execute(update(Customer).where(Customer.id == customer_id).values(name=form.name))
    except IntegrityError:  # somebody else took the name between the two statements
        raise complain("name", "已有同名客户") from None
    names = [one.name for one in form.contacts]
    session.execute(
        delete(Contact).where(Contact.customer_id == customer_id, Contact.name.not_in(names))
    )
    write_contacts(session, customer_id, form.contacts)
    note(session, by, "change", f"customer/{customer_id}", before, plain(form))
    return read_version + 1


def find_customer(session: Session, customer_id: int) -> Customer:
    """Return a customer's row; raise `InputError` for one that is not recorded."""
    customer = session.get(Customer, customer_id, populate_existing=True)
    if customer is None:
        raise InputError("没有登记这个客户", subject=str(customer_id))
    return customer


def write_contacts(session: Session, customer: int, forms: Iterable[ContactForm]) -> None:
    """Write contacts, known by their names; others of the customer stay."""
    of_customer = select(Contact).where(Contact.customer_id == customer)
    known = {one.name: one for one in session.scalars(of_customer)}
    for one in forms:
        contact = known.get(one.name) or Contact(customer_id=customer, name=one.name)
        contact.role, contact.email, contact.phone = one.role, one.email, one.phone
        contact.gets_papers, contact.may_authorise = one.gets_papers, one.may_authorise
        session.add(contact)


def remove_customer(session: Session, customer_id: int, *, read_version: int, by: str) -> None:
    """Delete a customer who has nothing that could be disputed; raise `InputError` otherwise."""
    customer = find_customer(session, customer_id)
    before = described_customer(customer)
    if not succeed(session, Customer, customer_id, read_version):
        raise changed(session, f"customer/{customer_id}", customer.name)
    if against := _what_hangs_on(session, customer_id):
        raise InputError(f"不能删除，名下还有{'、'.join(against)}", subject=customer.name)
    for model in (Contact, System):
        session.execute(delete(model).where(model.customer_id == customer_id))
    session.execute(delete(Customer).where(Customer.id == customer_id))
    note(session, by, "delete", f"customer/{customer_id}", before, None)


def _what_hangs_on(session: Session, customer: int) -> Sequence[str]:
    systems = select(System.id).where(System.customer_id == customer)
    counts = {
        "份合同": select(func.count()).where(Contract.customer_id == customer),
        "项服务": select(func.count()).where(Service.system_id.in_(systems)),
        "份文书": select(func.count()).where(Paper.customer_id == customer),
        "份授权": select(func.count()).where(Authorisation.system_id.in_(systems)),
        "个故障": select(func.count()).where(Fault.customer_id == customer),
        "封信件": select(func.count()).where(Delivery.customer_id == customer),
    }
    found = ((session.scalar(count), title) for title, count in counts.items())
    return [f" {count} {title}" for count, title in found if count]


def add_contract(session: Session, form: ContractForm, *, by: str) -> int:
    """Record a new contract and return its id; raise `FormError` for what cannot be."""
    customer, systems = _customer(session, form), _systems(session, form)
    contract = add_once(
        session, Contract, {"customer_id": customer, "number": form.number, "version": 1}
    )
    if contract is None:
        raise complain("number", "已有这个编号的合同")
    _refuse_overlap(session, contract, form, systems)
    session.add(version_row(form, systems, contract=contract, version=1, by=by))
    note(session, by, "enter", f"contract/{form.number}", None, plain(form))
    return contract


def rewrite_contract(
    session: Session, number: str, form: ContractForm, *, read_version: int, by: str
) -> int:
    """Record the next version of a contract and return it; raise `Changed` for a stale one."""
    contract = find_contract(session, number)
    before = _described(session, version_in_force(session, contract))
    if form.number != number:
        raise complain("number", "合同编号不能更改")
    if _customer(session, form) != contract.customer_id:
        raise complain("customer", "合同的客户不能更改")
    systems = _systems(session, form)
    if not succeed(session, Contract, contract.id, read_version):
        raise changed(session, f"contract/{number}", number)
    _refuse_overlap(session, contract.id, form, systems)
    version = read_version + 1
    session.add(version_row(form, systems, contract=contract.id, version=version, by=by))
    note(session, by, "change", f"contract/{number}", before, plain(form))
    return version


def find_contract(session: Session, number: str) -> Contract:
    """Return a contract's row; raise `InputError` for a number that is not recorded."""
    contract = session.scalar(select(Contract).where(Contract.number == number))
    if contract is None:
        raise InputError("没有这份合同", subject=number)
    return contract


def version_in_force(session: Session, contract: Contract) -> ContractVersion:
    """Return the row of what a contract says now."""
    return session.scalars(
        select(ContractVersion).where(
            ContractVersion.contract_id == contract.id,
            ContractVersion.version == contract.version,
        )
    ).one()


def succeed(
    session: Session, model: type[Contract] | type[Customer], row_id: int, version: int
) -> bool:
    """Count a row's version up where it still is `version`; tell whether this call did."""
    statement = (
        update(model)
        .where(model.id == row_id, model.version == version)
        .values(version=version + 1)
        .returning(model.id)
    )
    return session.scalar(statement) is not None


def changed(session: Session, subject: str, name: str) -> Changed:
    """Return what the second editor is told: who was first, and when."""
    latest = session.execute(
        select(AuditEntry.by, AuditEntry.at)
        .where(AuditEntry.subject == subject)
        .order_by(AuditEntry.id.desc())
        .limit(1)
    ).first()
    who = f"由 {latest.by} 于 {_moment(latest.at)} " if latest else "被他人"
    return Changed(f"已{who}修改，您的修改没有保存，请重新打开后再改", subject=name)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M}"


def _customer(session: Session, form: ContractForm) -> int:
    # The lock makes two contracts of one customer wait for each other: neither misses an overlap.
    of_name = select(Customer.id).where(Customer.name == form.customer)
    found = session.scalar(of_name.with_for_update())
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


def version_row(
    form: ContractForm, systems: Iterable[int], *, contract: int | None, version: int, by: str
) -> ContractVersion:
    """Return the row of a version; without `contract` it belongs to a new one."""
    row = ContractVersion(
        version=version,
        starts_on=form.starts_on,
        ends_on=form.ends_on,
        terms_version=form.terms_version,
        remote_service=form.remote_service,
        visits_per_year=form.visits_per_year,
        remote_cny=form.remote_cny,
        visit_cny=form.visit_cny,
        note=form.note,
        recorded_by=by,
        created_at=utc_now(),
        covered=[CoveredSystem(system_id=one) for one in systems],
    )
    if contract is not None:
        row.contract_id = contract
    return row


def _described(session: Session, version: ContractVersion) -> dict[str, object]:
    covered = [one.system_id for one in version.covered]
    sites = select(System.site).where(System.id.in_(covered)).order_by(System.id)
    return {
        "version": version.version,
        "starts_on": version.starts_on.isoformat(),
        "ends_on": version.ends_on.isoformat(),
        "terms_version": version.terms_version,
        "remote_service": version.remote_service,
        "visits_per_year": version.visits_per_year,
        "remote_cny": str(version.remote_cny),
        "visit_cny": str(version.visit_cny),
        "systems": list(session.scalars(sites)),
        "note": version.note,
    }


def described_customer(customer: Customer) -> dict[str, object]:
    """Return a customer as an audit entry keeps it."""
    contacts = [
        {
            "name": one.name,
            "role": one.role,
            "email": one.email,
            "phone": one.phone,
            "gets_papers": one.gets_papers,
            "may_authorise": one.may_authorise,
        }
        for one in customer.contacts
    ]
    return {"name": customer.name, "contacts": contacts}


def plain(form: CustomerForm | ContractForm) -> dict[str, Any]:
    """Return a form as an audit entry keeps it."""
    return form.model_dump(mode="json")


def note(
    session: Session,
    by: str,
    action: str,
    subject: str,
    before: Mapping[str, object] | None,
    after: Mapping[str, object] | None,
) -> None:
    """Add the audit entry of a change made now."""
    note_change(
        session,
        by=by,
        at=utc_now(),
        action=action,
        subject=subject,
        before=before,
        after=after,
    )

"""Read what an import is held against, and write what it adds and changes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from mailcare.contracts.entering import Changed, note, plain, succeed, version_row
from mailcare.contracts.forms import ContactForm, ContractForm
from mailcare.contracts.importing import ContactRow, Found, Kind, KnownContract, Records
from mailcare.records.contracts import Contract, ContractVersion, CoveredSystem
from mailcare.records.customers import Contact, Customer, System

BATCH = 1000  # customers of one query
VERSIONED = (
    "starts_on",
    "ends_on",
    "terms_version",
    "remote_service",
    "visits_per_year",
    "remote_cny",
    "visit_cny",
    "note",
)


def records(session: Session) -> Records:
    """Read what an import is held against, in a few queries."""
    contacts: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for name, one in session.execute(
        select(Customer.name, Contact).join(Contact, Contact.customer_id == Customer.id)
    ):
        contacts[name][one.name] = {key: getattr(one, key) for key in ContactForm.model_fields}
    systems = select(System.site, System.id, Customer.name).join(
        Customer, Customer.id == System.customer_id
    )
    customers = session.execute(select(Customer.name, Customer.id))
    return Records(
        {row.name: row.id for row in customers},
        contacts,
        {row.site: (row.id, row.name) for row in session.execute(systems)},
        _known_contracts(session),
    )


def _known_contracts(session: Session) -> Mapping[str, KnownContract]:
    in_force = and_(
        ContractVersion.contract_id == Contract.id, ContractVersion.version == Contract.version
    )
    sites: dict[int, list[str]] = defaultdict(list)
    for contract, site in session.execute(
        select(Contract.id, System.site)
        .join(ContractVersion, in_force)
        .join(CoveredSystem, CoveredSystem.contract_version_id == ContractVersion.id)
        .join(System, System.id == CoveredSystem.system_id)
        .order_by(System.id)
    ):
        sites[contract].append(site)
    rows = session.execute(
        select(
            Contract.id,
            Contract.number,
            Contract.version,
            Customer.name.label("customer"),
            *(getattr(ContractVersion, name) for name in VERSIONED),
        )
        .join(ContractVersion, in_force)
        .join(Customer, Customer.id == Contract.customer_id)
    )
    return {
        row.number: KnownContract(
            row.id,
            row.version,
            {name: row._mapping[name] for name in ("number", "customer", *VERSIONED)}
            | {"systems": tuple(sites[row.id])},
        )
        for row in rows
    }


def write(session: Session, found: Found, *, by: str) -> None:
    """Write what was found; rows that change nothing are left alone."""
    _write_customers(session, found, by)
    _write_contracts(session, found, by)


def _write_customers(session: Session, found: Found, by: str) -> None:
    changed: dict[str, list[ContactRow]] = defaultdict(list)
    for row, form in found.contacts:
        if form and row.kind is not Kind.SAME:
            changed[form.customer].append(form)
    new = [Customer(name=name) for name in changed if name not in found.records.customers]
    session.add_all(new)
    session.flush()
    ids = {**found.records.customers, **{one.name: one.id for one in new}}
    known = _contact_rows(session, [ids[name] for name in changed])
    for name, forms in changed.items():
        for form in forms:
            contact = known.get((ids[name], form.name)) or Contact(customer_id=ids[name])
            for key, value in form.model_dump(exclude={"customer"}).items():
                setattr(contact, key, value)
            session.add(contact)
        _note_customer(session, found.records, ids[name], name, forms, by)


def _contact_rows(session: Session, customers: Sequence[int]) -> Mapping[tuple[int, str], Contact]:
    rows: dict[tuple[int, str], Contact] = {}
    for start in range(0, len(customers), BATCH):
        some = customers[start : start + BATCH]
        for one in session.scalars(select(Contact).where(Contact.customer_id.in_(some))):
            rows[one.customer_id, one.name] = one
    return rows


def _note_customer(
    session: Session, known: Records, customer: int, name: str, forms: Sequence[ContactRow], by: str
) -> None:
    after = {"name": name, "contacts": [form.model_dump(exclude={"customer"}) for form in forms]}
    subject = f"customer/{customer}"
    if name not in known.customers:
        note(session, by, "import", subject, None, after)
        return
    session.get_one(Customer, customer).version += 1
    recorded = known.contacts.get(name, {})
    before = [dict(recorded[form.name]) for form in forms if form.name in recorded]
    note(session, by, "import", subject, {"name": name, "contacts": before}, after)


def _write_contracts(session: Session, found: Found, by: str) -> None:
    customers = {row.name: row.id for row in session.execute(select(Customer.name, Customer.id))}
    for row, form in found.contracts:
        if form is None or row.kind is Kind.SAME:
            continue
        recorded = found.records.contracts.get(form.number)
        systems = [found.records.systems[site][0] for site in form.systems]
        if recorded:
            _succeed(session, recorded, form, systems, by)
        else:
            new = Contract(customer_id=customers[form.customer], number=form.number, version=1)
            new.versions = [version_row(form, systems, contract=None, version=1, by=by)]
            session.add(new)
        before = {one.field: one.before for one in row.changes} if recorded else None
        note(session, by, "import", f"contract/{form.number}", before, plain(form))


def _succeed(
    session: Session, recorded: KnownContract, form: ContractForm, systems: list[int], by: str
) -> None:
    if not succeed(session, Contract, recorded.id, recorded.version):
        raise Changed("合同刚刚被他人更改，未写入任何内容，请重新预览", subject=form.number)
    version = recorded.version + 1
    session.add(version_row(form, systems, contract=recorded.id, version=version, by=by))

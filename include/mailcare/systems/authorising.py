"""Write an authorisation into the records: once, with its evidence, and audited."""

import hashlib
import json
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.contracts.authorisation import about_giver
from mailcare.contracts.forms import FormError, complain
from mailcare.errors import InputError
from mailcare.records.audit import note_change
from mailcare.records.changes import add_once, revoke
from mailcare.records.customers import Authorisation, Contact, Customer, System
from mailcare.records.people import EvidenceFile
from mailcare.systems.complaints import Complaint
from mailcare.systems.evidence import Evidence
from mailcare.systems.forms import AuthorisationForm
from mailcare.systems.lines import LineMap
from mailcare.systems.site import AuthorisationEntry, Site, about_givers, refuse


def fingerprint_of(system: int, entry: AuthorisationEntry) -> str:
    """Return what an authorisation is known by: all that was consented to."""
    consent = json.dumps(
        [system, entry.model_dump(exclude={"revoked_at"})], sort_keys=True, default=str
    )
    return hashlib.sha256(consent.encode()).hexdigest()


def add_entry(
    session: Session,
    system: int,
    entry: AuthorisationEntry,
    *,
    by: str,
    at: datetime,
    evidence_file: int | None = None,
) -> int | None:
    """Record a consent and return its id, or None where the same one is recorded."""
    values = entry.model_dump(exclude={"revoked_at"}) | {
        "system_id": system,
        "fingerprint": fingerprint_of(system, entry),
        "nodes": list(entry.nodes),
        "recorded_by": by,
        "recorded_at": at,
        "evidence_file_id": evidence_file,
    }
    added = add_once(session, Authorisation, values)
    if added:
        after = {**entry.model_dump(mode="json"), "evidence_file": evidence_file}
        subject = f"authorisation/{added}"
        note_change(session, by=by, at=at, action="enter", subject=subject, after=after)
    return added


def add_authorisation(
    session: Session,
    form: AuthorisationForm,
    evidence: Evidence | None,
    *,
    by: str,
    at: datetime,
) -> int:
    """Record what was entered and return its id; raise `FormError` for what cannot be."""
    system = session.scalar(select(System).where(System.site == form.system))
    if system is None:
        raise complain("system", "没有登记这个系统")
    _check(form, system, entitled(session, system.customer_id), at)
    file = keep_evidence(session, evidence, by=by) if evidence else None
    added = add_entry(session, system.id, form.entry(), by=by, at=at, evidence_file=file)
    if added is None:
        raise complain("evidence", "已登记过内容完全相同的授权；如果它已撤销，请写明新的依据")
    return added


def entitled(session: Session, customer: int) -> tuple[str, ...]:
    """Return the names of the customer's people who may authorise; none where it is left open."""
    of_customer = select(Contact.name).where(Contact.customer_id == customer)
    return tuple(session.scalars(of_customer.where(Contact.may_authorise).order_by(Contact.id)))


def refuse_new_by_others(session: Session, site: Site, lines: LineMap) -> None:
    """Refuse a site file with an authorisation that is new and not given by an entitled person.

    What is recorded stays as it was given, whoever has left since. Entitled are the customer's
    contacts as they will be once the file is imported. Raise `InputError` with the lines.
    """
    of_customer = select(Contact).join(Customer).where(Customer.name == site.customer.name)
    rights = {one.name: one.may_authorise for one in session.scalars(of_customer)}
    said = {one.name: one.may_authorise for one in site.customer.contacts}
    rights |= {name: may for name, may in said.items() if may is not None}
    system = session.scalar(select(System.id).where(System.site == site.site))
    of_system = select(Authorisation.fingerprint).where(Authorisation.system_id == system)
    known = set(session.scalars(of_system)) if system else set()
    new = (
        at
        for at, entry in enumerate(site.authorisations)
        if system is None or fingerprint_of(system, entry) not in known
    )
    refuse(about_givers(site, new, [name for name, may in rights.items() if may]), lines)


def _check(form: AuthorisationForm, system: System, givers: tuple[str, ...], at: datetime) -> None:
    unknown = set(form.nodes) - set(hosts_of(system.definition))
    complaints = {
        "given_by": about_giver(form.given_by, givers),
        "nodes": f"系统中没有这些主机：{'、'.join(sorted(unknown))}" if unknown else "",
        "given_at": "给出授权的时间不能晚于现在" if form.given_at > at else "",
        "valid_to": _about_end(form, at),
    }
    if told := tuple(Complaint((field,), said) for field, said in complaints.items() if said):
        raise FormError(told)


def _about_end(form: AuthorisationForm, at: datetime) -> str:
    if form.valid_to <= form.valid_from:
        return "结束时间须晚于开始时间"
    return "已经过去，这样的授权不起作用" if form.valid_to <= at else ""


def hosts_of(definition: dict[str, object]) -> tuple[str, ...]:
    """Return the names of the hosts that a recorded site file logs in to."""
    nodes = definition.get("nodes")
    listed = nodes if isinstance(nodes, list) else []
    return tuple(str(one["name"]) for one in listed if isinstance(one, dict) and one.get("ssh"))


def keep_evidence(session: Session, evidence: Evidence, *, by: str) -> int:
    """Keep a file and return its id; equal content is kept once."""
    sha256 = hashlib.sha256(evidence.body).hexdigest()
    values = {
        "sha256": sha256,
        "name": evidence.name,
        "media_type": evidence.media_type,
        "size_bytes": len(evidence.body),
        "body": evidence.body,
        "handed_in_by": by,
    }
    added = add_once(session, EvidenceFile, values)
    known = select(EvidenceFile.id).where(EvidenceFile.sha256 == sha256)
    return added or session.scalars(known).one()


def end_authorisation(session: Session, authorisation: int, *, by: str, at: datetime) -> None:
    """Revoke an authorisation; raise `InputError` where it is unknown or revoked already."""
    row = session.get(Authorisation, authorisation)
    if row is None:
        raise InputError("没有登记这份授权", subject=str(authorisation))
    if not revoke(session, authorisation, by=by, at=at):
        raise InputError("这份授权已经撤销", subject=str(authorisation))
    note_change(
        session,
        by=by,
        at=at,
        action="revoke",
        subject=f"authorisation/{authorisation}",
        before={"revoked_at": None},
        after={"revoked_at": at.isoformat()},
    )

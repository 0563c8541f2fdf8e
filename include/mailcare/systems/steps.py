"""Systems: check a site file and import it into the database."""

import hashlib
import json
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.clock import utc_now
from mailcare.errors import InputError
from mailcare.records.changes import add_once, revoke
from mailcare.records.customers import Authorisation, Contact, Customer, System
from mailcare.records.session import transaction
from mailcare.systems.site import AuthorisationEntry, Site, load_site


def describe_site(path: Path) -> str:
    """Check a site file and say what it describes; raise `InputError` with every complaint."""
    site = load_site(path)
    gaps = [name for name, known in site.profile() if hasattr(known, "value") and not known.value]
    return "\n".join(
        [
            f"站点文件可用：{site.customer.name} {site.system.title}（{site.site}）",
            f"主机 {len(site.nodes)} 台，域名 {len(site.domains)} 个",
            f"授权 {len(site.authorisations)} 份",
            f"产品档案 {site.system.profile} 未填写：{'、'.join(gaps) or '无'}",
        ]
    )


def site_schema() -> str:
    """Return the JSON schema of the site file."""
    return json.dumps(Site.model_json_schema(by_alias=True), ensure_ascii=False, indent=2)


def import_site(path: Path, *, recorded_by: str) -> str:
    """Write a site file into the database and say what is new; importing twice changes nothing.

    Customers are known by name, systems by their site name. Authorisations are only ever added,
    and withdrawn where the file says so (`revoked_at`): one that has left the file stays in force
    and is said.
    """
    site = load_site(path)
    with transaction() as session:
        customer = _customer(session, site)
        system = _system(session, site, customer)
        told = [_authorise(session, system, one, recorded_by) for one in site.authorisations]
        others = _in_force(session, system) - {fingerprint for fingerprint, _ in told}
    added = sum(is_new for _, is_new in told)
    said = f"已导入 {site.customer.name} 的 {site.site}：新登记授权 {added} 份"
    if others:
        said += f"；另有 {len(others)} 份仍有效的授权不在文件里，如需撤销请写回并填 revoked_at"
    return said


def _customer(session: Session, site: Site) -> int:
    add_once(session, Customer, {"name": site.customer.name})
    customer = session.scalars(select(Customer).where(Customer.name == site.customer.name)).one()
    known = {contact.name: contact for contact in customer.contacts}
    for one in site.customer.contacts:
        contact = known.get(one.name) or Contact(customer_id=customer.id, name=one.name)
        contact.role, contact.email, contact.phone = one.role, one.email, one.phone
        contact.gets_papers = one.gets_papers
        session.add(contact)
    return customer.id


def _system(session: Session, site: Site, customer: int) -> int:
    system = session.scalar(select(System).where(System.site == site.site))
    if system is None:
        system = System(site=site.site, customer_id=customer)
    if system.customer_id != customer:
        raise InputError("这个站点已登记在另一个客户名下", subject=site.site)
    system.title = site.system.title
    system.profile = site.system.profile
    system.definition = site.model_dump(mode="json", by_alias=True)
    system.updated_at = utc_now()
    session.add(system)
    session.flush()
    return system.id


def _authorise(
    session: Session, system: int, entry: AuthorisationEntry, recorded_by: str
) -> tuple[str, bool]:
    """Record one authorisation; return its fingerprint and whether it is new."""
    content = entry.model_dump(exclude={"revoked_at"})
    consent = json.dumps([system, content], sort_keys=True, default=str)
    fingerprint = hashlib.sha256(consent.encode()).hexdigest()
    values = content | {
        "system_id": system,
        "fingerprint": fingerprint,
        "nodes": list(entry.nodes),
        "recorded_by": recorded_by,
        "recorded_at": utc_now(),
    }
    added = add_once(session, Authorisation, values)
    if entry.revoked_at:
        known = select(Authorisation.id).where(Authorisation.fingerprint == fingerprint)
        revoke(session, session.scalars(known).one(), by=recorded_by, at=entry.revoked_at)
    return fingerprint, added is not None


def _in_force(session: Session, system: int) -> set[str]:
    rows = select(Authorisation.fingerprint).where(
        Authorisation.system_id == system,
        Authorisation.revoked_at.is_(None),
        Authorisation.valid_to > utc_now(),
    )
    return set(session.scalars(rows))

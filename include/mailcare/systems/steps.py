"""Systems and authorisations: the seam between the records and the site files and forms."""

import json
from dataclasses import dataclass
from pathlib import Path

import yaml
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.backup.promises import write_promises
from mailcare.clock import utc_now
from mailcare.contracts import entering
from mailcare.contracts.entering import changed, described_customer, note, succeed
from mailcare.contracts.forms import complain
from mailcare.errors import InputError
from mailcare.listing import Page, Wish
from mailcare.records.audit import note_change
from mailcare.records.changes import add_once, revoke
from mailcare.records.customers import Authorisation, Contact, Customer, System
from mailcare.records.people import EvidenceFile
from mailcare.records.session import reading, transaction
from mailcare.settings import data_folder
from mailcare.systems import authorising, lists, previewing
from mailcare.systems.evidence import Evidence, read_evidence
from mailcare.systems.forms import AuthorisationForm
from mailcare.systems.lines import LineMap, read_yaml
from mailcare.systems.lists import AuthorisationRow, SystemRow, WaitingRow
from mailcare.systems.previewing import SitePreview
from mailcare.systems.site import AuthorisationEntry, Site, load_site, parse_site, read_site

Changed = entering.Changed  # what a caller catches of this seam


@dataclass(frozen=True, slots=True)
class SystemDetail:
    """A system with its hosts (those that are logged in to) and its authorisations.

    `givers` are the customer's people who may authorise; none where the customer left it open.
    """

    row: SystemRow
    hosts: tuple[str, ...]
    givers: tuple[str, ...]
    authorisations: tuple[AuthorisationRow, ...]


@dataclass(frozen=True, slots=True)
class EvidenceBody:
    """A file as it was handed in, whole."""

    name: str
    media_type: str
    sha256: str
    body: bytes


def list_systems(wish: Wish) -> Page[SystemRow]:
    """Return a page of systems with their last inspection.

    Searched by title, site and customer; sorts: title customer site inspected_at.
    """
    with reading() as session:
        return lists.system_rows(session, wish, at=utc_now())


def system_detail(system: int) -> SystemDetail:
    """Return a system with all that hangs on it; raise `InputError` if it is not recorded."""
    at = utc_now()
    with reading() as session:
        row = lists.system_row(session, system, at=at)
        if row is None:
            raise InputError("没有登记这个系统", subject=str(system))
        every = Wish(rows=0)
        given = lists.authorisation_rows(session, every, at=at, system=system)
        hosts = authorising.hosts_of(session.get_one(System, system).definition)
        givers = authorising.entitled(session, row.customer_id)
    return SystemDetail(row, hosts, givers, given.rows)


def list_authorisations(wish: Wish) -> Page[AuthorisationRow]:
    """Return a page of authorisations, the newest first.

    Searched by customer, system, who gave it and purpose; sorts: customer system valid_to given_at.
    """
    with reading() as session:
        return lists.authorisation_rows(session, wish, at=utc_now())


def authorisation_detail(authorisation: int) -> AuthorisationRow:
    """Return an authorisation; raise `InputError` if it is not recorded."""
    with reading() as session:
        row = lists.authorisation_row(session, authorisation, at=utc_now())
    if row is None:
        raise InputError("没有登记这份授权", subject=str(authorisation))
    return row


def list_waiting() -> tuple[WaitingRow, ...]:
    """Return the running inspections that wait for an authorisation, the oldest first."""
    with reading() as session:
        return lists.waiting_rows(session, at=utc_now())


def record_authorisation(
    form: AuthorisationForm, evidence: tuple[str, bytes] | None, *, by: str
) -> int:
    """Record the customer's consent, with a file as evidence (name, content), and return its id.

    Raise `FormError` for what cannot be, a file that is not taken included.
    """
    file = _evidence(*evidence) if evidence else None
    with transaction() as session:
        return authorising.add_authorisation(session, form, file, by=by, at=utc_now())


def _evidence(name: str, body: bytes) -> Evidence:
    try:
        return read_evidence(name, body)
    except InputError as error:
        raise complain("file", str(error)) from None


def revoke_authorisation(authorisation: int, *, by: str) -> None:
    """End an authorisation now: the next connection of a running inspection is refused.

    Raise `InputError` where it is unknown or revoked already.
    """
    with transaction() as session:
        authorising.end_authorisation(session, authorisation, by=by, at=utc_now())


def evidence_body(authorisation: int) -> EvidenceBody:
    """Return the file handed in with an authorisation; `InputError` where there is none."""
    of_one = (
        select(EvidenceFile)
        .join(Authorisation, Authorisation.evidence_file_id == EvidenceFile.id)
        .where(Authorisation.id == authorisation)
    )
    with reading() as session:
        row = session.scalar(of_one)
        if row is None:
            raise InputError("这份授权没有附件", subject=str(authorisation))
        return EvidenceBody(row.name, row.media_type, row.sha256, row.body)


def site_text(system: int) -> tuple[str, str]:
    """Return a system's recorded site file as YAML, to be edited, and its version.

    What is usual is left out. Raise `InputError` for a system that is not recorded.
    """
    with reading() as session:
        row = session.get(System, system)
        if row is None:
            raise InputError("没有登记这个系统", subject=str(system))
        definition = row.definition
    said = Site.model_validate(definition).model_dump(
        mode="json", by_alias=True, exclude_defaults=True
    )
    text = yaml.safe_dump(said, allow_unicode=True, sort_keys=False)
    return text, previewing.version_of(definition)


def preview_site(text: str, *, read_version: str = "") -> SitePreview:
    """Return what importing a site file from a browser would change; nothing is written.

    `read_version` is that of the recorded file which the text was made of: `Changed` is raised
    where somebody else has changed it since. Raise `InputError` with every complaint and its line,
    or for a secret of this server that the system does not use already.
    """
    site, lines = _uploaded(text)
    with reading() as session:
        known = _known_definition(session, site)
        if read_version and read_version != previewing.version_of(known):
            raise changed(session, f"system/{site.site}", site.site)
        _check_uploaded(session, site, lines, known)
    return previewing.preview_of(site, known)


def apply_site(text: str, *, token: str, by: str) -> int:
    """Write what `preview_site` showed under `token`, and return the system's id.

    Raise `InputError` as there, and `Changed` where the records are no longer as they were shown.
    """
    site, lines = _uploaded(text)
    with transaction() as session:
        known = _known_definition(session, site)
        _check_uploaded(session, site, lines, known)
        if previewing.preview_of(site, known).token != token:
            raise Changed("登记内容在预览之后有变化，请重新预览")
        return _write_site(session, site, by)[0]


def _uploaded(text: str) -> tuple[Site, LineMap]:
    data, lines = read_yaml(text, name="站点文件")
    return parse_site(data, lines, base=data_folder()), lines


def _check_uploaded(
    session: Session, site: Site, lines: LineMap, known: dict[str, object] | None
) -> None:
    previewing.refuse_servers_secrets(site, known)
    authorising.refuse_new_by_others(session, site, lines)


def _known_definition(session: Session, site: Site) -> dict[str, object] | None:
    return session.scalar(select(System.definition).where(System.site == site.site))


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
    site, lines = read_site(path)
    with transaction() as session:
        authorising.refuse_new_by_others(session, site, lines)
        system, told = _write_site(session, site, recorded_by)
        others = _in_force(session, system) - told.keys()
    added = sum(told.values())
    said = f"已导入 {site.customer.name} 的 {site.site}：新登记授权 {added} 份"
    if others:
        said += f"；另有 {len(others)} 份仍有效的授权不在文件里，如需撤销请写回并填 revoked_at"
    return said


def _write_site(session: Session, site: Site, by: str) -> tuple[int, dict[str, bool]]:
    """Return the system's id, and for each authorisation of the file whether it is new."""
    before = _known_definition(session, site)
    system = _system(session, site, _customer(session, site, by))
    after = previewing.definition_of(site)
    if before != after:
        action, subject = ("change" if before else "enter"), f"system/{site.site}"
        note_change(
            session,
            by=by,
            at=utc_now(),
            action=action,
            subject=subject,
            before=before,
            after=after,
        )
    write_promises(session, system, site.backups)
    return system, dict(_authorise(session, system, one, by) for one in site.authorisations)


def _customer(session: Session, site: Site, by: str) -> int:
    """Write the customer and the contacts; who edits them just now learns of a change."""
    added = add_once(session, Customer, {"name": site.customer.name})
    customer = session.scalars(select(Customer).where(Customer.name == site.customer.name)).one()
    before = described_customer(customer)
    known = {contact.name: contact for contact in customer.contacts}
    for one in site.customer.contacts:
        contact = known.get(one.name) or Contact(customer_id=customer.id, name=one.name)
        contact.role, contact.email, contact.phone = one.role, one.email, one.phone
        contact.gets_papers = one.gets_papers
        if one.may_authorise is not None:
            contact.may_authorise = one.may_authorise
        session.add(contact)
    session.flush()
    session.refresh(customer)
    after = described_customer(customer)
    if added:
        note(session, by, "enter", f"customer/{customer.id}", None, after)
    elif after != before:
        succeed(session, Customer, customer.id, customer.version)
        note(session, by, "change", f"customer/{customer.id}", before, after)
    return customer.id


def _system(session: Session, site: Site, customer: int) -> int:
    system = session.scalar(select(System).where(System.site == site.site))
    if system is None:
        system = System(site=site.site, customer_id=customer)
    if system.customer_id != customer:
        raise InputError("这个站点已登记在另一个客户名下", subject=site.site)
    system.title = site.system.title
    system.profile = site.system.profile
    system.definition = previewing.definition_of(site)
    system.updated_at = utc_now()
    session.add(system)
    session.flush()
    return system.id


def _authorise(
    session: Session, system: int, entry: AuthorisationEntry, recorded_by: str
) -> tuple[str, bool]:
    """Record one authorisation; return its fingerprint and whether it is new."""
    added = authorising.add_entry(session, system, entry, by=recorded_by, at=utc_now())
    fingerprint = authorising.fingerprint_of(system, entry)
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

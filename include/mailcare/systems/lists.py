"""The lists of systems and authorisations, searched, sorted and paged in SQL."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session, aliased

from mailcare.listing import Page, Wish
from mailcare.records.customers import Authorisation, Customer, System
from mailcare.records.inspections import (
    Finding,
    FindingSeverity,
    FindingState,
    Inspection,
    Service,
    ServiceKind,
    ServiceState,
)
from mailcare.records.paging import Statement, page_of, rows_of, searched, sorted_by
from mailcare.records.people import EvidenceFile
from mailcare.systems.authorising import hosts_of

WAITING_MOST = 50


@dataclass(frozen=True, slots=True)
class SystemRow:
    """A system and its last inspection; the counts are None before the first one.

    `authorised_to` is how long the longest authorisation that is in force now goes on.
    """

    id: int
    customer_id: int
    customer: str
    site: str
    title: str
    profile: str
    inspected_at: datetime | None
    critical: int | None
    warning: int | None
    unmeasured: int | None
    authorised_to: datetime | None


@dataclass(frozen=True, slots=True)
class AuthorisationRow:
    """An authorisation as its list shows it; `state` is in_force, coming, expired or revoked."""

    id: int
    customer_id: int
    customer: str
    system_id: int
    site: str
    system: str
    given_by: str
    given_at: datetime
    how: str
    purpose: str
    nodes: list[str]
    valid_from: datetime
    valid_to: datetime
    state: str
    evidence: str
    evidence_name: str | None
    evidence_sha256: str | None
    recorded_by: str
    recorded_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """An inspection that cannot connect: hosts that no authorisation in force covers."""

    inspection: int
    system_id: int
    system: str
    customer: str
    started_at: datetime
    hosts: tuple[str, ...]


def system_rows(session: Session, wish: Wish, *, at: datetime) -> Page[SystemRow]:
    """Return a page of systems; sorts: title customer site inspected_at."""
    inspected = aliased(Inspection)
    statement = _systems(inspected, at)
    columns = {
        "title": System.title,
        "customer": Customer.name,
        "site": System.site,
        "inspected_at": inspected.finished_at,
    }
    statement = searched(statement, wish, (System.title, System.site, Customer.name))
    statement = sorted_by(statement, wish, columns, (Customer.name, System.site))
    return page_of(session, statement, wish, SystemRow)


def system_row(session: Session, system: int, *, at: datetime) -> SystemRow | None:
    """Return one system as the list shows it; None for one that is not recorded."""
    statement = _systems(aliased(Inspection), at).where(System.id == system)
    return next(iter(rows_of(session, statement, SystemRow)), None)


def _systems(inspected: type[Inspection], at: datetime) -> Statement:
    last = (
        select(Service.system_id, func.max(Inspection.id).label("inspection"))
        .join(Inspection, Inspection.service_id == Service.id)
        .where(Inspection.current_judgement_id.is_not(None))
        .group_by(Service.system_id)
        .subquery()
    )
    in_force = select(func.max(Authorisation.valid_to)).where(
        Authorisation.system_id == System.id, _is_in_force(at)
    )
    return (
        select(
            System.id,
            System.customer_id,
            Customer.name.label("customer"),
            System.site,
            System.title,
            System.profile,
            inspected.finished_at.label("inspected_at"),
            _counted(inspected, Finding.severity == FindingSeverity.CRITICAL, "critical"),
            _counted(inspected, Finding.severity == FindingSeverity.WARNING, "warning"),
            _counted(inspected, Finding.state == FindingState.UNMEASURED, "unmeasured"),
            in_force.scalar_subquery().label("authorised_to"),
        )
        .join(Customer, Customer.id == System.customer_id)
        .outerjoin(last, last.c.system_id == System.id)
        .outerjoin(inspected, inspected.id == last.c.inspection)
    )


def _counted(
    inspected: type[Inspection], which: ColumnElement[bool], name: str
) -> ColumnElement[Any]:
    judgement = inspected.current_judgement_id
    counted = select(func.count()).where(Finding.judgement_id == judgement, which)
    return case((judgement.is_not(None), counted.scalar_subquery())).label(name)


def _is_in_force(at: datetime) -> ColumnElement[bool]:
    return and_(
        Authorisation.valid_from <= at,
        Authorisation.valid_to > at,
        or_(Authorisation.revoked_at.is_(None), Authorisation.revoked_at > at),
    )


def authorisation_rows(
    session: Session, wish: Wish, *, at: datetime, system: int | None = None
) -> Page[AuthorisationRow]:
    """Return a page of authorisations, the newest first; sorts: customer system valid_to given_at.

    With `system` only those of that one.
    """
    statement = _authorisations(at)
    if system is not None:
        statement = statement.where(Authorisation.system_id == system)
    columns = {
        "customer": Customer.name,
        "system": System.title,
        "valid_to": Authorisation.valid_to,
        "given_at": Authorisation.given_at,
    }
    sought = (Customer.name, System.title, System.site, Authorisation.given_by)
    statement = searched(statement, wish, (*sought, Authorisation.purpose))
    statement = sorted_by(statement, wish, columns, (Authorisation.id.desc(),))
    return page_of(session, statement, wish, AuthorisationRow)


def authorisation_row(
    session: Session, authorisation: int, *, at: datetime
) -> AuthorisationRow | None:
    """Return one authorisation; None for one that is not recorded."""
    statement = _authorisations(at).where(Authorisation.id == authorisation)
    return next(iter(rows_of(session, statement, AuthorisationRow)), None)


def _authorisations(at: datetime) -> Statement:
    one = Authorisation
    state = case(
        (one.revoked_at <= at, "revoked"),
        (one.valid_to <= at, "expired"),
        (one.valid_from > at, "coming"),
        else_="in_force",
    )
    return (
        select(
            one.id,
            System.customer_id,
            Customer.name.label("customer"),
            one.system_id,
            System.site,
            System.title.label("system"),
            one.given_by,
            one.given_at,
            one.how,
            one.purpose,
            one.nodes,
            one.valid_from,
            one.valid_to,
            state.label("state"),
            one.evidence,
            EvidenceFile.name.label("evidence_name"),
            EvidenceFile.sha256.label("evidence_sha256"),
            one.recorded_by,
            one.recorded_at,
            one.revoked_at,
            one.revoked_by,
        )
        .join(System, System.id == one.system_id)
        .join(Customer, Customer.id == System.customer_id)
        .outerjoin(EvidenceFile, EvidenceFile.id == one.evidence_file_id)
    )


def waiting_rows(session: Session, *, at: datetime) -> tuple[WaitingRow, ...]:
    """Return running inspections with hosts that nobody authorised us to log in to, oldest first.

    At most `WAITING_MOST` of the running ones are looked at.
    """
    running = (
        select(Inspection, System, Customer.name)
        .join(Service, Service.id == Inspection.service_id)
        .join(System, System.id == Service.system_id)
        .join(Customer, Customer.id == System.customer_id)
        .where(
            Service.kind == ServiceKind.REMOTE_INSPECTION,
            Service.state == ServiceState.RUNNING,
            Inspection.finished_at.is_(None),
            Inspection.bundle.is_(None),
        )
        .order_by(Inspection.id)
        .limit(WAITING_MOST)
    )
    found = session.execute(running).all()
    covered = _covered(session, {system.id for _, system, _ in found}, at)
    rows = (
        WaitingRow(
            inspection.id,
            system.id,
            system.title,
            customer,
            inspection.started_at,
            tuple(
                host
                for host in hosts_of(inspection.definition)
                if host not in covered.get(system.id, set())
            ),
        )
        for inspection, system, customer in found
    )
    return tuple(row for row in rows if row.hosts)


def _covered(session: Session, systems: set[int], at: datetime) -> dict[int, set[str]]:
    rows = session.execute(
        select(Authorisation.system_id, Authorisation.nodes).where(
            Authorisation.system_id.in_(systems), _is_in_force(at)
        )
    )
    covered: dict[int, set[str]] = {}
    for row in rows:
        covered.setdefault(row.system_id, set()).update(row.nodes)
    return covered

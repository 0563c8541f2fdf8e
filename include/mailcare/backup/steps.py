"""Backup verification: the seam between the records and the rules; every step may run twice."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.backup import lists, matrix
from mailcare.backup.alone import alone
from mailcare.backup.cadence import WHOLE, due_shard, due_through
from mailcare.backup.evidence import audit, signing_key
from mailcare.backup.history import History, history_of
from mailcare.backup.incidents import Incident, began, fault_level
from mailcare.backup.lists import RunRow
from mailcare.backup.matrix import CopyRow
from mailcare.backup.order import Order, read_order
from mailcare.backup.promises import restate
from mailcare.backup.reporting import read_report
from mailcare.backup.standing import last_lines
from mailcare.backup.statements import evidence_of, intact, said_by
from mailcare.backup.verdicts import Level, Verdict
from mailcare.backup.verification import (
    CopyOutcome,
    Task,
    chosen_copies,
    key_path,
    own_key,
    verify_copy,
)
from mailcare.clock import utc_now
from mailcare.contracts.authorisation import Authorisation, permission
from mailcare.delivery.alerts import alert
from mailcare.delivery.steps import deliver_paper
from mailcare.errors import InputError, MailcareError
from mailcare.faults import steps as fault_steps
from mailcare.faults.declaration import Declaration, Via
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.run import described_by
from mailcare.listing import Page, Wish
from mailcare.papers.backup import backup_report
from mailcare.papers.keeping import keep_paper, pages
from mailcare.papers.numbering import Series, paper_number
from mailcare.progress import Lines
from mailcare.records import backups, customers, inspections
from mailcare.records.alerts import Rung
from mailcare.records.changes import add_once, move
from mailcare.records.inspections import ServiceKind, ServiceState
from mailcare.records.session import reading, transaction
from mailcare.secrets import find_secret
from mailcare.settings import read_settings
from mailcare.systems.backups import BackupCopy
from mailcare.systems.site import Site

ROWS_AT_ONCE = 100  # of a copy's evidence, all of which its history is made of
FINDER = "mailcare"


def open_verification(run: str, **conf: Any) -> int:
    """Return the verification of a Dag run, made on the first call; the run's id is its key.

    `conf` names the site, or the planned service that the run fulfils; see `order`. Raise
    `InputError` for what cannot be used.
    """
    order = read_order(conf)
    with transaction() as session:
        known = session.scalar(
            select(backups.Verification.id).where(backups.Verification.key == run)
        )
        return known or _begin(session, run, order)


def _begin(session: Session, run: str, order: Order) -> int:
    system = _ordered_system(session, order)
    site = Site.model_validate(system.definition)
    chosen_copies(site, order.copies)
    values = {
        "system_id": system.id,
        "service_id": order.service,
        "key": run,
        "through": order.through or "",
        "copies": list(order.copies),
        "is_routine": order.routine,
        "definition": system.definition,
        "started_at": utc_now(),
    }
    add_once(session, backups.Verification, values)
    row = session.scalar(select(backups.Verification).where(backups.Verification.key == run))
    if row is None:
        raise InputError("这次服务已另有一次运行，请重跑那一次", subject=str(order.service))
    if order.service is not None:
        move(
            session,
            inspections.Service,
            order.service,
            from_state=ServiceState.PLANNED,
            to_state=ServiceState.RUNNING,
            at=row.started_at,
        )
    return row.id


def _ordered_system(session: Session, order: Order) -> customers.System:
    if order.service is None:
        system = session.scalar(select(customers.System).where(customers.System.site == order.site))
        if system is None:
            raise InputError(
                "没有登记这个站点，请先用 mailcare site import 导入", subject=str(order.site)
            )
        return system
    service = session.get(inspections.Service, order.service)
    if service is None or service.kind is not ServiceKind.BACKUP_VERIFICATION:
        raise InputError("没有这个编号的备份验证服务", subject=str(order.service))
    if service.state is ServiceState.WITHDRAWN:
        raise InputError("合同变更后不再包含这次服务，已撤销", subject=str(order.service))
    return session.get_one(customers.System, service.system_id)


def hosts_without_authorisation(verification: int) -> list[str]:
    """Return the hosts to be logged in to that no valid authorisation covers now.

    A routine run does not wait for one: what it may not reach is not run, and told as overdue.
    """
    with reading() as session:
        row = session.get_one(backups.Verification, verification)
        if row.is_routine:
            return []
        given = _authorisations(session, row.system_id)
    now = utc_now()
    hosts = dict.fromkeys(host for copy in _copies(row) for host in _hosts(copy))
    return [host for host in hosts if not any(one.covers(host, now) for one in given)]


def hosts_to_ask(verification: int) -> list[str]:
    """Return the names of the copies that `verify` is run for."""
    with reading() as session:
        return [one.name for one in _copies(session.get_one(backups.Verification, verification))]


def _copies(row: backups.Verification) -> tuple[BackupCopy, ...]:
    return chosen_copies(Site.model_validate(row.definition), row.copies)


def _hosts(copy: BackupCopy) -> Iterable[str]:
    places = (copy.node, copy.live.node if copy.live else None)
    return [one for one in places if one]


def _authorisations(session: Session, system: int) -> list[Authorisation]:
    rows = session.scalars(
        select(customers.Authorisation).where(customers.Authorisation.system_id == system)
    )
    return [
        Authorisation(
            str(row.id),
            row.given_by,
            frozenset(row.nodes),
            row.valid_from,
            row.valid_to,
            row.revoked_at,
        )
        for row in rows
    ]


def verify(verification: int, copy: str) -> None:
    """Verify one copy and keep its evidence; one that has its evidence already is left alone."""
    progress = Lines(f"验证 {copy}", len(Level))
    with reading() as session:
        row = session.get_one(backups.Verification, verification)
    with alone(Site.model_validate(row.definition).site, copy, progress):
        with reading() as session:
            if _evidence_of(session, verification, copy):
                return
            past = _past(session, row.system_id, copy)
        outcome = verify_copy(
            _task(row, copy, past), key=signing_key(key_path()), progress=progress
        )
        with transaction() as session:
            _keep(session, row, outcome)


def _evidence_of(session: Session, verification: int, copy: str) -> int | None:
    return session.scalar(
        select(backups.BackupEvidence.id).where(
            backups.BackupEvidence.verification_id == verification,
            backups.BackupEvidence.copy_name == copy,
        )
    )


def _past(session: Session, system: int, copy: str) -> History:
    kept = select(backups.BackupEvidence).where(
        backups.BackupEvidence.system_id == system, backups.BackupEvidence.copy_name == copy
    )
    rows = session.scalars(
        kept.order_by(backups.BackupEvidence.sequence).execution_options(yield_per=ROWS_AT_ONCE)
    )
    past = history_of((row.sha256, said) for row, said in intact(rows))
    last = session.scalar(kept.order_by(backups.BackupEvidence.sequence.desc()).limit(1))
    # The chain goes on behind the last piece, be it changed or not.
    return replace(past, sequence=last.sequence, last_sha256=last.sha256) if last else past


def _task(row: backups.Verification, name: str, past: History) -> Task:
    site = Site.model_validate(row.definition)
    (copy,) = chosen_copies(site, [name])
    now = utc_now()
    through = Level(row.through) if row.through else due_through(copy.promised, past, now=now)
    shard = due_shard(copy.policy, past, now=now) if row.is_routine else WHOLE
    scene = Scene(described_by(site), find_secret, _permit(row, site))
    return Task(site, copy, through, past, scene, shard=shard, run=row.key)


def _permit(row: backups.Verification, site: Site) -> Any:  # noqa: ANN401 - see Scene.permit
    nodes = {one.name: one for one in site.nodes}

    def permit(node: str) -> None:
        with transaction() as session:
            given = permission(_authorisations(session, row.system_id), node, utc_now())
            ssh = nodes[node].ssh
            session.add(
                backups.BackupConnection(
                    verification_id=row.id,
                    authorisation_id=int(given.identity),
                    node=node,
                    address=nodes[node].address,
                    login=ssh.credential.login if ssh else "",
                    connected_at=utc_now(),
                )
            )

    return permit


def _keep(session: Session, row: backups.Verification, outcome: CopyOutcome) -> None:
    evidence = outcome.evidence
    statement = evidence.statement()
    session.add(
        backups.BackupEvidence(
            verification_id=row.id,
            system_id=row.system_id,
            copy_name=outcome.copy.name,
            sequence=statement["sequence"],
            previous=statement["previous"],
            statement=evidence.text,
            sha256=evidence.sha256,
            signature=evidence.signature,
            public_key=evidence.public_key,
            verdict=backups.BackupVerdict(outcome.verdict.value),
            finished_at=outcome.finished_at,
            levels=[_level_row(row.system_id, outcome, one) for one in statement["findings"]],
        )
    )
    session.flush()
    restate(session, row.system_id, outcome.copy.name)


def _level_row(
    system: int, outcome: CopyOutcome, finding: Mapping[str, Any]
) -> backups.BackupLevel:
    return backups.BackupLevel(
        system_id=system,
        copy_name=outcome.copy.name,
        level=finding["level"],
        generation=finding["generation"],
        verdict=backups.BackupVerdict(finding["verdict"]),
        reason=finding["reason"],
        judged_at=outcome.finished_at,
        **finding["coverage"],
    )


def conclude(verification: int) -> int:
    """Close a verification: declare faults, alert, fulfil the service; return its id.

    The service is fulfilled when every declared copy was verified, none left out or failed.
    Raise `MailcareError` where no copy has evidence: a run that was called off proves nothing.
    """
    with reading() as session:
        row = session.get_one(backups.Verification, verification)
        incidents = _incidents(session, row)
        proven = {one.copy_name for one in row.evidence if _proves(one)}
        system = session.get_one(customers.System, row.system_id)
        is_called_off = not row.evidence
    if is_called_off:
        raise MailcareError("没有任何副本得到验证，不作结论", subject=str(verification))
    latest = {one.copy: one.verdict for one in last_lines(row.system_id, until=utc_now())}
    for one in incidents:
        fault = _declare(row, one, latest) if one.verdict is Verdict.FAIL else None
        _alert(system, one, fault)
    declared = {one.name for one in Site.model_validate(row.definition).backups}
    _close(row, is_done=declared <= proven)
    return verification


def _proves(evidence: backups.BackupEvidence) -> bool:
    # What was not run for too long is degraded: that is no verification either.
    return any(one.examined for one in evidence.levels)


def _incidents(session: Session, row: backups.Verification) -> list[Incident]:
    found = []
    for one in row.evidence:
        verdict = Verdict(one.verdict.value)
        if verdict not in (Verdict.FAIL, Verdict.DEGRADED):
            continue
        told = lists.verdicts_of(session, row.system_id, one.copy_name, until=one.sequence)
        reasons = tuple(
            f"{level.level} {level.reason}"
            for level in one.levels
            if level.verdict.value == verdict.value
        )
        found.append(Incident(one.copy_name, verdict, began(told, verdict), reasons))
    return found


def _declare(row: backups.Verification, incident: Incident, latest: Mapping[str, Verdict]) -> int:
    site = Site.model_validate(row.definition)
    contact, now = site.customer.contacts[0], utc_now()
    with reading() as session:
        system = session.get_one(customers.System, row.system_id)
    title = next((one.label for one in site.backups if one.name == incident.copy), incident.copy)
    declaration = Declaration(
        key=f"backup/{site.site}/{incident.key}",
        customer=system.customer_id,
        system=system.id,
        level=fault_level(latest),
        description=f"备份副本「{title}」验证不通过：{'；'.join(incident.reasons)}"[:4000],
        declared_at=row.started_at,
        via=Via.PROGRAM,
        contact=contact.name,
        contact_details=contact.phone or contact.email or "/",
    )
    return fault_steps.declare(declaration, by=FINDER, at=now)


def _alert(
    system: customers.System,
    incident: Incident,
    fault: int | None,
) -> None:
    is_failed = incident.verdict is Verdict.FAIL
    word = "不通过" if is_failed else "降级"
    with transaction() as session:
        customer = session.get_one(customers.Customer, system.customer_id)
        alert(
            session,
            key=f"backup/{system.site}/{incident.key}",
            rung=Rung.ENGINEER,
            # It goes to chats, which learn nothing of what a customer backs up.
            subject=f"备份验证{word}：{customer.name}",
            text="\n".join((f"{system.title}，副本 {incident.copy}", *incident.reasons)),
            is_urgent=is_failed,
            at=utc_now(),
            fault=fault,
            customer=system.customer_id,
        )


def _close(row: backups.Verification, *, is_done: bool) -> None:
    now = utc_now()
    with transaction() as session:
        kept = session.get_one(backups.Verification, row.id)
        kept.finished_at = kept.finished_at or now
        if is_done and row.service_id is not None:
            move(
                session,
                inspections.Service,
                row.service_id,
                from_state=ServiceState.RUNNING,
                to_state=ServiceState.DONE,
                at=now,
            )


def render(verification: int) -> int:
    """Render the 《备份验证报告》 and return the verification's id.

    A routine run whose copies were not read in full has no report.
    """
    _paper(verification)
    return verification


def _paper(verification: int) -> int | None:
    with reading() as session:
        row = session.get_one(backups.Verification, verification)
        if row.is_routine and not _was_full(row.evidence):
            return None
        content = read_report(session, row)
    document = backup_report(
        content,
        number=paper_number(Series.BACKUP, row.id, at=row.started_at),
        vendor=read_settings().vendor,
    )
    return keep_paper(document, lambda: pages(document), system=row.system_id, customer=None)


def _was_full(evidence: Iterable[backups.BackupEvidence]) -> bool:
    return any(
        finding["facts_kind"] == "integrity" and finding["facts"]["shards"] == 1
        for one in evidence
        for finding in said_by(one)["findings"]
    )


def deliver(verification: int) -> None:
    """Send the report of a planned service to the customer; no other run sends one by itself."""
    with reading() as session:
        row = session.get_one(backups.Verification, verification)
    if row.service_id is not None and (paper := _paper(verification)):
        deliver_paper(paper)


def routine_runs(*, now: datetime) -> list[dict[str, Any]]:
    """Return the routine runs of a day: each system with copies that a contract covers by remote.

    A run is named after the site and the day: asked for twice, it runs once.
    """
    with reading() as session:
        sites = lists.sites_with_copies(session, on=lists.day_of(now))
    day = lists.day_of(now)
    return [
        {
            "trigger_dag_id": "verify_backup",
            "trigger_run_id": f"backup__{site}__{day}",
            "conf": {"site": site, "routine": True},
        }
        for site in sites
    ]


def list_copies(wish: Wish) -> Page[CopyRow]:
    """Return a page of the copies promised or verified, with each of their levels; see `matrix`."""
    with reading() as session:
        return matrix.copy_rows(session, wish, at=utc_now())


def copy_detail(system: int, copy: str) -> CopyRow:
    """Return a copy as the list shows it; `InputError` for one that is not known."""
    with reading() as session:
        return matrix.copy_row(session, system, copy, at=utc_now())


def list_runs(wish: Wish, *, system: int, copy: str) -> Page[RunRow]:
    """Return what was found of one copy, level by level, the newest first."""
    with reading() as session:
        return lists.run_rows(session, wish, system=system, copy=copy)


def evidence_file(evidence: int) -> tuple[str, bytes]:
    """Return the name and content of a piece of evidence; `InputError` where there is none."""
    with reading() as session:
        row = session.get(backups.BackupEvidence, evidence)
        if row is None:
            raise InputError("没有这份证据", subject=str(evidence))
        body = evidence_of(row).as_json()
    name = f"{row.copy_name}-{row.sequence:06d}.json"
    return name, json.dumps(body, ensure_ascii=False, indent=1).encode()


def audit_copy(system: int, copy: str) -> tuple[str, ...]:
    """Audit all evidence of a copy, by this machine's key if it has one; return what is wrong."""
    with reading() as session:
        rows = session.scalars(
            select(backups.BackupEvidence)
            .where(
                backups.BackupEvidence.system_id == system,
                backups.BackupEvidence.copy_name == copy,
            )
            .order_by(backups.BackupEvidence.sequence)
        ).all()
        pieces = [evidence_of(row) for row in rows]
    trusted = own_key()
    return tuple(wrong for one in pieces for wrong in audit(one, pieces, trusted=trusted))

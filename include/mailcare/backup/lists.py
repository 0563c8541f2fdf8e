"""The lists of copies and of what was found of them, searched, sorted and paged in SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from mailcare.backup.verdicts import Level, Verdict
from mailcare.clock import BEIJING
from mailcare.listing import Page, Wish
from mailcare.records.backups import BackupEvidence, BackupLevel, BackupVerdict
from mailcare.records.contracts import Contract, ContractVersion, CoveredSystem
from mailcare.records.customers import Customer, System
from mailcare.records.paging import page_of, searched, sorted_by


@dataclass(frozen=True, slots=True)
class LevelCell:
    """The last verdict on a level of a copy."""

    verdict: str
    reason: str
    judged_at: datetime
    age_days: int


@dataclass(frozen=True, slots=True)
class CopyRow:
    """A copy as the matrix shows it; `levels` are by name, those never run left out."""

    system_id: int
    system: str
    customer_id: int
    customer: str
    copy: str
    verdict: str
    finished_at: datetime
    sequence: int
    evidence_id: int
    levels: dict[str, LevelCell]


@dataclass(frozen=True, slots=True)
class RunRow:
    """What was found of one level in one run."""

    evidence_id: int
    sequence: int
    judged_at: datetime
    level: str
    generation: str
    verdict: str
    reason: str
    expected: int
    examined: int
    ok: int
    bad: int
    unreadable: int
    changed: int
    sha256: str


@dataclass(frozen=True, slots=True)
class _Last:
    """The last evidence of a copy."""

    evidence_id: int
    system_id: int
    system: str
    customer_id: int
    customer: str
    copy: str
    verdict: str
    finished_at: datetime
    sequence: int


def copy_rows(session: Session, wish: Wish, *, at: datetime) -> Page[CopyRow]:
    """Return a page of copies; searched by customer, system, copy; sorts: those and finished_at."""
    last = (
        select(func.max(BackupEvidence.id).label("id"))
        .group_by(BackupEvidence.system_id, BackupEvidence.copy_name)
        .subquery()
    )
    statement = (
        select(
            BackupEvidence.id.label("evidence_id"),
            BackupEvidence.system_id,
            System.title.label("system"),
            System.customer_id,
            Customer.name.label("customer"),
            BackupEvidence.copy_name.label("copy"),
            BackupEvidence.verdict,
            BackupEvidence.finished_at,
            BackupEvidence.sequence,
        )
        .join(last, last.c.id == BackupEvidence.id)
        .join(System, System.id == BackupEvidence.system_id)
        .join(Customer, Customer.id == System.customer_id)
    )
    columns = {
        "customer": Customer.name,
        "system": System.title,
        "copy": BackupEvidence.copy_name,
        "verdict": BackupEvidence.verdict,
        "finished_at": BackupEvidence.finished_at,
    }
    statement = searched(statement, wish, (Customer.name, System.title, BackupEvidence.copy_name))
    usual = (Customer.name, System.title, BackupEvidence.copy_name)
    page = page_of(session, sorted_by(statement, wish, columns, usual), wish, _Last)
    rows = tuple(_with_levels(session, one, at) for one in page.rows)
    return Page(rows, page.total, page.wish)


def _with_levels(session: Session, last: _Last, at: datetime) -> CopyRow:
    return CopyRow(
        last.system_id,
        last.system,
        last.customer_id,
        last.customer,
        last.copy,
        last.verdict,
        last.finished_at,
        last.sequence,
        last.evidence_id,
        {
            one.level: LevelCell(one.verdict, one.reason, one.judged_at, (at - one.judged_at).days)
            for one in last_levels(session, last.system_id, last.copy)
        },
    )


def last_levels(session: Session, system: int, copy: str) -> Sequence[BackupLevel]:
    """Return the last verdict on each level of a copy, the worst where a run gave several."""
    newest = (
        select(BackupLevel.level, func.max(BackupLevel.evidence_id).label("evidence"))
        .where(BackupLevel.system_id == system, BackupLevel.copy_name == copy)
        .group_by(BackupLevel.level)
        .subquery()
    )
    rows = session.scalars(
        select(BackupLevel)
        .join(
            newest,
            and_(newest.c.level == BackupLevel.level, newest.c.evidence == BackupLevel.evidence_id),
        )
        .where(BackupLevel.system_id == system, BackupLevel.copy_name == copy)
        .order_by(BackupLevel.level)
    ).all()
    found: dict[str, BackupLevel] = {}
    for row in rows:
        before = found.get(row.level)
        if before is None or _rank(row.verdict) < _rank(before.verdict):
            found[row.level] = row
    return tuple(found.values())


def _rank(verdict: BackupVerdict) -> int:
    order = (
        BackupVerdict.FAIL,
        BackupVerdict.DEGRADED,
        BackupVerdict.NOT_RUN,
        BackupVerdict.PASS,
    )
    return order.index(verdict)


def run_rows(session: Session, wish: Wish, *, system: int, copy: str) -> Page[RunRow]:
    """Return a page of what was found of a copy; searched by generation and reason."""
    statement = (
        select(
            BackupLevel.evidence_id,
            BackupEvidence.sequence,
            BackupLevel.judged_at,
            BackupLevel.level,
            BackupLevel.generation,
            BackupLevel.verdict,
            BackupLevel.reason,
            BackupLevel.expected,
            BackupLevel.examined,
            BackupLevel.ok,
            BackupLevel.bad,
            BackupLevel.unreadable,
            BackupLevel.changed,
            BackupEvidence.sha256,
        )
        .join(BackupEvidence, BackupEvidence.id == BackupLevel.evidence_id)
        .where(BackupLevel.system_id == system, BackupLevel.copy_name == copy)
    )
    columns = {"judged_at": BackupLevel.judged_at, "level": BackupLevel.level}
    statement = searched(statement, wish, (BackupLevel.generation, BackupLevel.reason))
    usual = (BackupLevel.evidence_id.desc(), BackupLevel.level, BackupLevel.id)
    return page_of(session, sorted_by(statement, wish, columns, usual), wish, RunRow)


def verdicts_of(
    session: Session, system: int, copy: str, *, until: int
) -> list[tuple[int, Verdict]]:
    """Return the verdicts of a copy up to a sequence, in order."""
    rows = session.execute(
        select(BackupEvidence.sequence, BackupEvidence.verdict)
        .where(
            BackupEvidence.system_id == system,
            BackupEvidence.copy_name == copy,
            BackupEvidence.sequence <= until,
        )
        .order_by(BackupEvidence.sequence)
    )
    return [(row.sequence, Verdict(row.verdict.value)) for row in rows]


def latest_verdicts(session: Session, system: int) -> dict[str, Verdict]:
    """Return the last verdict on every copy of a system."""
    rows = session.execute(
        select(BackupEvidence.copy_name, BackupEvidence.verdict)
        .where(BackupEvidence.system_id == system)
        .order_by(BackupEvidence.id)
    )
    return {row.copy_name: Verdict(row.verdict.value) for row in rows}


def sites_with_copies(session: Session, *, on: date) -> list[str]:
    """Return the sites of systems with declared copies, in a contract with remote service."""
    rows = session.execute(
        select(System.site, System.definition)
        .join(CoveredSystem, CoveredSystem.system_id == System.id)
        .join(ContractVersion, ContractVersion.id == CoveredSystem.contract_version_id)
        .join(
            Contract,
            and_(
                Contract.id == ContractVersion.contract_id,
                Contract.version == ContractVersion.version,
            ),
        )
        .where(
            ContractVersion.remote_service,
            ContractVersion.starts_on <= on,
            ContractVersion.ends_on >= on,
        )
        .order_by(System.site)
    )
    return list(dict.fromkeys(row.site for row in rows if row.definition.get("backups")))


def day_of(now: datetime) -> date:
    """Return the day in Beijing."""
    return now.astimezone(BEIJING).date()


LEVELS = tuple(level.value for level in Level)

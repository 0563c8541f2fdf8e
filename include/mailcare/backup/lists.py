"""What was found of a copy, searched, sorted and paged in SQL, and which systems have copies."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session

from mailcare.backup.history import unmended
from mailcare.backup.statements import intact
from mailcare.backup.verdicts import Level, Verdict
from mailcare.clock import BEIJING
from mailcare.listing import Page, Wish
from mailcare.records.backups import BackupEvidence, BackupLevel, BackupPromise
from mailcare.records.contracts import Contract, ContractVersion, CoveredSystem
from mailcare.records.customers import System
from mailcare.records.paging import page_of, searched, sorted_by

ROWS_AT_ONCE = 10  # of the evidence, newest first: as a rule that of a month is looked at


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


def last_levels(*wanted: ColumnElement[bool]) -> Select[BackupLevel]:
    """Return what the last run of each level of each copy found, of the rows that are wanted."""
    last = (
        select(func.max(BackupLevel.evidence_id).label("evidence_id"), BackupLevel.level)
        .where(*wanted)
        .group_by(BackupLevel.system_id, BackupLevel.copy_name, BackupLevel.level)
        .subquery()
    )
    is_last = and_(last.c.evidence_id == BackupLevel.evidence_id, last.c.level == BackupLevel.level)
    return select(BackupLevel).join(last, is_last)


def failed_shard(
    session: Session, system: int, copy: str, *, until: datetime | None = None
) -> int | None:
    """Return the evidence of a shard that failed and was not read again since, by a moment."""
    rows = (
        select(BackupEvidence)
        .where(BackupEvidence.system_id == system, BackupEvidence.copy_name == copy)
        .order_by(BackupEvidence.sequence.desc())
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    if until:
        rows = rows.where(BackupEvidence.finished_at <= until)
    return unmended((row.id, said) for row, said in intact(session.scalars(rows)))


def sites_with_copies(session: Session, *, on: date) -> Sequence[str]:
    """Return the sites of systems with promised copies, in a contract with remote service."""
    promised = select(BackupPromise.system_id)
    return session.scalars(
        select(System.site)
        .where(System.id.in_(promised), System.id.in_(covered_systems(on=on)))
        .order_by(System.site)
    ).all()


def covered_systems(*, on: date) -> Select[int]:
    """Return the ids of the systems that a contract in force covers with remote service."""
    return (
        select(CoveredSystem.system_id)
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
    )


def day_of(now: datetime) -> date:
    """Return the day in Beijing."""
    return now.astimezone(BEIJING).date()


LEVELS = tuple(level.value for level in Level)

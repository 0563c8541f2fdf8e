"""What site files promise of each copy, level by level, and how that stands by the evidence."""

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import ColumnElement, case, delete, select
from sqlalchemy.orm import Session

from mailcare.backup.lists import failed_shard
from mailcare.backup.verdicts import WORST_FIRST, Level
from mailcare.records.backups import BackupEvidence, BackupLevel, BackupPromise
from mailcare.systems.backups import BackupCopy


def write_promises(session: Session, system: int, copies: Iterable[BackupCopy]) -> None:
    """Write anew what is promised of a system's copies."""
    session.execute(delete(BackupPromise).where(BackupPromise.system_id == system))
    for copy in copies:
        session.add_all(
            BackupPromise(
                system_id=system, copy_name=copy.name, level=level.value, days=days, reason=""
            )
            for level in Level
            if (days := getattr(copy.promised, level.value)) is not None
        )
        session.flush()
        restate(session, system, copy.name)


def restate(session: Session, system: int, copy: str) -> None:
    """Let a copy's promises say how they stand by all of its evidence."""
    of_copy = BackupPromise.system_id == system, BackupPromise.copy_name == copy
    known_at = session.scalar(
        select(BackupEvidence.finished_at).where(
            BackupEvidence.system_id == system,
            BackupEvidence.copy_name == copy,
            BackupEvidence.sequence == 1,
        )
    )
    for one in session.scalars(select(BackupPromise).where(*of_copy)):
        last, ran = _last(session, one), _last(session, one, BackupLevel.examined > 0)
        if one.level == Level.L3 and (failed := failed_shard(session, system, copy)):
            last = _last(session, one, BackupLevel.evidence_id == failed)
        one.verdict = last.verdict if last else None
        one.reason = last.reason if last else ""
        one.judged_at = last.judged_at if last else None
        # An attempt that came to examine nothing is no run, whatever was said of it.
        one.ran_at = ran.judged_at if ran else None
        waits_since = one.ran_at or known_at
        one.overdue_at = waits_since + timedelta(days=one.days) if waits_since else None


def _last(
    session: Session, promise: BackupPromise, *wanted: ColumnElement[bool]
) -> BackupLevel | None:
    """Return the last verdict on a level, the worst where a run gave several."""
    worst = case(*((BackupLevel.verdict == one, rank) for rank, one in enumerate(WORST_FIRST)))
    return session.scalar(
        select(BackupLevel)
        .where(
            BackupLevel.system_id == promise.system_id,
            BackupLevel.copy_name == promise.copy_name,
            BackupLevel.level == promise.level,
            *wanted,
        )
        .order_by(BackupLevel.evidence_id.desc(), worst)
        .limit(1)
    )

"""How a system's backups stand: the last verdict on each level of each copy, for other areas."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.backup.lists import failed_shard, last_levels
from mailcare.backup.verdicts import Level, Verdict, worst
from mailcare.papers.backup_lines import BackupLine
from mailcare.records.backups import BackupLevel
from mailcare.records.customers import System
from mailcare.records.session import reading
from mailcare.systems.site import Site


def last_lines(system: int, *, until: datetime) -> tuple[BackupLine, ...]:
    """Return how each copy stood at a moment.

    A level is run when it is due: what it found stands until it is run again.
    """
    by_copy: dict[str, list[BackupLevel]] = defaultdict(list)
    with reading() as session:
        rows = last_levels(BackupLevel.system_id == system, BackupLevel.judged_at <= until)
        for row in session.scalars(rows.order_by(BackupLevel.level, BackupLevel.id)):
            by_copy[row.copy_name].append(row)
        return tuple(_line(session, rows, until) for _, rows in sorted(by_copy.items()))


def _line(session: Session, last: Sequence[BackupLevel], until: datetime) -> BackupLine:
    first = last[0]
    failed = failed_shard(session, first.system_id, first.copy_name, until=until)
    rows = [one for one in last if not (failed and one.level == Level.L3)]
    if failed:
        of_shard = select(BackupLevel).where(
            BackupLevel.evidence_id == failed, BackupLevel.level == Level.L3
        )
        rows += session.scalars(of_shard.order_by(BackupLevel.id))
    by_level: dict[Level, list[Verdict]] = defaultdict(list)
    for one in rows:
        by_level[Level(one.level)].append(Verdict(one.verdict.value))
    levels = {level: worst(verdicts) for level, verdicts in by_level.items()}
    verdict = worst(levels.values())
    reasons = [f"{one.level} {one.reason}" for one in rows if one.verdict.value == verdict.value]
    return BackupLine(
        first.copy_name,
        verdict,
        max(one.judged_at for one in last),
        levels,
        "" if verdict is Verdict.PASS else "；".join(reasons),
    )


def declared_names(system: System) -> frozenset[str]:
    """Return the names of the copies that a system's site file declares."""
    if not system.definition.get("backups"):
        return frozenset()
    return frozenset(one.name for one in Site.model_validate(system.definition).backups)

"""How a system's backups stand: the last evidence of each copy, for papers of other areas."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from mailcare.backup.verdicts import Level, Verdict, worst
from mailcare.papers.backup_lines import BackupLine
from mailcare.records.backups import BackupEvidence
from mailcare.records.customers import System
from mailcare.records.session import reading
from mailcare.systems.site import Site


def last_lines(system: int, *, until: datetime) -> tuple[BackupLine, ...]:
    """Return each copy's last verification as it stood at a moment."""
    last = (
        select(func.max(BackupEvidence.id).label("id"))
        .where(BackupEvidence.system_id == system, BackupEvidence.finished_at <= until)
        .group_by(BackupEvidence.copy_name)
        .subquery()
    )
    rows = select(BackupEvidence).join(last, last.c.id == BackupEvidence.id)
    with reading() as session:
        found = session.scalars(rows.order_by(BackupEvidence.copy_name)).all()
    return tuple(_line(one) for one in found)


def _line(row: BackupEvidence) -> BackupLine:
    findings: list[Mapping[str, Any]] = json.loads(row.statement)["findings"]
    by_level: dict[Level, list[Verdict]] = {}
    for one in findings:
        by_level.setdefault(Level(one["level"]), []).append(Verdict(one["verdict"]))
    reasons = [
        f"{one['level']} {one['reason']}" for one in findings if one["verdict"] == row.verdict.value
    ]
    return BackupLine(
        row.copy_name,
        Verdict(row.verdict.value),
        row.finished_at,
        {level: worst(verdicts) for level, verdicts in by_level.items()},
        "；".join(reasons) if row.verdict.value != Verdict.PASS else "",
    )


def declared_names(system: System) -> frozenset[str]:
    """Return the names of the copies that a system's site file declares."""
    if not system.definition.get("backups"):
        return frozenset()
    return frozenset(one.name for one in Site.model_validate(system.definition).backups)

"""Read what the 《备份验证报告》 tells out of the evidence of a verification."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.backup.freshness import Size
from mailcare.backup.history import history_of
from mailcare.backup.statements import intact, said_by
from mailcare.backup.verdicts import Coverage, Level, Verdict
from mailcare.backup.verification import chosen_copies
from mailcare.clock import BEIJING
from mailcare.papers.backup import BackupReport, CopyReport, LevelLine, TrendPoint
from mailcare.records.backups import BackupEvidence, Verification
from mailcare.systems.backups import BackupCopy
from mailcare.systems.site import Site

TREND_STATEMENTS = 60
NOTHING = asdict(Coverage())


def read_report(session: Session, row: Verification) -> BackupReport:
    """Return what a verification found, out of its evidence.

    A copy that was to be verified and has none stands there as not run.
    """
    site = Site.model_validate(row.definition)
    kept = {one.copy_name: one for one in row.evidence}
    finished_at = row.finished_at or max(one.finished_at for one in row.evidence)
    return BackupReport(
        site.customer.name,
        site.system.title,
        site.system.profile,
        _occasion(row),
        row.started_at,
        finished_at,
        tuple(
            _copy(session, one, kept[one.name]) if one.name in kept else _untried(one)
            for one in chosen_copies(site, row.copies)
        ),
    )


def _occasion(row: Verification) -> str:
    if row.service_id is not None:
        return "合同年度备份验证"
    return "例行验证" if row.is_routine else "人工发起的验证"


def _copy(session: Session, copy: BackupCopy, row: BackupEvidence) -> CopyReport:
    evidence = {
        "sequence": str(row.sequence),
        "sha256": row.sha256,
        "previous": row.previous or "",
        "public_key": row.public_key,
    }
    lines = tuple(_line(one) for one in said_by(row)["findings"])
    return _report(copy, lines, _trend(session, row), evidence)


def _untried(copy: BackupCopy) -> CopyReport:
    said = "本次没有验证这个副本，或验证中途失败，没有证据"
    line = LevelLine(Level.L0, "", Verdict.NOT_RUN, said, NOTHING, ())
    blank = dict.fromkeys(("sequence", "sha256", "previous", "public_key"), "")
    return _report(copy, (line,), (), blank)


def _report(
    copy: BackupCopy,
    lines: tuple[LevelLine, ...],
    trend: tuple[TrendPoint, ...],
    evidence: Mapping[str, str],
) -> CopyReport:
    return CopyReport(
        copy.label,
        copy.kind.value,
        f"{copy.node}:{copy.path}" if copy.node else str(copy.path),
        copy.off_site,
        copy.rpo_h,
        lines,
        trend,
        evidence,
    )


def _line(finding: Mapping[str, Any]) -> LevelLine:
    return LevelLine(
        Level(finding["level"]),
        finding["generation"],
        Verdict(finding["verdict"]),
        finding["reason"],
        finding["coverage"],
        tuple((one["code"], one["text"]) for one in finding["remarks"]),
    )


def _trend(session: Session, row: BackupEvidence) -> tuple[TrendPoint, ...]:
    rows = session.scalars(
        select(BackupEvidence)
        .where(
            BackupEvidence.system_id == row.system_id,
            BackupEvidence.copy_name == row.copy_name,
            BackupEvidence.sequence <= row.sequence,
        )
        .order_by(BackupEvidence.sequence.desc())
        .limit(TREND_STATEMENTS)
    ).all()
    past = history_of((one.sha256, said) for one, said in intact(reversed(rows)))
    return tuple(_point(one) for one in past.sizes)


def _point(size: Size) -> TrendPoint:
    at: datetime = size.started_at.astimezone(BEIJING)
    return TrendPoint(f"{at:%m-%d}", size.size_bytes, size.messages)

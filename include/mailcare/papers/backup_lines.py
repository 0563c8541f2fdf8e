"""What an inspection report tells of the backups: each copy's last verdict, and how old it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from mailcare.backup.verdicts import Level, Verdict
from mailcare.papers.backup import BADGES, WORDS
from mailcare.papers.document import Json
from mailcare.systems.backups import BackupCopy

NEVER = "声明了副本，但从未验证"


@dataclass(frozen=True, slots=True)
class BackupLine:
    """The last verification of a copy: its verdict, and that on each level with a reason."""

    copy: str
    verdict: Verdict
    verified_at: datetime
    levels: Mapping[Level, Verdict]
    reason: str


def backup_rows(declared: Iterable[BackupCopy], lines: Iterable[BackupLine]) -> list[Json]:
    """Return a row for each declared copy; one that was never verified says so."""
    known = {one.copy: one for one in lines}
    return [_row(copy, known.get(copy.name)) for copy in declared]


def _row(copy: BackupCopy, line: BackupLine | None) -> Json:
    if line is None:
        return {
            "title": copy.label,
            "badge": BADGES[Verdict.NOT_RUN],
            "word": WORDS[Verdict.NOT_RUN],
            "verified_at": "",
            "levels": "",
            "reason": NEVER,
        }
    told = (f"{level} {WORDS[verdict]}" for level, verdict in sorted(line.levels.items()))
    return {
        "title": copy.label,
        "badge": BADGES[line.verdict],
        "word": WORDS[line.verdict],
        "verified_at": line.verified_at.isoformat(),
        "levels": "，".join(told),
        "reason": line.reason,
    }

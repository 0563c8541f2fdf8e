"""The statements that are kept of a copy, as far as they are still what was signed."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mailcare.backup.evidence import Evidence
from mailcare.records.backups import BackupEvidence


def intact(rows: Iterable[BackupEvidence]) -> Iterator[tuple[BackupEvidence, Mapping[str, Any]]]:
    """Yield each piece of evidence with what it says; one that was changed is left to the audit."""
    for row in rows:
        if said := evidence_of(row).intact():
            yield row, said


def evidence_of(row: BackupEvidence) -> Evidence:
    """Return a piece of evidence as it is kept."""
    return Evidence(row.statement, row.sha256, row.signature, row.public_key)

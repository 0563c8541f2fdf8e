"""The statements that are kept of a copy, as far as they are still what was signed."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mailcare.backup.evidence import Evidence
from mailcare.errors import InputError
from mailcare.records.backups import BackupEvidence


def intact(rows: Iterable[BackupEvidence]) -> Iterator[tuple[BackupEvidence, Mapping[str, Any]]]:
    """Yield each piece of evidence with what it says; one that was changed is left to the audit."""
    for row in rows:
        if said := evidence_of(row).intact():
            yield row, said


def said_by(row: BackupEvidence) -> Mapping[str, Any]:
    """Return what a piece of evidence says; `InputError` for one that was changed."""
    said = evidence_of(row).intact()
    if said is None:
        told = f"证据 {row.sequence:06d} 与其 SHA-256 不符，被改动过，不能据此出具报告"
        raise InputError(told, subject=row.copy_name)
    return said


def evidence_of(row: BackupEvidence) -> Evidence:
    """Return a piece of evidence as it is kept."""
    return Evidence(row.statement, row.sha256, row.signature, row.public_key)

"""The findings of levels that a run has finished: after a kill it goes on with the others.

They hold for the same run of the same program over the same generations and shard, and for a day;
otherwise the copy is verified anew. What there is is looked at anew in any case (L0).
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mailcare import VERSION
from mailcare.backup.evidence import Finding, finding_json, finding_of
from mailcare.backup.ground import Ground
from mailcare.backup.judging import Withheld
from mailcare.backup.source import NotReached
from mailcare.backup.verdicts import Level
from mailcare.errors import InputError, Unavailable
from mailcare.files import write_whole

KEPT_FOR = timedelta(hours=24)


@dataclass(slots=True)
class Kept:
    """What one run has finished of one copy, and since when it is at it; see `kept_of`."""

    path: Path
    bond: Mapping[str, Any]
    begun_at: datetime
    findings: list[Finding] = field(default_factory=list)

    def of(self, level: Level) -> Sequence[Finding]:
        """Return what was found on a level; nothing where it is still to be run."""
        return [one for one in self.findings if one.level is level]

    def keep(self, findings: Sequence[Finding]) -> None:
        """Keep the findings of a level, unless it was not run."""
        if any(one.level is Level.L0 or isinstance(one.facts, Withheld) for one in findings):
            return
        self.findings.extend(findings)
        told = {
            "bond": self.bond,
            "begun_at": self.begun_at.isoformat(),
            "findings": [finding_json(one) for one in self.findings],
        }
        with suppress(Unavailable):  # without it, a kill costs time and nothing else
            write_whole(self.path, json.dumps(told).encode())


def kept_of(ground: Ground, run: str) -> Kept | None:
    """Return what a run with this key has finished so far; None where the copy is not reached."""
    try:
        generations = ground.reach.generations
    except NotReached:
        return None
    bond = {
        "run": run,
        "program": VERSION,
        "generations": [
            [one.name, one.started_at.isoformat(), one.size_bytes] for one in generations
        ],
        "shard": [ground.shard.number, ground.shard.of],
    }
    path = ground.manifest.with_suffix(".finished")
    return _read(path, bond, ground.now) or Kept(path, bond, ground.now)


def _read(path: Path, bond: Mapping[str, Any], now: datetime) -> Kept | None:
    try:
        told = json.loads(path.read_bytes())
        begun_at = datetime.fromisoformat(told["begun_at"])
        findings = [finding_of(one) for one in told["findings"]]
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return None
    is_same = told["bond"] == bond and now - begun_at < KEPT_FOR
    return Kept(path, bond, begun_at, findings) if is_same else None

"""What follows from a verdict: a fault, an alert, both once an incident. Pure.

An incident begins with the first evidence that is not passed and ends with the first that is. The
level of the fault: no copy of the system left that is sound is P2, for the next failure of a disk
loses mail; otherwise one damaged copy is P3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailcare.backup.verdicts import Verdict
from mailcare.deadlines import Level as FaultLevel


@dataclass(frozen=True, slots=True)
class Incident:
    """A copy that failed or is degraded; `since` is the sequence of its first bad evidence."""

    copy: str
    verdict: Verdict
    since: int
    reasons: tuple[str, ...]

    @property
    def key(self) -> str:
        """Return what makes it one incident, however often it is seen."""
        return f"{self.copy}/{self.since}/{self.verdict}"


def began(verdicts: Sequence[tuple[int, Verdict]], wanted: Verdict) -> int:
    """Return the sequence with which the present run of a verdict began; `verdicts` in order."""
    since = 0
    for sequence, verdict in verdicts:
        if verdict is not wanted:
            since = 0
        elif not since:
            since = sequence
    return since


def fault_level(latest: Mapping[str, Verdict]) -> FaultLevel:
    """Return the level of a fault about a failed copy, by the latest verdicts of all copies."""
    has_sound_one = any(one in (Verdict.PASS, Verdict.DEGRADED) for one in latest.values())
    return FaultLevel.P3 if has_sound_one else FaultLevel.P2

"""What earlier evidence tells of a copy: sizes, when each level was run, which shards. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mailcare.backup.freshness import Size
from mailcare.backup.verdicts import Level, Verdict


@dataclass(frozen=True, slots=True)
class History:
    """A copy's past; `sequence` and `last_sha256` are those of its last evidence.

    `sealed_pct` is how many in a hundred messages of a shard were sealed when it was last read.
    """

    sequence: int = 0
    last_sha256: str | None = None
    begun_at: datetime | None = None
    sizes: tuple[Size, ...] = ()
    last_run_at: Mapping[Level, datetime] = field(default_factory=dict)
    shards_read: Mapping[tuple[int, int], datetime] = field(default_factory=dict)
    sealed_pct: Mapping[tuple[int, int], int] = field(default_factory=dict)

    def next_shard(self, of: int) -> int:
        """Return the shard that was read longest ago, those never read first."""
        return min(range(of), key=lambda one: (self._read_s(one, of), one))

    def _read_s(self, number: int, of: int) -> float:
        at = self.shards_read.get((number, of))
        return at.timestamp() if at else 0.0

    def overdue(self, of: int, *, policy_days: int | None, now: datetime) -> tuple[int, ...]:
        """Return the shards not read within the policy, once the copy is known for that long."""
        if policy_days is None or of == 1:
            return ()
        limit = now - timedelta(days=policy_days)
        begun = min(self.shards_read.values(), default=now)
        if begun > limit:
            return ()
        return tuple(one for one in range(of) if self._read_s(one, of) < limit.timestamp())


def history_of(statements: Iterable[tuple[str, Mapping[str, Any]]]) -> History:
    """Gather a copy's history from its statements (SHA-256 and content), in order."""
    sequence, last, begun_at = 0, None, None
    sizes: dict[str, Size] = {}
    ran: dict[Level, datetime] = {}
    shards: dict[tuple[int, int], datetime] = {}
    sealed: dict[tuple[int, int], int] = {}
    for sha256, said in statements:
        sequence, last = int(said["sequence"]), sha256
        at = datetime.fromisoformat(said["finished_at"])
        begun_at = begun_at or at
        sealed |= _sealed(said["findings"])
        for finding in said["findings"]:
            _note(finding, at, ran, shards)
            for size in _earlier(finding):
                sizes.setdefault(size.generation, size)
            if size := _size(finding):
                sizes[size.generation] = size
    ordered: Sequence[Size] = sorted(sizes.values(), key=lambda one: one.started_at)
    return History(sequence, last, begun_at, tuple(ordered), ran, shards, sealed)


def unmended(statements: Iterable[tuple[int, Mapping[str, Any]]]) -> int | None:
    """Return which statement, of those from the newest on, has a failed shard that still stands.

    One shard is read a day: that another one is sound says nothing of it. What failed stands until
    the same was read again, or all.
    """
    read: set[tuple[int, int]] = set()
    for key, said in statements:
        found = [one for one in said["findings"] if one["facts_kind"] == "integrity"]
        if not found:
            continue
        shard = found[0]["facts"]["shard"], found[0]["facts"]["shards"]
        if shard not in read and any(one["verdict"] == Verdict.FAIL for one in found):
            return key
        if all(one["facts"]["is_finished"] for one in found):
            read.add(shard)
        if (0, 1) in read:
            return None
    return None


def _note(
    finding: Mapping[str, Any],
    at: datetime,
    ran: dict[Level, datetime],
    shards: dict[tuple[int, int], datetime],
) -> None:
    level = Level(finding["level"])
    if finding["facts_kind"] == "withheld" or finding["verdict"] == Verdict.NOT_RUN:
        return
    ran[level] = at
    if finding["facts_kind"] == "integrity" and finding["facts"]["is_finished"]:
        number, of = finding["facts"]["shard"], finding["facts"]["shards"]
        shards[number, of] = at


def _sealed(findings: Iterable[Mapping[str, Any]]) -> Mapping[tuple[int, int], int]:
    """Return the share of the newest generation's, which stands before those of older ones."""
    for finding in findings:
        if finding["facts_kind"] == "integrity" and (read := finding["coverage"]["examined"]):
            facts = finding["facts"]
            count = facts.get("sealed", 0)  # earlier versions did not count them
            return {(facts["shard"], facts["shards"]): count * 100 // read}
    return {}


def _earlier(finding: Mapping[str, Any]) -> Iterator[Size]:
    """Yield the sizes of the generations before the newest, which the copy itself still showed."""
    if finding["facts_kind"] == "freshness":
        yield from map(_size_of, finding["facts"]["history"])


def _size(finding: Mapping[str, Any]) -> Size | None:
    if finding["facts_kind"] != "freshness" or finding["facts"]["size_bytes"] is None:
        return None
    return _size_of(finding["facts"])


def _size_of(said: Mapping[str, Any]) -> Size:
    started_at = datetime.fromisoformat(said["started_at"])
    return Size(said["generation"], started_at, said["size_bytes"], said["messages"])

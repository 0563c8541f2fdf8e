"""How deep a copy is verified today, and how much of it is read: the policy's cadence. Pure."""

from datetime import datetime, timedelta

from mailcare.backup.history import History
from mailcare.backup.source import Shard
from mailcare.backup.verdicts import Level
from mailcare.systems.backups import Policy

EARLY = timedelta(hours=12)  # a daily run does not come at the same minute every day
FULL_EVERY = timedelta(days=31)
WHOLE = Shard()


def due_through(policy: Policy, history: History, *, now: datetime) -> Level:
    """Return the deepest level that is due; those above it are run, too, for it stands on them.

    The daily shard makes L3 due every day where the copy is read in shards.
    """
    due = [level for level in Level if _is_due(policy, history, level, now)]
    return max(due, key=lambda level: level.value, default=Level.L0)


def _is_due(policy: Policy, history: History, level: Level, now: datetime) -> bool:
    days: int | None = getattr(policy, level.value)
    if days is None:
        return False
    if level is Level.L3:
        days = 1
    last = history.last_run_at.get(level)
    return last is None or last + timedelta(days=days) - EARLY <= now


def due_shard(policy: Policy, history: History, *, now: datetime) -> Shard:
    """Return what is read today: all of the copy at first and once a month, else one shard."""
    last = history.shards_read.get((0, 1))
    if policy.shards == 1 or last is None or last + FULL_EVERY - EARLY <= now:
        return WHOLE
    return Shard(history.next_shard(policy.shards), policy.shards)

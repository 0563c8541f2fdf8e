"""What the levels of one copy's verification stand on: the copy, the live store, what was counted.

A listing is made once and serves every level that needs it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from mailcare.backup.history import History
from mailcare.backup.inventory import DAY_S
from mailcare.backup.names import moment_of
from mailcare.backup.source import Census, Generation, Live, Reach, Shard, Source
from mailcare.backup.spots import Spot
from mailcare.errors import InputError
from mailcare.progress import Progress
from mailcare.systems.backups import BackupCopy
from mailcare.systems.site import Site

WHOLE = Shard()


@dataclass
class Ground:
    """One copy under verification at one moment.

    `manifest` is where what earlier runs read is kept, `scratch` where drills may write (None: the
    system's own place). `spot` is the copy's own path, `live_spot` the live store's.
    `listed` are the accounts of the customer's list, empty where the live
    store's folders are it.
    """

    site: Site
    copy: BackupCopy
    source: Source
    spot: Spot
    live: Live | None
    live_spot: Spot | None
    history: History
    now: datetime
    manifest: Path
    progress: Progress
    shard: Shard = WHOLE
    listed: Sequence[str] = ()
    scratch: Path | None = None
    notes: list[str] = field(default_factory=list)

    @cached_property
    def reach(self) -> Reach:
        """The first look at the copy; may raise `NotReached`."""
        return self.source.reach()

    @property
    def newest(self) -> Generation:
        """The newest generation; raise `InputError` where there is none."""
        if not self.reach.generations:
            raise InputError("没有任何备份代", subject=self.copy.label)
        return max(self.reach.generations, key=lambda one: (one.started_at, one.name))

    @cached_property
    def census(self) -> Census:
        """The mailboxes of the newest generation; may raise `NotReached`."""
        return self.source.census(self.newest)

    @cached_property
    def live_census(self) -> Census | None:
        """The mailboxes of the live store; None where none is declared."""
        return self.live.census() if self.live else None


def newest_at(census: Census | None, *, until: datetime) -> datetime | None:
    """Return when the newest message of a census arrived; None where there is none.

    A mailbox whose newest is more than a day after `until` was once given mail by a wrong clock,
    and tells nothing.
    """
    limit_s = until.timestamp() + DAY_S
    rows = census.rows if census else ()
    newest_s = max(
        (one.newest_s for one in rows if one.messages and one.newest_s <= limit_s), default=0
    )
    return moment_of(newest_s) if newest_s else None


def messages_in(census: Census, mailboxes: Collection[str] | None = None) -> int:
    """Return how many messages a census counted, in all mailboxes or some."""
    rows = census.rows
    return sum(row.messages for row in rows if mailboxes is None or row.mailbox in mailboxes)

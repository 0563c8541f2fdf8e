"""Messages of both sides of a comparison, on disk until their mailbox's turn comes.

A copy can only be listed as a whole, in its own order; a mailbox is compared at once. Between the
two, memory holds one mailbox, however many there are.
"""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mailcare.backup.source import Message

_TABLE = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE message (
    side INTEGER, key BLOB, mailbox TEXT, folder TEXT, identity BLOB, size INTEGER, arrived REAL
);
"""
_INDEX = "CREATE INDEX IF NOT EXISTS by_mailbox ON message (side, mailbox)"
_INDEX_OF_IDENTITY = "CREATE INDEX IF NOT EXISTS by_identity ON message (side, identity)"
_SHARING = """
SELECT theirs.mailbox, count(*) AS shared FROM message AS ours
JOIN message AS theirs ON theirs.side = ? AND theirs.identity = ours.identity
WHERE ours.side = ? AND ours.mailbox = ?
GROUP BY theirs.mailbox ORDER BY shared DESC, theirs.mailbox
"""
_OF = """
SELECT key, mailbox, folder, identity, size, arrived FROM message WHERE side = ? AND mailbox = ?
"""


class Spool:
    """A file of messages; use it within `spooled`. A side is any number."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def keep(self, side: int, messages: Iterable[Message]) -> None:
        """Keep the messages of one side."""
        rows = ((side, *one) for one in messages)
        self._database.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def messages(self, side: int, mailbox: str) -> list[Message]:
        """Return the messages of a mailbox on one side, in the order in which they came."""
        self._database.execute(_INDEX)
        return [Message(*row) for row in self._database.execute(_OF, (side, mailbox))]

    def sharing(self, side: int, other: int, mailbox: str) -> list[str]:
        """Return the mailboxes of the other side with messages of this one, the most first."""
        self._database.execute(_INDEX_OF_IDENTITY)
        return [name for name, _ in self._database.execute(_SHARING, (other, side, mailbox))]


@contextmanager
def spooled(scratch: Path | None) -> Iterator[Spool]:
    """Open a spool below `scratch`, gone when the block ends."""
    with (
        tempfile.TemporaryDirectory(prefix="mailcare-", dir=scratch) as folder,
        closing(sqlite3.connect(Path(folder, "messages"))) as database,
    ):
        database.executescript(_TABLE)
        yield Spool(database)

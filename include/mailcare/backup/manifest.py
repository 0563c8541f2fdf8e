"""What earlier runs read of each message, on disk, keyed by mailbox and identity.

A message never changes once it is stored; what reads otherwise than before is rot. Memory does not
grow with the store.
"""

import hashlib
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from mailcare.backup.source import Digest

_TABLES = """
CREATE TABLE IF NOT EXISTS seen (
    mailbox TEXT, identity BLOB, sha256 TEXT, run INTEGER, PRIMARY KEY (mailbox, identity)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mailbox (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE live (
    mailbox TEXT, identity BLOB, sha256 TEXT, is_mail INTEGER, is_sealed INTEGER,
    PRIMARY KEY (mailbox, identity)
) WITHOUT ROWID;
"""


class Known(StrEnum):
    """What is known of a message from before."""

    NEW = "new"
    SAME = "same"
    DIFFERS = "differs"
    TWICE = "twice"  # a second time in this run, the same
    TWICE_OTHERWISE = "twice_otherwise"


class AsLive(StrEnum):
    """What a message is to the live one; a `SPOILED` live one is no mail, as after an attack."""

    NONE = "none"
    SAME = "same"
    DIFFERS = "differs"
    SPOILED = "spoiled"


class Manifest:
    """The manifest of one copy; use it within `manifest_of`."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        row = database.execute("SELECT coalesce(max(run), 0) FROM seen").fetchone()
        self._run = int(row[0]) + 1
        self._root = 0

    def note_live(self, digest: Digest) -> None:
        """Keep what a live message reads, for this run only."""
        is_mail = digest.looks_like_mail and not digest.problem
        row = (digest.mailbox, digest.identity, digest.sha256, is_mail, digest.is_sealed)
        self._database.execute("INSERT OR REPLACE INTO live VALUES (?, ?, ?, ?, ?)", row)

    def live(self, digest: Digest) -> AsLive:
        """Hold a message against the live one; a spoiled one proves nothing against it."""
        row = self._database.execute(
            "SELECT sha256, is_mail, is_sealed FROM live WHERE mailbox = ? AND identity = ?",
            (digest.mailbox, digest.identity),
        ).fetchone()
        if row is None:
            return AsLive.NONE
        if row[0] == digest.sha256:
            return AsLive.SAME
        return AsLive.DIFFERS if row[1] or (row[2] and digest.is_sealed) else AsLive.SPOILED

    def know(self, digest: Digest, *, is_trusted: bool) -> Known:
        """Hold a message against what was read before; a new one that is trusted is kept."""
        key = (digest.mailbox, digest.identity)
        row = self._database.execute(
            "SELECT sha256, run FROM seen WHERE mailbox = ? AND identity = ?", key
        ).fetchone()
        if row is None:
            if is_trusted:
                values = (*key, digest.sha256, self._run)
                self._database.execute("INSERT INTO seen VALUES (?, ?, ?, ?)", values)
            self._add(digest)
            return Known.NEW
        is_same = row[0] == digest.sha256
        if row[1] == self._run:
            return Known.TWICE if is_same else Known.TWICE_OTHERWISE
        self._database.execute(
            "UPDATE seen SET run = ? WHERE mailbox = ? AND identity = ?", (self._run, *key)
        )
        self._add(digest)
        return Known.SAME if is_same else Known.DIFFERS

    def knows_otherwise(self, digest: Digest) -> bool:
        """Tell whether a message of this name was read before with another length.

        For identities of a name and a length, where no message is changed under its name: Maildir.
        """
        base = digest.identity.rpartition(b"/")[0]
        row = self._database.execute(
            "SELECT 1 FROM seen WHERE mailbox = ? AND identity > ? AND identity < ? "
            "AND identity != ?",
            (digest.mailbox, base + b"/", base + b"0", digest.identity),
        ).fetchone()
        return row is not None

    def _add(self, digest: Digest) -> None:
        said = b"\0".join((digest.mailbox.encode(), digest.identity, digest.sha256.encode()))
        self._root += int.from_bytes(hashlib.sha256(said).digest())

    def recorded(self, mailbox: str, identity: bytes) -> str | None:
        """Return the SHA-256 that was first read of a message; None for one never read."""
        row = self._database.execute(
            "SELECT sha256 FROM seen WHERE mailbox = ? AND identity = ?", (mailbox, identity)
        ).fetchone()
        return None if row is None else str(row[0])

    def note_parts(self, names: Collection[str]) -> tuple[str, ...]:
        """Keep the mailboxes or tables of this run; return those of the run before it lacks."""
        known = {name for (name,) in self._database.execute("SELECT name FROM mailbox")}
        self._database.execute("DELETE FROM mailbox")
        self._database.executemany("INSERT INTO mailbox VALUES (?)", ((one,) for one in names))
        return tuple(sorted(known.difference(names)))

    def forget(self) -> None:
        """Keep nothing of what this run has read so far."""
        self._database.rollback()

    def root(self) -> str:
        """Return the order-free digest of all that was read in this run, in hex."""
        return f"{self._root % (1 << 256):064x}"


@contextmanager
def manifest_of(path: Path) -> Iterator[Manifest]:
    """Open a copy's manifest; what was noted stays when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path)
    try:
        database.executescript(_TABLES)
        yield Manifest(database)
        database.commit()
    finally:
        database.close()

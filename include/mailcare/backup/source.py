"""What a source must offer, so that trees, archives and repositories are verified alike.

A source reads one copy and never writes to, unlocks or repairs it. It speaks of messages, in
whatever format they are kept; names come out of it as the bytes that they are.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from mailcare.backup.verdicts import Coverage
from mailcare.errors import MailcareError

SEALED = "由 Dovecot 加密（mail_crypt）或以 LZ4 压缩，在它之外打不开"


class NotReached(MailcareError):
    """A copy cannot be verified at all this time: not there, locked, wrong password.

    `code` is one of `missing`, `locked`, `password`, `tool`, `unreachable`, `unreadable`,
    `authorisation`, `scratch`, `shortage` (of memory and the like, or something was killed),
    `damaged` (so that not even its listing can be read), `alarm` (a disk that failed).
    """

    permanent = False

    def __init__(self, code: str, message: str, *, subject: str = "") -> None:
        super().__init__(message, subject=subject)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of a copy; `name` is what the source finds it by.

    `started_at` is when its making began, as well as that can be told; `is_dated` that the copy
    itself says so. A tree's is reckoned from its files.
    """

    name: str
    started_at: datetime
    size_bytes: int | None = None
    is_dated: bool = True


@dataclass(frozen=True, slots=True)
class Reach:
    """What a first look at a copy found.

    `locked_since` is when somebody began to write it. `is_immutable` is None where nothing tells;
    `immutability` says what was looked at. `ahead_s` is how far the clock of the copy's host is
    ahead of ours, in seconds; None where it is ours. `damages` are what of the copy is spoiled so
    that it shows in no generation.
    """

    generations: tuple[Generation, ...]
    locked_since: datetime | None = None
    is_immutable: bool | None = None
    immutability: str = ""
    remarks: tuple[str, ...] = ()
    ahead_s: float | None = None
    damages: tuple[str, ...] = ()


class Message(NamedTuple):
    """A message as a listing shows it; a tuple, for millions of them are made.

    `key` names it within its generation (a path; in an mbox with `#` and its number), `identity`
    is the same in the live store and in every copy, wherever it lies in the mailbox. `arrived_s`
    is when it came to be there, seconds since 1970, as its name or its file tells.
    """

    key: bytes
    mailbox: str
    folder: str
    identity: bytes
    size_bytes: int
    arrived_s: float


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """One mailbox in sum; `digest` is order-free: the sum of its identities' SHA-256, in hex.

    Equal digest and equal count mean equal sets of messages.
    """

    mailbox: str
    folders: int
    messages: int
    size_bytes: int
    newest_s: float
    digest: str


@dataclass(frozen=True, slots=True)
class Census:
    """What a listing counted beside the mailboxes.

    `damages` are the copy's own: its checksums, its structure, a disk that failed. One that is not
    `is_finished` broke off: what it did not come to may be there, and may not.
    """

    rows: tuple[MailboxRow, ...]
    unreadable: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()
    vanished: int = 0
    damages: tuple[str, ...] = ()
    is_finished: bool = True

    @property
    def gaps(self) -> tuple[str, ...]:
        """Return why not all of it was listed, or may not be as it was."""
        return self.damages + self.unreadable


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a copy: see `mailstore.is_in`; number 0 of 1 is all of it.

    A message is in the same shard in the live store and in every copy.
    """

    number: int = 0
    of: int = 1


class Fate(StrEnum):
    """What became of a message that was to be read; `ALARM` is a disk that failed (EIO)."""

    OK = "ok"
    BAD = "bad"
    UNREADABLE = "unreadable"
    ALARM = "alarm"
    CHANGED = "changed"


class Digest(NamedTuple):
    """A message that was read to its end, or why it was not; a tuple, as `Message` is.

    `problem` is empty for one that was read; `looks_like_mail` tells whether its beginning is the
    head of a mail, `is_sealed` that nobody but its server can tell (`agent.script.is_sealed`).
    `identity` and `mailbox` are those of its `Message`.
    """

    key: bytes
    mailbox: str
    identity: bytes
    size_bytes: int
    sha256: str
    looks_like_mail: bool
    problem: str = ""
    fate: Fate = Fate.OK
    is_sealed: bool = False


@dataclass(frozen=True, slots=True)
class Soundness:
    """What the copy's own checksums say; `method` names them, empty where it has none.

    `problems` are what they found, `alarms` input/output errors of a dying disk. `is_finished`
    tells that everything was read to the end. `coverage` is in the copy's own units, for a copy
    that checks itself without showing its messages.
    """

    method: str
    coverage: Coverage
    problems: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()
    is_finished: bool = True
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """A message that came back into scratch, or why it did not (`path` is None then)."""

    key: bytes
    path: Path | None
    problem: str = ""


class Reading(Protocol):
    """A pass over the messages of a generation; `soundness` is whole when it was gone through."""

    def __iter__(self) -> Iterator[Digest]:
        """Go through the messages of the shard."""
        ...

    def soundness(self) -> Soundness:
        """Return what the copy's own checksums said; call after the messages."""
        ...


class Source(Protocol):
    """A copy that can be verified. Every method may raise `NotReached`."""

    def reach(self) -> Reach:
        """Look at the copy: its generations, a lock, whether it can be changed."""
        ...

    def place(self, generation: Generation) -> str:
        """Return the path of a generation on its machine, or of the repository that it is in."""
        ...

    def census(self, generation: Generation) -> Census:
        """Count every mailbox by a listing alone."""
        ...

    def messages(self, generation: Generation, mailboxes: Collection[str]) -> Iterator[Message]:
        """List the messages of some mailboxes, in any order."""
        ...

    def read(self, generation: Generation, shard: Shard) -> Reading:
        """Read the messages of a shard to the end, with the copy's own checksums."""
        ...

    def restore(
        self, generation: Generation, keys: Collection[bytes], scratch: Path
    ) -> Iterator[Restored]:
        """Bring messages back into `scratch`, under names of our own."""
        ...


class Live(Protocol):
    """The live mail store that a copy is held against. Every method may raise `NotReached`."""

    def census(self) -> Census:
        """Count every mailbox by a listing alone."""
        ...

    def messages(self, mailboxes: Collection[str]) -> Iterator[Message]:
        """List the messages of some mailboxes, in any order."""
        ...

    def read(self, shard: Shard) -> Reading:
        """Read the messages of a shard to the end."""
        ...

    def restore(self, keys: Collection[bytes], scratch: Path) -> Iterator[Restored]:
        """Copy messages into `scratch`, under names of our own."""
        ...

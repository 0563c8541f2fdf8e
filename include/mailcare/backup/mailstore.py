"""Where in a mail store a message is, and what it is called, whatever the store's format. Pure.

A `StoreMap` turns the folder and the name of a file into a `Message`; a `Tally` sums messages up
by mailbox in memory that is bounded by the number of mailboxes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from os import stat_result
from typing import Self

from mailcare.backup.names import EARLIEST, LATEST, sane_moment_s, shown
from mailcare.backup.source import MailboxRow, Message, Shard
from mailcare.systems.copies import StoreFormat

INBOX = "INBOX"
_INFO = re.compile(rb"[:;!]2,[A-Za-z]*$")
_STATED = re.compile(rb",[SW]=\d+")
# As mail servers write them: one look instead of two replacements, a third of the time.
_USUAL = re.compile(rb"([^,:;!]+)(?:,[SW]=\d+)*(?::2,[A-Za-z]*)?\Z")
_DBOX_FILE = re.compile(rb"[um]\.\d+$")
# Those of a whole folder at once, joined by what no name has in it; with the time that they tell.
_ALL_USUAL = re.compile(
    rb"(?:\A|/)(([0-9]{9,10})\.[^,:;!/]+)(?:,[SW]=\d+)*(?::2,[A-Za-z]*)?(?=/|\Z)"
)
NamedFile = tuple[bytes, stat_result]
Sized = tuple[bytes, int, float]  # identity, size, arrival
_WHOLE_DIGEST = 1 << 256
_number = int.from_bytes
_MAILDIR, _DBOX, _MBOX = StoreFormat.MAILDIR, StoreFormat.DBOX, StoreFormat.MBOX
_FIRST_S, _LAST_S = int(EARLIEST.timestamp()), int(LATEST.timestamp())


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of a mail store: the mailbox, and the folder of that mailbox.

    `holds_mail` tells whether files in it are messages.
    """

    mailbox: str
    folder: str
    holds_mail: bool


@dataclass(slots=True)
class StoreMap:
    """The map of one store: `format` and `layout` as the site file declares them.

    `mail_files` is the pattern of the names of mails in a product's own tree, where other files
    lie beside them.
    """

    format: StoreFormat
    layout: str
    mail_files: str = "*"
    _places: dict[bytes, Place | None] = field(default_factory=dict)

    def __reduce__(self) -> tuple[type[Self], tuple[StoreFormat, str, str]]:
        """Go to another process without the cache."""
        return type(self), (self.format, self.layout, self.mail_files)

    @property
    def is_read_to_count(self) -> bool:
        """Tell whether messages can be counted only by reading the files that hold them."""
        return self.format is StoreFormat.MBOX

    @property
    def is_flat(self) -> bool:
        """Tell whether a folder of messages has no folders below it."""
        return self.format is StoreFormat.MAILDIR

    def place(self, folder: bytes) -> Place | None:
        """Return what a folder below the store's root is; None where it belongs to no mailbox."""
        try:
            return self._places[folder]
        except KeyError:
            if len(self._places) > 50_000:
                self._places.clear()  # it is a cache only
            found = self._places[folder] = self._find(folder)
            return found

    def _find(self, folder: bytes) -> Place | None:
        steps = [step for step in folder.split(b"/") if step not in (b"", b".")]
        named = self._named(steps)
        if named is None:
            return None
        mailbox, rest = named
        if self.format is StoreFormat.MAILDIR:
            is_mail = bool(rest) and rest[-1] in (b"cur", b"new")
            return Place(mailbox, _folder(rest[:-1] if is_mail else rest), is_mail)
        return Place(mailbox, _folder(rest), holds_mail=True)

    def _named(self, steps: list[bytes]) -> tuple[str, list[bytes]] | None:
        wanted = self.layout.split("/")
        if len(steps) < len(wanted):
            return None
        found = {"{domain}": "", "{user}": ""}
        for step, want in zip(steps, wanted, strict=False):
            if want in found:
                found[want] = shown(step)
            elif step != want.encode():
                return None
        user, domain = found["{user}"], found["{domain}"]
        return f"{user}@{domain}" if domain else user, steps[len(wanted) :]

    def file_place(self, path: bytes) -> Place | None:
        """Return the place of a file: its folder's, or its own where a file is a whole mailbox."""
        folder, _, name = path.rpartition(b"/")
        if self.format is not _MBOX:
            return self.place(folder)
        place = self.place(path)
        if place is None:
            return None
        is_hidden = path.startswith(b".") or b"/." in path  # the server's own, such as `.imap`
        return None if is_hidden or name.endswith(b".lock") else place

    def message(
        self, place: Place, path: bytes, *, size_bytes: int, mtime_s: float
    ) -> Message | None:
        """Return the message that a file is; None for what is no message."""
        name = path.rpartition(b"/")[2]
        identity = self.identity(place, name, size_bytes)
        if identity is None:
            return None
        arrived_s = arrival_s(name, mtime_s)
        return Message(path, place.mailbox, place.folder, identity, size_bytes, arrived_s)

    def sized(self, place: Place, files: Sequence[NamedFile]) -> list[Sized]:
        """Return what is counted of the messages in a folder that are among its files.

        As `identity` and `arrival_s` of each; at once, where all have names as servers write them.
        """
        if self.format is _MAILDIR and place.holds_mail and (usual := _usual(files)):
            return usual
        found = [(self.identity(place, name, facts.st_size), name, facts) for name, facts in files]
        return [
            (identity, facts.st_size, arrival_s(name, facts.st_mtime))
            for identity, name, facts in found
            if identity is not None
        ]

    def identified(self, path: bytes, size_bytes: int) -> tuple[Place, bytes] | None:
        """Return the place and the identity of the message that a file is; None for no message."""
        folder, _, name = path.rpartition(b"/")
        place = self.place(folder)
        identity = self.identity(place, name, size_bytes) if place else None
        return (place, identity) if place and identity else None

    def identity(self, place: Place, name: bytes, size_bytes: int) -> bytes | None:
        """Return what the message in a file is known by, wherever it is; None for no message."""
        if not place.holds_mail or name.startswith(b"."):
            return None
        if self.format is _MAILDIR:
            return None if name.startswith(b"dovecot") else b"%s/%d" % (base_name(name), size_bytes)
        if self.format is not _DBOX:
            is_mail = fnmatchcase(name, self.mail_files.encode())
            return b"%s/%d" % (base_name(name), size_bytes) if is_mail else None
        if not _DBOX_FILE.match(name):
            return None
        return b"%s/%s/%d" % (place.folder.encode(), base_name(name), size_bytes)


def _usual(files: Sequence[NamedFile]) -> list[Sized] | None:
    """Return the messages of a Maildir folder; None where a name is not as servers write it."""
    told = _ALL_USUAL.findall(b"/".join([name for name, _ in files]))
    moments = [float(stamp) for _, stamp in told]
    if len(told) != len(files) or not moments:
        return None
    if not _FIRST_S < min(moments) <= max(moments) < _LAST_S:
        return None
    sizes = [facts.st_size for _, facts in files]
    identities = [b"%s/%d" % (name, size) for (name, _), size in zip(told, sizes, strict=True)]
    return list(zip(identities, sizes, moments, strict=True))


def _folder(rest: list[bytes]) -> str:
    steps = [shown(step) for step in rest]
    if steps and steps[0] == "Maildir":
        steps = steps[1:]
    return "/".join(steps) or INBOX


def base_name(name: bytes) -> bytes:
    """Return the part of a Maildir file name that never changes: without flags, `S=` and `W=`."""
    if usual := _USUAL.match(name):
        return usual[1]
    return _STATED.sub(b"", _INFO.sub(b"", name))


def arrival_s(name: bytes, mtime_s: float) -> float:
    """Return when a message came to lie there: as its name says, else as its file does."""
    stamp = name.partition(b".")[0]
    if 9 <= len(stamp) <= 10 and stamp.isdigit() and _FIRST_S < (named_s := float(stamp)) < _LAST_S:
        return named_s
    return sane_moment_s(mtime_s)


def is_in(shard: Shard, mailbox: str, identity: bytes) -> bool:
    """Tell whether a message belongs to a shard; the same in the live store and in every copy."""
    if shard.of == 1:
        return True
    key = mailbox.encode("utf-8", "surrogatepass") + b"\0" + identity
    return int.from_bytes(sha256(key).digest()[:8]) % shard.of == shard.number


@dataclass(slots=True)
class _Sum:
    folders: set[str] = field(default_factory=set)
    messages: int = 0
    size_bytes: int = 0
    newest_s: float = 0
    digest: int = 0

    def count(self, found: Sequence[Sized]) -> None:
        self.messages += len(found)
        self.size_bytes += sum([size_bytes for _, size_bytes, _ in found])
        self.newest_s = max([self.newest_s, *[arrived_s for _, _, arrived_s in found]])
        self.digest += sum([_number(sha256(identity).digest()) for identity, _, _ in found])

    def add(self, other: "_Sum") -> None:
        self.folders |= other.folders
        self.messages += other.messages
        self.size_bytes += other.size_bytes
        self.newest_s = max(self.newest_s, other.newest_s)
        self.digest += other.digest


@dataclass(slots=True)
class Tally:
    """The sums by mailbox while messages go by."""

    _sums: dict[str, _Sum] = field(default_factory=dict)

    def note(self, place: Place) -> None:
        """Count a mailbox that is there, messages in it or none."""
        self._sum(place.mailbox).folders.add(place.folder)

    def add(self, message: Message) -> None:
        """Count a message."""
        one = self._sum(message.mailbox)
        one.folders.add(message.folder)
        one.count(((message.identity, message.size_bytes, message.arrived_s),))

    def add_sized(self, place: Place, found: Sequence[Sized]) -> None:
        """Count messages of one folder."""
        self._sum(place.mailbox).count(found)

    def add_all(self, other: "Tally") -> None:
        """Take in what was counted elsewhere."""
        for mailbox, one in other._sums.items():
            self._sum(mailbox).add(one)

    def _sum(self, mailbox: str) -> _Sum:
        if mailbox not in self._sums:
            self._sums[mailbox] = _Sum()
        return self._sums[mailbox]

    def rows(self) -> tuple[MailboxRow, ...]:
        """Return a row for each mailbox, by name."""
        return tuple(
            MailboxRow(
                name,
                len(one.folders),
                one.messages,
                one.size_bytes,
                one.newest_s,
                f"{one.digest % _WHOLE_DIGEST:064x}",
            )
            for name, one in sorted(self._sums.items())
        )

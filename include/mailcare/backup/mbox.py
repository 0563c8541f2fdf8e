"""Take an mbox apart, a line at a time; how many messages it holds is a range.

A message begins with `From ` after an empty line (or at the beginning) and a date in that line. A
body line may look the same where the writer did not quote it, so the looser count stands beside.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

from mailcare.backup.agent.script import looks_like_mail
from mailcare.backup.mailstore import Place
from mailcare.backup.source import Digest, Fate, Message

_FROM = re.compile(rb"From \S.*\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b.*\b\d\d:\d\d")
_KEPT_BY_SERVER = re.compile(
    rb"(?i)^(status|x-status|x-uid|x-uidl|x-keywords|x-imap|x-imapbase|content-length):"
)
_LINE_LIMIT_BYTES = 1024 * 1024
HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of an mbox; `identity` is its digest without what servers write into it.

    Its text is what stands from byte `starts` up to `ends` of the file, blank lines behind it left
    out.
    """

    number: int
    starts: int
    ends: int
    identity: bytes
    size_bytes: int
    dated_s: float | None
    looks_like_mail: bool


def settled(text: bytes) -> bytes:
    """Return what a message is known by: with LF, without what servers write into its head."""
    head, blank, body = text.replace(b"\r\n", b"\n").partition(b"\n\n")
    fields = re.split(rb"(?<=\n)(?![ \t])", head + blank[:1])
    kept = b"".join(one for one in fields if not _KEPT_BY_SERVER.match(one))
    return kept + blank[1:] + body


class Splitter:
    """Cuts an mbox into messages while its blocks go by.

    `least` and `most` are how many there are; `begins_well` whether the file began as it should.
    """

    def __init__(self) -> None:
        self.least = self.most = 0
        self.begins_well = True
        self._rest = b""
        self._offset = 0
        self._after_blank = True
        self._current: _Current | None = None

    def add(self, block: bytes) -> Iterator[Piece]:
        """Take the next block; yield the messages that end in it."""
        *whole, self._rest = (self._rest + block).split(b"\n")
        for line in whole:
            yield from self._line(line + b"\n")
        if len(self._rest) > _LINE_LIMIT_BYTES:
            line, self._rest = self._rest, b""
            yield from self._line(line)

    def end(self) -> Iterator[Piece]:
        """Yield the last message."""
        if self._rest:
            yield from self._line(self._rest)
        if self._current:
            yield self._current.piece(self._offset)

    def oddity(self) -> str:
        """Say what is odd about the file; empty where nothing is."""
        if not self.begins_well:
            return "不以 From 行开头，不是完整的 mbox"
        if self.most != self.least:
            return f"邮件数在 {self.least} 与 {self.most} 之间（正文中有 From 行）"
        return ""

    def _line(self, line: bytes) -> Iterator[Piece]:
        looks_new = self._after_blank and line.startswith(b"From ")
        self.most += looks_new
        if looks_new and _FROM.match(line):
            if self._current:
                yield self._current.piece(self._offset)
            self._current = _Current(line, self.least, self._offset + len(line))
            self.least += 1
        elif self._current is None:
            self.begins_well = self.begins_well and not line.strip()
        else:
            self._current.add(line)
        self._after_blank = not line.strip(b"\r\n")
        self._offset += len(line)


class _Current:
    """The message that is being read; blank lines at its end are no part of it."""

    def __init__(self, from_line: bytes, number: int, starts: int) -> None:
        self._from_line, self._number, self._starts = from_line, number, starts
        self._same = hashlib.sha256()
        self._blank: list[bytes] = []
        self._is_head, self._size, self._head = True, 0, b""
        self._skips = False

    def add(self, line: bytes) -> None:
        if not line.strip(b"\r\n"):
            self._is_head = False
            self._blank.append(line)
            return
        for one in (*self._blank, line):
            self._take(one)
        self._blank.clear()

    def _take(self, line: bytes) -> None:
        self._size += len(line)
        if len(self._head) < HEAD_BYTES:
            self._head += line
        if self._is_head:
            is_folded = line[:1] in (b" ", b"\t")
            self._skips = self._skips if is_folded else bool(_KEPT_BY_SERVER.match(line))
        if not (self._is_head and self._skips):
            self._same.update(line.replace(b"\r\n", b"\n"))

    def piece(self, ends: int) -> Piece:
        return Piece(
            self._number,
            self._starts,
            ends,
            self._same.digest(),
            self._size,
            dated_s(self._from_line),
            looks_like_mail(self._head[:HEAD_BYTES]),
        )


def dated_s(from_line: bytes) -> float | None:
    """Return the moment in a `From ` line in seconds since 1970; None where there is none."""
    words = from_line.decode("latin-1").split()[2:]
    try:
        day, month, number, clock, year = words[:5]
        return parsedate_to_datetime(f"{day}, {number} {month} {year} {clock} +0000").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def mbox_message(path: bytes, place: Place, piece: Piece) -> Message:
    """Return the message that a piece of an mbox is."""
    key = b"%s#%d" % (path, piece.number)
    return Message(
        key, place.mailbox, place.folder, piece.identity, piece.size_bytes, piece.dated_s or 0
    )


def mbox_digest(path: bytes, place: Place, piece: Piece) -> Digest:
    """Return how a message of an mbox was read."""
    problem = "" if piece.size_bytes else "空邮件"
    return Digest(
        b"%s#%d" % (path, piece.number),
        place.mailbox,
        piece.identity,
        piece.size_bytes,
        piece.identity.hex(),
        piece.looks_like_mail,
        problem,
        Fate.BAD if problem else Fate.OK,
    )


def cut(path: Path, piece: Piece) -> bytes:
    """Return the text of a message of an mbox file, as its identity is the digest of."""
    with path.open("rb") as file:
        file.seek(piece.starts)
        text = file.read(piece.ends - piece.starts)
    bare = text.rstrip(b"\r\n")
    return settled(bare + b"\n" if len(bare) < len(text) else bare)

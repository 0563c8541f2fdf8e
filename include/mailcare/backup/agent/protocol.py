"""Read what the agent streams: JSON lines that end in a trailer, or that were cut off."""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mailcare.backup.agent.script import DYING
from mailcare.backup.agent.tar import Kind, Member

VERSION = 1
_LINE_LIMIT_BYTES = 4 * 1024 * 1024


class CutOff(Exception):
    """The stream ended before its trailer, or cannot be trusted; its text says why."""


@dataclass(frozen=True, slots=True)
class Header:
    """The agent has begun: on which host, with which Python, at what time by the host's clock."""

    host: str
    python: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a listing; `time` is a number or a text, as the tool tells it.

    `link` names the path of which this one is another name, where the listing knows that.
    """

    name: bytes
    size_bytes: int
    time: float | str
    inode: int = 0
    link: bytes | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with its regular files; a large one comes in several records.

    `written_s` is when the newest of its files was written there, whatever time it carries.
    """

    path: bytes
    files: tuple[Entry, ...]
    is_last: bool = True
    written_s: float = 0


@dataclass(frozen=True, slots=True)
class FileDigest:
    """A file that was read to its end; `has_changed` twice while it was read."""

    path: bytes
    sha256: str
    size_bytes: int
    looks_like_mail: bool
    has_changed: bool
    is_packed: bool
    is_sealed: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file's content, in order."""

    path: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Whole:
    """All pieces of a file have come."""

    path: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A file that is another name of `to`."""

    path: bytes
    to: bytes


_WHY = {
    "gone": "读取期间消失",
    "unreadable": "无法读取",
    "alarm": DYING,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that was not read: `gone`, `unreadable`, or an `alarm` of a dying disk."""

    what: str
    path: bytes
    text: str

    def __post_init__(self) -> None:
        """Refuse a word that means nothing here."""
        if self.what not in _WHY:
            raise ValueError(self.what)

    @property
    def told(self) -> str:
        """Return what happened, for people."""
        return f"{_WHY[self.what]}（{self.text}）"


@dataclass(frozen=True, slots=True)
class Special:
    """Something that is neither file nor folder."""

    path: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class Place:
    """What a look at a path found; `flags` is None where the file system does not tell.

    `identity` is device and inode, `boot` what its machine's kernel is known by (empty where that
    is not told), `system` and `source` kind and source of the file system.
    """

    path: bytes
    identity: tuple[int, ...]
    is_folder: bool
    size_bytes: int
    changed_s: float
    is_read_only: bool
    free_bytes: int
    flags: tuple[str, ...] | None
    boot: str
    system: str
    source: str


class Inode(NamedTuple):
    """A file by device and inode: two names of the same are one file."""

    device: int
    number: int
    path: bytes


@dataclass(frozen=True, slots=True)
class Inodes:
    """Some files by device and inode."""

    rows: tuple[Inode, ...]


@dataclass(frozen=True, slots=True)
class FileState:
    """What a file is told from a later one of its name by: inode, size, time."""

    path: bytes
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Hashed:
    """What a member's content is in short, as far as it was read."""

    sha256: str
    size_bytes: int
    is_mail: bool
    is_zeros: bool
    is_packed: bool
    is_sealed: bool


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member of an archive; `content` is None where it was not to be read."""

    member: Member
    content: Hashed | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Members:
    """Some members of an archive, in order."""

    rows: tuple[MemberRow, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a pass over an archive ended: `errno` or `text` say what stopped it before its end."""

    method: str
    oddities: tuple[tuple[bytes, str], ...]
    errno: int
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a tool's standard output."""

    text: str


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """A line of a tool's standard error."""

    text: str


@dataclass(frozen=True, slots=True)
class Exit:
    """A tool has ended."""

    code: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """The agent could not do the job; `code` is one of those of `NotReached`."""

    code: str
    text: str


Record = (
    Header
    | Folder
    | FileDigest
    | Piece
    | Whole
    | Link
    | Problem
    | Special
    | Place
    | Inodes
    | FileState
    | Members
    | Ended
    | Line
    | ErrorLine
    | Exit
    | Refusal
)


@dataclass(slots=True)
class Reader:
    """Turns the bytes of a stream into records, and says whether it was whole."""

    counters: Mapping[str, float] | None = None
    _rest: bytes = b""
    _lines: int = 0
    _digest: Any = field(default_factory=hashlib.sha256)

    def feed(self, data: bytes) -> Iterator[Record]:
        """Yield the records that are complete by now; raise `CutOff` for what is no record."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LINE_LIMIT_BYTES:
            raise CutOff("一行超过上限")
        for line in lines:
            yield from self._take(line)

    def _take(self, line: bytes) -> Iterator[Record]:
        if self.counters is not None:
            raise CutOff("结束记录之后还有内容")
        try:
            values = json.loads(line)
            kind = values.pop("kind")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CutOff(f"不是代理程序的输出：{_excerpt(line)}") from None
        if kind == "trailer":
            self._finish(values)
            return
        self._digest.update(line + b"\n")
        self._lines += 1
        if kind != "heartbeat":
            yield self._record(kind, values)

    def _record(self, kind: str, values: dict[str, Any]) -> Record:
        if kind == "header" and values["version"] != VERSION:
            raise CutOff(f"代理程序版本为 {values['version']}，应为 {VERSION}")
        try:
            return _RECORDS[kind](values)
        except (KeyError, TypeError, ValueError):
            raise CutOff(f"代理程序的记录无法识别：{kind}") from None

    def _finish(self, values: dict[str, Any]) -> None:
        ours = (self._lines, self._digest.hexdigest())
        if (values.get("records"), values.get("sha256")) != ours:
            raise CutOff("记录数或校验和与结束记录不符")
        self.counters = values["counters"]

    def finish(self) -> None:
        """Raise `CutOff` where the stream has ended without its trailer."""
        if self.counters is None:
            said = f"，主机回答：{_excerpt(self._rest)}" if self._rest and not self._lines else ""
            raise CutOff(f"输出没有结束记录，不完整{said}")


def _excerpt(line: bytes) -> str:
    text = line.decode("utf-8", "backslashreplace").strip()[:100]
    return text if text.isprintable() else ascii(text)


def _entry(row: list[Any]) -> Entry:
    name, size_bytes, time, *more = row
    last = more[0] if more else None
    if isinstance(last, str):
        return Entry(_bytes(name), size_bytes, time, link=last.encode("utf-8", "surrogateescape"))
    return Entry(_bytes(name), size_bytes, time, inode=last or 0)


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _member(
    path: str, kind: str, size: int, stored: int, mtime_s: float, link: str, *read: Any
) -> MemberRow:
    member = Member(_bytes(path), Kind(kind), size, stored, mtime_s, _bytes(link))
    return MemberRow(member, Hashed(*read[:6]), read[6]) if read else MemberRow(member)


_RECORDS = {
    "header": lambda v: Header(v["host"], v["python"], v["at"]),
    "folder": lambda v: Folder(
        _bytes(v["path"]), tuple(_entry(row) for row in v["files"]), v["last"], v["written"]
    ),
    "digest": lambda v: FileDigest(
        _bytes(v["path"]),
        v["sha256"],
        v["size"],
        v["mail"],
        v["changed"],
        v["packed"],
        v["sealed"],
    ),
    "piece": lambda v: Piece(_bytes(v["path"]), _bytes(v["data"])),
    "whole": lambda v: Whole(_bytes(v["path"])),
    "link": lambda v: Link(_bytes(v["path"]), _bytes(v["to"])),
    "problem": lambda v: Problem(v["what"], _bytes(v["path"]), v["text"]),
    "special": lambda v: Special(_bytes(v["path"]), v["mode"]),
    "place": lambda v: Place(
        _bytes(v["path"]),
        tuple(v["identity"]),
        v["is_folder"],
        v["size"],
        v["mtime"],
        v["read_only"],
        v["free_bytes"],
        None if v["flags"] is None else tuple(v["flags"]),
        v["boot"],
        *(os.fsdecode(_bytes(word)) for word in v["system"]),
    ),
    "inodes": lambda v: Inodes(
        tuple(Inode(device, number, _bytes(path)) for device, number, path in v["rows"])
    ),
    "state": lambda v: FileState(_bytes(v["path"]), tuple(v["values"])),
    "members": lambda v: Members(tuple(_member(*row) for row in v["rows"])),
    "ended": lambda v: Ended(
        v["method"],
        tuple((_bytes(path), what) for path, what in v["oddities"]),
        v["errno"],
        v["text"],
    ),
    "line": lambda v: Line(v["text"]),
    "error": lambda v: ErrorLine(v["text"]),
    "exit": lambda v: Exit(v["code"]),
    "refused": lambda v: Refusal(v["code"], v["text"]),
}

"""Read the collector's output: from a connection as it streams, or from a file sent back.

One host's output is a `begin` line, a framed reply for each ask, and an `end` line that proves
that nothing is missing. A login banner may stand before it, several hosts may follow one another,
mail clients may have changed the line ends. No bytes make the reader fail; a frame whose length
does not hold is damaged, never half believed.
"""

import codecs
import gzip
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise

from mailcare.errors import InputError
from mailcare.inspection.check import NEVER_AT, Answer, Ask, Channel, NoReply, Reply
from mailcare.inspection.collect.script import ask_key
from mailcare.inspection.planning import by_node
from mailcare.systems.site import Node
from mailcare.systems.system import System

NOT_LOGGED_IN = "离线采集结果，本次未登录主机"
BROKEN_OFF = "采集中断，回复不完整"
DAMAGED = "这一项回复在传递中被改动，长度不符；请压缩后重新交回"
NOT_ASKED = "采集脚本中没有这一项，请用新脚本重新采集"
NO_OUTPUT = "没有采集脚本的输出"

UNPACKED_LIMIT_BYTES = 64 * 1024 * 1024
_ARCHIVE_ERRORS = (
    *(OSError, EOFError, ValueError, NotImplementedError),
    *(zlib.error, zipfile.BadZipFile, struct.error),
)

_MARK = b"==mailcare:1:"
_LINE = re.compile(rb"^==mailcare:1:(begin|reply|end)== (\S+) (\S+) (\S+)\r?\n", re.MULTILINE)
_BEGIN = re.compile(rb"^==mailcare:1:begin== ", re.MULTILINE)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Neither a database nor a terminal takes these as text; tabs and line ends are no trouble.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127) if chr(code) not in "\t\n\r"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One command's answer, as it came."""

    key: str
    exit_code: int
    body: bytes


@dataclass(slots=True)
class FrameStream:
    """Take bytes as they come, give each frame as soon as it is whole.

    `host` and `started_at` are the host's own words in the `begin` line, empty and None before it.
    """

    host: str = ""
    started_at: datetime | None = None
    has_begun: bool = False
    has_ended: bool = False
    damaged: set[str] = field(default_factory=set)
    _buffer: bytearray = field(default_factory=bytearray)
    _at: int = 0  # the buffer is read up to here

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that these bytes complete."""
        self._buffer += data
        return self._cut(at_end=False)

    def finish(self) -> list[Frame]:
        """Return what stands behind a damaged frame, once nothing more can come."""
        return self._cut(at_end=True)

    def _cut(self, *, at_end: bool) -> list[Frame]:
        frames = list(self._frames(at_end=at_end))
        del self._buffer[: self._at]
        self._at = 0
        return frames

    def _frames(self, *, at_end: bool) -> Iterator[Frame]:
        while line := _LINE.search(self._buffer, self._at):
            kind, first, second, third = line.groups()
            if kind != b"reply":
                self._note(kind, first, third)
                self._at = line.end()
                continue
            frame_end = line.end() + _number(third)
            if len(self._buffer) <= frame_end and not (at_end and self._goes_on(line.end())):
                self._at = line.start()
                return
            key, code = _ascii(first), _exit_code(second)
            if code is not None and self._ends_at(frame_end):
                yield Frame(key, code, bytes(self._buffer[line.end() : frame_end]))
                self._at = frame_end + 1
            else:
                self.damaged.add(key)
                self._at = line.end()
        self._drop_noise()

    def _note(self, kind: bytes, moment: bytes, name: bytes) -> None:
        if kind == b"end":
            self.has_ended = True
            return
        self.has_begun = True
        self.host = _ascii(name)
        self.started_at = _moment(moment)

    def _goes_on(self, start: int) -> bool:
        return _LINE.search(self._buffer, start) is not None

    def _ends_at(self, position: int) -> bool:
        tail = self._buffer[position + 1 : position + 1 + len(_MARK)]
        return self._buffer[position : position + 1] == b"\n" and _MARK.startswith(tail)

    def _drop_noise(self) -> None:
        # Only the last, unfinished line can still become one of ours, and ours are short.
        whole = len(self._buffer)
        last = max(self._at, self._buffer.rfind(b"\n", self._at) + 1)
        self._at = last if whole - last <= 1024 else whole - 1


def _number(word: bytes) -> int:
    return int(word) if word.isdigit() and len(word) < 12 else 0


def _exit_code(word: bytes) -> int | None:
    code = int(word) if word.isdigit() and len(word) < 4 else 256
    return code if code < 256 else None


def _ascii(word: bytes) -> str:
    return word.decode("ascii", "backslashreplace")


def _moment(word: bytes) -> datetime | None:
    seconds = _number(word)
    return datetime.fromtimestamp(seconds, UTC) if 10**9 < seconds < 4 * 10**9 else None


def decode(body: bytes) -> str:
    """Return the text of an answer: UTF-8, else GB18030, else with escapes for what is neither."""
    for charset in ("utf-8", "gb18030"):
        try:
            return body.decode(charset).translate(_CONTROLS)
        except UnicodeDecodeError:
            continue
    return body.decode("utf-8", "backslashreplace").translate(_CONTROLS)


def to_reply(frame: Frame, *, source: str, taken_at: datetime) -> Reply:
    """Return a frame as a reply."""
    return Reply(decode(frame.body), frame.exit_code, taken_at, source)


def keyed(asks: Iterable[Ask]) -> dict[str, list[Ask]]:
    """Group the asks that a collector answers by the key of their frames."""
    groups: dict[str, list[Ask]] = {}
    for ask in asks:
        if ask.channel is Channel.SSH and ask.words:
            groups.setdefault(ask_key(ask), []).append(ask)
    return groups


def why_missing(stream: FrameStream, key: str) -> str:
    """Say why a collector's output holds no reply for a key."""
    if key in stream.damaged:
        return DAMAGED
    if not stream.has_begun:
        return NO_OUTPUT
    return NOT_ASKED if stream.has_ended else BROKEN_OFF


@dataclass(frozen=True, slots=True)
class Output:
    """One host's output, read to its end: the frames by their keys."""

    stream: FrameStream
    frames: Mapping[str, Frame]


def read_output(data: bytes) -> Output:
    """Read one host's output."""
    stream = FrameStream()
    frames = {frame.key: frame for frame in (*stream.feed(restore(data)), *stream.finish())}
    return Output(stream, frames)


def read_frames(
    output: Output, asks: Iterable[Ask], *, source: str, taken_at: datetime
) -> dict[Ask, Answer]:
    """Return an answer to every ask from one host's output."""
    return {ask: _answer(ask, output, source=source, taken_at=taken_at) for ask in asks}


def _answer(ask: Ask, output: Output, *, source: str, taken_at: datetime) -> Answer:
    if not ask.words:
        return NoReply(NOT_LOGGED_IN, taken_at, source, permanent=True)
    key = ask_key(ask)
    if key in output.frames:
        return to_reply(output.frames[key], source=source, taken_at=taken_at)
    return NoReply(why_missing(output.stream, key), taken_at, source, permanent=True)


def unpacked(data: bytes) -> bytes:
    """Return what a gzip file or a zip of one file holds, any other data as they are.

    Raise `InputError` for an archive that is damaged, of several files, or over the limit.
    """
    try:
        if data.startswith(b"\x1f\x8b"):
            content = gzip.GzipFile(fileobj=BytesIO(data)).read(UNPACKED_LIMIT_BYTES + 1)
        elif data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            content = _only_file(data)
        else:
            return data
    except _ARCHIVE_ERRORS as error:
        raise InputError(f"压缩文件不完整或已损坏（{error}），请重新压缩后交回") from None
    if len(content) > UNPACKED_LIMIT_BYTES:
        raise InputError(f"解压后超过 {UNPACKED_LIMIT_BYTES // 1024 // 1024} MiB")
    return content


def _only_file(data: bytes) -> bytes:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        # macOS adds a folder of its own to every zip.
        files = [
            one
            for one in archive.infolist()
            if not one.filename.startswith("__MACOSX/") and not one.filename.endswith("/")
        ]
        if len(files) != 1:
            raise InputError(f"压缩文件中应只有一个文件，实有 {len(files)} 个")
        if files[0].flag_bits & 1:
            raise InputError("压缩文件设有口令，请不设口令重新压缩后交回")
        # The other methods unpack without a bound.
        if files[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError("不支持这种压缩方式，请用普通 zip 或 gzip 重新压缩后交回")
        with archive.open(files[0]) as file:
            return file.read(UNPACKED_LIMIT_BYTES + 1)


def restore(data: bytes) -> bytes:
    """Undo what Windows programs do to a file of text: byte order marks, UTF-16, CR LF."""
    for mark, charset in _BOMS:
        if data.startswith(mark):
            data = data.decode(charset, "replace").encode()
            break
    begin = _LINE.search(data)
    # Our own lines end in LF alone: a CR LF there means that all line ends were changed.
    return data.replace(b"\r\n", b"\n") if begin and begin[0].endswith(b"\r\n") else data


def looks_framed(data: bytes) -> bool:
    """Tell whether a file holds the collector's output."""
    return _BEGIN.search(restore(data)) is not None


def hosts_in(data: bytes) -> dict[str, Output]:
    """Read the outputs of a file's hosts, by the name that each host gives itself.

    Of two outputs of one host the later is returned.
    """
    whole = restore(data)
    starts = [found.start() for found in _BEGIN.finditer(whole)]
    parts = (whole[one:two] for one, two in pairwise([*starts, len(whole)]))
    return {output.stream.host: output for output in map(read_output, parts)}


def read_bundle(
    data: bytes, asks: Iterable[Ask], system: System, *, source: str
) -> dict[Ask, Answer]:
    """Return an answer to every SSH ask from what a customer sent back.

    The outputs are matched to the system's hosts by name; a file with one host's output fits a
    system of one host whatever its name. The moment of a reply is the start of the collection by
    the host's own clock.
    """
    outputs = hosts_in(data)
    names = _match(list(outputs), system.site.nodes)
    answers: dict[Ask, Answer] = {}
    for node, group in by_node(asks).items():
        if node in names:
            answers |= _told(outputs[names[node]], group, source=f"{source}#{names[node]}")
        else:
            answers |= _unanswered(group, _no_host(node, outputs), source)
    return answers


def _match(hosts: Sequence[str], nodes: Sequence[Node]) -> dict[str, str]:
    """Return the output's host name for each node that has one."""
    if len(hosts) == len(nodes) == 1:
        return {nodes[0].name: hosts[0]}
    found: dict[str, str] = {}
    for host in hosts:
        fits = [node for node in nodes if host.lower() in _names(node)]
        fits = fits or [node for node in nodes if _label(host) in map(_label, _names(node))]
        if len(fits) == 1:
            found.setdefault(fits[0].name, host)
    return found


def _names(node: Node) -> tuple[str, str]:
    return node.name.lower(), node.hostname.lower().rstrip(".")


def _label(host: str) -> str:
    return host.lower().partition(".")[0]


def _no_host(node: str, hosts: Iterable[str]) -> str:
    found = "、".join(sorted(hosts)) or "无"
    return f"交回的文件中没有主机 {node} 的采集结果（文件中的主机：{found}）"


def _told(output: Output, asks: Iterable[Ask], *, source: str) -> dict[Ask, Answer]:
    started_at = output.stream.started_at
    if started_at is None:
        return _unanswered(asks, "采集结果缺少开始时间，无法判读", source)
    return read_frames(output, asks, source=source, taken_at=started_at)


def _unanswered(asks: Iterable[Ask], reason: str, source: str) -> dict[Ask, Answer]:
    return {ask: NoReply(reason, NEVER_AT, source, permanent=True) for ask in asks}

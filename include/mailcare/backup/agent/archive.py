"""The agent's part for archives: read where they lie, by the readers that read them at home too.

It is sent after `agent.script`, with the readers that it imports; Python 3.6, the standard library,
and for zstd the host's own tool. A packed stream has no places to jump to: after a cut it is read
anew over there, and what was told before is passed by.
"""

import hashlib
import os
import stat
from contextlib import closing
from typing import IO, Any, Dict, Iterator, List, Tuple

from mailcare.backup.agent.packed import Broken, GzipStream, PlainStream, TooMuch
from mailcare.backup.agent.script import (
    FILES_A_RECORD,
    HEAD_BYTES,
    LONG_HEAD_BYTES,
    PIECE_BYTES,
    TASKS,
    Pace,
    Refused,
    Stream,
    b64,
    is_packed,
    is_sealed,
    looks_like_mail,
    open_quietly,
    say_state,
    unb64,
)
from mailcare.backup.agent.tar import Kind, Member, MemberDamage, TarDamage, TarStream
from mailcare.backup.agent.zips import ZipWalk
from mailcare.backup.agent.zstd import ZstdToolStream

TEXT_A_RECORD = 1024 * 1024
NOT_THERE = "备份中没有这封邮件"
STREAMS = {"tar": PlainStream, "tar.gz": GzipStream, "tar.zst": ZstdToolStream}


class Content:
    """Hashes a file and looks at its beginning; nearly every one comes in one piece."""

    size_bytes = 0
    is_mail = False
    is_zeros = True
    _digest = None  # type: Any
    _head = b""

    def take(self, piece: memoryview) -> None:
        """Take a piece of the content."""
        if self._digest is None:
            self._digest = hashlib.sha256(piece)
            self.is_mail = looks_like_mail(piece[:HEAD_BYTES])
            self.is_zeros = not self.is_mail
        else:
            self._digest.update(piece)
        self.size_bytes += len(piece)
        if not self.is_mail:
            self._look(piece)

    def _look(self, piece: memoryview) -> None:
        """Look further for what every mail begins with, and for anything but zeros."""
        if len(self._head) < LONG_HEAD_BYTES:
            self._head += bytes(piece[: LONG_HEAD_BYTES - len(self._head)])
            self.is_mail = looks_like_mail(self._head)
        self.is_zeros = self.is_zeros and not bytes(piece).strip(b"\0")

    @property
    def is_packed(self) -> bool:
        """Tell whether it is a message that its server keeps compressed."""
        return is_packed(self._head)

    @property
    def is_sealed(self) -> bool:
        """Tell whether it is a message that nobody but its server opens."""
        return is_sealed(self._head)

    def sha256(self) -> str:
        """Return the SHA-256 of what came, in hex."""
        return (self._digest or hashlib.sha256()).hexdigest()


class Rows:
    """Tells of members in batches that fit a line."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._rows: List[list] = []
        self._length = 0

    def add(self, number: int, row: list) -> None:
        """Add the row of the member with that number."""
        self._rows.append(row)
        self._length += len(row[0]) + len(row[5])
        if len(self._rows) == FILES_A_RECORD or self._length > TEXT_A_RECORD:
            self.flush()
            self._stream.cursor = str(number)

    def flush(self) -> None:
        """Tell of what has not been told."""
        if self._rows:
            self._stream.say("members", rows=self._rows)
            self._stream.count("files", len(self._rows))
        self._rows, self._length = [], 0


def opened(path: bytes) -> IO[bytes]:
    """Open an archive; what is no file is refused."""
    file = os.fdopen(open_quietly(path), "rb")
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise Refused("unreadable", "%s 不是普通文件" % os.fsdecode(path))


def walk_of(kind: str, file: Any, pace: Pace) -> Any:
    """Begin a pass over the members of an archive."""
    return ZipWalk(file, pace) if kind == "zip" else TarStream(STREAMS[kind](file, pace))


def task_archive(job: Dict[str, Any], stream: Stream, pace: Pace) -> None:
    """Go through an archive to its end: a row for each member, hashed where the job says so."""
    with opened(os.fsencode(job["path"])) as file:
        say_state("", os.fstat(file.fileno()), stream)
        stream.say("ended", **gone_through(job, file, pace, stream))
        forget(file)


def gone_through(job: Dict[str, Any], file: Any, pace: Pace, stream: Stream) -> Dict[str, Any]:
    """Tell of every member behind the cursor; return how the pass ended."""
    rows = Rows(stream)
    ending: Dict[str, Any] = {"method": "", "oddities": [], "errno": 0, "text": ""}
    try:
        with closing(walk_of(job["kind"], file, pace)) as walk:
            try:
                for number, member in enumerate(walk, 1):
                    if number > job["after"]:
                        rows.add(number, row_of(member, walk, is_hashed=job["hashed"]))
            finally:
                ending["method"] = walk.method
                ending["oddities"] = [[b64(path), what] for path, what in walk.oddities]
    except (Broken, TooMuch, TarDamage) as error:
        ending["text"] = str(error)
    except OSError as error:
        ending["errno"] = error.errno or -1
    rows.flush()
    return ending


def row_of(member: Member, walk: Any, is_hashed: bool) -> list:
    """Return what is told of a member; a hashed one was read to its end, or says why not."""
    row = [b64(member.path), member.kind.value, member.size_bytes, member.stored_bytes]
    row += [member.mtime_s, b64(member.link)]
    if not is_hashed or member.kind is not Kind.FILE:
        return row
    content, problem = Content(), ""
    try:
        walk.take(member, content)
    except MemberDamage as error:
        problem = str(error)
    facts = [
        content.sha256(),
        content.size_bytes,
        content.is_mail,
        content.is_zeros,
        content.is_packed,
        content.is_sealed,
        problem,
    ]
    return row + facts


def forget(file: IO[bytes]) -> None:
    """Let the cache forget a file."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Sender:
    """Sends the content of a member, from byte `first` on, in pieces small enough for a line."""

    def __init__(self, name: str, stream: Stream, first: int) -> None:
        self._name, self._stream, self._left_out = name, stream, first

    def take(self, piece: memoryview) -> None:
        """Send a piece."""
        known = min(self._left_out, len(piece))
        self._left_out -= known
        piece = piece[known:]
        for first in range(0, len(piece), PIECE_BYTES):
            data = b64(bytes(piece[first : first + PIECE_BYTES]))
            self._stream.say("piece", path=self._name, data=data)
        self._stream.count("bytes", len(piece))


def task_members(job: Dict[str, Any], stream: Stream, pace: Pace) -> None:
    """Send the wanted members of an archive whole, and stop behind the last of them.

    The first of them is sent from byte `first` on.
    """
    wanted, text = dict(job["keys"]), NOT_THERE  # what to call them, by their paths
    with opened(os.fsencode(job["path"])) as file:
        say_state("", os.fstat(file.fileno()), stream)
        try:
            with closing(walk_of(job["kind"], file, pace)) as walk:
                send_wanted(walk, wanted, job["first"], stream)
        except (Broken, TooMuch, TarDamage) as error:
            text = str(error)
        except OSError as error:
            for name in wanted.values():
                stream.problem(unb64(name), error)
            return
        forget(file)
    for name in wanted.values():
        stream.say("problem", what="unreadable", path=name, text=text)


def send_wanted(walk: Any, wanted: Dict[str, str], first: int, stream: Stream) -> None:
    """Send the wanted members, the first of them from that byte on."""
    for member, name in wanted_of(walk, wanted):
        send(member, name, walk, Sender(name, stream, first), stream)
        first = 0


def wanted_of(walk: Any, wanted: Dict[str, str]) -> Iterator[Tuple[Member, str]]:
    """Yield the wanted files; what was sent whole is wanted no longer."""
    for member in walk:
        path = plain(member.path)
        if member.kind is Kind.FILE and path in wanted:
            yield member, wanted[path]
            del wanted[path]
            if not wanted:
                return


def plain(path: bytes) -> str:
    """Return the path of a member without empty steps and dots."""
    return b64(b"/".join(step for step in path.split(b"/") if step not in (b"", b".")))


def send(member: Member, name: str, walk: Any, sender: Sender, stream: Stream) -> None:
    """Send a member; a damaged one is a problem."""
    try:
        walk.take(member, sender)
    except MemberDamage as error:
        stream.say("problem", what="unreadable", path=name, text=str(error))
    else:
        stream.say("whole", path=name)
        stream.count("files")


TASKS["archive"] = task_archive
TASKS["members"] = task_members

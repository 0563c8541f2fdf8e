"""The members of an archive of this machine; what its stream raises is told in `agent.packed`."""

import os
import stat
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import zstandard
from isal import isal_zlib

from mailcare.backup.agent.packed import (
    BLOCK_BYTES,
    Broken,
    GzipStream,
    PlainStream,
    need_resources,
)
from mailcare.backup.agent.script import Pace, Refused
from mailcare.backup.agent.tar import TarStream
from mailcare.backup.agent.zips import ZipWalk
from mailcare.backup.agent.zstd import ZstdStream
from mailcare.backup.files import not_reached
from mailcare.backup.source import NotReached
from mailcare.systems.copies import CopyKind

UNPACED = Pace(0)
BLOCKS_AHEAD = 3
_WINDOW_MOST_BYTES = 1 << 31  # as `zstd --long=31` packs
_STEP_BYTES = 512  # less than that is lost before a damage


class FastGzipStream(GzipStream):
    """A gzip file, unpacked in half of the time."""

    library = isal_zlib


class FastZstdStream(ZstdStream):
    """A zstd file, unpacked without a tool and its pipe; what precedes a damage comes before it."""

    def __init__(self, file: IO[bytes], pace: Pace) -> None:
        super().__init__(file, pace)
        self._unpacker = unpacker(file)
        self._damage: Broken | None = None

    def block(self) -> bytes:
        """Return what comes next; empty at the end."""
        if self._damage:
            raise self._damage
        try:
            data = self.counted(self._unpacker.read(BLOCK_BYTES))
        except zstandard.ZstdError as error:
            need_resources(str(error))
            data = self.counted(self._before_damage())
            self._damage = self.damaged(str(error).rpartition(": ")[2])
            if not data:
                raise self._damage from None
        if not data and self._position() != self._frames.ended:
            raise self.broken("zstd 数据提前结束，归档不完整")
        return data

    def _before_damage(self) -> bytes:
        """Return what the call that met the damage had unpacked before it, by beginning anew."""
        given, found = self._out, bytearray()
        self._file.seek(0)
        self._unpacker = unpacker(self._file)
        with suppress(zstandard.ZstdError):
            while given and (data := self._unpacker.read(min(given, BLOCK_BYTES))):
                given -= len(data)
            while len(found) < BLOCK_BYTES and (data := self._unpacker.read(_STEP_BYTES)):
                found += data
        return bytes(found)


def unpacker(file: IO[bytes]) -> zstandard.ZstdDecompressionReader:
    """Return what unpacks all frames of a file."""
    frames = zstandard.ZstdDecompressor(max_window_size=_WINDOW_MOST_BYTES)
    return frames.stream_reader(file, BLOCK_BYTES, read_across_frames=True, closefd=False)


ArchiveStream = PlainStream | FastGzipStream | FastZstdStream


class Ahead:
    """A stream that is read, and unpacked, in a thread while what came before it is hashed."""

    def __init__(self, stream: ArchiveStream) -> None:
        self._stream, self._thread = stream, ThreadPoolExecutor(1)
        self._coming = deque(self._thread.submit(stream.block) for _ in range(BLOCKS_AHEAD))

    @property
    def method(self) -> str:
        """Return the name of the stream's checksum; empty where it has none."""
        return self._stream.method

    def block(self) -> bytes:
        """Return what comes next; empty at the end."""
        self._coming.append(self._thread.submit(self._stream.block))
        return self._coming.popleft().result()

    def close(self) -> None:
        """Read no further."""
        self._thread.shutdown(cancel_futures=True)
        self._stream.close()


_STREAMS: dict[CopyKind, type[ArchiveStream]] = {
    CopyKind.TAR: PlainStream,
    CopyKind.TAR_GZ: FastGzipStream,
    CopyKind.TAR_ZST: FastZstdStream,
}


@contextmanager
def not_refused(path: Path) -> Iterator[None]:
    """Raise `NotReached` for what the agent's readers refuse."""
    try:
        yield
    except Refused as refusal:
        raise NotReached(refusal.code, str(refusal), subject=str(path)) from None


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open an archive; raise `NotReached` where it or a tool that reads it cannot be opened."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise not_reached(error, path) from None
    with os.fdopen(handle, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotReached("unreadable", "不是普通文件", subject=str(path))
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        with not_refused(path):
            yield file


def walk_of(file: IO[bytes], kind: CopyKind) -> TarStream | ZipWalk:
    """Begin a pass over the members of an archive's file."""
    if kind is CopyKind.ZIP:
        return ZipWalk(file, UNPACED)
    return TarStream(Ahead(_STREAMS[kind](file, UNPACED)))

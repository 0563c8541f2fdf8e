"""An archive of this machine as a stream; what it raises is told in `agent.packed`."""

import os
import stat
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from isal import isal_zlib

from mailcare.backup.agent.packed import GzipStream, PlainStream
from mailcare.backup.agent.script import Pace, Refused
from mailcare.backup.agent.zstd import ZstdStream
from mailcare.backup.files import not_reached
from mailcare.backup.source import NotReached
from mailcare.systems.copies import CopyKind

UNPACED = Pace(0)
BLOCKS_AHEAD = 3


class AheadStream(PlainStream):
    """A file as it is, read in a thread while what came before it is hashed."""

    def __init__(self, file: IO[bytes], pace: Pace) -> None:
        super().__init__(file, pace)
        self._read, self._thread = super().block, ThreadPoolExecutor(1)
        self._coming = deque(self._thread.submit(self._read) for _ in range(BLOCKS_AHEAD))

    def block(self) -> bytes:
        """Return what comes next; empty at the end."""
        self._coming.append(self._thread.submit(self._read))
        return self._coming.popleft().result()

    def close(self) -> None:
        """Read no further."""
        self._thread.shutdown(cancel_futures=True)


class FastGzipStream(GzipStream):
    """A gzip file, unpacked in half of the time."""

    library = isal_zlib


ArchiveStream = PlainStream | FastGzipStream | ZstdStream
_STREAMS: dict[CopyKind, type[ArchiveStream]] = {
    CopyKind.TAR: AheadStream,
    CopyKind.TAR_GZ: FastGzipStream,
    CopyKind.TAR_ZST: ZstdStream,
    CopyKind.ZIP: PlainStream,
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


@contextmanager
def unpacked(file: IO[bytes], kind: CopyKind) -> Iterator[ArchiveStream]:
    """Unpack an archive's file for one pass."""
    with closing(_STREAMS[kind](file, UNPACED)) as stream:
        yield stream

"""An archive of this machine as a stream; what it raises is told in `agent.packed`."""

import os
import stat
from collections.abc import Iterator
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


class FastGzipStream(GzipStream):
    """A gzip file, unpacked in half of the time."""

    library = isal_zlib


ArchiveStream = PlainStream | FastGzipStream | ZstdStream
_STREAMS: dict[CopyKind, type[ArchiveStream]] = {
    CopyKind.TAR: PlainStream,
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

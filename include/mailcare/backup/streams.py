"""An archive of this machine as a stream; what it raises is told in `agent.packed`."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from isal import isal_zlib

from mailcare.backup.agent.packed import GzipStream, PlainStream
from mailcare.backup.agent.script import Pace, Refused
from mailcare.backup.agent.zstd import ZstdStream
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
}


@contextmanager
def opened(path: Path, kind: CopyKind) -> Iterator[ArchiveStream]:
    """Open an archive for one pass; raise `NotReached` where it or its tool cannot be opened."""
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise NotReached("unreadable", f"无法打开（{error.strerror}）", subject=str(path)) from None
    with file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        try:
            with closing(_STREAMS[kind](file, UNPACED)) as stream:
                yield stream
        except Refused as refusal:
            raise NotReached(refusal.code, str(refusal), subject=str(path)) from None

"""The bytes of an archive, unpacked as a stream with its checksums and held to sane limits.

A stream raises `Broken` where its own checksum or its end is wrong, `TooMuch` where a small file
unpacks to more than mail can; it says itself whether it had a checksum at all.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from isal import igzip
from isal.igzip_lib import IsalError

from mailcare.backup.agent.packed import BLOCK_BYTES, Broken, Limited, PlainStream
from mailcare.backup.agent.script import Pace, Refused
from mailcare.backup.agent.zstd import ZstdStream
from mailcare.backup.source import NotReached
from mailcare.systems.backups import CopyKind

UNPACED = Pace(0)


class GzipStream(Limited):
    """A gzip file, all its members, each with its CRC-32."""

    method = "gzip CRC-32"

    def __init__(self, file: BinaryIO, pace: Pace) -> None:
        super().__init__(file, pace)
        self._unpacked = igzip.IGzipFile(fileobj=file, mode="rb")

    def block(self) -> bytes:
        """Return what comes next; empty at the end."""
        try:
            return self.counted(self._unpacked.read(BLOCK_BYTES))
        except EOFError:
            raise Broken("gzip 数据提前结束，归档不完整") from None
        except igzip.BadGzipFile as error:
            raise Broken(f"gzip 校验不符（{error}）") from None
        except IsalError as error:  # pyrefly: ignore[not-a-type] - the stub calls it an instance
            raise Broken(f"gzip 数据损坏（{error}）") from None


ArchiveStream = PlainStream | GzipStream | ZstdStream
_STREAMS: dict[CopyKind, type[ArchiveStream]] = {
    CopyKind.TAR: PlainStream,
    CopyKind.TAR_GZ: GzipStream,
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

"""The bytes of an archive, unpacked as a stream with its checksums and held to sane limits.

A stream raises `Broken` where its own checksum or its end is wrong, `TooMuch` where a small file
unpacks to more than mail can; it says itself whether it had a checksum at all.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from backports import zstd
from isal import igzip
from isal.igzip_lib import IsalError

from mailcare.backup.agent.packed import BLOCK_BYTES, Broken, Limited, PlainStream
from mailcare.backup.source import NotReached
from mailcare.systems.backups import CopyKind

ZSTD_RATIO_MOST = 2000
INPUT_BYTES = 256 * 1024
BLOCKS_AHEAD = 2
WINDOW_LOG_MOST = 31  # as `zstd --long=31` packs; only what is unpacked takes memory, 2 GiB at most
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_CHECKSUM_FLAG = 0b100


class GzipStream(Limited):
    """A gzip file, all its members, each with its CRC-32."""

    method = "gzip CRC-32"

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
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


class ZstdStream(Limited):
    """A zstd file, frame by frame; `method` is empty once a frame had no checksum."""

    method = "zstd XXH64"
    ratio_most = ZSTD_RATIO_MOST

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._frame: zstd.ZstdDecompressor | None = None
        self._input = b""

    def block(self) -> bytes:
        """Return what comes next; empty at the end."""
        try:
            while self._frame is not None or self._begin():
                if part := self._unpack():
                    return self.counted(part)
        except zstd.ZstdError as error:
            raise Broken(f"zstd 校验不符或数据损坏（{error}）") from None
        return b""

    def _unpack(self) -> bytes:
        assert self._frame is not None
        if self._frame.needs_input and not self._input:
            self._input = self._file.read(INPUT_BYTES)
            if not self._input:
                raise Broken("zstd 数据提前结束，归档不完整")
        part = self._frame.decompress(self._input, BLOCK_BYTES)
        self._input = b""
        if self._frame.eof:
            self._input, self._frame = self._frame.unused_data, None
        return part

    def _begin(self) -> bool:
        """Begin the next frame; False at the end of the file."""
        while len(self._input) < 5 and (more := self._file.read(INPUT_BYTES)):
            self._input += more
        if not self._input:
            return False
        if self._input[:4] == _ZSTD_MAGIC and not self._input[4:5]:
            raise Broken("zstd 数据提前结束，归档不完整")
        if self._input[:4] == _ZSTD_MAGIC and not self._input[4] & _CHECKSUM_FLAG:
            self.method = ""
        options = {int(zstd.DecompressionParameter.window_log_max): WINDOW_LOG_MOST}
        self._frame = zstd.ZstdDecompressor(options=options)
        return True


ArchiveStream = PlainStream | GzipStream | ZstdStream
_STREAMS: dict[CopyKind, type[ArchiveStream]] = {
    CopyKind.TAR: PlainStream,
    CopyKind.TAR_GZ: GzipStream,
    CopyKind.TAR_ZST: ZstdStream,
}


class Ahead:
    """A stream that unpacks in a thread of its own while what came before is being hashed.

    Both let other threads run meanwhile. What the stream raises comes in its turn.
    """

    def __init__(self, stream: ArchiveStream, pool: ThreadPoolExecutor) -> None:
        self._stream, self._pool = stream, pool
        self._coming: deque[Future[bytes]] = deque()

    def block(self) -> bytes:
        """Return what comes next; empty at the end."""
        while len(self._coming) < BLOCKS_AHEAD:
            self._coming.append(self._pool.submit(self._stream.block))
        return self._coming.popleft().result()


@contextmanager
def opened(path: Path, kind: CopyKind) -> Iterator[tuple[ArchiveStream, Ahead]]:
    """Open an archive for one pass; raise `NotReached` where it cannot be opened."""
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise NotReached("unreadable", f"无法打开（{error.strerror}）", subject=str(path)) from None
    with file, ThreadPoolExecutor(1) as pool:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        stream = _STREAMS[kind](file)
        yield stream, Ahead(stream, pool)

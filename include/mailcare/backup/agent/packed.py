"""The bytes of an archive, unpacked by the standard library alone; for Python 3.6, see `agent.tar`.

A stream raises `Broken` where its own checksum or its end is wrong, `TooMuch` where a small file
unpacks to more than mail can; it says itself whether it had a checksum at all.
"""

import gzip
import zlib
from typing import Any

from mailcare.backup.agent.script import Pace

# Mail packs 1.5 to 20 times, the dullest text 300 times; zeros 1,000 by deflate, 30,000 by zstd.
RATIO_MOST = 500
RATIO_GRACE_BYTES = 64 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024


class Broken(Exception):
    """The stream's own checksum, framing or end is wrong."""


class TooMuch(Exception):
    """The stream unpacks to more than a mail archive of its size can."""


class PlainStream:
    """A file as it is; a tar by itself has no checksum over its content."""

    method = ""

    def __init__(self, file: Any, pace: Pace) -> None:
        self._file, self._pace = file, pace

    def block(self) -> bytes:
        """Return what comes next; empty at the end."""
        data = self._file.read(BLOCK_BYTES)
        self._pace.take(len(data))
        return data

    def close(self) -> None:
        """Leave the file to its owner."""


class Limited:
    """What compressed streams have in common: the input, its pace, and the ratio of both ends."""

    ratio_most = RATIO_MOST

    def __init__(self, file: Any, pace: Pace) -> None:
        self._file, self._pace = file, pace
        self._in = self._out = 0

    def close(self) -> None:
        """Leave the file to its owner."""

    def counted(self, produced: bytes) -> bytes:
        """Count what was unpacked, and stop where it is too much."""
        self._out += len(produced)
        read = self._position()
        self._pace.take(read - self._in)
        self._in = read
        if self._out > RATIO_GRACE_BYTES and self._out > self.ratio_most * max(read, 1):
            told = f"{read} 字节解压出 {self._out} 字节，超过 {self.ratio_most} 倍"
            raise TooMuch(f"{told}，疑为压缩炸弹，已停止")
        return produced

    def _position(self) -> int:
        """Return how far the file was read."""
        return self._file.tell()


class ZlibGzipStream(Limited):
    """A gzip file, all its members, each with its CRC-32."""

    method = "gzip CRC-32"

    def __init__(self, file: Any, pace: Pace) -> None:
        super().__init__(file, pace)
        self._unpacked = gzip.GzipFile(fileobj=file, mode="rb")

    def block(self) -> bytes:
        """Return what comes next; empty at the end."""
        try:
            return self.counted(self._unpacked.read(BLOCK_BYTES))
        except EOFError:
            raise Broken("gzip 数据提前结束，归档不完整")
        except zlib.error as error:
            raise Broken(f"gzip 数据损坏（{error}）")
        except OSError as error:
            if error.errno is not None:
                raise  # the disk's, not the format's
            raise Broken(f"gzip 校验不符（{error}）")

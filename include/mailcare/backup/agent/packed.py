"""The bytes of an archive, unpacked by the standard library alone; for Python 3.6, see `agent.tar`.

A stream raises `Broken` where its own checksum or its end is wrong, `TooMuch` where a small file
unpacks to more than mail can; it says itself whether it had a checksum at all.
"""

import zlib
from itertools import chain
from typing import Any

from mailcare.backup.agent.script import Pace

# Mail packs 1.5 to 20 times, the dullest text 300 times; zeros 1,000 by deflate, 30,000 by zstd.
RATIO_MOST = 500
RATIO_GRACE_BYTES = 64 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024
INPUT_BYTES = 256 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # a gzip head and end, and the largest window


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


class GzipStream(Limited):
    """A gzip file, all its members, each with its CRC-32.

    What lies before a cut or foreign end comes before it is told of; of damaged data the block in
    which it is found does not come. `library` is zlib, or what offers the same faster.
    """

    method = "gzip CRC-32"
    library: Any = zlib

    def __init__(self, file: Any, pace: Pace) -> None:
        super().__init__(file, pace)
        self._member: Any = None
        self._members = 0
        self._input = b""

    def block(self) -> bytes:
        """Return what comes next; empty at the end."""
        data = b""
        while not data and (self._member or self._begin()):
            data = self._unpacked()
        return self.counted(data)

    def _unpacked(self) -> bytes:
        """Return what comes next of the member; nothing where it ends, or needs more input."""
        self._input = self._input or self._file.read(INPUT_BYTES)
        was_last = not self._input
        try:
            data = self._member.decompress(self._input, BLOCK_BYTES)
        except self.library.error as error:
            raise Broken(f"gzip 校验不符或数据损坏（{error}）")
        self._input = self._member.unconsumed_tail
        if self._member.eof:
            self._input, self._member = self._member.unused_data, None
        elif was_last and not data:
            raise Broken("gzip 数据提前结束，归档不完整")
        return data

    def _begin(self) -> bool:
        """Begin the next member, behind the zeros that may follow one; False at the end."""
        for more in chain((b"",), iter(lambda: self._file.read(INPUT_BYTES), b"")):
            self._input += more
            if self._members:
                self._input = self._input.lstrip(b"\0")
            if len(self._input) >= len(_GZIP_MAGIC):
                break
        if not self._input:
            return False
        if not self._input.startswith(_GZIP_MAGIC):
            raise Broken("gzip 数据之后还有别的内容" if self._members else "不是 gzip 数据")
        self._member = self.library.decompressobj(wbits=_GZIP_WINDOW)
        self._members += 1
        return True

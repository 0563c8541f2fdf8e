"""The bytes of an archive, unpacked by the standard library alone; for Python 3.6, see `agent.tar`.

A stream raises `Broken` where its own checksum or its end is wrong, `TooMuch` where a small file
unpacks to more than mail can; it says itself whether it had a checksum at all.
"""

import zlib
from itertools import chain
from typing import Any, Iterator

from mailcare.backup.agent.script import GZIP, Pace, Refused, shortage_of

# Mail packs 1.5 to 20 times, the dullest text 300 times; zeros 1,000 by deflate, 30,000 by zstd.
RATIO_MOST = 500
RATIO_GRACE_BYTES = 64 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024
INPUT_BYTES = 256 * 1024
_ZLIB_SHORT = "Error -4 "  # Z_MEM_ERROR
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


def need_resources(said: str) -> None:
    """Raise `Refused` where a decompressor failed for want of memory, which is no damage."""
    short = shortage_of(1, said)
    if short or said.startswith(_ZLIB_SHORT):
        raise Refused("shortage", short or shortage_of(1, "out of memory"))


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
        self._pace.take(max(read - self._in, 0))
        self._in = read
        if self._out > RATIO_GRACE_BYTES and self._out > self.ratio_most * max(read, 1):
            told = f"{read} 字节解压出 {self._out} 字节，超过 {self.ratio_most} 倍"
            raise TooMuch(f"{told}，疑为压缩炸弹，已停止")
        return produced

    def broken(self, told: str) -> Broken:
        """Return that the stream is broken, and where."""
        return Broken(f"{told}：归档第 {self._position()} 字节处，此前解压出 {self._out} 字节")

    def _position(self) -> int:
        """Return how far the file was read."""
        return self._file.tell()


class GzipStream(Limited):
    """A gzip file, all its members, each with its CRC-32; what precedes a damage comes before it.

    `library` is zlib, or what offers the same faster.
    """

    method = "gzip CRC-32"
    library: Any = zlib

    def __init__(self, file: Any, pace: Pace) -> None:
        super().__init__(file, pace)
        self._member: Any = None
        self._members = 0
        self._begun_at = self._begun_out = 0  # where the member begins, packed and unpacked
        self._input = b""
        self._input_at = 0
        self._damage = ""

    def block(self) -> bytes:
        """Return what comes next; empty at the end."""
        data = b""
        while not data and not self._damage and (self._member or self._begin()):
            try:
                data = self._unpacked()
            except self.library.error as error:
                self._damage = str(error)
                need_resources(self._damage)
                data = self._before_damage()
        if self._damage and not data:
            raise self.broken(f"gzip 校验不符或数据损坏（{self._damage}）")
        return self.counted(data)

    def _unpacked(self) -> bytes:
        """Return what comes next of the member; nothing where it ends, or needs more input."""
        if not self._input:
            self._input_at = self._file.tell()
            self._input = self._file.read(INPUT_BYTES)
        was_last = not self._input
        data = self._member.decompress(self._input, BLOCK_BYTES)
        self._input = self._member.unconsumed_tail
        if self._member.eof:
            self._input, self._member = self._member.unused_data, None
        elif was_last and not data:
            raise self.broken("gzip 数据提前结束，归档不完整")
        return data

    def _before_damage(self) -> bytes:
        """Return what came of the member behind what was given and before it was found damaged.

        Where a call finds a damage, what it had unpacked before is lost. So the member is unpacked
        anew, the last input of it byte by byte.
        """
        member, given, found = self._opened(), self._out - self._begun_out, b""
        try:
            for piece in self._read_anew():
                left = piece
                while left:
                    data = member.decompress(left, BLOCK_BYTES)
                    found += data[given:]
                    given = max(given - len(data), 0)
                    left = member.unconsumed_tail
        except self.library.error:
            pass  # the same that was found before
        self._input = b""
        return found

    def _read_anew(self) -> Iterator[bytes]:
        end = self._file.tell()
        at = self._file.seek(self._begun_at)
        while at < end:
            piece = self._file.read(max(min(INPUT_BYTES, self._input_at - at), 1))
            at += len(piece)
            yield piece

    def _opened(self) -> Any:
        return self.library.decompressobj(wbits=_GZIP_WINDOW)

    def _begin(self) -> bool:
        """Begin the next member, behind the zeros that may follow one; False at the end."""
        for more in chain((b"",), iter(lambda: self._file.read(INPUT_BYTES), b"")):
            self._input += more
            if self._members:
                self._input = self._input.lstrip(b"\0")
            if len(self._input) >= len(GZIP):
                break
        if not self._input:
            return False
        if not self._input.startswith(GZIP):
            raise self.broken("gzip 数据之后还有别的内容" if self._members else "不是 gzip 数据")
        self._begun_at = self._input_at = self._position()
        self._begun_out = self._out
        self._member = self._opened()
        self._members += 1
        return True

    def _position(self) -> int:
        return self._file.tell() - len(self._input)

"""A zstd stream through the host's own `zstd -dc`; for Python 3.6, see `agent.tar`.

A decompressor checks what has a checksum and does not say what has none; so the frames are followed
while they pass by (RFC 8878, section 3.1).
"""

import fcntl
import os
import subprocess
from typing import Any, Generator

from mailcare.backup.agent.packed import BLOCK_BYTES, Broken, Limited
from mailcare.backup.agent.script import Pace, Refused, shortage_of, surroundings

RATIO_MOST = 2000
PIPE_BYTES = 1024 * 1024  # what the tool may be ahead, and the most that Linux gives to all
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ, which Python knows from 3.10 on
_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
_CHECKSUM_FLAG = 0b100


class Frames:
    """Follows the frames of a file, as far as it was read by another.

    `are_checked` until one comes without a checksum; the last that was met ends at byte `ended`,
    which need not have been read.
    """

    def __init__(self, descriptor: int) -> None:
        self.are_checked, self.ended = True, 0
        self._descriptor = descriptor
        self._at = self._read = 0
        self._course = self._follow()
        next(self._course)

    def follow(self, read: int) -> None:
        """Follow up to the byte that the file was read to."""
        self._read = read
        next(self._course)

    def _follow(self) -> Generator[None, None, None]:
        magic = yield from self._taken(4)
        while _begins_frame(magic):
            yield from self._frame() if magic == _MAGIC else self._skippable()
            self.ended = self._at
            magic = yield from self._taken(4)
        self.are_checked = False
        while True:
            yield  # no frame: who unpacks it says so

    def _frame(self) -> Generator[None, None, None]:
        flags = (yield from self._taken(1))[0]
        is_single = flags >> 5 & 1
        self._at += sum((1 - is_single, (0, 1, 2, 4)[flags & 3], (is_single, 2, 4, 8)[flags >> 6]))
        is_last = 0
        while not is_last:
            head = int.from_bytes((yield from self._taken(3)), "little")
            is_last, is_run = head & 1, head >> 1 & 3 == 1
            self._at += 1 if is_run else head >> 3
        self.are_checked = self.are_checked and bool(flags & _CHECKSUM_FLAG)
        self._at += 4 if flags & _CHECKSUM_FLAG else 0

    def _skippable(self) -> Generator[None, None, None]:
        size = yield from self._taken(4)
        self._at += int.from_bytes(size, "little")

    def _taken(self, count: int) -> Generator[None, None, bytes]:
        while self._at + count > self._read:
            yield
        self._at += count
        return os.pread(self._descriptor, count, self._at - count)


def _begins_frame(magic: bytes) -> bool:
    return magic == _MAGIC or magic[1:] == _SKIPPABLE


class ZstdStream(Limited):
    """A zstd file, whoever unpacks it; its frames are followed up to where that one has read."""

    ratio_most = RATIO_MOST

    def __init__(self, file: Any, pace: Pace) -> None:
        super().__init__(file, pace)
        magic = os.pread(file.fileno(), len(_MAGIC), 0)
        if len(magic) == len(_MAGIC) and not _begins_frame(magic):
            raise self.broken("不是 zstd 数据")  # the tool may know it, with no checksum to show
        self._frames = Frames(file.fileno())

    @property
    def method(self) -> str:
        """Return the name of the checksum; empty once a frame had none."""
        return "zstd XXH64" if self._frames.are_checked else ""

    def counted(self, produced: bytes) -> bytes:
        """Count what was unpacked, and follow the frames."""
        self._frames.follow(self._position())
        return super().counted(produced)

    def damaged(self, said: str) -> Broken:
        """Return that the stream is broken, and what the decompressor said."""
        return self.broken("zstd 校验不符或数据损坏（%s）" % said)

    def _position(self) -> int:
        return os.lseek(self._file.fileno(), 0, os.SEEK_CUR)


class ZstdToolStream(ZstdStream):
    """A zstd file, unpacked by the tool; both share its position."""

    def __init__(self, file: Any, pace: Pace) -> None:
        super().__init__(file, pace)
        try:
            child: Any = subprocess.Popen(
                ["zstd", "-dcq", "--long=31"],  # else what was packed so is refused as too large
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=surroundings("/"),
            )
        except (FileNotFoundError, PermissionError):
            raise Refused("tool", "没有安装 zstd")
        self._child = child
        try:
            fcntl.fcntl(child.stdout, _SET_PIPE_SIZE, PIPE_BYTES)
        except OSError:
            pass  # the user has no more of it left; it is slower so

    def block(self) -> bytes:
        """Return what comes next; empty at the end."""
        data = self._child.stdout.read(BLOCK_BYTES)
        if not data:
            self._check()
        return self.counted(data)

    def _check(self) -> None:
        """Raise what kept the tool from a good end."""
        code = self._child.wait()
        said = self._child.stderr.read().decode("utf-8", "replace")
        short = shortage_of(code, said)
        if short:
            raise Refused("shortage", "zstd " + short)
        if code:
            os.pread(self._file.fileno(), 1, self._position())  # a disk's fault raises here too
            raise self.damaged(said.split("\n")[0].rpartition("*stdin*\\")[2].strip(" :"))

    def close(self) -> None:
        """End the tool."""
        self._child.kill()
        self._child.wait()
        self._child.stdout.close()
        self._child.stderr.close()

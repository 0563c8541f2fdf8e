"""A zstd stream through the host's own `zstd -dc`; for Python 3.6, see `agent.tar`.

The tool checks what has a checksum and does not say what has none; so the frames are followed while
they pass by (RFC 8878, section 3.1).
"""

import subprocess
import threading
from typing import Any, Generator, List

from mailcare.backup.agent.packed import BLOCK_BYTES, Broken, Limited
from mailcare.backup.agent.script import Refused, surroundings

RATIO_MOST = 2000
INPUT_BYTES = 256 * 1024
_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
_CHECKSUM_FLAG = 0b100


class Frames:
    """Follows the frames of a stream; `are_checked` until one comes without a checksum."""

    def __init__(self) -> None:
        self.are_checked = True
        self._left = b""
        self._course = self._follow()
        next(self._course)

    def add(self, data: bytes) -> None:
        """Take what passes by."""
        self._course.send(data)

    def _follow(self) -> Generator[None, bytes, None]:
        magic = yield from self._taken(4)
        while magic == _MAGIC or magic[1:] == _SKIPPABLE:
            yield from self._frame() if magic == _MAGIC else self._skippable()
            magic = yield from self._taken(4)
        while True:
            yield  # no frame: the tool says so itself

    def _frame(self) -> Generator[None, bytes, None]:
        flags = (yield from self._taken(1))[0]
        is_single = flags >> 5 & 1
        sizes = (1 - is_single, (0, 1, 2, 4)[flags & 3], (is_single, 2, 4, 8)[flags >> 6])
        yield from self._passed(sum(sizes))
        is_last = 0
        while not is_last:
            head = int.from_bytes((yield from self._taken(3)), "little")
            is_last, is_run = head & 1, head >> 1 & 3 == 1
            yield from self._passed(1 if is_run else head >> 3)
        self.are_checked = self.are_checked and bool(flags & _CHECKSUM_FLAG)
        yield from self._passed(4 if flags & _CHECKSUM_FLAG else 0)

    def _skippable(self) -> Generator[None, bytes, None]:
        size = yield from self._taken(4)
        yield from self._passed(int.from_bytes(size, "little"))

    def _taken(self, count: int) -> Generator[None, bytes, bytes]:
        while len(self._left) < count:
            self._left += yield
        piece, self._left = self._left[:count], self._left[count:]
        return piece

    def _passed(self, count: int) -> Generator[None, bytes, None]:
        while len(self._left) < count:
            count -= len(self._left)
            self._left = yield
        self._left = self._left[count:]


class ZstdStream(Limited):
    """A zstd file, fed to the tool by a thread of its own."""

    ratio_most = RATIO_MOST

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self._frames = Frames()
        self._failures: List[OSError] = []
        pipe, env = subprocess.PIPE, surroundings("/")
        try:
            self._child: Any = subprocess.Popen(
                ["zstd", "-dcq", "--long=31"],  # else what was packed so is refused as too large
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env=env,
            )
        except FileNotFoundError:
            raise Refused("tool", "zstd is not installed")
        self._feeder = threading.Thread(target=self._feed, daemon=True)
        self._feeder.start()

    @property
    def method(self) -> str:
        """Return the name of the checksum; empty once a frame had none."""
        return "zstd XXH64" if self._frames.are_checked else ""

    def _feed(self) -> None:
        try:
            for data in iter(lambda: self._file.read(INPUT_BYTES), b""):
                self._frames.add(data)
                self._child.stdin.write(data)
            self._child.stdin.close()
        except BrokenPipeError:
            pass  # the tool has ended, and says why
        except OSError as error:
            self._failures.append(error)
            self._child.kill()

    def block(self) -> bytes:
        """Return what comes next; empty at the end."""
        data = self._child.stdout.read(BLOCK_BYTES)
        if not data:
            self._check()
        return self.counted(data)

    def _check(self) -> None:
        """Raise what kept the tool from a good end."""
        code = self._child.wait()
        self._feeder.join()
        if self._failures:
            raise self._failures[0]
        if code < 0:
            raise Refused("tool", "zstd was ended by signal %d" % -code)
        if code:
            said = self._child.stderr.read().decode("utf-8", "replace").split("\n")[0]
            raise Broken(f"zstd 校验不符或数据损坏（{said}）")

    def close(self) -> None:
        """End the tool."""
        self._child.kill()
        self._child.wait()
        self._feeder.join()
        for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                pass  # what it was not given any more

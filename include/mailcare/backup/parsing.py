"""Open restored messages in a process of its own, with little memory and a deadline each.

Mail is written by strangers: what makes the parser eat memory or never return ends the worker, not
the drill, and counts as "could not be taken apart".
"""

import json
import os
import resource
import select
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from mailcare.backup.opening import Opened, Outcome, open_message

MEMORY_BYTES = 1024 * 1024 * 1024
DEADLINE_S = 20.0
MESSAGE_LIMIT_BYTES = 256 * 1024 * 1024
_HANDLES = 32


def open_all(files: Iterable[tuple[Path, int | None]]) -> Iterator[Opened]:
    """Open files in order, each with the size that its name states, and say what each is."""
    with _Worker() as worker:
        for path, stated in files:
            yield worker.open(path, stated)


@dataclass(slots=True)
class _Worker:
    """The process that opens messages; started anew where it had to be ended."""

    _child: subprocess.Popen[bytes] | None = field(default=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()

    def open(self, path: Path, stated: int | None) -> Opened:
        """Let the worker open a file; where it cannot, only its size is known."""
        size_bytes = path.stat().st_size
        if size_bytes > MESSAGE_LIMIT_BYTES:
            return Opened(Outcome.INTACT, f"超过 {MESSAGE_LIMIT_BYTES >> 20} MiB，未解析")
        answer = self._ask(json.dumps([str(path), stated]).encode() + b"\n")
        if answer:
            return _told(answer)
        self._end()
        return Opened(
            Outcome.INTACT, f"{DEADLINE_S:g} 秒内没有解析完，或内存不足", size_bytes=size_bytes
        )

    def _ask(self, line: bytes) -> bytes:
        child = self._started()
        assert child.stdin
        assert child.stdout
        with suppress(BrokenPipeError):
            child.stdin.write(line)
            child.stdin.flush()
        ready, _, _ = select.select([child.stdout], [], [], DEADLINE_S)
        return child.stdout.readline() if ready else b""

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "mailcare.backup.parsing"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        return self._child

    def _end(self) -> None:
        if self._child is None:
            return
        assert self._child.stdin
        assert self._child.stdout
        with suppress(BrokenPipeError):
            self._child.stdin.close()
        self._child.kill()
        self._child.wait()
        self._child.stdout.close()
        self._child = None


def _told(answer: bytes) -> Opened:
    outcome, reason, sha256, normal, size_bytes = json.loads(answer)
    return Opened(Outcome(outcome), reason, sha256, normal, size_bytes)


def _answer(line: bytes) -> list[str | int]:
    name, stated = json.loads(line)
    try:
        one = open_message(Path(name).read_bytes(), stated=stated)
    except MemoryError:
        return [Outcome.INTACT, "解析所需内存超过上限", "", "", 0]
    return [one.outcome, one.reason, one.sha256, one.normal_sha256, one.size_bytes]


def main() -> None:
    """Answer each line with what the message is that it names."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_HANDLES, _HANDLES))
    for line in sys.stdin.buffer:
        sys.stdout.write(json.dumps(_answer(line)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""Spread reading over processes: threads would wait for each other at small files.

The processes are our own: those of `multiprocessing` each load the whole program that they are of.
"""

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain
from queue import SimpleQueue
from typing import IO, Self

from mailcare.backup.files import FileRead, read_batch
from mailcare.backup.source import NotReached

Batch = tuple[bytes, Sequence[bytes]]  # a folder, and names of files in it

BATCH_FILES = 256
FEW_FILES = 2048  # starting processes costs more than reading so few
WAITING_EACH = 4


def read_all(batches: Iterable[Batch]) -> Iterator[tuple[bytes, list[FileRead]]]:
    """Yield each batch's folder with what was read of it, in order.

    At most a few batches for each process are under way, so that memory stays bounded.
    """
    coming = iter(batches)
    first: list[Batch] = []
    while sum(len(names) for _, names in first) < FEW_FILES and (one := next(coming, None)):
        first.append(one)
    workers = min(os.cpu_count() or 1, 8)
    if sum(len(names) for _, names in first) < FEW_FILES or workers == 1:
        for folder, names in chain(first, coming):
            yield folder, read_batch(folder, names)
        return
    yield from _spread(chain(first, coming), workers)


def _spread(batches: Iterator[Batch], workers: int) -> Iterator[tuple[bytes, list[FileRead]]]:
    idle: SimpleQueue[_Reader] = SimpleQueue()

    def read(batch: Batch) -> list[FileRead]:
        reader = idle.get()
        try:
            return reader.read(batch)
        finally:
            idle.put(reader)

    waiting: deque[tuple[bytes, Future[list[FileRead]]]] = deque()
    with ExitStack() as stack:
        for _ in range(workers):
            idle.put(stack.enter_context(_Reader()))
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        for batch in batches:
            waiting.append((batch[0], pool.submit(read, batch)))
            if len(waiting) >= workers * WAITING_EACH:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()


class _Reader:
    """A process that reads one batch after the other, until its input ends."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._child.kill()
        self._child.communicate()

    def read(self, batch: Batch) -> list[FileRead]:
        """Return what was read of a batch; raise what reading raised."""
        assert self._child.stdin
        assert self._child.stdout
        try:
            _write(self._child.stdin, batch)
            answer = pickle.load(self._child.stdout)  # noqa: S301 - our own process wrote it
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            raise NotReached("tool", "读取邮件的进程意外结束") from None
        if isinstance(answer, OSError):
            raise answer
        return answer


def _write(to: IO[bytes], what: object) -> None:
    pickle.dump(what, to, pickle.HIGHEST_PROTOCOL)
    to.flush()


def main() -> None:
    """Read the batches that come on standard input."""
    while True:
        try:
            folder, names = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent wrote it
        except EOFError:
            return
        try:
            _write(sys.stdout.buffer, read_batch(folder, names))
        except OSError as error:
            _write(sys.stdout.buffer, error)


if __name__ == "__main__":
    main()

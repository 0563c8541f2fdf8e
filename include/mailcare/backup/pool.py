"""Spread work over processes: threads would wait for each other at small files.

The processes are our own: those of `multiprocessing` each load the whole program that they are of.
"""

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue
from time import monotonic
from typing import Any, Self, TypeVar

from mailcare.backup import worker
from mailcare.backup.source import NotReached

SOON_S = 0.1  # what is done by then is not worth the start of processes
WAITING_EACH = 4
T = TypeVar("T")
Work = Callable[..., T]
"""A function that is found by its name; its words and its answer can be pickled."""


class Pool:
    """Does work here at first; once that has taken a while, in a process for each processor."""

    def __init__(self) -> None:
        self._began_s = monotonic()
        self._workers = min(os.cpu_count() or 1, 8)
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._threads: ThreadPoolExecutor | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    @property
    def most(self) -> int:
        """Return how much may be under way, so that memory stays bounded."""
        return self._workers * WAITING_EACH if self._threads else 1

    def submit(self, work: Work[T], *words: object) -> Future[T]:
        """Have work done; an `OSError` in it is raised, here or by its future."""
        if not self._threads and self._workers > 1 and monotonic() - self._began_s >= SOON_S:
            self._start()
        if self._threads:
            return self._threads.submit(self._elsewhere, work, words)
        done: Future[T] = Future()
        done.set_result(work(*words))
        return done

    def _start(self) -> None:
        for _ in range(self._workers):
            self._idle.put(self._stack.enter_context(_Worker()))
        self._threads = self._stack.enter_context(ThreadPoolExecutor(self._workers))

    def _elsewhere(self, work: Work[T], words: tuple[object, ...]) -> T:
        idle = self._idle.get()
        try:
            return idle.do(work, words)
        finally:
            self._idle.put(idle)


def in_order(work: Work[T], pieces: Iterable[tuple[object, ...]]) -> Iterator[T]:
    """Yield what the work gives for the words of each piece, in their order."""
    waiting: deque[Future[T]] = deque()
    with Pool() as pool:
        for words in pieces:
            waiting.append(pool.submit(work, *words))
            while len(waiting) >= pool.most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Worker:
    """A process of `worker`, which does one piece of work at a time."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", worker.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._child.kill()
        self._child.communicate()

    def do(self, work: Work[Any], words: tuple[object, ...]) -> Any:  # noqa: ANN401 - as the work's
        assert self._child.stdin
        assert self._child.stdout
        try:
            worker.send(self._child.stdin, (work, words))
            answer = pickle.load(self._child.stdout)  # noqa: S301 - our own process wrote it
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            raise NotReached("tool", "读取邮件的进程意外结束") from None
        if isinstance(answer, OSError):
            raise answer
        return answer

"""Spread reading over processes: threads would wait for each other at small files."""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain

from mailcare.backup.files import FileRead, read_batch

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
    # Not fork: the program may have threads of its own.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([read_batch.__module__])  # loaded once, not by every worker
    waiting: deque[tuple[bytes, Future[list[FileRead]]]] = deque()
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for folder, names in batches:
            waiting.append((folder, pool.submit(read_batch, folder, names)))
            if len(waiting) >= workers * WAITING_EACH:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()

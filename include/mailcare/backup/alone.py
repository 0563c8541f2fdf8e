"""One verification of a copy at a time: its manifest and its chain of evidence are written by one.

The lock is the operating system's and goes with its process, however that ends.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from mailcare.errors import Unavailable
from mailcare.progress import Progress, going_on
from mailcare.settings import data_folder


@contextmanager
def alone(site: str, copy: str, progress: Progress) -> Iterator[None]:
    """Wait until nobody else verifies the copy of that name, and keep others waiting meanwhile.

    Raise `Unavailable` where the data folder cannot be written.
    """
    path = data_folder() / "backups" / site / f"{copy}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise Unavailable(f"文件写不进去（{error.strerror}）", subject=str(path)) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting = f"{copy} 正在由另一次验证读取，等待其结束"
            progress.note(waiting)
            with going_on(progress, waiting):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""The agent's part for files that are one and the same under two names: hard links, bind mounts.

It is sent after `agent.script`; Python 3.6, the standard library. Only folders are read.
"""

import os
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from mailcare.backup.agent.script import TASKS, Pace, Stream, b64, need_folder

A_FOLDER, AT_MOST = 5, 1000
ROWS_A_RECORD = 500
Row = Tuple[int, int, bytes]


def files_below(root: bytes, devices: Optional[Set[int]] = None) -> Iterator[List[Row]]:
    """Yield for each folder its files by device, inode and path; what is closed to us is left out.

    With `devices` a folder on another one is passed by where its links say that none lies in it.
    """
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            status = os.stat(folder)
            if devices is not None and status.st_dev not in devices and status.st_nlink == 2:
                continue
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError:
            continue
        waiting.extend(one.path for one in entries if one.is_dir(follow_symlinks=False))
        files = [one for one in entries if one.is_file(follow_symlinks=False)]
        yield [(status.st_dev, one.inode(), one.path) for one in files]


def task_sample(job: Dict[str, Any], stream: Stream, _pace: Pace) -> None:
    """Tell some files of every folder, up to so many."""
    root = os.fsencode(job["root"])
    need_folder(root)
    rows = []  # type: List[Row]
    for files in files_below(root):
        rows.extend(files[:: len(files) // A_FOLDER + 1])
        if len(rows) >= AT_MOST:
            break
    say_rows(rows, stream)


def task_held(job: Dict[str, Any], stream: Stream, _pace: Pace) -> None:
    """Tell which of the wanted devices and inodes are files below a folder."""
    root = os.fsencode(job["root"])
    need_folder(root)
    wanted = {(device, inode) for device, inode in job["wanted"]}
    devices = {device for device, _ in wanted}
    rows = []  # type: List[Row]
    for files in files_below(root, devices):
        rows.extend(one for one in files if one[:2] in wanted)
    say_rows(rows, stream)


def say_rows(rows: List[Row], stream: Stream) -> None:
    """Tell files by device, inode and path."""
    for first in range(0, len(rows), ROWS_A_RECORD):
        part = rows[first : first + ROWS_A_RECORD]
        stream.say("inodes", rows=[[device, inode, b64(path)] for device, inode, path in part])


TASKS["sample"] = task_sample
TASKS["held"] = task_held

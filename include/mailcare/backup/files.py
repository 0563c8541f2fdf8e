"""Open files without a trace, and say what their errors mean: no link followed, no access time."""

import errno
import os
from pathlib import Path

from mailcare.backup.agent.script import DYING, SHORT
from mailcare.backup.names import stated_bytes
from mailcare.backup.source import Fate, NotReached

BUFFER_BYTES = 1024 * 1024
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def open_quietly(path: bytes) -> int:
    """Open a file for reading; the access time stays where we may say so (its owner, or root)."""
    try:
        return os.open(path, _FLAGS | os.O_NOATIME)
    except PermissionError:
        return os.open(path, _FLAGS)


def problem_of(name: bytes, size: int, *, is_zeros: bool) -> str:
    """Say what is wrong with a message by its size and its zeros; empty where nothing is."""
    stated = stated_bytes(name)
    if not size:
        return "空文件"
    if is_zeros:
        return "全部是零字节"
    if stated is not None and stated != size:
        return f"长 {size} 字节，文件名注明 {stated} 字节"
    return ""


def not_reached(error: OSError, path: Path) -> NotReached:
    """Return that a file cannot be read at all, a dying disk apart from the rest."""
    told, fate = explained(error)
    return NotReached("alarm" if fate is Fate.ALARM else "unreadable", told, subject=str(path))


def explained(error: OSError) -> tuple[str, Fate]:
    """Say in Chinese why something could not be read, and what that means.

    Reading needs no room: an error for want of it is the scratch's, and raised again, as one for
    want of memory, processes or handles is, which is no word about the file.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT, *SHORT):
        raise error
    if error.errno in (errno.EIO, errno.ENXIO, errno.EBADMSG, errno.EUCLEAN):
        return DYING, Fate.ALARM
    if error.errno == errno.ENOENT:
        return "读取期间消失", Fate.CHANGED
    if error.errno == errno.ESTALE:
        return "网络文件系统的句柄已失效（ESTALE）", Fate.UNREADABLE
    if error.errno in (errno.EACCES, errno.EPERM):
        return "没有读取权限", Fate.UNREADABLE
    if error.errno == errno.ELOOP:
        return "是符号链接，未跟随", Fate.BAD
    return f"无法读取（{error.strerror}）", Fate.UNREADABLE

"""Read files fast: one reused buffer for all.

A worker process reads a batch of one folder's files (`read_batch`); what comes back is plain
tuples, cheap to send.
"""

import hashlib
import os
import stat
from collections.abc import Sequence

from mailcare.backup.agent.script import (
    HEAD_BYTES,
    LONG_HEAD_BYTES,
    is_packed,
    is_sealed,
    looks_like_mail,
)
from mailcare.backup.files import BUFFER_BYTES, explained, open_quietly, problem_of
from mailcare.backup.names import stated_bytes
from mailcare.backup.packing import BadPacking, unpacked
from mailcare.backup.source import Fate

_BUFFER = bytearray(BUFFER_BYTES)
_VIEW = memoryview(_BUFFER)
_BUFFERS = [_BUFFER]

FileRead = tuple[bytes, int, str, bool, str, Fate, bool]
"""Name, size, SHA-256, whether it looks like mail, the problem, the fate, whether it is sealed."""


def read_batch(folder: bytes, names: Sequence[bytes]) -> list[FileRead]:
    """Read files of one folder to their ends."""
    return [read_file(folder, name) for name in names]


def read_file(folder: bytes, name: bytes) -> FileRead:
    """Read one file to its end; once more where it changed meanwhile."""
    found = _try(folder, name)
    return _try(folder, name) if found[5] is Fate.CHANGED else found


def _try(folder: bytes, name: bytes) -> FileRead:
    path = folder + b"/" + name
    try:
        handle = open_quietly(path)
    except OSError as error:
        return _failed(name, error)
    try:
        return _hashed(handle, path, name)
    except OSError as error:
        return _failed(name, error)
    finally:
        os.close(handle)


def _hashed(handle: int, path: bytes, name: bytes) -> FileRead:
    before = os.fstat(handle)
    if not stat.S_ISREG(before.st_mode):
        return (name, 0, "", False, "不是普通文件", Fate.BAD, False)
    digest, size, is_zeros = hashlib.sha256(), 0, True
    head = b""
    while size < before.st_size and (count := os.readv(handle, _BUFFERS)):
        digest.update(_VIEW[:count])
        if not size:
            head = bytes(_VIEW[:HEAD_BYTES]) if count > HEAD_BYTES else bytes(_VIEW[:count])
            is_zeros = not head.strip(b"\0")
        if is_zeros:
            is_zeros = not bytes(_VIEW[:count]).strip(b"\0")
        size += count
    after = os.fstat(handle)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return (name, size, "", False, "读取期间发生变化", Fate.CHANGED, False)
    sha256 = digest.hexdigest()
    if is_sealed(head):
        return (name, size, sha256, False, "", Fate.OK, True)
    is_mail = looks_like_mail(head) or (size > HEAD_BYTES and _has_late_mark(handle))
    problem = problem_of(name, size, is_zeros=is_zeros)
    if problem or not is_mail:
        is_mail, problem = _unpacked(path, name, head) or (is_mail or is_packed(head), problem)
    return (name, size, sha256, is_mail, problem, Fate.BAD if problem else Fate.OK, False)


def _has_late_mark(handle: int) -> bool:
    # Signatures of relays may stand before the fields that every mail has.
    return looks_like_mail(os.pread(handle, LONG_HEAD_BYTES, 0))


def _unpacked(path: bytes, name: bytes, head: bytes) -> tuple[bool, str] | None:
    """Look into a message that the server keeps compressed; None for one that is not."""
    try:
        with os.fdopen(open_quietly(path), "rb") as file:
            text = unpacked(file, head, stated=stated_bytes(name))
    except BadPacking as error:
        return False, str(error)
    return None if text is None else (looks_like_mail(text[:LONG_HEAD_BYTES]), "")


def _failed(name: bytes, error: OSError) -> FileRead:
    return (name, 0, "", False, *explained(error), False)

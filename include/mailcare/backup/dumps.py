"""The text of a dump or an export: plain, packed or an archive, held to sane limits."""

import gzip
import os
import re
import signal
import stat
import subprocess
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Protocol

from backports import zstd

from mailcare.backup.agent.packed import need_resources
from mailcare.backup.agent.script import shortage_of
from mailcare.backup.files import not_reached
from mailcare.backup.source import NotReached
from mailcare.backup.streams import not_refused
from mailcare.backup.throwaway import find_program, own_identity

RATIO_MOST = 200
RATIO_GRACE_BYTES = 64 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024
_ZSTD = b"\x28\xb5\x2f\xfd"
_ARCHIVES = (b"PGDMP", b"toc.dat\0")  # by pg_dump: its own format, and tar
_NOT_FOR_US = re.compile(r"unsupported version|not support", re.IGNORECASE)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class BadDump(Exception):
    """The dump itself is at fault; its text says how."""


def blocks(dump: Path) -> Iterator[bytes]:
    """Yield what a dump unpacks to.

    Raise `BadDump` for what is damaged, cut short or unpacks beyond all measure, `NotReached` where
    it cannot be read.
    """
    try:
        yield from _unpacked(dump)
    except (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError) as error:
        with not_refused(dump):
            need_resources(str(error))
        raise BadDump(f"压缩数据不完整或已损坏（{error}）") from None
    except OSError as error:
        raise not_reached(error, dump) from None


def _unpacked(dump: Path) -> Iterator[bytes]:
    with _opened(dump) as file:
        magic = file.read(8)
    if not magic.startswith(_ARCHIVES):
        with _opened(dump) as file:
            yield from _limited(iter(lambda: file.read(BLOCK_BYTES), b""), dump)
        return
    with dump.open("rb") as archive:
        if archive.read(8) != magic:
            raise NotReached("tool", "压缩过的 pg_dump 归档未能读取，不能判断是否完好")
    yield from _limited(_script_of(dump), dump)


def _limited(text: Iterable[bytes], dump: Path) -> Iterator[bytes]:
    packed_bytes, total = dump.stat().st_size, 0
    for block in text:
        total += len(block)
        if total > RATIO_GRACE_BYTES and total > RATIO_MOST * packed_bytes:
            raise BadDump(f"解压超过 {RATIO_MOST} 倍，疑为压缩炸弹，已停止")
        yield block


def _script_of(archive: Path) -> Iterator[bytes]:
    """Yield the statements that an archive by pg_dump stands for."""
    program, identity = find_program("pg_restore"), own_identity()
    with archive.open("rb") as file, TemporaryFile() as said:
        child = subprocess.Popen(
            [program, "-f", "-"],
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=said,
            user=identity.change_uid,
            group=identity.change_gid,
            extra_groups=None if identity.change_uid is None else [],
        )
        assert child.stdout
        try:
            yield from iter(lambda: child.stdout.read(BLOCK_BYTES), b"")
            code = child.wait()
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
        said.seek(0)
        _need_whole(code, " ".join(said.read().decode("utf-8", "replace").split())[:300])


def _need_whole(code: int, told: str) -> None:
    if code == -signal.SIGSEGV:  # it trusts the lengths that an archive states
        raise BadDump("pg_restore 读取时崩溃，归档已损坏")
    if short := shortage_of(code, told):
        raise NotReached("shortage", f"pg_restore {short}")
    if code and _NOT_FOR_US.search(told):
        raise NotReached("tool", f"本机的 pg_restore 不能读取这种归档（{told}）")
    if code:
        raise BadDump(f"pg_restore 未能完整读出归档：{told or code}")


@contextmanager
def _opened(dump: Path) -> Iterator[_Readable]:
    """Open a dump as what it unpacks to."""
    with dump.open("rb") as raw:
        if not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
            raise BadDump("不是普通文件")
        magic = raw.read(4)
    opener = gzip.open if magic[:2] == b"\x1f\x8b" else zstd.open if magic == _ZSTD else open
    with opener(dump, "rb") as file:
        yield file

"""The text of a dump or an export: plain, gzip or zstd, held to sane limits."""

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from backports import zstd

from mailcare.backup.agent.packed import need_resources
from mailcare.backup.files import not_reached
from mailcare.backup.streams import not_refused

RATIO_MOST = 200
RATIO_GRACE_BYTES = 64 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024
_ZSTD = b"\x28\xb5\x2f\xfd"


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
    packed_bytes, total = dump.stat().st_size, 0
    with _opened(dump) as file:
        while block := file.read(BLOCK_BYTES):
            total += len(block)
            if total > RATIO_GRACE_BYTES and total > RATIO_MOST * packed_bytes:
                raise BadDump(f"解压超过 {RATIO_MOST} 倍，疑为压缩炸弹，已停止")
            yield block


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

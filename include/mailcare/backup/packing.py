"""Messages that a mail server keeps compressed (as Dovecot can), known by their beginning."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import BinaryIO

from backports import zstd

from mailcare.backup.agent.script import BZIP2, GZIP, XZ, ZSTD

LIMIT_BYTES = 200 * 1024 * 1024
_Text = gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | zstd.ZstdFile
_OPENERS: Mapping[bytes, Callable[[BinaryIO], _Text]] = {
    GZIP: lambda packed: gzip.GzipFile(fileobj=packed, mode="rb"),
    BZIP2: bz2.BZ2File,
    XZ: lzma.LZMAFile,
    ZSTD: zstd.ZstdFile,
}
_DAMAGE = (EOFError, ValueError, lzma.LZMAError, zlib.error, zstd.ZstdError)


class BadPacking(Exception):
    """A compressed message that is not whole; its text says why."""


def unpacked(packed: BinaryIO, head: bytes, *, stated: int | None) -> bytes | None:
    """Return the text of a compressed message; None for one that is not compressed.

    `head` are its first bytes, `stated` the size of the text that its name states. Raise
    `BadPacking` where it is damaged or of another size.
    """
    opener = next((one for magic, one in _OPENERS.items() if head.startswith(magic)), None)
    if opener is None:
        return None
    try:
        with opener(packed) as file:
            text = file.read(LIMIT_BYTES if stated is None else stated + 1)
    except OSError as error:
        if error.errno is not None:
            raise  # the disk's, not the format's
        raise BadPacking(f"压缩的邮件无法解开（{error}）") from None
    except _DAMAGE as error:
        raise BadPacking(f"压缩的邮件无法解开（{error}）") from None
    if stated is not None and len(text) != stated:
        raise BadPacking(f"解开后长 {len(text)} 字节，文件名注明 {stated} 字节")
    return text

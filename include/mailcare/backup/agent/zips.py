"""The members of a zip by its directory, each read to its CRC; for Python 3.6, see `agent.tar`."""

import lzma
import struct
import zipfile
import zlib
from datetime import datetime, timedelta, timezone
from typing import Any, Iterator, List, Optional, Set, Tuple

from mailcare.backup.agent.packed import RATIO_GRACE_BYTES, RATIO_MOST, Broken, need_resources
from mailcare.backup.agent.script import Pace
from mailcare.backup.agent.tar import ODDITIES_MOST, Kind, Member, MemberDamage

CHUNK_BYTES = 1024 * 1024
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    ValueError,
)
_LOCAL_HEAD = struct.Struct("<4s5H3L2H")
_SIZES_FOLLOW = 0x8
_ZIP64 = 0xFFFFFFFF
_UTF8_NAME = 0x800
_ENCRYPTED = 0x1
_FILE_TYPES = 0o170000
_REGULAR = (0, 0o100000)
_BEIJING = timezone(timedelta(hours=8))


class ZipWalk:
    """The members of a zip, whose `file` stays its owner's; see `archives.Walk`."""

    def __init__(self, file: Any, pace: Pace) -> None:
        self._file, self._pace = file, pace
        self.oddities: List[Tuple[bytes, str]] = []
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise Broken(f"zip 的目录无法读取，归档不完整或已损坏（{error}）") from None
        self._current: Optional[zipfile.ZipInfo] = None

    def __iter__(self) -> Iterator[Member]:
        """Go through the directory."""
        with self._zip:
            seen: Set[bytes] = set()
            for one in self._zip.infolist():
                self._current = one
                member = _member(one)
                if member.path in seen:
                    self._odd(member.path, "归档中有重名的成员")
                seen.add(member.path)
                if b".." in member.path.split(b"/") or member.path.startswith(b"/"):
                    self._odd(member.path, "路径指向归档之外，从不按此路径写出")
                if member.kind is Kind.OTHER:
                    self._odd(member.path, "符号链接或设备，已跳过")
                yield member

    def take(self, member: Member, sink: Any) -> None:
        """Read the current member to its CRC; raise `MemberDamage`."""
        entry = self._current
        assert entry is not None
        if entry.flag_bits & _ENCRYPTED:
            raise MemberDamage("已加密，没有口令")
        self._compare_heads(entry)
        limit = max(entry.compress_size * RATIO_MOST, RATIO_GRACE_BYTES)
        taken, read = 0, self._file.tell()
        try:
            with self._zip.open(entry) as file:
                for piece in iter(lambda: file.read(CHUNK_BYTES), b""):
                    taken += len(piece)
                    self._pace.take(max(self._file.tell() - read, 0))
                    read = self._file.tell()
                    if taken > limit:
                        raise MemberDamage(f"解压超过 {RATIO_MOST} 倍，疑为压缩炸弹，已停止")
                    sink.take(memoryview(piece))
        except DAMAGE as error:
            need_resources(str(error))
            raise MemberDamage(f"CRC 不符或数据损坏（{error}）") from None
        if taken != member.size_bytes:
            raise MemberDamage(f"应有 {member.size_bytes} 字节，读到 {taken} 字节")

    def _compare_heads(self, entry: zipfile.ZipInfo) -> None:
        """Hold a member's own header against the directory; the CRC covers neither."""
        self._file.seek(entry.header_offset)
        try:
            own = _LOCAL_HEAD.unpack(self._file.read(_LOCAL_HEAD.size))
        except struct.error:
            raise MemberDamage("成员的文件头不完整") from None
        _, _, flags, method, clock, day, crc, packed, size, name_bytes, _ = own
        name = self._file.read(name_bytes)
        is_sized = not flags & _SIZES_FOLLOW and _ZIP64 not in (packed, size)
        sizes = (entry.CRC, entry.compress_size, entry.file_size)
        is_same = (flags, method) == (entry.flag_bits, entry.compress_type)
        is_same = is_same and _moment(day, clock) == entry.date_time and name == _raw(entry)
        if not is_same or (is_sized and (crc, packed, size) != sizes):
            raise MemberDamage("成员的文件头与目录不符（CRC、长度、时间或名称）")

    def _odd(self, path: bytes, what: str) -> None:
        if len(self.oddities) < ODDITIES_MOST:
            self.oddities.append((path, what))


def _member(entry: zipfile.ZipInfo) -> Member:
    mode = entry.external_attr >> 16 & _FILE_TYPES
    kind = Kind.FOLDER if entry.is_dir() else Kind.FILE if mode in _REGULAR else Kind.OTHER
    return Member(_raw(entry), kind, entry.file_size, entry.compress_size, _written_s(entry))


def _raw(entry: zipfile.ZipInfo) -> bytes:
    return entry.orig_filename.encode("utf-8" if entry.flag_bits & _UTF8_NAME else "cp437")


def _moment(day: int, clock: int) -> Tuple[int, ...]:
    date = ((day >> 9) + 1980, (day >> 5) & 0xF, day & 0x1F)
    return (*date, clock >> 11, (clock >> 5) & 0x3F, (clock & 0x1F) * 2)


def _written_s(entry: zipfile.ZipInfo) -> float:
    try:
        return datetime(*entry.date_time, tzinfo=_BEIJING).timestamp()
    except ValueError:
        return 0.0

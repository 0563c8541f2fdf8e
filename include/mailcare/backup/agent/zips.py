"""The members of a zip by its directory, each read to its CRC; for Python 3.6, see `agent.tar`."""

import lzma
import os
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
_MEMBER = b"PK\3\4"
_TAIL_BYTES = 20 + 22 + 0xFFFF  # where the directory's place is told: Zip64 locator, end, comment
_WITH_END = 24 + len(_MEMBER)
_SIZES_FOLLOW = 0x8
_ZIP64 = 0xFFFFFFFF
_UTF8_NAME = 0x800
_ENCRYPTED = 0x1
_FILE_TYPES = 0o170000
_REGULAR = (0, 0o100000)
_KINDS = (*_REGULAR, 0o040000, 0o120000)  # files, folders, symbolic links
_BEIJING = timezone(timedelta(hours=8))


class ZipWalk:
    """The members of a zip, whose `file` stays its owner's; see `archives.Walk`."""

    method = "zip CRC-32"

    def __init__(self, file: Any, pace: Pace) -> None:
        self._file, self._pace = file, pace
        self.oddities: List[Tuple[bytes, str]] = []
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL_BYTES, 0))
            file.read()  # a disk's fault, which zipfile takes for no zip, raises here
            raise Broken(f"zip 的目录无法读取，归档不完整或已损坏（{error}）") from None
        self._current: Optional[zipfile.ZipInfo] = None
        self._unlike = ""  # how the current member's own header differs, until it is told
        self._spans: List[Tuple[int, int]] = []  # where members begin and end

    def __iter__(self) -> Iterator[Member]:
        """Go through the directory; raise `Broken` where it contradicts a member not taken.

        Nothing has a checksum over it, so every entry is held against the member's own header.
        """
        told = []
        for member in self._members():
            yield member
            if self._unlike:
                told.append("%s：%s" % (member.path.decode("utf-8", "replace"), self._unlike))
        told += self._unlisted()
        if told:
            raise Broken("zip 的目录与内容不符，共 %d 处（%s）" % (len(told), told[0]))

    def _members(self) -> Iterator[Member]:
        with self._zip:
            seen: Set[bytes] = set()
            for one in self._zip.infolist():
                self._current, self._unlike = one, self._unlikeness(one)
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
        if self._unlike:
            told, self._unlike = self._unlike, ""
            raise MemberDamage(told)
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

    def close(self) -> None:
        """Leave the file to its owner."""

    def _unlikeness(self, entry: zipfile.ZipInfo) -> str:
        """Say how a member's own header differs from the directory; empty where it does not.

        Where the member lies is kept for `_unlisted`.
        """
        self._file.seek(entry.header_offset)
        try:
            own = _LOCAL_HEAD.unpack(self._file.read(_LOCAL_HEAD.size))
        except struct.error:
            return "成员的文件头不完整"
        _, _, flags, method, clock, day, crc, packed, size, name_bytes, extra_bytes = own
        name = self._file.read(name_bytes)
        begin = entry.header_offset + _LOCAL_HEAD.size + name_bytes + extra_bytes
        self._spans.append((entry.header_offset, begin + entry.compress_size))
        is_sized = not flags & _SIZES_FOLLOW and _ZIP64 not in (packed, size)
        sizes = (entry.CRC, entry.compress_size, entry.file_size)
        is_same = (flags, method) == (entry.flag_bits, entry.compress_type)
        is_same = is_same and _moment(day, clock) == entry.date_time and name == _raw(entry)
        if not is_same or (is_sized and (crc, packed, size) != sizes):
            return "成员的文件头与目录不符（CRC、长度、时间或名称）"
        return "" if _type(entry) in _KINDS else "成员的类型无法识别"

    def _unlisted(self) -> List[str]:
        """Return where members begin that the directory does not list."""
        found, at = [], 0
        for begin, end in sorted([*self._spans, (self._zip.start_dir, self._zip.start_dir)]):
            self._file.seek(at)
            # Behind a member its checksum and sizes may follow, in 12 to 24 bytes.
            if begin > at and _MEMBER in self._file.read(min(begin - at, _WITH_END)):
                found.append("第 %d 字节起的成员不在目录中" % at)
            at = max(at, end)
        return found

    def _odd(self, path: bytes, what: str) -> None:
        if len(self.oddities) < ODDITIES_MOST:
            self.oddities.append((path, what))


def _member(entry: zipfile.ZipInfo) -> Member:
    is_file = _type(entry) in _REGULAR
    kind = Kind.FOLDER if entry.is_dir() else Kind.FILE if is_file else Kind.OTHER
    return Member(_raw(entry), kind, entry.file_size, entry.compress_size, _written_s(entry))


def _type(entry: zipfile.ZipInfo) -> int:
    return entry.external_attr >> 16 & _FILE_TYPES


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

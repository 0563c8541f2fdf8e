"""Read a tar as a stream, to the last byte: ustar, GNU long names, pax, sparse files.

The standard library's reader stops at the first end mark and so never meets a compressor's
checksum; this one drains. Nothing is ever written under a name from the archive. It reads archives
here and, sent along with the agent, on hosts with Python 3.6: no syntax that came after that.
"""

from enum import Enum
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple
from zlib import adler32

from mailcare.backup.agent.packed import Broken, TooMuch
from mailcare.backup.agent.script import Refused

BLOCK = 512
NAME_LIMIT_BYTES = 1024 * 1024
SPARSE_LIMIT_BYTES = 1024 * 1024 * 1024
ODDITIES_MOST = 50
_ZEROS = bytes(BLOCK)
_ORDINARY = frozenset((b"0", b"\0"))
_NO_CONTENT = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))
_PADDING = b"\0 "
_ZERO_RUN = bytes(1024 * 1024)
_ADLER_MODULUS = 65521


class TarDamage(Exception):
    """The archive ends too early or is no tar at some place; it says where."""


class MemberDamage(Exception):
    """One member of an archive cannot be read; the others can."""


class Kind(str, Enum):
    """What a member is."""

    FILE = "file"
    FOLDER = "folder"
    HARD_LINK = "hard_link"
    OTHER = "other"  # symbolic link, device, pipe


class Member(NamedTuple):
    """A member by its header; `size_bytes` is that of the file, `stored_bytes` that in the tar."""

    path: bytes
    kind: Kind
    size_bytes: int
    stored_bytes: int
    mtime_s: float
    link: bytes = b""
    sparse: Optional[Tuple[Tuple[int, int], ...]] = None


Take = Callable[[memoryview], None]
_FILE, _FOLDER = Kind.FILE, Kind.FOLDER


class TarStream:
    """The members of a tar; after the last of them the stream is at its end.

    `stream.block()` returns what comes next, as much of it as is worth a call; empty at the end.
    `oddities` are what a careful person would want to know, each with the path it is about: odd
    names, links, a lone zero block.
    """

    __slots__ = (
        "_before",
        "_block",
        "_from",
        "_left",
        "_pax",
        "_to",
        "_view",
        "oddities",
        "stream",
    )

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.oddities: List[Tuple[bytes, str]] = []
        self._before = 0  # bytes of the blocks before this one
        self._block = b""
        self._view = memoryview(b"")
        self._from = self._to = 0
        self._left = 0  # of the current member, padding included
        self._pax: Dict[str, bytes] = {}

    @property
    def method(self) -> str:
        """Return the name of the stream's checksum; empty where it has none."""
        return self.stream.method  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the stream."""
        self.stream.close()

    @property
    def position(self) -> int:
        """How many bytes were read of the archive."""
        return self._before + self._from

    def __iter__(self) -> Iterator[Member]:
        """Yield every member; what is not taken of its content is passed by.

        Behind a damage the rest is still unpacked: a compressor's checksum says whether its data
        were damaged, or were packed so.
        """
        try:
            yield from self._members()
        except ValueError:
            raise self._damage(f"第 {self.position} 字节处的扩展头无法读取") from None
        except TarDamage as damage:
            raise self._damage(str(damage)) from None

    def _damage(self, told: str) -> TarDamage:
        try:
            while self.stream.method and self._fill():
                pass
        except (Broken, TooMuch, Refused) as more:
            return TarDamage(f"{told}；{more}")
        return TarDamage(told)

    def _members(self) -> Iterator[Member]:
        following: Dict[str, bytes] = {}
        for header in iter(self._header, None):
            kind = header[156:157]
            if kind in _ORDINARY and not (following or self._pax):
                yield self._ordinary(header)
                self._pass()
            elif kind in (b"L", b"K"):
                following["path" if kind == b"L" else "linkpath"] = self._text(header).rstrip(b"\0")
            elif kind == b"x":
                following.update(_records(self._text(header)))
            elif kind == b"g":
                self._pax.update(_records(self._text(header)))
            else:
                member = self._member(header, dict(self._pax, **following))
                following = {}
                self._note(member)
                yield member
                self._pass()
        if following:
            raise TarDamage("结尾处有无主的扩展头")
        self._drain()

    def take(self, member: Member, sink: Any) -> None:
        """Hand the content of the current member to a sink, holes of a sparse file as zeros.

        Raise `MemberDamage` for a sparse file that would be too large.
        """
        each = sink.take
        if member.sparse is None:
            self._give(member.stored_bytes, each)
            return
        if member.size_bytes > SPARSE_LIMIT_BYTES:
            raise MemberDamage(f"稀疏文件声明 {member.size_bytes} 字节，未展开")
        at = 0
        for offset, length in member.sparse:
            _zeros(offset - at, each)
            self._give(length, each)
            at = offset + length
        _zeros(member.size_bytes - at, each)

    def _header(self) -> Optional[bytes]:
        block = self._exactly(BLOCK)
        if _is_checked(block):
            return block
        if block != _ZEROS:
            raise TarDamage(f"第 {self.position - BLOCK} 字节处的文件头校验和不符")
        if self._exactly(BLOCK) != _ZEROS:
            raise TarDamage(f"第 {self.position} 字节处只有一个零块，归档在此断裂")
        return None

    def _ordinary(self, header: bytes) -> Member:
        """Return the member that a header alone describes, as nearly every one does."""
        path = _path(header)
        try:
            size = int(header[124:136].rstrip(_PADDING), 8)
            mtime_s = int(header[136:148].rstrip(_PADDING), 8)
        except ValueError:
            size = mtime_s = -1
        if size < 0 or b".." in path or path[:1] == b"/":
            member = self._member(header, {})
            self._note(member)
            return member
        self._left = size + -size % BLOCK
        return Member(path, _FOLDER if path[-1:] == b"/" else _FILE, size, size, mtime_s)

    def _member(self, header: bytes, pax: Dict[str, bytes]) -> Member:
        flag = header[156:157]
        stored = int(pax.get("size", b"-1")) if "size" in pax else _number(header[124:136])
        if stored < 0:
            raise TarDamage(f"第 {self.position} 字节处的文件长度为负")
        if flag in _NO_CONTENT:
            stored = 0
        self._left = stored + -stored % BLOCK
        path = pax.get("GNU.sparse.name") or pax.get("path") or _path(header)
        size, sparse = stored, None
        if flag == b"S":
            size, sparse = self._old_sparse(header)
        elif "GNU.sparse.major" in pax or "GNU.sparse.map" in pax:
            size, sparse, stored = self._pax_sparse(pax, stored)
        return Member(
            path,
            _kind(flag, path),
            size,
            stored,
            _seconds(pax.get("mtime"), header[136:148]),
            pax.get("linkpath") or header[157:257].partition(b"\0")[0],
            sparse,
        )

    def _note(self, member: Member) -> None:
        steps = member.path.split(b"/")
        if b".." in steps:
            self._odd(member, "路径含 ..，从不按此路径写出")
        elif member.path.startswith(b"/"):
            self._odd(member, "绝对路径，从不按此路径写出")
        if member.kind is Kind.OTHER:
            self._odd(member, "符号链接、设备或管道，已跳过")
        elif member.kind is Kind.HARD_LINK and b".." in member.link.split(b"/"):
            self._odd(member, "硬链接指向归档之外，已跳过")
        if member.sparse is not None:
            self._odd(member, f"稀疏文件，声明 {member.size_bytes} 字节")

    def _odd(self, member: Member, what: str) -> None:
        if len(self.oddities) < ODDITIES_MOST:
            self.oddities.append((member.path, what))

    def _text(self, header: bytes) -> bytes:
        size = _number(header[124:136])
        if size > NAME_LIMIT_BYTES:
            raise TarDamage(f"第 {self.position} 字节处的扩展头过大（{size} 字节）")
        return self._exactly(-(-size // BLOCK) * BLOCK)[:size]

    def _old_sparse(self, header: bytes) -> Tuple[int, Tuple[Tuple[int, int], ...]]:
        pairs = _pairs(header[386:482])
        more = header[482] != 0
        while more:
            block = self._exactly(BLOCK)
            pairs += _pairs(block[:504])
            more = block[504] != 0
        return _checked_map(_number(header[483:495]), pairs)

    def _pax_sparse(
        self, pax: Dict[str, bytes], stored: int
    ) -> Tuple[int, Tuple[Tuple[int, int], ...], int]:
        size = int(pax.get("GNU.sparse.realsize") or pax.get("GNU.sparse.size") or b"0")
        if "GNU.sparse.map" in pax:
            numbers = [int(one) for one in pax["GNU.sparse.map"].split(b",")]
        else:
            numbers, read = self._map_in_front()
            stored -= read
        if len(numbers) % 2:
            raise TarDamage("稀疏文件的表自相矛盾")
        pairs = list(zip(numbers[::2], numbers[1::2]))
        return (*_checked_map(size, pairs), stored)

    def _map_in_front(self) -> Tuple[List[int], int]:
        text = self._content_block()
        count, _, rest = text.partition(b"\n")
        wanted, blocks = int(count) * 2, 1
        while rest.count(b"\n") < wanted:
            rest += self._content_block()
            blocks += 1
            if len(rest) > NAME_LIMIT_BYTES:
                raise TarDamage("稀疏文件的表过大")
        return [int(one) for one in rest.split(b"\n")[:wanted]], blocks * BLOCK

    def _content_block(self) -> bytes:
        self._left -= BLOCK
        return self._exactly(BLOCK)

    def _exactly(self, count: int) -> bytes:
        start, end = self._from, self._from + count
        if end <= self._to:
            self._from = end
            return self._block[start:end]
        parts = bytearray()
        while len(parts) < count:
            parts += self._some(count - len(parts))
        return bytes(parts)

    def _give(self, count: int, each: Take) -> None:
        self._left -= count
        start, end = self._from, self._from + count
        if end <= self._to:
            self._from = end
            each(self._view[start:end])
            return
        while count:
            piece = self._some(count)
            each(piece)
            count -= len(piece)

    def _pass(self) -> None:
        count, self._left = self._left, 0
        if self._from + count <= self._to:
            self._from += count
            return
        while count:
            count -= len(self._some(count))

    def _some(self, most: int) -> memoryview:
        """Return at least one byte and at most so many; raise `TarDamage` at the end."""
        if self._from == self._to and not self._fill():
            raise TarDamage(f"在第 {self.position} 字节处提前结束，归档不完整")
        end = min(self._to, self._from + most)
        piece = self._view[self._from : end]
        self._from = end
        return piece

    def _fill(self) -> int:
        self._before += self._to
        self._block = self.stream.block()
        self._view = memoryview(self._block)
        self._from, self._to = 0, len(self._block)
        return self._to

    def _drain(self) -> None:
        """Read to the very end, where a compressor keeps its checksum."""
        is_clean = not self._block[self._from :].strip(b"\0")
        while self._fill():
            is_clean = is_clean and not self._block.strip(b"\0")
        if not is_clean:
            raise TarDamage("归档结束标记之后还有数据：中间有一段变成了零，或后面接了别的归档")


def _is_checked(block: bytes) -> bool:
    stated_in = block[148:156]
    try:
        stated = _number(stated_in)
    except TarDamage:
        return False
    # The checksum counts its own field as spaces. Adler-32's lower half is one and the sum of the
    # bytes, at a twentieth of what `sum` takes.
    total = (adler32(block) & 0xFFFF) - (adler32(stated_in) & 0xFFFF) + 8 * 32
    if (total - stated) % _ADLER_MODULUS == 0:
        return True
    rest = block[:148] + b" " * 8 + block[156:]
    return sum(byte - 256 if byte > 127 else byte for byte in rest) == stated  # old Sun tars


def _number(text: bytes) -> int:
    try:
        return int(text.rstrip(_PADDING), 8)
    except ValueError:
        return _odd_number(text)


def _odd_number(text: bytes) -> int:
    if text[0] in (0x80, 0xFF):
        value = int.from_bytes(text[1:], "big")
        return value if text[0] == 0x80 else value - (1 << 8 * (len(text) - 1))
    try:
        return int(text.split(b"\0")[0].strip() or b"0", 8)
    except ValueError:
        raise TarDamage("文件头中的数字无法读取") from None


def _seconds(pax: Optional[bytes], text: bytes) -> float:
    try:
        return float(pax) if pax is not None else float(_number(text))
    except (ValueError, TarDamage):
        return 0.0


def _path(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    if not header[345] or header[257:263] != b"ustar\0":
        return name
    return header[345:500].partition(b"\0")[0] + b"/" + name


def _kind(flag: bytes, path: bytes) -> Kind:
    if flag == b"5" or (flag in (b"0", b"\0") and path.endswith(b"/")):
        return Kind.FOLDER
    if flag == b"1":
        return Kind.HARD_LINK
    return Kind.FILE if flag in (b"0", b"\0", b"7", b"S") else Kind.OTHER


def _records(text: bytes) -> Dict[str, bytes]:
    """Return the records of a pax header, `LENGTH KEY=VALUE` and a line end each."""
    found: Dict[str, bytes] = {}
    offsets: List[bytes] = []
    while text.strip(b"\0"):
        length, _, _ = text.partition(b" ")
        try:
            record, text = text[: int(length)], text[int(length) :]
            key, value = record[len(length) + 1 : -1].split(b"=", 1)
        except ValueError:
            raise TarDamage("pax 扩展头无法读取") from None
        if not record.endswith(b"\n"):
            raise TarDamage("pax 扩展头无法读取")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            offsets.append(value)
        found[key.decode("utf-8", "replace")] = value
    if offsets:
        found["GNU.sparse.map"] = b",".join(offsets)
    return found


def _pairs(text: bytes) -> List[Tuple[int, int]]:
    pairs = []
    for start in range(0, len(text) - 23, 24):
        entry = text[start : start + 24]
        if entry[0] == 0:
            break
        pairs.append((_number(entry[:12]), _number(entry[12:])))
    return pairs


def _checked_map(
    size: int, pairs: List[Tuple[int, int]]
) -> Tuple[int, Tuple[Tuple[int, int], ...]]:
    at = 0
    for offset, length in pairs:
        if offset < at or length < 0 or offset + length > size:
            raise TarDamage("稀疏文件的表自相矛盾")
        at = offset + length
    return size, tuple(pairs)


def _zeros(count: int, each: Take) -> None:
    run = memoryview(_ZERO_RUN)
    while count > 0:
        each(run[: min(count, len(run))])
        count -= len(run)

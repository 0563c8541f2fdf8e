"""Read an LDIF export of the account store (RFC 2849), hold it against the account list. Pure."""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from mailcare.backup.dumps import BadDump
from mailcare.backup.verdicts import Coverage, Judgement, Level, Remark, Weight, judged

_ADDRESSES = ("mail", "mailalternateaddress", "mailroutingaddress", "rfc822mailbox")
_SHOWN = 10
_ATTRIBUTE = re.compile(rb"([A-Za-z][\w-]*|\d+(\.\d+)*)(;[\w=*.-]+)*")
_SEARCHED = re.compile(rb"# LDAPv\d$")
_COUNTED = re.compile(rb"# numEntries: (\d+)$")


class BadLdif(BadDump):
    """A line that is not LDIF; its text says which."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its name, and its values by the attribute's name in lower case.

    `is_closed` where an empty line follows: else it may have had more lines.
    """

    name: str
    values: dict[str, tuple[str, ...]]
    is_closed: bool = True

    def addresses(self) -> frozenset[str]:
        """Return the mail addresses in it, in lower case."""
        found = (value for name in _ADDRESSES for value in self.values.get(name, ()))
        return frozenset(value.strip().lower() for value in found)

    def has_own_name(self) -> bool:
        """Tell whether the value that names it is among its values, as far as that can be seen."""
        attribute, _, value = self.name.partition(",")[0].partition("=")
        values = self.values.get(attribute.strip().lower())
        if values is None or set(value) & set("\\+#"):
            return True
        return _plain(value) in map(_plain, values)


def _plain(value: str) -> str:
    return " ".join(value.casefold().split())


def entries(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Yield the entries; raise `BadLdif` for what is none, or for fewer than there were."""
    searches, count = _Searches(), 0
    for block, is_closed in _blocks(_unfolded(lines), searches):
        for entry in _entry(block, is_closed=is_closed):
            count += 1
            yield entry
    searches.need(count)


@dataclass(slots=True)
class _Searches:
    """What ldapsearch says in comments: that it begins, and at the end how many entries came."""

    begun: int = 0
    ended: int = 0
    entries: int = 0

    def note(self, comment: bytes) -> None:
        self.begun += bool(_SEARCHED.match(comment))
        if found := _COUNTED.match(comment):
            self.ended += 1
            self.entries += int(found[1])

    def need(self, count: int) -> None:
        if self.begun > self.ended:
            raise BadLdif("缺少 ldapsearch 写在结尾的条目数，导出被截断")
        if self.ended and self.entries != count:
            raise BadLdif(f"ldapsearch 写明 {self.entries} 个条目，文件中有 {count} 个")


def _blocks(lines: Iterable[bytes], searches: _Searches) -> Iterator[tuple[list[bytes], bool]]:
    """Yield what is between empty lines, and whether one follows."""
    block: list[bytes] = []
    for line in lines:
        if line.startswith(b"#"):
            searches.note(line)
        elif line:
            block.append(line)
        else:
            yield block, True
            block = []
    yield block, False


def lines_of(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut blocks into lines; raise `BadLdif` where the last one has no end."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    if rest:
        raise BadLdif("最后一行没有结束，导出被截断")  # RFC 2849: every line ends in a separator


def _unfolded(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join folded lines."""
    whole: list[bytes] = []
    for raw in lines:
        line = raw.rstrip(b"\r\n")
        if not line.startswith(b" "):
            if whole:
                yield b"".join(whole)
            whole = [line]
        elif not whole or not whole[0]:
            raise BadLdif(f"续行之前没有内容：{_told(line)}")
        else:
            whole.append(line[1:])
    if whole:
        yield b"".join(whole)


def _entry(block: list[bytes], *, is_closed: bool) -> Iterator[Entry]:
    pairs = [_pair(line) for line in block if not line.lower().startswith(b"version:")]
    if not pairs or _is_of_search(pairs):
        return
    (name, dn), *rest = pairs
    if name != "dn":
        raise BadLdif(f"条目不以 dn 开头：{name}")
    twice = next((one for one, count in Counter(rest).items() if count > 1), None)
    if twice or any(attribute == "dn" for attribute, _ in rest):
        raise BadLdif(f"条目中重复出现 {twice[0] if twice else 'dn'}：{_text(dn)}")
    values: dict[str, tuple[str, ...]] = {}
    for attribute, value in rest:
        key = attribute.partition(";")[0]
        values[key] = (*values.get(key, ()), _text(value))
    if values.pop("changetype", ("add",)) != ("add",):
        raise BadLdif("是变更记录，不是导出")
    yield Entry(_text(dn), values, is_closed)


def _is_of_search(pairs: list[tuple[str, bytes]]) -> bool:
    """Tell whether a block is none of an entry, but what ldapsearch says of its search."""
    result = dict(pairs).get("result", b"0")
    if pairs[0][0] == "search" and not result.startswith(b"0"):
        raise BadLdif(f"ldapsearch 没有取完（{_text(result)}）")
    return pairs[0][0] in ("search", "ref")


def _pair(line: bytes) -> tuple[str, bytes]:
    name, colon, rest = line.partition(b":")
    if line == b"-":
        raise BadLdif("是变更记录，不是导出")
    if not colon or not _ATTRIBUTE.fullmatch(name) or b"\0" in rest:
        raise BadLdif(f"不是 LDIF 行：{_told(line)}")
    attribute = name.decode("ascii").lower()
    if not rest.startswith(b":"):
        _need_utf8(rest, attribute)
        return attribute, rest.strip()
    try:
        return attribute, base64.b64decode(rest[1:].strip(), validate=True)
    except binascii.Error:
        raise BadLdif(f"base64 有误：{attribute}") from None


def _need_utf8(value: bytes, attribute: str) -> None:
    try:
        value.decode()
    except UnicodeDecodeError:
        raise BadLdif(f"不是 UTF-8：{attribute}") from None


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _told(line: bytes) -> str:
    return _text(line[:60])


@dataclass(slots=True)
class _Read:
    """What was seen of an export: addresses, and what casts doubt on its being whole."""

    count: int = 0
    addresses: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    twice: int = 0
    misnamed: int = 0
    classless: int = 0
    is_closed: bool = True

    def take(self, one: Entry) -> None:
        self.count += 1
        self.addresses |= one.addresses()
        self.twice += _plain(one.name) in self.names
        self.names.add(_plain(one.name))
        self.misnamed += not one.has_own_name()
        self.classless += "objectclass" not in one.values
        self.is_closed = one.is_closed

    def doubts(self) -> Iterator[Remark]:
        is_asked = self.classless < self.count  # else no entry was asked for its class
        for text, count in (
            ("最后一个条目之后没有空行，不能证明它没有被截断", int(not self.is_closed)),
            (f"{self.twice} 个条目重复出现，导出可能拼接有误", self.twice),
            (f"{self.misnamed} 个条目的名称与其属性不符", self.misnamed),
            (f"{self.classless} 个条目缺 objectClass，不能证明齐全", self.classless * is_asked),
        ):
            if count:
                yield Remark("doubt", text, Weight.DEGRADES)


def judge_ldif(lines: Iterable[bytes], accounts: Collection[str]) -> Judgement:
    """Say whether every account is in the export; without accounts only that it can be read."""
    read = _Read()
    try:
        for one in entries(lines):
            read.take(one)
    except BadDump as error:
        remark = Remark("ldif", f"无法解析（第 {read.count + 1} 个条目）：{error}", Weight.FAILS)
        return judged(Level.L4, Coverage(1, 1, bad=1), (remark,))
    return _held(read, {one.lower() for one in accounts})


def _held(read: _Read, accounts: set[str]) -> Judgement:
    text = f"解析 {read.count} 个条目，其中邮件地址 {len(read.addresses)} 个"
    told = (Remark("ldif", text, Weight.NOTE), *read.doubts())
    if not accounts:
        readable = Coverage(read.count, read.count, ok=read.count)
        text = "没有账号列表可比，只证明可以读出，不能证明齐全"
        return judged(Level.L4, readable, (*told, Remark("unlisted", text, Weight.DEGRADES)))
    missing = sorted(accounts - read.addresses)
    coverage = Coverage(
        len(accounts), len(accounts), ok=len(accounts) - len(missing), bad=len(missing)
    )
    absent = [Remark("account", f"导出中没有账号 {one}", Weight.FAILS) for one in missing[:_SHOWN]]
    text = f"已与账号列表的 {len(accounts)} 个账号核对；其他内容是否缺失，导出本身不能证明"
    return judged(Level.L4, coverage, (*told, Remark("listed", text, Weight.NOTE), *absent))

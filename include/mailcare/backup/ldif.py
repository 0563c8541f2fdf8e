"""Read an LDIF export of the account store (RFC 2849), hold it against the account list. Pure."""

import base64
import binascii
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from mailcare.backup.dumps import BadDump
from mailcare.backup.verdicts import Coverage, Judgement, Level, Remark, Weight, judged

_ADDRESSES = ("mail", "mailalternateaddress", "mailroutingaddress", "rfc822mailbox")
_SHOWN = 10


class BadLdif(BadDump):
    """A line that is not LDIF; its text says which."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its name, and its values by the attribute's name in lower case."""

    name: str
    values: dict[str, tuple[str, ...]]

    def addresses(self) -> frozenset[str]:
        """Return the mail addresses in it, in lower case."""
        found = (value for name in _ADDRESSES for value in self.values.get(name, ()))
        return frozenset(value.strip().lower() for value in found)


def entries(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Yield the entries; raise `BadLdif` for what is none."""
    block: list[bytes] = []
    for line in _unfolded(lines):
        if line:
            block.append(line)
        else:
            yield from _entry(block)
            block = []
    yield from _entry(block)


def lines_of(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut blocks into lines; raise `BadLdif` where the last one has no end."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    if rest:
        raise BadLdif("最后一行没有结束，导出被截断")  # RFC 2849: every line ends in a separator


def _unfolded(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join folded lines and leave comments out."""
    whole: bytes | None = None
    for raw in lines:
        line = raw.rstrip(b"\r\n")
        if line.startswith(b" ") and whole is not None:
            whole += line[1:]
            continue
        if whole is not None and not whole.startswith(b"#"):
            yield whole
        whole = line
    if whole is not None and not whole.startswith(b"#"):
        yield whole


def _entry(block: list[bytes]) -> Iterator[Entry]:
    pairs = [_pair(line) for line in block if not line.lower().startswith(b"version:")]
    if not pairs:
        return
    name, dn = pairs[0]
    if name != "dn":
        raise BadLdif(f"条目不以 dn 开头：{name}")
    values: dict[str, tuple[str, ...]] = {}
    for attribute, value in pairs[1:]:
        values[attribute] = (*values.get(attribute, ()), value)
    yield Entry(dn, values)


def _pair(line: bytes) -> tuple[str, str]:
    name, colon, rest = line.partition(b":")
    if not colon or not name:
        raise BadLdif(f"不是 LDIF 行：{line[:60].decode('utf-8', 'replace')}")
    attribute = name.decode("utf-8", "replace").partition(";")[0].lower()
    if not rest.startswith(b":"):
        return attribute, rest.strip().decode("utf-8", "replace")
    try:
        value = base64.b64decode(rest[1:].strip(), validate=True)
    except binascii.Error:
        raise BadLdif(f"base64 有误：{attribute}") from None
    return attribute, value.decode("utf-8", "replace")


def judge_ldif(lines: Iterable[bytes], accounts: Collection[str]) -> Judgement:
    """Say whether every account is in the export; without accounts only that it can be read."""
    found: set[str] = set()
    count = 0
    try:
        for one in entries(lines):
            count += 1
            found |= one.addresses()
    except BadDump as error:
        remark = Remark("ldif", f"无法解析（第 {count + 1} 个条目）：{error}", Weight.FAILS)
        return judged(Level.L4, Coverage(1, 1, bad=1), (remark,))
    return _held(count, found, {one.lower() for one in accounts})


def _held(count: int, found: set[str], accounts: set[str]) -> Judgement:
    told = Remark("ldif", f"解析 {count} 个条目，其中邮件地址 {len(found)} 个", Weight.NOTE)
    if not accounts:
        readable = Coverage(count, count, ok=count)
        text = "没有账号列表可比，只证明可以读出，不能证明齐全"
        return judged(Level.L4, readable, (told, Remark("unlisted", text, Weight.DEGRADES)))
    missing = sorted(accounts - found)
    coverage = Coverage(
        len(accounts), len(accounts), ok=len(accounts) - len(missing), bad=len(missing)
    )
    absent = [Remark("account", f"导出中没有账号 {one}", Weight.FAILS) for one in missing[:_SHOWN]]
    return judged(Level.L4, coverage, (told, *absent))

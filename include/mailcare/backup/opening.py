"""Open what came back: a test of being mail that cannot be passed by nothing at all.

The parser of the standard library never fails on rubbish, so "it parses" proves nothing. A message
is mail when it has one of the fields that every mail has, an end of its header, the length that its
name states, and more in it than zeros.
"""

import hashlib
import io
import re
from dataclasses import dataclass
from email import policy
from email.errors import MissingHeaderBodySeparatorDefect
from email.message import Message
from email.parser import BytesParser
from enum import StrEnum

from mailcare.backup.agent.script import is_sealed, looks_like_mail
from mailcare.backup.packing import BadPacking, unpacked
from mailcare.backup.source import SEALED

HEAD_LIMIT_BYTES = 1024 * 1024
HEAD_LIMIT_LINES = 10_000
ZERO_RUN = bytes(512)  # no mail has one (RFC 5322, 2.1): a block that was never written
ZEROS_PER_MILLE = 1  # nor many single ones: in ciphertext each 256th byte is one
_MARKS = ("from", "date", "message-id", "received")
_HEAD_END = re.compile(rb"\r?\n\r?\n|\r\r")
_FROM_LINE = re.compile(rb"\A>?From [^\n]*\n")


class Outcome(StrEnum):
    """What a restored message turned out to be.

    `CUT` is mail of another length than its name states. `INTACT` could not be taken apart, though
    its bytes may be those that were stored: a matter of the mail, not of the backup. `SEALED` can
    be opened by its server alone.
    """

    MAIL = "mail"
    CUT = "cut"
    NOT_MAIL = "not_mail"
    INTACT = "intact"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class Opened:
    """A message after the test: what it is, why not more, and the digests for a comparison."""

    outcome: Outcome
    reason: str = ""
    sha256: str = ""
    normal_sha256: str = ""
    size_bytes: int = 0


def normal_digest(data: bytes) -> str:
    """Return the SHA-256 of a message with its line ends as LF, in hex: IMAP speaks CRLF."""
    return hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()


def open_message(data: bytes, *, stated: int | None = None) -> Opened:
    """Take a message apart and say what it is; `stated` is the size that its name states."""
    try:
        outcome, reason = _judge(text_of(data, stated), stated)
    except BadPacking as error:
        outcome, reason = Outcome.NOT_MAIL, str(error)
    digest = hashlib.sha256(data).hexdigest()
    return Opened(outcome, reason, digest, normal_digest(data), len(data))


def text_of(data: bytes, stated: int | None) -> bytes:
    """Return the text of a message, where the server keeps it compressed, too.

    Raise `BadPacking` for a compressed one that is damaged.
    """
    if looks_like_mail(data[:HEAD_LIMIT_BYTES]):
        return data
    text = unpacked(io.BytesIO(data), data[:8], stated=stated)
    return data if text is None else text


def _judge(data: bytes, stated: int | None) -> tuple[Outcome, str]:
    return _by_its_bytes(data) or _by_its_head(data, stated)


def _by_its_bytes(data: bytes) -> tuple[Outcome, str] | None:
    """Say what a message is where that needs no look at its head."""
    if not data:
        return Outcome.NOT_MAIL, "空文件"
    if not data.strip(b"\0"):
        return Outcome.NOT_MAIL, "全部是零字节"
    if is_sealed(data):
        return Outcome.SEALED, SEALED
    if ZERO_RUN in data:
        return Outcome.NOT_MAIL, "含有成片的零字节，没有写完"
    return None


def _by_its_head(data: bytes, stated: int | None) -> tuple[Outcome, str]:
    body = _FROM_LINE.sub(b"", data)
    end = _HEAD_END.search(body, 0, HEAD_LIMIT_BYTES)
    head = body[: end.start() if end else HEAD_LIMIT_BYTES]
    if not looks_like_mail(head):
        return Outcome.NOT_MAIL, "没有 From、Date、Message-ID、Received 中的任何一行"
    if data.count(b"\0") > max(1, ZEROS_PER_MILLE * len(data) // 1000):
        return Outcome.NOT_MAIL, "正文中有大量零字节，不是邮件的正文，疑遭加密或覆盖"
    if stated is not None and stated != len(data):
        return Outcome.CUT, f"长 {len(data)} 字节，文件名注明 {stated} 字节"
    if (end is None and len(body) > HEAD_LIMIT_BYTES) or head.count(b"\n") > HEAD_LIMIT_LINES:
        return Outcome.INTACT, "邮件头过大，未解析"
    if end is None and not body.endswith((b"\n", b"\r")):
        return Outcome.NOT_MAIL, "邮件头没有正常结束"
    return _parsed(body)


def _parsed(body: bytes) -> tuple[Outcome, str]:
    try:
        message = BytesParser(policy=policy.compat32).parsebytes(body)
        parts = sum(1 for _ in message.walk())
    except RecursionError:
        return Outcome.INTACT, "MIME 嵌套过深，未解析"
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        # What the standard library raises for odd mail differs from version to version.
        return Outcome.INTACT, f"无法解析（{type(error).__name__}）"
    if any(isinstance(one, MissingHeaderBodySeparatorDefect) for one in message.defects):
        return Outcome.NOT_MAIL, "邮件头没有正常结束"
    if not (parts and _has_mark(message)):
        return Outcome.NOT_MAIL, "没有 From、Date、Message-ID、Received 中的任何一行"
    return Outcome.MAIL, ""


def _has_mark(message: Message) -> bool:
    return any(str(message.get(name, "")).strip() for name in _MARKS)

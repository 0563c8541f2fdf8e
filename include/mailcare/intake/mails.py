"""Read what a stranger sent as a mail: whatever the bytes are, something readable comes out."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser
from html.parser import HTMLParser
from itertools import islice

FILES_MOST = 20
TEXT_CHARACTERS_MOST = 20_000
LINE_CHARACTERS_MOST = 500
PARTS_MOST = 200
# What mail programs call it, and the larger set that holds all of it.
CHARSETS = {"gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "gb_2312-80": "gb18030"}
AUTOMATIC_HEADERS = ("X-Autoreply", "X-Autorespond", "X-Auto-Reply", "X-Failed-Recipients")
AUTOMATIC_PRECEDENCES = ("auto_reply", "bulk", "junk", "list")
REFERENCE = re.compile(r"<[^<>\s]{1,500}>")
# The library's own parser recurses once a bracket, and a stranger chooses how many there are.
IN_BRACKETS = re.compile(r"<([^<>\s@]{1,64}@[^<>\s@]{1,255})>")
BARE = re.compile(r"[^<>\s@,;:()\"]{1,64}@[^<>\s@,;:()\"]{1,255}")
REPORTED = re.compile(r"^Message-ID:\s*(<[^<>\s]{1,500}>)", re.IGNORECASE | re.MULTILINE)
UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # what PostgreSQL keeps in no text
TAG = re.compile(r"<[^<>]*>")
UNREADABLE = (ValueError, TypeError, LookupError, MessageError)
FAULT_NUMBER = re.compile(r"GZ-\d{4}-\d{5,}")


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that came along; `name` as the sender wrote it."""

    name: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as far as it can be read.

    `sender` is a bare address in lower case (empty: none could be read), `references` the
    Message-IDs that it answers, `is_automatic` tells that no person wrote it, `bounced` are the
    Message-IDs of letters that it reports as not delivered, `diagnosis` what the refusing server
    said (empty: that is not told).
    """

    key: str
    message_id: str | None
    sender: str
    subject: str
    text: str
    references: tuple[str, ...]
    fault_number: str | None
    is_automatic: bool
    bounced: tuple[str, ...]
    diagnosis: str
    files: tuple[SentFile, ...]


def read_mail(raw: bytes) -> Mail:
    """Read a mail; nothing in it raises an error."""
    try:
        return _read(message_from_bytes(raw), raw)
    except RecursionError:  # parts in parts without end: who wrote it is readable all the same
        return _read(BytesHeaderParser().parsebytes(raw), raw)


def read_references(raw: bytes) -> tuple[str, ...]:
    """Return the Message-IDs that a mail answers; its body is not looked at."""
    return _references(BytesHeaderParser().parsebytes(raw))


def _read(message: Message, raw: bytes) -> Mail:
    subject = _header(message, "Subject")
    sender = _address(_header(message, "From"))
    named = REFERENCE.findall(_plain(message, "Message-ID"))
    number = FAULT_NUMBER.search(subject)
    return Mail(
        key=_key(message, raw),
        message_id=named[0] if named else None,
        sender=sender,
        subject=subject or "（无主题）",
        text=_text(message),
        references=_references(message),
        fault_number=number[0] if number else None,
        is_automatic=_is_automatic(message),
        bounced=_bounced(message),
        diagnosis=_diagnosis(message),
        files=tuple(_files(message)),
    )


def _key(message: Message, raw: bytes) -> str:
    """Return what makes a mail one: its Message-ID with what a copy shares, else its bytes.

    The Message-ID alone would let a stranger keep a later mail out by sending its number first.
    """
    identity = _plain(message, "Message-ID")
    if not identity:
        return f"sha256:{hashlib.sha256(raw).hexdigest()}"
    shared = "\n".join([identity, *(_plain(message, name) for name in ("From", "Subject", "Date"))])
    return f"mail:{hashlib.sha256(shared.encode('utf-8', 'replace')).hexdigest()}"


def _address(said: str) -> str:
    found = IN_BRACKETS.search(said)
    bare = BARE.search(said)
    return (found[1] if found else bare[0] if bare else "").lower()


def _references(message: Message) -> tuple[str, ...]:
    named = f"{_plain(message, 'In-Reply-To')} {_plain(message, 'References')}"
    return tuple(dict.fromkeys(REFERENCE.findall(named)))[:50]


def _is_automatic(message: Message) -> bool:
    """Tell whether a program wrote it: RFC 3834, the usual headers before it, and bounces."""
    submitted = _plain(message, "Auto-Submitted").split(";")[0].strip().lower()
    if submitted and submitted != "no":
        return True
    if any(message.get(name) is not None for name in AUTOMATIC_HEADERS):
        return True
    if _plain(message, "Precedence").strip().lower() in AUTOMATIC_PRECEDENCES:
        return True
    is_bounce = _plain(message, "Return-Path").strip() == "<>"
    return is_bounce or message.get_content_type() == "multipart/report"


def _bounced(message: Message) -> tuple[str, ...]:
    """Return the Message-IDs that a delivery report (RFC 3464) says were not delivered for good."""
    if message.get_content_type() != "multipart/report":
        return ()
    parts = list(islice(message.walk(), PARTS_MOST))
    has_failed = any(_plain(part, "Action").strip().lower() == "failed" for part in parts)
    named = [_plain(part, "Message-ID") for part in parts[1:]]
    named += [
        _decoded(_body(part), None)
        for part in parts
        if part.get_content_type() == "text/rfc822-headers"
    ]
    found = REPORTED.findall("\n".join(f"Message-ID: {one}" for one in named))
    return tuple(dict.fromkeys(found)) if has_failed else ()


def _diagnosis(message: Message) -> str:
    """Return what a delivery report says of the first recipient who was not reached for good."""
    for part in islice(message.walk(), PARTS_MOST):
        if _plain(part, "Action").strip().lower() == "failed":
            code = _header(part, "Diagnostic-Code").partition(";")  # its type stands before
            return code[2].strip() or _header(part, "Status")
    return ""


def _plain(message: Message, name: str) -> str:
    """Return a header as it stands; bytes that are no text are replaced."""
    return _storable(str(message.get(name, "")))


def _storable(text: str) -> str:
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _header(message: Message, name: str) -> str:
    """Return a header in one line, its encoded words read."""
    try:
        parts = decode_header(message.get(name, ""))
    except UNREADABLE:  # a word that is encoded wrongly
        parts = [(_plain(message, name), None)]
    read = "".join(
        _decoded(part, charset) if isinstance(part, bytes) else part for part, charset in parts
    )
    return " ".join(_storable(read).split())[:LINE_CHARACTERS_MOST]


def _decoded(body: bytes, charset: str | None) -> str:
    return _storable(_in_charset(body, charset))


def _in_charset(body: bytes, charset: str | None) -> str:
    name = (charset or "utf-8").strip().lower()
    if name in ("", "us-ascii", "ascii", "unknown-8bit", "utf-8", "utf8"):
        return _guessed(body)
    try:
        return body.decode(CHARSETS.get(name, name), "replace")
    except (LookupError, ValueError):  # no such charset, or one that is none of texts
        return _guessed(body)


def _guessed(body: bytes) -> str:
    """Read bytes of unnamed charset: UTF-8 where it is that, else the Chinese standard."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("gb18030", "replace")


def _text(message: Message) -> str:
    plain = _first(message, "text/plain")
    text = plain if plain.strip() else _stripped(_first(message, "text/html"))
    return text.replace("\r\n", "\n").strip()[:TEXT_CHARACTERS_MOST]


def _first(message: Message, content_type: str) -> str:
    for part in _parts(message):
        if part.get_content_type() == content_type and not _given_name(part):
            return _decoded(_body(part), _charset(part))
    return ""


def _given_name(part: Message) -> str:
    try:
        return part.get_filename() or ""
    except UNREADABLE:  # a name in a charset that cannot even be looked for
        return ""


def _charset(part: Message) -> str | None:
    try:
        return part.get_content_charset()
    except UNREADABLE:
        return None


def _parts(message: Message) -> Iterator[Message]:
    for number, part in enumerate(message.walk()):
        if number >= PARTS_MOST:
            return
        if not part.is_multipart():
            yield part


def _body(part: Message) -> bytes:
    try:
        body = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError):
        return b""
    return body if isinstance(body, bytes) else b""


def _files(message: Message) -> Iterator[SentFile]:
    found = 0
    for part in _parts(message):
        name = _file_name(part)
        if name and found < FILES_MOST:
            found += 1
            yield SentFile(name, _body(part))


def _file_name(part: Message) -> str:
    try:
        parts = decode_header(_given_name(part))
    except UNREADABLE:
        return "附件" if part.get_content_disposition() == "attachment" else ""
    read = "".join(
        _decoded(piece, charset) if isinstance(piece, bytes) else piece for piece, charset in parts
    )
    is_attached = part.get_content_disposition() == "attachment"
    return _storable(read) or ("附件" if is_attached else "")


class _Words(HTMLParser):
    """Collect the words of a page, without its scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._hidden += tag in ("script", "style")
        if tag in ("br", "p", "div", "tr", "li"):
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style") and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


def _stripped(html: str) -> str:
    beginning, words = html[: 10 * TEXT_CHARACTERS_MOST], _Words()
    try:
        words.feed(beginning)
    except AssertionError:  # the parser's own word for a declaration that it does not know
        words = _Words()
        words.handle_data(TAG.sub("\n", beginning))
    lines = (" ".join(line.split()) for line in "".join(words.words).split("\n"))
    return "\n".join(line for line in lines if line)

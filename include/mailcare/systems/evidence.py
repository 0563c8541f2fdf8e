"""Files handed in as evidence: what they may be, told by their content and not by their name."""

from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from io import BytesIO
from zipfile import BadZipFile, ZipFile

from mailcare.errors import InputError

EVIDENCE_BYTES_MOST = 10 * 1024 * 1024
NAME_CHARACTERS_MOST = 120
KINDS_SAID = "PDF、PNG、JPG、EML、DOCX、OFD"
WORD_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
MAIL_HEADERS = ("From", "Date")
WORD_MEMBERS = frozenset({"[Content_Types].xml", "word/document.xml"})
OFD_MEMBERS = frozenset({"OFD.xml"})  # GB/T 33190-2016, 7.4


@dataclass(frozen=True, slots=True)
class Evidence:
    """A file that was handed in; `name` is safe to show and to offer as a file name."""

    name: str
    media_type: str
    body: bytes


def read_evidence(name: str, body: bytes) -> Evidence:
    """Check a file that was handed in; raise `InputError` for one that is not taken."""
    if not body:
        raise InputError("文件是空的")
    if len(body) > EVIDENCE_BYTES_MOST:
        raise InputError(f"文件超过 {EVIDENCE_BYTES_MOST // 1024**2} MiB")
    media_type = next((kind for kind, is_one in KINDS.items() if is_one(body)), None)
    if media_type is None:
        raise InputError(f"只收 {KINDS_SAID} 文件（按内容识别，不看扩展名）")
    return Evidence(_plain(name), media_type, body)


def _plain(name: str) -> str:
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(one for one in last if one.isprintable() and one not in '"<>|:*?;')
    return shown[-NAME_CHARACTERS_MOST:].strip() or "evidence"


def _zip_with(members: frozenset[str]) -> Callable[[bytes], bool]:
    def is_one(body: bytes) -> bool:
        if not body.startswith(b"PK\x03\x04"):
            return False
        try:
            with ZipFile(BytesIO(body)) as packed:
                return set(packed.namelist()) >= members
        except (BadZipFile, NotImplementedError, ValueError):  # ValueError: a name that is no text
            return False

    return is_one


def _is_mail(body: bytes) -> bool:
    head = body[:65536].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    if b"\0" in head or head.lstrip().startswith(b"<"):
        return False
    message = message_from_bytes(head + b"\n\n", policy=default)
    return all(name in message for name in MAIL_HEADERS)


def _starts_with(magic: bytes) -> Callable[[bytes], bool]:
    return lambda body: body.startswith(magic)


KINDS: dict[str, Callable[[bytes], bool]] = {
    "application/pdf": _starts_with(b"%PDF-"),
    "image/png": _starts_with(b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": _starts_with(b"\xff\xd8\xff"),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": _zip_with(
        WORD_MEMBERS
    ),
    "application/ofd": _zip_with(OFD_MEMBERS),
    "message/rfc822": _is_mail,
}

"""Mails as a transcript holds them: base64, line by line, from a server that may have lied."""

import base64
import binascii
from collections.abc import Iterable, Iterator

_TELLING = ("diagnostic-code:", "status:", "remote-mta:", "action:")


def decode_mail(lines: Iterable[str]) -> bytes:
    """Return the mail, empty where the lines are not base64."""
    try:
        return base64.b64decode("".join(lines), validate=True)
    except (ValueError, binascii.Error):
        return b""


def headers_of(message: bytes) -> tuple[str, ...]:
    """Return the lines of a mail's header, as they are."""
    head = message.partition(b"\r\n\r\n")[0].decode("utf-8", "backslashreplace")
    return tuple(head.splitlines())


def bounce_lines(message: bytes) -> tuple[str, ...]:
    """Return what a bounce tells of the delivery (RFC 3464), each field in one line."""
    return tuple(_telling(message.decode("utf-8", "backslashreplace").splitlines()))


def diagnosis(lines: Iterable[str]) -> str:
    """Return the server's own words among the lines of a bounce, else its status."""
    fields = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}
    return fields.get("diagnostic-code") or fields.get("status", "")


def _telling(lines: Iterable[str]) -> Iterator[str]:
    field = ""
    for line in lines:
        if field and line[:1] in (" ", "\t") and line.strip():
            field = f"{field} {line.strip()}"
            continue
        if field:
            yield field
        field = line.strip() if line.lower().startswith(_TELLING) else ""
    if field:
        yield field

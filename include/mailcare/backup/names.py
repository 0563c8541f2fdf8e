"""Names of files and mailboxes: bytes as they are, and as people can read them."""

import re
from datetime import UTC, datetime

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_STATED_SIZE = re.compile(rb",S=(\d+)")


def shown(raw: bytes) -> str:
    """Return a name for people: UTF-8, else what it is in GB18030, with the bytes in hex behind.

    Control characters are written out; two different names are never shown alike.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        guess = raw.decode("gb18030", "replace")
        return f"{_visible(guess)}〔{raw.hex()}〕"
    visible = _visible(text)
    return visible if visible == text else f"{visible}〔{raw.hex()}〕"


def _visible(text: str) -> str:
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


def sane_moment_s(seconds: float) -> float:
    """Return a file's time, held to what a mail can have: not before 1990, not after 2100."""
    return min(max(seconds, EARLIEST.timestamp()), LATEST.timestamp())


def moment_of(seconds: float) -> datetime:
    """Return a file's time as a moment, held to what a mail can have."""
    return datetime.fromtimestamp(sane_moment_s(seconds), UTC)


def stated_bytes(name: bytes) -> int | None:
    """Return the size that a Maildir++ file name states (`,S=`), None where it states none."""
    found = _STATED_SIZE.search(name)
    return int(found[1]) if found else None

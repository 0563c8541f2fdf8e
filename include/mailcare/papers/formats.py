"""How values look on paper: moments in Beijing time, numbers, blanks, and texts of strangers."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from functools import cache
from itertools import accumulate, takewhile

from mailcare.clock import BEIJING

BLANK = "/"
_KIBI = 1024
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
_KEPT = frozenset("\n\t")
# Look-alikes that share a glyph with the everyday character: left in, the everyday one would be
# extracted from the PDF as the look-alike, and a search for 客户 would fail.
_LOOK_ALIKES = ((0x2E80, 0x2FDF), (0xF900, 0xFAFF), (0xA0, 0xA0), (0x2F800, 0x2FA1F))


def moment(value: str) -> str:
    """Write an ISO moment with its offset as Beijing time, to the minute, the zone named."""
    return f"{_local(value):%Y年%-m月%-d日 %H:%M}（北京时间）"


def minute(value: str) -> str:
    """Write an ISO moment as a form's field has it, 2026-10-01 18:20, Beijing time; "" stays so.

    The zone is named once on the paper.
    """
    return f"{_local(value):%Y-%m-%d %H:%M}" if value else ""


def until(value: str) -> str:
    """Write the end of a time limit as `minute` does; a midnight is 24:00 of the day before."""
    if not value or (at := _local(value)).time() != time.min:
        return minute(value)
    return f"{at - timedelta(days=1):%Y-%m-%d} 24:00"


def day(value: str) -> str:
    """Write the day of an ISO moment in Beijing."""
    return f"{_local(value):%Y年%-m月%-d日}"


def hour(value: str) -> str:
    """Write an ISO moment in Beijing time to the hour, as the forms of the service plan do."""
    return f"{_local(value):%Y 年 %-m 月 %-d 日 %-H 时}"


def period(started_at: str, finished_at: str) -> str:
    """Write a span of two ISO moments in Beijing time; the day is not repeated."""
    start, end = _local(started_at), _local(finished_at)
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y年%-m月%-d日 %H:%M}"
    return f"{start:%Y年%-m月%-d日 %H:%M} 至 {until}（北京时间）"


def _local(value: str) -> datetime:
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError(f"{value} has no zone")
    return at.astimezone(BEIJING)


def blank(value: object) -> object:
    """Return 「/」 in place of nothing: a field never stands empty. Zero is not nothing."""
    return BLANK if value is None or value == "" else value


def long(text: str | Sequence[str], fit: int) -> str:
    """Return the class of a table's row that may break: where more than `fit` characters are in it.

    A row that is taller than its page would take the table's head with it.
    """
    size = len(text) if isinstance(text, str) else sum(map(len, text))
    return "long" if size > fit else ""


def number(value: float) -> str:
    """Write a number with thousands apart and no more than two decimals."""
    return f"{value:,.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:,.0f}"


def quantity(value: float, unit: str) -> str:
    """Write a number with its unit; bytes in the binary multiple that suits them."""
    if unit == "字节":
        return _bytes(value)
    return f"{number(value)} {unit}".rstrip()


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < _KIBI:
            return f"{number(round(value, 1))} {unit}"
        value /= _KIBI
    return f"{number(round(value, 1))} TiB"


def columns(text: str) -> int:
    """Return how wide a text is in half-width columns; Chinese characters and marks take two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WFA" else 1 for one in text)


def cut_columns(text: str, width: int) -> str:
    """Return the head of the text that fits into so many columns, with a cut marked."""
    if columns(text) <= width:
        return text
    fitting = takewhile(lambda taken: taken <= width - 2, accumulate(map(columns, text)))
    return f"{text[: len(list(fitting))]}…"


def visible(text: str) -> str:
    r"""Make every character show: controls and bidi marks as \x1b or \u202e, look-alikes plain.

    A reply from a customer's host can hold anything; on paper it must neither vanish nor turn the
    line around it.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


@cache
def _visible(character: str) -> str:
    code = ord(character)
    if any(low <= code <= high for low, high in _LOOK_ALIKES):
        return unicodedata.normalize("NFKC", character)
    if unicodedata.category(character) in _INVISIBLE and character not in _KEPT:
        return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
    return character

"""The order of version numbers, as dpkg, rpm and the makers of programs have it.

Each `compare_…` returns -1, 0 or 1 where the first version is older than, as old as or newer than
the second. Each order is total: whatever text is given has a place in it.
"""

import re
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TypeVar

PartT = TypeVar("PartT", bound="tuple[object, ...]")
Number = tuple[int, str]  # how many digits, and they themselves: no number is too long
DebPart = tuple[tuple[int, ...], Number]
RpmPart = tuple[int, Number]

_DEB_PART = re.compile(r"([^0-9]*)([0-9]*)")
_RPM_PART = re.compile(r"[~^]|[0-9]+|[A-Za-z]+")
_DIGITS = re.compile(r"[0-9]+")
_ZERO: Number = (0, "")
_DEB_END: DebPart = ((0,), _ZERO)
_RPM_END: RpmPart = (0, _ZERO)
_RPM_SIGNS: dict[str, RpmPart] = {"~": (-1, _ZERO), "^": (1, _ZERO)}
_LETTERS, _NUMBER = 2, 3
_BEYOND_LETTERS = 0x200000  # dpkg puts all other signs behind the letters


def compare_deb(one: str, other: str) -> int:
    """Order two versions of Debian packages, `EPOCH:VERSION-REVISION` (deb-version(7))."""
    return _compare_parts(one, other, compare=_compare_deb_text)


def compare_rpm(one: str, other: str) -> int:
    """Order two versions of RPM packages, `EPOCH:VERSION-RELEASE` (rpm-version(7))."""
    return _compare_parts(one, other, compare=_compare_rpm_text)


def compare_upstream(one: str, other: str) -> int:
    """Order two dotted numbers of a maker; a missing number is 0, what is no number left out."""
    first, second = ([_number(text) for text in _DIGITS.findall(each)] for each in (one, other))
    return _first_difference(first, second, end=_ZERO)


def _compare_parts(one: str, other: str, *, compare: Callable[[str, str], int]) -> int:
    pairs = zip(_split(one), _split(other), strict=True)
    return next((order for order in (compare(*pair) for pair in pairs) if order), 0)


def _split(version: str) -> tuple[str, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    return (epoch, upstream, revision) if dash else (epoch, rest, "")


def _compare_deb_text(one: str, other: str) -> int:
    return _first_difference(_deb_parts(one), _deb_parts(other), end=_DEB_END)


def _compare_rpm_text(one: str, other: str) -> int:
    return _first_difference(_rpm_parts(one), _rpm_parts(other), end=_RPM_END)


def _deb_parts(text: str) -> list[DebPart]:
    return [
        ((*map(_deb_rank, signs), 0), _number(digits)) for signs, digits in _DEB_PART.findall(text)
    ]


def _deb_rank(sign: str) -> int:
    if sign == "~":
        return -1
    return ord(sign) if sign.isascii() and sign.isalpha() else ord(sign) + _BEYOND_LETTERS


def _rpm_parts(text: str) -> list[RpmPart]:
    return [_rpm_part(part) for part in _RPM_PART.findall(text)]


def _rpm_part(part: str) -> RpmPart:
    if part in _RPM_SIGNS:
        return _RPM_SIGNS[part]
    return (_LETTERS, (0, part)) if part[0].isalpha() else (_NUMBER, _number(part))


def _number(digits: str) -> Number:
    digits = digits.lstrip("0")
    return len(digits), digits


def _first_difference(one: Sequence[PartT], other: Sequence[PartT], *, end: PartT) -> int:
    for first, second in zip_longest(one, other, fillvalue=end):
        if first != second:
            return -1 if first < second else 1
    return 0

"""What a server means when it turns a mail away: its verbatim reply, put into a class.

The dictionary is `refusals.yaml`, a dated file with the source of every phrase; what it does not
know stays «原因未归类» and is shown verbatim.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Annotated

import yaml
from pydantic import Field

from mailcare.systems.profile import Strict

_WIDTH = 2048
_ENHANCED = re.compile(r"(?<![\d.])([45])\.(\d{1,3}\.\d{1,3})(?![\d.])")
_BASIC = re.compile(r"(?<![\d.:])([45])\d\d(?=[ -])")
_ADDRESS = re.compile(r"<[^<>]*>")
_SPEAKER = re.compile(r" (?:said|refused to talk to me): ")
# RFC 5321 §4.2.2: 552 exceeded storage allocation; 450 and 550 alone may mean anything.
_FULL = re.compile(r"(?<![\d.:])552 ")


class Refusal(StrEnum):
    """Why a mail was turned away, as far as the reply tells."""

    RATE_LIMIT = "rate_limit"
    CONTENT = "content"
    REPUTATION = "reputation"
    AUTHENTICATION = "authentication"
    UNKNOWN_USER = "unknown_user"
    MAILBOX_FULL = "mailbox_full"
    TOO_BIG = "too_big"
    TLS = "tls"
    TEMPORARY = "temporary"
    NAME = "name"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"

    @property
    def label(self) -> str:
        """Return its Chinese name."""
        return _dictionary().classes[self].title

    @property
    def remedy(self) -> str:
        """Say who acts and what is to be done."""
        kind = _dictionary().classes[self]
        return f"由{kind.who}处理：{kind.remedy}"


class _Kind(Strict):
    title: str
    who: str
    remedy: str


class _Phrases(Strict):
    """Phrases by class, and where they are written down."""

    source: str
    rate_limit: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    reputation: tuple[str, ...] = ()
    authentication: tuple[str, ...] = ()
    unknown_user: tuple[str, ...] = ()
    mailbox_full: tuple[str, ...] = ()
    too_big: tuple[str, ...] = ()
    tls: tuple[str, ...] = ()
    temporary: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()

    def find(self, text: str) -> Refusal | None:
        """Return the class of the first phrase that stands in the text."""
        for refusal in Refusal:
            if any(phrase in text for phrase in getattr(self, refusal, ())):
                return refusal
        return None


class _Dictionary(Strict):
    as_of: date
    classes: Mapping[Refusal, _Kind]
    phrases: tuple[_Phrases, ...]
    codes: Mapping[Refusal, Annotated[tuple[str, ...], Field(min_length=1)]]
    later: tuple[_Phrases, ...]


@dataclass(frozen=True, slots=True)
class Classified:
    """A reply, verbatim, its class, and whether the server says that another try may help."""

    reply: str
    refusal: Refusal
    is_temporary: bool


def classify(reply: str) -> Classified:
    """Put a server's reply, or what a mail log or a bounce says of it, into a class."""
    text = _words_of(reply[:_WIDTH].lower())
    enhanced = _ENHANCED.search(text)
    first = enhanced or _BASIC.search(text)
    is_temporary = first is not None and first[1] == "4"
    refusal = (
        _by_phrase(_dictionary().phrases, text)
        or _by_code(enhanced[2] if enhanced else "")
        or _by_phrase(_dictionary().later, text)
        or _by_digits(text, is_temporary=is_temporary)
    )
    return Classified(reply, refusal, is_temporary)


def _words_of(reply: str) -> str:
    """Leave out what only looks like words: the server's name, addresses, our own command."""
    said = _SPEAKER.split(reply)[-1].partition(" (in reply to ")[0]
    return _ADDRESS.sub("", said)


def _by_phrase(groups: tuple[_Phrases, ...], text: str) -> Refusal | None:
    return next((found for group in groups if (found := group.find(text))), None)


def _by_code(code: str) -> Refusal | None:
    codes = _dictionary().codes
    return next((refusal for refusal in codes if code in codes[refusal]), None)


def _by_digits(text: str, *, is_temporary: bool) -> Refusal:
    if is_temporary:
        return Refusal.TEMPORARY
    return Refusal.MAILBOX_FULL if _FULL.search(text) else Refusal.UNKNOWN


@cache
def _dictionary() -> _Dictionary:
    text = (resources.files("mailcare.inspection") / "refusals.yaml").read_text("utf-8")
    return _Dictionary.model_validate(yaml.safe_load(text))

"""The link in a letter by which a customer answers: unguessable, for one visit, once, for a while.

Only the token's SHA-256 is kept, and the letter has the token when it goes; whoever reads the
records cannot answer in the customer's place.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

VALID_FOR = timedelta(days=14)
# Of one address in the window; a person mistypes a link now and then, a guesser does nothing else.
REFUSALS_WINDOW = timedelta(minutes=15)
REFUSALS_MOST = 10
REFUSALS_KEPT_MOST = 500  # of all addresses: a flood does not fill the database
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_NUMBER = re.compile(r"XC-\d{4}-\d{5,9}", re.ASCII)


class Refusal(StrEnum):
    """Why a link does not work."""

    UNKNOWN = "unknown"
    OTHER_VISIT = "other_visit"
    USED = "used"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Link:
    """What is known of the link that a token belongs to; `is_current` of its visit's last offer."""

    number: str
    expires_at: datetime
    used_at: datetime | None
    is_current: bool


def digest(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_number(number: str) -> bool:
    """Tell whether a text could be the number of a visit at all."""
    return bool(_NUMBER.fullmatch(number))


def is_well_formed(number: str, token: str) -> bool:
    """Tell whether an address could be one of ours at all."""
    return bool(is_number(number) and _TOKEN.fullmatch(token))


def why_refused(link: Link | None, number: str, *, at: datetime) -> Refusal | None:
    """Return why the link may not be used for a visit at a moment; None where it may."""
    if link is None:
        return Refusal.UNKNOWN
    if link.number != number:
        return Refusal.OTHER_VISIT
    if link.used_at is not None:
        return Refusal.USED
    if at >= link.expires_at:
        return Refusal.EXPIRED
    return None if link.is_current else Refusal.SUPERSEDED

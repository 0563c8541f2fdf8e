"""How long a letter is tried, and how long it waits between two tries.

Counted in tries, not in hours: a clock that is set back must neither end a letter nor keep it.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from mailcare.records.deliveries import DeliveryChannel

JITTER = 0.25  # of a wait, so that letters refused together do not come back together


@dataclass(frozen=True, slots=True)
class Patience:
    """A channel's waits double from `first` up to `most`; after `tries_most` a letter is dead."""

    first: timedelta
    most: timedelta
    tries_most: int


# RFC 5321, 4.5.4.1: at least half an hour between tries, give up after four to five days. The
# first tries come sooner: greylisting ends within minutes.
MAIL = Patience(timedelta(minutes=1), timedelta(hours=1), 105)
# A chat tells what is urgent; when it stays silent for minutes, mail goes instead.
CHAT = Patience(timedelta(seconds=20), timedelta(minutes=1), 4)


def patience_of(channel: DeliveryChannel) -> Patience:
    """Return how patient a channel is."""
    return MAIL if channel is DeliveryChannel.SMTP else CHAT


def wait_after(patience: Patience, *, tries: int, key: str) -> timedelta | None:
    """Return the wait after a letter's `tries`-th failed try, or None where it was the last.

    The jitter hangs on `key` and `tries` alone: it spreads letters and stays reproducible.
    """
    if tries >= patience.tries_most:
        return None
    doubled = patience.first * 2 ** min(tries - 1, 20)
    return min(doubled, patience.most) * (1 + JITTER * _share(f"{key}/{tries}"))


def _share(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32

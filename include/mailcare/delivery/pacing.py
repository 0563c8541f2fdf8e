"""How many messages a chat robot takes, counted over what was begun, whichever process began it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailcare.records.deliveries import DeliveryChannel

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `most` messages in any span of `within`."""

    most: int
    within: timedelta


# The vendors' documentation; DingTalk silences a robot for ten minutes that exceeds it.
PACES: Mapping[DeliveryChannel, Sequence[Pace]] = {
    DeliveryChannel.DINGTALK: (Pace(20, MINUTE),),
    DeliveryChannel.FEISHU: (Pace(100, MINUTE), Pace(5, SECOND)),
    DeliveryChannel.WECOM: (Pace(20, MINUTE),),
}
# Feishu is flooded at each full and half hour and then refuses (code 11232).
BUSY_MINUTES = {DeliveryChannel.FEISHU: (0, 30)}


def longest_span(channel: DeliveryChannel) -> timedelta:
    """Return how far back the begun messages of a robot count."""
    return max(pace.within for pace in PACES[channel])


def free_at(channel: DeliveryChannel, begun: Sequence[datetime], *, at: datetime) -> datetime:
    """Return the first moment from `at` on at which a robot may speak again.

    `begun` are the moments of its messages, in any order; those in the future were written before
    the clock was set back and count as long as they are near.
    """
    moments = [_free_of(pace, begun, at) for pace in PACES[channel]]
    return _after_busy_minute(channel, max(moments))


def _free_of(pace: Pace, begun: Sequence[datetime], at: datetime) -> datetime:
    near = sorted(one for one in begun if abs(at - one) < pace.within)
    if len(near) < pace.most:
        return at
    return max(at, near[-pace.most] + pace.within)


def _after_busy_minute(channel: DeliveryChannel, at: datetime) -> datetime:
    if at.minute not in BUSY_MINUTES.get(channel, ()):
        return at
    return at.replace(second=0, microsecond=0) + MINUTE

"""How a fault stands: the level and the stage that its events come to, and their words in rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from functools import partial

from mailcare.deadlines import Level
from mailcare.errors import InputError
from mailcare.faults.events import (
    FORMS,
    Accepted,
    Cancelled,
    Declared,
    Event,
    Handled,
    LevelChanged,
    Merged,
    Paused,
    Reopened,
    ReportSent,
    Resumed,
    Signed,
)


class Stage(StrEnum):
    """How far a fault has come."""

    DECLARED = "declared"
    ACCEPTED = "accepted"
    PAUSED = "paused"
    HANDLED = "handled"
    REPORTED = "reported"
    SIGNED = "signed"
    CANCELLED = "cancelled"
    MERGED = "merged"


WORDS = {form.make: word for word, form in FORMS.items()}
LEADS_TO: Mapping[type[Event], Stage] = {
    Declared: Stage.DECLARED,
    Accepted: Stage.ACCEPTED,
    Paused: Stage.PAUSED,
    Resumed: Stage.ACCEPTED,
    Handled: Stage.HANDLED,
    Reopened: Stage.ACCEPTED,
    ReportSent: Stage.REPORTED,
    Signed: Stage.SIGNED,
    Cancelled: Stage.CANCELLED,
    Merged: Stage.MERGED,
}
# From any other stage the event is only written down.
ONLY_FROM: Mapping[type[Event], frozenset[Stage]] = {
    Accepted: frozenset({Stage.DECLARED}),
    ReportSent: frozenset({Stage.HANDLED}),
    Signed: frozenset({Stage.REPORTED}),
}
CLOSED = frozenset({Stage.CANCELLED, Stage.MERGED})


@dataclass(frozen=True, slots=True)
class Standing:
    """The level and the stage of a fault after some of its events."""

    level: Level
    stage: Stage


def standing(events: Sequence[Event]) -> Standing:
    """Return what events, in their order by time, come to; the first one is the declaration."""
    level, stage = Level.P4, Stage.DECLARED
    for event in events:
        if isinstance(event, Declared | LevelChanged):
            level = event.level
        if stage in ONLY_FROM.get(type(event), (stage,)):
            stage = LEADS_TO.get(type(event), stage)
    return Standing(level, stage)


def payload_of(event: Event) -> dict[str, object]:
    """Return an event's own words as a row keeps them."""
    own = ((one.name, getattr(event, one.name)) for one in fields(event) if one.name != "at")
    return {name: said.isoformat() if isinstance(said, datetime) else said for name, said in own}


def event_of(word: str, at: datetime, payload: Mapping[str, object]) -> Event:
    """Return the event of a row; raise `InputError` for words that no event has."""
    return maker_of(word, payload)(at=at)


def maker_of(word: str, payload: Mapping[str, object]) -> Callable[..., Event]:
    """Return what makes the event of a row of its moment `at`; raise `InputError` as `event_of`."""
    form = FORMS.get(word)
    if form is None:
        raise InputError(f"没有「{word}」这种事件")
    return partial(
        form.make, **{name: read(payload.get(name)) for name, read in form.words.items()}
    )

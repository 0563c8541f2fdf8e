"""What is handed in about a new fault: by a person in a form, or by a program."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from mailcare.contracts.forms import Line
from mailcare.deadlines import Level
from mailcare.systems.complaints import WRITTEN
from mailcare.systems.forms import Moment
from mailcare.systems.profile import Strict

TEXT_CHARACTERS_MOST = 4000
Text = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=TEXT_CHARACTERS_MOST, pattern=WRITTEN
    ),
]


class Via(StrEnum):
    """How a fault was declared; `program` is one of our own services that found it."""

    PHONE = "phone"
    EMAIL = "email"
    CHAT = "chat"
    ONSITE = "onsite"
    PROGRAM = "program"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A fault as it is declared; `key` makes it one fault, however often it is handed in.

    `customer` and `system` are ids, `follows` is the number of the fault that this one goes back
    to. `declared_at` is when the customer said so: the start of the call, or when our own server
    received the mail.
    """

    key: str
    customer: int
    level: Level
    description: str
    declared_at: datetime
    via: Via
    contact: str
    contact_details: str
    place: str = ""
    system: int | None = None
    follows: str | None = None


class DeclarationForm(Strict):
    """A declaration as a person enters it: names instead of ids, Beijing time without a zone.

    A `site` alone says whose it is; without one the fault concerns no recorded system. Without
    `declared_at` it was declared just now.
    """

    customer: Line | None = None
    site: Line | None = None
    level: Level
    description: Text
    contact: Line
    contact_details: Line
    place: Line = "/"
    via: Via = Via.PHONE
    declared_at: Moment | None = None
    follows: Line | None = None


class NoteForm(Strict):
    """A remark on a fault."""

    text: Text


class EventForm(Strict):
    """When something happened to a fault; the event's own words are read by `events.FORMS`."""

    at: Moment | None = None

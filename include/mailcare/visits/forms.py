"""What people enter about a visit, checked field by field."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator

from mailcare.contracts.forms import Day
from mailcare.inspection.check import Severity, Target
from mailcare.inspection.observations import Observation
from mailcare.systems.complaints import WRITTEN
from mailcare.systems.forms import Line
from mailcare.systems.profile import Strict
from mailcare.systems.site import MailAddress
from mailcare.visits.entries import Topic

OFFERED_MOST = 3
HOURS_MOST = Decimal(24)
ATTENDEES_MOST = 60
CAPTION_MOST = 200
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000, pattern=WRITTEN)]
Written = Annotated[Text, StringConstraints(min_length=1)]
Caption = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=CAPTION_MOST, pattern=WRITTEN)
]


class Choice(StrEnum):
    """How a customer answers an offer."""

    CONFIRM = "confirm"
    COUNTER = "counter"


class Speaker(StrEnum):
    """At whose wish a visit is moved, cancelled or missed."""

    CUSTOMER = "customer"
    VENDOR = "vendor"


class StaffForm(Strict):
    """Who goes, and where to; `engineer` is a login."""

    engineer: Line
    engineer_name: Line
    engineer_email: MailAddress
    place: Line


class OfferForm(Strict):
    """The first days that we propose to the customer, at most three."""

    starts: Annotated[tuple[Day, ...], Field(min_length=1, max_length=OFFERED_MOST)]
    note: Text = ""

    @field_validator("starts")
    @classmethod
    def _days_differ(cls, starts: tuple[date, ...]) -> tuple[date, ...]:
        if len(set(starts)) < len(starts):
            raise ValueError("同一个日期写了两次")
        return starts


class AnswerForm(Strict):
    """The customer's answer: a day of the offer, or another one.

    `said_by` is the person at the customer who answers, `is_split_agreed` their consent to days
    that rest days split.
    """

    choice: Choice
    start: Day
    said_by: Line
    is_split_agreed: bool = False
    note: Text = ""


class MoveForm(Strict):
    """Another first day for a visit that is agreed, and why; `said_by` agreed to it."""

    start: Day
    speaker: Speaker
    said_by: Line
    is_split_agreed: bool = False
    note: Written


class EndForm(Strict):
    """Why a visit does not take place; `said_by` is who said so."""

    speaker: Speaker
    said_by: Line
    note: Written


def _names(value: object) -> object:
    """Read names as a form sends them: one text, set apart by marks or line ends."""
    if not isinstance(value, str):
        return value
    for mark in "，,;；\n\r\t":
        value = value.replace(mark, "、")
    return [one.strip() for one in value.split("、") if one.strip()]


class TrainingForm(Strict):
    """What was taught or talked over on a topic, to whom and how long."""

    topic: Topic
    taught_on: Day
    hours: Annotated[Decimal, Field(gt=Decimal(0), le=HOURS_MOST, max_digits=4, decimal_places=1)]
    content: Written
    attendees: Annotated[
        tuple[Line, ...], BeforeValidator(_names), Field(min_length=1, max_length=ATTENDEES_MOST)
    ]


class Verdict(StrEnum):
    """How something stands in the engineer's judgement."""

    OK = "ok"
    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"


class ObservationForm(Strict):
    """What an engineer saw of one check's target; `numbers` are by the check's limits."""

    check: Line
    node: Text = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    part: Text = ""
    verdict: Verdict
    says: Written
    advice: Annotated[Text, Field(validate_default=True)] = ""
    numbers: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default_factory=dict)

    def place(self) -> tuple[str, Target]:
        """Return which check's target was looked at."""
        return self.check, Target(self.node, self.port, self.part)

    def observation(self) -> Observation:
        """Return what was seen."""
        severity = Severity[self.verdict.name]
        return Observation(severity, self.says, self.advice, dict(self.numbers))

    @field_validator("advice")
    @classmethod
    def _says_what_to_do(cls, advice: str, others: ValidationInfo) -> str:
        if others.data.get("verdict") in (Verdict.WARNING, Verdict.CRITICAL) and not advice:
            raise ValueError("警告与严重的，请写明建议")
        return advice


class PhotoForm(Strict):
    """What a photo or file shows: what it is `about`, and some words under it."""

    about: Caption = ""
    caption: Caption = ""

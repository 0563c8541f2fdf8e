"""What a person enters about a survey, checked field by field."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from mailcare.contracts.forms import Day
from mailcare.surveys.scores import QUESTIONS, SCORE_WORDS, Scores
from mailcare.systems.complaints import WRITTEN
from mailcare.systems.forms import Line, Moment
from mailcare.systems.profile import Strict

Score = Annotated[int, Field(ge=min(SCORE_WORDS), le=max(SCORE_WORDS))]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000, pattern=WRITTEN)]


FIRST_DAY, LAST_DAY = date(1, 1, 2), date(9999, 12, 30)  # a day more is past what moments can tell


class Unanswered(StrEnum):
    """How a call ended that brought no answer."""

    NO_ANSWER = "no_answer"
    REFUSED = "refused"
    CALL_AGAIN = "call_again"


class PeriodForm(Strict):
    """The days that figures are of, both included."""

    since: Day
    until: Day

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.until < self.since:
            raise ValueError("结束日期不能早于开始日期")
        if self.since < FIRST_DAY or self.until > LAST_DAY:
            raise ValueError(f"日期应在 {FIRST_DAY} 至 {LAST_DAY} 之间")
        return self


class CallForm(Strict):
    """A call without an answer; `attempt` is its number as the page showed it."""

    attempt: Annotated[int, Field(ge=1)]
    outcome: Unanswered
    call_again_at: Annotated[Moment | None, Field(validate_default=True)] = None
    best_hours: Text = ""
    note: Text = ""

    @field_validator("call_again_at")
    @classmethod
    def _says_when(cls, again_at: datetime | None, others: ValidationInfo) -> datetime | None:
        if others.data.get("outcome") is Unanswered.CALL_AGAIN and again_at is None:
            raise ValueError("约定再打的，请填写再打时间")
        return again_at


class AnswerForm(Strict):
    """The customer's answer; a score left empty is one that was not given."""

    satisfaction: Score | None = None
    attitude: Score | None = None
    skill: Score | None = None
    effect: Score | None = None
    comments: Text = ""
    answered_by: Line
    answered_at: Moment

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.scores().given() and not self.comments:
            raise ValueError("四项评分与意见都是空的；客户没有作答的，请登记为未接通或谢绝")
        return self

    def scores(self) -> Scores:
        """Return the scores as the rules take them."""
        given: Mapping[str, int | None] = {name: getattr(self, name) for name in QUESTIONS}
        return Scores(**given)


class CorrectionForm(AnswerForm):
    """An answer as it should have been written down; `version` is the one that is corrected."""

    version: Annotated[int, Field(ge=1)]
    reason: Line

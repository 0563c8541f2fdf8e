"""What a person enters about a survey, checked field by field."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

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

    @field_validator("since", "until")
    @classmethod
    def _can_be_told(cls, day: date) -> date:
        if not FIRST_DAY <= day <= LAST_DAY:
            raise ValueError(f"日期应在 {FIRST_DAY} 至 {LAST_DAY} 之间")
        return day

    @field_validator("until")
    @classmethod
    def _comes_after(cls, until: date, others: ValidationInfo) -> date:
        if until < others.data.get("since", until):
            raise ValueError("结束日期不能早于开始日期")
        return until


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
        outcome = others.data.get("outcome")
        if outcome is Unanswered.CALL_AGAIN and again_at is None:
            raise ValueError("约定再打的，请填写再打时间")
        if outcome is Unanswered.REFUSED and again_at:
            raise ValueError("客户谢绝的不再打，请不要填写再打时间")
        return again_at


class AnswerForm(Strict):
    """The customer's answer; a score left empty is one that was not given."""

    satisfaction: Score | None = None
    attitude: Score | None = None
    skill: Score | None = None
    effect: Score | None = None
    comments: Annotated[Text, Field(validate_default=True)] = ""
    answered_by: Line
    answered_at: Moment

    @field_validator("comments")
    @classmethod
    def _says_something(cls, comments: str, others: ValidationInfo) -> str:
        # A score that is wrong is missing here, and complained of by itself.
        if not comments and all(others.data.get(one, "") is None for one in QUESTIONS):
            raise ValueError("四项评分与意见都是空的；客户没有作答的，请登记为未接通或谢绝")
        return comments

    def scores(self) -> Scores:
        """Return the scores as the rules take them."""
        given: Mapping[str, int | None] = {name: getattr(self, name) for name in QUESTIONS}
        return Scores(**given)


class CorrectionForm(AnswerForm):
    """An answer as it should have been written down; `version` is the one that is corrected."""

    version: Annotated[int, Field(ge=1)]
    reason: Line

"""Surveys of customers' satisfaction, the calls that were made, and what was answered."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailcare.records.base import AppendOnly, Base, SentenceText, Stateful
from mailcare.records.customers import Customer, System
from mailcare.records.people import EvidenceFile


class SurveyCase(StrEnum):
    """What a customer is asked about."""

    VISIT = "visit"
    INSPECTION = "inspection"
    FAULT = "fault"
    REMOTE_SUPPORT = "remote_support"


class SurveyState(StrEnum):
    """How far a survey has come."""

    ASKED = "asked"
    REMINDED = "reminded"
    ANSWERED = "answered"
    REFUSED = "refused"
    EXPIRED = "expired"


class CallOutcome(StrEnum):
    """How a call ended."""

    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    REFUSED = "refused"
    CALL_AGAIN = "call_again"


class AnswerWay(StrEnum):
    """How the customer answered; a sheet is there as a scan."""

    SHEET = "sheet"
    CALL = "call"


class Survey(Stateful[SurveyState], Base):
    """One survey of one version of a case; what the form is pre-filled with stands in it.

    `handled_by` are the logins of who worked on the case; none of them may record its answer.
    """

    __tablename__ = "surveys"
    __table_args__ = (
        UniqueConstraint("case_kind", "case_id", "case_version"),
        CheckConstraint("reminders BETWEEN 0 AND 2", name="two_reminders_at_most"),
    )

    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id), index=True)
    system_id: Mapped[int | None] = mapped_column(ForeignKey(System.id), index=True)
    case_kind: Mapped[SurveyCase]
    case_id: Mapped[int]
    case_version: Mapped[int]
    subject: Mapped[SentenceText]
    description: Mapped[SentenceText]
    outcome: Mapped[SentenceText]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    contact: Mapped[SentenceText]
    phone: Mapped[SentenceText]
    handled_by: Mapped[list[str]]
    asked_at: Mapped[datetime] = mapped_column(index=True)
    reminders: Mapped[int]
    state: Mapped[SurveyState] = mapped_column(index=True)


class SurveyCall(AppendOnly, Base):
    """One attempt to call, numbered from 1; `best_hours` is what the customer said about it."""

    __tablename__ = "survey_calls"
    __table_args__ = (UniqueConstraint("survey_id", "attempt"),)

    survey_id: Mapped[int] = mapped_column(ForeignKey(Survey.id))
    attempt: Mapped[int]
    by: Mapped[str]
    called_at: Mapped[datetime]
    outcome: Mapped[CallOutcome]
    call_again_at: Mapped[datetime | None]
    best_hours: Mapped[SentenceText]
    note: Mapped[SentenceText]


class SurveyAnswer(AppendOnly, Base):
    """What the customer answered, once a survey; a score that is NULL was left open.

    What was written down wrongly is written anew as the next version, with the reason.
    """

    __tablename__ = "survey_answers"
    __table_args__ = (
        UniqueConstraint("survey_id", "version"),
        CheckConstraint("satisfaction BETWEEN 0 AND 5", name="satisfaction_of_the_form"),
        CheckConstraint("attitude BETWEEN 0 AND 5", name="attitude_of_the_form"),
        CheckConstraint("skill BETWEEN 0 AND 5", name="skill_of_the_form"),
        CheckConstraint("effect BETWEEN 0 AND 5", name="effect_of_the_form"),
        CheckConstraint("way = 'call' OR evidence_file_id IS NOT NULL", name="sheet_with_scan"),
    )

    survey_id: Mapped[int] = mapped_column(ForeignKey(Survey.id))
    version: Mapped[int]
    reason: Mapped[SentenceText]
    way: Mapped[AnswerWay]
    satisfaction: Mapped[int | None]
    attitude: Mapped[int | None]
    skill: Mapped[int | None]
    effect: Mapped[int | None]
    comments: Mapped[SentenceText]
    answered_by: Mapped[SentenceText]
    answered_at: Mapped[datetime]
    recorded_by: Mapped[str]
    recorded_at: Mapped[datetime]
    evidence_file_id: Mapped[int | None] = mapped_column(ForeignKey(EvidenceFile.id))

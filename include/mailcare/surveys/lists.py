"""The lists of surveys and calls to make, and one survey with all that hangs on it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from mailcare.errors import InputError
from mailcare.listing import Page, Wish
from mailcare.papers.survey import AskedCase
from mailcare.records.customers import Contact, Customer
from mailcare.records.paging import Columns, Statement, page_of, rows_of, searched, sorted_by
from mailcare.records.people import EvidenceFile
from mailcare.records.surveys import (
    AnswerWay,
    CallOutcome,
    Survey,
    SurveyAnswer,
    SurveyCall,
    SurveyCase,
    SurveyState,
)
from mailcare.surveys.asking import USUAL_HOURS
from mailcare.surveys.recording import OPEN, find_survey, next_attempt
from mailcare.systems.evidence import Evidence


@dataclass(frozen=True, slots=True)
class SurveyRow:
    """A survey as its list shows it; `call_again_at` is what was agreed in the last call."""

    id: int
    customer_id: int
    customer: str
    case_kind: SurveyCase
    subject: str
    state: SurveyState
    asked_at: datetime
    reminders: int
    calls: int
    call_again_at: datetime | None
    contact: str
    phone: str


@dataclass(frozen=True, slots=True)
class CallRow:
    """One attempt to call."""

    attempt: int
    called_at: datetime
    by: str
    outcome: CallOutcome
    call_again_at: datetime | None
    best_hours: str
    note: str


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """What the customer answered; a score of None was left open."""

    way: AnswerWay
    satisfaction: int | None
    attitude: int | None
    skill: int | None
    effect: int | None
    comments: str
    answered_by: str
    answered_at: datetime
    recorded_by: str
    recorded_at: datetime
    scan_name: str | None
    scan_sha256: str | None
    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Callee:
    """A person on the customer's side who may be called."""

    name: str
    role: str
    phone: str | None


@dataclass(frozen=True, slots=True)
class SurveyDetail:
    """A survey; hand `next_attempt` back with a call's outcome, `best_hours` are to call in.

    `corrected` are the versions that `answer` stands for, the last one first.
    """

    row: SurveyRow
    description: str
    outcome: str
    started_at: datetime
    finished_at: datetime
    handled_by: tuple[str, ...]
    best_hours: str
    next_attempt: int
    calls: tuple[CallRow, ...]
    callees: tuple[Callee, ...]
    answer: AnswerRow | None
    corrected: tuple[AnswerRow, ...]


def survey_rows(session: Session, wish: Wish) -> Page[SurveyRow]:
    """Return a page of surveys, the newest first; sorts: customer subject case_kind state asked_at.

    Searched by customer, subject and contact.
    """
    return _page(session, _surveys(), wish, (Survey.asked_at.desc(), Survey.id.desc()))


def call_rows(session: Session, wish: Wish) -> Page[SurveyRow]:
    """Return a page of the calls to make, those agreed for the earliest moment first."""
    # A visit's customer is asked on its sheet.
    calls = _surveys().where(Survey.state.in_(OPEN), Survey.case_kind != SurveyCase.VISIT)
    usual = (func.coalesce(_call_again_at(), Survey.asked_at), Survey.id)
    return _page(session, calls, wish, usual)


def describe_survey(session: Session, survey: int) -> SurveyDetail:
    """Return a survey with its calls and answer; raise `InputError` for one not recorded."""
    found = find_survey(session, survey)
    answers = _answers(session, survey)
    [row] = rows_of(session, _surveys().where(Survey.id == survey), SurveyRow)
    return SurveyDetail(
        row=row,
        description=found.description,
        outcome=found.outcome,
        started_at=found.started_at,
        finished_at=found.finished_at,
        handled_by=tuple(found.handled_by),
        best_hours=_best_hours(session, found.customer_id) or USUAL_HOURS,
        next_attempt=next_attempt(session, survey),
        calls=_calls(session, survey),
        callees=_callees(session, found.customer_id),
        answer=answers[0] if answers else None,
        corrected=answers[1:],
    )


def scan_of(session: Session, survey: int) -> Evidence:
    """Return the scan of a survey's signed sheet; raise `InputError` where there is none."""
    scan = (
        select(EvidenceFile)
        .join(SurveyAnswer, SurveyAnswer.evidence_file_id == EvidenceFile.id)
        .where(SurveyAnswer.survey_id == survey)
        .order_by(SurveyAnswer.version.desc())
    )
    row = session.scalar(scan.limit(1))
    if row is None:
        raise InputError("这份调查没有签字表", subject=str(survey))
    return Evidence(row.name, row.media_type, row.body)


def case_of(session: Session, survey: int) -> AskedCase:
    """Return what a survey's form is filled in with; raise `InputError` for one not recorded."""
    row = find_survey(session, survey)
    name = session.scalars(select(Customer.name).where(Customer.id == row.customer_id)).one()
    return AskedCase(
        name,
        "　".join(one for one in (row.contact, row.phone) if one),
        "　".join(one for one in (row.subject, row.description) if one),
        row.outcome,
        row.started_at,
        row.finished_at,
    )


def _page(session: Session, statement: Statement, wish: Wish, usual: Columns) -> Page[SurveyRow]:
    columns = {
        "customer": Customer.name,
        "subject": Survey.subject,
        "case_kind": Survey.case_kind,
        "state": Survey.state,
        "asked_at": Survey.asked_at,
    }
    statement = searched(statement, wish, (Customer.name, Survey.subject, Survey.contact))
    return page_of(session, sorted_by(statement, wish, columns, usual), wish, SurveyRow)


def _surveys() -> Statement:
    calls = select(func.count()).where(SurveyCall.survey_id == Survey.id)
    return select(
        Survey.id,
        Survey.customer_id,
        Customer.name.label("customer"),
        Survey.case_kind,
        Survey.subject,
        Survey.state,
        Survey.asked_at,
        Survey.reminders,
        calls.scalar_subquery().label("calls"),
        _call_again_at().label("call_again_at"),
        Survey.contact,
        Survey.phone,
    ).join(Customer, Customer.id == Survey.customer_id)


def _call_again_at() -> ColumnElement[datetime | None]:
    last = select(SurveyCall.call_again_at).where(SurveyCall.survey_id == Survey.id)
    return last.order_by(SurveyCall.attempt.desc()).limit(1).scalar_subquery()


def _best_hours(session: Session, customer: int) -> str | None:
    """Return when the customer last said that calls are welcome."""
    said = (
        select(SurveyCall.best_hours)
        .join(Survey, Survey.id == SurveyCall.survey_id)
        .where(Survey.customer_id == customer, SurveyCall.best_hours != "")
    )
    return session.scalar(said.order_by(SurveyCall.id.desc()).limit(1))


def _calls(session: Session, survey: int) -> tuple[CallRow, ...]:
    call = SurveyCall
    statement = select(
        call.attempt,
        call.called_at,
        call.by,
        call.outcome,
        call.call_again_at,
        call.best_hours,
        call.note,
    ).where(call.survey_id == survey)
    return rows_of(session, statement.order_by(call.attempt), CallRow)


def _callees(session: Session, customer: int) -> tuple[Callee, ...]:
    people = select(Contact.name, Contact.role, Contact.phone)
    return rows_of(
        session, people.where(Contact.customer_id == customer).order_by(Contact.id), Callee
    )


def _answers(session: Session, survey: int) -> tuple[AnswerRow, ...]:
    answer = SurveyAnswer
    statement = (
        select(
            answer.way,
            answer.satisfaction,
            answer.attitude,
            answer.skill,
            answer.effect,
            answer.comments,
            answer.answered_by,
            answer.answered_at,
            answer.recorded_by,
            answer.recorded_at,
            EvidenceFile.name.label("scan_name"),
            EvidenceFile.sha256.label("scan_sha256"),
            answer.version,
            answer.reason,
        )
        .outerjoin(EvidenceFile, EvidenceFile.id == answer.evidence_file_id)
        .where(answer.survey_id == survey)
        .order_by(answer.version.desc())
    )
    return rows_of(session, statement, AnswerRow)

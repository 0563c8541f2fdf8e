"""Write down how a call ended and what the customer answered."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session, aliased

from mailcare.contracts.forms import complain
from mailcare.errors import InputError
from mailcare.records.audit import note_change
from mailcare.records.changes import add_once, move
from mailcare.records.people import Role
from mailcare.records.surveys import (
    AnswerWay,
    CallOutcome,
    Survey,
    SurveyAnswer,
    SurveyCall,
    SurveyState,
)
from mailcare.staff.roles import holders
from mailcare.surveys.asking import why_not
from mailcare.surveys.forms import AnswerForm, CallForm, CorrectionForm, Unanswered
from mailcare.surveys.scores import QUESTIONS
from mailcare.systems.authorising import keep_evidence
from mailcare.systems.evidence import Evidence

OPEN = (SurveyState.ASKED, SurveyState.REMINDED)
# A signed sheet may come by post when nobody asks any more.
ANSWERABLE = (*OPEN, SurveyState.EXPIRED)
SAID = ("comments", "answered_by", "answered_at")
CALLED = "打开本页之后已登记过一次回访，请重新打开再登记"
CORRECTED = "打开本页之后另一人登记或更正了答复，请重新打开"
STATE_SENTENCES = {
    SurveyState.ANSWERED: "这份调查已有答复，不能再登记",
    SurveyState.REFUSED: "客户已谢绝这份调查，不能再登记",
    SurveyState.EXPIRED: "这份调查已过期，不再回访；客户交回签字表的，请登记签字表",
}


def find_survey(session: Session, survey: int) -> Survey:
    """Return a survey's row; raise `InputError` for one that is not recorded."""
    row = session.get(Survey, survey)
    if row is None:
        raise InputError("没有这份满意度调查", subject=str(survey))
    return row


def add_call(session: Session, survey: int, form: CallForm, *, by: str, at: datetime) -> None:
    """Record a call without an answer; a customer who refuses is not asked any more.

    Raise `InputError` where the survey is closed, `by` may not record it, or another call was
    recorded since the page was opened; `FormError` for a next call in the past.
    """
    row = find_survey(session, survey)
    _refuse_partial(session, row, by)
    _refuse_closed(row, OPEN)
    if form.call_again_at and form.call_again_at <= at:
        raise complain("call_again_at", "再打时间应晚于现在")
    if form.outcome is Unanswered.REFUSED:
        # The move first: it decides between two who record at once.
        _close(session, row, SurveyState.REFUSED, OPEN, at)
    values = {
        "survey_id": survey,
        "attempt": form.attempt,
        "by": by,
        "called_at": at,
        "outcome": CallOutcome(form.outcome),
        "call_again_at": form.call_again_at,
        "best_hours": form.best_hours,
        "note": form.note,
    }
    if form.attempt != next_attempt(session, survey) or not add_once(session, SurveyCall, values):
        raise InputError(CALLED)


def next_attempt(session: Session, survey: int) -> int:
    """Return the number of the next call."""
    last = select(func.max(SurveyCall.attempt)).where(SurveyCall.survey_id == survey)
    return (session.scalar(last) or 0) + 1


def add_answer(
    session: Session,
    survey: int,
    form: AnswerForm,
    scan: Evidence | None,
    *,
    by: str,
    at: datetime,
) -> None:
    """Record the customer's answer, from the signed sheet where there is a scan, else by phone.

    Raises as `refuse_answer`.
    """
    allowed = ANSWERABLE if scan else OPEN
    row = refuse_answer(session, survey, form, allowed, by=by, at=at)
    _close(session, row, SurveyState.ANSWERED, allowed, at)
    if scan is None:
        _note_answered_call(session, survey, by=by, at=form.answered_at)
    file = keep_evidence(session, scan, by=by) if scan else None
    way = AnswerWay.SHEET if scan else AnswerWay.CALL
    _keep_answer(
        session,
        survey,
        form,
        {
            "version": 1,
            "reason": "",
            "way": way,
            "evidence_file_id": file,
            "recorded_by": by,
            "recorded_at": at,
        },
    )
    after = form.model_dump(mode="json")
    subject = f"survey/{survey}"
    note_change(session, by=by, at=at, action="answer", subject=subject, after=after)


def refuse_answer(
    session: Session,
    survey: int,
    form: AnswerForm,
    allowed: tuple[SurveyState, ...],
    *,
    by: str,
    at: datetime,
) -> Survey:
    """Return the survey that an answer may be recorded of.

    Raise `InputError` where its state is none of `allowed` or `by` may not record it, `FormError`
    for an answer from before the work began, or from the future.
    """
    row = find_survey(session, survey)
    _refuse_partial(session, row, by)
    _refuse_closed(row, allowed)
    _check_moment(row, form, at)
    return row


def correct_answer(
    session: Session, survey: int, form: CorrectionForm, *, by: str, at: datetime
) -> None:
    """Write an answer anew that was written down wrongly; the one before it is kept.

    Raise `InputError` where there is none, where `by` may not record it, or where another one has
    corrected it since the page was opened; `FormError` as for a new answer.
    """
    row = find_survey(session, survey)
    _refuse_partial(session, row, by)
    before = answer_in_force(session, survey)
    if before is None:
        raise InputError("这份调查还没有答复，不能更正", subject=row.subject)
    _check_moment(row, form, at)
    if before.version != form.version:
        raise InputError(CORRECTED)
    _keep_answer(
        session,
        survey,
        form,
        {
            "version": before.version + 1,
            "reason": form.reason,
            "way": before.way,
            "evidence_file_id": before.evidence_file_id,
            "recorded_by": by,
            "recorded_at": at,
        },
    )
    note_change(
        session, by=by, at=at, action="correct_answer", subject=f"survey/{survey}",
        before={name: getattr(before, name) for name in (*QUESTIONS, "comments")},
        after=form.model_dump(mode="json"),
    )  # fmt: skip


def answer_in_force(session: Session, survey: int) -> SurveyAnswer | None:
    """Return the last version of a survey's answer, None while there is none."""
    answers = select(SurveyAnswer).where(SurveyAnswer.survey_id == survey)
    return session.scalar(answers.order_by(SurveyAnswer.version.desc()).limit(1))


def is_answer_in_force() -> ColumnElement[bool]:
    """Return the condition that joins the surveys of a statement to their last answers."""
    other = aliased(SurveyAnswer)
    last = select(func.max(other.version)).where(other.survey_id == Survey.id)
    return and_(SurveyAnswer.survey_id == Survey.id, SurveyAnswer.version == last.scalar_subquery())


def _keep_answer(
    session: Session, survey: int, form: AnswerForm, values: dict[str, object]
) -> None:
    said = {name: getattr(form, name) for name in (*QUESTIONS, *SAID)}
    if add_once(session, SurveyAnswer, said | values | {"survey_id": survey}) is None:
        raise InputError(CORRECTED)


def objection(session: Session, row: Survey, by: str) -> str:
    """Return why somebody may not record what the customer said; empty where they may."""
    return why_not(by, row.handled_by, holders(session, {Role.ENGINEER}))


def _refuse_partial(session: Session, row: Survey, by: str) -> None:
    if said := objection(session, row, by):
        raise InputError(said)


def _note_answered_call(session: Session, survey: int, *, by: str, at: datetime) -> None:
    values = {
        "survey_id": survey,
        "attempt": next_attempt(session, survey),
        "by": by,
        "called_at": at,
        "outcome": CallOutcome.ANSWERED,
        "best_hours": "",
        "note": "",
    }
    if not add_once(session, SurveyCall, values):
        raise InputError(CALLED)


def _check_moment(row: Survey, form: AnswerForm, at: datetime) -> None:
    if form.answered_at > at:
        raise complain("answered_at", "作答时间不能晚于现在")
    if form.answered_at < row.started_at:
        raise complain("answered_at", "作答时间不能早于服务起始时间")


def _refuse_closed(row: Survey, allowed: tuple[SurveyState, ...]) -> None:
    if row.state not in allowed:
        raise InputError(STATE_SENTENCES[row.state])


def _close(
    session: Session,
    row: Survey,
    to_state: SurveyState,
    allowed: tuple[SurveyState, ...],
    at: datetime,
) -> None:
    _refuse_closed(row, allowed)
    if not move(session, Survey, row.id, from_state=row.state, to_state=to_state, at=at):
        raise InputError("另一人刚刚登记了这份调查，请重新打开")

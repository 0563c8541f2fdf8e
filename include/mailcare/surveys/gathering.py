"""Gather the surveys of some days for their figures."""

from datetime import date, datetime, time

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.clock import BEIJING
from mailcare.records.customers import Customer
from mailcare.records.surveys import Survey, SurveyAnswer
from mailcare.surveys.recording import is_answer_in_force
from mailcare.surveys.scores import Scores
from mailcare.surveys.statistics import Asked
from mailcare.surveys.wording import CASE_TITLES
from mailcare.workdays import ONE_DAY


def gather(
    session: Session, *, since: date, until: date, customer: int | None = None
) -> tuple[Asked, ...]:
    """Return the surveys asked from a day to another, both included, by the day in Beijing.

    With `customer` those of that customer alone.
    """
    statement = (
        select(Survey, Customer.name, SurveyAnswer)
        .join(Customer, Customer.id == Survey.customer_id)
        .outerjoin(SurveyAnswer, is_answer_in_force())
        .where(Survey.asked_at >= _midnight(since), Survey.asked_at < _midnight(until + ONE_DAY))
        .order_by(Survey.asked_at, Survey.id)
    )
    if customer is not None:
        statement = statement.where(Survey.customer_id == customer)
    return tuple(_asked(*row) for row in session.execute(statement))


def _midnight(on: date) -> datetime:
    return datetime.combine(on, time(), BEIJING)


def _asked(survey: Survey, customer: str, answer: SurveyAnswer | None) -> Asked:
    return Asked(
        survey.id,
        survey.subject,
        CASE_TITLES[survey.case_kind],
        customer,
        tuple(survey.handled_by),
        survey.asked_at.astimezone(BEIJING).date(),
        str(survey.state),
        _scores(answer) if answer else None,
        answer.comments if answer else "",
    )


def _scores(row: SurveyAnswer) -> Scores:
    return Scores(row.satisfaction, row.attitude, row.skill, row.effect)

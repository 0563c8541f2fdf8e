"""Remind of surveys that nobody has answered, and let them go in the end."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailcare.clock import BEIJING
from mailcare.records.changes import move
from mailcare.records.surveys import Survey, SurveyState
from mailcare.surveys.asking import Step, step_due
from mailcare.surveys.recording import OPEN
from mailcare.workdays import Calendar


@dataclass(frozen=True, slots=True)
class Follow:
    """What a day's following up did to one survey; `reminders` counts those it has had by now."""

    survey: int
    subject: str
    step: Step
    reminders: int


def follow_up(
    session: Session, calendar: Calendar, *, today: date, at: datetime
) -> tuple[Follow, ...]:
    """Remind of what is due for it and let go what is past; done twice a day is done once."""
    return tuple(_followed(session, calendar, today=today, at=at))


def _followed(
    session: Session, calendar: Calendar, *, today: date, at: datetime
) -> Iterator[Follow]:
    unanswered = select(Survey).where(Survey.state.in_(OPEN)).order_by(Survey.id)
    for row in session.scalars(unanswered).all():
        asked_on = row.asked_at.astimezone(BEIJING).date()
        step = step_due(asked_on, row.reminders, calendar, today=today)
        if step is Step.REMIND and _remind(session, row, at):
            yield Follow(row.id, row.subject, step, row.reminders + 1)
        if step is Step.EXPIRE and _expire(session, row, at):
            yield Follow(row.id, row.subject, step, row.reminders)


def _remind(session: Session, row: Survey, at: datetime) -> bool:
    known = (Survey.id == row.id, Survey.state == row.state, Survey.reminders == row.reminders)
    statement = (
        update(Survey)
        .where(*known)
        .values(state=SurveyState.REMINDED, reminders=row.reminders + 1, state_changed_at=at)
        .execution_options(synchronize_session=False)
        .returning(Survey.id)
    )
    return session.scalar(statement) is not None


def _expire(session: Session, row: Survey, at: datetime) -> bool:
    gone = SurveyState.EXPIRED
    return move(session, Survey, row.id, from_state=row.state, to_state=gone, at=at)

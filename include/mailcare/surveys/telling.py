"""Tell own staff about surveys: what is to be asked, what nobody asked, and a 0 at once."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.delivery.alerts import alert
from mailcare.records.alerts import Rung
from mailcare.records.customers import Customer
from mailcare.records.surveys import Survey, SurveyCase
from mailcare.surveys.asking import Step
from mailcare.surveys.following import Follow
from mailcare.surveys.forms import AnswerForm
from mailcare.surveys.recording import find_survey

TASKS = {True: "请收回客户签字的满意度调查表", False: "请电话回访客户满意度"}
ESCALATED_TO = (Rung.MANAGER, Rung.DIRECTOR)


def tell_asked(session: Session, survey: int, *, at: datetime) -> None:
    """Tell customer service that a customer is to be asked."""
    row = find_survey(session, survey)
    _tell_service(session, row, f"survey/{survey}/asked", _task(row), at=at)


def tell_followed(session: Session, follow: Follow, *, at: datetime) -> None:
    """Tell customer service that a survey still waits, or that it was let go."""
    row = find_survey(session, follow.survey)
    if follow.step is Step.EXPIRE:
        _tell_service(session, row, f"survey/{row.id}/expired", "满意度调查已过期未答复", at=at)
        return
    said = f"第 {follow.reminders} 次催办：{_task(row)}"
    _tell_service(session, row, f"survey/{row.id}/remind/{follow.reminders}", said, at=at)


def tell_worst(session: Session, survey: int, form: AnswerForm, *, at: datetime) -> None:
    """Tell manager and director at once where the customer gave a 0 恶性事件."""
    worst = form.scores().worst_ones()
    if not worst:
        return
    row = find_survey(session, survey)
    said = f"0 分项：{'、'.join(worst)}\n意见：{form.comments or '/'}"
    for rung in ESCALATED_TO:
        alert(
            session,
            key=f"survey/{survey}/worst/{rung}",
            rung=rung,
            subject=f"【恶性事件】客户评 0 分：{row.subject}",
            text=f"{_about(session, row)}\n{said}",
            is_urgent=True,
            at=at,
            customer=row.customer_id,
        )


def _task(row: Survey) -> str:
    return TASKS[row.case_kind is SurveyCase.VISIT]


def _tell_service(session: Session, row: Survey, key: str, said: str, *, at: datetime) -> None:
    alert(
        session,
        key=key,
        rung=Rung.CUSTOMER_SERVICE,
        subject=f"{said}：{row.subject}",
        text=_about(session, row),
        is_urgent=False,
        at=at,
        customer=row.customer_id,
    )


def _about(session: Session, row: Survey) -> str:
    name = session.scalars(select(Customer.name).where(Customer.id == row.customer_id)).one()
    people = "　".join(one for one in (row.contact, row.phone) if one) or "/"
    return f"客户：{name}\n事由：{row.subject}　{row.description}\n联系人：{people}"

"""Offers and answers: what both sides say about the days of a visit, and who is told of it."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from mailcare.contracts.forms import complain
from mailcare.deadlines import VisitDays, visit_days
from mailcare.delivery.alerts import alert
from mailcare.errors import InputError
from mailcare.records.alerts import Rung
from mailcare.records.people import Role
from mailcare.records.visits import Visit, VisitAct, VisitEvent, VisitState, VisitWay
from mailcare.staff.logins import login_key
from mailcare.staff.roles import FIELD, holders, roles_held
from mailcare.visits import letters, writing
from mailcare.visits.appointing import (
    Deed,
    Word,
    agree_on,
    do,
    last_event,
    needs_approval,
    outside_note,
    reassign,
    split_agreement,
    take_back,
    window_of,
)
from mailcare.visits.appointment import Act, Party, Window, checked_days, refuse_early_start
from mailcare.visits.forms import AnswerForm, Choice, EndForm, MoveForm, OfferForm, StaffForm
from mailcare.workdays import Calendar


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is done, and the calendar that holds then."""

    at: datetime
    today: date
    calendar: Calendar


def offer(session: Session, visit: Visit, form: OfferForm, now: Moment, *, by: str) -> None:
    """Propose days; raise `FormError` for days that cannot be, or for want of an approval."""
    window = window_of(session, visit, today=now.today)
    offered = [_days(one, now.calendar, window, field="starts").days for one in form.starts]
    note = _approved(session, visit, form.note, by=by)
    word = Word(Party.VENDOR, VisitWay.CONSOLE, by, by)
    event = do(session, visit, Deed(Act.PROPOSE, word, form.starts, note=note), at=now.at)
    writing.write_offer(session, visit, event, offered)


def _approved(session: Session, visit: Visit, note: str, *, by: str) -> str:
    if not needs_approval(session, visit, Act.PROPOSE):
        return note
    if Role.MANAGER not in roles_held(session, by):
        raise complain("starts", "本合同年度没有剩余的现场巡检次数，属合同外，须由售后主管提出")
    return outside_note(note, by)


def answer(session: Session, visit: Visit, form: AnswerForm, now: Moment, word: Word) -> None:
    """Write the customer's answer to the last offer down, and tell the others."""
    offered = last_event(session, visit)
    if offered is None or visit.state is not VisitState.PROPOSED:
        raise InputError("没有等待客户答复的日期", subject=visit.number)
    window = window_of(session, visit, today=now.today)
    if form.choice is Choice.CONFIRM:
        if form.start.isoformat() not in offered.starts:
            raise complain("start", "请从所列日期中选择")
        days = _days(form.start, now.calendar, window, field="start")
        deed = Deed(Act.CONFIRM, word, (form.start,), note=form.note)
        _agree(session, visit, deed, days, now)
    else:
        agreed_by = form.said_by if form.is_split_agreed else ""
        days = _days(form.start, now.calendar, window, field="start", split_agreed_by=agreed_by)
        deed = Deed(Act.COUNTER, word, (form.start,), agreed_by, form.note)
        _tell_counter(session, visit, do(session, visit, deed, at=now.at), days)


def _tell_counter(session: Session, visit: Visit, event: VisitEvent, days: VisitDays) -> None:
    about = writing.about(session, visit)
    text = letters.countered(about, days.days, said_by=event.said_by, note=event.note)
    alert(
        session,
        key=f"{visit.number}/{event.ordinal}/countered",
        rung=Rung.ENGINEER,
        subject=f"{visit.number} 客户另提现场巡检日期",
        text=text.body,
        is_urgent=False,
        at=event.at,
        customer=writing.customer_of(session, visit).id,
    )


def accept(session: Session, visit: Visit, now: Moment, *, by: str) -> None:
    """Accept the days that the customer asked for."""
    asked = last_event(session, visit)
    if asked is None or asked.act is not VisitAct.COUNTER:
        raise InputError("客户没有另提日期", subject=visit.number)
    start, agreed_by = date.fromisoformat(asked.starts[0]), asked.split_agreed_by
    window = window_of(session, visit, today=now.today)
    days = checked_days(start, now.calendar, window, split_agreed_by=agreed_by)
    word = Word(Party.VENDOR, VisitWay.CONSOLE, by, by)
    _agree(session, visit, Deed(Act.CONFIRM, word, (start,), agreed_by), days, now)


def _agree(session: Session, visit: Visit, deed: Deed, days: VisitDays, now: Moment) -> None:
    event = do(session, visit, deed, at=now.at)
    agree_on(session, visit, days, now.calendar)
    text = letters.agreed(writing.about(session, visit), days.days, note=event.note)
    writing.write_agreed(session, visit, event, days.days, text)


def move(session: Session, visit: Visit, form: MoveForm, now: Moment, *, by: str) -> None:
    """Move agreed days; the entitlement goes back and is taken anew, both in the ledger."""
    window = window_of(session, visit, today=now.today)
    agreed_by = form.said_by if form.is_split_agreed else ""
    days = _days(form.start, now.calendar, window, field="start", split_agreed_by=agreed_by)
    word = Word(Party(form.speaker), VisitWay.PHONE, form.said_by, by)
    deed = Deed(Act.MOVE, word, (form.start,), agreed_by, form.note)
    event = do(session, visit, deed, at=now.at)
    agree_on(session, visit, days, now.calendar)
    text = letters.moved(writing.about(session, visit), days.days, note=event.note)
    writing.write_agreed(session, visit, event, days.days, text)


def call_off(
    session: Session, visit: Visit, act: Act, form: EndForm, now: Moment, *, by: str
) -> None:
    """Cancel a visit, or write down that it was missed; the entitlement goes back."""
    if act is Act.MISS and visit.starts_on:
        refuse_early_start(visit.starts_on, today=now.today)
    word = Word(Party(form.speaker), VisitWay.PHONE, form.said_by, by)
    event = do(session, visit, Deed(act, word, note=form.note), at=now.at)
    if visit.starts_on:
        days = visit_days(visit.starts_on, now.calendar).days
        take_back(session, visit, now.calendar, today=now.today)
        writing.write_called_off(session, visit, event, days)


def assign(session: Session, visit: Visit, form: StaffForm, now: Moment, *, by: str) -> None:
    """Write down who goes and where to; where days are agreed, all whom it concerns are told.

    Raise `FormError` for an engineer who is not on the staff list.
    """
    if visit.state in (VisitState.STARTED, VisitState.COMPLETED):
        raise InputError("巡检已经开始，不能再更换工程师或地点", subject=visit.number)
    before = visit.engineer_email
    named = form.model_copy(update={"engineer": _on_the_list(session, form.engineer)})
    is_new = reassign(session, visit, named, by=by, at=now.at)
    if is_new and visit.starts_on:
        visit.sequence += 1
        days = visit_days(visit.starts_on, now.calendar).days
        writing.write_reassigned(session, visit, days, before=before, by=by, at=now.at)


def _on_the_list(session: Session, login: str) -> str:
    """Return a login as the staff list writes it; a mistyped one could mark its own visit."""
    known = [one for one in holders(session, FIELD) if login_key(one) == login_key(login)]
    if not known:
        raise complain("engineer", f"人员名单中没有登录名为 {login} 的工程师，请先授予角色")
    return login if login in known else known[0]


def start(session: Session, visit: Visit, now: Moment, *, by: str) -> None:
    """Begin the three days; refused before the first one, and for split days nobody agreed to."""
    if not visit.engineer:
        raise InputError("请先登记工程师与服务地点", subject=visit.number)
    word = Word(Party.VENDOR, VisitWay.CONSOLE, by, by)
    if visit.starts_on:
        refuse_early_start(visit.starts_on, today=now.today)
        # The year's notice may have come after the days were agreed.
        days = visit_days(visit.starts_on, now.calendar)
        if days.objection and not split_agreement(session, visit):
            raise InputError(days.objection, subject=visit.number)
    starts = (visit.starts_on,) if visit.starts_on else ()
    do(session, visit, Deed(Act.START, word, starts), at=now.at)


def _days(
    start_on: date, calendar: Calendar, window: Window, *, field: str, split_agreed_by: str = ""
) -> VisitDays:
    try:
        return checked_days(start_on, calendar, window, split_agreed_by=split_agreed_by)
    except InputError as error:
        raise complain(field, str(error)) from None

"""On-site visits: the seam between the records and the rules; every step is safe to run twice."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.calendars.steps import today, working_calendar
from mailcare.clock import utc_now
from mailcare.deadlines import visit_days
from mailcare.errors import InputError
from mailcare.records.session import reading, transaction
from mailcare.records.visits import Visit, VisitState, VisitWay
from mailcare.visits import appointing, negotiating, writing
from mailcare.visits.answering import (
    Knock,
    LinkRefused,
    Opened,
    is_flooding,
    offered_starts,
    open_link,
    use_up,
    write_refusal,
)
from mailcare.visits.appointing import Word
from mailcare.visits.appointment import Act, Party
from mailcare.visits.forms import AnswerForm, EndForm, MoveForm, OfferForm, StaffForm
from mailcare.visits.negotiating import Moment
from mailcare.visits.reminders import due_reminder, reminder_key

log = logging.getLogger(__name__)


class TooManyRefusals(InputError):
    """An address was refused so often that nothing of it is looked at for a while."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a customer's link shows: which visit, and the days that they may choose from."""

    number: str
    customer: str
    system: str
    place: str
    engineer: str
    note: str
    choices: tuple[tuple[date, ...], ...]
    provisional_note: str


def open_visit(service: int) -> int:
    """Return the visit of a planned service, made on the first call.

    Raise `InputError` for a service that is no visit, or that the contract no longer owes.
    """
    with transaction() as session:
        return appointing.open_service(session, service, at=utc_now()).id


def assign(number: str, form: StaffForm, *, by: str) -> None:
    """Write down who goes and where to, until the visit has begun."""
    with transaction() as session:
        visit = appointing.find_visit(session, number)
        if visit.state in (VisitState.STARTED, VisitState.COMPLETED):
            raise InputError("巡检已经开始，不能再更换工程师或地点", subject=number)
        appointing.reassign(session, visit, form, by=by, at=utc_now())


def propose(number: str, form: OfferForm, *, by: str) -> None:
    """Propose days to the customer: a letter with a link goes to each contact.

    A cancelled or missed visit is taken up again so. One that its contract year has no entitlement
    left for is 合同外: raise `FormError` unless `by` is a manager, and the record then says so.
    """
    with _changing(number) as (session, visit, now):
        negotiating.offer(session, visit, form, now, by=by)


def answer_by_phone(number: str, form: AnswerForm, *, by: str) -> None:
    """Write down what the customer answered by phone; `by` took the call."""
    word = Word(Party.CUSTOMER, VisitWay.PHONE, form.said_by, by)
    with _changing(number) as (session, visit, now):
        negotiating.answer(session, visit, form, now, word)


def accept_counter(number: str, *, by: str) -> None:
    """Accept the days that the customer asked for; both sides get the invitation."""
    with _changing(number) as (session, visit, now):
        negotiating.accept(session, visit, now, by=by)


def move_visit(number: str, form: MoveForm, *, by: str) -> None:
    """Move agreed days; both sides get the invitation anew."""
    with _changing(number) as (session, visit, now):
        negotiating.move(session, visit, form, now, by=by)


def cancel_visit(number: str, form: EndForm, *, by: str) -> None:
    """Cancel a visit; the entitlement goes back, and agreed days out of both calendars."""
    with _changing(number) as (session, visit, now):
        negotiating.call_off(session, visit, Act.CANCEL, form, now, by=by)


def miss_visit(number: str, form: EndForm, *, by: str) -> None:
    """Write down that an agreed visit did not take place; the entitlement goes back."""
    with _changing(number) as (session, visit, now):
        negotiating.call_off(session, visit, Act.MISS, form, now, by=by)


def start_visit(number: str, *, by: str) -> None:
    """Begin the three days of a visit."""
    with _changing(number) as (session, visit, now):
        negotiating.start(session, visit, now, by=by)


@contextmanager
def _changing(number: str) -> Iterator[tuple[Session, Visit, Moment]]:
    now = Moment(utc_now(), today(), working_calendar())
    with transaction() as session:
        yield session, appointing.find_visit(session, number), now


def show_offer(knock: Knock) -> Offer:
    """Return what a link shows; raise `LinkRefused` or `TooManyRefusals`, both written down."""
    with _guarded(knock, reading) as session:
        return _offer(session, open_link(session, knock, at=utc_now()))


def answer_by_link(knock: Knock, form: AnswerForm) -> None:
    """Take a link's answer and use the link up; refusals as `show_offer`.

    Raise `FormError` for a day that cannot be; the link then works as before.
    """
    now = Moment(utc_now(), today(), working_calendar())
    with _guarded(knock, transaction) as session:
        opened = open_link(session, knock, at=now.at)
        use_up(session, opened.link, at=now.at)
        visit = appointing.find_visit(session, opened.visit.number)
        word = Word(Party.CUSTOMER, VisitWay.LINK, form.said_by, f"link/{opened.link}")
        negotiating.answer(session, visit, form, now, word)


@contextmanager
def _guarded(
    knock: Knock, opening: Callable[[], AbstractContextManager[Session]]
) -> Iterator[Session]:
    with reading() as session:
        if is_flooding(session, knock.address, at=utc_now()):
            raise TooManyRefusals("尝试次数过多，请 15 分钟后再试，或与我们联系。")
    try:
        with opening() as session:
            yield session
    except LinkRefused as refused:
        log.warning("a visit's link was refused: %s from %s", refused.refusal, knock.address)
        with transaction() as session:
            write_refusal(session, knock, refused.refusal, at=utc_now())
        raise


def _offer(session: Session, opened: Opened) -> Offer:
    calendar = working_calendar()
    about = writing.about(session, opened.visit)
    found = [visit_days(start, calendar) for start in offered_starts(opened.offer)]
    return Offer(
        about.number,
        about.customer,
        about.system,
        about.place,
        about.engineer,
        opened.offer.note,
        tuple(one.days for one in found),
        next((one.deadline.note for one in found if one.deadline.is_provisional), ""),
    )


def remind_visits() -> int:
    """Post the reminders that are due of all agreed visits and return how many letters are new.

    However often it is called, each reminder of each agreed day goes once.
    """
    calendar, now, day = working_calendar(), utc_now(), today()
    with reading() as session:
        agreed = select(Visit.number).where(
            Visit.state == VisitState.CONFIRMED, Visit.starts_on > day
        )
        numbers = session.scalars(agreed.order_by(Visit.id)).all()
    return sum(_remind(one, Moment(now, day, calendar)) for one in numbers)


def _remind(number: str, now: Moment) -> int:
    with transaction() as session:
        visit = appointing.find_visit(session, number)
        if visit.state is not VisitState.CONFIRMED or visit.starts_on is None:
            return 0
        ahead = due_reminder(visit.starts_on, now.calendar, today=now.today)
        if ahead is None:
            return 0
        days = visit_days(visit.starts_on, now.calendar).days
        key = reminder_key(number, visit.sequence, ahead)
        return writing.write_reminder(session, visit, days, ahead=ahead, key=key, at=now.at)

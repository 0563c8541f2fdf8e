"""Tell own staff: choose people by the duty roster, their channels and hours, and post.

A chat message says the subject only: the text may name more of a customer than a chat should hold.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.calendars.steps import working_calendar
from mailcare.clock import BEIJING
from mailcare.delivery.outbox import Draft, post_all
from mailcare.delivery.roster import ChatRobot, Person, next_open, told_first, told_next
from mailcare.records.alerts import Alert, Duty, Robot, Rung, StaffMember
from mailcare.records.changes import add_all_new
from mailcare.records.deliveries import Delivery, DeliveryChannel
from mailcare.workdays import Calendar

CHAT_BODY = "详情请见控制台或邮件。"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What own staff is to be told; `key` makes it one, however often it is raised.

    `subject` goes to chats as well and holds no more of a customer than number, level and name;
    `text` goes by mail only. What is not urgent waits for the person's working hours.
    """

    key: str
    rung: Rung
    subject: str
    text: str
    is_urgent: bool
    fault: int | None = None
    customer: int | None = None


@dataclass(frozen=True, slots=True)
class _Desk:
    """The people as they are on duty at a moment, and the days on which they work."""

    people: tuple[Person, ...]
    calendar: Calendar
    at: datetime


def alert(
    session: Session,
    *,
    key: str,
    rung: Rung,
    subject: str,
    text: str,
    is_urgent: bool,
    at: datetime,
    fault: int | None = None,
    customer: int | None = None,
) -> int | None:
    """Raise one `Call` and return its id; None where its key is known. See `alert_all`."""
    call = Call(
        key=key, rung=rung, subject=subject, text=text, is_urgent=is_urgent, fault=fault,
        customer=customer,
    )  # fmt: skip
    return alert_all(session, (call,), at=at).get(key)


def alert_all(session: Session, calls: Sequence[Call], *, at: datetime) -> Mapping[str, int]:
    """Write alerts and their letters down; return the ids of the new ones by their keys.

    However many they are, they take the same few statements. Without any staff recorded an alert
    stands alone: the console shows that nobody was told.
    """
    added = add_all_new(session, Alert, [_values(one, at) for one in calls], key=Alert.key)
    if added:
        new = {one.key: one for one in calls if one.key in added}
        desk = _desk(session, at)
        drafts = (
            _draft(desk, one, added[one.key], person)
            for one in new.values()
            for person in told_first(desk.people, one.rung)
        )
        post_all(session, drafts, at=at)
    return added


def _values(call: Call, at: datetime) -> dict[str, object]:
    return {
        "key": call.key,
        "rung": call.rung,
        "subject": call.subject,
        "text": call.text,
        "is_urgent": call.is_urgent,
        "at": at,
        "fault_id": call.fault,
        "customer_id": call.customer,
    }


def tell_others(session: Session, failed: Delivery, *, at: datetime) -> None:
    """Post what follows a letter that did not come through, where it was an alert's.

    After a chat message: mail to those who should have read it there. After a mail: the next
    person, who has had no letter of this alert yet.
    """
    if failed.alert_id is None:
        return
    row = session.get_one(Alert, failed.alert_id)
    desk = _desk(session, at)
    drafts = list(_following(session, row, failed, desk))
    post_all(session, drafts, at=at)


def _following(session: Session, row: Alert, failed: Delivery, desk: _Desk) -> Iterator[Draft]:
    call = Call(
        key=row.key, rung=row.rung, subject=row.subject, text=row.text, is_urgent=row.is_urgent,
        fault=row.fault_id, customer=row.customer_id,
    )  # fmt: skip
    if failed.channel is not DeliveryChannel.SMTP:
        for person in _readers(desk.people, row, failed):
            yield _mail(desk, call, row.id, person)
    elif person := told_next(desk.people, row.rung, told=_told(session, row)):
        yield _draft(desk, call, row.id, person)


def _readers(people: Sequence[Person], row: Alert, failed: Delivery) -> Iterable[Person]:
    """Yield the person whom a chat message was for, and those who share the robot with them."""
    first = {person.id for person in told_first(people, row.rung)}
    for person in people:
        shares = person.robot is not None and person.robot.name == failed.recipient
        if person.id == failed.member_id or (shares and person.id in first):
            yield person


def _told(session: Session, row: Alert) -> set[int]:
    told = select(Delivery.member_id).where(Delivery.alert_id == row.id)
    return {one for one in session.scalars(told) if one is not None}


def _draft(desk: _Desk, call: Call, alert_id: int, person: Person) -> Draft:
    if person.robot is None:
        return _mail(desk, call, alert_id, person)
    return _chat(desk, call, alert_id, person, person.robot)


def _chat(desk: _Desk, call: Call, alert_id: int, person: Person, robot: ChatRobot) -> Draft:
    return Draft(
        # People who share a robot read one message, not several.
        key=f"alert/{call.key}/{robot.vendor}/{robot.name}",
        channel=DeliveryChannel(robot.vendor),
        recipient=robot.name,
        subject=call.subject,
        body=CHAT_BODY,
        not_before=_not_before(desk, call, person),
        customer=call.customer,
        fault=call.fault,
        alert=alert_id,
        member=person.id,
    )


def _mail(desk: _Desk, call: Call, alert_id: int, person: Person) -> Draft:
    return Draft(
        key=f"alert/{call.key}/mail/{person.id}",
        channel=DeliveryChannel.SMTP,
        recipient=person.email,
        subject=call.subject,
        body=f"{person.name}：\n\n{call.text}\n",
        not_before=_not_before(desk, call, person),
        customer=call.customer,
        fault=call.fault,
        alert=alert_id,
        member=person.id,
    )


def _not_before(desk: _Desk, call: Call, person: Person) -> datetime | None:
    return None if call.is_urgent else next_open(desk.at, person, desk.calendar)


def _desk(session: Session, at: datetime) -> _Desk:
    return _Desk(_people(session, at), working_calendar(), at)


def _people(session: Session, at: datetime) -> tuple[Person, ...]:
    rows = session.execute(
        select(StaffMember, Robot, Duty.place)
        .outerjoin(Robot, (Robot.id == StaffMember.robot_id) & Robot.is_active)
        .outerjoin(Duty, (Duty.member_id == StaffMember.id) & (Duty.duty_on == _day(at)))
        .where(StaffMember.is_active)
        .order_by(StaffMember.id)
    )
    return tuple(_person(member, robot, place) for member, robot, place in rows)


def _person(member: StaffMember, robot: Robot | None, place: int | None) -> Person:
    return Person(
        member.id,
        member.name,
        member.rung,
        member.email,
        member.works_from,
        member.works_until,
        ChatRobot(robot.name, robot.vendor) if robot else None,
        place,
    )


def _day(at: datetime) -> date:
    return at.astimezone(BEIJING).date()

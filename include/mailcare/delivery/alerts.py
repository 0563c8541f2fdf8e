"""Tell own staff: choose people by the duty roster, their channels and hours, and post.

A chat message says the subject only: the text may name more of a customer than a chat should hold.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.calendars.steps import working_calendar
from mailcare.clock import BEIJING
from mailcare.delivery.outbox import Draft, post
from mailcare.delivery.roster import ChatRobot, Person, next_open, told_first, told_next
from mailcare.records.alerts import Alert, Duty, Robot, Rung, StaffMember
from mailcare.records.changes import add_once
from mailcare.records.deliveries import Delivery, DeliveryChannel

CHAT_BODY = "详情请见控制台或邮件。"


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
    """Write an alert and its letters down and return its id; None where its key is known.

    `subject` goes to chats as well and holds no more of a customer than number, level and name;
    `text` goes by mail only. What is not urgent waits for the person's working hours. Without any
    staff recorded the alert stands alone: the console shows that nobody was told.
    """
    values = {
        "key": key,
        "rung": rung,
        "subject": subject,
        "text": text,
        "is_urgent": is_urgent,
        "at": at,
        "fault_id": fault,
        "customer_id": customer,
    }
    added = add_once(session, Alert, values)
    if added is None:
        return None
    row = session.get_one(Alert, added)
    _tell(session, row, told_first(_people(session, at), rung), at=at)
    return added


def tell_others(session: Session, failed: Delivery, *, at: datetime) -> None:
    """Post what follows a letter that did not come through, where it was an alert's.

    After a chat message: mail to those who should have read it there. After a mail: the next
    person, who has had no letter of this alert yet.
    """
    if failed.alert_id is None:
        return
    row = session.get_one(Alert, failed.alert_id)
    people = _people(session, at)
    if failed.channel is DeliveryChannel.SMTP:
        person = told_next(people, row.rung, told=_told(session, row))
        _tell(session, row, [person] if person else [], at=at)
    else:
        for person in _readers(people, row, failed):
            _post_mail(session, row, person, at=at)


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


def _tell(session: Session, row: Alert, people: Iterable[Person], *, at: datetime) -> None:
    for person in people:
        if person.robot:
            _post_chat(session, row, person, person.robot, at=at)
        else:
            _post_mail(session, row, person, at=at)


def _post_chat(
    session: Session, row: Alert, person: Person, robot: ChatRobot, *, at: datetime
) -> None:
    draft = Draft(
        # People who share a robot read one message, not several.
        key=f"alert/{row.key}/{robot.vendor}/{robot.name}",
        channel=DeliveryChannel(robot.vendor),
        recipient=robot.name,
        subject=row.subject,
        body=CHAT_BODY,
        not_before=_not_before(row, person, at),
        customer=row.customer_id,
        fault=row.fault_id,
        alert=row.id,
        member=person.id,
    )
    post(session, draft, at=at)


def _post_mail(session: Session, row: Alert, person: Person, *, at: datetime) -> None:
    draft = Draft(
        key=f"alert/{row.key}/mail/{person.id}",
        channel=DeliveryChannel.SMTP,
        recipient=person.email,
        subject=row.subject,
        body=f"{person.name}：\n\n{row.text}\n",
        not_before=_not_before(row, person, at),
        customer=row.customer_id,
        fault=row.fault_id,
        alert=row.id,
        member=person.id,
    )
    post(session, draft, at=at)


def _not_before(row: Alert, person: Person, at: datetime) -> datetime | None:
    return None if row.is_urgent else next_open(at, person, working_calendar())


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

"""Ask the customer for a remote authorisation: the letters, in the transaction of the pause."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.delivery.outbox import Draft, post
from mailcare.errors import InputError
from mailcare.faults.events import Paused, PauseReason
from mailcare.faults.lists import FaultRow, fault_row
from mailcare.faults.recording import Backing, add_event
from mailcare.faults.wording import moment
from mailcare.records.customers import Contact, System
from mailcare.records.deliveries import DeliveryChannel
from mailcare.settings import read_settings
from mailcare.systems.authorising import hosts_of
from mailcare.workdays import Calendar

BODY = """{name}：

您好。为处理 {customer} {system} 的故障 {number}（{level}），需要远程登录以下主机：
{hosts}

请回复本邮件，写明同意登录的主机、授权的起止时间和授权人。收到您的授权之前，我们不会登录；
故障的处理时限自 {at}（北京时间）起暂停，收到授权后继续计算。

{vendor}
"""


def ask_for_authorisation(
    session: Session, fault: int, *, calendar: Calendar, by: str, at: datetime, seen: int
) -> int:
    """Pause a fault until the authorisation is there and post the letters that ask for it.

    Return how many events the fault has now. Raise `InputError` where nobody can be asked,
    `Changed` and `Refused` as for any event.
    """
    row = fault_row(session, fault)
    system = session.get(System, row.system_id) if row.system_id else None
    if system is None:
        raise InputError("这个故障没有登记系统，没有可以远程登录的主机", subject=row.number)
    people = _who_may_authorise(session, row)
    remark = f"已发信索取授权：{'、'.join(one.name for one in people)}"
    event = Paused(at=at, reason=PauseReason.AWAITING_AUTHORISATION)
    count = add_event(
        session, fault, event, Backing(remark=remark), calendar=calendar, by=by, at=at, seen=seen
    )
    for one in people:
        post(session, _draft(row, system, one, count, at), at=at)
    return count


def _who_may_authorise(session: Session, row: FaultRow) -> Sequence[Contact]:
    """Return the contacts who are asked: those who may authorise, all where nobody is named."""
    known = select(Contact).where(
        Contact.customer_id == row.customer_id, Contact.email.is_not(None)
    )
    people = session.scalars(known.order_by(Contact.id)).all()
    named = [one for one in people if one.may_authorise]
    if not people:
        raise InputError("客户的联系人都没有邮箱，请电话索取授权，再登记暂停", subject=row.number)
    return named or people


def _draft(row: FaultRow, system: System, contact: Contact, count: int, at: datetime) -> Draft:
    body = BODY.format(
        name=contact.name,
        customer=row.customer,
        system=system.title,
        number=row.number,
        level=row.level,
        hosts="、".join(hosts_of(system.definition)) or "/",
        at=moment(at),
        vendor=read_settings().vendor,
    )
    return Draft(
        key=f"fault/{row.number}/{count}/authorisation/{contact.email}",
        channel=DeliveryChannel.SMTP,
        recipient=contact.email or "",
        subject=f"【请授权远程登录】{row.customer} {system.title} {row.number}",
        body=body,
        customer=row.customer_id,
        fault=row.id,
    )

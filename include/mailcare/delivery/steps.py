"""Delivery: hand a paper to the customer's contacts by mail, each letter once."""

from collections.abc import Mapping
from email.message import EmailMessage

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailcare.clock import utc_now
from mailcare.delivery.letters import Attachment, Letter, message_id, to_message
from mailcare.delivery.relays import Relay, parse_relay, refuse_system_under_test
from mailcare.delivery.smtp_relay import Refused, Uncertain, addresses_of, send
from mailcare.errors import InputError, MailcareError, Unavailable
from mailcare.records.changes import add_once, move
from mailcare.records.customers import System
from mailcare.records.deliveries import (
    Delivery,
    DeliveryChannel,
    DeliveryEvent,
    DeliveryState,
)
from mailcare.records.papers import FileKind, Paper
from mailcare.records.session import reading, transaction
from mailcare.settings import Settings, read_settings
from mailcare.systems.site import Contact, Site

PENDING, SENDING, SENT = DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.SENT
REFUSED, UNCERTAIN = DeliveryState.REFUSED, DeliveryState.UNCERTAIN
ENDS: Mapping[type[MailcareError], DeliveryState] = {Refused: REFUSED, Uncertain: UNCERTAIN}
BODY = """{name}：

您好！{customer}「{system}」的巡检报告（编号 {number}，第 {version} 版）已完成，
随信附上 PDF 文件，请查收。

请核对报告内容；如无异议，请签字（盖章）后寄回。如有疑问，请直接回复本邮件。

{vendor}
"""


class BeingSent(Unavailable):
    """Another task has begun to send this letter."""


def deliver_paper(paper: int) -> None:
    """Send a paper to every contact of its system who gets papers, once each.

    However often this is called, a letter that was taken is not sent again; one that was refused is
    tried anew, for somebody has called again.
    A letter is written down before it goes. Raise the first trouble after all letters were tried:
    `Unavailable` where another try may help, a permanent error where a person must act.
    """
    settings = read_settings()
    letters = _write_letters(paper, settings)
    relay = _relay(paper, settings)
    troubles: list[MailcareError] = []
    for delivery, letter in letters.items():
        try:
            _send(delivery, letter, relay)
        except MailcareError as error:
            troubles.append(error)
    # Another try sends what is still pending; what needs a person stays in the records.
    if troubles:
        raise max(troubles, key=lambda trouble: not trouble.permanent)


def _write_letters(paper: int, settings: Settings) -> dict[int, Letter]:
    with transaction() as session:
        row = session.get_one(Paper, paper)
        system = session.get_one(System, row.system_id)
        customer = Site.model_validate(system.definition).customer
        contacts = [one for one in customer.contacts if one.gets_papers and one.email]
        if not contacts:
            raise InputError("没有接收报告的联系人（gets_papers）或其邮箱", subject=system.site)
        return {
            _write_down(session, row, letter): letter
            for letter in (_letter(row, system, one, settings) for one in contacts)
        }


def _letter(paper: Paper, system: System, contact: Contact, settings: Settings) -> Letter:
    customer = Site.model_validate(system.definition).customer
    pdf = next(file.body for file in paper.files if file.kind is FileKind.PDF)
    name = f"{paper.number}-v{paper.version}"
    return Letter(
        key=f"{name}/{contact.email}",
        sender=settings.sender,
        recipient=contact.email or "",
        subject=f"【巡检报告】{customer.name} {system.title} {paper.number}",
        body=BODY.format(
            name=contact.name,
            customer=customer.name,
            system=system.title,
            number=paper.number,
            version=paper.version,
            vendor=settings.vendor,
        ),
        attachments=(Attachment(f"巡检报告-{name}.pdf", "application/pdf", pdf),),
    )


def _write_down(session: Session, paper: Paper, letter: Letter) -> int:
    values = {
        "paper_id": paper.id,
        "key": letter.key,
        "channel": DeliveryChannel.SMTP,
        "recipient": letter.recipient,
        "message_id": message_id(letter),
        "state": PENDING,
        "state_changed_at": utc_now(),
        "attempts": 0,
    }
    added = add_once(session, Delivery, values)
    if added is None:
        return session.scalars(select(Delivery.id).where(Delivery.key == letter.key)).one()
    session.add(DeliveryEvent(delivery_id=added, at=utc_now(), state=PENDING, detail="已登记"))
    return added


def _relay(paper: int, settings: Settings) -> Relay:
    if not settings.relay_url:
        raise InputError("没有设置邮件中继，报告已生成但未投递", subject="MAILCARE_RELAY_URL")
    relay = parse_relay(settings.relay_url, ehlo_name=settings.sender.rpartition("@")[2])
    with reading() as session:
        system = session.get_one(System, session.get_one(Paper, paper).system_id)
        site = Site.model_validate(system.definition)
    refuse_system_under_test(relay, addresses_of(relay), site)
    return relay


def _send(delivery: int, letter: Letter, relay: Relay) -> None:
    with reading() as session:
        row = session.get_one(Delivery, delivery)
    if row.state is SENDING:
        _move(delivery, SENDING, UNCERTAIN, "上次投递在正文发送途中中断")
    if row.state in (SENDING, UNCERTAIN):
        raise Uncertain("不能确定上次是否已送达，不会自动重发，请先核实", subject=row.recipient)
    if row.state is REFUSED:
        _move(delivery, REFUSED, PENDING, "重新投递")
    if row.state in (PENDING, REFUSED):
        _hand_in(delivery, to_message(letter, date=row.created_at), relay)


def _hand_in(delivery: int, message: EmailMessage, relay: Relay) -> None:
    try:
        reply = send(relay, message, before_data=lambda: _claim(delivery))
    except BeingSent:
        raise  # the other one says how it ended
    except MailcareError as error:
        _settle(delivery, ENDS.get(type(error), PENDING), getattr(error, "reply", str(error)))
        raise
    _settle(delivery, SENT, reply)


def _claim(delivery: int) -> None:
    """Say that the text goes now; whoever finds it said already must not send a second one."""
    if not _move(delivery, PENDING, SENDING, "开始发送正文"):
        raise BeingSent("另一个任务正在投递这封信")


def _settle(delivery: int, state: DeliveryState, detail: str) -> None:
    with transaction() as session:
        current = session.get_one(Delivery, delivery).state
        session.execute(
            update(Delivery)
            .where(Delivery.id == delivery)
            .values(attempts=Delivery.attempts + 1, last_reply=detail)
        )
        if current is not state:
            _note(session, delivery, current, state, detail)


def _move(delivery: int, before: DeliveryState, after: DeliveryState, detail: str) -> bool:
    with transaction() as session:
        return _note(session, delivery, before, after, detail)


def _note(
    session: Session, delivery: int, before: DeliveryState, after: DeliveryState, detail: str
) -> bool:
    now = utc_now()
    moved = move(session, Delivery, delivery, from_state=before, to_state=after, at=now)
    if moved:
        session.add(DeliveryEvent(delivery_id=delivery, at=now, state=after, detail=detail))
    return moved

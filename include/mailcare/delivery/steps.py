"""Delivery: send what the outbox holds, each letter once."""

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.addresses import BadAddress
from mailcare.clock import utc_now
from mailcare.delivery import deciding, lists, progress
from mailcare.delivery.letters import Attachment, Letter, to_message
from mailcare.delivery.lists import LetterDetail, LetterRow, OutboxState
from mailcare.delivery.outbox import Draft, FileReference, chat_text, post
from mailcare.delivery.relays import Relay, parse_relay, refuse_system_under_test
from mailcare.delivery.robots import parse_address, say
from mailcare.delivery.sealing import unsealed
from mailcare.delivery.smtp_relay import NoAnswer, Refused, Uncertain, addresses_of, send
from mailcare.errors import InputError, MailcareError, Unavailable
from mailcare.listing import Page, Wish
from mailcare.records.alerts import Robot
from mailcare.records.customers import System
from mailcare.records.deliveries import Delivery, DeliveryChannel, DeliveryState, Enclosure
from mailcare.records.job_runs import note_run
from mailcare.records.papers import FileKind, Paper
from mailcare.records.session import reading, transaction
from mailcare.secrets import find_secret
from mailcare.settings import Settings, read_settings
from mailcare.systems.fields import Credential
from mailcare.systems.site import Contact, Site

log = logging.getLogger(__name__)
JOB = "deliver_papers"
LETTERS_MOST = 200  # of one run; the next one follows within a minute
RUN_S = 240  # no letter is begun later in a run: its answer may take ten minutes more
PENDING, SENDING, SENT = DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.SENT
REFUSED, UNCERTAIN, DEAD = DeliveryState.REFUSED, DeliveryState.UNCERTAIN, DeliveryState.DEAD
ROOM_TRIES = 5
SHORT_WAIT = timedelta(seconds=2)  # worth staying for: Feishu's second
ENDS: Mapping[type[MailcareError], DeliveryState] = {
    BadAddress: REFUSED,
    Refused: REFUSED,
    Uncertain: UNCERTAIN,
}
MEDIA_TYPES = {
    FileKind.PDF: "application/pdf",
    FileKind.SIGNED: "application/pdf",
    FileKind.HTML: "text/html",
    FileKind.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
BODY = """{name}：

您好！{customer}「{system}」的巡检报告（编号 {number}，第 {version} 版）已完成，
随信附上 PDF 文件，请查收。

请核对报告内容；如无异议，请签字（盖章）后寄回。如有疑问，请直接回复本邮件。

{vendor}
"""


class BeingSent(Unavailable):
    """Another task has begun to send this letter."""


class TooSoon(Unavailable):
    """The robot has no room before `again_at`."""

    def __init__(self, again_at: datetime, *, subject: str) -> None:
        super().__init__("机器人已达到频率上限，稍后再发", subject=subject)
        self.again_at = again_at


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What a run of the outbox did, in letters."""

    sent: int = 0
    failed: int = 0
    abandoned: int = 0
    expired: int = 0

    def __str__(self) -> str:
        return (
            f"发出 {self.sent} 封，未成 {self.failed} 封，"
            f"中断待核实 {self.abandoned} 封，过期 {self.expired} 封"
        )


def send_due() -> SendOutcome:
    """Send what is due, at most `LETTERS_MOST` letters, and write down that this was done.

    Any number of processes may do so at once. A letter's trouble is kept with the letter and holds
    up no other; where a channel does not answer at all, its other letters wait for the next run.
    """
    with transaction() as session:
        abandoned = progress.give_up_abandoned(session, at=utc_now())
        expired = progress.expire(session, at=utc_now())
    results = list(_tries(read_settings()))
    outcome = SendOutcome(results.count(True), results.count(False), abandoned, expired)
    with transaction() as session:
        note_run(session, JOB, at=utc_now(), outcome=str(outcome))
    return outcome


def _tries(settings: Settings) -> Iterator[bool]:
    """Yield for each letter tried whether it went."""
    begun_s = time.monotonic()
    channels = set(DeliveryChannel) - (set() if settings.relay_url else {DeliveryChannel.SMTP})
    with reading() as session:
        due = progress.due_letters(session, at=utc_now(), channels=channels, most=LETTERS_MOST)
    is_relay_silent = False
    for delivery, channel in due:
        if time.monotonic() - begun_s > RUN_S:
            return
        if (is_relay_silent and channel is DeliveryChannel.SMTP) or not _take(delivery):
            continue
        try:
            _attempt(delivery, settings)
        except (BeingSent, TooSoon):
            continue
        except MailcareError as error:
            is_relay_silent |= isinstance(error, NoAnswer)
            yield False
        else:
            yield True


def _take(delivery: int) -> bool:
    with transaction() as session:
        return progress.take(session, delivery, at=utc_now())


def list_letters(wish: Wish) -> Page[LetterRow]:
    """Return a page of letters, those that wait for a person first, then the newest.

    Searched by subject, recipient, customer and fault; sorts: posted_at customer channel recipient
    state attempts.
    """
    with reading() as session:
        return lists.letter_rows(session, wish)


def letter_detail(delivery: int) -> LetterDetail:
    """Return a letter with its files and events; raise `InputError` for one not recorded."""
    with reading() as session:
        return lists.describe_letter(session, delivery)


def outbox_state() -> OutboxState:
    """Return how many letters stand where, the last run, and alerts that nobody got."""
    with reading() as session:
        return lists.outbox_state(session, JOB, at=utc_now())


def mark_arrived(delivery: int, *, reason: str, by: str) -> None:
    """Settle an uncertain letter as arrived; see `deciding.mark_arrived`."""
    with transaction() as session:
        deciding.mark_arrived(session, delivery, reason=reason, by=by, at=utc_now())


def send_again(delivery: int, *, recipient: str, reason: str, by: str) -> None:
    """Let a letter go once more, to a corrected recipient; see `deciding.send_again`."""
    with transaction() as session:
        deciding.send_again(
            session, delivery, recipient=recipient, reason=reason, by=by, at=utc_now()
        )


def deliver_paper(paper: int) -> None:
    """Send a paper to every contact of its system who gets papers, once each.

    However often this is called, a letter that was taken is not sent again; one that was refused is
    tried anew, for somebody has called again.
    A letter is written down before it goes. One that may go later is left to the outbox, which
    tries it until it went or is dead. Raise the first trouble in which a person must act, after
    all letters were tried.
    """
    settings = read_settings()
    troubles: list[MailcareError] = []
    for delivery in _write_letters(paper, settings):
        try:
            _send_now(delivery, settings)
        except Unavailable:
            continue
        except MailcareError as error:
            troubles.append(error)
    if troubles:
        raise troubles[0]


def _write_letters(paper: int, settings: Settings) -> list[int]:
    with transaction() as session:
        row = session.get_one(Paper, paper)
        system = session.get_one(System, row.system_id)
        customer = Site.model_validate(system.definition).customer
        contacts = [one for one in customer.contacts if one.gets_papers and one.email]
        if not contacts:
            raise InputError("没有接收报告的联系人（gets_papers）或其邮箱", subject=system.site)
        drafts = [_draft(row, system, one, settings) for one in contacts]
        for draft in drafts:
            post(session, draft, at=utc_now())
        keys = [draft.key for draft in drafts]
        written = select(Delivery.id).where(Delivery.key.in_(keys)).order_by(Delivery.id)
        return list(session.scalars(written))


def _draft(paper: Paper, system: System, contact: Contact, settings: Settings) -> Draft:
    customer = Site.model_validate(system.definition).customer
    files = {file.kind: file.id for file in paper.files}
    # Where an engineer has signed it, that is the paper; the inspection itself asks for none.
    pdf = files.get(FileKind.SIGNED) or files[FileKind.PDF]
    name = f"{paper.number}-v{paper.version}"
    return Draft(
        key=f"{name}/{contact.email}",
        channel=DeliveryChannel.SMTP,
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
        attachments=(FileReference(f"巡检报告-{name}.pdf", paper_file=pdf),),
        paper=paper.id,
        customer=system.customer_id,
    )


def _send_now(delivery: int, settings: Settings) -> None:
    with transaction() as session:
        row = session.get_one(Delivery, delivery)
        now = utc_now()
        if row.state is SENDING and not progress.is_abandoned(row, at=now):
            raise BeingSent("另一个任务正在投递这封信", subject=row.recipient)
        if row.state is SENDING:
            detail = progress.ABANDONED
            progress.change(session, delivery, SENDING, UNCERTAIN, detail=detail, at=now)
        if row.state in (REFUSED, DEAD):
            progress.change(session, delivery, row.state, PENDING, detail="重新投递", at=now)
        state, recipient = row.state, row.recipient
    if state is UNCERTAIN:
        raise Uncertain("不能确定上次是否已送达，不会自动重发，请先核实", subject=recipient)
    if state is PENDING:
        _attempt(delivery, settings)


def _attempt(delivery: int, settings: Settings) -> None:
    """Try a pending letter once and write down how that ended; raise its trouble."""
    with reading() as session:
        channel = session.get_one(Delivery, delivery).channel
    try:
        reply = _mail(delivery, settings) if channel is DeliveryChannel.SMTP else _say(delivery)
    except BeingSent:
        raise  # the other one says how it ended
    except TooSoon as error:
        with transaction() as session:
            progress.postpone(session, delivery, until=error.again_at)
        raise
    except MailcareError as error:
        _settle(delivery, _end_of(error, channel), getattr(error, "reply", str(error)))
        raise
    # Where the records cannot be written now, the task's log still has the answer.
    log.info("letter %d: %s", delivery, reply)
    _settle(delivery, SENT, reply)


def _end_of(error: MailcareError, channel: DeliveryChannel) -> DeliveryState:
    # A robot that is set up wrongly must not hold an alert back: mail follows at once.
    if channel is not DeliveryChannel.SMTP and isinstance(error, InputError):
        return REFUSED
    return ENDS.get(type(error), PENDING)


def _mail(delivery: int, settings: Settings) -> str:
    with reading() as session:
        row = session.get_one(Delivery, delivery)
        relay = _relay(session, row, settings)
        message = _message(row, settings)
    return send(relay, message, before_data=lambda: _claim(delivery, relay))


def _say(delivery: int) -> str:
    with reading() as session:
        row = session.get_one(Delivery, delivery)
        robot = session.scalar(select(Robot).where(Robot.name == row.recipient, Robot.is_active))
        text = chat_text(row.subject, row.body)
    if robot is None:
        raise InputError("没有这个机器人，或已停用", subject=row.recipient)
    address = parse_address(_secret(robot))
    claim = partial(_claim_room, delivery)
    return say(robot.vendor, address, text, at=utc_now(), before_post=claim)


def _secret(robot: Robot) -> str:
    credential = Credential(
        login=robot.name, connection=robot.connection, password_env=robot.variable
    )
    return find_secret(credential).password or ""


def _relay(session: Session, row: Delivery, settings: Settings) -> Relay:
    if not settings.relay_url:
        raise InputError("没有设置邮件中继，邮件已登记但未投递", subject="MAILCARE_RELAY_URL")
    relay = parse_relay(settings.relay_url, ehlo_name=settings.sender.rpartition("@")[2])
    sites = [
        Site.model_validate(definition)
        for definition in session.scalars(
            select(System.definition).where(System.customer_id == row.customer_id)
        )
        if definition
    ]
    addresses = addresses_of(relay) if sites else ()
    for site in sites:
        refuse_system_under_test(relay, addresses, site)
    return relay


def _message(row: Delivery, settings: Settings) -> EmailMessage:
    letter = Letter(
        message_id=row.message_id or "",
        sender=settings.sender,
        recipient=row.recipient,
        subject=row.subject,
        body=unsealed(row.body, row.key),
        attachments=tuple(_attachment(one) for one in row.enclosures),
    )
    return to_message(letter, date=row.created_at)


def _attachment(enclosure: Enclosure) -> Attachment:
    if file := enclosure.paper_file:
        media_type, sha256, body = MEDIA_TYPES[file.kind], file.sha256, file.body
    else:
        evidence = enclosure.evidence_file
        assert evidence, "a check of the database"
        media_type = evidence.media_type.partition(";")[0]
        sha256, body = evidence.sha256, evidence.body
    if hashlib.sha256(body).hexdigest() != sha256:
        raise MailcareError("附件与登记的 SHA-256 不符，可能已损坏", subject=enclosure.name)
    return Attachment(enclosure.name, media_type, body)


def _claim(delivery: int, relay: Relay) -> None:
    with transaction() as session:
        _start(session, delivery, str(relay), at=utc_now())


def _start(session: Session, delivery: int, through: str, *, at: datetime) -> None:
    """Say that the text goes now; whoever finds it said already must not send a second one.

    `through` is where a person may ask what became of it.
    """
    detail = f"开始发送正文（{through}）"
    if not progress.change(session, delivery, PENDING, SENDING, detail=detail, at=at):
        raise BeingSent("另一个任务正在投递这封信")


def _claim_room(delivery: int) -> None:
    """Say that a chat text goes now, where its robot has room; wait for it a moment at most."""
    for _ in range(ROOM_TRIES):
        with transaction() as session:
            now = utc_now()
            row = session.get_one(Delivery, delivery)
            again_at = progress.robot_free_at(session, row, at=now)
            if again_at <= now:
                _start(session, delivery, row.recipient, at=now)
                return
        if again_at - now > SHORT_WAIT:
            break
        time.sleep((again_at - now).total_seconds())
    raise TooSoon(again_at, subject=row.recipient)


def _settle(delivery: int, state: DeliveryState, detail: str) -> None:
    with transaction() as session:
        progress.settle(session, delivery, state, detail=detail, at=utc_now())

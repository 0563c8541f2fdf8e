"""The outbox: a letter is written down in the transaction of what it tells, and goes later.

`deliver_papers` sends what is due. A letter exists once for its key, whoever posts it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from mailcare.delivery.letters import message_id
from mailcare.delivery.splitting import split_bytes
from mailcare.errors import InputError
from mailcare.records.changes import add_once
from mailcare.records.deliveries import (
    Delivery,
    DeliveryChannel,
    DeliveryEvent,
    DeliveryState,
    Enclosure,
)
from mailcare.settings import read_settings

# What one message may hold; DingTalk and Feishu count the whole request of 20,000 bytes.
CHAT_BYTES_MOST = {
    DeliveryChannel.DINGTALK: 15_000,
    DeliveryChannel.FEISHU: 15_000,
    DeliveryChannel.WECOM: 2_048,
}
PART_MARK_BYTES = 16  # room for "（12/34）" and a line end


@dataclass(frozen=True, slots=True)
class FileReference:
    """A stored file that goes along as `name`: of a rendered paper, or handed in as evidence."""

    name: str
    paper_file: int | None = None
    evidence_file: int | None = None

    def __post_init__(self) -> None:
        if (self.paper_file is None) is (self.evidence_file is None):
            raise ValueError("a reference is to one file")


@dataclass(frozen=True, slots=True)
class Draft:
    """A letter that somebody wants to go out; `recipient` is a mail address or a robot's name.

    It is not sent before `not_before` nor after `expires_at`. `paper`, `customer`, `fault`,
    `alert` and `member` say what it is about; a letter about a customer never goes through that
    customer's own systems.
    """

    key: str
    channel: DeliveryChannel
    recipient: str
    subject: str
    body: str
    attachments: tuple[FileReference, ...] = ()
    not_before: datetime | None = None
    expires_at: datetime | None = None
    paper: int | None = None
    customer: int | None = None
    fault: int | None = None
    alert: int | None = None
    member: int | None = None


def post(session: Session, draft: Draft, *, at: datetime) -> int | None:
    """Write a letter down and return its id, or None where one of its key is there already.

    A chat text that is too long for one message becomes several letters, keyed `KEY#2`, `KEY#3`…;
    the first one's id is returned. What is no mail address is written down too, and refused when
    its turn comes: one bad address stops no other letter, and the outbox shows it. Raise
    `InputError` for files with a chat message.
    """
    if draft.channel is DeliveryChannel.SMTP:
        return _write_down(session, draft, draft.key, draft.body, at=at)
    if draft.attachments:
        raise InputError("群机器人消息不能带附件", subject=draft.key)
    first, *others = _parts(draft)
    written = _write_down(session, draft, draft.key, first, at=at)
    for number, body in enumerate(others, 2):
        _write_down(session, draft, f"{draft.key}#{number}", body, at=at)
    return written


def chat_text(subject: str, body: str) -> str:
    """Return a letter's text as a chat robot says it."""
    return f"{subject}\n{body}".strip()


def _parts(draft: Draft) -> Sequence[str]:
    heading = len(chat_text(draft.subject, "").encode()) + PART_MARK_BYTES
    room = CHAT_BYTES_MOST[draft.channel] - heading
    if room < PART_MARK_BYTES:
        raise InputError("群机器人消息的标题过长", subject=draft.key)
    parts = split_bytes(draft.body, room)
    if len(parts) == 1:
        return parts
    return [f"（{number}/{len(parts)}）\n{part}" for number, part in enumerate(parts, 1)]


def _write_down(session: Session, draft: Draft, key: str, body: str, *, at: datetime) -> int | None:
    added = add_once(session, Delivery, _values(draft, key, body, at=at))
    if added is None:
        return None
    session.add(
        DeliveryEvent(delivery_id=added, at=at, state=DeliveryState.PENDING, detail="已登记")
    )
    session.add_all(
        Enclosure(
            delivery_id=added,
            name=one.name,
            paper_file_id=one.paper_file,
            evidence_file_id=one.evidence_file,
        )
        for one in draft.attachments
    )
    return added


def _values(draft: Draft, key: str, body: str, *, at: datetime) -> dict[str, object]:
    is_mail = draft.channel is DeliveryChannel.SMTP
    return {
        "key": key,
        "channel": draft.channel,
        "recipient": draft.recipient,
        "subject": draft.subject,
        "body": body,
        "message_id": message_id(key, sender=read_settings().sender) if is_mail else None,
        "paper_id": draft.paper,
        "customer_id": draft.customer,
        "fault_id": draft.fault,
        "alert_id": draft.alert,
        "member_id": draft.member,
        "not_before_at": draft.not_before,
        "next_attempt_at": max(draft.not_before or at, at),
        "expires_at": draft.expires_at,
        "state": DeliveryState.PENDING,
        "state_changed_at": at,
        "attempts": 0,
    }

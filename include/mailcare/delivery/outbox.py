"""The outbox: a letter is written down in the transaction of what it tells, and goes later.

`deliver_papers` sends what is due. A letter exists once for its key, whoever posts it again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from mailcare.delivery.letters import message_id
from mailcare.delivery.splitting import split_bytes
from mailcare.errors import InputError
from mailcare.records.changes import add_all_new, insert_all
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

    See `post_all`.
    """
    return post_all(session, (draft,), at=at).get(draft.key)


def post_all(session: Session, drafts: Iterable[Draft], *, at: datetime) -> Mapping[str, int]:
    """Write letters down; return the ids of those whose key was not there yet, by their keys.

    However many they are, they take the same few statements. A chat text that is too long for one
    message becomes several letters, keyed `KEY`, `KEY#2`, `KEY#3`… What is no mail address is
    written down too, and refused when its turn comes: one bad address stops no other letter, and
    the outbox shows it. Raise `InputError` for files with a chat message.
    """
    sender = read_settings().sender
    letters: dict[str, Draft] = {}
    for part in (part for draft in drafts for part in _parts(draft)):
        # People who share a robot are told by one letter: of equal keys the first one counts.
        letters.setdefault(part.key, part)
    rows = [_values(one, sender, at=at) for one in letters.values()]
    added = add_all_new(session, Delivery, rows, key=Delivery.key)
    insert_all(session, DeliveryEvent, [_registered(one, at) for one in added.values()])
    enclosed = [row for key, one in added.items() for row in _enclosed(letters[key], one)]
    insert_all(session, Enclosure, enclosed)
    return added


def chat_text(subject: str, body: str) -> str:
    """Return a letter's text as a chat robot says it."""
    return f"{subject}\n{body}".strip()


def _parts(draft: Draft) -> Iterator[Draft]:
    """Yield the letters that a draft becomes."""
    if draft.channel is DeliveryChannel.SMTP:
        yield draft
        return
    if draft.attachments:
        raise InputError("群机器人消息不能带附件", subject=draft.key)
    for number, body in enumerate(_bodies(draft), 1):
        key = draft.key if number == 1 else f"{draft.key}#{number}"
        yield replace(draft, key=key, body=body)


def _bodies(draft: Draft) -> Sequence[str]:
    heading = len(chat_text(draft.subject, "").encode()) + PART_MARK_BYTES
    room = CHAT_BYTES_MOST[draft.channel] - heading
    if room < PART_MARK_BYTES:
        raise InputError("群机器人消息的标题过长", subject=draft.key)
    parts = split_bytes(draft.body, room)
    if len(parts) == 1:
        return parts
    return [f"（{number}/{len(parts)}）\n{part}" for number, part in enumerate(parts, 1)]


def _registered(delivery: int, at: datetime) -> dict[str, object]:
    return {
        "delivery_id": delivery, "at": at, "state": DeliveryState.PENDING, "detail": "已登记",
    }  # fmt: skip


def _enclosed(draft: Draft, delivery: int) -> Iterator[dict[str, object]]:
    for one in draft.attachments:
        yield {
            "delivery_id": delivery,
            "name": one.name,
            "paper_file_id": one.paper_file,
            "evidence_file_id": one.evidence_file,
        }


def _values(draft: Draft, sender: str, *, at: datetime) -> dict[str, object]:
    is_mail = draft.channel is DeliveryChannel.SMTP
    return {
        "key": draft.key,
        "channel": draft.channel,
        "recipient": draft.recipient,
        "subject": draft.subject,
        "body": draft.body,
        "message_id": message_id(draft.key, sender=sender) if is_mail else None,
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

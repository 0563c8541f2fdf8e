"""A letter as a value, and the mail that it becomes: the same bytes whenever it is made again."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage

from mailcare.addresses import BadAddress, parse_address
from mailcare.errors import InputError

SENDER = "MAILCARE_SENDER"
# Seven bits only: no relay on the way has to be asked whether it carries eight.
MAIL_POLICY = policy.SMTP.clone(cte_type="7bit")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along; `media_type` as in `application/pdf`."""

    name: str
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """What one recipient gets; letters with an equal `message_id` are the same letter.

    `sender` and `recipient` are bare addresses, `body` plain text.
    """

    message_id: str
    sender: str
    recipient: str
    subject: str
    body: str
    attachments: tuple[Attachment, ...] = ()


def message_id(key: str, *, sender: str) -> str:
    """Return the Message-ID: of the key and the sender's domain, so that a repeat is known."""
    return f"<{_digest(key)}@{_sender(sender).domain}>"


def to_message(letter: Letter, *, date: datetime) -> EmailMessage:
    """Return the mail; `date` is aware.

    Raise `BadAddress` for a recipient that is none, `InputError` for such a sender: that is our own
    setting, and the letter can wait for it.
    """
    message = EmailMessage(policy=MAIL_POLICY)
    message["From"] = _sender(letter.sender)
    message["To"] = parse_address(letter.recipient)
    message["Subject"] = _one_line(letter.subject)
    message["Date"] = _aware(date)
    message["Message-ID"] = letter.message_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answer comes back
    message.set_content(letter.body)
    for attachment in letter.attachments:
        _attach(message, attachment)
    if letter.attachments:
        message.set_boundary(f"=_{_digest(letter.message_id)}")
    return message


def _attach(message: EmailMessage, attachment: Attachment) -> None:
    maintype, _, subtype = attachment.media_type.partition("/")
    message.add_attachment(
        attachment.body, maintype=maintype, subtype=subtype, filename=_one_line(attachment.name)
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _sender(text: str) -> Address:
    try:
        return parse_address(text)
    except BadAddress as error:
        raise InputError(f"发件人不是有效的邮件地址（{text}）", subject=SENDER) from error


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _aware(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(f"a moment without a zone: {moment.isoformat()}")
    return moment

"""A letter as a value, and the mail that it becomes: the same bytes whenever it is made again."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage

from mailcare.errors import InputError

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
    return f"<{_digest(key)}@{_address(sender).domain}>"


def refuse_bad_address(text: str) -> None:
    """Raise `InputError` for what is no bare address."""
    _address(text)


def to_message(letter: Letter, *, date: datetime) -> EmailMessage:
    """Return the mail; `date` is aware. Raise `InputError` for an address that is none."""
    message = EmailMessage(policy=MAIL_POLICY)
    message["From"] = _address(letter.sender)
    message["To"] = _address(letter.recipient)
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


def _address(text: str) -> Address:
    try:
        address = Address(addr_spec=text)
    except (HeaderParseError, ValueError, IndexError) as error:
        raise InputError("不是有效的邮件地址", subject=text) from error
    if not (text.isascii() and address.username and address.domain):
        raise InputError("邮件地址须为“用户名@域名”且只含 ASCII 字符", subject=text)
    return address


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _aware(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(f"a moment without a zone: {moment.isoformat()}")
    return moment

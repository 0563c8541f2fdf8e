"""One marked mail from a probe mailbox to a probe mailbox, followed until it is found.

Words: `round-trip SENDER RECIPIENT WAIT_S`. The mail goes in by submission, is looked for by IMAP
in the inbox and the junk folders, written down whole, and then deleted: that one and no other.
Where it does not come, a bounce in the sender's mailbox is looked for.
"""

import base64
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from time import monotonic
from uuid import uuid4

from mailcare.inspection.check import Answer, Ask, Reply
from mailcare.inspection.collect import imap, smtp
from mailcare.inspection.collect.dialogue import Declined, Dialogue, Interrupted, trusted_by
from mailcare.inspection.collect.dialogue import Server as Port
from mailcare.inspection.collect.mailboxes import mailbox_of, password_of
from mailcare.inspection.collect.scene import Scene
from mailcare.secrets import Secret
from mailcare.systems.site import Mailbox, Server

SUBJECT = "mailcare probe"
LOOK_EVERY_S = 0.5
CLEAN_UP_S = 10.0
_FOLDER = re.compile(r'^\* LIST \(([^)]*)\) (?:"[^"]*"|NIL) (.+)$', re.IGNORECASE)
_JUNK_NAMES = frozenset({"junk", "spam", "junk e-mail", "bulk mail", "&V4NXPpCuTvY-".lower()})
_UID = re.compile(r"^\* SEARCH((?: \d+)+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Access:
    """A probe mailbox with its password at hand, and whom to trust with it."""

    mailbox: Mailbox
    secret: Secret
    trust: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class Find:
    """Where a mail was found."""

    folder: str
    uid: str


def probe(ask: Ask, scene: Scene) -> Answer:
    """Send, wait, record, clean up; raise `InputError` where a mailbox's secret is missing."""
    _, sender_address, recipient_address, wait_s = ask.words
    trust = trusted_by(scene.system.site)
    sender, recipient = (
        Access(mailbox_of(one, scene), password_of(one, scene), trust)
        for one in (sender_address, recipient_address)
    )
    token = uuid4().hex
    mail = _write_mail(sender.mailbox, recipient.mailbox, token, scene)
    with Dialogue(timeout_s=ask.timeout_s) as dialogue:
        dialogue.note(f"token {token}")
        complete = False
        with suppress(Interrupted, Declined):
            _send(dialogue, sender, recipient, ehlo_name=scene.system.site.ehlo_name, mail=mail)
            complete = _follow(dialogue, sender, recipient, token=token, wait_s=float(wait_s))
        text = dialogue.text()
    return Reply(text, int(not complete), scene.now(), f"loop://{sender_address}")


def _write_mail(sender: Mailbox, recipient: Mailbox, token: str, scene: Scene) -> bytes:
    mail = EmailMessage()
    mail["From"] = sender.address
    mail["To"] = recipient.address
    mail["Subject"] = f"{SUBJECT} {token}"
    mail["Date"] = format_datetime(scene.now())
    mail["Message-ID"] = f"<{token}@{sender.address.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody answers such a mail by machine
    mail["X-Mailcare-Probe"] = token
    mail.set_content("This mail was sent by a mail system inspection and deletes itself.\n")
    return mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _send(
    dialogue: Dialogue, sender: Access, recipient: Access, *, ehlo_name: str, mail: bytes
) -> None:
    dialogue.note("stage submission")
    port = _port(sender.mailbox.submission)
    smtp.log_in(dialogue, port, ehlo_name, secret=sender.secret, trust=sender.trust)
    dialogue.note("stage send")
    smtp.order(dialogue, f"MAIL FROM:<{sender.mailbox.address}>", accept="2")
    smtp.order(dialogue, f"RCPT TO:<{recipient.mailbox.address}>", accept="2")
    smtp.order(dialogue, "DATA", accept="3")
    dialogue.send(mail.replace(b"\r\n.", b"\r\n.."))
    smtp.order(dialogue, ".", accept="2")
    dialogue.note("stage sent")
    with suppress(Interrupted):
        smtp.quit_politely(dialogue)


def _port(server: Server) -> Port:
    tls = "implicit" if server.implicit_tls else "starttls"
    return Port(server.address, server.port, tls, server.server_name)


def _follow(
    dialogue: Dialogue, sender: Access, recipient: Access, *, token: str, wait_s: float
) -> bool:
    """Wait for the mail; tell whether it was found."""
    started = monotonic()
    with suppress(Declined):
        found = _wait(dialogue, recipient, token=token, until=started + wait_s)
        if found is not None:
            dialogue.note(f"delay_s {monotonic() - started:.2f}")
            _take(dialogue, found)
            return True
        dialogue.note(f"not-found {wait_s:g}")
        if sender != recipient:
            _look_for_bounce(dialogue, sender, token)
    return False


def _open(dialogue: Dialogue, access: Access) -> frozenset[str]:
    port = _port(access.mailbox.imap)
    return imap.log_in(dialogue, port, secret=access.secret, trust=access.trust)


def _wait(dialogue: Dialogue, access: Access, *, token: str, until: float) -> Find | None:
    dialogue.note("stage read")
    _open(dialogue, access)
    folders = tuple(_folders(dialogue))
    mark = dialogue.mark()
    while True:
        for folder in folders:
            if uid := _search(dialogue, folder, f'HEADER Subject "{token}"'):
                dialogue.note(f"found {folder}")
                return Find(folder, uid)
        if monotonic() >= until:
            return None
        dialogue.rewind(mark)
        time.sleep(LOOK_EVERY_S)


def _folders(dialogue: Dialogue) -> Iterator[str]:
    """Yield the names, as the server quotes them, of the inbox and of what holds junk."""
    yield "INBOX"
    for line in imap.order(dialogue, 'LIST "" "*"').lines:
        if (match := _FOLDER.match(line)) and _holds_junk(match[1], match[2]):
            yield match[2]


def _holds_junk(flags: str, name: str) -> bool:
    if "\\no" in flags.lower().replace("\\noinferiors", "") or name.startswith("{"):
        return False  # \Noselect, \NonExistent, or a name that came as a literal
    last = name.strip('"').replace(".", "/").rpartition("/")[2]
    return "\\junk" in flags.lower() or last.lower() in _JUNK_NAMES


def _search(dialogue: Dialogue, folder: str, criteria: str) -> str | None:
    imap.order(dialogue, f"SELECT {folder}")
    for line in imap.order(dialogue, f"UID SEARCH {criteria}").lines:
        if match := _UID.match(line):
            return match[1].split()[-1]
    return None


def _take(dialogue: Dialogue, found: Find) -> None:
    """Write the mail down and delete it."""
    dialogue.extend(CLEAN_UP_S)
    fetched = imap.order(dialogue, f"UID FETCH {found.uid} (BODY.PEEK[])")
    if fetched.literals:
        dialogue.note("message")
        dialogue.heard(base64.encodebytes(fetched.literals[0]).decode("ascii"))
    imap.order(dialogue, f"UID STORE {found.uid} +FLAGS.SILENT (\\Deleted)")
    _expunge(dialogue, found.uid)
    imap.log_out(dialogue)


def _expunge(dialogue: Dialogue, uid: str) -> None:
    try:
        imap.order(dialogue, f"UID EXPUNGE {uid}")  # RFC 4315: this one only
    except Declined:
        deleted = imap.order(dialogue, "UID SEARCH DELETED").lines
        if f"* SEARCH {uid}" in deleted:
            imap.order(dialogue, "EXPUNGE")


def _look_for_bounce(dialogue: Dialogue, sender: Access, token: str) -> None:
    dialogue.extend(CLEAN_UP_S)
    dialogue.note("stage bounce")
    _open(dialogue, sender)
    uid = _search(dialogue, "INBOX", f'BODY "{token}"')
    if uid is not None:
        dialogue.note("bounced")
        _take(dialogue, Find("INBOX", uid))

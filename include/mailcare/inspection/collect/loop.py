"""Marked mails from a probe mailbox, followed until they are found.

`round-trip SENDER RECIPIENT WAIT_S [SERVER]` sends one to a probe mailbox: it goes in by submission
(at SERVER, or at the sender's own), is looked for by IMAP in the inbox and the junk folders,
written down whole, and then deleted: that one and no other. Where it does not come, a bounce in
the sender's mailbox is looked for.

`providers SENDER WAIT_S ADDRESS …` sends one to each of the site's provider addresses, one after
the other over one submission connection, and looks for them and their bounces in rounds that come
less and less often. Of a mail that arrived only the header is written down.
"""

import base64
import re
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from time import monotonic
from uuid import uuid4

from mailcare.errors import InputError
from mailcare.inspection.check import Answer, Ask, Reply
from mailcare.inspection.collect import imap, smtp
from mailcare.inspection.collect.dialogue import Declined, Dialogue, Interrupted, trusted_by
from mailcare.inspection.collect.dialogue import Server as Port
from mailcare.inspection.collect.mailboxes import mailbox_of, password_of
from mailcare.inspection.collect.scene import Scene
from mailcare.secrets import Secret
from mailcare.systems.site import Mailbox, Provider, Server

SUBJECT = "mailcare probe"
LOOK_EVERY_S = 0.5
LOOK_EVERY_PART = 0.05  # of the wait so far: as exact as a delay needs to be, and few in an hour
ROOM_BYTES = 1024 * 1024  # each look is heard, though only the last is written down
LOOK_AT_LEAST_EVERY_S = 8.0
LOOK_S = 15.0
WHOLE, HEADER, BEGINNING = "BODY.PEEK[]", "BODY.PEEK[HEADER]", "BODY.PEEK[]<0.16384>"
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


@dataclass(slots=True)
class Parcel:
    """A mail on its way to a provider; `access` is None where nobody can look into the mailbox."""

    token: str
    address: str
    access: Access | None


def probe(ask: Ask, scene: Scene) -> Answer:
    """Send, wait, record, clean up; raise `InputError` where a mailbox's secret is missing."""
    return _try_providers(ask, scene) if ask.words[0] == "providers" else _round_trip(ask, scene)


def _round_trip(ask: Ask, scene: Scene) -> Answer:
    _, sender_address, recipient_address, wait_s, *server = ask.words
    trust = trusted_by(scene.system.site)
    sender, recipient = (
        Access(mailbox_of(one, scene), password_of(one, scene), trust)
        for one in (sender_address, recipient_address)
    )
    token = uuid4().hex
    mail = _write_mail(sender.mailbox.address, recipient.mailbox.address, token, scene)
    with Dialogue(timeout_s=ask.timeout_s, limit_bytes=ROOM_BYTES) as dialogue:
        dialogue.note(f"token {token}")
        complete = False
        with suppress(Interrupted, Declined):
            by = Port.of(tuple(server)) if server else port_of(sender.mailbox.submission)
            dialogue.note("stage submission")
            ehlo_name = scene.system.site.ehlo_name
            smtp.log_in(dialogue, by, ehlo_name, secret=sender.secret, trust=trust)
            _send(dialogue, sender, recipient, mail)
            complete = _follow(dialogue, sender, recipient, token=token, wait_s=float(wait_s))
        text = dialogue.text()
    return Reply(text, int(not complete), scene.now(), f"loop://{sender_address}")


def _write_mail(sender: str, recipient: str, token: str, scene: Scene) -> bytes:
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = recipient
    mail["Subject"] = f"{SUBJECT} {token}"
    mail["Date"] = format_datetime(scene.now())
    mail["Message-ID"] = f"<{token}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody answers such a mail by machine
    mail["X-Mailcare-Probe"] = token
    # A bounce may bring back the body only, or the header only.
    mail.set_content(f"Sent by a mail system inspection; it may be deleted. {token}\n")
    return mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _send(dialogue: Dialogue, sender: Access, recipient: Access, mail: bytes) -> None:
    dialogue.note("stage send")
    transfer(dialogue, sender.mailbox.address, recipient.mailbox.address, mail)
    dialogue.note("stage sent")
    with suppress(Interrupted):
        smtp.quit_politely(dialogue)


def transfer(dialogue: Dialogue, sender: str, recipient: str, mail: bytes) -> None:
    """Hand a mail over, with its lines ended by CRLF; raise `Declined` where it is not taken."""
    smtp.order(dialogue, f"MAIL FROM:<{sender}>", accept="2")
    smtp.order(dialogue, f"RCPT TO:<{recipient}>", accept="2")
    smtp.order(dialogue, "DATA", accept="3")
    dialogue.send(mail.replace(b"\r\n.", b"\r\n.."))
    smtp.order(dialogue, ".", accept="2")


def port_of(server: Server) -> Port:
    """Return a mailbox's server as a dialogue connects to it."""
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
    port = port_of(access.mailbox.imap)
    return imap.log_in(dialogue, port, secret=access.secret, trust=access.trust)


def _wait(dialogue: Dialogue, access: Access, *, token: str, until: float) -> Find | None:
    dialogue.note("stage read")
    _open(dialogue, access)
    folders = tuple(_folders(dialogue))
    mark, started = dialogue.mark(), monotonic()
    while True:
        if found := _find(dialogue, folders, token):
            dialogue.note(f"found {found.folder}")
            return found
        if monotonic() >= until:
            return None
        dialogue.rewind(mark)
        time.sleep(max(LOOK_EVERY_S, LOOK_EVERY_PART * (monotonic() - started)))


def _find(dialogue: Dialogue, folders: Iterable[str], token: str) -> Find | None:
    for folder in folders:
        if uid := _search(dialogue, folder, f'HEADER Subject "{token}"'):
            return Find(folder, uid)
    return None


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
    """Write the mail down, delete it, and leave."""
    _record(dialogue, found, WHOLE)
    imap.log_out(dialogue)


def _record(dialogue: Dialogue, found: Find, extent: str) -> None:
    """Write so much of the mail down, and delete it."""
    dialogue.extend(CLEAN_UP_S)
    fetched = imap.order(dialogue, f"UID FETCH {found.uid} ({extent})")
    if fetched.literals:
        dialogue.note("message")
        dialogue.heard(base64.encodebytes(fetched.literals[0]).decode("ascii"))
    expunge(dialogue, found.uid)


def expunge(dialogue: Dialogue, uid: str) -> None:
    """Delete that mail for good and no other."""
    imap.order(dialogue, f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)")
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
    uid = _search(dialogue, "INBOX", f'TEXT "{token}"')
    if uid is not None:
        dialogue.note("bounced")
        _take(dialogue, Find("INBOX", uid))


def _try_providers(ask: Ask, scene: Scene) -> Answer:
    _, sender_address, wait_s, *addresses = ask.words
    trust = trusted_by(scene.system.site)
    sender = Access(mailbox_of(sender_address, scene), password_of(sender_address, scene), trust)
    providers = [one for one in scene.system.site.providers if one.address in addresses]
    parcels = [Parcel(uuid4().hex, one.address, _access_to(one, trust, scene)) for one in providers]
    with Dialogue(timeout_s=ask.timeout_s) as dialogue:
        sent = list(_send_each(dialogue, sender, parcels, scene))
        record = [dialogue.text()]
    lost = _follow_each(record, sender, sent, wait_s=float(wait_s))
    record.extend(f"# not-found {parcel.address} {wait_s}\n" for parcel in lost)
    exit_code = int(bool(lost) or len(sent) < len(parcels))
    return Reply("".join(record), exit_code, scene.now(), f"loop://{sender_address}")


def _access_to(provider: Provider, trust: ssl.SSLContext, scene: Scene) -> Access | None:
    if provider.mailbox is None:
        return None
    try:
        secret = scene.find_secret(provider.mailbox.credential)
    except InputError:  # what the mail log and a bounce tell is worth having without it
        return None
    return Access(provider.mailbox, secret, trust) if secret.password else None


def _send_each(
    dialogue: Dialogue, sender: Access, parcels: Iterable[Parcel], scene: Scene
) -> Iterator[Parcel]:
    """Yield what the server took in; where it hangs up, the rest is not sent."""
    dialogue.note("stage submission")
    port = port_of(sender.mailbox.submission)
    ehlo_name = scene.system.site.ehlo_name
    with suppress(Interrupted, Declined):
        smtp.log_in(dialogue, port, ehlo_name, secret=sender.secret, trust=sender.trust)
        for parcel in parcels:
            mail = _write_mail(sender.mailbox.address, parcel.address, parcel.token, scene)
            if _hand_over(dialogue, sender, parcel, mail):
                yield parcel
        smtp.quit_politely(dialogue)


def _hand_over(dialogue: Dialogue, sender: Access, parcel: Parcel, mail: bytes) -> bool:
    dialogue.note(f"mail {parcel.address} {parcel.token}")
    try:
        transfer(dialogue, sender.mailbox.address, parcel.address, mail)
    except Declined:
        dialogue.note(f"turned-away {parcel.address}")
        smtp.order(dialogue, "RSET", accept="2")
        return False
    dialogue.note(f"sent {parcel.address}")
    return True


def _follow_each(
    record: list[str], sender: Access, parcels: list[Parcel], *, wait_s: float
) -> list[Parcel]:
    """Look for the mails and their bounces in rounds; return what was not heard of in the end.

    Each look is a conversation of its own, so that a mailbox that hangs holds up the next one for
    `LOOK_S` at most; what it told goes into the record where it settled something.
    """
    until = monotonic() + wait_s
    pause_s = LOOK_EVERY_S
    waiting = _still_waiting(record, sender, parcels)
    while waiting and (left_s := until - monotonic()) > 0:
        time.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 2, LOOK_AT_LEAST_EVERY_S)
        waiting = _still_waiting(record, sender, waiting)
    return waiting


def _still_waiting(record: list[str], sender: Access, parcels: list[Parcel]) -> list[Parcel]:
    waiting = [one for one in parcels if not _has_arrived(record, one)]
    return _without_bounced(record, sender, waiting) if waiting else []


def _has_arrived(record: list[str], parcel: Parcel) -> bool:
    """Look into the recipient's mailbox, take the mail where it is there."""
    if parcel.access is None:
        return False
    with Dialogue(timeout_s=LOOK_S) as dialogue:
        try:
            _open(dialogue, parcel.access)
            found = _find(dialogue, tuple(_folders(dialogue)), parcel.token)
        except (Interrupted, Declined):
            dialogue.note(f"unreadable {parcel.address}")
            record.append(dialogue.text())
            parcel.access = None
            return False
        with suppress(Interrupted, Declined):
            if found is not None:
                dialogue.note(f"found {parcel.address} {found.folder}")
                _record(dialogue, found, HEADER)
            imap.log_out(dialogue)
        if found is not None:
            record.append(dialogue.text())
    return found is not None


def _without_bounced(record: list[str], sender: Access, parcels: list[Parcel]) -> list[Parcel]:
    """Return the mails of which no bounce has come back to the sender; take the bounces."""
    bounced: list[Parcel] = []
    with Dialogue(timeout_s=LOOK_S) as dialogue, suppress(Interrupted, Declined):
        _open(dialogue, sender)
        for parcel in parcels:
            if uid := _search(dialogue, "INBOX", f'TEXT "{parcel.token}"'):
                bounced.append(parcel)
                dialogue.note(f"bounced {parcel.address}")
                _record(dialogue, Find("INBOX", uid), BEGINNING)
        imap.log_out(dialogue)
    if bounced:
        record.append(dialogue.text())
    return [one for one in parcels if one not in bounced]

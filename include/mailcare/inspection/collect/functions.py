"""The advanced functions tried with a marked mail: 归档 archive, 审核 approval, 查询 query.

Words: `archive SENDER ARCHIVE FOLDER WAIT_S`, `approval SENDER APPROVER MARK FOLDER RELEASED
WAIT_S`, `query SENDER FOLDER WAIT_S`: addresses of the site's own mailboxes, and folders. The mail
goes from SENDER to itself. Of the mails only our own are deleted, and never the archive's copy: an
archive is evidence.

Events besides those of a dialogue: `token`, `stage NAME`, `archived FOLDER`, `held FOLDER`, `leaked
INBOX` (let through before it was released), `released FOLDER`, `not-released`, `arrived FOLDER`,
`not-archived`, `not-held`, `not-arrived`, `no-hit` with the seconds waited, `hit`, `false-hit`, and
`delay_s`.
"""

import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from time import monotonic
from typing import TypeVar
from uuid import uuid4

from mailcare.inspection.check import Answer, Ask, Reply
from mailcare.inspection.collect import imap, smtp
from mailcare.inspection.collect.dialogue import (
    SIZE_LIMIT_BYTES,
    Declined,
    Dialogue,
    Interrupted,
    trusted_by,
)
from mailcare.inspection.collect.loop import (
    CLEAN_UP_S,
    LOOK_EVERY_S,
    SUBJECT,
    Access,
    expunge,
    port_of,
    transfer,
)
from mailcare.inspection.collect.mailboxes import mailbox_of, password_of
from mailcare.inspection.collect.scene import Scene

FIRST_LOOK_S = 5.0  # so long a mail that should be held is looked for before its inbox is
_LOOKING_BYTES_PER_S = 8192  # what a server says while a mail is waited for
_MARK_HEADER = "X-Mailcare-Probe"
_UIDS = re.compile(r"^\* SEARCH((?: \d+)+)", re.IGNORECASE)
_UID = re.compile(r"^\* \d+ FETCH \(UID (\d+)\)", re.IGNORECASE)
_UIDNEXT = re.compile(r"^\* OK \[UIDNEXT (\d+)\]", re.IGNORECASE)

FoundT = TypeVar("FoundT")


@dataclass(frozen=True, slots=True)
class Trial:
    """One marked mail on its way; `word` stands in its text only, `token` in its subject."""

    dialogue: Dialogue
    scene: Scene
    token: str
    word: str
    wait_s: float

    def access(self, address: str) -> Access:
        """Return a mailbox of the site; raise `InputError` where its secret is missing."""
        trust = trusted_by(self.scene.system.site)
        mailbox = mailbox_of(address, self.scene)
        return Access(mailbox, password_of(address, self.scene), trust)


def probe(ask: Ask, scene: Scene) -> Answer:
    """Try one function; raise `InputError` where a mailbox's secret is missing."""
    verb, *words, wait_s = ask.words
    limit_bytes = SIZE_LIMIT_BYTES + int(ask.timeout_s * _LOOKING_BYTES_PER_S)
    with Dialogue(timeout_s=ask.timeout_s, limit_bytes=limit_bytes) as dialogue:
        trial = Trial(dialogue, scene, uuid4().hex, uuid4().hex, float(wait_s))
        dialogue.note(f"token {trial.token}")
        ended = False
        with suppress(Interrupted, Declined):
            _VERBS[verb](trial, *words)
            ended = True
        text = dialogue.text()
    return Reply(text, int(not ended), scene.now(), f"function://{words[0]}")


def _archive(trial: Trial, sender: str, archive: str, folder: str) -> None:
    own, kept = trial.access(sender), trial.access(archive)
    _send(trial, own)
    started = monotonic()
    _enter(trial, kept, "archive")
    is_kept = _await(trial, lambda: _search(trial, folder)) is not None
    if is_kept:
        trial.dialogue.note(f"archived {folder}")
        trial.dialogue.note(f"delay_s {monotonic() - started:.2f}")
    else:
        trial.dialogue.note(f"not-archived {trial.wait_s:g}")
    has_come = _receive(trial, own, wait_s=trial.wait_s if is_kept else 0)
    trial.dialogue.note("arrived INBOX" if has_come else "not-arrived")


def _approval(
    trial: Trial, sender: str, approver: str, mark: str, folder: str, released: str
) -> None:
    own, reviewer = trial.access(sender), trial.access(approver)
    _send(trial, own, mark=mark)
    if not _is_held(trial, own, reviewer, folder=folder):
        trial.dialogue.note(f"not-held {trial.wait_s:g}")
    elif _has_leaked(trial, own):
        _discard(trial, reviewer, folder)
    elif _release(trial, reviewer, folder=folder, released=released):
        _await_released(trial, own, reviewer, released=released)


def _is_held(trial: Trial, own: Access, reviewer: Access, *, folder: str) -> bool:
    """Look for the mail at the reviewer's, and once in between whether it was let through."""
    first_s = min(FIRST_LOOK_S, trial.wait_s)
    for wait_s in (first_s, trial.wait_s - first_s):
        _enter(trial, reviewer, "approval")
        if _await(trial, lambda: _search(trial, folder), wait_s=wait_s):
            trial.dialogue.note(f"held {folder}")
            return True
        if _has_leaked(trial, own):
            return False
    return False


def _has_leaked(trial: Trial, own: Access) -> bool:
    has_come = _receive(trial, own, wait_s=0)
    if has_come:
        trial.dialogue.note("leaked INBOX")
    return has_come


def _await_released(trial: Trial, own: Access, reviewer: Access, *, released: str) -> None:
    started = monotonic()
    if _receive(trial, own, wait_s=trial.wait_s):
        trial.dialogue.note("arrived INBOX")
        trial.dialogue.note(f"delay_s {monotonic() - started:.2f}")
    else:
        trial.dialogue.note(f"not-arrived {trial.wait_s:g}")
        _discard(trial, reviewer, released)


def _release(trial: Trial, reviewer: Access, *, folder: str, released: str) -> bool:
    """Move the mail; where the server does not let us, delete it and tell so."""
    features = _enter(trial, reviewer, "release")
    uid = _search(trial, folder) or ""
    try:
        _move(trial.dialogue, uid, _mailbox_name(released), features=features)
    except Declined:
        trial.dialogue.note("not-released")
        expunge(trial.dialogue, uid)
        return False
    trial.dialogue.note(f"released {released}")
    imap.log_out(trial.dialogue)
    return True


def _move(dialogue: Dialogue, uid: str, folder: str, *, features: frozenset[str]) -> None:
    if "MOVE" in features:
        imap.order(dialogue, f"UID MOVE {uid} {folder}")  # RFC 6851
    else:
        imap.order(dialogue, f"UID COPY {uid} {folder}")
        expunge(dialogue, uid)


def _query(trial: Trial, sender: str, folder: str) -> None:
    own, dialogue = trial.access(sender), trial.dialogue
    _enter(trial, own, "before")
    first_uid = _next_uid(dialogue)
    imap.log_out(dialogue)
    _send(trial, own)
    _enter(trial, own, "query")
    imap.order(dialogue, "SELECT INBOX")
    uid = _await(trial, lambda: _newcomer(trial, first_uid))
    if uid is None:
        dialogue.note(f"not-arrived {trial.wait_s:g}")
        return
    dialogue.note("arrived INBOX")
    with suppress(Declined):
        _look_up(trial, folder)
    dialogue.extend(CLEAN_UP_S)
    imap.order(dialogue, "SELECT INBOX")
    expunge(dialogue, uid)
    imap.log_out(dialogue)


def _look_up(trial: Trial, folder: str) -> None:
    """Search for the mail's word, and for one that was never written."""
    dialogue, started = trial.dialogue, monotonic()
    dialogue.note("stage search")
    imap.order(dialogue, f"SELECT {_mailbox_name(folder)}")
    if _await(trial, lambda: _hits(dialogue, f'TEXT "{trial.word}"') or None):
        dialogue.note("hit")
        dialogue.note(f"delay_s {monotonic() - started:.2f}")
    else:
        dialogue.note(f"no-hit {trial.wait_s:g}")
    if _hits(dialogue, f'TEXT "{uuid4().hex}"'):
        dialogue.note("false-hit")


_VERBS: dict[str, Callable[..., None]] = {
    "archive": _archive,
    "approval": _approval,
    "query": _query,
}


def _send(trial: Trial, own: Access, *, mark: str = "") -> None:
    dialogue, address = trial.dialogue, own.mailbox.address
    dialogue.note("stage submission")
    ehlo_name = trial.scene.system.site.ehlo_name
    server = port_of(own.mailbox.submission)
    smtp.log_in(dialogue, server, ehlo_name, secret=own.secret, trust=own.trust)
    dialogue.note("stage send")
    transfer(dialogue, address, address, _write_mail(trial, address, mark=mark))
    dialogue.note("stage sent")
    with suppress(Interrupted):
        smtp.quit_politely(dialogue)


def _write_mail(trial: Trial, address: str, *, mark: str) -> bytes:
    mail = EmailMessage()
    mail["From"] = mail["To"] = address
    mail["Subject"] = f"{mark} {SUBJECT} {trial.token}".strip()
    mail["Date"] = format_datetime(trial.scene.now())
    mail["Message-ID"] = f"<{trial.token}@{address.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody answers such a mail by machine
    mail[_MARK_HEADER] = trial.token
    mail.set_content(f"This mail was sent by a mail system inspection.\n\n{trial.word}\n")
    return mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _receive(trial: Trial, own: Access, *, wait_s: float) -> bool:
    """Wait for the mail in the inbox and delete it; tell whether it came."""
    _enter(trial, own, "receive")
    uid = _await(trial, lambda: _search(trial, "INBOX"), wait_s=wait_s)
    if uid:
        expunge(trial.dialogue, uid)
    imap.log_out(trial.dialogue)
    return uid is not None


def _discard(trial: Trial, owner: Access, folder: str) -> None:
    """Delete what is left of our mail in a folder."""
    _enter(trial, owner, "discard")
    if uid := _search(trial, folder):
        expunge(trial.dialogue, uid)
    imap.log_out(trial.dialogue)


def _enter(trial: Trial, access: Access, stage: str) -> frozenset[str]:
    trial.dialogue.extend(CLEAN_UP_S)
    trial.dialogue.note(f"stage {stage}")
    server = port_of(access.mailbox.imap)
    return imap.log_in(trial.dialogue, server, secret=access.secret, trust=access.trust)


def _await(
    trial: Trial, look: Callable[[], FoundT | None], *, wait_s: float | None = None
) -> FoundT | None:
    """Look again and again for `wait_s`, by default the site's; keep the record of the last."""
    until = monotonic() + (trial.wait_s if wait_s is None else wait_s)
    mark = trial.dialogue.mark()
    while (found := look()) is None and monotonic() < until:
        trial.dialogue.rewind(mark)
        time.sleep(LOOK_EVERY_S)
    return found


def _search(trial: Trial, folder: str) -> str | None:
    imap.order(trial.dialogue, f"SELECT {_mailbox_name(folder)}")
    hits = _hits(trial.dialogue, f'HEADER Subject "{trial.token}"')
    return hits[-1] if hits else None


def _hits(dialogue: Dialogue, criteria: str) -> list[str]:
    lines = imap.order(dialogue, f"UID SEARCH {criteria}").lines
    found = (match[1].split() for line in lines if (match := _UIDS.match(line)))
    return next(found, [])


def _next_uid(dialogue: Dialogue) -> int:
    lines = imap.order(dialogue, "EXAMINE INBOX").lines
    return next((int(match[1]) for line in lines if (match := _UIDNEXT.match(line))), 1)


def _newcomer(trial: Trial, first_uid: int) -> str | None:
    """Find our mail among the new ones without the search, which is what is tried."""
    listed = imap.order(trial.dialogue, f"UID FETCH {first_uid}:* (UID)").lines
    for uid in [match[1] for line in listed if (match := _UID.match(line))]:
        field = f"UID FETCH {uid} (BODY.PEEK[HEADER.FIELDS ({_MARK_HEADER})])"
        if any(trial.token.encode() in one for one in imap.order(trial.dialogue, field).literals):
            return uid
    return None


def _mailbox_name(folder: str) -> str:
    """Write a folder's name as IMAP wants it: modified UTF-7, quoted (RFC 3501 5.1.3)."""
    encoded = "".join(_encoded(folder)).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{encoded}"'


def _encoded(folder: str) -> Iterator[str]:
    for run in re.findall(r"[\x20-\x7e]+|[^\x20-\x7e]+", folder):
        if run[0].isascii() and run[0].isprintable():
            yield run.replace("&", "&-")
        else:
            coded = b64encode(run.encode("utf-16-be")).decode("ascii")
            yield f"&{coded.rstrip('=').replace('/', ',')}-"

"""Read the support mailbox over IMAP and leave it as it was: nothing is flagged, moved or deleted.

The folder is opened with EXAMINE and mails are fetched with PEEK, so that people and other programs
who read the same mailbox see no difference.
"""

import imaplib
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from mailcare.errors import InputError, Unavailable

SETTING = "MAILCARE_INBOX_URL"
PORTS = {"imap": 143, "imaps": 993}
TIMEOUT_S = 60.0
WHOLE_BYTES_MOST = 25 * 1024 * 1024
CUT_BYTES = 65_536
MAILS_MOST = 50  # of one reading; the next one follows within a minute


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where the support mails come in."""

    host: str
    port: int
    is_implicit_tls: bool
    login: str
    password: str = field(repr=False)
    folder: str = "INBOX"
    ca_file: Path | None = None

    def __str__(self) -> str:
        return f"{self.login}@{self.host}/{self.folder}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A mail as the server has it; `raw` is its beginning only where `is_cut`."""

    uid: int
    received_at: datetime
    size_bytes: int
    raw: bytes
    is_cut: bool


def parse_mailbox(url: str) -> Mailbox:
    """Read `imap[s]://login:password@host[:port][/FOLDER][?ca=FILE]`; `imap` begins with STARTTLS.

    Raise `InputError` without repeating the URL: it holds a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise _malformed() from None
    folder = unquote(parts.path.strip("/")) or "INBOX"
    login, password = unquote(parts.username or ""), unquote(parts.password or "")
    is_whole = bool(parts.hostname and login and password)
    if not (is_whole and f"{login}{password}{folder}".isascii()) or '"' in folder:
        raise _malformed()
    ca_files = parse_qs(parts.query).get("ca")
    return Mailbox(
        parts.hostname or "",
        port,
        parts.scheme == "imaps",
        login,
        password,
        folder,
        Path(ca_files[-1]) if ca_files else None,
    )


@contextmanager
def opened(mailbox: Mailbox) -> Iterator["Reading"]:
    """Open a mailbox for reading; raise `InputError` for a login or folder that is refused.

    Raise `Unavailable` where the server does not answer.
    """
    with _explained(mailbox):
        client = _connect(mailbox)
    try:
        with _explained(mailbox):
            yield _examined(client, mailbox)
    finally:
        with suppress(OSError, imaplib.IMAP4.error):
            client.logout()
        with suppress(OSError):  # a connection that broke is not closed by a farewell
            client.shutdown()


@dataclass(frozen=True, slots=True)
class Reading:
    """An open mailbox; UIDs name the same mail as long as `uid_validity` is the same."""

    client: imaplib.IMAP4
    uid_validity: int

    def first_uid_since(self, day: datetime) -> int:
        """Return the lowest UID of the mails that came in since a day.

        Where there is none it is that of the next mail.
        """
        last = max(self._uids("UID", "*"), default=0)  # asked first: none comes in between
        words = f"{day.day}-{MONTHS[day.month - 1]}-{day.year}"
        found = self._uids("SINCE", words)
        return min(found, default=last + 1)

    def after(self, uid: int) -> Iterator[Fetched]:
        """Yield the next mails beyond a UID, at most `MAILS_MOST`, in their order."""
        # "N:*" names the last mail even where N lies beyond it.
        beyond = sorted(one for one in self._uids("UID", f"{uid + 1}:*") if one > uid)
        for one in beyond[:MAILS_MOST]:
            if fetched := self._fetch(one):
                yield fetched

    def _uids(self, *words: str) -> list[int]:
        said, data = self.client.uid("SEARCH", *words)
        _insist(said, data)
        return [int(one) for one in (data[0] or b"").split()]

    def _fetch(self, uid: int) -> Fetched | None:
        said, about = self.client.uid("FETCH", str(uid), "(INTERNALDATE RFC822.SIZE)")
        _insist(said, about)
        words = b" ".join(_flat(about))
        size = re.search(rb"RFC822\.SIZE (\d+)", words)
        moment = re.search(rb'INTERNALDATE "([^"]+)"', words)
        if size is None or moment is None:
            return None  # it was deleted meanwhile
        size_bytes = int(size[1])
        is_cut = size_bytes > WHOLE_BYTES_MOST
        what = f"(BODY.PEEK[]<0.{CUT_BYTES}>)" if is_cut else "(BODY.PEEK[])"
        said, data = self.client.uid("FETCH", str(uid), what)
        _insist(said, data)
        raw = next((one[1] for one in data if isinstance(one, tuple)), None)
        if raw is None:
            return None
        received_at = datetime.strptime(moment[1].decode().strip(), "%d-%b-%Y %H:%M:%S %z")
        return Fetched(uid, received_at.astimezone(UTC), size_bytes, raw, is_cut)


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _connect(mailbox: Mailbox) -> imaplib.IMAP4:
    context = ssl.create_default_context(cafile=mailbox.ca_file)
    if mailbox.is_implicit_tls:
        return imaplib.IMAP4_SSL(mailbox.host, mailbox.port, ssl_context=context, timeout=TIMEOUT_S)
    client = imaplib.IMAP4(mailbox.host, mailbox.port, timeout=TIMEOUT_S)
    client.starttls(context)
    return client


def _examined(client: imaplib.IMAP4, mailbox: Mailbox) -> Reading:
    client.login(mailbox.login, mailbox.password)
    said, _ = client.select(f'"{mailbox.folder}"', readonly=True)
    if said != "OK":
        raise InputError("邮箱文件夹打不开", subject=str(mailbox))
    validity = client.response("UIDVALIDITY")[1]
    if not validity or validity[0] is None:
        raise InputError("邮件服务器没有给出 UIDVALIDITY", subject=str(mailbox))
    return Reading(client, int(validity[0]))


@contextmanager
def _explained(mailbox: Mailbox) -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        said = f"证书无法验证（{error.verify_message}），请更换证书或用 ca 指定签发机构"
        raise InputError(said, subject=str(mailbox)) from error
    except imaplib.IMAP4.abort as error:
        raise Unavailable(f"连接中断（{error}）", subject=str(mailbox)) from error
    except imaplib.IMAP4.error as error:
        raise InputError(f"邮件服务器拒绝（{error}），请检查设置", subject=str(mailbox)) from error
    except OSError as error:
        raise Unavailable(f"无法连接或没有答复（{error}）", subject=str(mailbox)) from error


def _insist(said: str, data: object) -> None:
    if said != "OK":
        raise imaplib.IMAP4.abort(f"{said} {data!r}"[:200])


def _flat(data: list) -> Iterator[bytes]:  # imaplib's own mixture of bytes and tuples
    for one in data:
        if isinstance(one, tuple):
            yield from one
        elif isinstance(one, bytes):
            yield one


def _malformed() -> InputError:
    return InputError("须形如 imaps://登录名:口令@主机/INBOX", subject=SETTING)

"""The service drill (L5) 服务演练: a throw-away Dovecot serves the sample to an IMAP client.

What a user would do with restored mail: log in, see the folders, open the messages. Each message's
bytes as the server gives them are held against those that were restored; the numbers against those
of the inventory.
"""

import grp
import imaplib
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from mailcare.backup.agent.script import shortage_of
from mailcare.backup.opening import normal_digest
from mailcare.backup.source import SEALED, NotReached
from mailcare.backup.throwaway import (
    Identity,
    answers_on,
    find_program,
    free_port,
    given_to,
    own_identity,
    run_as,
    serving,
)
from mailcare.backup.verdicts import Coverage, Judgement, Level, Remark, Weight, judged

BATCH = 50
SHOWN = 10
TIMEOUT_S = 60.0
INDEX_S = 600.0
MAILDIR = "maildir:~"
_CONF = """\
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
auth_failure_delay = 0
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
first_valid_gid = 0
mail_location = {location}
mailbox_list_index = no
maildir_very_dirty_syncs = no
mail_max_userip_connections = 100
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={mail}/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service imap {{
  process_limit = 20
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
_LIST = re.compile(rb'\(([^)]*)\) (?:"[^"]*"|NIL) (.+)$')
_UID = re.compile(rb"UID (\d+)")


@dataclass(frozen=True, slots=True)
class Served:
    """One mailbox that shall be served.

    `folders` are the restored files by the name of the Maildir++ folder (`INBOX`, `.Sent`), or
    `home` a restored home of sdbox or mdbox, with the digests of the messages `stored` in it.
    `lost` did not even come back; what is `sealed` no throw-away server can open.
    """

    mailbox: str
    folders: Mapping[str, tuple[Path, ...]]
    home: Path | None = None
    stored: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    sealed: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the client saw of one mailbox; the digests are those of normal line ends."""

    mailbox: str
    folders: int
    told: int
    fetched: Counter[str]
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """The whole drill: the mailboxes, and how long the client worked."""

    seen: tuple[Seen, ...]
    seconds: float


def serve(mailboxes: Iterable[Served], scratch: Path, *, location: str = MAILDIR) -> Tally:
    """Put mailboxes under a throw-away Dovecot, and read them all over IMAP.

    `scratch` is an empty folder that whoever called removes. Raise `NotReached` where no Dovecot
    can be started here.
    """
    program = find_program("dovecot")
    identity = own_identity()
    base = given_to(identity, scratch / "dovecot")
    names = _laid_out(mailboxes, base / "mail")
    given_to(identity, base)
    port, password = free_port(), secrets.token_hex(16)
    conf = base / "dovecot.conf"
    conf.write_text(_configuration(base, identity, location, port=port, password=password))
    given_to(identity, base)
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(base)}
    words = [program, "-F", "-c", str(conf)]
    if location != MAILDIR:
        _index(identity, [base / "mail" / name for name in names], conf)
    log = base / "output.log"
    with serving(identity, words, env=env, log=log, is_ready=lambda: answers_on(port)):
        started = perf_counter()
        seen = tuple(_seen(port, name, password, one) for name, one in names.items())
        if any(one.wrong for one in seen):
            _need_unhindered(log)
        return Tally(seen, perf_counter() - started)


def _need_unhindered(log: Path) -> None:
    """Raise `NotReached` where sessions broke off for want of memory."""
    if short := shortage_of(1, log.read_text("utf-8", "replace")):
        raise NotReached("shortage", f"演练用的 IMAP 服务{short}")


def _configuration(
    base: Path, identity: Identity, location: str, *, port: int, password: str
) -> str:
    group = grp.getgrgid(identity.gid).gr_name
    return _CONF.format(
        base=base,
        mail=base / "mail",
        user=identity.name,
        group=group,
        uid=identity.uid,
        gid=identity.gid,
        location=location,
        port=port,
        password=password,
    )


def _index(identity: Identity, homes: Iterable[Path], conf: Path) -> None:
    """Let Dovecot make the indexes of restored homes from their messages alone.

    What the backup has of the indexes is left out: it may be of another moment than the messages.
    mdbox knows no mailbox to begin with, so that there must be one before it looks.
    """
    program = find_program("doveadm")
    for home in homes:
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "USER": home.name}
        for words in (("mailbox", "create", "INBOX"), ("force-resync", "*")):
            run_as(identity, [program, "-c", str(conf), *words], env=env, timeout_s=INDEX_S)


def _laid_out(mailboxes: Iterable[Served], root: Path) -> dict[str, Served]:
    """Lay the messages out as Maildirs; logins and files bear our own numbers."""
    names: dict[str, Served] = {}
    root.mkdir()
    for number, one in enumerate(mailboxes):
        home = root / f"u{number}"
        names[home.name] = one
        if one.home is not None:
            shutil.copytree(one.home, home, symlinks=True)
            continue
        for folder, (_, files) in enumerate(one.folders.items()):
            _fill(home if folder == 0 else home / f".F{folder}", files)
    return names


def _fill(maildir: Path, files: Iterable[Path]) -> None:
    for part in ("cur", "new", "tmp"):
        (maildir / part).mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(files):
        shutil.copyfile(path, maildir / "cur" / f"1000000000.N{number}.drill:2,")


def _seen(port: int, login: str, password: str, served: Served) -> Seen:
    fetched: Counter[str] = Counter()
    wrong: list[str] = []
    told = folders = 0
    client = _Client(port, login, password)
    try:
        for folder in client.folders():
            folders += 1
            told += client.count(folder)
            for digest in client.bodies(folder, wrong):
                fetched[digest] += 1
    except (imaplib.IMAP4.error, OSError) as error:
        wrong.append(f"IMAP 会话中断（{error}）")
    finally:
        client.close()
    return Seen(served.mailbox, folders, told, fetched, tuple(wrong))


class _Client:
    """An IMAP session that comes back where the server drops it over one message."""

    def __init__(self, port: int, login: str, password: str) -> None:
        self._port, self._login, self._password = port, login, password
        self._session = self._open()

    def _open(self) -> imaplib.IMAP4:
        session = imaplib.IMAP4("127.0.0.1", self._port, timeout=TIMEOUT_S)
        session.login(self._login, self._password)
        return session

    def folders(self) -> list[bytes]:
        """Return the folders as they are quoted on the wire."""
        _, lines = self._session.list()
        found = [_LIST.match(line) for line in lines if isinstance(line, bytes)]
        return [one[2] for one in found if one and b"\\Noselect" not in one[1]]

    def count(self, folder: bytes) -> int:
        """Return the number of messages that STATUS tells."""
        _, lines = self._session.status(folder.decode("ascii"), "(MESSAGES)")
        found = re.search(rb"MESSAGES (\d+)", lines[0] or b"")
        return int(found[1]) if found else 0

    def bodies(self, folder: bytes, wrong: list[str]) -> Iterator[str]:
        """Yield the digest of each message; one that ends the session is wrong, not the rest."""
        self._session.select(folder.decode("ascii"), readonly=True)
        _, lines = self._session.uid("SEARCH", "ALL")
        uids = (lines[0] or b"").split()
        for first in range(0, len(uids), BATCH):
            yield from self._batch(folder, uids[first : first + BATCH], wrong)

    def _batch(self, folder: bytes, uids: list[bytes], wrong: list[str]) -> Iterator[str]:
        try:
            yield from self._fetched(uids)
        except (imaplib.IMAP4.error, OSError):
            self._again(folder)
            for uid in uids if len(uids) > 1 else ():
                yield from self._batch(folder, [uid], wrong)
            if len(uids) == 1:
                wrong.append(f"{folder.decode('ascii', 'replace')} UID {uids[0].decode()} 无法取出")

    def _fetched(self, uids: list[bytes]) -> list[str]:
        answer, parts = self._session.uid("FETCH", b",".join(uids).decode(), "(BODY.PEEK[])")
        bodies = [part[1] for part in parts if isinstance(part, tuple)]
        if answer != "OK" or len(bodies) != len(uids):
            raise imaplib.IMAP4.error("a message is missing from the answer")
        return [normal_digest(body) for body in bodies]

    def _again(self, folder: bytes) -> None:
        self.close()
        self._session = self._open()
        self._session.select(folder.decode("ascii"), readonly=True)

    def close(self) -> None:
        """End the session, whatever state it is in."""
        try:
            self._session.logout()
        except (imaplib.IMAP4.error, OSError):
            self._session.shutdown()


def judge_service(mailboxes: Iterable[Served], tally: Tally) -> Judgement:
    """Hold what the client saw against what was put under the server."""
    by_name = {one.mailbox: one for one in tally.seen}
    coverage, remarks = Coverage(), []
    for served in mailboxes:
        part, told = _held(served, by_name.get(served.mailbox))
        coverage = coverage + part
        remarks += told
    count = sum(sum(one.fetched.values()) for one in tally.seen)
    folders = sum(one.folders for one in tally.seen)
    text = (
        f"临时 IMAP 服务登录 {len(tally.seen)} 个邮箱，列出 {folders} 个文件夹，"
        f"取回 {count} 封，用时 {tally.seconds:.1f} 秒"
    )
    summary = Remark("served", text, Weight.NOTE)
    if coverage.unreadable:
        text = f"无法衡量：{coverage.unreadable} 封{SEALED}，演练用的服务不能读取"
        remarks.insert(0, Remark("sealed", text, Weight.DEGRADES))
    return judged(Level.L5, coverage, (summary, *remarks[:SHOWN]))


def _held(served: Served, seen: Seen | None) -> tuple[Coverage, list[Remark]]:
    wanted = _wanted(served)
    expected = sum(wanted.values())
    if seen is None:
        return Coverage(expected + served.lost), []
    same = sum((wanted & seen.fetched).values())
    told = [f"{served.mailbox} {one}" for one in seen.wrong]
    if seen.told != expected:
        told.append(f"{served.mailbox}：应有 {expected} 封，STATUS 报 {seen.told} 封")
    if same != expected:
        told.append(f"{served.mailbox}：{expected - same} 封取回的内容与恢复出的不同或缺少")
    if served.lost:
        told.append(f"{served.mailbox}：{served.lost} 封没有恢复出来")
    remarks = [Remark("service", one, Weight.FAILS) for one in told]
    whole = expected + served.lost
    read = Coverage(whole, whole, ok=same, bad=whole - same)
    return read + Coverage(served.sealed, served.sealed, unreadable=served.sealed), remarks


def _wanted(served: Served) -> Counter[str]:
    if served.home:
        return served.stored
    files = (path for paths in served.folders.values() for path in paths)
    return Counter(normal_digest(path.read_bytes()) for path in files)

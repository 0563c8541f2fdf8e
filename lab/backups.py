"""The backups of the lab's mail: made as a backup host makes them, and damaged one way at a time.

bak1 fetches mx1's mail store and keeps three generations of it five ways: a mirror by day, tar.gz,
tar.zst, a restic and a borg repository. Moments of older generations are given, not waited for.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lab import hosts, state
from lab.hosts import RunningHost
from lab.topology import BAK1, MX1
from mailcare.clock import BEIJING

PASSWORD = state.STATE_DIR / "backup_password"
KINDS = ("tree", "gz", "zst", "restic", "borg")
MESSAGES = 12
_STAGE, _ROOT, _KEPT = "/srv/stage", "/srv/backup", "/srv/kept"
_TIMEOUT_S = 120.0
# A repository's tools find their password and caches by the environment only.
_TOOLS = (
    "export RESTIC_PASSWORD=$1 BORG_PASSPHRASE=$1 RESTIC_CACHE_DIR=/tmp/rc BORG_BASE_DIR=/tmp/bb; "
    "export BORG_RELOCATED_REPO_ACCESS_IS_OK=yes; shift; "
)


def make_all() -> None:
    """Put mail into the store and make three generations of every kind."""
    if not PASSWORD.exists():
        PASSWORD.touch(mode=0o600)
        PASSWORD.write_text(secrets.token_urlsafe(15))
    mail, keeper = hosts.get_running(MX1), hosts.get_running(BAK1)
    _fill(mail)
    keeper.run("sh", "-c", f"rm -rf {_STAGE} {_ROOT} {_KEPT} /tmp/rc /tmp/bb; mkdir -p {_ROOT}")
    fetch()
    _tools(keeper, f"restic init -q -r {_ROOT}/restic; borg init -e repokey {_ROOT}/borg")
    for days in (2, 1, 0):
        add_generation(days)
    keeper.run("sh", "-c", f"cp -a {_ROOT} {_KEPT}")


def _fill(mail: RunningHost) -> None:
    """Put messages into two mailboxes, as Dovecot names them; they came two days ago."""
    came_s = int((datetime.now(UTC) - timedelta(days=2, hours=6)).timestamp())
    for user in ("zhangsan", "admin"):
        home = f"/var/vmail/shili-bank.example/{user}/Maildir"
        script = (
            f"mkdir -p {home}/cur {home}/new {home}/tmp; cd {home}/cur; rm -f *.kept*; "
            f"for n in $(seq {MESSAGES}); do "
            "{ printf 'From: a@outside.example\\r\\nDate: Mon, 02 Nov 2026 09:00:00 +0800\\r\\n"
            "Message-ID: <%s@outside.example>\\r\\nSubject: kept\\r\\n\\r\\n' $n; "
            "head -c 6000 /dev/urandom | od -An -tx1; } >m; "
            f"mv m {came_s}.kept$n.mx1,S=$(stat -c %s m):2,S; done; "
            # The domain's folder, too: before the first mail arrives it is made here, by root.
            "chown -R vmail:vmail /var/vmail/shili-bank.example"
        )
        mail.run("sh", "-c", script)


def fetch() -> None:
    """Let bak1 fetch the mail store, as rsync would: what is gone there goes here."""
    mail, keeper = hosts.get_running(MX1), hosts.get_running(BAK1)
    archive = state.STATE_DIR / "fetched.tar"
    mail.run("sh", "-c", "tar -C /var -cf /tmp/fetched.tar vmail")
    archive.write_bytes((mail.root / "tmp/fetched.tar").read_bytes())
    (keeper.root / "tmp/fetched.tar").write_bytes(archive.read_bytes())
    keeper.run(
        "sh", "-c", f"rm -rf {_STAGE}; mkdir -p {_STAGE}; tar -C {_STAGE} -xf /tmp/fetched.tar"
    )
    archive.unlink()


def add_generation(days_ago: int) -> None:
    """Back the fetched store up in every way, dated so many days ago."""
    at = datetime.now(BEIJING) - timedelta(days=days_ago, minutes=1)
    name, said = f"mail-{at:%Y%m%d-%H%M%S}", f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    _tools(
        hosts.get_running(BAK1),
        f"cd {_ROOT}; mkdir -p tree gz zst; cp -a {_STAGE}/vmail tree/{name}; "
        f"tar -C {_STAGE} -czf gz/{name}.tar.gz vmail; "
        f"tar -C {_STAGE} -cf - vmail | zstd -q --check -o zst/{name}.tar.zst; "
        f"TZ=UTC restic -r restic backup -q --time '{said}' {_STAGE}/vmail; "
        f"cd {_STAGE}; TZ=UTC borg create --timestamp '{said.replace(' ', 'T')}' "
        f"{_ROOT}/borg::{name} vmail; chown -R vmail:vmail {_ROOT}",
    )


def _tools(keeper: RunningHost, script: str) -> str:
    words = ("sh", "-ec", _TOOLS + script, "sh", PASSWORD.read_text())
    return keeper.run(*words, timeout_s=_TIMEOUT_S)


def mend() -> None:
    """Put everything back as it was made."""
    keeper = hosts.get_running(BAK1)
    keeper.run(
        "sh", "-c", f"pkill -x restic; rm -rf {_ROOT} /tmp/rc /tmp/bb; cp -a {_KEPT} {_ROOT}"
    )


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that befalls a backup.

    `script` runs on bak1 in the copy's folder; `found_by` names the level that must fail, by kind
    of copy. `NOT_RUN` as level's verdict stands for a copy that must not be called sound.
    """

    name: str
    title: str
    script: str
    found_by: dict[str, str]
    is_backed_up: bool = False

    def apply(self, kind: str) -> None:
        """Do the damage to one copy."""
        keeper = hosts.get_running(BAK1)
        if self.is_backed_up:
            fetch()
            keeper.run("sh", "-ec", f"cd {_STAGE}/vmail/shili-bank.example; {self.script}")
            add_generation(0)
            return
        newest = "newest=$(ls -d mail-* 2>/dev/null | tail -n 1)"
        _tools(keeper, f"cd {_ROOT}/{kind}; {newest}; {self.script}; chown -R vmail:vmail {_ROOT}")


_LARGEST = "$(find data -type f -printf '%s %p\\n' | sort -n | tail -n 1 | cut -d' ' -f2)"
_ONE = "$(find $newest -name '*kept7.*' | head -n 1)"
_EACH = "case $PWD in */restic) {restic};; */borg) {borg};; */tree) {tree};; *) {archive};; esac"
_FLIP = (
    'flip() { at=$(($(stat -c %s "$1") / 2)); '
    "b=$(od -An -tu1 -j $at -N 1 \"$1\" | tr -d ' '); "
    'printf "\\\\$(printf %03o $((b ^ 1)))" | '
    'dd of="$1" bs=1 seek=$at conv=notrunc status=none; }; '
)
_BY_ALL = dict.fromkeys(KINDS, "L2")


def _each(*, tree: str, archive: str, restic: str, borg: str) -> str:
    return _EACH.format(tree=tree, archive=archive, restic=restic, borg=borg)


DAMAGES = (
    Damage(
        "stale",
        "最近两天没有备份",
        _each(
            tree="rm -rf $(ls -d mail-* | tail -n 2)",
            archive="rm -f $(ls mail-* | tail -n 2)",
            restic="restic -r . forget -q $(restic -r . snapshots --json | tr ',' '\\n' | "
            'sed -n \'s/.*"short_id":"\\([0-9a-f]*\\)".*/\\1/p\' | tail -n 2)',
            borg="borg list --short $PWD | tail -n 2 | "
            "while read -r one; do borg delete $PWD::$one; done",
        ),
        dict.fromkeys(KINDS, "L1"),
    ),
    Damage(
        "old-missing",
        "一代旧备份丢失",
        _each(
            tree="rm -rf $(ls -d mail-* | sed -n 2p)",
            archive="rm -f $(ls mail-* | sed -n 2p)",
            restic="restic -r . forget -q $(restic -r . snapshots --json | tr ',' '\\n' | "
            'sed -n \'s/.*"short_id":"\\([0-9a-f]*\\)".*/\\1/p\' | sed -n 2p)',
            borg="borg delete $PWD::$(borg list --short $PWD | sed -n 2p)",
        ),
        dict.fromkeys(KINDS, "L0"),
    ),
    Damage("mailbox-missing", "漏备一个邮箱", "rm -rf zhangsan", _BY_ALL, is_backed_up=True),
    Damage(
        "message-missing",
        "漏备一封邮件",
        "rm -f zhangsan/Maildir/cur/*.kept7.*",
        _BY_ALL,
        is_backed_up=True,
    ),
    Damage(
        "byte-flipped",
        "一个字节翻转",
        _FLIP
        + _each(
            tree=f"flip {_ONE}",
            archive="flip $newest",
            restic=f"chmod u+w {_LARGEST}; flip {_LARGEST}",
            borg=f"flip {_LARGEST}",
        ),
        dict.fromkeys(KINDS, "L3"),
    ),
    Damage(
        "truncated",
        "文件被截断",
        _each(
            tree=f"truncate -s 3000 {_ONE}",
            archive="truncate -s $(($(stat -c %s $newest) * 6 / 10)) $newest",
            restic=f"chmod u+w {_LARGEST}; truncate -s 3000 {_LARGEST}",
            borg=f"truncate -s 3000 {_LARGEST}",
        ),
        dict.fromkeys(KINDS, "L3"),
    ),
    Damage(
        "encrypted",
        "勒索软件加密后备份照常运行",
        "for one in zhangsan/Maildir/cur/*kept* admin/Maildir/cur/*kept*; do "
        'head -c $(stat -c %s "$one") /dev/urandom >x; cat x >"$one"; rm x; done',
        dict.fromkeys(("tree", "gz", "zst"), "L3") | dict.fromkeys(("restic", "borg"), "L4"),
        is_backed_up=True,
    ),
    Damage(
        "wrong-key",
        "仓库口令已变更",
        _each(
            tree=":",
            archive=":",
            restic="printf other >/tmp/new; restic -r . key passwd --new-password-file /tmp/new",
            borg="BORG_NEW_PASSPHRASE=other borg key change-passphrase $PWD",
        ),
        dict.fromkeys(("restic", "borg"), "L0"),
    ),
    Damage(
        "locked",
        "备份正在进行（仓库被锁定）",
        _each(
            tree=":",
            archive=":",
            restic="(sleep 600 | restic -r . backup -q --stdin >/dev/null 2>&1 &) ; "
            'n=0; while [ -z "$(ls locks)" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done',
            borg="mkdir lock.exclusive",
        ),
        dict.fromkeys(("restic", "borg"), "NOT_RUN"),
    ),
)

"""The files of a host: what lies over the machine's own root, and what it hides of it.

Two trees are written for each host and stacked over `/`: `mask` holds whiteouts for what a host
must not see (the checkout, home directories, logs), `seed` holds the host's own files. A
directory that exists on the machine keeps its mode and owner.
"""

import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519

from lab import certificates, dns, keys, packages, state, wtmp
from lab.errors import LabError
from lab.topology import BAK1, DNS1, MX1, MX2, OUT1, Host

FILES = Path(__file__).parent / "files"
CERTIFICATE_NAMES: Mapping[str, tuple[str, ...]] = {
    MX1.name: (
        "mx1.shili-bank.example",
        "mail.shili-bank.example",
        "webmail.shili-bank.example",
        "mta-sts.shili-bank.example",
    ),
    MX2.name: ("mx2.shili-bank.example", "mail.shili-bank.example"),
    OUT1.name: ("out1.outside.example",),
}
_BANK = (
    "probe@shili-bank.example",
    "admin@shili-bank.example",
    "zhangsan@shili-bank.example",
    "archive@shili-bank.example",
    "approver@shili-bank.example",
)
MAILBOXES: Mapping[str, tuple[str, ...]] = {
    MX1.name: _BANK,
    MX2.name: _BANK,
    OUT1.name: (
        "probe@outside.example",
        "service@vendor.example",
        "probe@mailjia.example",
        "probe@mailyi.example",
        "probe@mailbing.example",
        "probe@mailding.example",
    ),
}
_CHECKOUT = Path(__file__).resolve().parents[1]
_SHARED = {"bin", "boot", "etc", "lib", "lib32", "lib64", "libx32", "opt", "sbin", "usr", "var"}
_HIDDEN = (
    *("var/tmp", "var/log", "var/mail"),
    *("boot", "etc/apt", "var/lib/apt", "var/lib/dpkg", "var/cache/apt"),
)
_MAIL_UID = 5000
_INSPECTOR_UID = 2001
LOGINS: Mapping[str, int] = {"inspector": _INSPECTOR_UID, "mailkeeper": _MAIL_UID}
_USERS = {
    "passwd": (
        f"vmail:x:{_MAIL_UID}:{_MAIL_UID}::/var/vmail:/usr/sbin/nologin",
        f"inspector:x:{_INSPECTOR_UID}:{_INSPECTOR_UID}::/home/inspector:/bin/sh",
        # Whoever verifies backups must be able to read mail: the store's own user, by that name.
        f"mailkeeper:x:{_MAIL_UID}:{_MAIL_UID}::/home/mailkeeper:/bin/sh",
    ),
    # A locked password ("!") would also lock out the key login; "*" only forbids passwords.
    "shadow": tuple(
        f"{name}:*:19000:0:99999:7:::" for name in ("vmail", "inspector", "mailkeeper")
    ),
    "group": (f"vmail:x:{_MAIL_UID}:", f"inspector:x:{_INSPECTOR_UID}:"),
}


class Tree:
    """Write files for a host below a directory that will be stacked over `/`."""

    def __init__(self, top: Path) -> None:
        """Start an empty tree."""
        self.top = top
        top.mkdir(parents=True)
        top.chmod(0o755)

    def directory(self, path: str, *, owner: str = "", mode: int = 0) -> Path:
        """Make a directory and its parents, each like the machine's own unless told otherwise."""
        target = self.top / path
        for part in [*reversed(target.relative_to(self.top).parents), target.relative_to(self.top)]:
            _make_like_machine(self.top / part, Path("/", part))
        if mode:
            target.chmod(mode)
        if owner:
            _give(target, owner)
        return target

    def file(self, path: str, content: bytes | str, *, owner: str = "", mode: int = 0o644) -> None:
        """Write a file."""
        self.directory(str(Path(path).parent))
        target = self.top / path
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        target.chmod(mode)
        if owner:
            _give(target, owner)

    def link(self, path: str, to: str) -> None:
        """Write a symbolic link."""
        self.directory(str(Path(path).parent))
        (self.top / path).symlink_to(to)

    def whiteout(self, path: str) -> None:
        """Hide what the layers below have at a path; overlayfs reads a 0:0 device so."""
        self.directory(str(Path(path).parent))
        os.mknod(self.top / path, stat.S_IFCHR, os.makedev(0, 0))


def write_layers(host: Host, top: Path) -> None:
    """Write both trees of a host below `top`."""
    shutil.rmtree(top, ignore_errors=True)
    _write_mask(Tree(top / "mask"))
    seed = Tree(top / "seed")
    for name in host.trees:
        _copy_tree(seed, FILES / name, tokens_for(host))
    _write_base(seed, host)
    for write in _EXTRAS.get(host.name, ()):
        write(seed, host)


def tokens_for(host: Host) -> Mapping[str, str]:
    """List the words that stand for a value in the files of a tree."""
    public_html = Path("/var/lib/roundcube/public_html")
    return {
        "@HOSTNAME@": host.fqdn,
        "@SHORT@": host.name,
        "@ADDRESS@": host.address,
        "@ROUNDCUBE_ROOT@": str(public_html if public_html.is_dir() else public_html.parent),
        "@PHP_FPM@": _find_php_fpm(),
        # Roundcube wants 24 characters; a value from the site's name is stable over rebuilds.
        "@DES_KEY@": "mailcare-lab-webmail-key",
    }


def replace_tokens(text: str, tokens: Mapping[str, str]) -> str:
    """Put the values in place of the words."""
    for word, value in tokens.items():
        text = text.replace(word, value)
    return text


def dovecot_users(host: Host, passwords: Mapping[str, str] | None = None) -> str:
    """Write Dovecot's password file: the probe password for all but the ones given."""
    chosen = passwords or {}
    usual = state.probe_password()
    return "".join(f"{box}:{chosen.get(box, usual)}\n" for box in MAILBOXES[host.name])


def authorized_line(key: ed25519.Ed25519PrivateKey) -> str:
    """Write the line that lets the inspector in."""
    return keys.openssh_public(key) + " inspector@mailcare\n"


def mail_certificate(host: Host) -> certificates.Pair:
    """Issue the certificate that a healthy mail host shows."""
    return certificates.issue(certificates.Wish(CERTIFICATE_NAMES[host.name]))


def _write_mask(mask: Tree) -> None:
    private = [path.name for path in Path("/").iterdir() if path.name not in _SHARED]
    for path in (*private, *_HIDDEN):
        mask.whiteout(path)
    checkout = _CHECKOUT.relative_to("/")
    if checkout.parts[0] in _SHARED:
        mask.whiteout(str(checkout))


def _copy_tree(seed: Tree, source: Path, tokens: Mapping[str, str]) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file():
            text = replace_tokens(path.read_text(), tokens)
            mode = 0o755 if os.access(path, os.X_OK) else 0o644
            seed.file(str(path.relative_to(source)), text, mode=mode)


def _write_base(seed: Tree, host: Host) -> None:
    for path in ("tmp", "var/tmp", "dev/shm"):
        seed.directory(path, mode=0o1777)
    for path in ("dev/pts", "run/sshd", "mnt", "media", "srv", "var/mail", "proc", "sys"):
        seed.directory(path, mode=0o755)
    seed.directory("root", mode=0o700)
    seed.directory("var/log", mode=0o755)
    for name, (major, minor) in _DEVICES.items():
        os.mknod(seed.top / "dev" / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        (seed.top / "dev" / name).chmod(0o666)
    seed.link("dev/ptmx", "pts/ptmx")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        seed.link(f"dev/{name}", f"/proc/self/fd/{number}")
    seed.link("dev/fd", "/proc/self/fd")
    services = "".join(f"{service.start}\n" for service in host.services)
    seed.file("etc/mailcare-lab/services", replace_tokens(services, tokens_for(host)))
    _write_users(seed)
    _write_ssh(seed, host)


_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}


def _write_users(seed: Tree) -> None:
    for name, lines in _USERS.items():
        text = Path("/etc", name).read_text().rstrip("\n")
        if name == "group":
            text = _join_group(text, "adm", "inspector")
        mode = 0o640 if name == "shadow" else 0o644
        seed.file(f"etc/{name}", "\n".join([text, *lines]) + "\n", mode=mode)
    seed.directory("home", mode=0o755)
    for name, uid in LOGINS.items():
        seed.directory(f"home/{name}", mode=0o755, owner=str(uid))


def _join_group(groups: str, group: str, user: str) -> str:
    # Members of adm may read /var/log, as on any Debian host.
    lines = []
    for line in groups.splitlines():
        if line.startswith(f"{group}:"):
            lines.append(f"{line}{'' if line.endswith(':') else ','}{user}")
        else:
            lines.append(line)
    return "\n".join(lines)


def _write_ssh(seed: Tree, host: Host) -> None:
    key = keys.host_key(host.name)
    seed.file("etc/ssh/ssh_host_ed25519_key", keys.openssh_private(key), mode=0o600)
    seed.file("etc/ssh/ssh_host_ed25519_key.pub", keys.openssh_public(key) + "\n")
    inspector = keys.load_openssh(state.INSPECTOR_KEY.read_bytes())
    for name, uid in LOGINS.items():
        seed.directory(f"home/{name}/.ssh", mode=0o700, owner=str(uid))
        seed.file(
            f"home/{name}/.ssh/authorized_keys",
            authorized_line(inspector),
            mode=0o600,
            owner=str(uid),
        )


def _write_mail(seed: Tree, host: Host) -> None:
    pair = mail_certificate(host)
    seed.file("etc/ssl/mail/server.pem", pair.certificate)
    seed.file("etc/ssl/mail/server.key", pair.key, mode=0o600)
    seed.file("etc/ssl/mail/ca.pem", state.CA_CERTIFICATE.read_bytes())
    seed.file("etc/dovecot/users", dovecot_users(host), owner="dovecot", mode=0o600)
    seed.directory("var/vmail", owner=str(_MAIL_UID), mode=0o750)
    for name in ("mail.log", "dovecot.log"):
        # Made beforehand: the daemons would make them readable by root alone.
        seed.file(f"var/log/{name}", "", owner="root:adm", mode=0o640)


def _write_webmail(seed: Tree, _host: Host) -> None:
    for path in ("var/lib/roundcube/db", "var/log/roundcube", "var/lib/roundcube/temp"):
        seed.directory(path, owner="www-data", mode=0o750)
    seed.directory("var/log/nginx", owner="www-data", mode=0o755)
    # An empty log would tell nothing at all: the first line is that of a visit at building time.
    visit = time.strftime("[%d/%b/%Y:%H:%M:%S %z]", time.localtime())
    line = f'127.0.0.1 - - {visit} "GET / HTTP/1.1" 200 5558 "-" "lab"\n'
    seed.file("var/log/nginx/access.log", line)
    schema = Path("/usr/share/roundcube/SQL/sqlite.initial.sql").read_text()
    path = seed.top / "var/lib/roundcube/db/roundcube.db"
    connection = sqlite3.connect(path)
    connection.executescript(schema)
    connection.close()
    path.chmod(0o640)
    _give(path, "www-data")


def _write_signing(seed: Tree, _host: Host) -> None:
    seed.directory("etc/dkim", owner="opendkim", mode=0o700)
    seed.file("etc/dkim/mail.private", state.DKIM_KEY.read_bytes(), owner="opendkim", mode=0o600)
    seed.directory("run/opendkim", owner="opendkim", mode=0o750)


def _write_standin(seed: Tree, _host: Host) -> None:
    seed.link("opt/turbomail/accounts", "/var/vmail")
    seed.link("opt/turbomail/logs", "/var/log")
    # bind mounts over commands need the real ones at hand
    for name in ("cat", "date", "head", "stat"):
        real = Path("/usr/bin", name).read_bytes()
        seed.file(f"usr/local/lib/mailcare-lab/{name}", real, mode=0o755)
    seed.file(
        "usr/local/lib/mailcare-lab/postconf", Path("/usr/sbin/postconf").read_bytes(), mode=0o755
    )


def _write_views(seed: Tree, _host: Host) -> None:
    for path in sorted((FILES / "views").iterdir()):
        seed.file(f"run/views/{path.name}", path.read_bytes(), mode=0o444)
    machine = Path("/proc/stat").read_text()
    boot_s = next(line.split()[1] for line in machine.splitlines() if line.startswith("btime"))
    seed.file("run/views/stat", machine[:200].splitlines()[0] + "\n", mode=0o444)
    seed.file("run/boot-time", boot_s)
    seed.file("run/busy-share", "0.10")
    seed.file("var/log/wtmp", wtmp.started_and_stopped(datetime.now(UTC)))


def _write_packages(seed: Tree, host: Host) -> None:
    for path in ("boot", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"):
        seed.directory(path, mode=0o755)
    for path in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
        seed.directory(path, mode=0o755)
    for path in ("etc/apt/apt.conf.d", "etc/apt/preferences.d"):
        seed.directory(path, mode=0o755)
    installed = packages.packages_of(host)
    seed.file(packages.STATUS, packages.status(installed))
    seed.file("etc/apt/sources.list", packages.SOURCES)
    seed.file(packages.RELEASE_LIST, packages.RELEASE)
    seed.file(packages.packages_list(), packages.archive(installed))


def _write_zones(seed: Tree, _host: Host) -> None:
    seed.directory("run/named", owner="bind", mode=0o755)
    for name, text in dns.render_zones().items():
        seed.file(f"{dns.ZONES_ON_HOST}/{name}", text)


_MAIL_HOST = (
    _write_mail,
    _write_webmail,
    _write_signing,
    _write_standin,
    _write_views,
    _write_packages,
)
_EXTRAS = {
    MX1.name: _MAIL_HOST,
    MX2.name: _MAIL_HOST,
    OUT1.name: (_write_mail,),
    DNS1.name: (_write_zones,),
    BAK1.name: (_write_views, _write_packages),
}


def _make_like_machine(path: Path, model: Path) -> None:
    if path.is_dir():
        return
    path.mkdir()
    if model.is_dir() and not model.is_symlink():
        like = model.stat()
        os.chown(path, like.st_uid, like.st_gid)
        path.chmod(stat.S_IMODE(like.st_mode))
    else:
        path.chmod(0o755)


def _give(path: Path, owner: str) -> None:
    user, _, group = owner.partition(":")
    uid = int(user) if user.isdigit() else user
    shutil.chown(path, user=uid, group=group or (uid if isinstance(uid, int) else None))


def _find_php_fpm() -> str:
    found = sorted(Path("/usr/sbin").glob("php-fpm*"))
    if not found:
        message = "no php-fpm in /usr/sbin: install php-fpm"
        raise LabError(message)
    return str(found[-1])

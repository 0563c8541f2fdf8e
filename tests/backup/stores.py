"""Mail stores and copies of them, made for a test."""

import grp
import gzip
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backports import zstd

from mailcare.backup.local import LocalSource
from mailcare.backup.mailstore import StoreMap
from mailcare.backup.throwaway import given_to, own_identity
from mailcare.systems.backups import BackupCopy

NOW = datetime(2026, 11, 28, 10, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)


def mail(number, *, size=600):
    head = (
        f"Received: from a.example by mx1.bank.example; Fri, 27 Nov 2026 09:00:00 +0800\r\n"
        f"From: a{number}@bank.example\r\nDate: Fri, 27 Nov 2026 09:00:00 +0800\r\n"
        f"Message-ID: <{number}@bank.example>\r\nSubject: =?UTF-8?B?5rWL6K+V?=\r\n\r\n"
    ).encode()
    body = (f"line {number} ".encode() * 200)[: size - len(head)]
    return head + body


def name_of(number, data, at=LONG_AGO):
    return f"{int(at.timestamp()) + number}.M{number}P1.mx1,S={len(data)},W={len(data)}:2,S"


def add_mail(root, mailbox, number, *, folder="cur", at=LONG_AGO, data=None):
    user, domain = mailbox.split("@")
    place = root / domain / user / folder
    place.mkdir(parents=True, exist_ok=True)
    data = mail(number) if data is None else data
    path = place / name_of(number, data, at)
    path.write_bytes(data)
    moment = at.timestamp() + number
    os.utime(path, (moment, moment))
    return path


def make_store(root, *, mailboxes=4, each=6):
    """Make a Maildir++ store with an INBOX and a .Sent for each mailbox."""
    for box in range(mailboxes):
        for number in range(each):
            folder = ".Sent/cur" if number % 3 == 2 else "cur"
            add_mail(root, f"user{box}@bank.example", box * 100 + number, folder=folder)
    return root


DOVECOT = """\
base_dir = {run}
state_dir = {run}
log_path = /dev/stderr
mail_location = {kind}:~/{kind}
first_valid_uid = 1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
namespace inbox {{
  inbox = yes
  separator = /
}}
"""


def make_dbox(root, kind, *, mailboxes=2, each=3):
    """Make an sdbox or mdbox store with Dovecot itself: an INBOX and a 项目 for each mailbox."""
    identity = own_identity()
    group = grp.getgrgid(identity.gid).gr_name
    with tempfile.TemporaryDirectory() as name:  # pytest's folders are closed to nobody
        made = Path(name, "store")
        homes = [made / "bank.example" / f"user{box}" for box in range(mailboxes)]
        for home in homes:
            home.mkdir(parents=True)
        conf = Path(name, "dovecot.conf")
        conf.write_text(DOVECOT.format(run=made, kind=kind, user=identity.name, group=group))
        given_to(identity, Path(name))
        for box, home in enumerate(homes):
            fill_dbox(home, conf, identity, [mail(box * 100 + number) for number in range(each)])
        shutil.copytree(made, root)
    return root


def fill_dbox(home, conf, identity, mails):
    env = {"HOME": str(home), "USER": home.name, "PATH": os.environ["PATH"]}
    ids = {"user": identity.change_uid, "group": identity.change_gid}

    def doveadm(*words, given=b""):
        run = ["doveadm", "-c", str(conf), *words]
        subprocess.run(run, input=given, env=env, check=True, capture_output=True, **ids)

    doveadm("mailbox", "create", "项目")
    for data in mails:
        for folder in ("INBOX", "项目"):
            doveadm("save", "-m", folder, given=data)


def pack(root, kind, path, *, options=()):
    """Pack a store as the tools of the trade do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for one in sorted(root.rglob("*")):
                archive.write(one, one.relative_to(root))
        return path
    tar = subprocess.run(
        ["tar", *options, "-C", root, "-cf", "-", "."], capture_output=True, check=True
    ).stdout
    packer = {"tar": None, "tar.gz": ["gzip", "-n"], "tar.zst": ["zstd", "-q", "--check"]}[kind]
    if packer:
        tar = subprocess.run(packer, input=tar, capture_output=True, check=True).stdout
    path.write_bytes(tar)
    return path


def tar_of(path, members):
    """Write a tar out of `TarInfo`s with their content."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in members:
            info.size = len(data) if data is not None else info.size
            archive.addfile(info, io.BytesIO(data) if data is not None else None)
    return path


def copy_of(kind, path, **more):
    return BackupCopy.model_validate(
        {"name": "nightly", "kind": kind, "path": path} | more, context={"base": Path("/")}
    )


def local_source(copy):
    return LocalSource(copy, StoreMap(copy.format, copy.layout))


def set_time(path, at):
    os.utime(path, (at.timestamp(), at.timestamp()))


def text_of(data):
    """Return what is packed in data; None where it cannot be unpacked."""
    unpack = {b"\x1f\x8b": gzip.decompress, b"\x28\xb5": zstd.decompress}.get(data[:2], bytes)
    try:
        return unpack(data)
    except (OSError, EOFError, zlib.error, zstd.ZstdError):
        return None


def flipped(data, at):
    """Return data with one byte turned around."""
    changed = bytearray(data)
    changed[at] ^= 0xFF
    return bytes(changed)


def flip(path, at=None):
    """Turn one byte of a file around, from the middle on or where told; its times stay.

    In mail that is so much alike another distance may lead a decompressor to the very same text:
    that would be no damage.
    """
    facts, data = path.stat(), path.read_bytes()
    places = range(len(data) // 2, len(data)) if at is None else [at]
    turned = (flipped(data, one) for one in places)
    path.write_bytes(next(one for one in turned if text_of(one) != text_of(data)))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))

"""File systems without room."""

import errno
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

from lab import hosts, probes
from lab.faults.fault import Fault, switch
from lab.topology import MX1
from lab.waiting import wait_until

_FILLER = ".filler"
_CHUNK = b"\0" * 65536
_FULL_PCT = 99
_INSUFFICIENT_STORAGE = 452


def _place(path: str) -> Path:
    return hosts.get_running(MX1).root / path.lstrip("/")


def _fill_bytes(path: str) -> None:
    filler = os.open(_place(path) / _FILLER, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    chunk = _CHUNK
    try:
        while chunk:
            try:
                os.write(filler, chunk)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                chunk = chunk[: len(chunk) // 2]
    finally:
        os.close(filler)


def _free_bytes(path: str) -> None:
    (_place(path) / _FILLER).unlink(missing_ok=True)


def _fill_inodes(path: str) -> None:
    folder = _place(path) / _FILLER
    folder.mkdir(exist_ok=True)
    # Mail that comes in meanwhile takes inodes too: go on until there is none.
    for number in count():
        try:
            (folder / str(number)).touch()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return


def _free_inodes(path: str) -> None:
    folder = _place(path) / _FILLER
    if folder.is_dir():
        for entry in folder.iterdir():
            entry.unlink()
        folder.rmdir()


def _used_pct(options: str, path: str) -> int:
    lines = probes.read_over_ssh(f"df {options} {path}").splitlines()
    return int(lines[1].split()[4].rstrip("%"))


def _refuses_mail() -> bool:
    envelope = ("service@vendor.example", "admin@shili-bank.example")
    return probes.smtp_envelope(MX1.address, *envelope)[0] == _INSUFFICIENT_STORAGE


def _disk_fault(
    name: str,
    title: str,
    *,
    path: str,
    actions: tuple[Callable[[str], None], Callable[[str], None]],
    is_visible: Callable[[], bool],
) -> Fault:
    fill, free = actions
    return Fault(
        name=name,
        title=title,
        effect=f"{path} on mx1 is really full",
        host=MX1,
        slot=f"mx1 {path}",
        apply=switch(name, lambda: fill(path), lambda: free(path)),
        is_visible=is_visible,
    )


def _remount(path: str, how: str) -> None:
    # Refused while a file is open for writing: a mailbox that is just being read and marked.
    running = hosts.get_running(MX1)
    words = ("mount", "-o", f"remount,{how}", path)
    wait_until(lambda: running.attempt(*words).exit_code == 0, f"remount of {path}")


def _is_read_only(path: str) -> bool:
    mounts = [line.split() for line in probes.read_over_ssh("cat /proc/mounts").splitlines()]
    return any(mount[1] == path and "ro" in mount[3].split(",") for mount in mounts)


FAULTS = (
    _disk_fault(
        "disk-full",
        "邮箱存储磁盘已满",
        path="/var/vmail",
        actions=(_fill_bytes, _free_bytes),
        is_visible=lambda: _used_pct("-P", "/var/vmail") > _FULL_PCT,
    ),
    _disk_fault(
        "spool-full",
        "邮件队列磁盘已满",
        path="/var/spool/postfix",
        actions=(_fill_bytes, _free_bytes),
        is_visible=_refuses_mail,
    ),
    Fault(
        name="disk-read-only",
        title="邮箱存储变为只读",
        effect="/var/vmail on mx1 is mounted read-only, as the kernel does after a disk error",
        host=MX1,
        slot="mx1 /var/vmail",
        apply=switch(
            "disk-read-only",
            lambda: _remount("/var/vmail", "ro"),
            lambda: _remount("/var/vmail", "rw"),
        ),
        is_visible=lambda: _is_read_only("/var/vmail"),
    ),
    _disk_fault(
        "inodes-full",
        "邮箱存储 inode 耗尽",
        path="/var/vmail",
        actions=(_fill_inodes, _free_inodes),
        is_visible=lambda: _used_pct("-Pi", "/var/vmail") > _FULL_PCT,
    ),
)

"""Servers that live for one drill: no privilege, no network but loopback, nothing left behind."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mailcare.backup.agent.script import shortage_of
from mailcare.backup.source import NotReached

START_S = 30.0
_STOP_S = 10.0
_NOBODY = "nobody"
_PLACES = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the servers run as: ourselves, or nobody where we are root, whom they refuse."""

    name: str
    uid: int
    gid: int

    @property
    def change_uid(self) -> int | None:
        """Return the user to change to, None where we are that user already."""
        return self.uid if os.getuid() == 0 else None

    @property
    def change_gid(self) -> int | None:
        """Return the group to change to, None where there is nothing to change."""
        return self.gid if os.getuid() == 0 else None


def own_identity() -> Identity:
    """Return whom a throw-away server runs as; raise `NotReached` where our user has no name."""
    if os.getuid() == 0:
        nobody = pwd.getpwnam(_NOBODY)
        return Identity(nobody.pw_name, nobody.pw_uid, nobody.pw_gid)
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        text = f"本进程的用户（uid {os.getuid()}）没有用户名，演练用的服务不能启动"
        raise NotReached("tool", text) from None
    return Identity(name, os.getuid(), os.getgid())


def find_program(name: str, *, places: Sequence[str] = ()) -> str:
    """Return where a program is; raise `NotReached` where it is not installed."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_PLACES, *places))
    found = shutil.which(name, path=path)
    if found is None:
        raise NotReached("tool", f"本机没有安装 {name}，不能做这项演练")
    return found


def given_to(identity: Identity, folder: Path) -> Path:
    """Make a folder and all in it belong to whom the servers run as."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.getuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.lchown(path, identity.uid, identity.gid)
    return folder


def run_as(
    identity: Identity, words: Sequence[str], *, env: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; raise `NotReached` where it does not end in time."""
    try:
        return subprocess.run(
            words,
            env=dict(env),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            start_new_session=True,
            user=identity.change_uid,
            group=identity.change_gid,
            extra_groups=None if identity.change_uid is None else [],
        )
    except subprocess.TimeoutExpired:
        raise NotReached("tool", f"{Path(words[0]).name} 在 {timeout_s:g} 秒内没有结束") from None


@contextmanager
def serving(
    identity: Identity,
    words: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Path,
    is_ready: Callable[[], bool],
) -> Iterator[None]:
    """Start a server, wait until it is ready, and end it with all its children.

    Where we are killed ourselves, it is ended by the kernel.
    """
    log.touch()
    if os.getuid() == 0:
        os.chown(log, identity.uid, identity.gid)
    with log.open("ab") as out:
        server = subprocess.Popen(
            [find_program("setpriv"), "--pdeathsig", "TERM", "--", *words],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            user=identity.change_uid,
            group=identity.change_gid,
            extra_groups=None if identity.change_uid is None else [],
        )
    try:
        _wait(server, is_ready, log)
        try:
            yield
        finally:
            _need_alive(server, log)  # else what failed before failed for this
    finally:
        _stop(server)


def _wait(server: subprocess.Popen[bytes], is_ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not is_ready():
        if server.poll() is not None or time.monotonic() > deadline:
            last = log.read_text("utf-8", "replace").strip().splitlines()[-3:]
            raise NotReached("tool", f"演练用的服务没有启动（{'；'.join(last)[:300]}）")
        time.sleep(0.05)


def _need_alive(server: subprocess.Popen[bytes], log: Path) -> None:
    code = server.poll()
    if code is not None:
        last = log.read_text("utf-8", "replace").strip().splitlines()[-1:]
        told = shortage_of(code, "") or f"以 {code} 结束（{''.join(last)[:300]}）"
        raise NotReached("shortage", f"演练用的服务中途{told}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(_STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def answers_on(port: int) -> bool:
    """Tell whether somebody greets on a port of loopback."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return bool(connection.recv(1))
    except OSError:
        return False

"""Hosts to be asked on this machine: many loopback addresses before one SSH server."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection
from time import monotonic, sleep

from mailcare.inspection.check import Ask, Channel
from mailcare.inspection.checks import all_checks
from mailcare.inspection.planning import AnyCheck, plan_inspection
from mailcare.systems.site import Site
from mailcare.systems.system import System

SSHD_PORT = 2222
LIGHT_PORT = 2223
START_S = 30.0
# What Ansible's setup and pyinfra's facts gather too; the other checks ask for more than they do.
FACTS = (
    *("os.release", "os.clock", "os.uptime", "hardware.load", "security.listeners"),
    *("storage.space", "storage.inodes", "storage.mounts", "network.gateway"),
)

_SSHD = """\
ListenAddress 0.0.0.0:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/login_key.pub
PidFile none
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
MaxStartups 2000
SetEnv HOME=/var/empty
"""


def address(number: int) -> str:
    """Return the loopback address of a host, counted from 0."""
    return f"127.77.{number // 250}.{number % 250 + 1}"


def make_keys(folder: Path) -> None:
    """Write a host key and a login key."""
    for name in ("host_key", "login_key"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(words, check=True)


@contextmanager
def sshd(folder: Path) -> Iterator[None]:
    """Run OpenSSH's server on all loopback addresses, each session with Debian's own shell."""
    config = folder / "sshd_config"
    config.write_text(_SSHD.format(port=SSHD_PORT, folder=folder))
    Path("/run/sshd").mkdir(exist_ok=True)
    with _running([shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-f", str(config)], SSHD_PORT):
        yield


@contextmanager
def light(folder: Path) -> Iterator[None]:
    """Run a server that answers the collector at once, without running a command."""
    words = [sys.executable, "-m", "bench.light", str(LIGHT_PORT), str(folder)]
    with _running(words, LIGHT_PORT):
        yield


@contextmanager
def _running(words: Sequence[str], port: int) -> Iterator[None]:
    server = subprocess.Popen(words)
    try:
        _wait_for(port)
        yield
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    until = monotonic() + START_S
    while True:
        try:
            create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if monotonic() > until:
                raise
            sleep(0.1)
        else:
            return


def system_of(count: int, port: int, folder: Path) -> System:
    """Return a system of so many hosts."""
    kind, key, *_ = (folder / "host_key.pub").read_text().split()
    login = {"login": "root", "key_file": str(folder / "login_key")}
    site = Site.model_validate(
        {
            "schema": 1,
            "site": "bench",
            "customer": {"name": "示例银行", "contacts": [{"name": "王示例"}]},
            "system": {"title": "bench", "profile": "generic"},
            "domains": [{"name": "bench.invalid"}],
            "nodes": [
                {
                    "name": f"h{number}",
                    "hostname": f"h{number}.bench.invalid",
                    "address": address(number),
                    "roles": ["other"],
                    "ssh": {"port": port, "credential": login, "host_key": f"{kind} {key}"},
                }
                for number in range(count)
            ],
        }
    )
    return System(site, site.profile())


def facts_of(system: System) -> tuple[Ask, ...]:
    """Return what the checks named in `FACTS` ask of hosts."""
    return _asks(system, [check for check in all_checks() if check.name in FACTS])


def everything_of(system: System) -> tuple[Ask, ...]:
    """Return all that an inspection asks of hosts."""
    return _asks(system, all_checks())


def _asks(system: System, checks: Sequence[AnyCheck]) -> tuple[Ask, ...]:
    asks = plan_inspection(system, checks).asks()
    return tuple(ask for ask in asks if ask.channel is Channel.SSH)

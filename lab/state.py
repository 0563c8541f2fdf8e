"""What the lab remembers between commands: keys, the password, process ids, injected faults.

Everything lies in `/run/mailcare-lab`, outside any checkout, so that every clone of the
repository works on the same lab. The lock is a flock on `/run` itself: it holds even while the
state directory is being deleted, and leaves no file behind.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATE_DIR = Path("/run/mailcare-lab")
CA_CERTIFICATE = STATE_DIR / "ca.pem"
CA_KEY = STATE_DIR / "ca.key"
DKIM_KEY = STATE_DIR / "dkim.private"
INSPECTOR_KEY = STATE_DIR / "inspector_key"
KNOWN_HOSTS = STATE_DIR / "known_hosts"
PROBE_PASSWORD = STATE_DIR / "probe_password"
OTHER_SITE = STATE_DIR / "site.yaml"  # there while a fault lies in the description itself


@contextmanager
def exclusive() -> Iterator[None]:
    """Wait for and hold the lab's lock, so that two commands never build at the same time."""
    handle = os.open("/run", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def host_dir(name: str) -> Path:
    """Name the directory that belongs to one host."""
    return STATE_DIR / "hosts" / name


def probe_password() -> str:
    """Read the password of every lab mailbox."""
    return PROBE_PASSWORD.read_text().strip()


def forget_host(name: str) -> None:
    """Drop what is remembered of a host and of the faults injected into it."""
    shutil.rmtree(host_dir(name), ignore_errors=True)


def forget_everything() -> None:
    """Remove the state directory."""
    shutil.rmtree(STATE_DIR, ignore_errors=True)


def _fault_file(name: str) -> Path:
    return STATE_DIR / "faults" / f"{name}.json"


def injected() -> list[str]:
    """Name the faults that are injected now, the oldest first."""
    found = (STATE_DIR / "faults").glob("*.json")
    return [path.stem for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]


def faults_of(host: str) -> frozenset[str]:
    """Name the faults that are injected into one host."""
    return frozenset(
        path.stem
        for path in (STATE_DIR / "faults").glob("*.json")
        if json.loads(path.read_text())["host"] == host
    )


def remember_fault(name: str, *, host: str) -> None:
    """Note that a fault was injected into a host."""
    path = _fault_file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"fault": name, "host": host}))


def forget_fault(name: str) -> None:
    """Note that a fault was healed."""
    _fault_file(name).unlink(missing_ok=True)

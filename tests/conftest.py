"""What all tests share: the lab, brought up once where it can run."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.surroundings import without

pytest_plugins = ["tests.databases"]

# Borg, restic and SQLite wait for the disk at every commit; nothing here has to outlive a test.
MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30
if (
    MEMORY.is_dir()
    and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC  # some tests write programs
):
    tempfile.tempdir = os.environ.setdefault("TMPDIR", str(MEMORY))

# Airflow reads its settings when it is first imported: they must stand before any test does that.
os.environ.setdefault("AIRFLOW_HOME", str(Path(tempfile.gettempdir(), "mailcare-tests-airflow")))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")

ROOT = Path(__file__).resolve().parent.parent
LAB = "tests/lab/"
DEMO = "tests/lab/test_demo"  # last of the lab's: its Airflow beside another one slows both down
# What waits for an Airflow, for restic and borg, or prints paper after paper: begun first, in this
# order, it keeps nobody waiting.
LONGEST = (
    "tests/console/test_story",
    "tests/console/test_in_",
    "tests/test_contract_year",
    "tests/test_straight_line",
    "tests/test_cli.py",
    "tests/papers/test_inspection",
    "tests/backup/test_repositories",
    "tests/backup/test_drills",
    "tests/faults/test_sweeping",
    "tests/reports/test_reports",
)

# How long an example takes says how busy the machine is.
settings.register_profile("mailcare", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mailcare")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes longest."""
    items.sort(
        key=lambda item: (
            not item.nodeid.startswith(LAB),
            item.nodeid.startswith(DEMO),
            _turn(item.nodeid),
        )
    )


def _turn(nodeid: str) -> int:
    turns = (turn for turn, begin in enumerate(LONGEST) if nodeid.startswith(begin))
    return next(turns, len(LONGEST))


class OneLab(LoadFileScheduling):
    """Give each worker whole files, and all that use the lab to the same one: there is one lab."""

    def _split_scope(self, nodeid: str) -> str:
        return LAB if nodeid.startswith(LAB) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneLab:
    """Share the tests out so that the lab's run beside all others."""
    return OneLab(config, log)


@pytest.fixture(scope="session")
def prints() -> Callable[[str], object]:
    """Return the printer, which prints the same HTML once."""
    from mailcare.papers import render

    return lru_cache(maxsize=256)(render._print)


@pytest.fixture(autouse=True, scope="module")
def printer(prints: Callable[[str], object]) -> Iterator[None]:
    """Print a paper that many tests have in common once.

    The same HTML gives the same bytes: tests/papers asserts it, with a printer of its own.
    """
    from mailcare.papers import render

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "_print", prints)
        yield


@pytest.fixture(scope="session")
def lab() -> Iterator[None]:
    """Bring the lab up; take it down at the end unless it stood before."""
    if os.geteuid() != 0:
        without("root, which the lab's namespaces need")
    if missing := [
        tool for tool in ("ip", "named", "postfix", "dovecot") if not shutil.which(tool)
    ]:
        without(f"the lab's programs: {', '.join(missing)}")
    stood = _lab("status").returncode == 0
    up = _lab("up")
    assert up.returncode == 0, up.stdout + up.stderr
    assert _lab("heal", "all").returncode == 0
    yield
    if not stood:
        _lab("down")


def _lab(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )

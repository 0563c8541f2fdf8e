"""What all tests share: the lab, brought up once where it can run."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.surroundings import without

pytest_plugins = ["tests.databases"]

# Airflow reads its settings when it is first imported: they must stand before any test does that.
os.environ.setdefault("AIRFLOW_HOME", str(Path(tempfile.gettempdir(), "mailcare-tests-airflow")))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")

ROOT = Path(__file__).resolve().parent.parent


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

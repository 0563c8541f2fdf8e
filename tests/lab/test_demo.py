"""`make demo ONCE=1`, whole: the lab, Airflow, the Dag, the report, and nothing left running."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pypdf import PdfReader

ROOT = Path(__file__).resolve().parents[2]
PORT = 8080


def demonstrate(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, sys.executable, "-m", "lab.demo", "--once"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'include'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


def report_of(demo: subprocess.CompletedProcess[str]) -> str:
    assert demo.returncode == 0, demo.stdout + demo.stderr
    found = re.search(r"report: (\S+\.pdf)", demo.stdout)
    assert found, demo.stdout
    return "".join(page.extract_text() for page in PdfReader(found[1]).pages)


def is_taken(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.lab
@pytest.mark.usefixtures("lab")
def test_the_demonstration_inspects_the_lab_and_leaves_nothing_running() -> None:
    demo = demonstrate()
    text = report_of(demo)
    assert "巡检报告" in text
    assert "客户名称" in text
    assert "示例银行" in text
    for task in ("plan", "authorise", "collect[2]", "judge", "record", "render", "deliver"):
        assert re.search(rf"^ +{re.escape(task)} +success$", demo.stdout, re.MULTILINE), task
    assert not is_taken(PORT)

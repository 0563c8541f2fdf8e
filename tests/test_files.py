import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from mailcare.errors import Unavailable
from mailcare.files import write_whole

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "lab" / "recorded.jsonl"
INSPECT = ("inspect", ROOT / "lab" / "site.yaml", "--bundle", BUNDLE, "--check", "os.release")


def limit_files_to(size_bytes: int) -> None:
    """Let every file that grows beyond the size fail, as a full disk does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))


def test_a_file_is_written_with_its_folders(tmp_path):
    path = write_whole(tmp_path / "a" / "b.txt", b"body")
    assert path.read_bytes() == b"body"


def test_a_disk_that_fills_up_is_said_and_what_was_written_before_stays(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "include")}
    command = [sys.executable, "-m", "mailcare", *INSPECT, "--out", tmp_path]
    done = subprocess.run(
        command,
        env=environment,
        preexec_fn=lambda: limit_files_to(300_000),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "文件写不进去" in done.stderr
    assert "Traceback" not in done.stderr
    assert "replies.jsonl" in {path.name for path in tmp_path.iterdir()}
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]
    again = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert again.returncode == 0
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_what_stood_there_before_stays_when_writing_fails(tmp_path, monkeypatch):
    path = write_whole(tmp_path / "a.txt", b"old")
    (tmp_path / f".a.txt.{os.getpid()}.part").mkdir()  # the draft cannot be opened
    with pytest.raises(Unavailable, match="文件写不进去"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"

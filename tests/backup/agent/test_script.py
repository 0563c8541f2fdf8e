"""The agent as a program: what it is written in, what it reads, what it leaves behind."""

import ast
import errno
import io
import json
import os
import subprocess
import sys
import time
from itertools import takewhile
from pathlib import Path
from tempfile import gettempdir

import pytest

from mailcare.backup.agent import script, tools
from mailcare.backup.agent.protocol import (
    Exit,
    FileDigest,
    Folder,
    Header,
    Piece,
    Place,
    Problem,
    Reader,
    Record,
    Refusal,
    Special,
)
from tests.surroundings import without

PARTS = ("script", "tools", "packed", "tar", "zips", "zstd", "archive")
OURS = "mailcare.backup.agent."
AFTER_3_6 = {"dataclasses", "contextvars", "importlib.resources", "zoneinfo", "graphlib"}


def run(task: str, **given: object) -> list[Record]:
    out, reader = io.BytesIO(), Reader()
    script.run({"task": task, "heartbeat_s": 60.0, **given}, out)
    records = list(reader.feed(out.getvalue()))
    reader.finish()
    return records


def of(kind: type, records: list[Record]) -> list:
    return [one for one in records if isinstance(one, kind)]


def named(*paths: bytes) -> list[str]:
    return [script.b64(path) for path in paths]


@pytest.fixture
def tree(tmp_path):
    for name in ("a/cur", "a/new", "b", "-c"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a/cur/1:2,S").write_bytes(b"From: a@b\n\nhi\n")
    (tmp_path / "a/cur/line\nend").write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/b/\xb2\xe2")).write_bytes(b"GBK")
    (tmp_path / "b/link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "b/pipe")
    return tmp_path


@pytest.mark.parametrize("part", PARTS)
def test_it_is_written_in_python_3_6_and_imports_nothing_newer(part):
    source = Path(script.__file__).with_name(f"{part}.py").read_text()
    tree = ast.parse(source, feature_version=(3, 6))
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    imported -= {OURS + name for name in PARTS}
    assert imported
    assert imported <= set(sys.stdlib_module_names)
    assert not imported & AFTER_3_6
    newer = {"capture_output", "text", "missing_ok", "removeprefix", "removesuffix", "readinto"}
    words = {one.arg for one in ast.walk(tree) if isinstance(one, ast.keyword)}
    words |= {one.attr for one in ast.walk(tree) if isinstance(one, ast.Attribute)}
    assert not words & newer - {"text"}
    assert not any(isinstance(one, ast.NamedExpr) for one in ast.walk(tree))


def test_a_tree_is_listed_folder_by_folder_with_every_odd_name(tree):
    records = run("list", root=str(tree))
    folders = of(Folder, records)
    assert [one.path for one in folders] == [b"", b"-c", b"a", b"a/cur", b"a/new", b"b"]
    assert {one.name for one in folders[3].files} == {b"1:2,S", b"line\nend"}
    assert [one.name for one in folders[5].files] == [b"\xb2\xe2"]
    assert {one.path for one in of(Special, records)} == {b"b/link", b"b/pipe"}


@pytest.mark.parametrize("cursor", [b"", b"a", b"a/cur", b"a/new", b"b"])
def test_a_listing_goes_on_behind_its_cursor(tree, cursor):
    whole = [one.path for one in of(Folder, run("list", root=str(tree)))]
    rest = [one.path for one in of(Folder, run("list", root=str(tree), cursor=script.b64(cursor)))]
    assert rest == whole[whole.index(cursor) + 1 :]


def test_a_large_folder_comes_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(script, "FILES_A_RECORD", 10)
    for number in range(25):
        (tmp_path / str(number)).touch()
    parts = of(Folder, run("list", root=str(tmp_path)))
    assert [(len(one.files), one.is_last) for one in parts] == [(10, False), (10, False), (5, True)]


def test_files_are_read_to_their_end_and_links_are_not_followed(tree):
    records = run("digest", root=str(tree), paths=named(b"a/cur/1:2,S", b"b/\xb2\xe2", b"b/link"))
    mail, other = of(FileDigest, records)
    assert (mail.size_bytes, mail.looks_like_mail, mail.has_changed) == (14, True, False)
    assert (other.path, other.looks_like_mail) == (b"b/\xb2\xe2", False)
    assert [(one.path, one.what) for one in of(Problem, records)] == [(b"b/link", "unreadable")]


def test_what_vanished_is_told_apart_from_what_is_closed_to_us(tree):
    records = run("digest", root=str(tree), paths=named(b"a/cur/gone", b"b"))
    assert [(one.path, one.what) for one in of(Problem, records)] == [
        (b"a/cur/gone", "gone"),
        (b"b", "unreadable"),
    ]


def test_a_file_that_keeps_changing_is_marked(tree, monkeypatch):
    path = tree / "a/cur/1:2,S"
    real = script.blocks_of

    def growing(name: bytes, pace: script.Pace):
        yield from real(name, pace)
        with path.open("ab") as file:
            file.write(b"more")

    monkeypatch.setattr(script, "blocks_of", growing)
    [digest] = of(FileDigest, run("digest", root=str(tree), paths=named(b"a/cur/1:2,S")))
    assert digest.has_changed


def test_an_input_output_error_is_an_alarm(tmp_path):
    if os.getuid() != 0:
        without("root, for a mount of a file that really gives EIO")
    file = tmp_path / "dying"
    file.touch()
    subprocess.run(["mount", "--bind", f"/proc/{os.getpid()}/mem", str(file)], check=True)
    try:
        records = run("digest", root=str(tmp_path), paths=named(b"dying"))
    finally:
        subprocess.run(["umount", str(file)], check=True)
    [problem] = of(Problem, records)
    assert (problem.what, problem.text) == ("alarm", os.strerror(errno.EIO))


def test_a_folder_that_is_closed_to_us_is_told_and_the_rest_listed(tree):
    if os.getuid() != 0:
        without("root, to be somebody without rights")
    (tree / "a/cur").chmod(0o700)
    tree.chmod(0o755)
    for parent in takewhile(lambda one: one != Path(gettempdir()), tree.parents):
        parent.chmod(0o755)
    job = json.dumps({"task": "list", "root": str(tree)})
    text = f"{Path(script.__file__).read_text()}\nsys.exit(main({job!r}))\n"
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-"],
        input=text.encode(),
        capture_output=True,
        user=65534,
        check=True,
    )
    reader = Reader()
    records = list(reader.feed(done.stdout))
    reader.finish()
    assert [(one.path, one.what) for one in of(Problem, records)] == [(b"a/cur", "unreadable")]
    assert b"b" in [one.path for one in of(Folder, records)]


def test_the_clock_of_the_host_is_in_its_header():
    [header] = of(Header, run("look", paths=[]))
    assert abs(header.at_s - time.time()) < 60
    assert header.python == ".".join(map(str, sys.version_info[:3]))


def test_a_look_tells_room_and_what_is_not_there(tmp_path):
    records = run("look", paths=[str(tmp_path), str(tmp_path / "none")])
    [place] = of(Place, records)
    assert place.is_folder
    assert place.free_bytes > 0
    assert [one.what for one in of(Problem, records)] == ["gone"]


@pytest.mark.parametrize(
    ("task", "given", "code"),
    [
        ("list", {"root": "/none/such"}, "missing"),
        ("list", {"root": "/etc/passwd"}, "missing"),
        ("tool", {"words": ["no-such-tool"], "env": {}, "output": "lines"}, "tool"),
        ("tool", {"words": ["true"], "env": {}, "output": "lines", "scratch": "/none"}, "scratch"),
    ],
)
def test_a_job_that_cannot_be_done_is_refused_with_a_word(task, given, code):
    assert script.TASKS["tool"] is tools.task_tool
    assert [one.code for one in of(Refusal, run(task, **given))] == [code]


def test_the_rate_is_limited_over_a_second(monkeypatch):
    slept: list[float] = []
    now = [100.0]
    monkeypatch.setattr(script.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(
        script.time, "sleep", lambda s: (slept.append(s), now.__setitem__(0, now[0] + s))
    )
    pace = script.Pace(1000)
    for _ in range(5):
        pace.take(1000)
    assert sum(slept) == pytest.approx(4.0)


def test_scratch_is_removed_when_a_tool_fails_and_when_it_is_full(tmp_path):
    words = ["sh", "-c", "mkdir -m 0 {scratch}/out/x; echo no; exit 3"]
    run("tool", words=words, env={}, output="lines", scratch=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_full_scratch_is_a_refusal_and_leaves_nothing(tmp_path):
    if os.getuid() != 0:
        without("root, for a small file system")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)], check=True)
    try:
        (tmp_path / "fill").write_bytes(b"x" * 61440)
        words = [
            "sh",
            "-c",
            "cat /dev/zero > {scratch}/out/x || echo 'No space left on device' >&2",
        ]
        run("tool", words=words, env={}, output="lines", scratch=str(tmp_path))
        assert [one.name for one in tmp_path.iterdir()] == ["fill"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_tool_that_only_tries_again_is_ended_and_what_it_brought_is_sent():
    words = ["sh", "-c", "echo x > {scratch}/out/a; while echo trying anew >&2; do sleep .01; done"]
    given = {"words": words, "env": {}, "output": "lines", "give_up": ["anew", 3]}
    records = run("tool", **given, collect={script.b64(b"k"): script.b64(b"/a")})
    assert [one.code for one in of(Exit, records)] == [-9]
    assert [one.data for one in of(Piece, records)] == [b"x\n"]


def test_no_secret_of_a_job_is_in_the_output_or_in_the_arguments():
    words = ["sh", "-c", 'test "$PASSWORD" = hush && ps -o args= -p $PPID; env >/dev/null']
    out = io.BytesIO()
    job = {"task": "tool", "words": words, "env": {"PASSWORD": "hush"}, "output": "lines"}
    script.run({**job, "heartbeat_s": 60.0}, out)
    assert b'"code":0' in out.getvalue()
    assert b"hush" not in out.getvalue()

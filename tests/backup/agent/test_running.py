"""The agent over a real SSH connection: whole, cut, silent, refused."""

import os
import subprocess
from pathlib import Path

import asyncssh
import pytest

from lab.waiting import wait_until
from mailcare.backup.agent import ssh
from mailcare.backup.agent.protocol import (
    CutOff,
    Exit,
    FileDigest,
    Folder,
    Header,
    Line,
    Piece,
    Place,
    Problem,
    Reader,
    Special,
    Whole,
)
from mailcare.backup.agent.running import (
    contents,
    digests,
    listing,
    look,
    once,
    records,
    text_of,
)
from mailcare.backup.agent.seats import Here, Job, Seat
from mailcare.backup.agent.ssh import There
from mailcare.backup.source import NotReached
from mailcare.errors import NotAuthorised
from tests.backup.ssh_host import cuts_after, falls_silent, node_at, scene, ssh_host
from tests.surroundings import need, without


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("tree")
    for number in range(30):
        (root / f"d{number:02}").mkdir()
        for name in range(20):
            (root / f"d{number:02}" / f"{name}").write_bytes(b"From: a@b\n\n%d" % name)
    return root


def folders(seat: Seat, root: Path) -> list[tuple[bytes, int]]:
    found = listing(seat, str(root), {})
    return [(one.path, len(one.files)) for one in found if isinstance(one, Folder)]


def read(seat: Seat, root: Path) -> list[FileDigest]:
    paths = [b"d%02d/%d" % (folder, name) for folder in range(30) for name in range(20)]
    return [one for one in digests(seat, str(root), paths, {}) if isinstance(one, FileDigest)]


def test_here_and_there_find_the_same(tree):
    with ssh_host() as there:
        assert folders(there, tree) == folders(Here(), tree)
        assert read(there, tree) == read(Here(), tree)
    assert len(folders(Here(), tree)) == 31


@pytest.mark.parametrize("most_bytes", [1, 5_000])
def test_a_listing_that_is_cut_goes_on_and_tells_each_folder_once(tree, most_bytes):
    with ssh_host(cuts_after(most_bytes, times=2)) as there:
        assert folders(there, tree) == folders(Here(), tree)


@pytest.mark.parametrize("most_bytes", [1, 60_000])
def test_reading_that_is_cut_goes_on_with_what_is_missing(tree, most_bytes):
    with ssh_host(cuts_after(most_bytes)) as there:
        found = read(there, tree)
    assert len(found) == len({one.path for one in found}) == 600


@pytest.mark.parametrize("most_bytes", [1, 400_000])
def test_sending_that_is_cut_goes_on_behind_the_last_byte_that_came(tmp_path, most_bytes):
    files = {b"large": os.urandom(900_000), b"empty": b"", b"small": b"From: a@b\n\nhi"}
    for name, data in files.items():
        (tmp_path / os.fsdecode(name)).write_bytes(data)
    with ssh_host(cuts_after(most_bytes, times=2)) as there:
        told = list(contents(there, str(tmp_path), [*files, b"gone"], {}))
    found = dict.fromkeys(files, b"")
    for one in told:
        if isinstance(one, Piece):
            found[one.path] += one.data
    assert found == files
    assert [one.path for one in told if isinstance(one, Whole)] == [*files]
    assert [(one.path, one.what) for one in told if isinstance(one, Problem)] == [(b"gone", "gone")]


def test_a_host_that_is_silent_about_a_file_is_not_believed(tmp_path):
    class Forgetful(Here):
        def stream(self, job):
            yield from super().stream(job.with_(paths=[]))

    with pytest.raises(NotReached, match="没有说明 1 个文件"):
        list(digests(Forgetful(), str(tmp_path), [b"a"], {}))


def test_a_host_that_cuts_every_time_is_given_up(tree):
    with ssh_host(cuts_after(10, times=99)) as there, pytest.raises(NotReached) as refused:
        folders(there, tree)
    assert refused.value.code == "unreachable"
    assert "反复中断" in refused.value.message


def test_a_job_that_cannot_go_on_is_not_run_after_a_cut():
    job = Job("tool", {"words": ["seq", "9999"], "env": {}, "output": "lines"})
    with ssh_host(cuts_after(500)) as there, pytest.raises(NotReached) as refused:
        list(once(there, job))
    assert refused.value.code == "unreachable"


def test_a_host_that_falls_silent_is_cut_off(tree, monkeypatch):
    monkeypatch.setattr(ssh, "SILENCE_S", 4.0)
    with ssh_host(falls_silent) as there, pytest.raises(CutOff, match="没有任何输出"):
        list(records(there, Job("list", {"root": str(tree)})))


def test_a_changed_host_key_stops_before_the_login(tree):
    other = asyncssh.generate_private_key("ssh-ed25519")
    with ssh_host() as there:
        assert there.node.ssh
        strange = There(node_at(there.node.ssh.port, other), scene())
        with pytest.raises(NotReached, match="主机密钥与登记的不符"):
            folders(strange, tree)


def test_nothing_connects_without_an_authorisation(tree):
    def refuse(node: str) -> None:
        raise NotAuthorised("没有客户的有效授权，未建立任何连接", subject=node)

    with ssh_host() as there, pytest.raises(NotReached) as refused:
        folders(There(there.node, scene(refuse)), tree)
    assert refused.value.code == "authorisation"


def test_a_host_without_ssh_in_the_site_file_is_not_reached(tree):
    node = node_at(1).model_copy(update={"ssh": None})
    with pytest.raises(NotReached, match="未填写"):
        folders(There(node, scene()), tree)


@pytest.fixture(params=["dash", "busybox"])
def poor_path(request, tmp_path):
    """Return a PATH without Python: a shell, and the tools of Debian or of busybox."""
    tools = (
        "awk base64 cat date dd df find grep id lsattr od sed sha256sum sleep sort stat tr uname"
    )
    for tool in (*tools.split(), "xargs"):
        (tmp_path / tool).symlink_to(need("busybox" if request.param == "busybox" else tool))
    (tmp_path / "sh").symlink_to(need(request.param))
    return str(tmp_path)


@pytest.fixture
def odd_tree(tree):
    root = tree.parent / "odd"
    if not root.exists():
        for name in (b"a", b"a-b", b"a/cur", "项目".encode("gbk"), b"line\nend\n", b"-n", b"%s\\"):
            (root / os.fsdecode(name)).mkdir(parents=True)
            (root / os.fsdecode(name + b"/\x01\x81 mail\n")).write_bytes(b"Date: now\r\n\r\nx")
        (root / "a" / "empty").touch()
        (root / "a" / "link").symlink_to("/etc/passwd")
        os.mkfifo(root / "a" / "pipe")
        for number in range(501):
            (root / "a/cur" / f"{number}").write_bytes(b"no mail\0")
    return root


def told(seat: Seat, root: Path, cursor: bytes | None = None) -> list[object]:
    job = Job("list", {"root": str(root), "cursor": None if cursor is None else text_of(cursor)})
    found: dict[bytes, list[tuple[bytes, int, int, int]]] = {}
    special = []
    for one in records(seat, job):
        assert isinstance(one, Folder | Special | Header)
        if isinstance(one, Folder):
            rows = [(it.name, it.size_bytes, int(it.time), it.inode) for it in one.files]
            found.setdefault(one.path, []).extend(rows)
        elif isinstance(one, Special):
            special.append((one.path, one.mode))
    return [sorted(special), *((path, sorted(rows)) for path, rows in found.items())]


def test_a_host_without_python_lists_the_same_by_its_shell(odd_tree, poor_path):
    with ssh_host(path=poor_path) as there:
        whole = told(Here(), odd_tree)
        assert told(there, odd_tree) == whole
        assert len(whole) == 9
        assert told(there, odd_tree, b"a/cur")[1:] == told(Here(), odd_tree, b"a/cur")[1:]
        assert told(there, odd_tree, b"")[1:] == whole[2:]


def test_a_link_to_a_folder_elsewhere_is_told_as_not_read(tmp_path, poor_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/mail").touch()
    root = tmp_path / "store"
    for name, target in (
        ("out\n", "../../elsewhere"),
        ("in", "../a"),
        ("file", "../../elsewhere/mail"),
    ):
        (root / "a").mkdir(parents=True, exist_ok=True)
        (root / "a" / name).symlink_to(target)
    with ssh_host(path=poor_path) as there:
        for seat in (Here(), there):
            found = list(records(seat, Job("list", {"root": str(root)})))
            problems = [(one.what, one.path) for one in found if isinstance(one, Problem)]
            assert problems == [("unreadable", b"a/out\n")]


def test_what_the_server_keeps_compressed_or_encrypted_is_told_by_every_host(tmp_path, poor_path):
    packed = (b"\x1f\x8b\x08\0", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
    sealed = (b"CRYPTED\x03\x07\x02\0", b"Dovecot-LZ4\r\x2a\x9b\xc5\0\nDate: in the text")
    in_dbox = b"2 M1e C6b0bd1a8\n\x01\x02N          0000000000000992\n"
    heads = (*packed, in_dbox + packed[0], *sealed, in_dbox + sealed[0], b"\nFrom: a@b", b"")
    for number, head in enumerate(heads):
        (tmp_path / f"{number}").write_bytes(head)
    names = [b"%d" % number for number in range(len(heads))]
    with ssh_host(path=poor_path) as there:
        for seat in (Here(), there):
            told = digests(seat, str(tmp_path), names, {})
            found = [one for one in told if isinstance(one, FileDigest)]
            assert [one.is_packed for one in found] == [True] * 5 + [False] * 5
            assert [one.is_sealed for one in found] == [False] * 5 + [True] * 3 + [False] * 2
            assert [one.looks_like_mail for one in found] == [False] * 8 + [True, False]


def test_a_host_without_python_reads_and_sends_the_same_by_its_shell(odd_tree, poor_path):
    large = odd_tree / "a" / "large"
    large.write_bytes(os.urandom(300_000))
    paths = [os.path.relpath(one, odd_tree) for one in sorted(odd_tree.rglob("*[a-z\n]"))]
    names = [*map(os.fsencode, paths), b"a/cur/7", b"a/gone"]
    assert len(names) > 12
    with ssh_host(path=poor_path) as there:
        for ask in (digests, contents):
            ours, theirs = ({}, {})
            for seat, said in ((Here(), ours), (there, theirs)):
                for one in ask(seat, str(odd_tree), names, {}):
                    if isinstance(one, Piece):
                        said[one.path] = said.get(one.path, b"") + one.data
                    else:
                        said[one.path, type(one)] = (
                            getattr(one, "sha256", None),
                            getattr(one, "looks_like_mail", None),
                        )
            assert theirs == ours
        for first in (0, 196_608, 300_000):
            job = Job("fetch", {"root": str(odd_tree), "paths": [text_of(b"a/large")]})
            sent = [
                [b"".join(one.data for one in told if isinstance(one, Piece)), type(told[-1])]
                for told in (
                    list(records(seat, job.with_(first=first))) for seat in (Here(), there)
                )
            ]
            assert sent[0] == sent[1] == [large.read_bytes()[first:], Whole]
        place, ahead_s = look(there, str(large))
        assert (place.size_bytes, place.is_folder, place.is_read_only) == (300_000, False, False)
        assert abs(ahead_s) < 60
        names_there = [
            one.path
            for one in once(there, Job("names", {"root": str(odd_tree)}))
            if isinstance(one, Place)
        ]
        names_here = [
            one.path
            for one in once(Here(), Job("names", {"root": str(odd_tree)}))
            if isinstance(one, Place)
        ]
        assert names_there == names_here
    large.unlink()


def test_a_host_without_python_tells_of_a_dying_disk(tmp_path_factory, poor_path):
    if os.getuid() != 0:
        without("root, for a mount of a file that really gives EIO")
    file = tmp_path_factory.mktemp("dying") / "mail"
    file.touch()
    subprocess.run(["mount", "--bind", f"/proc/{os.getpid()}/mem", str(file)], check=True)
    try:
        with ssh_host(path=poor_path) as there:
            [told] = digests(there, str(file.parent), [b"mail"], {})
    finally:
        subprocess.run(["umount", str(file)], check=True)
    assert isinstance(told, Problem)
    assert told.what == "alarm"


def test_a_host_without_python_refuses_what_its_shell_cannot_do(tmp_path, poor_path):
    jobs = [Job("tool", {"words": ["restic"]}), Job("list", {"root": str(tmp_path / "gone")})]
    with ssh_host(path=poor_path) as there:
        for job, code in zip(jobs, ("tool", "missing"), strict=True):
            with pytest.raises(NotReached) as refused:
                list(records(there, job))
            assert refused.value.code == code


def test_a_host_with_neither_python_nor_find_is_told(tree, tmp_path):
    (tmp_path / "sh").symlink_to("/bin/sh")
    with (
        ssh_host(path=str(tmp_path)) as there,
        pytest.raises(NotReached, match="Python") as refused,
    ):
        folders(there, tree)
    assert refused.value.code == "tool"


def test_a_reader_that_stops_early_ends_the_agent_and_its_scratch(tmp_path):
    words = ["sh", "-c", "while :; do echo y; done"]
    job = Job("tool", {"words": words, "env": {}, "output": "lines", "scratch": str(tmp_path)})
    with ssh_host() as there:
        for seat in (Here(), there):
            stream = records(seat, job)
            assert any(isinstance(one, Line) for one in stream)
            stream.close()
    wait_until(lambda: not list(tmp_path.iterdir()), "removal of the agent's scratch")


def test_a_tool_gets_its_secret_and_nobody_sees_it():
    words = ["sh", "-c", 'test "$PASSWORD" = hush']
    job = Job("tool", {"words": words, "env": {"PASSWORD": "hush"}, "output": "lines"})
    with ssh_host() as there:
        assert [one.code for one in once(there, job) if isinstance(one, Exit)] == [0]
    assert "hush" not in repr(job)


def take(reader: Reader, data: bytes) -> None:
    assert all(reader.feed(data))
    reader.finish()


def trailed(*lines: bytes) -> bytes:
    return b"\n".join((*lines, b""))


HEADER = b'{"kind":"header","version":1,"host":"h","python":"3.6","at":1.0}'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "没有结束记录"),
        (b"This account is currently not available.", "not available"),
        (trailed(b"motd", HEADER), "不是代理程序的输出：motd"),
        (trailed(b"[1]"), "不是代理程序的输出"),
        (trailed(HEADER), "没有结束记录"),
        (trailed(HEADER.replace(b'"version":1', b'"version":2')), "版本为 2"),
        (trailed(HEADER, b'{"kind":"unheard-of"}'), "无法识别"),
        (trailed(HEADER, b'{"kind":"folder","path":"%%"}'), "无法识别"),
        (trailed(HEADER, b'{"kind":"trailer","records":1,"sha256":"00"}'), "不符"),
    ],
)
def test_a_stream_that_cannot_be_trusted_is_cut_off(data, reason):
    with pytest.raises(CutOff, match=reason):
        take(Reader(), data)

"""Archives on a host, read there: nothing else comes out than where they are read at home."""

import errno
import io
import os
import re
import subprocess
import tarfile

import pytest

from mailcare.backup.agent import archive, packed, script, tools, zips, zstd
from mailcare.backup.agent.seats import Here
from mailcare.backup.archives import ArchiveStore
from mailcare.backup.chain import unreached
from mailcare.backup.mailstore import StoreMap
from mailcare.backup.remote import RemoteSource
from mailcare.backup.remote_archives import RemoteArchiveStore
from mailcare.backup.source import NotReached, Shard
from mailcare.backup.verdicts import Level
from mailcare.systems.copies import CopyKind, StoreFormat
from tests.backup.ssh_host import cuts_after, ssh_host
from tests.backup.stores import (
    add_mail,
    copy_of,
    flip,
    local_source,
    mail,
    make_store,
    name_of,
    pack,
    tar_of,
)
from tests.surroundings import need

LAYOUT = "{domain}/{user}"
READ_THERE = ("tar", "tar.gz", "tar.zst", "zip")


class Within:
    """The agent within this process; it notes its jobs."""

    name = "bak1"

    def __init__(self):
        self.tasks = []

    def stream(self, job):
        self.tasks.append(job.task)
        out = io.BytesIO()
        script.run({"task": job.task, **job.given}, out)
        yield out.getvalue()


def there(copy, tmp_path, seat=None):
    return RemoteSource(copy, StoreMap(copy.format, copy.layout), seat or Within(), tmp_path)


def all_of(source):
    """Return what the levels are judged by; what a library calls a damage is its own matter."""
    (generation,) = source.reach().generations
    census = source.census(generation)
    reading = source.read(generation, Shard(1, 2))
    found = (list(reading), reading.soundness(), census)
    return found, re.sub(
        r"(gzip|zstd) [数校][^']*|数据损坏（.*?）",
        "damaged",
        repr(found),
    )


def unharmed(_path):
    """Leave an archive as it is."""


def shortened(path):
    os.truncate(path, path.stat().st_size * 6 // 10)


@pytest.mark.parametrize("kind", READ_THERE)
@pytest.mark.parametrize("harm", [unharmed, flip, shortened])
def test_a_host_tells_what_is_read_here(tmp_path, kind, harm):
    path = pack(make_store(tmp_path / "live"), kind, tmp_path / f"copy.{kind}")
    harm(path)
    copy = copy_of(kind, path)
    source = there(copy, tmp_path)
    (digests, soundness, _), told = all_of(local_source(copy))
    assert all_of(source)[1] == told
    assert digests or soundness.problems
    assert "fetch" not in source.seat.tasks


@pytest.mark.parametrize("options", ["--no-check", "--check"])
def test_a_frame_of_zstd_without_a_checksum_is_told_of_by_its_host(tmp_path, options):
    path = pack(make_store(tmp_path / "live"), "tar", tmp_path / "copy.tar")
    data, packed_ = path.read_bytes(), b""
    for part, option in ((data[:9000], "--check"), (data[9000:], options)):
        words = ["zstd", "-qc", option]
        packed_ += subprocess.run(words, input=part, capture_output=True, check=True).stdout
        packed_ += b"\x5a\x2a\x4d\x18\x03\0\0\0any"  # a frame to be skipped
    path.write_bytes(packed_)
    (_, soundness, _), _ = all_of(there(copy_of("tar.zst", path), tmp_path))
    assert soundness.is_finished
    assert soundness.method == ("zstd XXH64" if options == "--check" else "")
    assert soundness == all_of(local_source(copy_of("tar.zst", path)))[0][1]


def test_what_zstd_packed_with_the_longest_window_is_read_here_and_there(tmp_path):
    path = pack(make_store(tmp_path / "live"), "tar", tmp_path / "copy.tar")
    words = ["zstd", "-qc", "-1", "--long=31"]  # from a pipe, it states the whole 2 GiB
    packed_ = subprocess.run(words, input=path.read_bytes(), capture_output=True, check=True).stdout
    path.write_bytes(packed_)
    (digests, soundness, _), _ = all_of(there(copy_of("tar.zst", path), tmp_path))
    assert soundness.is_finished
    assert (digests, soundness) == all_of(local_source(copy_of("tar.zst", path)))[0][:2]


def test_what_is_no_zstd_is_said_to_be_none_here_and_there(tmp_path):
    copy = copy_of("tar.zst", pack(make_store(tmp_path / "live"), "tar.gz", tmp_path / "copy"))
    (digests, soundness, census), told = all_of(there(copy, tmp_path))
    assert not digests
    assert "不是 zstd 数据" in soundness.problems[0]
    assert census.damages == soundness.problems
    assert told == all_of(local_source(copy))[1]


def test_a_host_holds_odd_members_to_the_same_rules(tmp_path):
    def info(name, **more):
        one = tarfile.TarInfo(name)
        one.mtime = 1_700_000_000
        for key, value in more.items():
            setattr(one, key, value)
        return one

    box, data = "bank.example/user1/cur/", mail(1)
    gbk = os.fsdecode("bank.example/财务/cur/".encode("gbk"))
    members = [
        (info(box + name_of(1, data)), data),
        (info(box + name_of(1, data)), data[:-1]),  # a second one of that name
        (info("../../evil/cur/1700000000.M1P1.mx1:2,"), data),
        (info("/" + box + "1700000000.M2P1.mx1:2,"), data),
        (info(box + "link", type=tarfile.SYMTYPE, linkname="/etc/passwd"), None),
        (info(box + "null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), None),
        (info(box + "x:2,S", type=tarfile.LNKTYPE, linkname=box + name_of(1, data)), None),
        (info(box + "y:2,S", type=tarfile.LNKTYPE, linkname="nowhere"), None),
        (info(gbk + "1700000000.M1P1.mx1:2,"), data),
        (info(gbk + "zeros\n:2,"), bytes(600)),
    ]
    copy = copy_of("tar", tar_of(tmp_path / "copy.tar", members))
    ours, told = all_of(local_source(copy))
    assert all_of(there(copy, tmp_path))[1] == told
    assert len(ours[1].oddities) == 4
    assert "硬链接指向归档中没有的文件" in told


@pytest.mark.parametrize("kind", ["tar.gz", "tar.zst", "zip"])
def test_a_bomb_is_stopped_on_its_host(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(packed, "RATIO_GRACE_BYTES", 1 << 20)
    monkeypatch.setattr(zips, "RATIO_GRACE_BYTES", 1 << 20)
    live = make_store(tmp_path / "live", mailboxes=1, each=1)
    add_mail(live, "user0@bank.example", 9, data=bytes(32 << 20))
    found, told = all_of(there(copy_of(kind, pack(live, kind, tmp_path / "copy")), tmp_path))
    assert "炸弹" in told
    assert found[1].problems or any(one.problem for one in found[0])


def test_a_pass_that_is_cut_goes_on_behind_what_was_told(tmp_path):
    path = pack(make_store(tmp_path / "live", each=300), "tar.gz", tmp_path / "copy.tar.gz")
    at_home = ArchiveStore(path, CopyKind.TAR_GZ, StoreMap(StoreFormat.MAILDIR, LAYOUT), "")
    with ssh_host(cuts_after(150_000, times=2)) as seat:
        store = RemoteArchiveStore(path, at_home.kind, at_home.map, "", seat=seat)
        found = list(store.read(Shard()))
    assert found == list(at_home.read(Shard()))
    assert len(found) == 1200


class Cut(Within):
    """A host that cuts a job once, before some word, and then does what it is told."""

    def __init__(self, task, before, then=lambda: None):
        super().__init__()
        self.task, self.before, self.then = task, before, then

    def stream(self, job):
        (data,) = super().stream(job)
        if job.task == self.task and self.tasks.count(job.task) == 1:
            data = data[: data.rindex(self.before)]
            self.then()
        yield data


def test_a_pass_never_goes_on_in_another_archive(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "FILES_A_RECORD", 3)
    path = pack(make_store(tmp_path / "live"), "tar", tmp_path / "copy.tar")
    seat = Cut("archive", b'"kind":"ended"', lambda: os.utime(path, (1, 1)))
    source = there(copy_of("tar", path), tmp_path, seat)
    (generation,) = source.reach().generations
    with pytest.raises(NotReached, match="前后不一样"):
        source.census(generation)
    assert source.seat.tasks.count("archive") == 2


def restored(source, keys, scratch):
    scratch.mkdir()
    (generation,) = source.reach().generations
    return {
        one.key: one.path and one.path.read_bytes()
        for one in source.restore(generation, keys, scratch)
    }


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_drill_that_is_cut_within_a_message_goes_on_behind_what_came(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(archive, "PIECE_BYTES", 100)
    live = make_store(tmp_path / "live", mailboxes=1)
    path = pack(live, kind, tmp_path / "copy")
    whole = {os.fsencode(one.relative_to(live)): one.read_bytes() for one in live.rglob("cur/*")}
    seat = Cut("members", b'{"path"')
    assert (
        restored(there(copy_of(kind, path), tmp_path, seat), list(whole), tmp_path / "a") == whole
    )
    assert seat.tasks.count("members") == 2
    seat = Cut("members", b'{"path"', lambda: os.utime(path, (1, 1)))
    with pytest.raises(NotReached, match="前后不一样"):
        restored(there(copy_of(kind, path), tmp_path, seat), list(whole), tmp_path / "b")


def test_a_dying_disk_is_what_keeps_a_message_from_coming_back(tmp_path, monkeypatch):
    live = make_store(tmp_path / "live", mailboxes=1)
    source = there(copy_of("tar", pack(live, "tar", tmp_path / "copy.tar")), tmp_path)
    key = os.fsencode(next(live.rglob("cur/*")).relative_to(live))
    (generation,) = source.reach().generations

    def dying(_stream):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(packed.PlainStream, "block", dying)
    (back,) = source.restore(generation, [key], tmp_path)
    assert back.path is None
    assert "磁盘可能正在损坏" in back.problem


class Bare(Within):
    """A host without any tools."""

    def __init__(self, monkeypatch, empty):
        super().__init__()
        self.monkeypatch, self.empty = monkeypatch, empty

    def stream(self, job):
        def bare(home):
            return {"PATH": str(self.empty), "HOME": home}

        with self.monkeypatch.context() as patch:
            patch.setattr(zstd, "surroundings", bare)
            patch.setattr(tools, "surroundings", bare)
            yield from super().stream(job)


def test_a_host_without_zstd_has_its_archive_brought_or_not_measured(tmp_path, monkeypatch):
    bare = Bare(monkeypatch, tmp_path)
    path = pack(make_store(tmp_path / "live"), "tar.zst", tmp_path / "copy.tar.zst")
    copy = copy_of("tar.zst", path)
    source = there(copy, tmp_path, bare)
    (remark,) = source.reach().remarks
    assert remark.endswith("主机没有 Python 3.6 以上版本或 zstd")
    assert all_of(source)[1] == all_of(local_source(copy))[1]
    asked = RemoteArchiveStore(path, copy.kind, source.map, "", seat=bare)
    with pytest.raises(NotReached) as refused:
        asked.census()
    assert (refused.value.code, unreached(Level.L2, refused.value).verdict) == ("tool", "NOT_RUN")


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Return where a host has its only tool, once it is written; and what is packed by it."""
    path = pack(make_store(tmp_path / "live"), "tar.zst", tmp_path / "copy.tar.zst")
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(zstd, "surroundings", lambda _home: {"PATH": str(folder)})
    copy_map = StoreMap(StoreFormat.MAILDIR, LAYOUT)
    return folder / "zstd", RemoteArchiveStore(path, CopyKind.TAR_ZST, copy_map, "", seat=Within())


def written(tool, text, mode=0o755):
    tool.write_text(f"#!/bin/sh\n{text}\n")
    tool.chmod(mode)


def test_a_missing_forbidden_or_killed_zstd_is_not_measured_rather_than_damage(tool):
    program, store = tool
    for mode, code in ((None, "tool"), (0o644, "tool"), (0o755, "shortage")):
        if mode:
            written(program, "kill -9 $$", mode)
        with pytest.raises(NotReached, match="zstd") as refused:
            store.census()
        assert refused.value.code == code
        with pytest.raises(NotReached, match="zstd"):
            list(store.read(Shard()))


SAID = (
    ("Decoding error (36) : Allocation error : not enough memory", True),
    ("Decoding error (36) : Frame requires too much memory for decoding", False),  # beyond 2 GiB
    ("Decoding error (36) : Data corruption detected", False),
)


@pytest.mark.parametrize(("said", "is_short"), SAID)
def test_a_zstd_short_of_memory_is_no_damage_and_says_that_it_may_go_later(tool, said, is_short):
    program, store = tool
    written(program, f"echo '/*stdin*\\ : {said} ' >&2\nexit 1")
    if is_short:
        with pytest.raises(NotReached, match="可重试") as refused:
            store.census()
        assert refused.value.code == "shortage"
    else:
        assert said.rpartition(" : ")[2] in store.census().damages[0]


@pytest.mark.parametrize("kind", READ_THERE)
def test_a_drill_brings_its_messages_alone(tmp_path, kind):
    live = make_store(tmp_path / "root/var/vmail")
    path = pack(tmp_path / "root", kind, tmp_path / f"copy.{kind}")
    source = there(copy_of(kind, path, inside="var/vmail"), tmp_path)
    (generation,) = source.reach().generations
    keys = [one.key for one in source.messages(generation, {"user2@bank.example"})]
    assert len(keys) == 6
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    back = list(source.restore(generation, [*keys, b"no/such"], scratch))
    found = {one.key: one.path.read_bytes() for one in back if one.path}
    assert found == {key: (live / os.fsdecode(key)).read_bytes() for key in keys}
    assert [one.problem for one in back if one.key == b"no/such"] == ["备份中没有这封邮件"]
    assert "fetch" not in source.seat.tasks


def test_what_a_host_cannot_read_is_brought_and_that_is_said(tmp_path):
    tools = "sh awk base64 cat date dd df find grep id lsattr od sed sha256sum sleep sort stat tr"
    for tool in (*tools.split(), "uname", "xargs"):
        (tmp_path / tool).symlink_to(need(tool))
    path = pack(make_store(tmp_path / "live"), "tar.gz", tmp_path / "copy.tar.gz")
    copy = copy_of("tar.gz", path)
    with ssh_host(path=str(tmp_path)) as seat:
        source = there(copy, tmp_path, seat)
        assert "主机没有 Python" in source.reach().remarks[0]
        assert all_of(source)[1] == all_of(local_source(copy))[1]
    assert there(copy, tmp_path, Here()).reach().remarks == ()

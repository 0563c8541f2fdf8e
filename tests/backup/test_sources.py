import base64
import os
import random
import shutil
import sys
import tarfile
import zlib

import pytest
import zstandard
from isal import isal_zlib

from mailcare.backup import pool, streams
from mailcare.backup.agent import packed, zips
from mailcare.backup.agent.seats import Here
from mailcare.backup.mailstore import StoreMap
from mailcare.backup.remote import RemoteSource
from mailcare.backup.source import Fate, NotReached, Shard
from tests.backup.stores import (
    add_mail,
    copy_of,
    flip,
    flipped,
    local_source,
    mail,
    make_store,
    name_of,
    pack,
    tar_of,
)

ARCHIVES = ("tar", "tar.gz", "tar.zst", "zip")
KINDS = ("tree", *ARCHIVES)
MAILBOXES = {f"user{number}@bank.example" for number in range(4)}


@pytest.fixture
def live(tmp_path):
    return make_store(tmp_path / "live")


def copied(live, kind, tmp_path, **more):
    if kind == "host":
        copy = copy_of("tree", live, **more)
        return RemoteSource(copy, StoreMap(copy.format, copy.layout), Here(), tmp_path)
    if kind == "tree":
        return local_source(copy_of(kind, shutil.copytree(live, tmp_path / "copy"), **more))
    return local_source(copy_of(kind, pack(live, kind, tmp_path / f"copy.{kind}"), **more))


def only(source):
    (generation,) = source.reach().generations
    return generation


def read(source, shard=Shard()):  # noqa: B008 - a constant
    reading = source.read(only(source), shard)
    return list(reading), reading.soundness()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_counts_the_same_mailboxes(live, tmp_path, kind):
    source = copied(live, kind, tmp_path)
    tree = local_source(copy_of("tree", live))
    rows = source.census(only(source)).rows
    assert len(rows) == 4
    assert rows == tree.census(only(tree)).rows
    assert {(one.messages, one.folders) for one in rows} == {(6, 2)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_reads_every_message_once_over_all_shards(live, tmp_path, kind):
    source = copied(live, kind, tmp_path)
    whole, soundness = read(source)
    assert len(whole) == 24
    assert {one.fate for one in whole} == {Fate.OK}
    assert all(one.looks_like_mail for one in whole)
    assert soundness.is_finished
    assert not soundness.problems
    parts = [one for number in range(5) for one in read(source, Shard(number, 5))[0]]
    assert sorted(one.key for one in parts) == sorted(one.key for one in whole)


@pytest.mark.parametrize("kind", KINDS)
def test_chosen_messages_come_back_byte_by_byte(live, tmp_path, kind):
    source = copied(live, kind, tmp_path)
    keys = [one.key for one in source.messages(only(source), {"user2@bank.example"})]
    assert len(keys) == 6
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    back = list(source.restore(only(source), [*keys, b"no/such"], scratch))
    found = {one.key: one.path.read_bytes() for one in back if one.path}
    assert found == {key: (live / os.fsdecode(key)).read_bytes() for key in keys}
    assert [one.problem for one in back if one.key == b"no/such"] != [""]


@pytest.mark.parametrize(
    ("kind", "told"), [("tar.gz", "gzip"), ("tar.zst", "zstd"), ("zip", "CRC")]
)
def test_a_flipped_byte_in_a_checked_archive_is_found(live, tmp_path, kind, told):
    source = copied(live, kind, tmp_path)
    flip(source.copy.path)
    digests, soundness = read(source)
    complaints = [*soundness.problems, *(one.problem for one in digests)]
    assert any(told in one for one in complaints)


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_truncated_archive_is_found(live, tmp_path, kind, share):
    source = copied(live, kind, tmp_path)
    os.truncate(source.copy.path, int(source.copy.path.stat().st_size * share))
    _, soundness = read(source)
    assert soundness.problems
    assert not soundness.is_finished


def test_a_tar_cut_at_a_members_border_lacks_its_end_mark(live, tmp_path):
    source = copied(live, "tar", tmp_path)
    data = source.copy.path.read_bytes().rstrip(b"\0")
    source.copy.path.write_bytes(data + bytes(-len(data) % 512))
    _, soundness = read(source)
    assert "提前结束" in soundness.problems[0]
    source.copy.path.write_bytes(data + bytes(-len(data) % 512) + bytes(512))
    assert not read(source)[1].is_finished


def test_zstd_without_a_checksum_is_said_to_have_none(live, tmp_path):
    import subprocess

    path = pack(live, "tar", tmp_path / "copy.tar")
    packed = tmp_path / "copy.tar.zst"
    subprocess.run(["zstd", "-q", "--no-check", path, "-o", packed], check=True)
    _, soundness = read(local_source(copy_of("tar.zst", packed)))
    assert soundness.method == ""
    assert soundness.is_finished


@pytest.mark.parametrize("options", [("--format=ustar",), ("--format=gnu",), ("--format=pax",)])
def test_long_names_are_whole_in_every_format(tmp_path, options):
    live = tmp_path / "live"
    folder = ".A" + "b" * 60 + "/cur"
    add_mail(live, "user1@bank.example", 1, folder=folder)
    source = local_source(copy_of("tar", pack(live, "tar", tmp_path / "copy.tar", options=options)))
    tree = local_source(copy_of("tree", live))
    assert source.census(only(source)).rows == tree.census(only(tree)).rows


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_names_in_gbk_and_with_line_ends_are_kept_as_bytes(tmp_path, kind):
    live = tmp_path / "live"
    for raw in ("财务".encode("gbk"), b"new\nline"):
        folder = live / "bank.example" / os.fsdecode(raw) / "cur"
        folder.mkdir(parents=True)
        (folder / "1700000000.M1P1.mx1:2,").write_bytes(mail(1))
    source = copied(live, kind, tmp_path)
    names = [one.mailbox for one in source.census(only(source)).rows]
    assert any("财务" in one for one in names)
    assert any("\\u000a" in one for one in names)
    assert len(read(source)[0]) == 2


def info(name, **more):
    one = tarfile.TarInfo(name)
    one.mtime = 1_700_000_000
    for key, value in more.items():
        setattr(one, key, value)
    return one


def test_traversal_links_and_devices_are_reported_and_never_followed(tmp_path):
    members = [
        (info("../../evil/cur/1700000000.M1P1.mx1:2,"), mail(1)),
        (info("/bank.example/user1/cur/1700000000.M2P1.mx1:2,"), mail(2)),
        (info("bank.example/user1/cur/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"), None),
        (info("bank.example/user1/cur/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), None),
    ]
    source = local_source(copy_of("tar", tar_of(tmp_path / "copy.tar", members)))
    digests, soundness = read(source)
    assert [one.mailbox for one in digests] == ["user1@bank.example"]
    told = "\n".join(soundness.oddities)
    assert "从不按此路径写出" in told
    assert "绝对路径" in told
    assert told.count("已跳过") == 2


def test_hard_links_in_a_tar_are_resolved_to_what_they_name(live, tmp_path):
    first = next((live / "bank.example/user0/cur").iterdir())
    other = live / "bank.example/user1/cur" / first.name
    os.link(first, other)
    source = copied(live, "tar", tmp_path)
    digests, soundness = read(source)
    assert len(digests) == 25
    assert not soundness.problems
    assert {one.fate for one in digests} == {Fate.OK}


def test_a_sparse_giant_is_reported_and_not_unpacked(tmp_path):
    live = make_store(tmp_path / "live", mailboxes=1, each=1)
    giant = live / "bank.example/user0/cur/1700000000.M9P1.mx1:2,"
    giant.touch()
    os.truncate(giant, 1 << 40)
    path = tmp_path / "copy.tar"
    import subprocess

    subprocess.run(["tar", "-S", "-C", live, "-cf", path, "."], check=True)
    digests, soundness = read(local_source(copy_of("tar", path)))
    assert [one.fate for one in digests if one.problem] == [Fate.BAD]
    assert any("稀疏" in one for one in soundness.oddities)


def test_a_small_sparse_file_is_read_with_its_holes(tmp_path):
    import subprocess

    live = make_store(tmp_path / "live", mailboxes=1, each=1)
    holed = live / "bank.example/user0/cur/1700000000.M9P1.mx1:2,"
    with holed.open("wb") as file:
        file.write(mail(9, size=4096))
        file.seek(1 << 20)
        file.write(b"end")
    for options in (["--format=gnu"], ["--format=pax", "--sparse-version=1.0"],
                    ["--format=pax", "--sparse-version=0.1"]):  # fmt: skip
        path = tmp_path / "copy.tar"
        subprocess.run(["tar", "-S", *options, "-C", live, "-cf", path, "."], check=True)
        tree = {one.identity: one.sha256 for one in read(local_source(copy_of("tree", live)))[0]}
        digests, _ = read(local_source(copy_of("tar", path)))
        assert {one.identity: one.sha256 for one in digests} == tree


@pytest.mark.parametrize("kind", ["tar.gz", "tar.zst", "zip"])
def test_a_bomb_is_stopped(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(packed, "RATIO_GRACE_BYTES", 1 << 20)
    monkeypatch.setattr(zips, "RATIO_GRACE_BYTES", 1 << 20)
    live = make_store(tmp_path / "live", mailboxes=1, each=1)
    (live / "bank.example/user0/cur/1700000000.M9P1.mx1:2,").write_bytes(bytes(32 << 20))
    source = copied(live, kind, tmp_path)
    digests, soundness = read(source)
    told = [*soundness.problems, *(one.problem for one in digests)]
    assert any("炸弹" in one for one in told)


def test_truncated_emptied_and_zeroed_messages_are_bad(live, tmp_path):
    source = copied(live, "tree", tmp_path)
    paths = sorted((source.copy.path / "bank.example/user0/cur").iterdir())
    paths[0].write_bytes(paths[0].read_bytes()[:100])
    paths[1].write_bytes(b"")
    paths[2].write_bytes(bytes(600))
    digests, _ = read(source)
    assert sorted(one.problem[:5] for one in digests if one.fate is Fate.BAD) == [
        "全部是零字", "空文件", "长 100",
    ]  # fmt: skip


def test_a_message_that_the_server_keeps_compressed_is_read_through(tmp_path):
    import gzip

    live, data = tmp_path / "live", mail(1)
    place = live / "bank.example/user1/cur"
    place.mkdir(parents=True)
    (place / name_of(1, data)).write_bytes(gzip.compress(data))
    (place / name_of(2, data)).write_bytes(gzip.compress(data[:-1]))
    digests, _ = read(local_source(copy_of("tree", live)))
    assert sorted(one.fate for one in digests) == [Fate.BAD, Fate.OK]


def test_the_store_may_lie_deeper_in_the_generation(live, tmp_path):
    (tmp_path / "root/var").mkdir(parents=True)
    live.rename(tmp_path / "root/var/vmail")
    source = copied(tmp_path / "root", "tar.gz", tmp_path, inside="var/vmail")
    assert len(source.census(only(source)).rows) == 4


def test_a_copy_that_is_not_there_says_so(tmp_path):
    with pytest.raises(NotReached) as missing:
        local_source(copy_of("tar", tmp_path / "nothing")).reach()
    assert missing.value.code == "missing"


def test_long_work_is_spread_over_processes(tmp_path, monkeypatch):
    live = make_store(tmp_path / "live", mailboxes=10, each=3)
    source = local_source(copy_of("tree", live))
    here = source.census(only(source))
    assert sum(row.messages for row in here.rows) == 30
    monkeypatch.setattr(pool, "SOON_S", 0)
    assert source.census(only(source)) == here
    digests, _ = read(source)
    assert len(digests) == 30
    assert {one.fate for one in digests} == {Fate.OK}

    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(NotReached, match="意外结束") as refused:
        read(local_source(copy_of("tree", live)))
    assert refused.value.code == "tool"


MBOX = (
    b"From a@bank.example Fri Nov 27 09:00:00 2026\nFrom: a@bank.example\nStatus: RO\n\nhello\n"
    b"\nFrom here on it is text\n\n"
    b"From b@bank.example Fri Nov 27 10:00:00 2026\nFrom: b@bank.example\n\nbye\n\n"
)


@pytest.mark.parametrize("kind", [*KINDS, "host"])
def test_an_mbox_is_counted_as_a_range_and_read_in_every_kind(tmp_path, kind):
    live = tmp_path / "live"
    live.mkdir()
    (live / "wang").write_bytes(MBOX)
    source = copied(live, kind, tmp_path, format="mbox", layout="{user}")
    census = source.census(only(source))
    assert [(one.mailbox, one.messages) for one in census.rows] == [("wang", 2)]
    assert any("2 与 3 之间" in one for one in census.oddities)
    keys = [one.key for one in source.messages(only(source), {"wang"})]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    back = {one.key: one.path.read_bytes() for one in source.restore(only(source), keys, scratch)}
    assert back[b"wang#1"] == b"From: b@bank.example\n\nbye\n"


def test_what_the_server_writes_into_an_mbox_does_not_change_a_message(tmp_path):
    rows = []
    for number, text in enumerate((MBOX, MBOX.replace(b"Status: RO", b"Status: O\nX-UID: 7"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "wang").write_bytes(text)
        source = local_source(copy_of("tree", folder, format="mbox", layout="{user}"))
        rows.append(source.census(only(source)).rows[0].digest)
    assert rows[0] == rows[1]


class ShortGzip:
    error = zlib.error

    def decompressobj(self, **_how):
        return self

    def decompress(self, _data, _most):
        raise zlib.error("Error -4 while decompressing data")


class ShortZstd:
    def __init__(self, _file):
        pass

    def read(self, _most):
        raise zstandard.ZstdError("zstd decompress error: Allocation error : not enough memory")


@pytest.mark.parametrize("kind", ["tar.gz", "tar.zst"])
def test_a_decompressor_short_of_memory_is_no_damage(live, tmp_path, monkeypatch, kind):
    source = copied(live, kind, tmp_path)
    monkeypatch.setattr(streams.FastGzipStream, "library", ShortGzip())
    monkeypatch.setattr(streams, "unpacker", ShortZstd)
    with pytest.raises(NotReached, match="可重试") as refused:
        source.census(only(source))
    assert refused.value.code == "shortage"


@pytest.mark.parametrize("library", [zlib, isal_zlib])
def test_all_that_precedes_a_damage_is_counted_and_the_damage_told_with_its_place(
    live, tmp_path, monkeypatch, library
):
    monkeypatch.setattr(streams.FastGzipStream, "library", library)
    source = copied(live, "tar.gz", tmp_path)
    path, whole = source.copy.path, list(source.messages(only(source), MAILBOXES))
    data, counts = path.read_bytes(), set()
    assert len(data) < 4096  # all of it is unpacked by one call
    for at in range(20, len(data), 97):
        path.write_bytes(data[:at])
        before = len(list(source.messages(only(source), MAILBOXES)))
        path.write_bytes(data[:at] + bytes((data[at] ^ 0xFF,)) + data[at + 1 :])
        census, listed = source.census(only(source)), list(source.messages(only(source), MAILBOXES))
        assert listed == whole[: len(listed)]
        assert sum(row.messages for row in census.rows) == len(listed) >= before
        assert "归档第" in census.damages[0]
        counts.add(len(listed))
    assert len(counts) > 4


@pytest.mark.parametrize("frame_bytes", [1 << 30, 70_000], ids=["one frame", "many frames"])
def test_what_precedes_a_damage_in_zstd_is_counted_and_the_damage_told(tmp_path, frame_bytes):
    live = make_store(tmp_path / "live", mailboxes=1, each=1)
    for number in range(2, 42):
        body = b"\n" + base64.encodebytes(random.Random(number).randbytes(30_000))
        add_mail(live, "user0@bank.example", number, data=mail(number) + body)
    path = pack(live, "tar", tmp_path / "copy.tar")
    text = path.read_bytes()
    frames = (text[at:][:frame_bytes] for at in range(0, len(text), frame_bytes))
    packer = zstandard.ZstdCompressor(write_checksum=True)
    data = b"".join(packer.compress(one) for one in frames)
    path.write_bytes(data)
    source = local_source(copy_of("tar.zst", path))
    whole = list(source.messages(only(source), MAILBOXES))
    assert len(whole) == 41
    for at in range(len(data) // 13, len(data), len(data) // 13):
        for harmed in (data[:at], flipped(data, at)):
            path.write_bytes(harmed)
            census = source.census(only(source))
            listed = list(source.messages(only(source), MAILBOXES))
            assert listed == whole[: len(listed)]
            # A block of zstd holds 128 KiB, and nothing of one that is damaged can be had.
            assert len(listed) >= len(whole) * at // len(data) - 5
            assert sum(row.messages for row in census.rows) == len(listed)
            assert not census.is_finished
            assert "归档第" in census.damages[0]


def test_no_flipped_byte_in_a_zip_s_directory_goes_unseen(tmp_path):
    live = make_store(tmp_path / "live", mailboxes=1, each=2)
    source = copied(live, "zip", tmp_path)
    path = source.copy.path
    data, (sound, _) = path.read_bytes(), read(source)
    begin, links = data.index(b"PK\1\2"), 0
    for at in range(begin, len(data)):
        path.write_bytes(data[:at] + bytes((data[at] ^ 0x20,)) + data[at + 1 :])
        digests, soundness = read(source)
        seen = soundness.problems or not soundness.is_finished
        seen = seen or any(one.fate is not Fate.OK for one in digests)
        is_link = any("符号链接" in one for one in soundness.oddities)  # what zips may well have
        links += is_link
        assert seen or is_link or sorted(digests) == sorted(sound), at - begin
    assert 0 < links <= 2 * data.count(b"PK\1\2")

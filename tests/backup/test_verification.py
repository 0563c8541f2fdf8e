import base64
import errno
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from backports import zstd

from mailcare.backup import drill, moves, opened, spool
from mailcare.backup.agent.seats import Here
from mailcare.backup.alone import alone
from mailcare.backup.evidence import audit, read_evidence
from mailcare.backup.verdicts import Level, Verdict
from mailcare.backup.verification import audit_file, verify_site
from mailcare.clock import BEIJING
from mailcare.errors import InputError
from tests.backup.stores import LONG_AGO, NOW, add_mail, flip, mail, make_store, pack, set_time
from tests.surroundings import need, without

ARCHIVES = ("tar", "tar.gz", "tar.zst", "zip")
KINDS = ("tree", *ARCHIVES)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path / "home"))


class Bank:
    """A customer whose live store and backup copy lie in a folder of the test."""

    def __init__(self, folder, kind, **more):
        self.kind, self.folder = kind, folder
        self.live = make_store(folder / "live")
        self.place = folder / "copies"
        self.place.mkdir()
        self.more = more
        self.out = folder / "out"

    def back_up(self, number=0):
        """Make a generation; `number` days old."""
        if self.kind == "tree":
            path = self.place / f"mail-{number}"
            shutil.copytree(self.live, path)
            return path
        return pack(self.live, self.kind, self.place / f"mail-{number}.{self.kind}")

    def verify(self, through="L3", progress=None):
        copy = {
            "name": "nightly", "kind": self.kind, "path": str(self.place),
            "live": {"path": str(self.live)},
        } | self.more  # fmt: skip
        if self.kind == "tree":
            copy["pattern"] = "mail-*"
        site = {
            "schema": 1, "site": "bank",
            "customer": {"name": "示例银行", "contacts": [{"name": "王"}]},
            "system": {"title": "邮件", "profile": "generic"},
            "domains": [{"name": "bank.example"}],
            "nodes": [{"name": "mx1", "hostname": "mx1.bank.example", "address": "192.0.2.1"}],
            "backups": [copy],
        }  # fmt: skip
        path = self.folder / "site.yaml"
        path.write_text(json.dumps(site, ensure_ascii=False), "utf-8")
        progress = Silent() if progress is None else progress
        done = verify_site(path, [], through=Level(through), out=self.out, progress=progress)
        return Outcome(done)


class Silent:
    def stage(self, title, total):
        pass

    def step(self, detail):
        pass

    def note(self, detail):
        pass


class Outcome:
    def __init__(self, done):
        self.verdict = done.verdict
        (copy,) = done.outcomes
        self.judgements = {}
        for one in copy.findings:
            judgement = one.judgement()
            worse = self.judgements.get(one.level)
            if worse is None or worse.verdict is Verdict.PASS:
                self.judgements[one.level] = judgement

    def of(self, level):
        return self.judgements[Level(level)]

    def codes(self, level):
        return {one.code for one in self.of(level).remarks}


@pytest.mark.parametrize("kind", KINDS)
def test_a_healthy_copy_passes_however_often_it_is_verified(tmp_path, kind):
    bank = Bank(tmp_path, kind)
    bank.back_up()
    for _ in range(3):
        outcome = bank.verify()
        assert {
            str(level): one.reason for level, one in outcome.judgements.items()
        } == dict.fromkeys(("L0", "L1", "L2", "L3"), "")
    document = json.loads((bank.out / "verification.json").read_text("utf-8"))
    assert document["verdict"] == "PASS"
    assert [one["level"] for one in document["copies"][0]["levels"]] == ["L0", "L1", "L2", "L3"]
    assert document["copies"][0]["levels"][3]["coverage"]["ok"] == 24
    assert audit_file(bank.out, trusted_key=None) == (3, ())


def lose_mailbox(root):
    shutil.rmtree(root / "bank.example/user2")


def lose_message(root):
    next((root / "bank.example/user1/cur").iterdir()).unlink()


def lose_sent_folder(root):
    shutil.rmtree(root / "bank.example/user1/.Sent")


def cut_message(root):
    path = next((root / "bank.example/user1/cur").iterdir())
    os.truncate(path, 100)


def encrypt(root):
    rot = random.Random(1)
    for path in root.rglob("cur/*"):
        path.write_bytes(rot.randbytes(path.stat().st_size))


def rename_encrypted(root):
    encrypt(root)
    for path in list(root.rglob("cur/*")):
        path.rename(path.with_name(path.name + ".locked"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("damage", "level", "code"),
    [
        (lose_mailbox, "L2", "mailbox_missing"),
        (lose_message, "L2", "message_missing"),
        (lose_sent_folder, "L2", "message_missing"),
        (cut_message, "L2", "message_missing"),
        (encrypt, "L3", "ransomware"),
        (rename_encrypted, "L2", "mailbox_missing"),
    ],
)
def test_a_backup_made_of_a_damaged_store_is_found(tmp_path, kind, damage, level, code):
    bank = Bank(tmp_path, kind)
    whole = tmp_path / "whole"
    shutil.copytree(bank.live, whole)
    damage(bank.live)
    bank.back_up()
    shutil.rmtree(bank.live)
    whole.rename(bank.live)
    outcome = bank.verify()
    assert outcome.verdict is Verdict.FAIL
    assert outcome.of(level).verdict is Verdict.FAIL
    assert code in outcome.codes(level) | {"mailbox_missing" if damage is rename_encrypted else ""}


@pytest.mark.parametrize("kind", KINDS)
def test_one_flipped_byte_is_found_by_the_integrity_level(tmp_path, kind):
    bank = Bank(tmp_path, kind)
    path = bank.back_up()
    assert bank.verify().verdict is Verdict.PASS
    if kind == "tree":
        path = next((path / "bank.example/user1/cur").iterdir())
        flip(path)
    elif kind == "tar":
        flip(path, path.read_bytes().index(b"line 1"))
    else:
        flip(path)
    outcome = bank.verify()
    assert outcome.of("L3").verdict is Verdict.FAIL
    assert outcome.verdict is Verdict.FAIL


@pytest.mark.parametrize("kind", ["tree", "tar"])
def test_rot_is_found_on_the_first_run_by_the_live_store(tmp_path, kind):
    bank = Bank(tmp_path, kind)
    path = bank.back_up()
    if kind == "tree":
        flip(next((path / "bank.example/user1/cur").iterdir()))
    else:
        flip(path, path.read_bytes().index(b"line 1"))
    assert "rotten" in bank.verify().codes("L3")


@pytest.mark.parametrize("kind", ["tree", "tar"])
def test_what_has_no_reference_at_all_is_not_passed_at_first(tmp_path, kind):
    bank = Bank(tmp_path, kind, live=None)
    bank.back_up()
    first = bank.verify()
    assert first.of("L3").verdict is Verdict.DEGRADED
    assert "no_integrity_data" in first.codes("L3")
    assert first.of("L2").verdict is Verdict.NOT_RUN
    assert bank.verify().of("L3").verdict is Verdict.PASS


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_truncated_archive_fails(tmp_path, kind):
    bank = Bank(tmp_path, kind)
    path = bank.back_up()
    os.truncate(path, path.stat().st_size * 6 // 10)
    outcome = bank.verify("L4")
    assert outcome.of("L3").verdict is Verdict.FAIL
    assert outcome.of("L4").verdict is not Verdict.PASS


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_damage_in_an_older_generation_is_found_too(tmp_path, kind):
    bank = Bank(tmp_path, kind)
    old = bank.back_up(1)
    bank.back_up(0)
    flip(old)
    os.utime(old, (NOW.timestamp() - 9 * 86400,) * 2)
    assert bank.verify().of("L3").verdict is Verdict.FAIL


@pytest.mark.parametrize("node", [None, "mx1"])
def test_the_live_store_itself_is_no_backup_of_it(tmp_path, monkeypatch, node):
    monkeypatch.setattr(opened, "There", lambda _node, _scene: Here())
    bank = Bank(tmp_path, "tree")
    (bank.place / "mail-0").symlink_to(bank.live)
    where = {"node": node} if node else {}
    bank.more = where | {"live": {"path": str(bank.live)} | where}
    outcome = bank.verify("L2")
    assert outcome.of("L2").verdict is Verdict.PASS
    assert outcome.codes("L0") >= {"same_folder"}
    assert outcome.verdict is Verdict.FAIL


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_a_hole_of_zeros_is_no_end_of_an_archive(tmp_path, kind):
    bank = Bank(tmp_path, kind, live=None)
    path = bank.back_up()
    tar = bytearray(gzip.decompress(path.read_bytes()) if kind == "tar.gz" else path.read_bytes())
    at = tar.index(b"./bank.example/user2/cur/")
    tar[at : at + 1024] = bytes(1024)
    path.write_bytes(gzip.compress(tar) if kind == "tar.gz" else tar)
    for _ in range(2):
        outcome = bank.verify("L4")
        assert outcome.of("L3").verdict is Verdict.FAIL
        assert outcome.of("L4").verdict is Verdict.DEGRADED


def test_mail_without_its_folders_is_no_whole_backup(tmp_path):
    bank = Bank(tmp_path, "tree")
    copy = bank.back_up()
    for path in list(copy.rglob(".Sent/cur/*")):
        path.rename(path.parents[2] / "cur" / path.name)
    for path in list(copy.rglob(".Sent")):
        shutil.rmtree(path)
    outcome = bank.verify("L2")
    assert outcome.of("L2").verdict is Verdict.DEGRADED
    assert "flattened" in outcome.codes("L2")


def test_a_mailbox_that_is_gone_is_told_once_where_nothing_live_tells_why(tmp_path):
    bank = Bank(tmp_path, "tar.gz", live=None)
    bank.back_up(1)
    assert bank.verify().of("L3").verdict is Verdict.PASS
    shutil.rmtree(bank.live / "bank.example/user2")
    bank.back_up(0)
    outcome = bank.verify()
    assert outcome.of("L3").verdict is Verdict.DEGRADED
    assert "user2@bank.example" in outcome.of("L3").reason
    assert bank.verify().of("L3").verdict is Verdict.PASS


def test_a_message_that_was_never_written_to_its_end_is_no_mail(tmp_path):
    bank = Bank(tmp_path, "tar.gz", live=None)
    add_mail(bank.live, "user1@bank.example", 5, data=mail(5)[:300] + bytes(4096))
    bank.back_up()
    outcome = bank.verify("L4")
    assert outcome.of("L4").verdict is Verdict.DEGRADED
    assert "没有写完" in "".join(one.text for one in outcome.of("L4").remarks)


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_a_message_that_the_server_keeps_compressed_is_looked_into(tmp_path, pack):
    bank = Bank(tmp_path, "tree", live=None)
    data = mail(5, size=4000)
    path = add_mail(bank.live, "user1@bank.example", 5, data=data)
    packed = bytearray(pack(data))
    path.write_bytes(packed)
    copy = bank.back_up()
    bank.verify()
    outcome = bank.verify("L4")
    assert (outcome.of("L3").verdict, outcome.of("L4").verdict) == (Verdict.PASS, Verdict.PASS)
    shutil.rmtree(copy)
    packed[-20] ^= 0xFF
    path.write_bytes(packed)
    bank.back_up()
    outcome = bank.verify("L4")
    assert (outcome.of("L3").verdict, outcome.of("L4").verdict) == (Verdict.FAIL, Verdict.FAIL)


def test_what_the_server_keeps_compressed_is_served_as_the_mail_that_it_is(tmp_path):
    bank = Bank(tmp_path, "tree")
    path = add_mail(bank.live, "user1@bank.example", 5)
    path.write_bytes(gzip.compress(path.read_bytes()))
    copy = bank.back_up()
    assert bank.verify("L5").of("L5").reason == ""
    next(copy.glob(f"**/{path.name}")).write_bytes(gzip.compress(b"short"))
    assert "没有恢复出来" in bank.verify("L5").of("L5").reason


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_the_server_keeps_compressed_is_sound_in_every_kind(tmp_path, kind):
    bank = Bank(tmp_path, kind)
    for path in bank.live.rglob("cur/*"):
        path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    bank.back_up()
    found = bank.verify("L3").of("L3")
    assert (found.reason, found.coverage.ok) == ("", 24)


def seal(root, lock=b"CRYPTED\x03\x07\x02", *, more=260):
    """Keep mail as mail_crypt does: longer than the text whose size the name states."""
    rot = random.Random(2)
    for path in root.rglob("cur/*"):
        facts = path.stat()
        path.write_bytes(lock + rot.randbytes(facts.st_size + more - len(lock)))
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


LZ4 = b"Dovecot-LZ4\r\x2a\x9b\xc5\nDate: in it"


@pytest.mark.parametrize(
    ("kind", "lock"), [*((kind, b"CRYPTED\x03\x07\x02") for kind in KINDS), ("tree", LZ4)]
)
def test_mail_that_its_server_alone_opens_is_neither_passed_nor_failed(tmp_path, kind, lock):
    bank = Bank(tmp_path, kind)
    seal(bank.live, lock)
    bank.back_up()
    outcome = bank.verify("L4")
    assert outcome.of("L2").verdict is Verdict.PASS
    for level in ("L3", "L4"):
        found = outcome.of(level)
        assert found.verdict is Verdict.DEGRADED
        assert "无法衡量：24 封由 Dovecot 加密" in found.reason
        assert (found.coverage.examined, found.coverage.bad) == (24, 0)
        told = {one.code for one in found.remarks if one.weight}
        assert told - {"no_integrity_data"} <= {"sealed", "unreadable"}


def test_nothing_is_served_of_mail_that_its_server_alone_opens(tmp_path):
    bank = Bank(tmp_path, "tree")
    seal(bank.live)
    bank.back_up()
    found = bank.verify("L5").of("L5")
    assert found.verdict is Verdict.NOT_RUN
    assert "在它之外打不开" in found.reason


def test_mail_that_its_server_alone_opens_is_held_against_the_live_store_by_its_bytes(tmp_path):
    bank = Bank(tmp_path, "tree")
    seal(bank.live)
    copy = bank.back_up()
    assert bank.verify().of("L3").coverage.ok == 24
    flip(next(copy.glob("bank.example/user1/cur/*")))
    found = bank.verify("L4")
    assert (found.of("L3").coverage.ok, found.of("L3").coverage.bad) == (23, 1)
    assert found.of("L4").verdict is Verdict.FAIL


def test_a_server_serves_what_it_can_open_of_a_store_that_is_encrypted_in_part(tmp_path):
    bank = Bank(tmp_path, "tree")
    seal(bank.live / "bank.example/user1")
    bank.back_up()
    found = bank.verify("L5").of("L5")
    assert found.verdict is Verdict.DEGRADED
    assert (found.coverage.ok, found.coverage.unreadable, found.coverage.bad) == (18, 6, 0)


def grow(root):
    seal(root)


def keep_sizes(root):
    seal(root, more=0)


def rename(root):
    seal(root)
    for path in list(root.rglob("cur/*")):
        path.rename(path.with_name(f"9{path.name}"))


@pytest.mark.parametrize("attack", [grow, keep_sizes, rename])
@pytest.mark.parametrize("is_live_hit", [False, True])
def test_an_attack_does_not_hide_behind_the_head_of_encrypted_mail(tmp_path, attack, is_live_hit):
    bank = Bank(tmp_path, "tree")
    copy = bank.back_up()
    bank.verify()
    attack(copy)
    if is_live_hit:
        shutil.rmtree(bank.live)
        shutil.copytree(copy, bank.live)
    outcome = bank.verify()
    assert outcome.of("L3").verdict is Verdict.FAIL
    assert "sealed_at_once" in outcome.codes("L3")
    assert "疑遭加密" in outcome.of("L3").reason


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_whole_mail_in_the_live_store_either_is_no_damage_of_the_copy(tmp_path, kind):
    bank = Bank(tmp_path, kind)
    add_mail(bank.live, "user1@bank.example", 5, data=b"")
    add_mail(bank.live, "user1@bank.example", 8, data=b"Subject: a draft\n\n")
    cut = add_mail(bank.live, "user2@bank.example", 9)
    os.truncate(cut, 300)
    add_mail(bank.live, "user2@bank.example", 10, data=bytes(4096))
    bank.back_up()
    outcome = bank.verify("L4")
    assert (outcome.of("L3").reason, outcome.of("L4").reason) == ("", "")
    assert "4 封不是完整的邮件，但与现网或以前读到的逐字节相同" in str(outcome.of("L3").remarks)


@pytest.mark.parametrize("kind", KINDS)
def test_a_live_store_that_was_encrypted_and_then_backed_up_is_found_at_once(tmp_path, kind):
    bank = Bank(tmp_path, kind)
    encrypt(bank.live)
    bank.back_up()
    outcome = bank.verify("L4")
    for level in ("L3", "L4"):
        assert outcome.of(level).verdict is Verdict.FAIL
        assert "ransomware" in outcome.codes(level)


def test_bodies_that_were_encrypted_under_their_heads_are_found_by_the_drill(tmp_path):
    bank = Bank(tmp_path, "tree")
    rot = random.Random(3)
    for path in bank.live.rglob("cur/*"):
        head, _, body = path.read_bytes().partition(b"\r\n\r\n")
        path.write_bytes(head + b"\r\n\r\n" + rot.randbytes(len(body) * 4))
    bank.back_up()
    assert "ransomware" in bank.verify("L4").codes("L4")


@pytest.mark.parametrize("attack", [encrypt, keep_sizes])
def test_a_copy_is_not_blamed_for_what_befell_the_live_store(tmp_path, attack):
    bank = Bank(tmp_path, "tree")
    bank.back_up()
    attack(bank.live)
    outcome = bank.verify("L4")
    assert outcome.of("L3").coverage.bad == 0
    assert "24 封在备份中完好，在现网已不是邮件" in outcome.of("L3").reason
    assert outcome.of("L4").verdict is Verdict.PASS


def test_mail_that_was_cut_in_live_store_and_copy_is_known_by_an_earlier_run(tmp_path):
    bank = Bank(tmp_path, "tree")
    copy = bank.back_up()
    bank.verify()
    path = next(bank.live.glob("bank.example/user1/cur/*"))
    for one in (path, copy / path.relative_to(bank.live)):
        os.truncate(one, 0)
    found = bank.verify().of("L3")
    assert found.verdict is Verdict.FAIL
    assert "与以前读到的内容不同" in found.reason


def test_several_mailboxes_in_one_are_none_that_was_renamed(tmp_path):
    bank = Bank(tmp_path, "tree")
    copy = bank.back_up()
    for user in ("user1", "user2"):
        for path in list(copy.glob(f"bank.example/{user}/**/cur/*")):
            place = copy / "bank.example/both/cur"
            place.mkdir(parents=True, exist_ok=True)
            path.rename(place / path.name)
    found = bank.verify("L2").of("L2")
    assert found.verdict is Verdict.FAIL
    assert "2 个现网邮箱不在备份中" in found.reason


@pytest.mark.parametrize("is_listed", [False, True])
def test_a_mailbox_that_is_gone_on_both_sides_is_told_where_its_account_is_listed(
    tmp_path, is_listed
):
    bank = Bank(tmp_path, "tree")
    accounts = tmp_path / "accounts"
    names = [f"user{number}@bank.example\n" for number in range(4)]
    accounts.write_text("".join([*names, "new@bank.example\n"]))
    bank.more = {
        "live": {"path": str(bank.live), "accounts": {"source": "file", "path": str(accounts)}}
    }
    copy = bank.back_up()
    assert bank.verify().verdict is Verdict.PASS
    for root in (bank.live, copy):
        shutil.rmtree(root / "bank.example/user2")
    if not is_listed:
        accounts.write_text("".join(name for name in names if "user2" not in name))
    outcome = bank.verify()
    assert ("mailbox_gone" in outcome.codes("L3")) is is_listed
    assert ("unlisted" in outcome.codes("L2")) is is_listed
    assert outcome.of("L2").verdict is Verdict.PASS


def test_a_live_mailbox_behind_a_link_is_not_counted_and_so_not_passed(tmp_path):
    bank = Bank(tmp_path, "tree")
    home = bank.live / "bank.example/user1"
    home.rename(tmp_path / "second-disk")
    home.symlink_to(tmp_path / "second-disk")
    shutil.copytree(bank.live, bank.place / "mail-0", symlinks=True)
    found = bank.verify("L2").of("L2")
    assert found.verdict is Verdict.DEGRADED
    assert "现网 bank.example/user1" in found.reason


def test_a_file_in_the_place_of_a_copy_is_no_copy(tmp_path):
    bank = Bank(tmp_path, "tree")
    bank.place.rmdir()
    bank.place.touch()
    found = bank.verify("L1")
    assert found.of("L0").verdict is Verdict.FAIL
    assert "不是目录" in found.of("L0").reason


def test_a_time_in_the_future_neither_excuses_an_absence_nor_proves_a_loss(tmp_path):
    bank = Bank(tmp_path, "tar.gz")
    path = bank.back_up()
    add_mail(bank.live, "user1@bank.example", 5, at=datetime(2033, 1, 1, tzinfo=UTC))
    found = bank.verify("L2").of("L2")
    assert found.verdict is Verdict.DEGRADED
    assert {one.code for one in found.remarks} == {"undated"}
    path.unlink()
    bank.back_up()
    assert bank.verify("L2").of("L2").verdict is Verdict.PASS


def test_a_dump_of_the_accounts_goes_stale_and_shrinks_like_any_copy(tmp_path):
    bank = Bank(tmp_path, "ldif")
    export = "".join(f"dn: uid=u{number}\nmail: u{number}@bank.example\n\n" for number in range(99))
    path = bank.place / "accounts.ldif"
    path.write_text(export)
    accounts = tmp_path / "accounts"
    accounts.write_text("u1@bank.example\n")
    live = {"path": str(bank.live), "accounts": {"source": "file", "path": str(accounts)}}
    bank.more = {"live": live}
    outcome = bank.verify("L5")
    assert dict.fromkeys(("L0", "L1", "L4"), "") == {
        str(level): one.reason for level, one in outcome.judgements.items()
    }
    assert outcome.verdict is Verdict.PASS
    set_time(path, datetime_of(path) - 40 * timedelta(hours=1))
    assert "stale" in bank.verify("L1").codes("L1")


def test_a_stale_copy_fails_by_its_time(tmp_path):
    bank = Bank(tmp_path, "tar.gz")
    path = bank.back_up()
    old = path.stat().st_mtime - 40 * 3600
    os.utime(path, (old, old))
    outcome = bank.verify("L1")
    assert outcome.codes("L1") >= {"stale"}
    assert outcome.verdict is Verdict.FAIL


@pytest.mark.parametrize("kind", ["tree", "tar.gz"])
def test_a_copy_with_a_new_time_and_old_mail_is_stale_all_the_same(tmp_path, kind):
    bank = Bank(tmp_path, kind)
    bank.back_up()
    add_mail(bank.live, "user1@bank.example", 77, at=LONG_AGO + 2 * DAY)
    outcome = bank.verify("L1")
    assert "stale_inside" in outcome.codes("L1")


def test_what_was_deleted_moved_or_flagged_since_is_no_loss(tmp_path):
    bank = Bank(tmp_path, "tar.gz")
    bank.back_up()
    box = bank.live / "bank.example/user1"
    first, second, *_ = sorted((box / "cur").iterdir())
    first.unlink()
    second.rename(box / ".Sent/cur" / second.name.replace(":2,S", ":2,FS"))
    third = sorted((bank.live / "bank.example/user0/cur").iterdir())[0]
    copied = bank.live / "bank.example/user0/.Sent/cur/1700000001.M99P1.mx1,S=600:2,"
    third.rename(copied)
    outcome = bank.verify("L2")
    assert outcome.of("L2").verdict is Verdict.PASS
    assert outcome.codes("L2") == {"deleted", "moved"}


def test_mail_that_came_after_the_generation_is_no_loss(tmp_path):
    bank = Bank(tmp_path, "tar.gz")
    path = bank.back_up()
    after = datetime.fromtimestamp(path.stat().st_mtime, UTC) + timedelta(minutes=1)
    add_mail(bank.live, "user1@bank.example", 5, at=after)
    outcome = bank.verify("L2")
    assert outcome.of("L2").verdict is Verdict.PASS
    assert "young" in outcome.codes("L2")


def test_a_newest_generation_that_is_no_more_there_fails(tmp_path):
    bank, now = Bank(tmp_path, "tar.gz"), datetime.now(BEIJING)
    for age_h in (20, 2):
        made_at = now - timedelta(hours=age_h)
        newest = pack(bank.live, "tar.gz", bank.place / f"mail-{made_at:%Y%m%d-%H%M}.tar.gz")
    assert bank.verify("L1").of("L1").verdict is Verdict.PASS
    newest.unlink()
    fresh = bank.verify("L1").of("L1")
    assert (fresh.verdict, newest.name in fresh.reason) == (Verdict.FAIL, True)


def test_a_missing_old_generation_fails(tmp_path):
    bank = Bank(tmp_path, "tar.gz", schedule={"daily": 4})
    for number in range(4):
        path = bank.back_up(number)
        set_time(path, datetime_of(path) - number * DAY)
    assert bank.verify("L0").verdict is Verdict.PASS
    (bank.place / "mail-2.tar.gz").unlink()
    outcome = bank.verify("L0")
    assert outcome.codes("L0") >= {"generation_missing"}
    assert outcome.verdict is Verdict.FAIL


def datetime_of(path):
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def test_no_backup_at_all_fails_and_an_empty_place_too(tmp_path):
    bank = Bank(tmp_path, "tar.gz")
    assert "none" in bank.verify().codes("L0")
    bank.place.rmdir()
    outcome = bank.verify()
    assert outcome.verdict is Verdict.FAIL
    assert "missing" in outcome.codes("L0")
    assert outcome.of("L2").verdict is Verdict.NOT_RUN


@pytest.mark.parametrize(
    ("number", "verdict", "code"),
    [
        (errno.EIO, Verdict.FAIL, "disk"),
        (errno.EACCES, Verdict.DEGRADED, "unreadable"),
        (errno.ESTALE, Verdict.DEGRADED, "unreadable"),
        (errno.ENOENT, Verdict.DEGRADED, "changed"),
    ],
)
def test_what_a_disk_refuses_is_told_by_its_kind(tmp_path, monkeypatch, number, verdict, code):
    bank = Bank(tmp_path, "tree")
    victim = os.fsencode(next((bank.back_up() / "bank.example/user1/cur").iterdir()))
    real = os.open

    def failing(path, *rest, **more):
        if path == victim:
            raise OSError(number, os.strerror(number))
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", failing)
    outcome = bank.verify()
    assert outcome.of("L3").verdict is verdict
    assert code in outcome.codes("L3")


def on_a_disk(folder, image, victim):
    """Put a folder on a disk of its own; return at which byte of it the middle of `victim` is."""
    need("mkfs.ext2")
    block_bytes, ask = 4096, f"blocks /{victim.relative_to(folder)}"
    for words in (
        ["truncate", "-s", "64M", image],
        ["mkfs.ext2", "-q", "-b", str(block_bytes), "-d", folder, image],
        ["debugfs", "-R", ask, image],
    ):
        told = subprocess.run(words, check=True, capture_output=True, text=True)
    blocks = told.stdout.split()
    return int(blocks[len(blocks) // 2]) * block_bytes


# What is cut off once it is mounted the kernel cannot read: EIO, as from a disk that dies.
ON_A_DYING_DISK = 'mount -o ro,loop "$1" "$2" && truncate -s "$3" "$1" && shift 3 && "$@"'


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_dies_is_an_alarm_in_every_kind(tmp_path, kind):
    if os.geteuid():
        without("root, to mount a disk")
    bank, image = Bank(tmp_path, kind), tmp_path / "disk"
    noise = base64.encodebytes(random.Random(1).randbytes(90_000))
    add_mail(bank.live, "user1@bank.example", 99, data=mail(99) + b"\n" + noise)
    victim = bank.back_up()
    if kind == "tree":
        victim = max(victim.rglob("cur/*"), key=lambda one: one.stat().st_size)
    assert bank.verify().verdict is Verdict.PASS
    cut_at = on_a_disk(bank.place, image, victim)
    words = ["unshare", "-m", "sh", "-c", ON_A_DYING_DISK, "sh", image, bank.place, str(cut_at)]
    words += [sys.executable, "-m", "mailcare", "backup", "verify", tmp_path / "site.yaml"]
    words += ["--through", "L3", "--out", bank.out]
    told = subprocess.run(words, check=False, capture_output=True, text=True)
    if told.stderr.startswith("mount:"):
        without(told.stderr)
    assert told.returncode == 1, told.stderr
    (line,) = [one for one in told.stdout.splitlines() if one.startswith("  L3")]
    assert "不通过" in line
    assert "磁盘可能正在损坏" in line


def test_a_manifest_is_not_poisoned_by_what_was_never_mail(tmp_path):
    bank = Bank(tmp_path, "tree", live=None)
    encrypt(bank.back_up())
    for _ in range(2):
        assert "ransomware" in bank.verify().codes("L3")


def test_scratch_is_empty_afterwards(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    bank = Bank(tmp_path, "tar.gz")
    bank.back_up()
    first = sorted((bank.live / "bank.example/user1/cur").iterdir())[0]
    first.rename(first.with_name("1700000009.M1P1.mx1"))
    bank.verify()
    assert list(scratch.iterdir()) == []


@pytest.fixture
def small_scratch(tmp_path, monkeypatch):
    if os.getuid() != 0:
        without("root, for a small file system")
    scratch = tmp_path / "small"
    scratch.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(scratch)]
    subprocess.run(words, check=True)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield scratch
    subprocess.run(["umount", str(scratch)], check=True)


@pytest.mark.parametrize("kind", ["tree", "tar.gz"])
def test_a_full_scratch_is_a_reason_and_no_verdict_on_the_copy(
    tmp_path, small_scratch, monkeypatch, kind
):
    monkeypatch.setattr(drill, "ROOM_FACTOR", 0)  # as if it had filled up meanwhile
    monkeypatch.setattr(spool, "_TABLE", f"PRAGMA cache_size = 4; {spool._TABLE}")
    bank = Bank(tmp_path, kind)
    for number in range(50, 53):
        add_mail(bank.live, "user1@bank.example", number, data=mail(number) + b"x" * 40_000)
    bank.back_up()
    for number in range(1000, 1600):
        add_mail(bank.live, "user1@bank.example", number)
    outcome = bank.verify("L4")
    for level in ("L2", "L4"):
        assert outcome.of(level).verdict is Verdict.NOT_RUN
        assert "暂存空间不足" in outcome.of(level).reason
    assert outcome.of("L3").verdict is Verdict.PASS
    assert list(small_scratch.iterdir()) == []


def test_evidence_that_was_changed_or_is_missing_is_found(tmp_path):
    bank = Bank(tmp_path, "tar.gz")
    bank.back_up()
    for _ in range(3):
        bank.verify("L1")
    files = sorted((bank.out / "evidence").iterdir())
    assert audit_file(files[2], trusted_key=None) == (1, ())
    content = json.loads(files[1].read_text("utf-8"))
    content["statement"]["findings"][0]["verdict"] = "FAIL"
    files[1].write_text(json.dumps(content), "utf-8")
    told = "\n".join(audit_file(bank.out, trusted_key=None)[1])
    assert "SHA-256" in told
    assert "由事实得出 PASS" in told
    files[1].unlink()
    assert "证据链缺失" in audit_file(files[2], trusted_key=None)[1][0]
    assert "可信" in audit_file(files[0], trusted_key="AAAA")[1][0]


def test_evidence_that_two_readers_read_otherwise_is_none(tmp_path):
    bank = Bank(tmp_path, "tar.gz")
    bank.back_up()
    bank.verify("L0")
    [file] = (bank.out / "evidence").iterdir()
    text = file.read_text("utf-8")
    file.write_text(text.replace('"verdict": "PASS"', '"verdict": "FAIL", "verdict": "PASS"'))
    with pytest.raises(InputError, match="不是备份验证的证据文件"):
        audit_file(bank.out, trusted_key=None)


@pytest.mark.parametrize(
    "value",
    [None, [[1]], {"a": 1}, "x", -1, 10**400, "\ud800"],
    ids=["null", "list", "object", "text", "less", "huge", "no text"],
)
def test_whatever_stands_in_evidence_in_place_of_another_is_told_or_refused(tmp_path, value):
    bank = Bank(tmp_path, "tar.gz")
    bank.back_up()
    bank.verify("L3")
    [file] = (bank.out / "evidence").iterdir()
    whole = file.read_text("utf-8")
    paths = [path for path in nodes(json.loads(whole)) if path]
    assert len(paths) > 100
    for path in paths:
        content = at = json.loads(whole)
        for step in path[:-1]:
            at = at[step]
        before, at[path[-1]] = at[path[-1]], value
        try:
            evidence = read_evidence(json.dumps(content).encode(), name="x")
            told = audit(evidence, [evidence], trusted=None)
        except InputError:
            continue
        assert told or before == value, path


def nodes(value, path=()):
    yield path
    if isinstance(value, dict | list):
        below = value.items() if isinstance(value, dict) else enumerate(value)
        for step, one in below:
            yield from nodes(one, (*path, step))


def test_a_run_that_was_done_over_again_in_place_of_another_is_told(tmp_path):
    bank = Bank(tmp_path, "tar.gz")
    bank.back_up()
    bank.verify("L0")
    [file] = (bank.out / "evidence").iterdir()
    first = file.rename(tmp_path / "nightly-000001.json")
    bank.verify("L1")
    assert audit_file(bank.out, trusted_key=None) == (1, ())
    first.rename(file.with_name("kept-000001.json"))
    count, told = audit_file(bank.out, trusted_key=None)
    assert count == 2
    assert [line.partition("：")[2] for line in told] == ["另有一份不同的证据占用同一序号"] * 2


def test_an_unknown_copy_and_a_site_without_copies_are_bad_input(tmp_path):
    from mailcare.backup.verification import chosen_copies
    from tests.systems.test_backups import GOOD, SITE, parsed

    site = parsed(SITE + GOOD, tmp_path)
    with pytest.raises(InputError, match="没有这些备份副本"):
        chosen_copies(site, ["other"])
    with pytest.raises(InputError, match="没有声明备份副本"):
        chosen_copies(site.model_copy(update={"backups": ()}), [])


def test_mail_that_comes_after_quiet_days_makes_no_backup_stale(tmp_path):
    bank = Bank(tmp_path, "tree")
    path = bank.back_up()
    add_mail(bank.live, "user1@bank.example", 5, at=datetime.now(UTC) + timedelta(minutes=1))
    assert bank.verify("L1").of("L1").verdict is Verdict.PASS
    before = datetime.now(UTC) - timedelta(minutes=30)
    add_mail(bank.live, "user1@bank.example", 6, at=before)
    assert "stale_inside" in bank.verify("L1").codes("L1")
    shutil.copytree(bank.live, path, dirs_exist_ok=True)
    assert bank.verify("L1").of("L1").verdict is Verdict.PASS


@pytest.mark.parametrize("is_copied", [False, True])
def test_a_mailbox_with_mail_from_the_future_tells_no_freshness(tmp_path, is_copied):
    bank = Bank(tmp_path, "tree")
    path = bank.back_up()
    for root in (bank.live, path) if is_copied else (bank.live,):
        add_mail(root, "user1@bank.example", 5, at=datetime(2033, 1, 1, tzinfo=UTC))
    assert bank.verify("L1").of("L1").verdict is Verdict.PASS
    add_mail(bank.live, "user2@bank.example", 6, at=datetime.now(UTC) - timedelta(minutes=30))
    assert "stale_inside" in bank.verify("L1").codes("L1")


def test_a_mailbox_that_was_renamed_is_no_loss_but_another_of_its_file_names_is(tmp_path):
    bank = Bank(tmp_path, "tree")
    path = bank.back_up()
    (bank.live / "bank.example/user1").rename(bank.live / "bank.example/renamed")
    found = bank.verify("L2").of("L2")
    assert found.verdict is Verdict.PASS
    assert "renamed@bank.example（备份中为 user1@bank.example）" in str(found.remarks)
    assert {one.code for one in found.remarks} == {"renamed"}
    for one in path.glob("bank.example/user1/**/cur/*"):
        one.write_bytes(mail(999, size=one.stat().st_size))
    assert "mailbox_missing" in bank.verify("L2").codes("L2")


def in_dbox(text):
    """Return a message as sdbox keeps it."""
    size = b"%016X" % len(text)
    return b"2 M1e C6b0bd1a8\n\x01\x02N          %s\n%s\n\x01\x03\nR1\n\n" % (size, text)


def test_what_was_copied_moved_or_renamed_in_a_dbox_since_is_no_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(moves, "ALIKE_MOST", 50)
    bank = Bank(tmp_path, "tree", format="dbox")
    shutil.rmtree(bank.live)
    place = bank.live / "bank.example/user1/mailboxes"
    for folder, count in (("INBOX", 4), ("Old", 60)):
        (place / folder / "dbox-Mails").mkdir(parents=True)
        for number in range(count):
            path = place / folder / f"dbox-Mails/u.{number}"
            path.write_bytes(in_dbox(mail(f"{folder} {number}", size=600 + number)))
            set_time(path, LONG_AGO)
    bank.back_up()
    inbox, archive = place / "INBOX/dbox-Mails", place / "Archive/dbox-Mails"
    archive.mkdir(parents=True)
    os.link(inbox / "u.1", archive / "u.1")
    (inbox / "u.2").rename(archive / "u.2")
    (place / "Old").rename(place / "Older")
    found = bank.verify("L2").of("L2")
    assert (found.reason, {one.code for one in found.remarks}) == ("", {"moved"})
    path = archive / "u.3"
    path.write_bytes(in_dbox(mail("lost")))
    set_time(path, LONG_AGO)
    assert "缺 1 封" in bank.verify("L2").of("L2").reason


def test_mail_that_was_compressed_in_its_place_since_is_no_loss_but_a_cut_one_is(tmp_path):
    bank = Bank(tmp_path, "tree")
    copy = bank.back_up()
    for path in bank.live.glob("bank.example/user1/cur/*"):
        path.write_bytes(gzip.compress(path.read_bytes()))
    found = bank.verify("L2").of("L2")
    assert (found.reason, {one.code for one in found.remarks}) == ("", {"moved"})
    os.truncate(next(copy.glob("bank.example/user1/cur/*")), 300)
    assert "缺 1 封" in bank.verify("L2").of("L2").reason


def test_a_copy_under_the_same_name_is_no_loss(tmp_path):
    bank = Bank(tmp_path, "tree")
    bank.back_up()
    box = bank.live / "bank.example/user1"
    path = next((box / "cur").iterdir())
    shutil.copy2(path, box / ".Sent/cur" / path.name)
    found = bank.verify("L2").of("L2")
    assert (found.reason, {one.code for one in found.remarks}) == ("", {"moved"})


def test_a_live_store_without_a_mailbox_is_said_to_be_so(tmp_path):
    bank = Bank(tmp_path, "tree")
    bank.back_up()
    shutil.rmtree(bank.live)
    bank.live.mkdir()
    assert bank.verify("L2").codes("L2") == {"no_live_mailbox", "nothing"}


def test_a_drill_goes_on_where_the_live_store_is_gone(tmp_path):
    bank = Bank(tmp_path, "tree")
    bank.back_up()
    bank.verify("L3")
    shutil.rmtree(bank.live)
    found = bank.verify("L4").of("L4")
    assert found.verdict is Verdict.PASS
    assert "上次读取的记录核对 24 封" in str(found.remarks)


def test_what_the_server_writes_into_an_mbox_is_no_damage_at_any_level(tmp_path):
    bank = Bank(tmp_path, "tree", format="mbox", layout="{user}")
    bank.more["live"] = {"path": str(bank.live), "layout": "{user}"}
    shutil.rmtree(bank.live)
    bank.live.mkdir()

    def write(root, seen):
        texts = [
            mail(number).replace(b"\r\n", b"\n").replace(b"Subject", seen + b"Subject")
            for number in range(3)
        ]
        whole = b"".join(
            b"From a@b Sat Nov 28 01:00:00 2026\n%s\n\nFrom here at 10:00\n\n" % one
            for one in texts
        )
        (root / "wang").write_bytes(whole.rstrip())

    write(bank.live, b"")
    copy = bank.back_up()
    for root in (bank.live, copy):
        bank.verify("L3")
        write(root, b"Status: RO\nX-Keywords: a\n b\nX-UID: 7\n")
        outcome = bank.verify("L4")
        assert (outcome.of("L3").reason, outcome.of("L4").reason) == ("", "")
        assert outcome.of("L4").coverage.ok == 3


def test_two_verifications_of_a_copy_follow_each_other(tmp_path):
    bank = Bank(tmp_path, "tree")
    bank.back_up()
    waits = threading.Event()

    class Told(Silent):
        def note(self, detail):
            if detail == "nightly 正在由另一次验证读取，等待其结束":
                waits.set()

    with ThreadPoolExecutor(1) as other:
        with alone("bank", "nightly", Silent()):
            second = other.submit(bank.verify, progress=Told())
            assert waits.wait(30)
            assert not (bank.out / "evidence").exists()
        assert second.result().of("L3").verdict is Verdict.PASS


@pytest.mark.parametrize("damaged", [b"no database" * 400, b""], ids=["text", "folder"])
def test_a_manifest_that_cannot_be_used_is_told_and_proves_nothing(tmp_path, damaged):
    bank = Bank(tmp_path, "tree")
    bank.back_up()
    manifest = tmp_path / "home" / "backups" / "bank" / "nightly.manifest"
    manifest.parent.mkdir(parents=True)
    manifest.write_bytes(damaged) if damaged else manifest.mkdir()
    done = bank.verify()
    assert done.of("L2").verdict is Verdict.PASS
    assert done.of("L3").verdict is Verdict.NOT_RUN
    assert str(manifest) in done.of("L3").reason


def test_what_messages_were_held_against_is_counted_apart(tmp_path):
    bank = Bank(tmp_path, "tree")
    bank.back_up()
    for known in (0, 24):
        (told,) = (one for one in bank.verify().of("L3").remarks if one.code == "no_checksum")
        same = f"{known} 封与上次的清单一致，24 封与现网一致，0 封无可比对"
        assert told.text == f"副本自身没有校验和；{same}"


def test_a_small_store_that_was_encrypted_whole_is_found_like_a_large_one(tmp_path):
    bank = Bank(tmp_path, "tree")
    shutil.rmtree(bank.live)
    for number in range(3):
        add_mail(bank.live, "user1@bank.example", number)
    encrypt(bank.live)
    bank.back_up()
    outcome = bank.verify("L4")
    for level in ("L3", "L4"):
        assert "ransomware" in outcome.codes(level)

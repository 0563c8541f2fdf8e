"""Whether a copy is a copy at all, and whether what takes the live store takes it, too."""

import shutil
import subprocess

import pytest

from mailcare.backup.agent.protocol import Place
from mailcare.backup.agent.seats import Within
from mailcare.backup.chain import ChainFacts, judge_chain
from mailcare.backup.separation import Distance, NotTold, Seen, Separation, separation_of, server_of
from mailcare.backup.spots import Spot, separated
from mailcare.backup.verdicts import Verdict
from tests.backup.agent.test_running import poor_path
from tests.backup.ssh_host import cuts_after, ssh_host
from tests.backup.stores import NOW, make_store, pack
from tests.backup.test_verification import Bank

__all__ = ["poor_path"]  # a fixture

VMAIL, BACKUP = ("ext4", "/dev/vda1"), ("ext4", "/dev/sdb1")


def place(boot, system, device=1, inode=2):
    return Place(b"/x", (device, inode), True, 0, 0.0, False, 0, None, boot, *system)


def nfs(source, boot="b2", device=9):
    return place(boot, ("nfs4", source), device, 7)


@pytest.mark.parametrize(
    ("copy", "live", "distance"),
    [
        (place("b1", VMAIL), place("b1", VMAIL), Distance.SAME_FOLDER),
        (place("b1", VMAIL), place("b2", VMAIL), Distance.APART),
        (place("b1", VMAIL, inode=3), place("b1", VMAIL), Distance.SAME_SYSTEM),
        (place("b1", VMAIL, device=4), place("b1", VMAIL, device=5), Distance.SAME_SYSTEM),  # btrfs
        (place("b1", BACKUP, device=4), place("b1", VMAIL), Distance.SAME_HOST),
        (nfs("nas:/a"), place("b1", VMAIL), Distance.APART),
        (nfs("MX1:/a"), place("b1", VMAIL), Distance.SAME_HOST),
        (place("b3", BACKUP), nfs("bak1:/a"), Distance.SAME_HOST),
        (nfs("nas:/a"), nfs("nas:/a", "b1", 8), Distance.SAME_SYSTEM),
        (nfs("nas:/a"), nfs("nas:/b", "b1", 8), Distance.SAME_HOST),
        (nfs("nas:/a"), nfs("nas2:/a", "b1", 8), Distance.APART),
        (nfs("nas:/a", "b1"), place("b1", VMAIL), Distance.APART),
    ],
)  # fmt: skip
def test_what_a_copy_has_in_common_with_the_live_store_is_told(copy, live, distance):
    found = separation_of(Seen(copy, {"bak1"}), Seen(live, {"mx1", "192.0.2.1"}))
    assert isinstance(found, Separation)
    assert found.distance == distance


@pytest.mark.parametrize(
    ("copy", "reason"),
    [(place("", BACKUP), "boot_id"), (place("b1", ("fuse.s3fs", "s3fs"), 5), "fuse.s3fs")],
)
def test_what_cannot_be_told_apart_is_neither_near_nor_far(copy, reason):
    found = separation_of(Seen(copy, set()), Seen(place("b1", VMAIL), set()))
    assert isinstance(found, NotTold)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("source", "server"),
    [
        ("/dev/mapper/vg-mail", ""),
        ("tank/mail", ""),
        ("tmpfs", ""),
        ("//NAS/share", "nas"),
        ("nas.example:/vol", "nas.example"),
        ("[fd00::1]:/vol", "fd00::1"),
        ("keeper@mx1:mail", "mx1"),
        ("/dev/disk/by-path/pci-0000:00", ""),
    ],
)
def test_the_server_of_a_network_file_system_is_read_from_its_source(source, server):
    assert server_of(place("b1", ("x", source))) == server


def facts(separation, *, wants_off_site):
    return ChainFacts(
        NOW, ("mail-0",), NOW, 1, (), None, 24, False, None, "", (), wants_off_site, separation
    )


@pytest.mark.parametrize(
    ("separation", "here", "off_site"),
    [
        (Separation(Distance.SAME_FOLDER, "x"), Verdict.FAIL, Verdict.FAIL),
        (Separation(Distance.SAME_FILES, "x"), Verdict.FAIL, Verdict.FAIL),
        (Separation(Distance.SAME_SYSTEM, "x"), Verdict.PASS, Verdict.DEGRADED),
        (Separation(Distance.SAME_HOST, "x"), Verdict.PASS, Verdict.DEGRADED),
        (Separation(Distance.APART, "x", "y"), Verdict.PASS, Verdict.PASS),
        (NotTold("x"), Verdict.PASS, Verdict.PASS),
    ],
)
def test_the_same_files_are_no_backup_and_a_promise_of_distance_is_held(separation, here, off_site):
    for wants_off_site, verdict in ((False, here), (True, off_site)):
        judgement = judge_chain(facts(separation, wants_off_site=wants_off_site))
        assert judgement.verdict is verdict
        assert any("x" in one.text for one in judgement.remarks)


def links_of(live, place):
    subprocess.run(["cp", "-al", live, place], check=True)


def one_mailbox(live, place):
    """Copy a store, but link one mailbox."""
    shutil.copytree(live, place)
    shutil.rmtree(place / "bank.example/user2")
    links_of(live / "bank.example/user2", place / "bank.example/user2")


@pytest.mark.parametrize("make", [links_of, one_mailbox])
def test_files_that_are_the_live_ones_are_no_backup(tmp_path, make):
    bank = Bank(tmp_path, "tree")
    make(bank.live, bank.place / "mail-0")
    outcome = bank.verify("L0")
    assert outcome.of("L0").verdict is Verdict.FAIL
    assert "相同的文件" in outcome.of("L0").reason


def test_files_are_the_live_ones_though_moved_since_and_at_another_place(tmp_path):
    bank = Bank(tmp_path, "tree", inside="var/vmail")
    (bank.place / "mail-0/var").mkdir(parents=True)
    links_of(bank.live, bank.place / "mail-0/var/vmail")
    bank.live.joinpath("bank.example").rename(bank.live / "moved")
    assert "same_files" in bank.verify("L0").codes("L0")


@pytest.mark.parametrize("kind", ["tree", "tar.gz"])
def test_a_copy_on_the_live_stores_disk_is_said_to_be(tmp_path, kind):
    bank = Bank(tmp_path, kind)
    bank.back_up()
    outcome = bank.verify("L0")
    assert outcome.of("L0").verdict is Verdict.PASS
    assert "same_system" in outcome.codes("L0")
    bank.more = {"off_site": True}
    outcome = bank.verify("L0")
    assert outcome.of("L0").verdict is Verdict.DEGRADED
    assert outcome.of("L0").reason.startswith("约定为异地副本，但与现网邮件存储在同一个文件系统")


def test_another_file_system_of_the_same_machine_is_told_from_the_same(tmp_path):
    there = Spot(Within(), "/proc")
    found = separated(there, Spot(Within(), str(tmp_path)), holds_files=False)
    assert isinstance(found, Separation)
    assert found.distance is Distance.SAME_HOST


def test_over_ssh_the_same_files_are_found_and_a_cut_is_no_answer(tmp_path):
    live = make_store(tmp_path / "live")
    links_of(live, tmp_path / "copy")
    here = Spot(Within(), str(live))
    with ssh_host() as there:
        found = separated(Spot(there, str(tmp_path / "copy")), here, holds_files=True)
    assert isinstance(found, Separation)
    assert found.distance is Distance.SAME_FILES
    assert str(tmp_path / "copy") in found.told
    with ssh_host(cuts_after(10, times=9)) as there:
        cut = separated(Spot(there, str(tmp_path / "copy")), here, holds_files=True)
    assert isinstance(cut, NotTold)


def test_a_host_without_python_tells_the_disk_and_says_what_it_did_not_compare(tmp_path, poor_path):
    live = make_store(tmp_path / "live")
    links_of(live, tmp_path / "copy")
    archive = pack(live, "tar.gz", tmp_path / "mail.tar.gz")
    with ssh_host(path=poor_path) as there:
        here = Spot(there, str(live))
        tree = separated(Spot(there, str(tmp_path / "copy")), here, holds_files=True)
        packed = separated(Spot(there, str(archive)), Spot(Within(), str(live)), holds_files=False)
    assert isinstance(tree, Separation)
    assert isinstance(packed, Separation)
    assert (tree.distance, packed.distance) == (Distance.SAME_SYSTEM, Distance.SAME_SYSTEM)
    assert "Python" in tree.unchecked
    assert tree.told == packed.told

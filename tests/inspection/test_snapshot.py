"""A host's /proc is read as the host has it, never as this machine does."""

from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from mailcare.inspection.check import Reply, ReplyError
from mailcare.inspection.snapshot import SAMPLES, Snapshot, read_snapshots, samples_of
from tests.inspection.samples import AT, lab_system

HEAD = "Inter-|   Receive  |  Transmit\n face |bytes  packets |bytes packets\n"


def net_dev(received: int) -> str:
    return f"{HEAD}  eth0: {received} 20 1 2 0 0 0 0 300 40 3 4 0 0 0 0\n"


def snapshot(**files: str) -> Snapshot:
    return Snapshot(1.0, {name.replace("_", "/"): text for name, text in files.items()})


def reply(*sections: tuple[str, str], exit_code: int = 0) -> Reply:
    text = "\n".join(f"==> /proc/{name} <==\n{body}" for name, body in sections)
    return Reply(text, exit_code, AT, "ssh://mx1")


def test_all_samples_of_a_host_are_asked_for_in_the_same_words():
    asks = samples_of(lab_system().node("mx1"))
    assert [ask.sample for ask in asks] == list(range(1, SAMPLES + 1))
    assert len({ask.words for ask in asks}) == 1


def test_the_counters_are_those_of_the_host():
    [one] = snapshot(net_dev=net_dev(1000)).traffic().values()
    assert (one.received_bytes, one.sent_bytes) == (1000, 300)
    assert (one.packets, one.errors, one.drops) == (60, 4, 6)


def test_psutil_is_left_as_it_was_found_even_when_it_stumbles():
    with pytest.raises(ReplyError, match="/proc/net/dev"):
        snapshot(net_dev=f"{HEAD}\nno colon here\n").traffic()
    assert psutil.PROCFS_PATH == "/proc"


def test_hosts_read_at_the_same_time_are_not_mixed_up():
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: snapshot(net_dev=net_dev(n)).traffic()["eth0"], range(200)))
    assert [one.received_bytes for one in found] == list(range(200))


def test_swap_that_the_reply_does_not_tell_is_not_taken_from_this_machine():
    with pytest.raises(ReplyError, match="meminfo"):
        snapshot(meminfo="MemTotal: 8000 kB\nMemFree: 4000 kB\n").memory()


def test_disks_that_the_reply_does_not_tell_are_not_taken_from_this_machine():
    with pytest.raises(ReplyError, match="diskstats"):
        snapshot().disks()


def test_numbers_no_counter_can_reach_are_refused():
    with pytest.raises(ReplyError):
        snapshot(net_dev=net_dev(2**70)).traffic()


def test_the_sections_of_a_reply_are_the_files_byte_by_byte():
    sections = (("uptime", "12.50 3.00\n"), ("net/dev", net_dev(5)), ("vmstat", "pswpin 4\n"))
    [found] = read_snapshots([reply(*sections)])
    assert found.uptime_s == 12.5
    assert found.file("net/dev") == net_dev(5)
    assert found.counter("pswpin") == 4
    assert found.counter("oom_kill") is None


def test_a_missing_file_leaves_the_others_readable():
    one = reply(("uptime", "1.00 1\n"), ("vmstat", "pswpin 4\n"), exit_code=1)
    complaint = "head: cannot open '/proc/diskstats' for reading: No such file or directory\n"
    [found] = read_snapshots([Reply(complaint + one.text, 1, AT, "ssh://mx1")])
    assert found.counter("pswpin") == 4
    with pytest.raises(ReplyError, match="没有 /proc/diskstats"):
        found.file("diskstats")


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        ([reply(("uptime", "9.00 1\n")), reply(("uptime", "8.00 1\n"))], "没有递增"),
        ([reply(("uptime", "9.00 1\n")), reply(("uptime", "999.00 1\n"))], "相隔 990 秒"),
        ([reply(("stat", "cpu 1\n"))], "/proc/uptime"),
        ([reply(exit_code=127)], "没有命令 head"),
    ],
)
def test_samples_that_are_not_of_one_run_are_refused(replies, words):
    with pytest.raises(ReplyError, match=words):
        read_snapshots(replies)

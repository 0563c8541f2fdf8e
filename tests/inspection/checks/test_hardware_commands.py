"""The commands of the hardware checks, run by a real shell against tools that answer as told."""

import os
import subprocess
from pathlib import Path

import pytest

from mailcare.inspection.check import Channel, Reply, Severity, Subject
from tests.inspection.checks.reply_files import RECORDED_AT, check_named, replies_in
from tests.inspection.samples import lab_system

HARMLESS = (
    "[    1.2] nvme nvme0: Shutdown timeout set to 8 seconds",
    "[    3.1] Buffer I/O error on device sr0, logical block 0",
    "[    3.2] sr 2:0:0:0: [sr0] Sense Key : Medium Error [current]",
    "[    3.3] blk_update_request: I/O error, dev fd0, sector 0 op 0x0:(READ) flags 0x0",
    "[    9.1] blk_update_request: critical target error, dev sda, sector 8 op 0x3:(DISCARD)",
    "[    9.2] blk_update_request: operation not supported error, dev sdb, sector 0 "
    "op 0x9:(WRITE_ZEROES) flags 0x800",
)
FATAL = "[   12.0] blk_update_request: I/O error, dev sda, sector 12 op 0x0:(READ) flags 0x0"
ABORTED = "[   13.0] nvme nvme0: I/O 123 QID 4 timeout, aborting"


@pytest.fixture
def tools(tmp_path):
    """Return a way to put a program on the PATH, before the system's own."""

    def put(name: str, script: str) -> None:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    put("sudo", "exit 1")
    return put


def asked(check: str, folder: Path) -> Reply:
    """Return what the check's first command brings back where those tools come first."""
    ask = next(iter(check_named(check).ask(lab_system()))).asks[0]
    assert ask.channel is Channel.SSH
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(
        ask.words, check=False, capture_output=True, text=True, env={"PATH": path}
    )
    return Reply(done.stdout, done.returncode, RECORDED_AT, "ssh://mx1")


def judged(check: str, reply: Reply) -> list[tuple[Severity, str]]:
    one, system = check_named(check), lab_system()
    target = next(iter(one.ask(system))).target
    subject = Subject(system, target, RECORDED_AT)
    found = one.judge(one.parse((reply,)), one.limits, subject)
    return [(verdict.severity, verdict.summary) for verdict in found]


def print_lines(*lines: str) -> str:
    return "cat <<'LINES'\n" + "\n".join(lines) + "\nLINES"


def test_what_every_healthy_machine_logs_of_its_disks_is_no_error(tools, tmp_path):
    tools("dmesg", print_lines("[    0.0] Linux version 6.1", *HARMLESS))
    reply = asked("storage.errors", tmp_path)
    assert "磁盘错误 0 条" in judged("storage.errors", reply)[0][1]
    assert not any(line in reply.text for line in HARMLESS)


@pytest.mark.parametrize(("line", "severity"), [(FATAL, 3), (ABORTED, 2)])
def test_a_disk_that_fails_or_hangs_is_found_among_them(tools, tmp_path, line, severity):
    tools("dmesg", print_lines(*HARMLESS, line))
    [(found, summary)] = judged("storage.errors", asked("storage.errors", tmp_path))
    assert found == severity
    assert "磁盘错误 1 条" in summary


RECORDED = ("centos-6", "rhel-8", "openeuler-22.03", "busybox-without-journal")


@pytest.mark.parametrize("file", RECORDED)
def test_the_host_picks_out_what_the_kernels_of_many_distributions_say(tools, tmp_path, file):
    [recorded] = replies_in("storage.errors", file)
    lines = recorded.text.splitlines()[1:-1]
    tools("dmesg", print_lines(*HARMLESS, *lines))
    assert asked("storage.errors", tmp_path).text.splitlines()[1 : len(lines) + 1] == lines


def test_of_a_log_of_all_programs_only_the_kernels_lines_are_taken(tools, tmp_path):
    program = "Nov 20 mx1 postfix/smtp[7]: to=<wang@bank.example>, status=deferred (I/O error)"
    kernel = f"Nov 20 mx1 kernel: {FATAL}"
    tools("dmesg", "exit 1")
    tools("journalctl", "exit 1")
    tools("tail", f"case $3 in */messages) {print_lines(program, kernel)}\n;; *) exec cat;; esac")
    text = asked("storage.errors", tmp_path).text
    if "== tail -n 20000 /var/log/messages" in text:
        assert "wang@" not in text
        assert kernel in text


def test_a_record_that_sar_cannot_read_does_not_hide_the_others(tools, tmp_path):
    tools("find", "echo /var/log/sa/sa20; echo /var/log/sa/sa21")
    row = "00:10:01        all      10.00      0.00      2.00      1.00      0.00     87.00"
    tools("sar", f'case $3 in *20) echo "{row}";; *) echo Invalid >&2; exit 3;; esac')
    reply = asked("hardware.history", tmp_path)
    assert reply.exit_code == 0
    assert "中位 13%" in judged("hardware.history", reply)[0][1]


def test_records_that_are_not_kept_any_more_are_no_history(tools, tmp_path):
    tools("sar", "exit 0")
    tools("find", "exit 0")
    reply = asked("hardware.history", tmp_path)
    assert reply.exit_code == 3
    assert "近 7 天没有保存" in judged("hardware.history", reply)[0][1]


def test_many_dead_file_servers_take_no_longer_than_one(tools, tmp_path):
    mounts = [f"nas:/{one} /data\\040{one} nfs4 rw 0 0" for one in range(20)]
    tools(
        "cat", f'case $1 in /proc/mounts) {print_lines(*mounts)}\n;; *) exec /bin/cat "$@";; esac'
    )
    tools("timeout", "sleep 0.5; exit 124")
    found = judged("storage.network", asked("storage.network", tmp_path))
    assert len(found) == 20
    assert {severity for severity, _ in found} == {Severity.CRITICAL}

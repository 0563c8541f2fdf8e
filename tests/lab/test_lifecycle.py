"""The lab comes up again after accidents and tells the truth about itself."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab import faults, hosts, lifecycle, network, probes, state
from lab.topology import BAK1, EVERY_HOST, HOSTS, MX1, OUT1

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]

ROOT = Path(__file__).resolve().parents[2]


def run_lab(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the lab's command line as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "lab", *words],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_up_on_a_running_lab_builds_nothing() -> None:
    assert lifecycle.up() == []


def test_up_leaves_injected_faults_alone() -> None:
    faults.inject("webmail-down")
    try:
        assert lifecycle.up() == []
        assert faults.find("webmail-down").is_visible()
    finally:
        faults.heal("webmail-down")


def test_up_rebuilds_a_killed_host_and_leaves_the_others() -> None:
    before = {host.name: hosts.get_running(host).pid for host in HOSTS}
    os.kill(before[BAK1.name], signal.SIGKILL)
    assert lifecycle.up() == [BAK1.name]
    after = {host.name: hosts.get_running(host).pid for host in HOSTS}
    assert after[BAK1.name] != before[BAK1.name]
    assert after[MX1.name] == before[MX1.name]
    assert probes.over_ssh("hostname", address=BAK1.address).text.strip() == BAK1.fqdn


def test_a_rebuilt_host_has_lost_its_faults() -> None:
    faults.inject("loop-slow")
    os.kill(hosts.get_running(OUT1).pid, signal.SIGKILL)
    assert lifecycle.up() == [OUT1.name]
    assert state.injected() == []
    assert not faults.find("loop-slow").is_visible()


def test_up_rebuilds_a_host_whose_state_was_deleted_while_it_ran() -> None:
    shutil.rmtree(state.host_dir(BAK1.name))
    assert lifecycle.up() == [BAK1.name]
    assert lifecycle.status().is_up


def test_up_restarts_a_service_that_died_by_itself() -> None:
    running = hosts.get_running(MX1)
    running.stop(MX1.service("nginx"))
    assert not lifecycle.status().is_up
    lifecycle.up()
    assert lifecycle.status().is_up


def test_status_exits_with_1_while_a_host_is_down() -> None:
    assert run_lab("status").returncode == 0
    os.kill(hosts.get_running(BAK1).pid, signal.SIGKILL)
    told = run_lab("status")
    lifecycle.up()
    assert told.returncode == 1
    assert "bak1  DOWN" in told.stdout


def test_status_names_the_injected_faults() -> None:
    faults.inject("load-high")
    told = run_lab("status")
    faults.heal("load-high")
    assert "faults: load-high" in told.stdout


def test_exec_passes_the_exit_code_on() -> None:
    assert run_lab("exec", "mx1", "--", "sh", "-c", "exit 7").returncode == 7
    assert run_lab("exec", "core", "--", "sh", "-c", "exit 9").returncode == 9


def test_exec_in_core_keeps_the_environment_and_the_files_but_changes_the_network() -> None:
    script = f"echo $LAB_WORD; test -e {ROOT}/lab && echo files; cat /proc/net/route"
    told = run_lab("exec", "core", "--", "sh", "-c", script, env={"LAB_WORD": "kept"})
    assert told.stdout.splitlines()[:2] == ["kept", "files"]
    assert "br0" in told.stdout
    assert "lab-root" not in told.stdout


def test_exec_in_a_host_sees_only_that_host() -> None:
    told = run_lab("exec", "mx1", "--", "sh", "-c", f"hostname; ls -d {ROOT} /root/.bashrc")
    assert told.stdout.splitlines() == [MX1.fqdn]


def test_exec_without_a_command_is_refused_in_one_line() -> None:
    told = run_lab("exec", "mx1")
    assert told.returncode == 2
    assert len(told.stderr.splitlines()) == 1


def test_two_ups_at_the_same_time_do_not_collide() -> None:
    os.kill(hosts.get_running(BAK1).pid, signal.SIGKILL)
    words = [sys.executable, "-m", "lab", "up"]
    both = [subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(timeout=60) for one in both] == [0, 0]
    assert lifecycle.status().is_up


def test_the_published_host_keys_are_the_ones_in_the_manual() -> None:
    told = run_lab("status", "--keys").stdout
    manual = (ROOT / "docs/lab.md").read_text()
    assert len(told.splitlines()) == len(EVERY_HOST)
    for line in told.splitlines():
        assert line.split()[2] in manual


def test_the_lab_tells_nobody_but_root_its_secrets() -> None:
    for path in (state.INSPECTOR_KEY, state.PROBE_PASSWORD, state.CA_KEY, state.DKIM_KEY):
        assert path.stat().st_mode & 0o077 == 0


def test_all_namespaces_have_their_cable() -> None:
    names = set(network.leftover_namespaces())
    assert names == {"lab-core", *(host.namespace for host in HOSTS)}

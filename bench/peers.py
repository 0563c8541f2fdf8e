"""The peers: Ansible and pyinfra, installed apart from the product, each at its best."""

import os
import subprocess
from pathlib import Path
from time import perf_counter

from bench.targets import SSHD_PORT, address

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / ".tools" / "bench"
VERSIONS = ("ansible-core==2.19.9", "pyinfra==3.10.0")
# What the collector asks for, as far as pyinfra has a fact for it.
PYINFRA_FACTS = (
    *("server.LinuxDistribution", "server.Kernel", "server.Hostname", "server.Mounts"),
    *("server.Users", "server.Date", "hardware.Cpus", "hardware.Memory"),
    *("hardware.BlockDevices", "hardware.NetworkDevices", "deb.DebPackages"),
)


def install() -> None:
    """Make an environment for the peers, once."""
    if (PLACE / "bin" / "pyinfra").exists():
        return
    uv = str(ROOT / ".tools" / "bin" / "uv")
    subprocess.run([uv, "venv", "-q", "--clear", str(PLACE)], check=True)
    environment = {**os.environ, "VIRTUAL_ENV": str(PLACE)}
    words = [uv, "pip", "install", "-q", "--compile-bytecode", *VERSIONS]
    subprocess.run(words, check=True, env=environment)


def ansible(count: int, folder: Path) -> float:
    """Gather Ansible's facts, all hosts at once, pipelined; return the seconds."""
    inventory = folder / "ansible.ini"
    options = (
        f"ansible_port={SSHD_PORT} ansible_user=root "
        f"ansible_ssh_private_key_file={folder / 'login_key'} ansible_python_interpreter=python3"
    )
    rows = [f"{address(number)} {options}" for number in range(count)]
    inventory.write_text("\n".join(rows) + "\n")
    words = [str(PLACE / "bin" / "ansible"), "all", "-i", str(inventory), "-f", str(count)]
    settings = {
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o UserKnownHostsFile=/dev/null",
    }
    return _timed([*words, "-m", "setup", "-o"], count, "SUCCESS", settings)


def pyinfra(count: int, folder: Path) -> float:
    """Gather pyinfra's facts of the same kind, all hosts at once; return the seconds."""
    inventory = folder / "inventory.py"
    data = {
        "ssh_port": SSHD_PORT,
        "ssh_user": "root",
        "ssh_key": str(folder / "login_key"),
        "ssh_strict_host_key_checking": "off",
        "ssh_known_hosts_file": "/dev/null",
    }
    inventory.write_text(f"hosts = {[(address(n), data) for n in range(count)]!r}\n")
    words = [str(PLACE / "bin" / "pyinfra"), "--parallel", str(count), str(inventory), "fact"]
    return _timed([*words, *PYINFRA_FACTS], count, f"Loaded fact {PYINFRA_FACTS[-1]}", {})


def _timed(words: list[str], count: int, mark: str, settings: dict[str, str]) -> float:
    """Run a peer; raise `RuntimeError` where a host is missing from what it says."""
    started = perf_counter()
    done = subprocess.run(
        words, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    seconds = perf_counter() - started
    if done.returncode or (done.stdout + done.stderr).count(mark) < count:
        raise RuntimeError(f"{words[0]} failed: {(done.stdout + done.stderr)[-2000:]}")
    return seconds

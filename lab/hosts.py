"""A running host: start it, reach into it, end it."""

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab import layers, network, state
from lab.commands import Outcome, attempt, run
from lab.errors import LabError
from lab.topology import Host, Service
from lab.waiting import wait_until

_PLACE = "/mnt"
_LISTENING = "0A"


@dataclass(frozen=True, slots=True)
class RunningHost:
    """Reach into a host that is up."""

    host: Host
    pid: int

    @property
    def root(self) -> Path:
        """Name the host's root directory as seen from the machine.

        A path below it must not pass an absolute symbolic link: that would lead back out.
        """
        return Path("/proc", str(self.pid), "root")

    def words(self, *command: str) -> list[str]:
        """Put a command inside all of the host's namespaces."""
        target = ["nsenter", "--target", str(self.pid)]
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
        return [*target, *spaces, "--", *command]

    def run(self, *command: str, timeout_s: float = 20.0, stdin: str = "") -> str:
        """Run a command in the host; LabError when it fails."""
        return run(self.words(*command), timeout_s=timeout_s, stdin=stdin)

    def attempt(self, *command: str, timeout_s: float = 20.0) -> Outcome:
        """Run a command in the host and return its outcome, failed or not."""
        return attempt(self.words(*command), timeout_s=timeout_s)

    def write(self, path: str, content: bytes | str) -> None:
        """Replace a file's content in place: same inode, mode, owner, so bind mounts still hold."""
        data = content.encode() if isinstance(content, str) else content
        handle = os.open(self.root / path, os.O_WRONLY)
        try:
            os.pwrite(handle, data, 0)
            os.ftruncate(handle, len(data))
        finally:
            os.close(handle)

    def listening_ports(self) -> frozenset[int]:
        """List the TCP ports somebody listens on, from the host's own /proc/net/tcp."""
        ports = set()
        for line in Path("/proc", str(self.pid), "net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == _LISTENING:
                ports.add(int(words[1].rpartition(":")[2], 16))
        return frozenset(ports)

    def is_serving(self, service: Service) -> bool:
        """Tell whether a service listens where it should."""
        has_socket = not service.socket or (self.root / service.socket.lstrip("/")).exists()
        return has_socket and self.listening_ports().issuperset(service.ports)

    def is_quiet(self, service: Service) -> bool:
        """Tell whether a service has let go of all its ports."""
        has_socket = service.socket and (self.root / service.socket.lstrip("/")).exists()
        return not has_socket and self.listening_ports().isdisjoint(service.ports)

    def idle_services(self) -> list[str]:
        """Name the services that are not listening."""
        return [service.name for service in self.host.services if not self.is_serving(service)]

    def start(self, service: Service) -> None:
        """Start a service and wait until it listens."""
        self._shell(service.start)
        what = f"{service.name} on {self.host.name}"
        wait_until(lambda: self.is_serving(service), f"start of {what}")

    def stop(self, service: Service) -> None:
        """Stop a service and wait until nobody listens."""
        self._shell(service.stop)
        what = f"{service.name} on {self.host.name}"
        wait_until(lambda: self.is_quiet(service), f"end of {what}")

    def _shell(self, command: str) -> None:
        line = layers.replace_tokens(command, layers.tokens_for(self.host))
        self.attempt("sh", "-c", line)


def find_running(host: Host) -> RunningHost | None:
    """Find a host's process 1, or None when the host is not up or not wholly built."""
    try:
        pid = int((state.host_dir(host.name) / "pid").read_text())
        is_ours = _network_of(pid) == _network_of_name(host)
    except (OSError, ValueError):
        return None
    return RunningHost(host, pid) if is_ours else None


def get_running(host: Host) -> RunningHost:
    """Find a host's process 1; LabError when the host is down."""
    running = find_running(host)
    if running is None:
        message = f"{host.name} is down: run `python -m lab up` first"
        raise LabError(message)
    return running


def start(host: Host) -> None:
    """Build a host's network, files and namespaces and start it, without waiting for it."""
    end(host)
    network.plug_in(host)
    home = state.host_dir(host.name)
    home.mkdir(parents=True)
    layers.write_layers(host, home / "layers")
    volumes = [f"{one.path}:{one.size}:{one.inodes}" for one in host.volumes]
    space = f"--net={network.namespace_path(host.namespace)}"
    isolate = "unshare --mount --uts --ipc --pid --fork --kill-child --propagation private"
    init = ["sh", str(layers.FILES / "hostinit.sh"), str(home), host.fqdn, _PLACE, *volumes]
    log = home / "build.log"
    command = ["setsid", "--fork", "nsenter", space, *isolate.split(), *init]
    run(["sh", "-c", 'log=$1; shift; exec "$@" >"$log" 2>&1 </dev/null', "sh", str(log), *command])


def wait_for(host: Host, *, timeout_s: float = 30.0) -> None:
    """Wait until a started host serves; LabError with the build's last words when it does not."""
    try:
        wait_until(lambda: _is_serving(host), f"start of {host.name}", timeout_s=timeout_s)
    except LabError as error:
        log = state.host_dir(host.name) / "build.log"
        running = find_running(host)
        idle = f" not serving: {running.idle_services()}" if running else ""
        message = f"{error};{idle} {log.read_text() if log.exists() else ''}"
        raise LabError(message) from error


def end(host: Host) -> None:
    """Kill every process of a host and remove its network and files; fine when there are none."""
    strays = list(_members(host))
    for pid in strays:
        _kill(pid)
    wait_until(lambda: not list(_members(host)), f"end of {host.name}")
    network.unplug(host)
    state.forget_host(host.name)


def _is_serving(host: Host) -> bool:
    running = find_running(host)
    if running is None:
        return False
    return (running.root / "run/lab-booted").exists() and not running.idle_services()


def _members(host: Host) -> Iterable[int]:
    """List the processes in the host's network namespace, zombies excluded."""
    try:
        wanted = _network_of_name(host)
    except OSError:
        return
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if _network_of(int(entry.name)) == wanted:
                yield int(entry.name)
        except OSError:
            continue  # it ended meanwhile


def _network_of(pid: int) -> int:
    return Path("/proc", str(pid), "ns/net").stat().st_ino


def _network_of_name(host: Host) -> int:
    return network.namespace_path(host.namespace).stat().st_ino


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return

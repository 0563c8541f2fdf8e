"""Bring the whole lab up, take it down, tell how it is."""

import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from lab import certificates, hosts, keys, network, probes, state
from lab.topology import EVERY_HOST, HOSTS, Host
from lab.waiting import wait_until

# Certificates last a year; a lab that was left up for long is made anew well before.
_OLDEST_STATE_S = 60 * 86400


@dataclass(frozen=True, slots=True)
class HostStatus:
    """Tell how a host is: up, and which of its services do not answer."""

    host: Host
    is_up: bool
    idle: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """Tell how the lab is."""

    is_core_up: bool
    hosts: tuple[HostStatus, ...]
    faults: tuple[str, ...]

    @property
    def is_up(self) -> bool:
        """Tell whether all hosts are up; a service missing without a fault counts as not up."""
        services = self.faults or not any(one.idle for one in self.hosts)
        return bool(self.is_core_up and all(one.is_up for one in self.hosts) and services)


def up() -> list[str]:
    """Build whatever is missing and return the names of the hosts that were built."""
    with state.exclusive():
        if not _is_state_usable():
            _remove_all()
        _ensure_state()
        if not network.is_core_built():
            _remove_all_hosts()
            network.build_core()
        missing = [host for host in HOSTS if hosts.find_running(host) is None]
        for host in missing:
            _forget_faults_of(host)
            hosts.start(host)
        for host in missing:
            hosts.wait_for(host)
        _restart_idle_services()
        if missing:
            wait_until(probes.answers_dns, "answers from dns1")
        return [host.name for host in missing]


def down() -> None:
    """End every host and remove everything the lab made."""
    with state.exclusive():
        _remove_all()


def status() -> Status:
    """Look at every host."""
    looked = []
    for host in HOSTS:
        running = hosts.find_running(host)
        idle = tuple(running.idle_services()) if running else ()
        looked.append(HostStatus(host, running is not None, idle))
    return Status(network.is_core_built(), tuple(looked), tuple(state.injected()))


def _restart_idle_services() -> None:
    # A service that is missing may be a fault at work; only a lab without faults is repaired.
    if state.injected():
        return
    for host in HOSTS:
        running = hosts.get_running(host)
        for name in running.idle_services():
            running.start(host.service(name))


def _is_state_usable() -> bool:
    try:
        age_s = time.time() - state.CA_CERTIFICATE.stat().st_mtime
    except OSError:
        return False
    return age_s < _OLDEST_STATE_S and state.PROBE_PASSWORD.exists()


def _ensure_state() -> None:
    if _is_state_usable():
        return
    state.STATE_DIR.mkdir(parents=True, exist_ok=True)
    state.STATE_DIR.chmod(0o755)
    inspector = keys.random_ssh_key()
    _secret(state.INSPECTOR_KEY, keys.openssh_private(inspector))
    _secret(state.DKIM_KEY, keys.make_dkim_key())
    authority = certificates.make_authority()
    _secret(state.CA_KEY, authority.key)
    _secret(state.PROBE_PASSWORD, secrets.token_urlsafe(15).encode() + b"\n")
    state.KNOWN_HOSTS.write_text(
        "".join(
            f"{host.address},{host.fqdn} {keys.openssh_public(keys.host_key(host.name))}\n"
            for host in EVERY_HOST
        )
    )
    state.CA_CERTIFICATE.write_bytes(authority.certificate)
    state.CA_CERTIFICATE.chmod(0o644)


def _secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def _forget_faults_of(host: Host) -> None:
    for name in state.faults_of(host.name):
        state.forget_fault(name)


def _remove_all_hosts() -> None:
    for host in EVERY_HOST:
        hosts.end(host)


def _remove_all() -> None:
    _remove_all_hosts()
    network.remove_core()
    state.forget_everything()

"""The faults of the lab: what can be broken, and how it is broken and mended."""

from lab import hosts, probes, state
from lab.errors import LabError
from lab.faults import (
    access,
    attacks,
    certs,
    declared,
    disks,
    functions,
    hardware,
    machine,
    packages,
    postfix,
    providers,
    queue,
    stopped,
    transport,
    zones,
)
from lab.faults.fault import Fault
from lab.topology import MX1, OUT1
from lab.waiting import wait_until

GONE_S = 45.0  # a mail that a slow server has taken in is still under way when it is mended

ALL: tuple[Fault, ...] = (
    *stopped.FAULTS,
    *disks.FAULTS,
    *certs.FAULTS,
    *zones.FAULTS,
    *transport.FAULTS,
    *postfix.FAULTS,
    *queue.FAULTS,
    *providers.FAULTS,
    *access.FAULTS,
    *attacks.FAULTS,
    *hardware.FAULTS,
    *machine.FAULTS,
    *packages.FAULTS,
    *functions.FAULTS,
    *declared.FAULTS,
)


def find(name: str) -> Fault:
    """Find a fault by its name; LabError when there is none."""
    for fault in ALL:
        if fault.name == name:
            return fault
    message = f"no fault named {name}: see `python -m lab faults`"
    raise LabError(message)


def inject(name: str) -> bool:
    """Break something and wait until it shows; False when it was broken already."""
    fault = find(name)
    with state.exclusive():
        active = state.injected()
        if name in active:
            return False
        _refuse_conflict(fault, active)
        hosts.get_running(fault.host)
        state.remember_fault(name, host=fault.host.name)
        try:
            fault.apply(frozenset((*active, name)))
            wait_until(lambda: _is_seen(fault), f"symptom of {name}")
        except LabError:
            fault.apply(frozenset(active))
            state.forget_fault(name)
            raise
    return True


def heal(name: str) -> bool:
    """Mend something and wait until it no longer shows; False when it was not broken."""
    fault = find(name)
    with state.exclusive():
        active = state.injected()
        if name not in active:
            return False
        fault.apply(frozenset(active) - {name})
        wait_until(lambda: _is_gone(fault), f"end of {name}", timeout_s=GONE_S)
        state.forget_fault(name)
        _flush_queues()
    return True


def heal_all() -> list[str]:
    """Mend everything, the youngest fault first: it may hide the older ones."""
    names = state.injected()[::-1]
    for name in names:
        heal(name)
    return names


def _refuse_conflict(fault: Fault, active: list[str]) -> None:
    for name in active:
        if find(name).slot == fault.slot:
            message = f"{fault.name} and {name} cannot be at work together: heal {name} first"
            raise LabError(message)


def _is_seen(fault: Fault) -> bool:
    try:
        return fault.is_visible()
    except probes.UNSEEN:
        return False


def _is_gone(fault: Fault) -> bool:
    try:
        return not fault.is_visible()
    except probes.UNSEEN:
        return False


def _flush_queues() -> None:
    # Mail that a fault held up would otherwise wait for Postfix's next attempt, minutes later.
    for host in (MX1, OUT1):
        running = hosts.find_running(host)
        if running:
            running.attempt("postqueue", "-f")

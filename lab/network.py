"""The lab's network: a bridge in `lab-core`, one cable to each host and one to the machine."""

import ipaddress
import json
from collections.abc import Iterable
from pathlib import Path

from lab.commands import attempt, run
from lab.errors import LabError
from lab.topology import (
    CORE_ADDRESS,
    CORE_NAMESPACE,
    EVERY_HOST,
    NETWORK,
    ROOT_ADDRESS,
    ROOT_INTERFACE,
    Host,
)
from lab.waiting import wait_until

NAMESPACES = Path("/run/netns")
_ROOT_PORT = "p-root"
_PREFIX = NETWORK.partition("/")[2]


def namespace_path(namespace: str) -> Path:
    """Name the file that holds a network namespace."""
    return NAMESPACES / namespace


def is_namespace(namespace: str) -> bool:
    """Tell whether a name stands for a namespace and not for the empty file an accident left."""
    path = namespace_path(namespace)
    return path.exists() and path.stat().st_dev != NAMESPACES.parent.stat().st_dev


def is_core_built() -> bool:
    """Tell whether the bridge and the machine's own cable are there."""
    return (
        is_namespace(CORE_NAMESPACE)
        and Path("/sys/class/net", ROOT_INTERFACE).exists()
        and attempt(["ip", "-n", CORE_NAMESPACE, "link", "show", "br0"]).exit_code == 0
    )


def build_core() -> None:
    """Make the bridge, the checker's seat on it and the cable to the machine itself."""
    _refuse_foreign_route()
    remove_core()
    run(["ip", "netns", "add", CORE_NAMESPACE])
    _batch(
        CORE_NAMESPACE,
        "link set lo up",
        "link add br0 address 02:66:00:00:00:01 type bridge",
        f"addr add {CORE_ADDRESS}/{_PREFIX} dev br0",
        "link set br0 up",
    )
    _batch(
        "",
        f"link add {ROOT_INTERFACE} address 02:66:00:00:00:02 type veth"
        f" peer name {_ROOT_PORT} netns {CORE_NAMESPACE}",
        f"addr add {ROOT_ADDRESS}/{_PREFIX} dev {ROOT_INTERFACE}",
        f"link set {ROOT_INTERFACE} up",
    )
    _batch(CORE_NAMESPACE, f"link set {_ROOT_PORT} master br0 up")


def remove_core() -> None:
    """Take the bridge away; programs still seated in the namespace lose the network, not life."""
    if Path("/sys/class/net", ROOT_INTERFACE).exists():
        attempt(["ip", "link", "del", ROOT_INTERFACE])
    if namespace_path(CORE_NAMESPACE).exists():
        attempt(["ip", "-n", CORE_NAMESPACE, "link", "del", "br0"])
        _remove_namespace(CORE_NAMESPACE)
    if NAMESPACES.is_dir() and not any(NAMESPACES.iterdir()):
        # `ip netns` makes the directory and mounts it on itself at its first use.
        attempt(["umount", str(NAMESPACES)])
        NAMESPACES.rmdir()


def plug_in(host: Host) -> None:
    """Make the host's network namespace and its cable to the bridge."""
    unplug(host)
    run(["ip", "netns", "add", host.namespace])
    _batch(
        CORE_NAMESPACE,
        f"link add {host.port_link} type veth"
        f" peer name eth0 address {host.mac} netns {host.namespace}",
        f"link set {host.port_link} master br0 up",
    )
    _batch(
        host.namespace,
        "link set lo up",
        f"addr add {host.address}/{_PREFIX} dev eth0",
        *(f"addr add {address}/{_PREFIX} dev eth0" for address in host.more_addresses),
        "link set eth0 up",
    )


def unplug(host: Host) -> None:
    """Remove the host's cable and namespace and wait until both are gone."""
    if namespace_path(CORE_NAMESPACE).exists():
        attempt(["ip", "-n", CORE_NAMESPACE, "link", "del", host.port_link])
        # The kernel removes a veth some time after the command returns; "File exists" otherwise.
        wait_until(lambda: not _has_link(host), f"removal of {host.port_link}")
    if namespace_path(host.namespace).exists():
        _remove_namespace(host.namespace)


def set_cable(host: Host, state: str) -> None:
    """Set the bridge's end of the host's cable `up` or `down`."""
    run(["ip", "-n", CORE_NAMESPACE, "link", "set", host.port_link, state])


def leftover_namespaces() -> Iterable[str]:
    """Name the lab's namespaces that exist."""
    names = (CORE_NAMESPACE, *(host.namespace for host in EVERY_HOST))
    return [name for name in names if namespace_path(name).exists()]


def _has_link(host: Host) -> bool:
    return attempt(["ip", "-n", CORE_NAMESPACE, "link", "show", host.port_link]).exit_code == 0


def _remove_namespace(namespace: str) -> None:
    attempt(["ip", "netns", "del", namespace])
    wait_until(lambda: not namespace_path(namespace).exists(), f"removal of {namespace}")


def _refuse_foreign_route() -> None:
    ours = ipaddress.ip_network(NETWORK)
    for route in json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"])):
        if route["dst"] == "default" or route.get("dev") == ROOT_INTERFACE:
            continue
        if ipaddress.ip_network(route["dst"]).overlaps(ours):
            message = f"{NETWORK} is already routed here ({route['dst']} via {route.get('dev')})"
            raise LabError(message)


def _batch(namespace: str, *lines: str) -> None:
    where = ["-n", namespace] if namespace else []
    run(["ip", *where, "-batch", "-"], stdin="\n".join(lines) + "\n")

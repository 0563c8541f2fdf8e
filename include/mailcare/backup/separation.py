"""How far a copy lies apart from the live mail store: what takes the one away may take both. Pure.

Two machines are told apart by what their kernels are known by since they started, which no clone
shares and every container does; a network file system lies where its source says. Virtual machines
of one host, partitions of one disk and buildings cannot be told from inside.
"""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from mailcare.backup.agent.protocol import Place

# //server/share; user@server:/export, with an IPv6 address in brackets
_SERVER = re.compile(r"//([^/]+)|(?:[^@/:]*@)?(?:\[([^\]]+)\]|([^:/\[]+)):")


class Distance(StrEnum):
    """How near a copy is to the live store, the nearest first."""

    SAME_FOLDER = "same_folder"
    SAME_FILES = "same_files"
    SAME_SYSTEM = "same_system"
    SAME_HOST = "same_host"
    APART = "apart"


@dataclass(frozen=True, slots=True)
class Separation:
    """How far apart they are, and what that was told by.

    `unchecked` is why files were not held against each other where that could have been; empty
    where they were, or cannot be the same.
    """

    distance: Distance
    told: str
    unchecked: str = ""


@dataclass(frozen=True, slots=True)
class NotTold:
    """How far apart they are could not be measured, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a place; `names` are those of its machine, addresses too."""

    place: Place
    names: AbstractSet[str]


def separation_of(copy: Seen, live: Seen) -> Separation | NotTold:
    """Return how far apart two places are, by what lies below them the same or not."""
    one, other = copy.place, live.place
    if has_one_kernel(one, other) and one.identity == other.identity:
        return Separation(Distance.SAME_FOLDER, "同一个目录")
    if _is_one_system(one, other):
        return Separation(Distance.SAME_SYSTEM, one.source or one.system)
    for place in (one, other):
        if place.system.startswith("fuse.") and not server_of(place):
            return NotTold(f"文件系统 {place.system}（{place.source}）不说明数据在哪台主机")
    if server_of(one) or server_of(other):
        return _by_servers(copy, live)
    if not (one.boot and other.boot):
        return NotTold("主机没有说明其启动标识（boot_id）")
    if has_one_kernel(one, other):
        return Separation(Distance.SAME_HOST, f"{one.source} 与 {other.source}")
    return Separation(Distance.APART, "两台主机的启动标识（boot_id）不同")


def has_one_kernel(one: Place, other: Place) -> bool:
    """Tell whether device and inode mean the same of two places."""
    return bool(one.boot) and one.boot == other.boot


def _is_one_system(one: Place, other: Place) -> bool:
    if has_one_kernel(one, other):
        is_device = one.source.startswith("/") and one.source == other.source
        return is_device or one.identity[0] == other.identity[0]
    return bool(server_of(one)) and one.source == other.source


def server_of(place: Place) -> str:
    """Return the host whose file system a place is on by network; empty for one of its own."""
    found = _SERVER.match(place.source)
    return (found[1] or found[2] or found[3]).lower() if found else ""


def _by_servers(copy: Seen, live: Seen) -> Separation:
    """Hold apart places of which one at least is on a network file system."""
    told = f"网络文件系统 {next(one.place.source for one in (copy, live) if server_of(one.place))}"
    hosts = [{server} if (server := server_of(one.place)) else one.names for one in (copy, live)]
    distance = Distance.SAME_HOST if hosts[0] & hosts[1] else Distance.APART
    return Separation(distance, told)

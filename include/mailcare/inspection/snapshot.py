"""The counters of a host at several moments: files of its /proc, read with psutil.

psutil reads a copy of the files in a temporary directory through its PROCFS_PATH, and only by the
functions that are known to follow it: for load, processor count, disk usage, sensors and others it
would silently answer for this machine. Its /proc/stat reader wants as many columns as this
machine's kernel has, so the processors' times are not read with it.
"""

import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import psutil

from mailcare.inspection.check import Ask, Question, Reply, ReplyError, Target
from mailcare.inspection.hosts import asked_hosts, host_ask, lines_of, output_of
from mailcare.systems.site import Node
from mailcare.systems.system import System

SAMPLES = 4
# head prints each name before its text, and goes on at a file that is missing.
FILES = ("uptime", "stat", "meminfo", "vmstat", "net/dev", "diskstats")
_WORDS = ("head", "-n", "4000", *(f"/proc/{name}" for name in FILES))
_HEADING = re.compile(r"^==> /proc/(\S{1,40}) <==\n", re.MULTILINE)
_UPTIME = re.compile(r"(\d{1,10}\.\d\d) ")
_TOGETHER_S = 120
_COUNTER_MAX = 2**64
_ODD = (AssertionError, IndexError, KeyError, OverflowError, RuntimeError, TypeError, ValueError)
_GUARD = threading.Lock()  # PROCFS_PATH belongs to the whole process

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes; `is_estimate` where the kernel is too old to tell what is available."""

    total: int
    available: int
    swap_total: int
    swap_used: int
    is_estimate: bool


@dataclass(frozen=True, slots=True)
class Traffic:
    """What an interface counted since it came up."""

    received_bytes: int
    sent_bytes: int
    packets: int
    errors: int
    drops: int


@dataclass(frozen=True, slots=True)
class DiskUse:
    """What a disk counted since boot: requests, and milliseconds spent on them and being busy."""

    requests: int
    waited_ms: int
    busy_ms: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of /proc, verbatim, `uptime_s` seconds after the host's boot."""

    uptime_s: float
    files: Mapping[str, str]

    def file(self, name: str) -> str:
        """Return the text of a file; raise `ReplyError` where the reply does not hold it."""
        text = self.files.get(name, "")
        if not text.strip():
            raise ReplyError(f"回复中没有 /proc/{name}")
        return text

    def memory(self) -> Memory:
        """Return what is left of the memory, without swap where there is none."""
        text = self.file("meminfo")
        if not {"SwapTotal:", "SwapFree:"} <= {line.partition(" ")[0] for line in lines_of(text)}:
            raise ReplyError("/proc/meminfo 的内容无法识别")  # psutil would tell this machine's
        found, swap = _rebuilt(
            {"meminfo": text, "vmstat": "pswpin 0\npswpout 0\n"},
            lambda: (psutil.virtual_memory(), psutil.swap_memory()),
        )
        is_estimate = "\nMemAvailable:" not in text
        # Before kernel 3.14, as free(1) reckoned; shared memory is cached but stays.
        left = found.free + found.buffers + found.cached - found.shared
        available = max(0, left) if is_estimate else found.available
        _need_counters(found.total, available, swap.total, swap.used)
        if not 0 <= available <= found.total or found.total == 0:
            raise ReplyError("/proc/meminfo 的内容无法识别")
        return Memory(found.total, available, swap.total, swap.used, is_estimate)

    def traffic(self) -> dict[str, Traffic]:
        """Return the counters of each interface, by name."""
        text = {"net/dev": self.file("net/dev")}
        found = _rebuilt(text, lambda: psutil.net_io_counters(pernic=True, nowrap=False))
        for one in found.values():
            _need_counters(*one)
        return {
            name: Traffic(
                one.bytes_recv,
                one.bytes_sent,
                one.packets_recv + one.packets_sent,
                one.errin + one.errout,
                one.dropin + one.dropout,
            )
            for name, one in found.items()
        }

    def disks(self) -> dict[str, DiskUse]:
        """Return the counters of each block device, by name."""
        text = {"diskstats": self.file("diskstats")}
        found = _rebuilt(text, lambda: psutil.disk_io_counters(perdisk=True, nowrap=False))
        for one in found.values():
            _need_counters(*one)
        return {
            name: DiskUse(
                one.read_count + one.write_count, one.read_time + one.write_time, one.busy_time
            )
            for name, one in found.items()
        }

    def counter(self, name: str) -> int | None:
        """Return a counter of /proc/vmstat; None where the kernel does not keep it."""
        found = re.search(rf"^{name} (\d{{1,20}})$", self.files.get("vmstat", ""), re.MULTILINE)
        return int(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class Window:
    """Two snapshots of one host and the seconds between them."""

    before: Snapshot
    after: Snapshot

    @property
    def seconds(self) -> float:
        """Return the true time between them, by the host's own monotonic clock."""
        return self.after.uptime_s - self.before.uptime_s


def samples_of(node: Node) -> tuple[Ask, ...]:
    """Return the asks for all snapshots of a host."""
    return tuple(host_ask(node, *_WORDS, sample=number + 1) for number in range(SAMPLES))


def ask_samples(system: System) -> Iterator[Question]:
    """Yield one question for each host that is looked into: its snapshots."""
    for node in asked_hosts(system):
        yield Question(Target(node.name), samples_of(node))


def read_snapshots(replies: Sequence[Reply]) -> tuple[Snapshot, ...]:
    """Read the snapshots of one run; raise `ReplyError` where they are not of one run."""
    found = tuple(map(_snapshot, replies))
    if any(late.uptime_s <= early.uptime_s for early, late in pairwise(found)):
        raise ReplyError("各次采样的运行时间没有递增（主机可能重启过），无法计算速率")
    span_s = found[-1].uptime_s - found[0].uptime_s
    if span_s > _TOGETHER_S:
        raise ReplyError(f"各次采样相隔 {span_s:.0f} 秒（上限 {_TOGETHER_S} 秒），不属于同一次巡检")
    return found


def windows_between(snapshots: Sequence[Snapshot]) -> tuple[Window, ...]:
    """Return the windows between neighbouring snapshots."""
    return tuple(Window(before, after) for before, after in pairwise(snapshots))


def _snapshot(reply: Reply) -> Snapshot:
    files = _sections(output_of(reply, "head"))
    uptime = _UPTIME.match(files.get("uptime", ""))
    if not uptime:
        raise ReplyError("回复中没有 /proc/uptime")
    return Snapshot(float(uptime[1]), files)


def _sections(text: str) -> dict[str, str]:
    # What head complains about may stand anywhere; long lines are the interrupts' in /proc/stat.
    lines = (line for line in lines_of(text) if not line.startswith("head: "))
    parts = _HEADING.split("\n".join(lines) + "\n")
    return {
        name: body.rstrip("\n") + "\n" for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def _rebuilt(files: Mapping[str, str], read: Callable[[], AnswerT]) -> AnswerT:
    """Let psutil read files as those of a /proc; raise `ReplyError` for what it stumbles over."""
    try:
        with _GUARD, _procfs(files):
            return read()
    except _ODD:
        raise ReplyError(f"/proc/{next(iter(files))} 的内容无法识别") from None


@contextmanager
def _procfs(files: Mapping[str, str]) -> Iterator[None]:
    with TemporaryDirectory(prefix="mailcare-proc-") as top, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a field that an old kernel lacks
        for name, text in files.items():
            path = Path(top, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode("utf-8", "backslashreplace"))
        own, psutil.PROCFS_PATH = psutil.PROCFS_PATH, top
        try:
            yield
        finally:
            psutil.PROCFS_PATH = own


def _need_counters(*numbers: float) -> None:
    if not all(0 <= number < _COUNTER_MAX for number in numbers):
        raise ReplyError("计数器的数值不合理")

"""How much memory each host has left."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mailcare.inspection.check import (
    Area,
    Check,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Verdict,
)
from mailcare.inspection.hosts import LOGIN_FIRST, ask_hosts, whole_output_of
from mailcare.inspection.levels import Floor
from mailcare.systems.system import System

_LINE = re.compile(r"^(\w+):\s+(\d{1,15}) kB\s*$", re.MULTILINE)
_GIB_IN_KIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """Sizes in KiB; `is_estimate` where the kernel is too old to tell what is available."""

    total_kib: int
    available_kib: int
    swap_total_kib: int
    swap_free_kib: int
    is_estimate: bool

    @property
    def available_pct(self) -> float:
        """Return what is left, in per cent of the whole."""
        return 100 * self.available_kib / self.total_kib

    @property
    def swap_used_pct(self) -> float:
        """Return how much of the swap space is taken; 0 where there is none."""
        if not self.swap_total_kib:
            return 0.0
        return 100 * (self.swap_total_kib - self.swap_free_kib) / self.swap_total_kib


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """Per cent: memory available at least, swap space taken at most (a notice)."""

    available_pct: Floor
    swap_used_notice_pct: float


def _ask(system: System) -> Iterator[Question]:
    return ask_hosts(system, ("cat", "/proc/meminfo"))


def _parse(replies: tuple[Reply, ...]) -> Memory:
    text = whole_output_of(replies[0], "cat /proc/meminfo")
    sizes = {name: int(number) for name, number in _LINE.findall(text)}
    available = sizes.get("MemAvailable")
    left = _estimate(sizes) if available is None else available
    total, swap, swap_free = (sizes.get(key, 0) for key in ("MemTotal", "SwapTotal", "SwapFree"))
    if left is None or not 0 <= left <= total or total == 0 or swap_free > swap:
        raise ReplyError("/proc/meminfo 的内容无法识别")
    return Memory(total, left, swap, swap_free, available is None)


def _estimate(sizes: Mapping[str, int]) -> int | None:
    """Reckon what is available on kernels before 3.14, as `free` did: shared memory stays."""
    if not {"MemFree", "Buffers", "Cached"} <= sizes.keys():
        return None
    return max(0, sizes["MemFree"] + sizes["Buffers"] + sizes["Cached"] - sizes.get("Shmem", 0))


def _judge(memory: Memory, limits: MemoryLimits, _subject: Subject) -> Iterator[Verdict]:
    severity = limits.available_pct.severity(memory.available_pct)
    is_swapping = memory.swap_used_pct >= limits.swap_used_notice_pct
    if not severity and is_swapping:
        severity = Severity.NOTICE
    yield Verdict(
        severity,
        f"{_available_text(memory, limits.available_pct)}；{_swap_text(memory, limits)}",
        _ADVICE if severity else "",
        metrics={
            "available_pct": round(memory.available_pct, 1),
            "memory_used_pct": round(100 - memory.available_pct, 1),
            "swap_used_pct": round(memory.swap_used_pct, 1),
        },
    )


def _available_text(memory: Memory, limits: Floor) -> str:
    word = "估算可用内存" if memory.is_estimate else "可用内存"
    return (
        f"{word} {memory.available_pct:.1f}%（共 {memory.total_kib / _GIB_IN_KIB:.1f} GiB，"
        f"警告 ≤ {limits.warning:g}%，严重 ≤ {limits.critical:g}%）"
    )


def _swap_text(memory: Memory, limits: MemoryLimits) -> str:
    if not memory.swap_total_kib:
        return "未设交换区"
    return f"交换区已用 {memory.swap_used_pct:.0f}%（≥ {limits.swap_used_notice_pct:g}% 提示）"


_ADVICE = (
    "请用 ps aux --sort=-rss 找出占用最多的进程；Java 类服务请核对堆大小设置；"
    "如长期不足请扩充内存，并检查内核日志中有无 OOM 记录。"
)

CHECKS = (
    Check(
        name="hardware.memory",
        area=Area.HARDWARE,
        title="内存",
        question="内存是否够用？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=MemoryLimits(available_pct=Floor(warning=10, critical=5), swap_used_notice_pct=80),
        source="proc(5) MemAvailable；Mail-in-a-Box status_checks：可用 < 20% 提醒、< 10% 报错，"
        "服务器内存较大，此处取其一半",
        after=LOGIN_FIRST,
    ),
)

"""How much memory each host has left, whether it swaps, and whether it had to kill processes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from mailcare.inspection.check import Area, Check, Reply, ReplyError, Severity, Subject, Verdict
from mailcare.inspection.hosts import LOGIN_FIRST
from mailcare.inspection.levels import Ceiling, Floor
from mailcare.inspection.snapshot import (
    Memory,
    Snapshot,
    Window,
    ask_samples,
    read_snapshots,
    windows_between,
)

_GIB = 1024**3
_PAGE_KIB = 4


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """The memory at each sample, and pages swapped in and out in KiB a second (median window).

    None where the kernel does not count: `swap_in_kibps`, `swap_out_kibps`, `oom_kills` since boot.
    """

    samples: tuple[Memory, ...]
    swap_in_kibps: float | None
    swap_out_kibps: float | None
    oom_kills: int | None

    def available_pct(self) -> list[float]:
        """Return what was left at each sample, in per cent of the whole, the least first."""
        return sorted(100 * one.available / one.total for one in self.samples)

    @property
    def swap_used_pct(self) -> float:
        """Return how much of the swap space is taken; 0 where there is none."""
        last = self.samples[-1]
        return 100 * last.swap_used / last.swap_total if last.swap_total else 0.0


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """Per cent: memory available at least, swap taken at most (a notice); KiB/s swapped in."""

    available_pct: Floor
    swap_in_kibps: Ceiling
    swap_used_notice_pct: float


def _parse(replies: tuple[Reply, ...]) -> MemoryUse:
    snapshots = read_snapshots(replies)
    windows = windows_between(snapshots)
    return MemoryUse(
        tuple(one.memory() for one in snapshots),
        _rate(windows, "pswpin"),
        _rate(windows, "pswpout"),
        _kills(snapshots),
    )


def _rate(windows: Sequence[Window], counter: str) -> float | None:
    rates = []
    for window in windows:
        before, after = window.before.counter(counter), window.after.counter(counter)
        if before is None or after is None:
            return None
        if after < before:
            raise ReplyError("两次采样之间换页计数变小，无法计算速率")
        rates.append((after - before) * _PAGE_KIB / window.seconds)
    return median(rates)


def _kills(snapshots: Sequence[Snapshot]) -> int | None:
    return snapshots[-1].counter("oom_kill")


def _judge(use: MemoryUse, limits: MemoryLimits, _subject: Subject) -> Iterator[Verdict]:
    available = use.available_pct()
    severity = max(
        limits.available_pct.severity(median(available)),
        limits.swap_in_kibps.severity(use.swap_in_kibps or 0),
    )
    if not severity and use.swap_used_pct >= limits.swap_used_notice_pct:
        severity = Severity.NOTICE
    yield Verdict(
        severity,
        f"{_available_text(use, limits.available_pct)}；{_swap_text(use, limits)}",
        _ADVICE if severity else "",
        metrics=_metrics(use),
    )
    if use.oom_kills:
        yield Verdict(
            Severity.WARNING,
            f"启动以来内核因内存耗尽终止过 {use.oom_kills} 个进程（应为 0）",
            "请在内核日志中查找 Out of memory，确认被终止的是否邮件服务，再限制占用者或扩充内存。",
            evidence=(f"oom_kill {use.oom_kills}",),
            metrics={"oom_kill_count": float(use.oom_kills)},
            part="OOM",
        )


def _metrics(use: MemoryUse) -> dict[str, float]:
    available = use.available_pct()
    middle = median(available)
    metrics = {
        "available_min_pct": round(available[0], 1),
        "available_pct": round(middle, 1),
        "memory_used_pct": round(100 - middle, 1),
        "swap_used_pct": round(use.swap_used_pct, 1),
    }
    rates = {"swap_in_kibps": use.swap_in_kibps, "swap_out_kibps": use.swap_out_kibps}
    return metrics | {name: round(rate, 1) for name, rate in rates.items() if rate is not None}


def _available_text(use: MemoryUse, limits: Floor) -> str:
    available, last = use.available_pct(), use.samples[-1]
    word = "估算可用内存" if last.is_estimate else "可用内存"
    size = f"共 {last.total / _GIB:.1f} GiB"
    return (
        f"{word} {median(available):.1f}%（最低 {available[0]:.1f}%，{size}，"
        f"警告 ≤ {limits.warning:g}%，严重 ≤ {limits.critical:g}%）"
    )


def _swap_text(use: MemoryUse, limits: MemoryLimits) -> str:
    if not use.samples[-1].swap_total:
        return "未设交换区"
    used = f"交换区已用 {use.swap_used_pct:.0f}%（≥ {limits.swap_used_notice_pct:g}% 提示）"
    if use.swap_in_kibps is None or use.swap_out_kibps is None:
        return f"{used}，内核未提供换页计数"
    return (
        f"{used}，换入 {use.swap_in_kibps:.0f} KiB/s（警告 ≥ {limits.swap_in_kibps.warning:g}，"
        f"严重 ≥ {limits.swap_in_kibps.critical:g}），换出 {use.swap_out_kibps:.0f} KiB/s"
    )


_ADVICE = (
    "请用 ps aux --sort=-rss 找出占用最多的进程；Java 类服务请核对堆大小设置；"
    "如长期不足请扩充内存，并检查内核日志中有无 OOM 记录。"
)

CHECKS = (
    Check(
        name="hardware.memory",
        area=Area.HARDWARE,
        title="内存",
        question="内存是否够用，是否在频繁换页？",
        ask=ask_samples,
        parse=_parse,
        judge=_judge,
        limits=MemoryLimits(
            available_pct=Floor(warning=10, critical=5),
            swap_in_kibps=Ceiling(warning=1024, critical=10240),
            swap_used_notice_pct=80,
        ),
        source="proc(5) MemAvailable、pswpin、oom_kill；Mail-in-a-Box status_checks：可用"
        " < 20% 提醒、< 10% 报错，服务器内存较大，此处取其一半；换页速率的界限为经验值",
        after=LOGIN_FIRST,
    ),
)

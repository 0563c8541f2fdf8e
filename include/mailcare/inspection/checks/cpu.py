"""How busy each host is: its processors over short windows, and its load over 15 minutes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

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
from mailcare.inspection.levels import Ceiling
from mailcare.inspection.snapshot import Window, ask_samples, read_snapshots, windows_between
from mailcare.systems.system import System

_STAT = ("cat", "/proc/stat")
_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


@dataclass(frozen=True, slots=True)
class CpuShare:
    """What the processors did during a window, in per cent of their time."""

    used_pct: float
    iowait_pct: float
    steal_pct: float


@dataclass(frozen=True, slots=True)
class CpuUse:
    """The windows of a run, and the counters at the moments between them."""

    shares: tuple[CpuShare, ...]
    lines: tuple[str, ...] = ()

    def used_pct(self) -> list[float]:
        """Return the use in each window, the least first."""
        return sorted(one.used_pct for one in self.shares)


@dataclass(frozen=True, slots=True)
class CpuLimits:
    """Per cent of the windows' time, held against the median window."""

    used_warning_pct: float
    iowait_warning_pct: float
    steal_warning_pct: float


@dataclass(frozen=True, slots=True)
class Load:
    """The load average of 15 minutes and the number of processors."""

    load15: float
    cpus: int
    line: str = ""


def _parse_cpu(replies: tuple[Reply, ...]) -> CpuUse:
    snapshots = read_snapshots(replies)
    lines = tuple(_total_line(one.file("stat")) for one in snapshots)
    shares = tuple(filter(None, map(_share, windows_between(snapshots))))
    if not shares:
        raise ReplyError("各次采样之间 CPU 计数没有变化")
    return CpuUse(shares, lines)


def _share(window: Window) -> CpuShare | None:
    before, after = (_ticks(_total_line(one.file("stat"))) for one in (window.before, window.after))
    if after["idle"] < before["idle"] or sum(after.values()) < sum(before.values()):
        raise ReplyError("两次采样之间 CPU 计数变小（主机可能重启过），无法计算使用率")
    # The kernel's manual page warns that iowait may run backwards.
    passed = {name: max(0, after[name] - before[name]) for name in _FIELDS}
    total = sum(passed.values())
    if total == 0:
        return None
    used = total - passed["idle"]
    shares = (100 * ticks / total for ticks in (used, passed["iowait"], passed["steal"]))
    return CpuShare(*shares)


def _total_line(text: str) -> str:
    found = re.search(r"^cpu +[0-9]{1,20}(?: [0-9]{1,20}){3,}", text, re.MULTILINE)
    if not found:
        raise ReplyError("/proc/stat 的内容无法识别")
    return found[0]


def _ticks(line: str) -> dict[str, int]:
    numbers = [int(word) for word in line.split()[1:]]
    padded = [*numbers, *[0] * len(_FIELDS)]
    return dict(zip(_FIELDS, padded, strict=False))


def _judge_cpu(use: CpuUse, limits: CpuLimits, _subject: Subject) -> Iterator[Verdict]:
    used = use.used_pct()
    middle = CpuShare(
        median(used),
        median(one.iowait_pct for one in use.shares),
        median(one.steal_pct for one in use.shares),
    )
    severity, advice = _cpu_meaning(middle, limits)
    yield Verdict(
        severity,
        f"{len(used)} 个数秒的窗口中 CPU 使用率中位 {middle.used_pct:.0f}%"
        f"（≥ {limits.used_warning_pct:g}% 警告），最低 {used[0]:.0f}%，最高 {used[-1]:.0f}%；"
        f"等待磁盘 {middle.iowait_pct:.0f}%（≥ {limits.iowait_warning_pct:g}% 警告），"
        f"被宿主机占用 {middle.steal_pct:.0f}%（≥ {limits.steal_warning_pct:g}% 警告）",
        advice,
        evidence=use.lines,
        metrics={
            "cpu_used_min_pct": round(used[0], 1),
            "cpu_used_median_pct": round(middle.used_pct, 1),
            "cpu_used_max_pct": round(used[-1], 1),
            "iowait_pct": round(middle.iowait_pct, 1),
            "steal_pct": round(middle.steal_pct, 1),
        },
    )


def _cpu_meaning(share: CpuShare, limits: CpuLimits) -> tuple[Severity, str]:
    if share.iowait_pct >= limits.iowait_warning_pct:
        return Severity.WARNING, "请用 iostat -x 找出繁忙的磁盘，检查阵列状态、备份时段和存储链路。"
    if share.steal_pct >= limits.steal_warning_pct:
        return Severity.WARNING, "宿主机资源不足，请虚拟化管理员迁移该虚拟机或保证其 CPU 配额。"
    if share.used_pct >= limits.used_warning_pct:
        return Severity.WARNING, (
            "采样只有数秒：请结合 15 分钟负载和历史趋势判断是否持续，用 top 找出占用最多的进程。"
        )
    return Severity.OK, ""


def _ask_load(system: System) -> Iterator[Question]:
    return ask_hosts(system, ("cat", "/proc/loadavg"), _STAT)


def _parse_load(replies: tuple[Reply, ...]) -> Load:
    line = whole_output_of(replies[0], "cat /proc/loadavg").strip()
    averages = re.match(r"^[0-9.]+ [0-9.]+ ([0-9]{1,9}\.[0-9]{1,9}) ", line)
    text = whole_output_of(replies[1], "cat /proc/stat")
    cpus = len(re.findall(r"^cpu\d+ ", text, re.MULTILINE))
    if not averages or not cpus:
        raise ReplyError("/proc/loadavg 或 /proc/stat 的内容无法识别")
    return Load(float(averages[1]), cpus, line)


def _judge_load(load: Load, limits: Ceiling, _subject: Subject) -> Iterator[Verdict]:
    per_cpu = load.load15 / load.cpus
    severity = limits.severity(per_cpu)
    yield Verdict(
        severity,
        f"15 分钟平均负载 {load.load15:.2f}，{load.cpus} 个 CPU，每核 {per_cpu:.2f}"
        f"（警告 ≥ {limits.warning:g}，严重 ≥ {limits.critical:g}）",
        _LOAD_ADVICE if severity else "",
        evidence=(load.line,),
        metrics={"load15": load.load15, "load_per_cpu": round(per_cpu, 2)},
    )


_LOAD_ADVICE = (
    "请用 top 与 iostat -x 判断是 CPU 不足还是磁盘等待；检查队列积压、病毒与垃圾邮件扫描、"
    "全文索引和备份任务，必要时错开时段或扩容。"
)

CHECKS = (
    Check(
        name="hardware.cpu",
        area=Area.HARDWARE,
        title="CPU 使用率",
        question="CPU 是否繁忙，是否在等待磁盘或被宿主机占用？",
        ask=ask_samples,
        parse=_parse_cpu,
        judge=_judge_cpu,
        limits=CpuLimits(used_warning_pct=95, iowait_warning_pct=30, steal_warning_pct=30),
        source="proc(5) /proc/stat 相邻采样之差，取各窗口的中位数；界限为经验值（窗口仅数秒）",
        after=LOGIN_FIRST,
    ),
    Check(
        name="hardware.load",
        area=Area.HARDWARE,
        title="系统负载",
        question="15 分钟内任务是否排队过多？",
        ask=_ask_load,
        parse=_parse_load,
        judge=_judge_load,
        limits=Ceiling(warning=2, critical=4),
        source="proc(5) /proc/loadavg；经验值：15 分钟内每核平均排队 2 个以上任务即处理不及",
        after=LOGIN_FIRST,
    ),
)

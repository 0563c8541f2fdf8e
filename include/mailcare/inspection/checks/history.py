"""How busy the processors were over the last days, where sysstat keeps a record of it."""

import re
from collections.abc import Iterator, Sequence
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
    Target,
    Verdict,
)
from mailcare.inspection.hosts import LOGIN_FIRST, NOT_FOUND, asked_hosts, host_ask, lines_of
from mailcare.systems.system import System

_DAYS = 7
_NO_FILES = 3
# The names are saDD, or saYYYYMMDD on newer systems; sarDD are texts made from them. A record that
# was once kept and is not any more says nothing of these days. sar itself may end with 3.
_RECORDS = (
    "sh",
    "-c",
    "command -v sar >/dev/null || exit 127; "
    "files=$(find /var/log/sa/ /var/log/sysstat/ -type f -name 'sa[0-9]*' ! -name '*.*' "
    f'-mtime -{_DAYS} 2>/dev/null); [ -n "$files" ] || exit {_NO_FILES}; '
    'for file in $files; do echo "== $file"; sar -u -f "$file"; done; exit 0',
)
_RECORDS_S = 20.0
_ROW = re.compile(r"^\d\d:\d\d:\d\d(?: [AP]M)? +all((?: +\d{1,3}\.\d\d){6,12})\s*$", re.ASCII)


@dataclass(frozen=True, slots=True)
class History:
    """The use and the waiting in each interval of the record, in per cent; none without record."""

    days: int
    used_pct: tuple[float, ...]
    iowait_pct: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """Per cent of an ordinary interval (the median) and of a busy one (19 of 20 are calmer)."""

    median_warning_pct: float
    busy_warning_pct: float
    iowait_warning_pct: float


def _ask(system: System) -> Iterator[Question]:
    for node in asked_hosts(system):
        yield Question(Target(node.name), (host_ask(node, *_RECORDS, timeout_s=_RECORDS_S),))


def _parse(replies: tuple[Reply, ...]) -> History:
    [reply] = replies
    if reply.exit_code in (NOT_FOUND, _NO_FILES):
        return History(0, (), ())
    lines = lines_of(reply.text, width=300)
    rows = [[float(one) for one in row[1].split()] for row in map(_ROW.match, lines) if row]
    # Not even idle: the interval was too short to be counted (sysstat's issues 182 and 288).
    rows = [row for row in rows if any(row)]
    if not rows:
        raise ReplyError("sar 的记录无法读取（文件损坏、版本不符或无权限）")
    # %user %nice %system %iowait %steal … %idle
    used = tuple(max(0.0, 100 - row[-1]) for row in rows)
    days = sum(line.startswith("== ") for line in lines)
    return History(days, used, tuple(row[3] for row in rows))


def _judge(history: History, limits: HistoryLimits, _subject: Subject) -> Iterator[Verdict]:
    if not history.used_pct:
        yield Verdict(
            Severity.NOTICE,
            f"主机近 {_DAYS} 天没有保存 sar 历史，无法了解平日的负载趋势",
            "建议安装 sysstat 并启用定时采集，下次巡检即可给出平日与高峰的 CPU 使用率。",
        )
        return
    middle, busy, waiting = (
        median(history.used_pct),
        _calmer_than(history.used_pct),
        _calmer_than(history.iowait_pct),
    )
    is_busy = middle >= limits.median_warning_pct or busy >= limits.busy_warning_pct
    severity = Severity.WARNING if is_busy or waiting >= limits.iowait_warning_pct else Severity.OK
    yield Verdict(
        severity,
        f"近 {history.days} 天 CPU 使用率中位 {middle:.0f}%"
        f"（≥ {limits.median_warning_pct:g}% 警告），"
        f"繁忙时 {busy:.0f}%（≥ {limits.busy_warning_pct:g}% 警告），"
        f"最高 {max(history.used_pct):.0f}%；"
        f"繁忙时等待磁盘 {waiting:.0f}%（≥ {limits.iowait_warning_pct:g}% 警告）",
        _ADVICE if severity else "",
        evidence=(f"{len(history.used_pct)} 个采样区间，繁忙时指 95% 的区间低于此值",),
        metrics={
            "history_used_median_pct": round(middle, 1),
            "history_used_busy_pct": round(busy, 1),
            "history_used_max_pct": round(max(history.used_pct), 1),
            "history_iowait_busy_pct": round(waiting, 1),
        },
    )


def _calmer_than(values: Sequence[float]) -> float:
    """Return the value that 95 % of the intervals do not exceed."""
    return sorted(values)[int(0.95 * (len(values) - 1))]


_ADVICE = (
    "请用 sar -u、sar -d 找出繁忙的时段，与备份、全文索引、病毒扫描的时间对照，错开时段或扩容。"
)

CHECKS = (
    Check(
        name="hardware.history",
        area=Area.HARDWARE,
        title="CPU 历史趋势",
        question="平日和高峰时段 CPU 是否繁忙？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=HistoryLimits(median_warning_pct=70, busy_warning_pct=95, iowait_warning_pct=30),
        source="sar(1) -u（sysstat）；界限为经验值，高于短时采样的判断",
        after=LOGIN_FIRST,
    ),
)

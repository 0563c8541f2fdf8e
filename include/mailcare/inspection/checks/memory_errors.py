"""Errors that the memory controllers corrected, and those that they could not."""

import re
from collections.abc import Iterator
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
from mailcare.inspection.hosts import LOGIN_FIRST, ask_hosts, lines_of
from mailcare.inspection.machines import KIND, kind_of, nothing_to_judge
from mailcare.systems.site import Machine
from mailcare.systems.system import System

_COUNTS = (
    "sh",
    "-c",
    "for file in /sys/devices/system/edac/mc/mc*/ce_count /sys/devices/system/edac/mc/mc*/ue_count;"
    ' do [ -r "$file" ] || continue; one=${file%/*}; echo "${one##*/} ${file##*/} $(cat "$file")";'
    " done; echo end",
)
_COUNT = re.compile(r"^(mc\d{1,3}) (ce|ue)_count (\d{1,15})$", re.ASCII)


@dataclass(frozen=True, slots=True)
class MemoryErrors:
    """What the memory controllers counted since boot; no controller where nobody counts."""

    kind: Machine | None
    controllers: int
    corrected: int
    uncorrected: int


@dataclass(frozen=True, slots=True)
class ErrorLimits:
    """Corrected errors since boot."""

    corrected_warning: int


def _ask(system: System) -> Iterator[Question]:
    return ask_hosts(system, _COUNTS, KIND)


def _parse(replies: tuple[Reply, ...]) -> MemoryErrors:
    lines = lines_of(replies[0].text, width=200)
    if "end" not in lines:
        raise ReplyError("内存错误计数的读取没有完成")
    rows = [found.groups() for found in map(_COUNT.match, lines) if found]
    if not rows and len(lines) > 1:
        raise ReplyError("内存错误计数无法识别")
    corrected, uncorrected = (
        sum(int(count) for _, kind, count in rows if kind == wanted) for wanted in ("ce", "ue")
    )
    return MemoryErrors(kind_of(replies[1]), len({row[0] for row in rows}), corrected, uncorrected)


def _judge(errors: MemoryErrors, limits: ErrorLimits, subject: Subject) -> Iterator[Verdict]:
    if not errors.controllers:
        raise nothing_to_judge(
            errors.kind,
            subject,
            virtual="虚拟机，内存错误由宿主机统计",
            physical="内核未加载 EDAC 驱动：请在管理口（BMC）系统事件日志中查看有无内存 ECC 错误。",
        )
    severity = _severity(errors, limits)
    yield Verdict(
        severity,
        f"启动以来内存错误：不可纠正 {errors.uncorrected} 次（应为 0），"
        f"已纠正 {errors.corrected} 次（≥ {limits.corrected_warning} 警告）",
        _ADVICE if severity else "",
        metrics={
            "memory_corrected_count": float(errors.corrected),
            "memory_uncorrected_count": float(errors.uncorrected),
        },
    )


def _severity(errors: MemoryErrors, limits: ErrorLimits) -> Severity:
    if errors.uncorrected:
        return Severity.CRITICAL
    if errors.corrected >= limits.corrected_warning:
        return Severity.WARNING
    return Severity.NOTICE if errors.corrected else Severity.OK


_ADVICE = (
    "请用 edac-util -v 或管理口（BMC）系统事件日志定位出错的内存条，安排停机更换；"
    "出现不可纠正错误后请先确认备份完好。"
)

CHECKS = (
    Check(
        name="hardware.memory_errors",
        area=Area.HARDWARE,
        title="内存错误（ECC）",
        question="内存条是否出过错？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=ErrorLimits(corrected_warning=100),
        source="内核 EDAC 文档 ce_count、ue_count；已纠正错误的界限为经验值",
        after=LOGIN_FIRST,
    ),
)

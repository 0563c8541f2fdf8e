"""What the disks of each host say of their own health (SMART)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

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
from mailcare.inspection.machines import KIND, kind_of, nothing_to_judge
from mailcare.systems.site import Machine
from mailcare.systems.system import System

# The scan also names the disks behind a RAID card (-d megaraid,N), to those who may see them. The
# second bit of smartctl's exit code says that the device could not be opened.
_HEALTH = (
    "sh",
    "-c",
    "command -v smartctl >/dev/null || exit 127; "
    "{ smartctl --scan; sudo -n smartctl --scan; } 2>/dev/null | cut -d '#' -f 1 | sort -u | "
    "head -n 64 | while read -r disk options; do "
    '[ -n "$disk" ] || continue; echo "== $disk $options"; '
    'out=$(smartctl -i -H -A $options "$disk"); code=$?; '
    'if [ $((code & 2)) -ne 0 ]; then out=$(sudo -n smartctl -i -H -A $options "$disk" 2>&1); fi; '
    "printf '%s\\n' \"$out\"; done; echo end",
)
_HEALTH_S = 30.0
_HEAD = re.compile(r"^== (/dev/\S{1,60}) ?(.{0,60})$")
_STATED = re.compile(r"^SMART (?:overall-health [^:]{0,60}|Health Status): +(.{1,80})$")
_ATTRIBUTE = re.compile(r"^ *(\d{1,3}) +(\S{3,40}) +0x\w{4} (.{10,80}?) +(\S{1,14}) +(\d{1,15})\b")
_FACT = re.compile(r"^([A-Z][A-Za-z ]{3,40}): +([0-9a-f,x]{1,20})%?")
_NO_SMART = ("device lacks SMART capability", "Unavailable - device", "Unknown USB bridge")
_DENIED = ("Permission denied", "a password is required", "sudo:", "Operation not permitted")
# The attributes of an ATA disk that the Backblaze statistics found to tell of failure.
_SECTORS = {
    "5": "reallocated",
    "197": "pending",
    "198": "uncorrectable",
    "Elements in grown defect list": "reallocated",
    "Media and Data Integrity Errors": "uncorrectable",
}


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk's own word, and what it counted; sectors for disks, per cent of life for flash."""

    name: str
    statement: str
    counts: Mapping[str, int]
    is_failing: bool
    used_pct: int | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disks:
    """The disks that answered; `refused` those that only root may ask."""

    kind: Machine | None
    has_tool: bool
    disks: tuple[Disk, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SmartLimits:
    """Reallocated sectors, and the share of a flash disk's life that is used up."""

    reallocated_warning: int
    worn_warning_pct: int


def _ask(system: System) -> Iterator[Question]:
    for node in asked_hosts(system):
        health = host_ask(node, *_HEALTH, timeout_s=_HEALTH_S)
        yield Question(Target(node.name), (health, host_ask(node, *KIND)))


def _parse(replies: tuple[Reply, ...]) -> Disks:
    kind = kind_of(replies[1])
    if replies[0].exit_code == NOT_FOUND:
        return Disks(kind, has_tool=False, disks=(), refused=())
    lines = lines_of(replies[0].text, width=300)
    if "end" not in lines:
        raise ReplyError("smartctl 的读取没有完成")
    blocks = dict(_blocks(lines))
    disks = tuple(disk for name, block in blocks.items() if (disk := _disk(name, block)))
    answered = {disk.name for disk in disks}
    refused = tuple(
        name
        for name, block in blocks.items()
        if name not in answered and any(word in line for line in block for word in _DENIED)
    )
    mute = [
        name
        for name, block in blocks.items()
        if name not in answered and name not in refused and not _lacks(block)
    ]
    if mute and not (disks or refused):
        raise ReplyError(f"smartctl 对 {mute[0]} 的输出无法识别")
    return Disks(kind, has_tool=True, disks=disks, refused=refused)


def _blocks(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    heads = [number for number, line in enumerate(lines) if _HEAD.match(line)]
    for start, end in pairwise([*heads, len(lines)]):
        head = _HEAD.match(lines[start])
        assert head is not None  # it begins where it matched
        yield " ".join(head.groups()).replace("-d ", "").strip(), lines[start + 1 : end]


def _lacks(block: list[str]) -> bool:
    return any(word in line for line in block for word in _NO_SMART)


def _disk(name: str, block: list[str]) -> Disk | None:
    stated = next((found[1].strip() for line in block if (found := _STATED.match(line))), "")
    if not stated or stated.startswith("UNKNOWN"):
        return None
    attributes = [found for line in block if (found := _ATTRIBUTE.match(line))]
    facts = {found[1]: found[2] for line in block if (found := _FACT.match(line))}
    rows = {found[1]: found[5] for found in attributes} | facts
    counts = {
        word: int(rows[key].replace(",", ""))
        for key, word in _SECTORS.items()
        if rows.get(key, "").replace(",", "").isdecimal()
    }
    used = facts.get("Percentage Used", "")
    is_failing = (
        not stated.startswith(("PASSED", "OK"))
        or any("FAILING_NOW" in found[4] for found in attributes)
        or facts.get("Critical Warning", "0x00").strip("0x") != ""
    )
    used_pct = int(used) if used.isdecimal() else None
    return Disk(name, stated, counts, is_failing, used_pct, _telling(block))


def _telling(block: list[str]) -> tuple[str, ...]:
    words = ("Device Model", "Product:", "Model Number", "Serial", "SMART ", "Sector", "Uncorrect")
    return tuple(line for line in block if any(word in line for word in words))[:10]


def _judge(found: Disks, limits: SmartLimits, subject: Subject) -> Iterator[Verdict]:
    if found.refused and not found.disks:
        raise ReplyError(
            f"smartctl 无权读取 {found.refused[0]}：请授权巡检账号以 sudo 免密执行 smartctl"
        )
    if not found.disks:
        tool = "系统内没有可读取 SMART 的磁盘" if found.has_tool else "未安装 smartmontools"
        raise nothing_to_judge(
            found.kind,
            subject,
            virtual="虚拟机，磁盘健康由虚拟化平台监控",
            physical=f"{tool}：请查看磁盘指示灯，或在管理口（BMC）、阵列卡工具中确认磁盘健康。",
        )
    for disk in found.disks:
        yield _verdict(disk, limits)
    if found.refused:
        yield Verdict(
            Severity.NOTICE,
            f"{len(found.refused)} 块磁盘无权读取，未检查",
            "请授权巡检账号以 sudo 免密执行 smartctl。",
            part="其余磁盘",
        )


def _verdict(disk: Disk, limits: SmartLimits) -> Verdict:
    severity = _severity(disk, limits)
    counts = {name: disk.counts.get(name, 0) for name in ("reallocated", "pending")}
    lost = disk.counts.get("uncorrectable", 0)
    used = (
        f"，寿命已用 {disk.used_pct}%（警告 ≥ {limits.worn_warning_pct}%）"
        if disk.used_pct is not None
        else ""
    )
    return Verdict(
        severity,
        f"{disk.name} 自检结论 {disk.statement}（应为 PASSED 或 OK），"
        f"重映射扇区 {counts['reallocated']}（警告 ≥ {limits.reallocated_warning}），"
        f"待映射 {counts['pending']}、不可纠正 {lost}（应为 0）{used}",
        _ADVICE if severity else "",
        evidence=disk.lines,
        metrics={f"{name}_sectors_count": float(count) for name, count in counts.items()},
        part=disk.name,
    )


def _severity(disk: Disk, limits: SmartLimits) -> Severity:
    reallocated = disk.counts.get("reallocated", 0)
    if disk.is_failing:
        return Severity.CRITICAL
    is_worn = (disk.used_pct or 0) >= limits.worn_warning_pct
    has_lost = disk.counts.get("pending", 0) or disk.counts.get("uncorrectable", 0)
    if has_lost or is_worn or reallocated >= limits.reallocated_warning:
        return Severity.WARNING
    return Severity.NOTICE if reallocated else Severity.OK


_ADVICE = "请先确认备份完好，再安排更换该磁盘；更换前每周用 smartctl -A 观察计数是否继续增长。"

CHECKS = (
    Check(
        name="hardware.smart",
        area=Area.HARDWARE,
        title="磁盘健康（SMART）",
        question="磁盘是否将要损坏？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=SmartLimits(reallocated_warning=50, worn_warning_pct=90),
        source="smartctl(8) -H -A；Backblaze 硬盘统计：属性 5、197、198 预示故障；界限为经验值",
        after=LOGIN_FIRST,
    ),
)

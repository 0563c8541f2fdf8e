"""Whether the disk arrays of each host are whole: Linux software RAID, and hardware controllers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from mailcare.inspection.check import (
    Area,
    Check,
    DoesNotApply,
    ForPerson,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.hosts import LOGIN_FIRST, asked_hosts, host_ask, lines_of
from mailcare.inspection.machines import KIND, is_virtual, kind_of
from mailcare.systems.site import Machine
from mailcare.systems.system import System

_SOFTWARE = ("sh", "-c", "cat /proc/mdstat 2>/dev/null; echo end")
# A PCI device of class 0x0104 is a RAID controller; an HBA without RAID is of another class.
_CONTROLLERS = (
    "sh",
    "-c",
    'for one in /sys/bus/pci/devices/*; do [ -r "$one/class" ] || continue; '
    'case $(cat "$one/class") in 0x0104*) driver=$(readlink "$one/driver"); '
    'echo "raid ${one##*/} ${driver##*/}";; esac; done; '
    "for one in /sys/class/scsi_host/host*/proc_name; do "
    '[ -r "$one" ] && echo "driver $(cat "$one")"; done; echo end',
)
# The makers' tools want root; each lists its volumes with their state.
_VOLUMES = (
    "sh",
    "-c",
    "PATH=$PATH:/opt/MegaRAID/storcli:/opt/MegaRAID/perccli; tried=; "
    "for tool in storcli64 storcli perccli64 perccli; do command -v $tool >/dev/null || continue; "
    "tried=$tool; $tool /call/vall show 2>/dev/null || sudo -n $tool /call/vall show; break; done; "
    "for tool in ssacli hpssacli; do command -v $tool >/dev/null || continue; "
    "tried=$tool; $tool ctrl all show config 2>/dev/null || "
    'sudo -n $tool ctrl all show config; break; done; [ -n "$tried" ] || exit 127',
)
_VOLUMES_S = 20.0
_RAID_DRIVERS = {"megaraid_sas", "hpsa", "aacraid", "smartpqi", "arcmsr", "3w-sas", "3w-9xxx"}
_ARRAY = re.compile(r"^(md\S{1,30}) : (active|inactive)\b(.*)$")
_MEMBERS = re.compile(r"\[(\d{1,3})/(\d{1,3})\] \[([U_]{1,200})\]")
_PROGRESS = re.compile(r"(recovery|resync|reshape|check) {0,3}= {0,3}(\d{1,3}\.\d)%")
_STORCLI = re.compile(r"^(\d{1,3}/\d{1,3}) +(RAID\d{1,2}|\w{2,6}) +(Optl|Dgrd|Pdgd|OfLn|Rec) ")
_SSACLI = re.compile(r"^ *(logicaldrive \d{1,3}) \([^()]{0,80}, ([A-Za-z][A-Za-z ]{1,40})\)")
_WELL = {"Optl", "OK"}
_LISTED_MAX = 64


@dataclass(frozen=True, slots=True)
class Array:
    """An array: how many disks it should have and has, and what it is busy with."""

    name: str
    is_active: bool
    wanted: int
    present: int
    faulty: int
    work: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of a hardware controller and its state in the maker's own word."""

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class Arrays:
    """All arrays of a host; `controllers` are RAID cards that were found."""

    kind: Machine | None
    software: tuple[Array, ...]
    controllers: tuple[str, ...]
    volumes: tuple[Volume, ...]


@dataclass(frozen=True, slots=True)
class ArrayLimits:
    """No number: an array lacks no disk."""


def _ask(system: System) -> Iterator[Question]:
    for node in asked_hosts(system):
        asks = [host_ask(node, *words) for words in (_SOFTWARE, _CONTROLLERS)]
        tools = host_ask(node, *_VOLUMES, timeout_s=_VOLUMES_S)
        yield Question(Target(node.name), (*asks, tools, host_ask(node, *KIND)))


def _parse(replies: tuple[Reply, ...]) -> Arrays:
    software, cards = (lines_of(reply.text, width=500) for reply in replies[:2])
    if "end" not in software or "end" not in cards:
        raise ReplyError("阵列信息的读取没有完成")
    arrays = tuple(_arrays(software))
    if not arrays and any(line.startswith("md") for line in software):
        raise ReplyError("/proc/mdstat 的内容无法识别")
    volumes = tuple(_volumes(lines_of(replies[2].text, width=500)))
    return Arrays(kind_of(replies[3]), arrays, tuple(_controllers(cards)), volumes[:_LISTED_MAX])


def _arrays(lines: list[str]) -> Iterator[Array]:
    heads = [number for number, line in enumerate(lines) if _ARRAY.match(line)]
    for start, end in pairwise([*heads, len(lines)]):
        block = tuple(line for line in lines[start:end] if line.strip())[:4]
        # A container of firmware RAID (imsm, ddf) is never active itself; its arrays are, and they
        # name it: external:/md127/0.
        if not any(re.search("super external:[a-z]", line) for line in block):
            yield _array(block)


def _array(block: tuple[str, ...]) -> Array:
    head = _ARRAY.match(block[0])
    assert head is not None  # the block begins where it matched
    text = "\n".join(line for line in block[1:] if line.startswith(" "))
    members, progress = _MEMBERS.search(text), _PROGRESS.search(text)
    return Array(
        head[1],
        head[2] == "active",
        int(members[1]) if members else 0,
        members[3].count("U") if members else 0,
        head[3].count("(F)"),
        f"{progress[1]} {progress[2]}%" if progress else "",
        block,
    )


def _controllers(lines: list[str]) -> Iterator[str]:
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == "raid" or (kind == "driver" and rest in _RAID_DRIVERS):
            yield rest.strip()[:60]


def _volumes(lines: list[str]) -> Iterator[Volume]:
    for line in lines:
        if found := _STORCLI.match(line):
            yield Volume(f"{found[1]} {found[2]}", found[3])
        elif found := _SSACLI.match(line):
            yield Volume(found[1], found[2])


def _judge(arrays: Arrays, _limits: ArrayLimits, subject: Subject) -> Iterator[Verdict]:
    has_card = bool(arrays.controllers) and not is_virtual(arrays.kind, subject)
    if not (arrays.software or arrays.volumes):
        yield _none_found(arrays, subject, has_card=has_card)
        return
    for array in arrays.software:
        yield _software(array)
    for volume in arrays.volumes:
        yield _hardware(volume)
    if has_card and not arrays.volumes:
        yield Verdict(
            Severity.NOTICE,
            f"另有硬件阵列卡（{'、'.join(arrays.controllers[:4])}），状态未能读取",
            _CARD_ADVICE,
            part="硬件阵列卡",
        )


def _none_found(arrays: Arrays, subject: Subject, *, has_card: bool) -> Verdict:
    if has_card:
        raise ForPerson(f"硬件阵列卡（{'、'.join(arrays.controllers[:4])}）：{_CARD_ADVICE}")
    if is_virtual(arrays.kind, subject):
        raise DoesNotApply("虚拟机，磁盘阵列由虚拟化平台提供")
    return Verdict(
        Severity.NOTICE,
        "没有发现软件阵列（md）或阵列卡，未见磁盘冗余（不含 LVM、ZFS、Btrfs 与外部存储）",
        "请确认邮件存储由其他方式提供冗余；否则建议配置阵列，并保证备份可用。",
    )


def _software(array: Array) -> Verdict:
    severity, state = _state(array)
    size = f"{array.present}/{array.wanted} 块磁盘在线" if array.wanted else "无冗余级别"
    work = f"，正在 {array.work}" if array.work else ""
    return Verdict(
        severity,
        f"软件阵列 {array.name}：{state}（{size}{work}；应全部在线）",
        _ARRAY_ADVICE if severity else "",
        evidence=array.lines,
        part=array.name,
    )


def _state(array: Array) -> tuple[Severity, str]:
    is_rebuilding = array.work.startswith(("recovery", "reshape"))
    if not array.is_active:
        return Severity.CRITICAL, "没有启用"
    if array.present < array.wanted and is_rebuilding:
        return Severity.WARNING, "降级，正在重建"
    if array.present < array.wanted:
        return Severity.CRITICAL, "降级，缺少磁盘"
    if array.faulty:
        return Severity.WARNING, f"完整，但有 {array.faulty} 块坏盘尚未换下"
    if array.work and not array.work.startswith("check"):
        return Severity.NOTICE, "正在同步"
    return Severity.OK, "完整"


def _hardware(volume: Volume) -> Verdict:
    is_rebuilding = volume.state == "Rec" or "Recover" in volume.state
    severity = Severity.WARNING if is_rebuilding else Severity.CRITICAL
    severity = Severity.OK if volume.state in _WELL else severity
    return Verdict(
        severity,
        f"硬件阵列 {volume.name} 的状态为 {volume.state}（应为 Optl 或 OK）",
        _ARRAY_ADVICE if severity else "",
        evidence=(f"{volume.name} {volume.state}",),
        part=volume.name,
    )


_ARRAY_ADVICE = (
    "请先确认备份完好，再用 mdadm --detail 或阵列卡工具找出离线的磁盘，尽快更换并观察重建；"
    "重建完成前再坏一块盘即可能丢失邮件。"
)
_CARD_ADVICE = (
    "请查看磁盘指示灯，或用阵列卡工具（storcli、perccli、ssacli）确认各逻辑盘与磁盘状态正常。"
)

CHECKS = (
    Check(
        name="hardware.raid",
        area=Area.HARDWARE,
        title="磁盘阵列",
        question="磁盘阵列是否完整？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=ArrayLimits(),
        source="md(4) /proc/mdstat；storcli /call/vall show、ssacli ctrl all show config",
        after=LOGIN_FIRST,
    ),
)

"""Whether the file systems of each host have room, and can be written to."""

import re
from collections.abc import Iterable, Iterator
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
from mailcare.inspection.hosts import LOGIN_FIRST, ask_hosts, first_line, lines_of, output_of
from mailcare.inspection.levels import Ceiling
from mailcare.inspection.mounts import MOUNTS, Mount, read_mounts
from mailcare.systems.system import System

# A dead file server holds df for ever; the local disks are then asked about alone. Mounts that df
# may not look at make it end with 1 though the rest is told.
_SILENT_SERVER = "mailcare: remote file systems do not answer"
_SPACE = (
    "sh",
    "-c",
    f'timeout 3 df -P -k; case $? in 124 | 137 | 143) echo "{_SILENT_SERVER}"; df -P -k -l;; '
    "127) df -P -k;; esac",
)
_INODES = ("sh", "-c", "df -P -i -l 2>/dev/null || df -P -i")
_ROW = re.compile(r"^(\S.*?)\s+(\d{1,20})\s+(\d{1,20})\s+(-?\d{1,20})\s+(\d{1,4})%\s+(/.*)$")
_UNLIMITED = re.compile(r"^\S.*?\s0\s+0\s+0\s+-\s+/.*$")
_COMPLAINT = re.compile(
    r"^df: (.*?): (Stale (?:NFS )?file handle|Input/output error|"
    r"Transport endpoint is not connected|Structure needs cleaning)$"
)
_QUOTES = "'`‘’\""


@dataclass(frozen=True, slots=True)
class Usage:
    """How full one file system is, in KiB or inodes, and in per cent as `df` rounds it."""

    point: str
    device: str
    total: int
    free: int
    used_pct: int
    line: str


@dataclass(frozen=True, slots=True)
class Usages:
    """What `df` told: the file systems that hold data, the broken ones, and silent servers."""

    usages: tuple[Usage, ...]
    broken: tuple[tuple[str, str], ...] = ()
    has_silent_server: bool = False


@dataclass(frozen=True, slots=True)
class Writing:
    """The file systems that hold data, and the points where `/etc/fstab` wants read-only."""

    mounts: tuple[Mount, ...]
    meant_read_only: frozenset[str]


@dataclass(frozen=True, slots=True)
class MountLimits:
    """No number: storage is writable unless /etc/fstab says otherwise."""


def _ask_space(system: System) -> Iterator[Question]:
    return ask_hosts(system, MOUNTS, _SPACE)


def _ask_inodes(system: System) -> Iterator[Question]:
    return ask_hosts(system, MOUNTS, _INODES)


def _parse_space(replies: tuple[Reply, ...]) -> Usages:
    text = output_of(replies[1], "df")
    usages = _of_storage(replies[0], text)
    broken = tuple(_broken(lines_of(text)))
    if not usages and not broken:
        raise ReplyError(f"df 的输出中没有数据文件系统：{first_line(text)}")
    return Usages(usages, broken, _SILENT_SERVER in text)


def _parse_inodes(replies: tuple[Reply, ...]) -> Usages:
    text = output_of(replies[1], "df")
    usages = _of_storage(replies[0], text)
    if not usages and not any(map(_UNLIMITED.match, lines_of(text))):
        raise ReplyError(f"df -i 的输出中没有数据文件系统：{first_line(text)}")
    return Usages(usages)


def _of_storage(mounts: Reply, text: str) -> tuple[Usage, ...]:
    skipped = {mount.point for mount in read_mounts(mounts) if not mount.holds_data}
    rows = {usage.point: usage for usage in _usages(lines_of(text))}
    pools = dict[tuple[str, int, int], Usage]()  # the subvolumes of one btrfs share its room
    for point, usage in rows.items():
        if point not in skipped:
            pools.setdefault((usage.device, usage.total, usage.free), usage)
    return tuple(pools.values())


def _usages(lines: Iterable[str]) -> Iterator[Usage]:
    for line in lines:
        if (row := _ROW.match(line)) and int(row[2]) > 0:
            yield Usage(row[6], row[1], int(row[2]), max(0, int(row[4])), int(row[5]), line)


def _broken(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if found := _COMPLAINT.match(line):
            yield found[1].strip(_QUOTES), line


def _judge_space(usages: Usages, limits: Ceiling, _subject: Subject) -> Iterator[Verdict]:
    for usage in usages.usages:
        room = f"剩余 {_size(usage.free)}"
        yield _filled(usage, limits, what="空间", room=room, advice=_SPACE_ADVICE)
    for point, line in usages.broken:
        yield Verdict(
            Severity.CRITICAL,
            f"文件系统 {point} 出错，无法访问",
            "请立即查看内核日志（dmesg），检查磁盘、阵列或文件服务器；确认备份完好后再修复。",
            evidence=(line,),
            part=point,
        )
    if usages.has_silent_server:
        yield Verdict(
            Severity.NOTICE,  # storage.network tells which one, and how bad that is
            "网络存储在 3 秒内没有应答，未能检查其空间",
            "请先处理“网络存储”一项的问题，再检查其空间。",
            evidence=(_SILENT_SERVER,),
            part="网络存储",
        )


def _judge_inodes(usages: Usages, limits: Ceiling, _subject: Subject) -> Iterator[Verdict]:
    for usage in usages.usages:
        room = f"剩余 {usage.free:,} 个"
        yield _filled(usage, limits, what=" inode ", room=room, advice=_INODES_ADVICE)
    if not usages.usages:
        yield Verdict(Severity.OK, "数据文件系统按需分配 inode，没有用尽之虞")


def _filled(usage: Usage, limits: Ceiling, *, what: str, room: str, advice: str) -> Verdict:
    severity = limits.severity(usage.used_pct)
    return Verdict(
        severity,
        f"{usage.point} 的{what}已用 {usage.used_pct}%，{room}"
        f"（警告 ≥ {limits.warning:g}%，严重 ≥ {limits.critical:g}%）",
        advice if severity else "",
        evidence=(usage.line,),
        metrics={"used_pct": float(usage.used_pct)},
        part=usage.point,
    )


def _size(kib: int) -> str:
    size, units = float(kib), ["KiB", "MiB", "GiB", "TiB", "PiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size:.1f} {units[0]}"


_SPACE_ADVICE = (
    "请用 du -xsh 找出增长最快的目录，清理过期日志、临时文件和无主邮箱，或扩容；"
    "邮件存储或队列所在分区写满后将无法收信。"
)
_INODES_ADVICE = (
    "请用 du --inodes -x 找出小文件最多的目录，清理会话、缓存与过期邮件；"
    "inode 用尽后即使有空间也无法新建文件。"
)


def _ask_mounts(system: System) -> Iterator[Question]:
    return ask_hosts(system, MOUNTS, ("cat", "/etc/fstab"))


def _parse_mounts(replies: tuple[Reply, ...]) -> Writing:
    mounts = tuple(mount for mount in read_mounts(replies[0]) if mount.holds_data)
    rows = (line.split() for line in lines_of(replies[1].text) if not line.startswith("#"))
    meant = {row[1] for row in rows if len(row) >= 4 and "ro" in row[3].split(",")}
    if not mounts:
        raise ReplyError("/proc/mounts 中没有数据文件系统")
    return Writing(mounts, frozenset(meant))


def _judge_mounts(writing: Writing, _limits: MountLimits, _subject: Subject) -> Iterator[Verdict]:
    read_only = [
        mount
        for mount in writing.mounts
        if "ro" in mount.options and mount.point not in writing.meant_read_only
    ]
    for mount in read_only:
        yield _read_only(mount)
    if not read_only:
        points = "、".join(mount.point for mount in writing.mounts)
        meant = len(writing.meant_read_only.intersection(mount.point for mount in writing.mounts))
        note = f"，其中 {meant} 个按 /etc/fstab 只读" if meant else ""
        count = len(writing.mounts)
        yield Verdict(Severity.OK, f"{count} 个数据文件系统均按设定挂载{note}", evidence=(points,))


def _read_only(mount: Mount) -> Verdict:
    line = f"{mount.source} {mount.point} {mount.kind} {','.join(mount.options)}"
    if mount.is_network or mount.kind == "zfs":  # ZFS never turns read-only by itself
        severity = Severity.NOTICE
        advice = "请确认该文件系统只读是否有意为之。"
    else:
        severity = Severity.CRITICAL
        advice = "多为磁盘出错后内核所为：请查看 dmesg，确认备份完好后检查磁盘并修复文件系统。"
    summary = f"{mount.point} 以只读方式挂载，而 /etc/fstab 没有这样设定"
    return Verdict(severity, summary, advice, evidence=(line,), part=mount.point)


CHECKS = (
    Check(
        name="storage.space",
        area=Area.STORAGE,
        title="磁盘空间",
        question="磁盘空间是否够用？",
        ask=_ask_space,
        parse=_parse_space,
        judge=_judge_space,
        limits=Ceiling(warning=80, critical=90, unit="%"),
        source="df(1)；Checkmk df 缺省界限 80% / 90%",
        after=LOGIN_FIRST,
    ),
    Check(
        name="storage.inodes",
        area=Area.STORAGE,
        title="inode",
        question="文件系统的 inode 是否够用？",
        ask=_ask_inodes,
        parse=_parse_inodes,
        judge=_judge_inodes,
        limits=Ceiling(warning=80, critical=90, unit="%"),
        source="df(1) -i；每封邮件一个文件的存储格式先用尽 inode；界限与空间相同",
        after=LOGIN_FIRST,
    ),
    Check(
        name="storage.mounts",
        area=Area.STORAGE,
        title="文件系统挂载",
        question="文件系统是否按设定挂载，有无变为只读？",
        ask=_ask_mounts,
        parse=_parse_mounts,
        judge=_judge_mounts,
        limits=MountLimits(),
        source="proc(5) /proc/mounts；ext4(5) errors=remount-ro：出错后转为只读",
        after=LOGIN_FIRST,
    ),
)

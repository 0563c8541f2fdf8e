"""Whether the storage of each host answers: reported errors, waiting requests, dead servers."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from mailcare.inspection.check import (
    Area,
    Check,
    DoesNotApply,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.hosts import LOGIN_FIRST, asked_hosts, host_ask, lines_of
from mailcare.inspection.levels import Ceiling
from mailcare.inspection.snapshot import (
    DiskUse,
    Window,
    ask_samples,
    read_snapshots,
    windows_between,
)
from mailcare.systems.system import System

# The first source that the inspector may read. Lines are picked out on the host.
_LOG_PATTERN = (
    "I/O error|critical (medium|target|space allocation) error|Medium Error|Unrecovered read error|"
    "EXT[234]-fs error|EXT[234]-fs .*(remounting filesystem read-only|corrupt)|"
    "XFS .*(metadata I/O error|[Cc]orruption|[Ss]hutting down filesystem|log I/O error)|"
    "BTRFS (error|critical)|nvme.*I/O .*QID|blk_update_request|"
    "(ata|sd)[0-9a-z.:]+.*(failed command|hard resetting link)|rejecting I/O to offline device"
)
# Empty drives, and requests that a disk need not know (a discard, zeroes without writing).
_LOG_HARMLESS = (
    "dev(ice)? (fd|sr|loop)[0-9]|sr[0-9]+\\]|"
    "DISCARD|WRITE_ZEROES|WRITE_SAME|operation not supported"
)
_LOG = (
    "sh",
    "-c",
    "for way in dmesg 'sudo -n dmesg' 'journalctl -k -b -q --no-pager -n 20000' "
    "'tail -n 20000 /var/log/kern.log' 'tail -n 20000 /var/log/messages'; do "
    'text=$($way 2>/dev/null) && [ -n "$text" ] || continue; echo "== $way"; '
    # A line of RFC 5424 says `kernel - - -` where the older form says `kernel:`.
    "only=; case $way in tail*) only=' kernel(: | - )';; esac; "
    f"printf '%s\\n' \"$text\" | grep -E \"$only\" | grep -E '{_LOG_PATTERN}' | "
    f"grep -vE '{_LOG_HARMLESS}' | "
    "cut -c 1-300 | tail -n 40; break; done; "
    "for file in /sys/fs/ext4/*/errors_count; do "
    '[ -r "$file" ] || continue; one=${file%/*}; echo "ext4 ${one##*/} $(cat "$file")"; done; '
    "for file in /sys/block/*/device/ioerr_cnt; do "
    '[ -r "$file" ] || continue; one=${file%/device/*}; echo "ioerr ${one##*/} $(cat "$file")"; '
    "done; echo end",
)
_LOG_S = 15.0
_EXT4 = re.compile(r"^ext4 (\S{1,60}) (\d{1,10})$", re.ASCII)
_IOERR = re.compile(r"^ioerr (?!sr)(\S{1,60}) 0x([0-9a-f]{1,8})$", re.ASCII)
_MISFORTUNE = re.compile(
    r"I/O error|[Cc]orrupt|[Ss]hutting down|read-only|Medium Error|medium error|EXT[234]-fs error|"
    r"Unrecovered|BTRFS critical"
)
_WHOLE = re.compile(
    r"(?:sd|vd|hd|xvd)[a-z]{1,3}|nvme\d{1,3}n\d{1,3}|mmcblk\d{1,2}|dasd[a-z]{1,3}|"
    r"cciss/c\d{1,2}d\d{1,2}"
)
# Only for kinds whose data lie on another machine; stat -f asks the server and nothing else. All
# at once: many dead servers take no longer than one.
_NETWORK = (
    "sh",
    "-c",
    "cat /proc/mounts | { while read -r source point kind rest; do case $kind in "
    "nfs | nfs4 | cifs | smb3 | smbfs | glusterfs | ceph | fuse.glusterfs | fuse.sshfs) ;; "
    "*) continue;; esac; "
    '( timeout 3 stat -f "$(printf %b "$point")" >/dev/null 2>&1; '
    'echo "mount $? $kind $point" ) & done; wait; }; echo end',
)
_NETWORK_S = 30.0
_MOUNT = re.compile(r"^mount (\d{1,3}) (\S{1,20}) (/.{0,200})$", re.ASCII)
_HANGING = {124, 137, 143}
_NO_TIMEOUT = 127


@dataclass(frozen=True, slots=True)
class DiskErrors:
    """Where the kernel's log was read (empty: nowhere), its lines, and the counters by device."""

    source: str
    lines: tuple[str, ...]
    ext4: tuple[tuple[str, int], ...]
    io: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class DiskErrorLimits:
    """Requests that failed since boot; a disk may refuse some commands that it does not know."""

    failed_notice: int


@dataclass(frozen=True, slots=True)
class Wait:
    """A disk's median window: how busy it was, and how long a request took; None if it was idle."""

    disk: str
    busy_pct: float
    wait_ms: float | None
    requests: int


@dataclass(frozen=True, slots=True)
class WaitLimits:
    """Milliseconds a request; per cent of the time with requests under way (a notice)."""

    wait_ms: Ceiling
    busy_notice_pct: float


@dataclass(frozen=True, slots=True)
class RemoteMount:
    """A network file system and how the question for it ended."""

    point: str
    kind: str
    code: int


@dataclass(frozen=True, slots=True)
class RemoteLimits:
    """How long a file server may take."""

    answer_s: int


def _ask_errors(system: System) -> Iterator[Question]:
    for node in asked_hosts(system):
        yield Question(Target(node.name), (host_ask(node, *_LOG, timeout_s=_LOG_S),))


def _parse_errors(replies: tuple[Reply, ...]) -> DiskErrors:
    lines = lines_of(replies[0].text, width=400)
    if "end" not in lines:
        raise ReplyError("内核日志的读取没有完成")
    ext4 = tuple((row[1], int(row[2])) for row in map(_EXT4.match, lines) if row)
    io = tuple((row[1], int(row[2], 16)) for row in map(_IOERR.match, lines) if row)
    source = next((line[3:] for line in lines if line.startswith("== ")), "")
    if not source and not ext4:
        raise ReplyError(
            "无权读取内核日志：请将巡检账号加入 adm 或 systemd-journal 组，或授权 sudo -n dmesg"
        )
    kept = (line for line in lines if not line.startswith(("== ", "ext4 ", "ioerr ")))
    return DiskErrors(source, tuple(line for line in kept if line not in ("end", "")), ext4, io)


def _judge_errors(
    found: DiskErrors, limits: DiskErrorLimits, _subject: Subject
) -> Iterator[Verdict]:
    damaged = [f"{name} {count}" for name, count in found.ext4 if count]
    refused = [f"{name} {count}" for name, count in found.io if count >= limits.failed_notice]
    severity, advice = _error_meaning(found, damaged, refused)
    log = f"内核日志（{found.source}）中磁盘错误 {len(found.lines)} 条" if found.source else _UNREAD
    yield Verdict(
        severity,
        f"{log}，ext4 记录的错误 {sum(count for _, count in found.ext4)} 次（均应为 0）"
        f"，失败的磁盘命令达 {limits.failed_notice} 次的磁盘 {len(refused)} 块（达到提示）",
        advice,
        evidence=(*found.lines[-8:], *damaged, *refused) or (found.source,),
        metrics={"storage_errors_count": float(len(found.lines))},
    )


def _error_meaning(
    found: DiskErrors, damaged: Sequence[str], refused: Sequence[str]
) -> tuple[Severity, str]:
    if damaged or any(map(_MISFORTUNE.search, found.lines)):
        return Severity.CRITICAL, (
            "请立即确认备份完好，再检查磁盘健康（smartctl）、阵列和线缆；"
            "文件系统有错误时安排停机用 fsck 或 xfs_repair 修复。"
        )
    if found.lines:
        return Severity.WARNING, "请检查磁盘线缆、背板和固件，观察是否再现，并核对磁盘健康。"
    if refused:
        return Severity.NOTICE, "请用 smartctl 核对该磁盘；计数自启动起累计，下次巡检时对照。"
    if not found.source:
        return Severity.NOTICE, "请将巡检账号加入 adm 或 systemd-journal 组，以便检查内核日志。"
    return Severity.OK, ""


_UNREAD = "内核日志无权读取，只核对了文件系统自身的计数"


def _parse_wait(replies: tuple[Reply, ...]) -> tuple[Wait, ...]:
    snapshots = read_snapshots(replies)
    counted = [one.disks() for one in snapshots]
    windows = windows_between(snapshots)
    names = [name for name in counted[-1] if _WHOLE.fullmatch(name)]
    if not names:
        raise ReplyError("/proc/diskstats 中没有可识别的磁盘")
    return tuple(
        _wait(name, [counts[name] for counts in counted], windows)
        for name in names
        if all(name in counts for counts in counted)
    )


def _wait(name: str, counts: Sequence[DiskUse], windows: Sequence[Window]) -> Wait:
    busy, waits = [], []
    for before, after, window in zip(counts, counts[1:], windows, strict=False):
        requests = after.requests - before.requests
        waited, active = after.waited_ms - before.waited_ms, after.busy_ms - before.busy_ms
        if min(requests, waited, active) < 0:  # 32 bits: the milliseconds start anew after 49 days
            continue
        busy.append(min(100.0, active / window.seconds / 10))
        if requests:
            waits.append(waited / requests)
    if not busy:
        raise ReplyError("采样期间磁盘计数变小，无法计算等待时间")
    done = counts[-1].requests - counts[0].requests
    return Wait(name, median(busy), median(waits) if waits else None, max(0, done))


def _judge_wait(
    waits: tuple[Wait, ...], limits: WaitLimits, _subject: Subject
) -> Iterator[Verdict]:
    if not waits:
        raise ReplyError("采样期间磁盘有增减，无法计算等待时间")
    for one in waits:
        severity = _wait_severity(one, limits)
        took = "没有请求" if one.wait_ms is None else f"每个请求平均 {one.wait_ms:.0f} 毫秒"
        yield Verdict(
            severity,
            f"{one.disk} {took}（警告 ≥ {limits.wait_ms.warning:g}，"
            f"严重 ≥ {limits.wait_ms.critical:g} 毫秒），"
            f"繁忙 {one.busy_pct:.0f}%（≥ {limits.busy_notice_pct:g}% 提示）",
            _WAIT_ADVICE if severity else "",
            evidence=(f"{one.disk}: {one.requests} requests",),
            metrics={"disk_busy_pct": round(one.busy_pct, 1)}
            | ({} if one.wait_ms is None else {"disk_wait_ms": round(one.wait_ms, 1)}),
            part=one.disk,
        )


def _wait_severity(one: Wait, limits: WaitLimits) -> Severity:
    busy = Severity.NOTICE if one.busy_pct >= limits.busy_notice_pct else Severity.OK
    if one.wait_ms is None or one.requests < _ENOUGH_REQUESTS:
        return busy
    return max(busy, limits.wait_ms.severity(one.wait_ms))


_ENOUGH_REQUESTS = 30
_WAIT_ADVICE = (
    "请用 iostat -x、iotop 找出占用磁盘的进程，检查阵列是否降级或正在重建、缓存电池是否失效；"
    "长期如此请更换为更快的磁盘，或把邮件队列与存储分开。"
)


def _ask_network(system: System) -> Iterator[Question]:
    for node in asked_hosts(system):
        yield Question(Target(node.name), (host_ask(node, *_NETWORK, timeout_s=_NETWORK_S),))


def _parse_network(replies: tuple[Reply, ...]) -> tuple[RemoteMount, ...]:
    lines = lines_of(replies[0].text, width=300)
    if "end" not in lines or any("/proc/mounts" in line for line in lines):
        raise ReplyError("网络存储的检查没有完成")
    rows = [row for row in map(_MOUNT.match, lines) if row]
    if not rows:
        raise DoesNotApply("没有挂载网络存储")
    if all(int(row[1]) == _NO_TIMEOUT for row in rows):
        raise ReplyError("主机上没有命令 timeout 或 stat，无法安全地询问网络存储")
    return tuple(RemoteMount(row[3], row[2], int(row[1])) for row in rows)


def _judge_network(
    mounts: tuple[RemoteMount, ...], limits: RemoteLimits, _subject: Subject
) -> Iterator[Verdict]:
    for mount in mounts:
        severity, says = _remote_state(mount)
        yield Verdict(
            severity,
            f"{mount.point}（{mount.kind}）{says}（应在 {limits.answer_s} 秒内应答）",
            _REMOTE_ADVICE if severity else "",
            evidence=(f"stat -f {mount.point}: {mount.code}",),
            part=mount.point,
        )


def _remote_state(mount: RemoteMount) -> tuple[Severity, str]:
    if mount.code in _HANGING:
        return Severity.CRITICAL, "没有应答"
    if mount.code == 0:
        return Severity.OK, "正常应答"
    return Severity.WARNING, f"无法访问（stat 退出码 {mount.code}）"


_REMOTE_ADVICE = (
    "请检查文件服务器、网络和导出权限；访问该挂载点的邮件进程会被阻塞，恢复后可能需要重新挂载。"
)

CHECKS = (
    Check(
        name="storage.errors",
        area=Area.STORAGE,
        title="磁盘与文件系统错误",
        question="磁盘或文件系统是否报过错？",
        ask=_ask_errors,
        parse=_parse_errors,
        judge=_judge_errors,
        limits=DiskErrorLimits(failed_notice=100),
        source="内核日志（dmesg、journalctl -k）；ext4 sysfs errors_count；失败命令的界限为经验值",
        after=LOGIN_FIRST,
    ),
    Check(
        name="storage.wait",
        area=Area.STORAGE,
        title="磁盘等待时间",
        question="磁盘是否响应过慢？",
        ask=ask_samples,
        parse=_parse_wait,
        judge=_judge_wait,
        limits=WaitLimits(wait_ms=Ceiling(warning=100, critical=500), busy_notice_pct=90),
        source="内核 iostats 文档 /proc/diskstats 采样之差；界限为经验值",
        after=LOGIN_FIRST,
    ),
    Check(
        name="storage.network",
        area=Area.STORAGE,
        title="网络存储",
        question="网络存储是否应答？",
        ask=_ask_network,
        parse=_parse_network,
        judge=_judge_network,
        limits=RemoteLimits(answer_s=3),
        source="statfs(2)；文件服务器失去应答时，硬挂载（nfs(5) hard）的访问会一直阻塞",
        after=LOGIN_FIRST,
    ),
)

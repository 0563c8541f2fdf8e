"""Broken parts: the machine has none to break, so each shows itself as the real one would."""

from collections.abc import Callable
from datetime import UTC, datetime

from lab import hosts, layers, probes, wtmp
from lab.faults.fault import on_mx1
from lab.topology import MX1

_LIBRARY = "/usr/local/lib/mailcare-lab"
_SHOWN = "/run/shown"
_GATEWAY = "10.66.0.254"
_KERNEL_LOG = "run/shown/kernel-log"
_IO_ERRORS = """\
[81204.418120] sd 0:0:0:0: [sda] tag#12 FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_OK
[81204.418131] sd 0:0:0:0: [sda] tag#12 Sense Key : Medium Error [current]
[81204.418140] blk_update_request: I/O error, dev sda, sector 2048512 op 0x0:(READ) flags 0x0
[81204.418162] EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm imap: bad block
"""

Action = Callable[[], None]


def _run(*words: str) -> None:
    hosts.get_running(MX1).run(*words)


def _cover(path: str, by: str) -> None:
    if not _is_mounted(path):
        _run("mount", "--bind", by, path)


def _uncover(path: str) -> None:
    if _is_mounted(path):
        _run("umount", path)


def _is_mounted(path: str) -> bool:
    mounts = (hosts.get_running(MX1).root / "proc/1/mounts").read_text()
    return any(line.split()[1] == path for line in mounts.splitlines())


def _write(path: str, content: str | bytes) -> None:
    hosts.get_running(MX1).write(path, content)


def _covered(command: str, *, file: str, word: str) -> tuple[Action, Action]:
    """Cover a command by one that shows what a word in a file names."""

    def inject() -> None:
        _write(f"run/shown/{file}", f"{word}\n")
        _cover(f"/usr/bin/{command}", f"{_LIBRARY}/{command}-{_COVERS[command]}")

    def heal() -> None:
        _uncover(f"/usr/bin/{command}")
        _write(f"run/shown/{file}", "none\n")

    return inject, heal


_COVERS = {"head": "strained", "cat": "shown"}


def _strained(word: str) -> tuple[Action, Action]:
    return _covered("head", file="strain", word=word)


def _added(command: str, script: str, *files: str) -> tuple[Action, Action]:
    """Install a command that the host did not have, and the files that it is looked for by."""

    def inject() -> None:
        for name in files:
            _run("mkdir", "-p", name.rpartition("/")[0])
            _run("touch", name)
        _run("cp", f"{_LIBRARY}/{script}", f"/usr/local/sbin/{command}")

    def heal() -> None:
        _run("rm", "-f", f"/usr/local/sbin/{command}", *files)

    return inject, heal


def _hang_mount() -> None:
    shown, _ = _covered("cat", file="cat", word="mount")
    shown()
    _cover("/usr/bin/stat", f"{_LIBRARY}/stat-hanging")


def _answer_mount() -> None:
    _, hidden = _covered("cat", file="cat", word="mount")
    hidden()
    _uncover("/usr/bin/stat")
    hosts.get_running(MX1).attempt("pkill", "-f", "sleep 86399")


def _count_errors() -> None:
    if not _is_mounted("/sys/devices/system"):
        layers_of = f"lowerdir={_SHOWN}/edac:/sys/devices/system"
        _run("mount", "-t", "overlay", "-o", layers_of, "overlay", "/sys/devices/system")


def _kill_processes(count: int) -> Action:
    calm = (layers.FILES / "views" / "vmstat").read_text()
    return lambda: _write("run/views/vmstat", calm.replace("oom_kill 0", f"oom_kill {count}"))


def _kernel_log(more: str) -> Action:
    calm = (layers.FILES / "viewed" / _KERNEL_LOG).read_text()
    return lambda: _write(_KERNEL_LOG, calm + more)


def _starts(crash_days_ago: float | None) -> Action:
    return lambda: _write(
        "var/log/wtmp",
        wtmp.started_and_stopped(datetime.now(UTC), crash_days_ago=crash_days_ago),
    )


def _lose_gateway() -> None:
    _run("ip", "route", "replace", "default", "via", _GATEWAY, "dev", "eth0")
    _run("ip", "neigh", "replace", _GATEWAY, "dev", "eth0", "nud", "failed")


def _need_no_gateway() -> None:
    running = hosts.get_running(MX1)
    running.attempt("ip", "route", "del", "default")
    running.attempt("ip", "neigh", "del", _GATEWAY, "dev", "eth0")


def _says(command: str, word: str) -> Callable[[], bool]:
    return lambda: word in probes.read_over_ssh(command)


def _grows(file: str, awk: str) -> Callable[[], bool]:
    """Tell whether a number in a file differs between two looks."""
    look = f"head -n 99 /proc/uptime /proc/{file} | awk '{awk}'"
    return lambda: len(set(probes.read_over_ssh(f"{look}; sleep 0.3; {look}").split())) > 1


_PATH = "PATH=$PATH:/usr/local/sbin;"

FAULTS = (
    on_mx1(
        "raid-degraded",
        "磁盘阵列降级",
        effect="/proc/mdstat on mx1 shows a mirror with one disk failed (a view)",
        slot="command cat",
        actions=_covered("cat", file="cat", word="array"),
        is_visible=_says("cat /proc/mdstat 2>&1", "[U_]"),
    ),
    on_mx1(
        "disk-failing",
        "磁盘自检报告即将损坏",
        effect="smartctl on mx1 tells of a disk that fails its self-assessment (a view)",
        slot="command smartctl",
        actions=_added("smartctl", "smartctl-failing"),
        is_visible=_says(f"{_PATH} smartctl -H /dev/sda 2>&1", "FAILED!"),
    ),
    on_mx1(
        "temperature-high",
        "CPU 温度过高",
        effect="a thermal zone of mx1 reads 98 degrees (a view)",
        slot="thermal zones",
        actions=(
            lambda: _cover("/sys/class/thermal", f"{_SHOWN}/thermal"),
            lambda: _uncover("/sys/class/thermal"),
        ),
        is_visible=_says("cat /sys/class/thermal/*/temp 2>&1", "98000"),
    ),
    on_mx1(
        "memory-errors",
        "内存出现不可纠正错误",
        effect="the memory controller of mx1 counts errors (a view)",
        slot="/sys/devices/system",
        actions=(_count_errors, lambda: _uncover("/sys/devices/system")),
        is_visible=_says("cat /sys/devices/system/edac/mc/mc0/ce_count 2>&1", "412"),
    ),
    on_mx1(
        "busy-for-days",
        "CPU 连日繁忙",
        effect="sar on mx1 tells of days at 90 % use (a view)",
        slot="command sar",
        actions=_added("sar", "sar-busy", "/var/log/sysstat/sa20"),
        is_visible=_says(f"{_PATH} sar -u 2>&1", "70.10"),
    ),
    on_mx1(
        "swap-thrash",
        "内存频繁换页",
        effect="/proc/vmstat on mx1 counts 20 MiB swapped in and out each second (a view)",
        slot="command head",
        actions=_strained("swap"),
        is_visible=_grows("vmstat", "/^pswpin /{print $2}"),
    ),
    on_mx1(
        "oom-kill",
        "内存耗尽终止进程",
        effect="/proc/vmstat on mx1 counts three killed processes (a view)",
        slot="/proc/vmstat",
        actions=(_kill_processes(3), _kill_processes(0)),
        is_visible=_says("grep oom_kill /proc/vmstat", "oom_kill 3"),
    ),
    on_mx1(
        "link-saturated",
        "网络带宽占满",
        effect="/proc/net/dev on mx1 counts 9.6 Gbit/s coming in (a view)",
        slot="command head",
        actions=_strained("link"),
        is_visible=_grows("net/dev", "/eth0:/ && $2 > 1e9 {print $2}"),
    ),
    on_mx1(
        "nic-errors",
        "网卡大量错误包",
        effect="/proc/net/dev on mx1 counts 2 % of the packets as errors (a view)",
        slot="command head",
        actions=_strained("errors"),
        is_visible=_grows("net/dev", "/eth0:/ && $4 > 100 {print $4}"),
    ),
    on_mx1(
        "gateway-dead",
        "默认网关不应答",
        effect="the default route of mx1 leads to an address that answers no ARP request (a view)",
        slot="default route",
        actions=(_lose_gateway, _need_no_gateway),
        is_visible=_says("cat /proc/net/route", "FE00420A"),
    ),
    on_mx1(
        "disk-slow",
        "磁盘响应缓慢",
        effect="/proc/diskstats on mx1 counts 800 ms for each request (a view)",
        slot="command head",
        actions=_strained("disk"),
        is_visible=_grows("diskstats", '$3 == "vda" {print $7}'),
    ),
    on_mx1(
        "io-errors",
        "磁盘读写错误",
        effect="the kernel log of mx1 tells of unreadable sectors (a view)",
        slot="kernel log",
        actions=(_kernel_log(_IO_ERRORS), _kernel_log("")),
        is_visible=_says("dmesg", "Medium Error"),
    ),
    on_mx1(
        "nfs-hang",
        "网络存储挂起",
        effect="/proc/mounts on mx1 shows a file server that answers no stat -f (a view)",
        slot="command cat",
        actions=(_hang_mount, _answer_mount),
        is_visible=_says(
            "cat /proc/mounts; timeout 1 stat -f /mnt/archive >/dev/null; echo $?", "124"
        ),
    ),
    on_mx1(
        "up-for-years",
        "主机连续运行 612 天未重启",
        effect="/proc/uptime on mx1 tells of 612 days (a view)",
        slot="command cat",
        actions=_covered("cat", file="cat", word="age"),
        is_visible=_says("cat /proc/uptime", "52876800.00"),
    ),
    on_mx1(
        "reboot-crash",
        "主机意外重启",
        effect="wtmp on mx1 has a start three days ago without a shutdown before it (a view)",
        slot="wtmp",
        actions=(_starts(3), _starts(None)),
        is_visible=lambda: probes.read_over_ssh("last -x -F reboot shutdown").count("reboot ") > 3,
    ),
)

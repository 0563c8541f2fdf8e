"""A host that is slow, short of memory, off the network or wrong about the time."""

import time
from collections.abc import Callable

from lab import hosts, layers, network, probes
from lab.faults.fault import on_mx1
from lab.topology import MX1

_LIBRARY = "/usr/local/lib/mailcare-lab"
_HANGING = "sleep 86399"
_TIMED_OUT = "124"
_SKEW_S = 300
_HIGH_LOAD = 8.0
_LOW_KIB = 300_000
_BUSY_SHARE = 0.8


def _cover(command: str, by: str) -> None:
    hosts.get_running(MX1).run("mount", "--bind", f"{_LIBRARY}/{by}", command)


def _uncover(command: str) -> None:
    running = hosts.get_running(MX1)
    if f" {command} " in running.run("cat", "/proc/mounts"):
        running.run("umount", command)
    running.attempt("pkill", "-f", _HANGING)


def _show_file(path: str, text: str) -> None:
    hosts.get_running(MX1).write(path, text)


def _view(name: str) -> str:
    return (layers.FILES / "views" / name).read_text()


def _poor_memory() -> str:
    poor = {
        "MemFree:": 81_204,
        "MemAvailable:": 152_360,
        "Buffers:": 3_120,
        "Cached:": 168_004,
        "SwapFree:": 40_112,
        "AnonPages:": 7_310_228,
    }
    lines = []
    for line in _view("meminfo").splitlines():
        name, _, _ = line.partition(" ")
        lines.append(f"{name:15}{poor[name]:9} kB" if name in poor else line)
    return "\n".join(lines) + "\n"


def _busy_share() -> float:
    command = "head -1 /proc/stat; sleep 0.5; head -1 /proc/stat"
    lines = probes.read_over_ssh(command).splitlines()
    before, after = ([int(word) for word in line.split()[1:]] for line in lines)
    passed = [new - old for old, new in zip(before, after, strict=True)]
    return 1 - passed[3] / max(sum(passed), 1)


def _show_release(change: Callable[[str], str]) -> None:
    for path in ("etc/os-release", "etc/debian_version"):
        _show_file(path, change((layers.FILES / "viewed" / path).read_text()))


def _ended(text: str) -> str:
    return text.replace("12.11", "10.13").replace("12", "10").replace("bookworm", "buster")


def _available_kib() -> int:
    return int(probes.read_over_ssh("grep MemAvailable /proc/meminfo").split()[1])


FAULTS = (
    on_mx1(
        "command-hang",
        "命令无响应(df 挂起)",
        effect="df on mx1 never returns",
        actions=(lambda: _cover("/usr/bin/df", "hang"), lambda: _uncover("/usr/bin/df")),
        is_visible=lambda: (
            probes.read_over_ssh("timeout 1 df -P / >/dev/null; echo $?").strip() == _TIMED_OUT
        ),
    ),
    on_mx1(
        "clock-skew",
        "系统时钟快 10 分钟",
        effect="`date` on mx1 is ten minutes ahead (the command only: the kernel is shared)",
        actions=(lambda: _cover("/usr/bin/date", "date-ahead"), lambda: _uncover("/usr/bin/date")),
        is_visible=lambda: int(probes.read_over_ssh("date +%s")) - time.time() > _SKEW_S,
    ),
    on_mx1(
        "link-down",
        "服务器网络中断",
        effect="the network cable of mx1 is pulled",
        actions=(
            lambda: network.set_cable(MX1, "down"),
            lambda: network.set_cable(MX1, "up"),
        ),
        is_visible=lambda: not probes.can_connect(MX1.address, 22),
    ),
    on_mx1(
        "load-high",
        "系统负载过高",
        effect="/proc/loadavg on mx1 tells of a load of 14 (a view, not real pressure)",
        actions=(
            lambda: _show_file("run/views/loadavg", "14.92 11.40 6.80 9/231 5120\n"),
            lambda: _show_file("run/views/loadavg", _view("loadavg")),
        ),
        is_visible=lambda: float(probes.read_over_ssh("cat /proc/loadavg").split()[0]) > _HIGH_LOAD,
    ),
    on_mx1(
        "memory-low",
        "可用内存不足",
        effect="/proc/meminfo on mx1 tells of 2 % available memory (a view)",
        actions=(
            lambda: _show_file("run/views/meminfo", _poor_memory()),
            lambda: _show_file("run/views/meminfo", _view("meminfo")),
        ),
        is_visible=lambda: _available_kib() < _LOW_KIB,
    ),
    on_mx1(
        "release-ended",
        "操作系统已停止维护",
        effect="/etc/os-release on mx1 tells of a Debian 10, which ended in 2024 (a view)",
        actions=(lambda: _show_release(_ended), lambda: _show_release(str)),
        is_visible=lambda: 'VERSION_ID="10"' in probes.read_over_ssh("cat /etc/os-release"),
    ),
    on_mx1(
        "cpu-busy",
        "CPU 持续繁忙",
        effect="/proc/stat on mx1 advances at 97 % busy (a view)",
        actions=(
            lambda: _show_file("run/busy-share", "0.97"),
            lambda: _show_file("run/busy-share", "0.10"),
        ),
        is_visible=lambda: _busy_share() > _BUSY_SHARE,
    ),
)

"""Whether a host still runs what it was updated away from: an old kernel, old libraries."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cmp_to_key

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
from mailcare.inspection.hosts import (
    LOGIN_FIRST,
    asked_hosts,
    first_line,
    host_ask,
    lines_of,
    output_of,
)
from mailcare.inspection.versions import compare_rpm
from mailcare.systems.system import System

# Every distribution names a kernel's image after what `uname -r` says of it. The files are what
# Debian and Ubuntu (…-required) and SUSE (…-needed) leave; needs-restarting is Red Hat's.
_SCRIPT = r"""
echo "running $(uname -r)"
if [ -d /boot ] && ! ls /boot >/dev/null; then echo 'closed /boot'; fi
for image in /boot/vmlinu[xz]-* /boot/Image-* /lib/modules/*/vmlinuz; do
  [ -e "$image" ] || continue
  name=${image#/boot/vmlinu[xz]-} name=${name#/boot/Image-} name=${name#/lib/modules/}
  echo "kernel ${name%/vmlinuz}"
done
for file in /run/reboot-required /var/run/reboot-required /run/reboot-needed; do
  [ ! -e "$file" ] || { echo "required $file"; break; }
done
[ ! -r /run/reboot-required.pkgs ] || sort -u /run/reboot-required.pkgs | head -n 50 |
  sed 's/^/package /'
if command -v needs-restarting >/dev/null; then
  needs-restarting -r 2>&1 | head -n 30 | sed 's/^/says /'
fi
"""
_RESTART = ("sh", "-c", _SCRIPT)
_RESTART_S = 30.0
_LINE = re.compile(r"^(running|closed|kernel|required|package|says) (.*)$")
_NO_KERNEL = re.compile(r"rescue|kdump|recovery|\.(?:old|bak|gz|xz|zst|signed|dpkg-\w+|rpm\w+)$")
_WANTED = "Reboot is required"  # an error has the same exit code
# Kernels of different lines stand side by side: the newest of one says nothing about another.
# "k" is what is left of Red Hat's aarch64+64k.
_KERNEL_LINES = frozenset(
    (
        *("aws", "azure", "cloud", "debug", "default", "gcp", "generic", "k", "kvm"),
        *("lowlatency", "lt", "ml", "oracle", "pve", "rt", "uek", "virtual"),
    )
)


@dataclass(frozen=True, slots=True)
class Restart:
    """The running kernel, the newest of its line that is installed, and who wants a restart.

    `installed` is empty where the host has no kernel of its own: a container, or a machine whose
    kernel is kept elsewhere. `wishes` are the words of the files and of needs-restarting.
    """

    running: str
    installed: tuple[str, ...]
    wishes: tuple[str, ...]

    @property
    def newest(self) -> str:
        """Return the newest installed kernel of the running one's line, empty where none is."""
        own = [one for one in self.installed if _kernel_line(one) == _kernel_line(self.running)]
        return max(own, key=cmp_to_key(compare_rpm), default="")

    @property
    def is_outdated(self) -> bool:
        """Tell whether a newer kernel waits to be started."""
        return bool(self.newest) and compare_rpm(self.newest, self.running) > 0


@dataclass(frozen=True, slots=True)
class RestartLimits:
    """No number: the newest installed kernel runs, and nothing asks for a restart."""


def _ask(system: System) -> Iterator[Question]:
    for node in asked_hosts(system):
        ask = host_ask(node, *_RESTART, timeout_s=_RESTART_S)
        yield Question(Target(node.name), (ask,))


def _parse(replies: tuple[Reply, ...]) -> Restart:
    text = output_of(replies[0], "uname")
    rows = [(found[1], found[2].strip()) for one in lines_of(text) if (found := _LINE.match(one))]
    told = {key: [value for name, value in rows if name == key] for key, _ in rows}
    running = "".join(told.get("running", ())[:1])
    if not re.match(r"\d", running):
        raise ReplyError(f"内核版本无法识别：{first_line(text)}")
    kernels = tuple(dict.fromkeys(one for one in told.get("kernel", ()) if _is_kernel(one)))
    if not kernels and "closed" in told:
        raise ReplyError("巡检账号无法列出 /boot，不知道已安装的内核；请授予其读取权限")
    return Restart(running, kernels, tuple(_wishes(told)))


def _is_kernel(name: str) -> bool:
    return name[:1].isdigit() and not _NO_KERNEL.search(name)


def _wishes(told: dict[str, list[str]]) -> Iterator[str]:
    if "required" in told:
        packages = "、".join(told.get("package", ()))
        yield f"{told['required'][0]} 存在" + (f"（由 {packages} 提出）" if packages else "")
    said = told.get("says", [])
    if any(_WANTED in line for line in said):
        changed = [line for line in said if line.startswith("*") or " -> " in line]
        reasons = "、".join(line.lstrip("* ") for line in changed)
        yield "needs-restarting 要求重启" + (f"（{reasons}）" if reasons else "")


def _kernel_line(release: str) -> frozenset[str]:
    return _KERNEL_LINES.intersection(re.findall(r"[a-z]+", release))


def _judge(restart: Restart, _limits: RestartLimits, _subject: Subject) -> Iterator[Verdict]:
    reasons = list(restart.wishes)
    if restart.is_outdated:
        reasons.insert(0, f"正在运行内核 {restart.running}，已安装更新的 {restart.newest}")
    if reasons:
        yield Verdict(
            Severity.WARNING,
            f"更新已安装但未生效，需要重启：{'；'.join(reasons)}",
            "请安排维护时段重启主机；重启前确认邮件服务已设为开机自启、备份可恢复。",
            evidence=(f"uname -r：{restart.running}", *restart.installed, *restart.wishes),
        )
        return
    yield Verdict(Severity.OK, f"不需要重启：正在运行内核 {restart.running}，{_at_rest(restart)}")


def _at_rest(restart: Restart) -> str:
    if not restart.installed:
        return "本机没有安装内核（容器，或内核由宿主机提供），没有重启标记"
    if not restart.newest:
        return "已安装的内核都属于其他分支，没有重启标记"
    return f"已安装的最新内核为 {restart.newest}，没有重启标记"


CHECKS = (
    Check(
        name="os.restart",
        area=Area.OS,
        title="更新后待重启",
        question="已安装的更新是否因未重启而没有生效？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=RestartLimits(),
        source="uname(1) 与 /boot 中的内核；reboot-required 与 reboot-needed 标记；"
        "needs-restarting(1) -r",
        after=LOGIN_FIRST,
    ),
)

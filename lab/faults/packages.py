"""Packages that are out of date or were never packages, and restarts that were put off."""

import os
import time
from collections.abc import Sequence

from lab import hosts, packages, probes
from lab.faults.fault import on_mx1
from lab.packages import Package
from lab.topology import MX1
from lab.waiting import wait_until

_DAY_S = 86_400
_STALE_DAYS = 45
_REQUIRED = "/run/reboot-required"
_POSTCONF = "/usr/sbin/postconf"
_OLD_POSTCONF = "/usr/local/lib/mailcare-lab/postconf-old"
_OLD_VERSION = "3.5.9"
_BRIDGE = MX1.service("oa-bridge")
_HEALTHY = packages.packages_of(MX1)
_OFFERED = packages.at_version(_HEALTHY, "openssl", "3.0.23-1~deb12u1")
_OLD_SSHD = "1:9.2p1-2+deb12u2"
_VULNERABLE = packages.at_version(_HEALTHY, "openssh-server", _OLD_SSHD)
_WITHOUT_POSTFIX = tuple(one for one in _HEALTHY if one.name != "postfix")
_SIMULATED = "apt-get -s -o Debug::NoLocking=1 dist-upgrade | grep -c ^Inst"
_AGE = f"echo $(( $(date +%s) - $(stat -c %Y /{packages.RELEASE_LIST}) ))"


def _install(installed: Sequence[Package]) -> None:
    hosts.get_running(MX1).write(packages.STATUS, packages.status(installed))


def _offer(offered: Sequence[Package]) -> None:
    hosts.get_running(MX1).write(packages.packages_list(), packages.archive(offered))


def _fall_behind(known: Sequence[Package]) -> None:
    _install(known)
    _offer(known)


def _date_lists(age_days: int) -> None:
    running = hosts.get_running(MX1)
    at = time.time() - age_days * _DAY_S
    for path in (packages.RELEASE_LIST, packages.packages_list()):
        os.utime(running.root / path, (at, at))


def _require_restart() -> None:
    script = f"echo '*** System restart required ***' >{_REQUIRED}; echo libc6 >{_REQUIRED}.pkgs"
    hosts.get_running(MX1).run("sh", "-c", script)


def _forget_restart() -> None:
    hosts.get_running(MX1).run("rm", "-f", _REQUIRED, f"{_REQUIRED}.pkgs")


def _build_from_source() -> None:
    _install(_WITHOUT_POSTFIX)
    if not _is_covered():
        hosts.get_running(MX1).run("mount", "--bind", _OLD_POSTCONF, _POSTCONF)


def _build_from_package() -> None:
    if _is_covered():
        hosts.get_running(MX1).run("umount", _POSTCONF)
    _install(_HEALTHY)


def _is_covered() -> bool:
    return f" {_POSTCONF} " in hosts.get_running(MX1).run("cat", "/proc/mounts")


def _stop_bridge() -> None:
    hosts.get_running(MX1).stop(_BRIDGE)
    wait_until(lambda: not _is_bridging(), "end of oa-bridge")


def _start_bridge() -> None:
    if not _is_bridging():
        hosts.get_running(MX1).start(_BRIDGE)


def _is_bridging() -> bool:
    return "sbin/oa-bridge" in probes.read_over_ssh("ps -eo args")


def _installed(package: str) -> str:
    query = f"dpkg-query -W -f='${{Version}}' {package} 2>/dev/null || echo none"
    return probes.read_over_ssh(query).strip()


FAULTS = (
    on_mx1(
        "updates-pending",
        "有安全更新待装",
        effect="apt's lists on mx1 (a view) offer a newer openssl from the security archive",
        actions=(lambda: _offer(_OFFERED), lambda: _offer(_HEALTHY)),
        is_visible=lambda: probes.read_over_ssh(f"{_SIMULATED} || true").strip() != "0",
        slot="packages",
    ),
    on_mx1(
        "updates-stale",
        "软件源元数据过期",
        effect=f"apt's lists on mx1 (a view) are {_STALE_DAYS} days old",
        actions=(lambda: _date_lists(_STALE_DAYS), lambda: _date_lists(0)),
        is_visible=lambda: int(probes.read_over_ssh(_AGE)) > _DAY_S,
        slot="packages",
    ),
    on_mx1(
        "reboot-required",
        "更新后未重启",
        effect=f"{_REQUIRED} on mx1 says that libc6 wants a restart",
        actions=(_require_restart, _forget_restart),
        is_visible=lambda: "yes" in probes.read_over_ssh(f"[ ! -e {_REQUIRED} ] || echo yes"),
        slot="restart",
    ),
    on_mx1(
        "package-vulnerable",
        "软件包有严重缺陷",
        effect="mx1 has an openssh-server with CVE-2024-6387, and apt offers no newer (a view)",
        actions=(lambda: _fall_behind(_VULNERABLE), lambda: _fall_behind(_HEALTHY)),
        is_visible=lambda: _installed("openssh-server") == _OLD_SSHD,
        slot="packages",
    ),
    on_mx1(
        "product-vulnerable",
        "邮件系统版本有已知缺陷",
        effect=f"Postfix on mx1 is no package, and postconf says it is {_OLD_VERSION} (a view)",
        actions=(_build_from_source, _build_from_package),
        is_visible=lambda: (
            probes.read_over_ssh(f"{_POSTCONF} -h mail_version").strip() == _OLD_VERSION
        ),
        slot="packages",
    ),
    on_mx1(
        "extension-down",
        "二次开发功能停止",
        effect="the customer's own program oa-bridge on mx1 is stopped",
        actions=(_stop_bridge, _start_bridge),
        is_visible=lambda: not _is_bridging(),
        slot="oa-bridge",
    ),
)

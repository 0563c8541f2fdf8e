"""Which security updates of the operating system wait to be installed, by its own package manager.

Read from the manager's cache as it is, nothing is fetched; so the age of the cache comes with it.
"""

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
    Target,
    Verdict,
)
from mailcare.inspection.hosts import (
    LOGIN_FIRST,
    NOT_FOUND,
    asked_hosts,
    first_line,
    host_ask,
    lines_of,
)
from mailcare.systems.system import System

# Each branch prints which manager it is, how old its newest list is, how many lists tell security
# updates from others, the updates, and how it ended. What EPEL tells of its own packages says
# nothing about the distribution's. apt must not write its caches, and what an administrator holds
# back waits all the same; dnf and yum keep a cache for each user, so dnf is shown the system's own,
# and then root is asked for.
_SCRIPT = r"""
newest=
look() {
  for file; do
    [ -f "$file" ] && at=$(date -r "$file" +%s) || continue
    [ "${newest:-0}" -ge "$at" ] || newest=$at
  done
}
count() {
  found=0
  for file; do
    case $file in *epel* | *EPEL*) continue ;; esac
    [ ! -f "$file" ] || found=$((found + 1))
  done
  echo "$found"
}
tell() {
  echo "manager $1"
  [ -z "$newest" ] || echo "age_s $(($(date +%s) - newest))"
  echo "lists $2"
}
as_root() { "$@" || { [ "$(id -u)" != 0 ] && sudo -n "$@"; }; }
ask() {
  if [ -s /var/lib/dpkg/status ] && command -v apt-get >/dev/null; then
    cd /var/lib/apt || return
    security=$(count lists/*security*Release)
    [ "$security" != 0 ] || look lists/*Release
    look lists/*security*Release periodic/update-success-stamp
    tell apt "$security"
    apt-get -s --ignore-hold -o Debug::NoLocking=1 -o Dir::Cache::pkgcache= \
      -o Dir::Cache::srcpkgcache= dist-upgrade
  elif command -v zypper >/dev/null; then
    cd /var/cache/zypp/raw || return
    look */repodata/*.xml */cookie
    tell zypper "$(count */repodata/*updateinfo*)"
    zypper --no-refresh --non-interactive -q list-patches --category security
  elif command -v dnf >/dev/null; then
    cd /var/cache/libdnf5 || cd /var/cache/dnf || return
    look */repodata/repomd.xml
    tell dnf "$(count */repodata/*updateinfo*)"
    dnf -C -q --setopt=cachedir="$PWD" updateinfo list --security ||
      as_root dnf -C -q updateinfo list --security
  elif command -v yum >/dev/null; then
    cd /var/cache/yum || return
    look */repomd.xml */*/repomd.xml */*/*/repomd.xml
    tell yum "$(count *updateinfo* */*updateinfo* */*/*updateinfo* */*/*/*updateinfo*)"
    as_root yum -C -q updateinfo list security
  else
    echo manager none
  fi
}
{ ask 2>&1; echo "ended $?"; } |
  grep -E '^(manager|age_s|lists|ended|Inst|E:|Error)|/Sec[.]|security|No such|denied' |
  head -n 5000
"""
UPDATES = ("sh", "-c", _SCRIPT)
UPDATES_S = 40.0

_FIELD = re.compile(r"^(manager|age_s|lists|ended) (\S{1,20})$")
_APT_ROW = re.compile(r"^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) ([^)]*)\)")
_DNF_ROW = re.compile(r"^(\S+)\s+(\w+/Sec\.|security\s+\w+)\s+(\S+)")
# Any row about a security update, in whatever form: one that is not understood must not be lost.
_SECURITY_ROW = re.compile(r"/Sec\.|\|\s*security\s*\||^(?=\S*\d)\S+\s+security\s")
_SETTLED = re.compile(r"\|\s*(?:not needed|applied|unwanted|optional|retracted)\s*\|")
_PATCH_ROW = re.compile(r"^[^|]*\|\s*(\S+)\s*\|\s*security\s*\|\s*(\w+)\s*\|.*\|\s*needed\s*\|")
_SECURITY = "security"
_DAY_S = 86_400
_EVIDENCE_ROWS = 12


@dataclass(frozen=True, slots=True)
class Updates:
    """The security updates that wait, a row each, and the age of the lists they stand in.

    `others` counts the updates that are none for security; `tells_security` is false where the
    lists do not say which those are: then nothing follows from an empty list.
    """

    manager: str
    age_s: int | None
    tells_security: bool
    pending: tuple[str, ...]
    others: int = 0

    @property
    def age_days(self) -> float:
        """Return the age of the newest list."""
        return (self.age_s or 0) / _DAY_S


@dataclass(frozen=True, slots=True)
class UpdateLimits:
    """From how many pending security updates on it is a warning, and how old the lists may be."""

    pending_warning_count: int
    metadata_days: int


def _ask(system: System) -> Iterator[Question]:
    for node in asked_hosts(system):
        ask = host_ask(node, *UPDATES, timeout_s=UPDATES_S)
        yield Question(Target(node.name), (ask,))


def _parse(replies: tuple[Reply, ...]) -> Updates:
    lines = lines_of(_whole(replies[0]))
    fields = {found[1]: found[2] for line in lines if (found := _FIELD.match(line))}
    manager = fields.get("manager", "")
    if fields.get("ended") != "0" or manager not in _ROWS:
        raise ReplyError(_trouble(manager, lines))
    pending, others = _sorted_out(manager, lines)
    return Updates(
        manager, _number(fields.get("age_s")), bool(_number(fields.get("lists"))), pending, others
    )


def _whole(reply: Reply) -> str:
    if reply.exit_code == NOT_FOUND:
        raise ReplyError("主机上没有 sh")
    return reply.text


def _trouble(manager: str, lines: list[str]) -> str:
    if manager == "none":
        return "主机上没有 apt、dnf、yum 或 zypper，无法得知待装的安全更新"
    told = [line for line in lines if not _FIELD.match(line)]
    said = first_line("\n".join(told)) or "没有说明原因"
    name = manager or "软件包管理器"
    return f"{name} 无法列出安全更新：{said}（可能需要允许巡检账号以 sudo 运行 {name}）"


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,15}", text) else None


def _sorted_out(manager: str, lines: list[str]) -> tuple[tuple[str, ...], int]:
    lines = [line.strip() for line in lines]
    rows = [(found, line) for line in lines if (found := _ROWS[manager].match(line))]
    if manager != "apt":
        _need_all(manager, lines)
        return tuple(dict.fromkeys(line for _, line in rows)), 0
    pending = tuple(line for found, line in rows if _SECURITY in found[3].lower())
    return pending, len(rows) - len(pending)


def _need_all(manager: str, lines: list[str]) -> None:
    about = (line for line in lines if _SECURITY_ROW.search(line) and not _SETTLED.search(line))
    if strange := next((line for line in about if not _ROWS[manager].match(line)), ""):
        raise ReplyError(f"{manager} 的安全更新清单格式无法识别：{first_line(strange)}")


_ROWS = {"apt": _APT_ROW, "dnf": _DNF_ROW, "yum": _DNF_ROW, "zypper": _PATCH_ROW}


def _judge(updates: Updates, limits: UpdateLimits, _subject: Subject) -> Iterator[Verdict]:
    if reason := _unreliable(updates, limits):
        found = len(updates.pending)
        known = f"；缓存中已有 {found} 个待装的安全更新" if found else ""
        raise ReplyError(f"{reason}{known}")
    count, severity = len(updates.pending), Severity.OK
    if count >= limits.pending_warning_count:
        severity = Severity.WARNING
    others = f"，另有普通更新 {updates.others} 个" if updates.others else ""
    yield Verdict(
        severity,
        f"{updates.manager}：待装的安全更新 {count} 个（警告 ≥ {limits.pending_warning_count}）"
        f"{others}；软件源信息 {max(updates.age_days, 0):.1f} 天前取得",
        _ADVICE if severity else "",
        evidence=updates.pending[:_EVIDENCE_ROWS],
        metrics={"pending_updates_count": float(count), "metadata_age_days": updates.age_days},
    )


def _unreliable(updates: Updates, limits: UpdateLimits) -> str:
    if updates.age_s is None:
        return f"{updates.manager} 没有软件源信息：没有配置软件源，或从未取得"
    if updates.age_days < -1:
        return f"{updates.manager} 的元数据比主机时钟晚 {-updates.age_days:.0f} 天，不知道是否过期"
    if updates.age_days > limits.metadata_days:
        return (
            f"{updates.manager} 的元数据过期：{updates.age_days:.0f} 天前取得"
            f"（应 ≤ {limits.metadata_days} 天），请让主机能取得软件源后重查"
        )
    if not updates.tells_security:
        return f"{updates.manager} 的软件源不提供安全更新信息，列表为空不等于没有"
    return ""


_ADVICE = (
    "请先在备用环境验证，再于维护时段安装安全更新（apt upgrade、dnf upgrade --security 或"
    " zypper patch），随后按需重启；安装前确认备份可恢复。"
)

CHECKS = (
    Check(
        name="os.updates",
        area=Area.OS,
        title="操作系统安全更新",
        question="操作系统有多少安全更新尚未安装？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=UpdateLimits(pending_warning_count=1, metadata_days=30),
        source="apt-get(8)、dnf(8)、zypper(8) 的本机缓存；Mail-in-a-Box 对任何一个待装更新告警；"
        "元数据 30 天为经验值，比每月的补丁周期略宽",
        after=LOGIN_FIRST,
    ),
)

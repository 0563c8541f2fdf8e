"""Whether users' mail is forwarded to addresses outside: what a thief of accounts sets up first."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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
from mailcare.inspection.checks.clock import DATE, read_date
from mailcare.inspection.hosts import LOGIN_FIRST, NOT_FOUND, first_line, host_ask, lines_of
from mailcare.systems.profile import ForwardQuery, ProfileGap
from mailcare.systems.site import Role, Site
from mailcare.systems.system import System

FORWARDS_S = 20.0
_UNREAD = "mailcare: unread "
_MORE = re.compile(r"mailcare: more ([0-9]{1,9})")  # lines left out of an answer too long
_STORE = "{mail_store}"
_LOCAL = (".localdomain", ".local")  # no name of the internet (RFC 6762 §3)
_SHOWN = 12
_LINE_WIDTH = 500


@dataclass(frozen=True, slots=True)
class Forward:
    """A forward from one account to one address; `changed_at` where the host knows it."""

    account: str
    target: str
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Listing:
    """The lines that the product's query printed, what it could not read, and the host's time."""

    lines: tuple[str, ...]
    unread: tuple[str, ...]
    left_out: int
    now_at: datetime

    @property
    def gap(self) -> str:
        """Say how much was not read; empty where everything was."""
        parts = [f"{len(self.unread)} 处未能读取"] if self.unread else []
        return "、".join([*parts, *([f"{self.left_out} 条未列出"] if self.left_out else [])])


@dataclass(frozen=True, slots=True)
class ForwardLimits:
    """A forward changed within so many days is recent."""

    fresh_days: int


def _ask(system: System) -> Iterator[Question]:
    query: ForwardQuery = system.profile.need("forwards")
    _compiled(query)
    words = tuple(_filled_in(word, system) for word in query.words)
    for node in system.nodes_of(Role.MAIL):
        asks = (host_ask(node, *words, timeout_s=FORWARDS_S), host_ask(node, *DATE))
        yield Question(Target(node.name), asks)


def _filled_in(word: str, system: System) -> str:
    return word.replace(_STORE, system.profile.need("mail_store")) if _STORE in word else word


def _compiled(query: ForwardQuery) -> re.Pattern[str]:
    try:
        pattern = re.compile(query.regex)
    except re.error as error:
        raise ProfileGap(f"forwards 的 regex 不是正则表达式：{error}") from None
    if not {"account", "target"} <= pattern.groupindex.keys():
        raise ProfileGap("forwards 的 regex 应有 account、target 两个命名分组")
    return pattern


def _parse(replies: tuple[Reply, ...]) -> Listing:
    listing, now_at = replies[0], read_date(replies[1])
    if listing.exit_code == NOT_FOUND:
        raise ReplyError("主机上没有读取转发设置的命令")
    if listing.exit_code != 0:
        raise ReplyError(
            f"读取转发设置失败（退出码 {listing.exit_code}）：{first_line(listing.text)}"
        )
    lines = [line for line in lines_of(listing.text, width=_LINE_WIDTH) if line.strip()]
    unread = [line.removeprefix(_UNREAD) for line in lines if line.startswith(_UNREAD)]
    left_out = sum(int(found[1]) for line in lines if (found := _MORE.fullmatch(line)))
    rows = [line for line in lines if not (line.startswith(_UNREAD) or _MORE.fullmatch(line))]
    return Listing(tuple(rows), tuple(unread), left_out, now_at)


def _judge(listing: Listing, limits: ForwardLimits, subject: Subject) -> Iterator[Verdict]:
    forwards = _forwards(listing, subject.system)
    outside = [one for one in forwards if _is_outside(one.target, subject.system.site)]
    if not outside and listing.gap:
        raise ReplyError(_ungranted(listing))
    if not outside:
        summary = f"没有转发到外部域的设置（共 {len(forwards)} 条转发，均在本单位各域之内）"
        yield Verdict(Severity.OK, summary, metrics={"outside_count": 0.0})
        return
    yield _outside(outside, listing, limits)


def _forwards(listing: Listing, system: System) -> list[Forward]:
    pattern = _compiled(system.profile.need("forwards"))
    found = [(line, pattern.search(line)) for line in listing.lines]
    if strange := [line for line, match in found if match is None]:
        raise ReplyError(f"转发设置的输出无法识别：{first_line(strange[0])}")
    return [_forward(match) for _, match in found if match]


def _forward(match: re.Match[str]) -> Forward:
    changed_s = match.groupdict().get("changed_s") or ""
    is_time = re.fullmatch(r"[0-9]{1,11}", changed_s)
    changed_at = datetime.fromtimestamp(int(changed_s), UTC) if is_time else None
    return Forward(match["account"], match["target"], changed_at)


def _is_outside(target: str, site: Site) -> bool:
    domain = target.rpartition("@")[2].strip("<>").rstrip(".").lower()
    own = [one.name.lower().rstrip(".") for one in site.domains]
    hosts = [node.hostname.lower().rstrip(".") for node in site.nodes]
    return (
        "." in domain
        and not domain.endswith(_LOCAL)
        and domain not in hosts
        and not any(f".{domain}".endswith(f".{name}") for name in own)
    )


def _outside(outside: list[Forward], listing: Listing, limits: ForwardLimits) -> Verdict:
    since_at = listing.now_at - timedelta(days=limits.fresh_days)
    recent = [one for one in outside if one.changed_at and one.changed_at >= since_at]
    unread = f"；另有 {listing.gap}" if listing.gap else ""
    first = (recent or outside)[0]
    return Verdict(
        Severity.WARNING if recent else Severity.NOTICE,
        f"{len(outside)} 条转发指向外部域，如 {first.account} → {first.target}；"
        f"其中 {len(recent)} 条所在的文件在 {limits.fresh_days} 天内改动过（警告 ≥ 1 条）{unread}",
        _ADVICE,
        evidence=tuple(_line(one) for one in [*recent, *outside][:_SHOWN]),
        metrics={"outside_count": float(len(outside)), "changed_count": float(len(recent))},
    )


def _line(forward: Forward) -> str:
    changed = f"，改动于 {forward.changed_at:%Y-%m-%d %H:%M} UTC" if forward.changed_at else ""
    return f"{forward.account} → {forward.target}{changed}"


def _ungranted(listing: Listing) -> str:
    first = f"，如 {listing.unread[0]}" if listing.unread else ""
    return (
        f"转发设置有 {listing.gap}{first}："
        "文件请用 setfacl 授予巡检账号只读权限，存放在数据库或目录服务中的请由管理员导出核对"
    )


_ADVICE = (
    "请逐条向账号本人核实是否知情；不知情的按账号被盗处理：删除转发、重置口令、查登录来源。"
    "建议禁止用户自行向外部域转发，确需者登记审批。"
)

CHECKS = (
    Check(
        name="security.forwards",
        area=Area.SECURITY,
        title="转发到外部的邮件",
        question="有没有用户的邮件被转发到单位以外的邮箱，是否新近设置？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=ForwardLimits(fresh_days=30),
        source="MITRE ATT&CK T1114.003（邮件转发规则）；30 天为本产品经验值",
        blind_after=LOGIN_FIRST,
    ),
)

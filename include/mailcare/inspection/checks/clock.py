"""How long each host has been up, and whether its clock is right."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

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
from mailcare.inspection.hosts import LOGIN_FIRST, ask_hosts, whole_output_of
from mailcare.inspection.levels import Ceiling
from mailcare.systems.system import System

DATE = ("date", "-u", "+%s.%N")
_EPOCH = re.compile(r"^\s*(\d{9,11})(?:\.(\d{1,9}))?(?!\d)")
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Uptime:
    """Seconds since the host started."""

    up_s: float


@dataclass(frozen=True, slots=True)
class UptimeLimits:
    """Days: up for less, a restart is to be explained; for more, no new kernel was started."""

    recent_days: float
    long_days: float


@dataclass(frozen=True, slots=True)
class Offset:
    """How far the host's clock is ahead of the inspector's, in seconds; negative: behind."""

    ahead_s: float


def _ask_uptime(system: System) -> Iterator[Question]:
    return ask_hosts(system, ("cat", "/proc/uptime"))


def _parse_uptime(replies: tuple[Reply, ...]) -> Uptime:
    found = re.match(r"^(\d{1,12}(?:\.\d+)?)\s", whole_output_of(replies[0], "cat /proc/uptime"))
    if not found:
        raise ReplyError("/proc/uptime 的内容无法识别")
    return Uptime(float(found[1]))


def _judge_uptime(uptime: Uptime, limits: UptimeLimits, _subject: Subject) -> Iterator[Verdict]:
    up_days = uptime.up_s / _DAY_S
    metrics = {"uptime_days": round(up_days, 2)}
    if up_days < limits.recent_days:
        text = f"主机在 {uptime.up_s / 3600:.1f} 小时前启动过（{limits.recent_days:g} 天内提示）"
        advice = "请确认这次重启是否计划内；如非计划内，请查 last -x 与内核日志找出原因。"
        yield Verdict(Severity.NOTICE, text, advice, metrics=metrics)
    elif up_days > limits.long_days:
        text = f"主机已连续运行 {up_days:.0f} 天（> {limits.long_days:g} 天警告）"
        advice = (
            "期间发布的内核安全更新均未生效（已启用内核热补丁的除外），"
            "请安排维护时段更新内核并重启。"
        )
        yield Verdict(Severity.WARNING, text, advice, metrics=metrics)
    else:
        span = f"{limits.recent_days:g} 至 {limits.long_days:g} 天"
        text = f"主机已连续运行 {up_days:.0f} 天（应在 {span}之间）"
        yield Verdict(Severity.OK, text, metrics=metrics)


def _ask_clock(system: System) -> Iterator[Question]:
    return ask_hosts(system, DATE)


def read_date(reply: Reply) -> datetime:
    """Return the host's own time; raise `ReplyError` where `date` did not tell it."""
    found = _EPOCH.match(whole_output_of(reply, "date"))
    if not found:
        raise ReplyError("date 的输出无法识别")
    return datetime.fromtimestamp(float(f"{found[1]}.{found[2] or 0}"), UTC)


def _parse_clock(replies: tuple[Reply, ...]) -> Offset:
    if not replies[0].source.startswith("ssh://"):
        raise ReplyError("离线采集结果没有巡检机的收到时刻，无法比对时钟")
    return Offset((read_date(replies[0]) - replies[0].taken_at).total_seconds())


def _judge_clock(offset: Offset, limits: Ceiling, _subject: Subject) -> Iterator[Verdict]:
    off_s = abs(offset.ahead_s)
    severity = limits.severity(off_s)
    direction = "快" if offset.ahead_s > 0 else "慢"
    text = (
        f"主机时钟比巡检机{direction} {off_s:.1f} 秒" if off_s >= 0.05 else "主机时钟与巡检机一致"
    )
    yield Verdict(
        severity,
        f"{text}（警告 ≥ {limits.warning:g} 秒，严重 ≥ {limits.critical:g} 秒）",
        _CLOCK_ADVICE if severity else "",
        metrics={"offset_s": round(offset.ahead_s, 1) + 0.0},
    )


_CLOCK_ADVICE = (
    "请先确认巡检机自身已与标准时间同步，再在主机上检查 chronyd 或 ntpd 的状态与时间源；"
    "时钟偏差会使邮件时间、签名有效期、登录令牌和日志对照出错。"
)

CHECKS = (
    Check(
        name="os.uptime",
        area=Area.OS,
        title="连续运行时间",
        question="主机连续运行了多久，近期是否重启过？",
        ask=_ask_uptime,
        parse=_parse_uptime,
        judge=_judge_uptime,
        limits=UptimeLimits(recent_days=1, long_days=400),
        source="经验值：一年内至少应有一次维护窗口用于更新内核；proc(5) /proc/uptime",
        after=LOGIN_FIRST,
    ),
    Check(
        name="os.clock",
        area=Area.OS,
        title="系统时间偏差",
        question="主机时钟是否准确？",
        ask=_ask_clock,
        parse=_parse_clock,
        judge=_judge_clock,
        limits=Ceiling(warning=30, critical=300, unit="秒"),
        source="RFC 6238 §5.2（动态口令时间步长 30 秒）；krb5.conf(5) clockskew 缺省 300 秒",
        after=LOGIN_FIRST,
    ),
)

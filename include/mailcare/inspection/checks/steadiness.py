"""Whether the services answer every time: faults that come and go 时好时坏."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from mailcare.inspection.check import (
    Area,
    Ask,
    Channel,
    Check,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Verdict,
)
from mailcare.inspection.levels import Ceiling
from mailcare.inspection.probes import endpoint_at, endpoint_target, server_words
from mailcare.inspection.transcript import Transcript, read_transcript
from mailcare.systems.profile import ProfileGap
from mailcare.systems.system import Endpoint, System

ROUND_S = 10.0
FEWEST = 2  # a single probe proves nothing
_ENDINGS = (
    ("refused", "连接被拒绝"),
    ("timeout connect", "连接超时"),
    ("timeout", "等待应答超时"),
    ("unreachable", "网络不可达"),
    ("tls-failed", "TLS 握手失败"),
    ("closed", "连接被对方中断"),
)


@dataclass(frozen=True, slots=True)
class Rounds:
    """How the rounds went: milliseconds of the good ones, reasons of the bad ones.

    `declined` are the answers with which the server asked us to come back later.
    """

    times_ms: tuple[float, ...]
    failures: tuple[str, ...]
    declined: tuple[str, ...]
    record: tuple[str, ...]

    @property
    def judged(self) -> int:
        """Return how many rounds tell something."""
        return len(self.times_ms) + len(self.failures)

    @property
    def failures_pct(self) -> float:
        """Return the share of the failures."""
        return 100 * len(self.failures) / self.judged


@dataclass(frozen=True, slots=True)
class SteadinessLimits:
    """Share of failed rounds, in which a single one is never critical; p95 of the good ones."""

    failures_pct: Ceiling
    p95_ms: Ceiling


def _ask(system: System) -> Iterator[Question]:
    if system.site.probing.rounds < FEWEST:
        raise ProfileGap("站点文件 probing.rounds 小于 2：只试一次，看不出是否时好时坏")
    for endpoint in system.endpoints():
        yield Question(endpoint_target(endpoint), (_series(endpoint, system),))


def _series(endpoint: Endpoint, system: System) -> Ask:
    probing, page = system.site.probing, system.profile.web_page.value
    words = (
        "rounds",
        *server_words(endpoint),
        endpoint.listener.protocol.value,
        str(probing.rounds),
        str(probing.over_s),
        page.path if page else "/",
    )
    return Ask(Channel.SERIES, words, ROUND_S, endpoint.node.name)


def _parse(replies: tuple[Reply, ...]) -> Rounds:
    transcript = read_transcript(replies[0])
    if transcript.event("series") is None:
        raise ReplyError("回复不是连续探测的记录")
    rounds = _read_rounds(transcript)
    if not rounds.judged and rounds.declined:
        answer = rounds.declined[0]
        raise ReplyError(f"{len(rounds.declined)} 次探测均被服务器要求稍后再来：{answer}")
    if rounds.judged < FEWEST:
        raise ReplyError(f"只有 {rounds.judged} 次有效探测，看不出是否时好时坏")
    if not rounds.times_ms:
        reason = _reason(rounds.failures[0])
        raise ReplyError(f"{rounds.judged} 次探测均失败（{reason}），是持续故障，不是时好时坏")
    return rounds


def _read_rounds(transcript: Transcript) -> Rounds:
    rows = tuple(text for mark, text in transcript.lines if (mark, text[:6]) == ("#", "round "))
    times_ms: list[float] = []
    failures: list[str] = []
    declined: list[str] = []
    for row in rows:
        _, _, outcome = row.removeprefix("round ").partition(" ")
        kind, _, detail = outcome.partition(" ")
        if kind == "ok":
            times_ms.append(_milliseconds(detail))
        elif kind == "failed":
            failures.append(detail)
        elif kind == "declined":
            declined.append(detail)
        else:
            raise ReplyError("连续探测的记录无法读取")
    return Rounds(tuple(times_ms), tuple(failures), tuple(declined), rows)


def _milliseconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ReplyError("连续探测的用时无法读取") from None
    if not math.isfinite(value) or value < 0:
        raise ReplyError("连续探测的用时无法读取")
    return value


def _reason(failure: str) -> str:
    return next((text for event, text in _ENDINGS if failure.startswith(event)), failure)


def percentile(values: tuple[float, ...], share_pct: float) -> float:
    """Return the smallest value that at least `share_pct` percent do not exceed (nearest rank)."""
    rank = math.ceil(len(values) * share_pct / 100)
    return sorted(values)[max(rank, 1) - 1]


def _judge(rounds: Rounds, limits: SteadinessLimits, subject: Subject) -> Iterator[Verdict]:
    name = endpoint_at(subject.system, subject.target).listener.name
    p50_ms, p95_ms = percentile(rounds.times_ms, 50), percentile(rounds.times_ms, 95)
    metrics = {
        "failures_pct": rounds.failures_pct,
        "p50_ms": p50_ms,
        "p95_ms": p95_ms,
        "rounds_count": float(rounds.judged),
    }
    apart = f"，另有 {len(rounds.declined)} 次被要求稍后再来" if rounds.declined else ""
    limit = f"上限 {limits.p95_ms.warning:g} 毫秒"
    speed = f"用时中位 {p50_ms:.0f} 毫秒、95% 在 {p95_ms:.0f} 毫秒内（{limit}）"
    severity = max(_severity(rounds, limits), limits.p95_ms.severity(p95_ms))
    summary = f"{name} {_count(rounds)}{apart}；{speed}"
    yield Verdict(severity, summary, _advice(rounds, severity), rounds.record, metrics)


def _count(rounds: Rounds) -> str:
    if not rounds.failures:
        return f"{rounds.judged} 次探测均成功"
    reasons = "、".join(dict.fromkeys(_reason(one) for one in rounds.failures))
    failed = f"失败 {len(rounds.failures)} 次（{rounds.failures_pct:.0f}%，{reasons}）"
    return f"时好时坏：{rounds.judged} 次探测{failed}，应为 0 次"


def _advice(rounds: Rounds, severity: Severity) -> str:
    if rounds.failures:
        return (
            "请对照失败时刻查看该服务与系统日志（重启、内存不足、连接数上限）、"
            "防火墙或负载均衡的后端健康状态，以及网络丢包。"
        )
    return "" if severity is Severity.OK else "请检查主机负载、反向解析和认证后端的应答时间。"


def _severity(rounds: Rounds, limits: SteadinessLimits) -> Severity:
    """Return how bad the failures are; a single one is never critical."""
    if len(rounds.failures) <= 1:
        return Severity.WARNING if rounds.failures else Severity.OK
    return max(limits.failures_pct.severity(rounds.failures_pct), Severity.WARNING)


CHECKS = (
    Check(
        name="service.steadiness",
        area=Area.SERVICE,
        title="服务稳定性",
        question="各服务是否每次都能应答，还是时好时坏，应答有多快？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=SteadinessLimits(
            failures_pct=Ceiling(warning=0.1, critical=20),
            p95_ms=Ceiling(warning=3000, critical=10000),
        ),
        source="服务方案「基础服务时有异常」；失败占比与 3000、10000 毫秒为本产品经验值",
        after=("network.reach", "service.processes"),
        blind_after=(
            "service.ports",
            "smtp.greeting",
            "submission.login",
            "imap.login",
            "pop3.login",
            "tls.handshake",
            "web.login_page",
        ),
    ),
)

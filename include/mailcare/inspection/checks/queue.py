"""How much mail waits in the queue of each mail host, how long, and what for."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from mailcare.inspection.check import (
    Area,
    Ask,
    Check,
    Question,
    Reply,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.checks.clock import DATE, read_date
from mailcare.inspection.hosts import LOGIN_FIRST, host_ask
from mailcare.inspection.levels import Ceiling
from mailcare.inspection.queues import COUNT_FILES, POSTQUEUE, Mail, Queue, read_queue
from mailcare.inspection.refusals import Refusal, classify
from mailcare.systems.profile import ProfileGap, QueueKind, QueueQuery
from mailcare.systems.site import Node, Role
from mailcare.systems.system import System

QUEUE_S = 10.0
_DEPTH = Ceiling(warning=100, critical=1000, unit="封")
_TOP = 3


@dataclass(frozen=True, slots=True)
class AgeLimits:
    """How long the oldest mail may wait, and from how many mails on it can be critical."""

    oldest: Ceiling
    critical_from_count: int

    def severity(self, hours: float, count: int) -> Severity:
        """Return how bad it is that the oldest of so many mails has waited so long."""
        worst = Severity.CRITICAL if count >= self.critical_from_count else Severity.WARNING
        return min(self.oldest.severity(hours), worst)


@dataclass(frozen=True, slots=True)
class ReasonLimits:
    """Mails that wait for one reason or one destination, beside the limits of the whole queue."""

    depth: Ceiling
    age: AgeLimits
    alike: Ceiling


# A mail to a dead address is retried for days: a few old ones are no emergency.
_AGE = AgeLimits(Ceiling(warning=4, critical=24, unit="小时"), critical_from_count=10)


def _ask(system: System) -> Iterator[Question]:
    query: QueueQuery = system.profile.need("queue")
    if query.kind is QueueKind.DIRECTORY and not query.path:
        raise ProfileGap(f"产品档案「{system.profile.title}」未填写 queue.path")
    for node in system.nodes_of(Role.MAIL):
        asks = (_queue_ask(node, query), host_ask(node, *DATE))
        yield Question(Target(node.name), asks, may_be_cut=True)


def _ask_reasons(system: System) -> Iterator[Question]:
    query: QueueQuery = system.profile.need("queue")
    # The files of a directory say how many and how old, not why.
    return _ask(system) if query.kind is QueueKind.POSTQUEUE_JSON else iter(())


def _queue_ask(node: Node, query: QueueQuery) -> Ask:
    if query.kind is QueueKind.POSTQUEUE_JSON:
        return host_ask(node, *POSTQUEUE, timeout_s=QUEUE_S)
    return host_ask(node, "sh", "-c", COUNT_FILES, "queue", query.path, timeout_s=QUEUE_S)


def _parse(replies: tuple[Reply, ...]) -> Queue:
    return read_queue(replies[0], read_date(replies[1]))


def _judge_depth(queue: Queue, limits: Ceiling, _subject: Subject) -> Iterator[Verdict]:
    severity = limits.severity(queue.count)
    reasons = f"；最多的原因：{queue.reasons[0][0]}" if queue.reasons and severity else ""
    yield Verdict(
        severity,
        f"队列中有 {queue.at_least}{queue.count} 封邮件"
        f"（警告 ≥ {limits.warning:g}，严重 ≥ {limits.critical:g}）{reasons}",
        _DEPTH_ADVICE if severity else "",
        evidence=_evidence(queue),
        metrics={"messages": float(queue.count)},
    )


def _judge_age(queue: Queue, limits: AgeLimits, _subject: Subject) -> Iterator[Verdict]:
    hours, oldest = queue.oldest_hours, limits.oldest
    severity = limits.severity(hours, queue.count)
    text = f"最早一封已等待 {queue.at_least}{hours:.1f} 小时" if queue.count else "队列为空"
    yield Verdict(
        severity,
        f"{text}（警告 ≥ {oldest.warning:g} 小时；"
        f"满 {limits.critical_from_count} 封且 ≥ {oldest.critical:g} 小时严重）",
        _AGE_ADVICE if severity else "",
        evidence=_evidence(queue),
        metrics={"oldest_hours": round(hours, 1)},
    )


def _evidence(queue: Queue) -> tuple[str, ...]:
    oldest = f"，最早到达 {queue.oldest_at:%Y-%m-%d %H:%M} UTC" if queue.oldest_at else ""
    head = f"{queue.at_least}{queue.count} 封{oldest}"
    return (head, *(f"{number} 封：{reason}" for reason, number in queue.reasons))


def _judge_reasons(queue: Queue, limits: ReasonLimits, _subject: Subject) -> Iterator[Verdict]:
    waiting = [mail for mail in queue.mails if mail.waits]
    reasons = Counter(classify(mail.waits[0].reason).refusal for mail in waiting)
    domains = Counter(mail.waits[0].domain for mail in waiting)
    if not waiting:
        yield Verdict(Severity.OK, "队列中没有投递失败而等待重试的邮件")
        return
    severity = max(
        limits.depth.severity(len(waiting)),
        limits.age.severity(queue.hours_since(_oldest(waiting)), len(waiting)),
        limits.alike.severity(max((*reasons.values(), *domains.values()))),
    )
    top = next(iter(reasons.most_common(1)))[0]
    yield Verdict(
        severity,
        f"{queue.at_least}{len(waiting)} 封邮件在等待重试，原因：{_listed(reasons)}；"
        f"目的域：{_listed(domains)}（单一原因或目的域警告 ≥ {limits.alike.warning:g} 封，"
        f"严重 ≥ {limits.alike.critical:g} 封）",
        f"最多的原因是{top.label}，{top.remedy}" if severity else "",
        evidence=_evidence(queue),
        metrics={f"{refusal}_count": float(number) for refusal, number in reasons.items()},
    )


def _oldest(mails: list[Mail]) -> datetime:
    return min(mail.arrived_at for mail in mails)


def _listed(counted: Counter[Refusal] | Counter[str]) -> str:
    names = (
        (one.label if isinstance(one, Refusal) else one, number)
        for one, number in counted.most_common(_TOP)
    )
    return "、".join(f"{name} {number} 封" for name, number in names)


_DEPTH_ADVICE = (
    "请按原因处理：对方拒收或超时先查对端与出口网络；域名解析失败先查 DNS；"
    "若发件人集中于个别账号，按账号被盗用处理，先停用再清理队列。"
)
_AGE_ADVICE = (
    "请查看最早邮件的延迟原因并按其处理；处理后刷新队列（postqueue -f 或产品的重发功能），"
    "确认不可投递的邮件退信告知发件人。"
)

CHECKS = (
    Check(
        name="queue.reasons",
        area=Area.QUEUE,
        title="队列邮件等待的原因",
        question="队列中的邮件在等什么，集中于哪个原因或目的域？",
        ask=_ask_reasons,
        parse=_parse,
        judge=_judge_reasons,
        limits=ReasonLimits(_DEPTH, _AGE, alike=Ceiling(warning=50, critical=1000, unit="封")),
        source="postqueue(1) delay_reason，按 refusals.yaml 归类；"
        "封数与时长沿用 queue.depth、queue.age，单一原因 50 封为本产品经验值",
        after=("service.processes", "dns.resolver", *LOGIN_FIRST),
    ),
    Check(
        name="queue.depth",
        area=Area.QUEUE,
        title="队列邮件数",
        question="邮件队列是否积压？",
        ask=_ask,
        parse=_parse,
        judge=_judge_depth,
        limits=_DEPTH,
        source="postqueue(1) -j；界限为产品档案缺省值（100 / 1000 封），大型系统可在合同中放宽",
        after=("queue.reasons", "service.processes", *LOGIN_FIRST),
    ),
    Check(
        name="queue.age",
        area=Area.QUEUE,
        title="队列最长等待",
        question="队列中是否有滞留过久的邮件？",
        ask=_ask,
        parse=_parse,
        judge=_judge_age,
        limits=_AGE,
        source="RFC 5321 §4.5.4.1：数小时未送达即应关注；Postfix delay_warning_time 常用 4 小时",
        after=("queue.reasons", "queue.depth", "service.processes", *LOGIN_FIRST),
    ),
)

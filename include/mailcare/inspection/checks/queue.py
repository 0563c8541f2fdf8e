"""How much mail waits in the queue of each mail host, how long, and what for."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailcare.inspection.check import (
    Area,
    Ask,
    Check,
    Question,
    Reply,
    ReplyError,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.checks.clock import DATE, read_date
from mailcare.inspection.hosts import CUT, LOGIN_FIRST, NOT_FOUND, first_line, host_ask, lines_of
from mailcare.inspection.levels import Ceiling
from mailcare.systems.profile import ProfileGap, QueueKind, QueueQuery
from mailcare.systems.site import Node, Role
from mailcare.systems.system import System

QUEUE_S = 10.0
_POSTQUEUE = ("postqueue", "-j")
# Two numbers instead of a row for each file; what find may not read it says on its own.
_COUNT_FILES = (
    "[ -d \"$1\" ] || { echo 'mailcare: no such directory'; exit 1; }; "
    'find "$1" -type f -printf "%T@\\n" | sort -n | '
    "awk 'NR == 1 { oldest = $1 } END { print \"mailcare:\", NR, oldest }'"
)
_COUNTED = re.compile(r"^mailcare: (\d{1,12})(?: (\d{1,11})(?:\.\d+)?)?\s*$", re.MULTILINE)
_TOP_REASONS = 3
_REASON_WIDTH = 160


@dataclass(frozen=True, slots=True)
class Queue:
    """The mail that waits; `is_partial` where the answer was cut: then there is more.

    `looked_at` is the host's own time, as the times of arrival are.
    """

    count: int
    oldest_at: datetime | None
    looked_at: datetime
    reasons: tuple[tuple[str, int], ...] = ()
    is_partial: bool = False

    @property
    def oldest_hours(self) -> float:
        """Return the age of the oldest mail; 0 where none waits."""
        if self.oldest_at is None:
            return 0.0
        return max(0.0, (self.looked_at - self.oldest_at).total_seconds() / 3600)

    @property
    def at_least(self) -> str:
        """Return the word that stands before a number of a cut answer."""
        return "至少 " if self.is_partial else ""


def _ask(system: System) -> Iterator[Question]:
    query: QueueQuery = system.profile.need("queue")
    if query.kind is QueueKind.DIRECTORY and not query.path:
        raise ProfileGap(f"产品档案「{system.profile.title}」未填写 queue.path")
    for node in system.nodes_of(Role.MAIL):
        yield Question(Target(node.name), (_queue_ask(node, query), host_ask(node, *DATE)))


def _queue_ask(node: Node, query: QueueQuery) -> Ask:
    if query.kind is QueueKind.POSTQUEUE_JSON:
        return host_ask(node, *_POSTQUEUE, timeout_s=QUEUE_S)
    return host_ask(node, "sh", "-c", _COUNT_FILES, "queue", query.path, timeout_s=QUEUE_S)


def _parse(replies: tuple[Reply, ...]) -> Queue:
    listing, looked_at = replies[0], read_date(replies[1])
    if listing.exit_code == NOT_FOUND:
        raise ReplyError("主机上没有读取队列的命令（postqueue 或 find、awk）")
    if "mailcare:" in listing.text:
        return _from_files(listing, looked_at)
    return _from_postqueue(listing, looked_at)


def _from_files(listing: Reply, looked_at: datetime) -> Queue:
    counted = _COUNTED.search(listing.text)
    others = [line for line in lines_of(listing.text) if not _COUNTED.match(line)]
    if not counted or any(line.strip() for line in others):
        raise ReplyError(f"队列目录无法完整读取：{first_line(chr(10).join(others))}")
    count = int(counted[1])
    oldest_at = _moment(int(counted[2])) if count and counted[2] else None
    return Queue(count, oldest_at, looked_at)


def _from_postqueue(listing: Reply, looked_at: datetime) -> Queue:
    is_partial = listing.exit_code == CUT
    if listing.exit_code != 0 and not is_partial:
        raise ReplyError(f"postqueue 未能列出队列：{first_line(listing.text)}")
    lines = [line for line in listing.text.split("\n") if line.startswith("{")]
    mails = [mail for line in lines if (mail := _mail(line)) is not None]
    unread = len(lines) - len(mails) - is_partial
    if unread > 0 or (listing.text.strip() and not lines):
        raise ReplyError(f"postqueue 的输出无法识别：{first_line(listing.text)}")
    oldest_s = min((mail[0] for mail in mails), default=None)
    return Queue(
        count=len(mails),
        oldest_at=None if oldest_s is None else _moment(oldest_s),
        looked_at=looked_at,
        reasons=tuple(Counter(reason for _, reason in mails if reason).most_common(_TOP_REASONS)),
        is_partial=is_partial,
    )


def _mail(line: str) -> tuple[int, str] | None:
    """Return a mail's time of arrival and why its first recipient waits, None for no mail."""
    try:
        mail = json.loads(line)
    except (ValueError, RecursionError):
        return None
    arrival = mail.get("arrival_time") if isinstance(mail, dict) else None
    if not isinstance(arrival, int) or not 0 < arrival < 10**11:
        return None
    return arrival, _reason(mail)


def _reason(mail: dict[str, Any]) -> str:
    recipients = mail.get("recipients")
    for recipient in recipients if isinstance(recipients, list) else ():
        reason = recipient.get("delay_reason") if isinstance(recipient, dict) else None
        if isinstance(reason, str) and reason:
            return reason[:_REASON_WIDTH]
    return ""


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


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


def _judge_age(queue: Queue, limits: Ceiling, _subject: Subject) -> Iterator[Verdict]:
    hours = queue.oldest_hours
    severity = limits.severity(hours)
    text = f"最早一封已等待 {queue.at_least}{hours:.1f} 小时" if queue.count else "队列为空"
    yield Verdict(
        severity,
        f"{text}（警告 ≥ {limits.warning:g} 小时，严重 ≥ {limits.critical:g} 小时）",
        _AGE_ADVICE if severity else "",
        evidence=_evidence(queue),
        metrics={"oldest_hours": round(hours, 1)},
    )


def _evidence(queue: Queue) -> tuple[str, ...]:
    oldest = f"，最早到达 {queue.oldest_at:%Y-%m-%d %H:%M} UTC" if queue.oldest_at else ""
    head = f"{queue.at_least}{queue.count} 封{oldest}"
    return (head, *(f"{number} 封：{reason}" for reason, number in queue.reasons))


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
        name="queue.depth",
        area=Area.QUEUE,
        title="队列邮件数",
        question="邮件队列是否积压？",
        ask=_ask,
        parse=_parse,
        judge=_judge_depth,
        limits=Ceiling(warning=100, critical=1000),
        source="postqueue(1) -j；界限为产品档案缺省值（100 / 1000 封），大型系统可在合同中放宽",
        after=("service.processes", *LOGIN_FIRST),
    ),
    Check(
        name="queue.age",
        area=Area.QUEUE,
        title="队列最长等待",
        question="队列中是否有滞留过久的邮件？",
        ask=_ask,
        parse=_parse,
        judge=_judge_age,
        limits=Ceiling(warning=4, critical=24),
        source="RFC 5321 §4.5.4.1：数小时未送达即应关注；Postfix delay_warning_time 常用 4 小时",
        after=("service.processes", *LOGIN_FIRST),
    ),
)

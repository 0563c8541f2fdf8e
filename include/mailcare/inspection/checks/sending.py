"""Whether an account sends so much mail that it may have been taken over."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from statistics import median

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
from mailcare.inspection.checks.logins import own_probes
from mailcare.inspection.hosts import LOGIN_FIRST
from mailcare.inspection.levels import Ceiling
from mailcare.inspection.logs import LogReading, Row, moment_in, names_ask, read_logs
from mailcare.systems.profile import LogPattern
from mailcare.systems.site import Role, Site
from mailcare.systems.system import System

DAYS = 7
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Sent:
    """Mails that one account submitted from one address within an hour."""

    count: int
    hour_at: datetime
    address: str
    account: str


@dataclass(frozen=True, slots=True)
class Sending:
    """What the log tells of submissions, and what of it was read."""

    reading: LogReading
    sent: tuple[Sent, ...]


@dataclass(frozen=True, slots=True)
class SendingLimits:
    """Mails of one account within an hour.

    A peak is a spike, too, when it is so many times the account's own median over at least so many
    active hours, and not small.
    """

    per_hour_count: Ceiling
    times_median: float
    active_hours: int
    least_peak_count: int


def _ask(system: System) -> Iterator[Question]:
    pattern: LogPattern = system.profile.need("submissions")
    for node in system.nodes_of(Role.MAIL):
        asks = names_ask(node, {"submissions": (pattern,)}, days=DAYS)
        yield Question(Target(node.name), asks)


def _parse(replies: tuple[Reply, ...]) -> Sending:
    reading = read_logs(replies)
    return Sending(reading, tuple(_sent(row, reading) for row in reading.rows))


def _sent(row: Row, reading: LogReading) -> Sent:
    moment = moment_in(row.fields[0], reading.now_at)
    if moment is None or len(row.fields) != 4:
        raise ReplyError(f"发信记录无法识别：{' '.join(row.fields)[:120]}")
    hour_at = moment.replace(minute=0, second=0, microsecond=0)
    return Sent(row.count, hour_at, row.fields[2].strip(), row.fields[3].strip().lower())


def _judge(sending: Sending, limits: SendingLimits, subject: Subject) -> Iterator[Verdict]:
    hours = _by_account(sending, subject.system.site)
    spikes = [
        verdict
        for account, counts in hours.items()
        if (verdict := _spike(account, counts, sending, limits))
    ]
    yield from spikes or [_calm(hours, sending, limits)]


def _by_account(sending: Sending, site: Site) -> dict[str, Counter[datetime]]:
    ours = own_probes(site)
    hours = defaultdict[str, Counter[datetime]](Counter)
    for one in sending.sent:
        if not sending.reading.is_worker(one.address) or one.account not in ours:
            hours[one.account][one.hour_at] += one.count
    return hours


def _spike(
    account: str, counts: Counter[datetime], sending: Sending, limits: SendingLimits
) -> Verdict | None:
    [(peak_at, peak)] = counts.most_common(1)
    usual = median(sorted(counts.values())[:-1] or [0])
    severity = limits.per_hour_count.severity(peak)
    is_unusual = (
        len(counts) >= limits.active_hours
        and peak >= limits.least_peak_count
        and peak >= limits.times_median * usual
    )
    if not severity and not is_unusual:
        return None
    return Verdict(
        max(severity, Severity.WARNING),
        f"账号 {account} 在 {peak_at:%m-%d %H} 时发信 {sending.reading.at_least}{peak} 封，"
        f"其余时段每小时中位数 {usual:g} 封（{_limits(limits)}）；{sending.reading.span}",
        _ADVICE,
        evidence=_evidence(account, sending),
        metrics={"sent_per_hour_count": float(peak)},
        part=account,
    )


def _limits(limits: SendingLimits) -> str:
    ceiling = limits.per_hour_count
    return (
        f"每小时警告 ≥ {ceiling.warning:g} 封、严重 ≥ {ceiling.critical:g} 封，"
        f"或达自身其余时段中位数的 {limits.times_median:g} 倍"
    )


def _evidence(account: str, sending: Sending) -> tuple[str, ...]:
    own = sorted(
        (one for one in sending.sent if one.account == account), key=lambda one: -one.count
    )
    return tuple(
        f"{one.hour_at:%m-%d %H} 时 {one.count} 封，来自 {one.address}" for one in own[:_SHOWN]
    )


def _calm(hours: dict[str, Counter[datetime]], sending: Sending, limits: SendingLimits) -> Verdict:
    peaks = {account: max(counts.values()) for account, counts in hours.items()}
    most = max(peaks, key=lambda account: peaks[account], default="")
    peak = f"单个账号一小时最多 {peaks[most]} 封（{most}）" if most else "除巡检探测外没有用户发信"
    return Verdict(
        Severity.OK,
        f"{peak}（{_limits(limits)}）；{sending.reading.span}",
        evidence=sending.reading.files,
        metrics={"sent_per_hour_count": float(peaks.get(most, 0))},
    )


_ADVICE = (
    "请向本人核实；不是本人或批量通知账号所发的，立即停用该账号、重置口令、清理队列中的垃圾邮件，"
    "并查来源地址与出口地址是否已进黑名单。建议对每个账号设每小时发信上限。"
)

CHECKS = (
    Check(
        name="security.sending_spikes",
        area=Area.SECURITY,
        title="账号发信量异常",
        question="近 7 天有没有账号突然大量发信，像是被盗用？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=SendingLimits(
            per_hour_count=Ceiling(warning=200, critical=1000),
            times_median=20,
            active_hours=24,
            least_peak_count=50,
        ),
        source=(
            "postfix smtpd(8) 日志 sasl_username；限值为本产品经验值，批量发信账号可在合同中放宽"
        ),
        blind_after=LOGIN_FIRST,
    ),
)

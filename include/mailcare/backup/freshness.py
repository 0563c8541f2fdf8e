"""L1: is the newest generation new enough, in time and in content, and of its usual size? Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from mailcare.backup.verdicts import Coverage, Judgement, Level, Remark, Weight, judged

HISTORY_LONG = 14
HISTORY_SHORT = 3  # fewer say nothing about what is usual
BAND_MADS = 3.5  # Iglewicz and Hoaglin's bound for an outlier
MAD_TO_SIGMA = 1.4826
SHRINK_PCT = 10
COLLAPSE_PCT = 50
SWELL_PCT = 100
STUCK_GENERATIONS = 4
SKEW = timedelta(minutes=5)  # as much as Kerberos forgives (RFC 4120, 1.6)


@dataclass(frozen=True, slots=True)
class Size:
    """How large an earlier generation was."""

    generation: str
    started_at: datetime
    size_bytes: int
    messages: int | None = None


@dataclass(frozen=True, slots=True)
class FreshFacts:
    """The newest generation in time, content and size; `history` are those before it, in order.

    `live_newest_at` is when the newest live message arrived that had to be in it, or one after it
    that is within the RPO of those in it. `ahead_s` is how far the clock of the copy's host is
    ahead of ours; None where it is ours. `gap` is what broke its listing off, a damage of its own
    where it `is_damaged`: of what lies behind nothing is known. `gone` is a newer generation that
    an earlier run saw.
    """

    at: datetime
    rpo_h: float
    generation: str
    started_at: datetime
    is_dated: bool
    size_bytes: int | None
    messages: int | None
    newest_message_at: datetime | None
    live_newest_at: datetime | None
    history: tuple[Size, ...] = ()
    ahead_s: float | None = None
    gap: str = ""
    is_damaged: bool = False
    gone: Size | None = None


def judge_freshness(facts: FreshFacts) -> Judgement:
    """Judge whether the newest generation is new and of its usual size."""
    remarks = [*_in_time(facts), *_in_content(facts), *_in_size(facts)]
    is_bad = any(one.weight is Weight.FAILS for one in remarks)
    return judged(Level.L1, Coverage(1, 1, int(not is_bad), int(is_bad)), remarks)


def _in_time(facts: FreshFacts) -> Iterator[Remark]:
    age = facts.at - facts.started_at
    hours = age.total_seconds() / 3600
    if age > timedelta(hours=facts.rpo_h):
        text = f"最新一代已 {hours:.1f} 小时，RPO 为 {facts.rpo_h:g} 小时"
        yield Remark("stale", text, Weight.FAILS)
    if facts.gone:
        text = f"以前验证过的 {facts.gone.generation} 已不在，现存最新一代早于它"
        yield Remark("generation_gone", text, Weight.FAILS)
    if facts.ahead_s is not None and abs(facts.ahead_s) > SKEW.total_seconds():
        word = "快" if facts.ahead_s > 0 else "慢"
        text = f"备份主机的时钟比本机{word} {abs(facts.ahead_s) / 60:.0f} 分钟，备份时间不可信"
        yield Remark("clock_skew", text, Weight.DEGRADES)
    if age < -SKEW:
        text = f"最新一代的时间在未来（{-hours:.1f} 小时后），备份主机时钟不可信"
        yield Remark("clock", text, Weight.DEGRADES)


def _in_content(facts: FreshFacts) -> Iterator[Remark]:
    code, told = _stale_inside(facts)
    if facts.gap:
        known = f"，已列出的部分里{told}，其余不得而知" if told else ""
        text = f"清单没有读完{known}：{facts.gap}"
        yield Remark("listing", text, _weight_of_gap(facts, told))
    elif told:
        yield Remark(code, f"备份{_WHERE[code]}{told}", Weight.FAILS)
    elif code:
        yield Remark(code, "备份内没有时间可信的邮件，不能由内容判断时效", Weight.NOTE)


def _weight_of_gap(facts: FreshFacts, told: str) -> Weight:
    """Return what a listing that broke off weighs: nothing only where it had proved enough."""
    if told and facts.is_damaged:
        return Weight.FAILS
    is_proved = not told and facts.live_newest_at and facts.newest_message_at
    return Weight.NOTE if is_proved else Weight.DEGRADES


_WHERE = {"empty": "中", "stale_inside": "内"}


def _stale_inside(facts: FreshFacts) -> tuple[str, str]:
    """Return by which code and how what was listed is older than the live store; empty if not."""
    if facts.live_newest_at is None:
        return "", ""
    if facts.newest_message_at is None:
        return ("undated", "") if facts.messages else ("empty", "没有任何邮件，而现网有")
    lag = facts.live_newest_at - facts.newest_message_at
    if lag <= timedelta(hours=facts.rpo_h):
        return "", ""
    hours = lag.total_seconds() / 3600
    told = f"最新的邮件比现网应有的落后 {hours:.1f} 小时，RPO 为 {facts.rpo_h:g} 小时"
    return "stale_inside", told


def _in_size(facts: FreshFacts) -> Iterator[Remark]:
    sizes = [one.size_bytes for one in facts.history[-HISTORY_LONG:]]
    if facts.size_bytes is None or len(sizes) < HISTORY_SHORT:
        return
    usual = median(sizes)
    change_pct = 100 * (facts.size_bytes - usual) / max(usual, 1)
    text = f"容量 {facts.size_bytes:,} 字节，比以往中位数 {usual:,.0f} 变化 {change_pct:+.0f}%"
    if change_pct <= -COLLAPSE_PCT:
        yield Remark("collapsed", text, Weight.FAILS)
    elif change_pct < -SHRINK_PCT and _is_outlier(facts.size_bytes, sizes):
        yield Remark("shrunk", text, Weight.DEGRADES)
    elif change_pct > SWELL_PCT and _is_outlier(facts.size_bytes, sizes):
        yield Remark("swollen", text, Weight.DEGRADES)
    yield from _stuck(facts)


def _is_outlier(size: int, sizes: Sequence[int]) -> bool:
    usual = median(sizes)
    spread = median(abs(one - usual) for one in sizes) * MAD_TO_SIGMA
    return abs(size - usual) > BAND_MADS * spread


def _stuck(facts: FreshFacts) -> Iterator[Remark]:
    """Growth that stops though mail goes on: a job that runs and copies nothing."""
    last = facts.history[-(STUCK_GENERATIONS - 1) :]
    if len(last) < STUCK_GENERATIONS - 1 or facts.live_newest_at is None:
        return
    is_same = all(one.size_bytes == facts.size_bytes for one in last)
    if is_same and facts.live_newest_at > last[-1].started_at:
        text = f"连续 {STUCK_GENERATIONS} 代容量完全相同，而现网有新邮件"
        yield Remark("stuck", text, Weight.DEGRADES)

"""L0: is there a backup at all, are the promised generations there, can they be changed? Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailcare.backup.generations import MISSING_SHOWN, missing, slots
from mailcare.backup.source import NotReached, Reach
from mailcare.backup.verdicts import Coverage, Judgement, Level, Remark, Weight, judged, not_run
from mailcare.systems.backups import BackupCopy

BLAMED_AT_FIRST = frozenset({"missing", "password"})  # the copy's own fault, told once
BLAMED = frozenset({"damaged", "alarm"})  # at whatever level meets it


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What the first look found, held against what was promised.

    `expected` counts the promised spans and the newest generation; `missing` names those without.
    """

    at: datetime
    generations: tuple[str, ...]
    newest_at: datetime | None
    expected: int
    missing: tuple[str, ...]
    locked_since: datetime | None
    lock_h: float
    wants_immutable: bool
    is_immutable: bool | None
    immutability: str
    notes: tuple[str, ...] = ()
    is_live: bool = False


def chain_facts(copy: BackupCopy, reach: Reach, *, now: datetime) -> ChainFacts:
    """Hold what is there against the copy's schedule."""
    wanted = slots(copy.schedule, now)
    gone = tuple(str(one) for one in missing(wanted, reach.generations))
    newest = max((one.started_at for one in reach.generations), default=None)
    return ChainFacts(
        now,
        tuple(one.name for one in reach.generations),
        newest,
        len(wanted) + 1,
        gone if newest else ("任何一代", *gone),
        reach.locked_since,
        max(copy.schedule.every_h, 1),
        copy.immutable,
        reach.is_immutable,
        reach.immutability,
        reach.remarks,
        reach.is_live,
    )


def judge_chain(facts: ChainFacts) -> Judgement:
    """Judge whether what was promised is there."""
    bad = len(facts.missing)
    coverage = Coverage(facts.expected, facts.expected, facts.expected - bad, bad)
    return judged(Level.L0, coverage, _chain_remarks(facts))


def _chain_remarks(facts: ChainFacts) -> Iterator[Remark]:
    if not facts.generations:
        yield Remark("none", "没有任何备份代", Weight.FAILS)
    if facts.is_live:
        text = "最新一代就是现网邮件目录本身（同一个目录），不是备份"
        yield Remark("live", text, Weight.FAILS)
    if facts.missing and facts.generations:
        told = "、".join(facts.missing[:MISSING_SHOWN])
        more = f" 等 {len(facts.missing)} 处" if len(facts.missing) > MISSING_SHOWN else ""
        yield Remark("generation_missing", f"缺少约定的备份代：{told}{more}", Weight.FAILS)
    if facts.locked_since is not None:
        held = facts.at - facts.locked_since
        is_stale = held > timedelta(hours=facts.lock_h)
        text = f"被锁定 {held.total_seconds() / 3600:.1f} 小时"
        told = f"{text}，超过备份周期，可能是中断后遗留的锁" if is_stale else f"{text}，正在备份"
        yield Remark("locked", told, Weight.DEGRADES if is_stale else Weight.NOTE)
    if facts.wants_immutable and facts.is_immutable is not True:
        text = f"约定为不可修改，但{facts.immutability or '无从证实'}"
        yield Remark("changeable", text, Weight.DEGRADES)
    elif facts.immutability:
        yield Remark("immutability", facts.immutability, Weight.NOTE)
    for one in facts.notes:
        yield Remark("note", one, Weight.NOTE)


def unreached(level: Level, error: NotReached) -> Judgement:
    """Judge that a copy could not be looked at: its own fault fails, ours is not run."""
    told = f"{error.subject}：{error.message}" if error.subject else error.message
    if error.code in BLAMED or (level is Level.L0 and error.code in BLAMED_AT_FIRST):
        remark = Remark(error.code, told, Weight.FAILS)
        return judged(level, Coverage(1, 1, bad=1), [remark])
    return not_run(level, told, code=error.code)

"""L0: is there a backup at all, are the promised generations there, can they be changed? Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailcare.backup.generations import MISSING_SHOWN, missing, slots
from mailcare.backup.separation import Distance, NotTold, Separation
from mailcare.backup.source import NotReached, Reach
from mailcare.backup.verdicts import Coverage, Judgement, Level, Remark, Weight, judged, not_run
from mailcare.systems.backups import BackupCopy

BLAMED_AT_FIRST = frozenset({"missing", "password"})  # the copy's own fault, told once
BLAMED = frozenset({"damaged", "alarm"})  # at whatever level meets it


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What the first look found, held against what was promised.

    `expected` counts the promised spans and the newest generation; `missing` names those without.
    `separation` is None where a copy holds nothing of a live store; `damages` are the copy's own.
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
    wants_off_site: bool = False
    separation: Separation | NotTold | None = None
    damages: tuple[str, ...] = ()


def chain_facts(
    copy: BackupCopy, reach: Reach, separation: Separation | NotTold | None, *, now: datetime
) -> ChainFacts:
    """Hold what is there against the copy's schedule; `separation` is from the live store."""
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
        copy.off_site,
        separation,
        reach.damages,
    )


def judge_chain(facts: ChainFacts) -> Judgement:
    """Judge whether what was promised is there."""
    bad = len(facts.missing)
    coverage = Coverage(facts.expected, facts.expected, facts.expected - bad, bad)
    return judged(Level.L0, coverage, _chain_remarks(facts))


def _chain_remarks(facts: ChainFacts) -> Iterator[Remark]:
    if not facts.generations:
        yield Remark("none", "没有任何备份代", Weight.FAILS)
    if facts.damages:
        more = f" 等 {len(facts.damages)} 处" if len(facts.damages) > 1 else ""
        yield Remark("damaged", f"{facts.damages[0]}{more}", Weight.FAILS)
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
    yield from _separation_remarks(facts)
    for one in facts.notes:
        yield Remark("note", one, Weight.NOTE)


_NO_BACKUP = {
    Distance.SAME_FOLDER: "最新一代就是现网邮件目录本身，不是备份",
    Distance.SAME_FILES: "最新一代与现网是相同的文件（硬链接或挂载），不是备份",
}
_NEAR = {
    Distance.SAME_SYSTEM: "与现网邮件存储在同一个文件系统，磁盘或主机损坏时会一同丢失",
    Distance.SAME_HOST: "与现网邮件存储在同一台主机，主机损坏或被入侵时会一同丢失",
}


def _separation_remarks(facts: ChainFacts) -> Iterator[Remark]:
    match facts.separation:
        case NotTold(reason):
            text = f"未能判断是否与现网分处两台主机：{reason}"
            yield Remark("separation_not_told", text, Weight.NOTE)
        case Separation(distance, told, unchecked):
            yield _separation_remark(facts, distance, told)
            if unchecked:
                text = f"未能核对文件是否与现网为同一份：{unchecked}"
                yield Remark("files_not_compared", text, Weight.NOTE)


def _separation_remark(facts: ChainFacts, distance: Distance, told: str) -> Remark:
    if distance in _NO_BACKUP:
        return Remark(distance.value, f"{_NO_BACKUP[distance]}（{told}）", Weight.FAILS)
    if distance is Distance.APART:
        return Remark(distance.value, f"与现网不在同一台主机（{told}）", Weight.NOTE)
    text = f"{_NEAR[distance]}（{told}）"
    if facts.wants_off_site:
        return Remark(distance.value, f"约定为异地副本，但{text}", Weight.DEGRADES)
    return Remark(distance.value, text, Weight.NOTE)


def unreached(level: Level, error: NotReached) -> Judgement:
    """Judge that a copy could not be looked at: its own fault fails, ours is not run."""
    told = f"{error.subject}：{error.message}" if error.subject else error.message
    if error.code in BLAMED or (level is Level.L0 and error.code in BLAMED_AT_FIRST):
        remark = Remark(error.code, told, Weight.FAILS)
        return judged(level, Coverage(1, 1, bad=1), [remark])
    return not_run(level, told, code=error.code)

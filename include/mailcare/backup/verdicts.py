"""What is said of a copy's generation at a level, and on how much of it that rests. Pure.

A verdict is never one boolean. "Passed" cannot be said of what was not looked at in full: such a
`Judgement` cannot be made.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum


class Level(StrEnum):
    """How deep a verification goes; each asks another question."""

    L0 = "L0"
    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"
    L5 = "L5"

    @property
    def label(self) -> str:
        """Return the Chinese name of papers and pages."""
        return TITLES[self]

    def is_within(self, through: "Level") -> bool:
        """Tell whether a verification through that level includes this one."""
        return self.value <= through.value


TITLES = {
    Level.L0: "副本与备份代",
    Level.L1: "时效与容量",
    Level.L2: "邮箱清点",
    Level.L3: "完整性校验",
    Level.L4: "恢复演练",
    Level.L5: "服务演练",
}


class Verdict(StrEnum):
    """What became of a level. `NOT_RUN` is no praise and no blame: its reason says why."""

    PASS = "PASS"  # noqa: S105 - a verdict, no password
    FAIL = "FAIL"
    DEGRADED = "DEGRADED"
    NOT_RUN = "NOT_RUN"


WORST_FIRST = (Verdict.FAIL, Verdict.DEGRADED, Verdict.NOT_RUN, Verdict.PASS)


class Weight(IntEnum):
    """How much a remark takes away from a verdict."""

    NOTE = 0  # nothing: a person should know
    DEGRADES = 1
    FAILS = 2


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that was found: a word for programs, a sentence for people, what it weighs."""

    code: str
    text: str
    weight: Weight


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much there was to look at, and what became of it; the unit is the level's own.

    `changed` counts what changed or vanished while it was read, twice.
    """

    expected: int = 0
    examined: int = 0
    ok: int = 0
    bad: int = 0
    unreadable: int = 0
    changed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        numbers = (self.expected, self.examined, self.ok, self.bad, self.unreadable, self.changed)
        if min(numbers) < 0:
            raise ValueError("a count below zero")
        if self.ok + self.bad + self.unreadable + self.changed != self.examined:
            raise ValueError("what was examined is ok, bad, unreadable or changed")

    @property
    def is_whole(self) -> bool:
        """Tell whether something was there, and all of it was examined and could be judged."""
        is_examined = 0 < self.expected <= self.examined
        return is_examined and not self.unreadable and not self.changed

    def __add__(self, other: "Coverage") -> "Coverage":
        """Return both together."""
        return Coverage(
            self.expected + other.expected,
            self.examined + other.examined,
            self.ok + other.ok,
            self.bad + other.bad,
            self.unreadable + other.unreadable,
            self.changed + other.changed,
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one level with what it rests on; see the module."""

    level: Level
    verdict: Verdict
    coverage: Coverage
    remarks: tuple[Remark, ...] = ()

    def __post_init__(self) -> None:
        """Refuse praise that the coverage does not bear, and silence about a failure."""
        worst = max((one.weight for one in self.remarks), default=Weight.NOTE)
        if self.verdict is Verdict.PASS:
            is_earned = self.coverage.is_whole and not self.coverage.bad
            if not is_earned or worst is not Weight.NOTE:
                raise ValueError("PASS without whole coverage, or in spite of a remark")
        elif not self.remarks:
            raise ValueError("a verdict other than PASS needs a reason")

    @property
    def reason(self) -> str:
        """Return why it is not passed, in a sentence; empty where it is."""
        told = [one.text for one in self.remarks if one.weight is not Weight.NOTE]
        told = told or [one.text for one in self.remarks]
        return "" if self.verdict is Verdict.PASS else "；".join(told)


def judged(level: Level, coverage: Coverage, remarks: Iterable[Remark]) -> Judgement:
    """Return the best verdict that coverage and remarks allow.

    Bad fails; unreadable, unfinished and nothing at all degrade, whatever the remarks say.
    """
    told = (*remarks, *_gaps(coverage))
    worst = max((one.weight for one in told), default=Weight.NOTE)
    verdict = {
        Weight.FAILS: Verdict.FAIL,
        Weight.DEGRADES: Verdict.DEGRADED,
        Weight.NOTE: Verdict.PASS,
    }[worst]
    return Judgement(level, verdict, coverage, told)


def _gaps(coverage: Coverage) -> Iterable[Remark]:
    if coverage.bad:
        yield Remark("bad", f"{coverage.bad} 项不合格", Weight.FAILS)
    if coverage.unreadable:
        text = f"{coverage.unreadable} 项无法读取，不能判为通过"
        yield Remark("unreadable", text, Weight.DEGRADES)
    if coverage.changed:
        text = f"{coverage.changed} 项在读取期间变化或消失，重试后仍未能校验"
        yield Remark("changed", text, Weight.DEGRADES)
    if coverage.examined < coverage.expected:
        text = f"应检查 {coverage.expected} 项，只检查了 {coverage.examined} 项"
        yield Remark("unfinished", text, Weight.DEGRADES)
    if not coverage.expected:
        yield Remark("nothing", "没有可检查的内容，不能判为通过", Weight.DEGRADES)


def not_run(level: Level, reason: str, *, code: str = "not_run") -> Judgement:
    """Return that a level was not run, and why."""
    remark = Remark(code, reason, Weight.DEGRADES)
    return Judgement(level, Verdict.NOT_RUN, Coverage(), (remark,))


def aged(
    judgement: Judgement,
    *,
    policy_days: int | None,
    last_run_at: datetime | None,
    known_since: datetime | None,
    now: datetime,
) -> Judgement:
    """Turn a level that was not run for longer than its policy into a degraded one.

    `last_run_at` is when it last ran at all, `known_since` when the copy was first verified: from
    then on it could have been run. Without a policy nothing was promised.
    """
    waits_since = last_run_at or known_since
    if judgement.verdict is not Verdict.NOT_RUN or policy_days is None or waits_since is None:
        return judgement
    if now - waits_since <= timedelta(days=policy_days):
        return judgement
    days = (now - waits_since).days
    told = f"上次完成已过 {days} 天" if last_run_at else f"首次验证已过 {days} 天，从未完成"
    text = f"{told}，约定至少每 {policy_days} 天一次"
    remark = Remark("overdue", text, Weight.DEGRADES)
    return Judgement(
        judgement.level, Verdict.DEGRADED, judgement.coverage, (*judgement.remarks, remark)
    )


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of several verdicts; none at all is `NOT_RUN`."""
    said = set(verdicts)
    return next((one for one in WORST_FIRST if one in said), Verdict.NOT_RUN)

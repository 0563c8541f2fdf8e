"""Damage the lab's backups in every way, verify them, hold the verdicts against what must be said.

`python -m lab.backup_matrix` makes real backups of the lab's mail, tries every damage on every kind
of copy, then verifies the sound copies many times over, writes `docs/backup-detection.md` and ends
with 1 when a damage is missed or a sound copy does not pass. With names only those damages are
tried, and the page stays as it is.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import backups, lifecycle
from lab.backups import DAMAGES, KINDS, Damage
from mailcare.backup.verdicts import WORST_FIRST, Level, Verdict, worst
from mailcare.backup.verification import verify_site

SITE = Path(__file__).parent / "site-backup.yaml"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "backup-detection.md"
HEALTHY_RUNS = 20  # of every kind of copy


class _Silent:
    """Progress that nobody watches."""

    def stage(self, title: str, total: int) -> None:
        """Begin a stage."""

    def step(self, detail: str) -> None:
        """Count a step."""

    def note(self, detail: str) -> None:
        """Say how far it is."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a verification said of one copy after one damage: the verdict of each level."""

    damage: str
    kind: str
    found: dict[Level, Verdict]
    reason: str

    def is_right(self) -> bool:
        """Tell whether the level that must find it failed, or nothing at all was called sound."""
        must = damage_of(self.damage).found_by[self.kind]
        if must == "NOT_RUN":
            below = {one for level, one in self.found.items() if level is not Level.L0}
            return below == {Verdict.NOT_RUN}
        return self.found.get(Level(must)) is Verdict.FAIL


def damage_of(name: str) -> Damage:
    """Return a damage by its name."""
    return next(one for one in DAMAGES if one.name == name)


def verify(kinds: Sequence[str], through: Level) -> dict[str, tuple[dict[Level, Verdict], str]]:
    """Verify copies of the lab; return the verdicts by level and the first reason, by copy."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["MAILCARE_HOME"] = name
        out = Path(name, "out")
        done = verify_site(SITE, kinds, through=through, out=out, progress=_Silent())
    found = {}
    for outcome in done.outcomes:
        judged = [one.judgement() for one in outcome.findings]
        levels = {
            level: worst(one.verdict for one in judged if one.level is level)
            for level in dict.fromkeys(one.level for one in judged)
        }
        bad = sorted(judged, key=lambda one: WORST_FIRST.index(one.verdict))
        found[outcome.copy.name] = levels, bad[0].reason[:80]
    return found


def examine(damage: Damage) -> Iterator[Row]:
    """Do one damage to every kind of copy that it can befall, verify, and mend."""
    backups.mend()
    kinds = tuple(damage.found_by)
    for kind in kinds[:1] if damage.is_backed_up else kinds:
        damage.apply(kind)
    deepest = max((one for one in damage.found_by.values() if one != "NOT_RUN"), default="L2")
    try:
        for kind, (found, reason) in verify(kinds, Level(deepest)).items():
            yield Row(damage.name, kind, found, reason)
    finally:
        backups.mend()


def _line(row: Row) -> str:
    levels = " ".join(f"{level}:{verdict}" for level, verdict in row.found.items())
    damage, mark = damage_of(row.damage), "✓" if row.is_right() else "✗"
    reason = row.reason.replace("|", "¦").replace("\n", " ")
    must = damage.found_by[row.kind]
    return f"| {row.damage} | {damage.title} | {row.kind} | {must} | {levels} | {reason} | {mark} |"


def _page(rows: Sequence[Row], passes: Sequence[bool]) -> str:
    right = sum(row.is_right() for row in rows)
    return "\n".join(
        (
            "# 备份损坏与发现",
            "",
            "<!-- 由 `make lab-backup-matrix` 写成，请勿手工修改。 -->",
            "",
            "实验环境的备份主机用 rsync 式镜像、tar.gz、tar.zst、restic、borg 备份真实的 Maildir，"
            "各三代；逐一造成损坏、经 SSH 验证、复原。"
            "“应由”是必须判为 FAIL 的级别；NOT_RUN 指除 L0 外都不得给出结论。",
            "",
            f"- 损坏 {len(DAMAGES)} 种、{len(rows)} 例，判断正确 {right} 例。",
            f"- 无损坏时验证到 L5，{len(passes) // len(KINDS)} 轮，每轮 {len(KINDS)} 个副本；"
            f"各级全部 PASS 的 {sum(passes)} / {len(passes)} 次。",
            "",
            "| 损坏 | 内容 | 副本 | 应由 | 各级结论 | 首要原因 | |",
            "|---|---|---|---|---|---|---|",
            *map(_line, rows),
            "",
        )
    )


def _sound(number: int) -> list[bool]:
    """Verify every sound copy through all levels; tell of each whether all levels passed."""
    passed = []
    for kind, (found, reason) in verify(KINDS, Level.L5).items():
        passed.append(set(found.values()) == {Verdict.PASS} and len(found) == len(Level))
        sys.stderr.write(f"sound run {number} {kind}: {passed[-1]} {reason}\n")
    return passed


def main(names: Sequence[str]) -> int:
    """Try the named damages, or all; see the module."""
    lifecycle.up()
    backups.make_all()
    rows = []
    for damage in [damage_of(name) for name in names] or DAMAGES:
        for row in examine(damage):
            rows.append(row)
            sys.stderr.write(f"{_line(row)}\n")
    passes: list[bool] = []
    for number in range(0 if names else HEALTHY_RUNS):
        passes += _sound(number + 1)
    if not names:
        PAGE.write_text(_page(rows, passes), "utf-8")
    return int(not all(passes) or not all(row.is_right() for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

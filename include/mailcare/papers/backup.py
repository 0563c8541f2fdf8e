"""The 《备份验证报告》 as a document: verdicts, confidence, trends, evidence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailcare.backup.verdicts import WORST_FIRST, Level, Verdict, worst
from mailcare.papers.document import Document, Json

TEMPLATE, TEMPLATE_VERSION = "backup/report.html", 3
TREND_MOST = 10
REMARKS_SHOWN = 12
MEGABYTE = 1_000_000
BADGES = {
    Verdict.PASS: "ok",
    Verdict.FAIL: "critical",
    Verdict.DEGRADED: "warning",
    Verdict.NOT_RUN: "unmeasured",
}
WORDS = {
    Verdict.PASS: "通过",
    Verdict.FAIL: "不通过",
    Verdict.DEGRADED: "降级",
    Verdict.NOT_RUN: "未执行",
}
UNITS = {
    Level.L0: "备份代",
    Level.L1: "代",
    Level.L2: "邮箱",
    Level.L3: "封或块",
    Level.L4: "封",
    Level.L5: "封",
}
OVERALL = {
    Verdict.PASS: "全部副本通过验证，可以用来恢复。",
    Verdict.FAIL: "有副本不通过验证：现在发生故障，可能无法从它恢复全部邮件。",
    Verdict.DEGRADED: "没有发现损坏，但有副本不能完全保证，须按下列原因处理。",
    Verdict.NOT_RUN: "验证没有完成，不能据此认为备份可用。",
}
UNDRILLED = "全部副本通过验证，但没有都做到恢复演练（L4），不能据此断定可以恢复。"
NO_SAMPLE = "本次没有恢复演练（L4），不对可恢复比例作统计结论。"


@dataclass(frozen=True, slots=True)
class LevelLine:
    """A level of one generation as the report prints it."""

    level: Level
    generation: str
    verdict: Verdict
    reason: str
    coverage: Mapping[str, int]
    remarks: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """The size of a generation, and how many messages were in it."""

    on: str
    size_bytes: int
    messages: int | None


@dataclass(frozen=True, slots=True)
class CopyReport:
    """A copy with its levels, its past and its evidence."""

    title: str
    kind: str
    place: str
    off_site: bool
    rpo_h: float
    lines: tuple[LevelLine, ...]
    trend: tuple[TrendPoint, ...]
    evidence: Mapping[str, str]

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict on it."""
        return worst(one.verdict for one in self.lines)


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What one verification found, as a value."""

    customer: str
    system: str
    product: str
    occasion: str
    started_at: datetime
    finished_at: datetime
    copies: tuple[CopyReport, ...]


def backup_report(found: BackupReport, *, number: str, vendor: str) -> Document:
    """Return the report of a verification."""
    overall = worst(one.verdict for one in found.copies)
    content: dict[str, Json] = {
        "title": "备份验证报告",
        "customer": found.customer,
        "system": found.system,
        "product": found.product,
        "vendor": vendor,
        "occasion": found.occasion,
        "started_at": found.started_at.isoformat(),
        "finished_at": found.finished_at.isoformat(),
        "overall": {
            "badge": BADGES[overall],
            "word": WORDS[overall],
            "says": _says(overall, found.copies),
        },
        "confidence": _confidence(found.copies),
        "urgent": [*_urgent(found.copies)],
        "levels": [{"name": level.value, "title": level.label} for level in Level],
        "matrix": [_matrix_row(one) for one in found.copies],
        "copies": [_copy(one) for one in found.copies],
        "charts": [*_charts(found.copies)],
        "words": [{"badge": BADGES[one], "word": WORDS[one]} for one in WORST_FIRST],
    }
    return Document(number, TEMPLATE, TEMPLATE_VERSION, content)


def _says(overall: Verdict, copies: Iterable[CopyReport]) -> str:
    drilled = all(any(line.level is Level.L4 for line in one.lines) for one in copies)
    return OVERALL[overall] if drilled or overall is not Verdict.PASS else UNDRILLED


def _confidence(copies: Iterable[CopyReport]) -> list[Json]:
    told: list[Json] = [
        f"{copy.title}：{text}"
        for copy in copies
        for line in copy.lines
        if line.level is Level.L4
        for code, text in line.remarks
        if code in ("confidence", "mailboxes", "rto")
    ]
    return told or [NO_SAMPLE]


def _urgent(copies: Iterable[CopyReport]) -> Iterable[Json]:
    """Yield what somebody must see to; what a failure kept from being run, it tells itself."""
    lines = [(copy, line) for copy in copies for line in copy.lines]
    for wanted in (Verdict.FAIL, Verdict.DEGRADED, Verdict.NOT_RUN):
        for copy, line in lines:
            is_explained = wanted is Verdict.NOT_RUN and copy.verdict is Verdict.FAIL
            if line.verdict is wanted and not is_explained:
                yield {
                    "badge": BADGES[wanted],
                    "word": WORDS[wanted],
                    "what": f"{copy.title} · {line.level} {line.level.label}",
                    "says": line.reason,
                }


def _matrix_row(copy: CopyReport) -> Json:
    return {
        "title": copy.title,
        "cells": [_cell(copy.lines, level) for level in Level],
        "badge": BADGES[copy.verdict],
        "word": WORDS[copy.verdict],
    }


def _cell(lines: Iterable[LevelLine], level: Level) -> Json:
    found = [one.verdict for one in lines if one.level is level]
    if not found:
        return {"badge": "not_applicable", "word": "/"}
    return {"badge": BADGES[worst(found)], "word": WORDS[worst(found)]}


def _copy(copy: CopyReport) -> Json:
    return {
        "title": copy.title,
        "kind": copy.kind,
        "place": copy.place,
        "off_site": "异地" if copy.off_site else "本地",
        "rpo_h": f"{copy.rpo_h:g}",
        "badge": BADGES[copy.verdict],
        "word": WORDS[copy.verdict],
        "lines": [_line(one) for one in copy.lines],
        "evidence": dict(copy.evidence),
    }


def _line(line: LevelLine) -> Json:
    counts = line.coverage
    told = f"{counts['ok']:,} / {counts['expected']:,} {UNITS[line.level]}"
    extra = [
        f"{word} {counts[name]:,}"
        for name, word in (("bad", "不合格"), ("unreadable", "不可读"), ("changed", "读时变化"))
        if counts[name]
    ]
    notes = [text for _, text in line.remarks if text not in line.reason][:REMARKS_SHOWN]
    return {
        "level": f"{line.level} {line.level.label}",
        "generation": line.generation,
        "badge": BADGES[line.verdict],
        "word": WORDS[line.verdict],
        "coverage": "，".join([told, *extra]) if counts["expected"] else "",
        "reason": line.reason,
        "notes": list(notes),
    }


def _charts(copies: Sequence[CopyReport]) -> Iterable[Json]:
    for copy in copies:
        points = copy.trend[-TREND_MOST:]
        if len(points) < 2 or not any(one.size_bytes for one in points):
            continue
        yield {
            "kind": "lines",
            "title": f"{copy.title}：各代容量（MB）",
            "unit": "MB",
            "dates": [one.on for one in points],
            "lines": [
                {"label": "容量 MB", "values": [one.size_bytes / MEGABYTE for one in points]}
            ],
        }
        counts: list[Json] = [one.messages for one in points]
        if any(counts):
            yield {
                "kind": "lines",
                "title": f"{copy.title}：各代邮件数（封）",
                "unit": "封",
                "dates": [one.on for one in points],
                "lines": [{"label": "邮件数", "values": counts}],
            }

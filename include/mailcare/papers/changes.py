"""The section 与上次巡检的比较: what changed since the last inspection, and the numbers' trends."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from mailcare.inspection.check import Finding, Result
from mailcare.inspection.comparison import Change, Kind, Past, compare, series
from mailcare.inspection.outcome import state_of
from mailcare.inspection.planning import AnyCheck
from mailcare.papers.charts import trend_charts
from mailcare.papers.document import Json
from mailcare.papers.wording import AREAS, STATES

KINDS: Mapping[Kind, str] = {
    Kind.NEW: "新增",
    Kind.WORSE: "加重",
    Kind.FIRST: "首次检查",
    Kind.AGAIN: "恢复测量",
    Kind.LOST: "未能复测",
    Kind.SAME: "未变",
    Kind.BETTER: "减轻",
    Kind.GONE: "已消除",
}
FIRST_INSPECTION = "首次巡检，没有可比较的记录"
NOT_COMPARED = "本次在命令行进行，未读取历次巡检记录，不作比较"
CHANGES_MAX = 60
SAYS_MAX = 120


def changes_since(
    past: Sequence[Past] | None,
    results: Sequence[Result],
    checks: Sequence[AnyCheck],
    *,
    started_at: datetime,
) -> dict[str, Json]:
    """Return the section's content; `past` is oldest first, None where nobody looked it up."""
    if not past:
        note = NOT_COMPARED if past is None else FIRST_INSPECTION
        return {"last_at": None, "note": note, "counts": [], "rows": [], "more": 0, "trends": []}
    changes = compare(past[-1].results, results)
    counted = Counter(change.kind for change in changes)
    moments = [*(one.started_at for one in past), started_at]
    return {
        "last_at": past[-1].started_at.isoformat(),
        "note": "",
        "counts": [[word, counted[kind]] for kind, word in KINDS.items()],
        "rows": [change_row(change, checks) for change in changes[:CHANGES_MAX]],
        "more": max(0, len(changes) - CHANGES_MAX),
        "trends": trend_charts(series(past, results), checks, moments),
    }


def change_row(change: Change, checks: Sequence[AnyCheck]) -> dict[str, Json]:
    """Return one change as a row of the table."""
    known = {check.name: check for check in checks}
    # An earlier version of the product may have had a check that this one lacks.
    check = known.get(change.check)
    return {
        "kind": KINDS[change.kind],
        "is_worry": change.kind in (Kind.NEW, Kind.WORSE, Kind.LOST),
        "area": AREAS[check.area] if check else "",
        "title": check.title if check else change.check,
        "target": str(change.target),
        "before": _state(change.before),
        "after": _state(change.after),
        "says": _says(change),
    }


def _state(result: Result | None) -> str:
    if result is None:
        return "无"
    if isinstance(result, Finding):
        return STATES[result.severity.name.lower()]
    return STATES[state_of(result)]


def _says(change: Change) -> str:
    told = change.after or change.before
    assert told  # a change has at least one side
    text = told.summary if isinstance(told, Finding) else told.reason
    if change.after is None:
        text = "不再出现；" * (change.kind is Kind.GONE) + f"上次：{text}"
    return text if len(text) <= SAYS_MAX else f"{text[:SAYS_MAX]}……"

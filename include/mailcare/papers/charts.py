"""What the charts of a report show, as JSON: whatever was measured in a unit that can be drawn.

A chart belongs to one area and one unit, so that a new metric appears by itself. `figures` draws.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime

import pandas as pd

from mailcare.clock import BEIJING
from mailcare.inspection.check import Area, Finding
from mailcare.inspection.comparison import Series
from mailcare.inspection.levels import Ceiling, Floor
from mailcare.inspection.planning import AnyCheck
from mailcare.papers.document import Json
from mailcare.papers.formats import number, quantity
from mailcare.papers.items import Item
from mailcare.papers.wording import AREAS, STATES, TOTAL, measure_of

ROWS_MAX = 24
LINES_MAX = 6
DRAWN_UNITS = ("%", "秒", "毫秒", "Mbit/s", "℃")
# Numbers of mails are drawn for the queue; elsewhere a count is no more than a number.
QUEUE_UNITS = ("个", "封")
# Ranks of one number: what the bar shows, and the ends of the line through it.
MIDDLES, LOWS, HIGHS = ("median", "p50"), ("min",), ("max", "p95")
_LIMIT_WORDS = ("warning", "critical", "notice")


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of a finding with its ends; `base` is its name without a rank."""

    item: Item
    base: str
    value: float
    low: float | None
    high: float | None

    @property
    def unit(self) -> str:
        """Return the unit as it is written."""
        return measure_of(self.base)[1]


def counts_chart(table: pd.DataFrame) -> dict[str, Json]:
    """Return the counts by area as stacked bars; the total is left out."""
    table = table.drop(index=TOTAL)
    words = {word: state for state, word in STATES.items()}
    rows: list[Json] = [
        {"label": str(area), "counts": {words[word]: int(row[word]) for word in words}}
        for area, row in table.iterrows()
    ]
    return {"kind": "stacked", "title": "各领域检查结果", "rows": rows}


def bar_charts(items: Iterable[Item]) -> list[dict[str, Json]]:
    """Return a bar chart for each area and unit in which anything but zero was measured."""
    groups: dict[tuple[Area, str], list[Measure]] = {}
    for item in items:
        for measure in measures_of(item):
            if is_drawn(item.check.area, measure.unit):
                groups.setdefault((item.check.area, measure.unit), []).append(measure)
    order = [(area, unit) for area in AREAS for unit in (*DRAWN_UNITS, *QUEUE_UNITS)]
    alone = _alone(measure for found in groups.values() for measure in found)
    return [
        _bars(area, unit, groups[area, unit], alone)
        for area, unit in order
        if any(one.value for one in groups.get((area, unit), ()))
    ]


def is_drawn(area: Area, unit: str) -> bool:
    """Tell whether numbers of that unit go into a chart of that area."""
    return unit in DRAWN_UNITS or (area is Area.QUEUE and unit in QUEUE_UNITS)


def measures_of(item: Item) -> list[Measure]:
    """Return the numbers of a finding, those that differ by rank only (min, median, p95) as one."""
    if not isinstance(item.result, Finding):
        return []
    ranked: dict[str, dict[str, float]] = {}
    for metric, value in item.result.metrics.items():
        base, rank = ranked_name(metric)
        ranked.setdefault(base, {})[rank] = float(value)
    return [_measure(item, base, values) for base, values in ranked.items()]


def ranked_name(metric: str) -> tuple[str, str]:
    """Split a metric's name into that of the number and its rank: `p95_ms` is `ms` and `p95`."""
    words = metric.split("_")
    rank = next((word for word in words if word in (*MIDDLES, *LOWS, *HIGHS)), "")
    return "_".join(word for word in words if word != rank), rank


def _measure(item: Item, base: str, values: Mapping[str, float]) -> Measure:
    low, high = _first(values, LOWS), _first(values, HIGHS)
    middle = _first(values, ("", *MIDDLES))
    if middle is None:
        return Measure(item, base, next(iter(values.values())), None, None)
    return Measure(item, base, middle, low, high)


def _first(values: Mapping[str, float], ranks: Iterable[str]) -> float | None:
    return next((values[rank] for rank in ranks if rank in values), None)


def measure_label(check: AnyCheck, metric: str, *, alone: bool) -> str:
    """Name a number: by its check where it is the only one there, else by what it measures."""
    name, _ = measure_of(metric)
    return check.title if alone or name.isascii() else name


def _bars(area: Area, unit: str, found: Sequence[Measure], alone: Set[str]) -> dict[str, Json]:
    shown = sorted(found, key=lambda one: (not one.item.is_bad, -one.value))[:ROWS_MAX]
    kept = [one for one in found if one in shown]
    ordered = sorted(kept, key=lambda one: (one.item.check.name, one.base, one.item.result.target))
    return {
        "kind": "bars",
        "title": chart_title(area, unit),
        "unit": unit,
        "rows": [_bar(one, alone=one.item.check.name in alone) for one in ordered],
        "more": len(found) - len(shown),
    }


def chart_title(area: Area, unit: str) -> str:
    """Name a chart by its area and unit."""
    return f"{AREAS[area]}（{unit}）"


def _alone(found: Iterable[Measure]) -> set[str]:
    """Return the checks that bring one number each into the charts."""
    bases: dict[str, set[str]] = {}
    for one in found:
        bases.setdefault(one.item.check.name, set()).add(one.base)
    return {check for check, names in bases.items() if len(names) == 1}


def _bar(one: Measure, *, alone: bool) -> dict[str, Json]:
    label = measure_label(one.item.check, one.base, alone=alone)
    return {
        "label": f"{one.item.target}　{label}",
        "state": one.item.state,
        "value": abs(one.value),  # a clock may be behind; the text tells
        "low": one.low,
        "high": one.high,
        "text": _bar_text(one),
        "limits": limit_marks(one.item.check.limits, one.base),
    }


def _bar_text(one: Measure) -> str:
    text = quantity(one.value, one.unit)
    if one.high is not None:
        low = f"{number(one.low)} 至 " if one.low is not None else "95% 在 "
        text += f"（{low}{number(one.high)}）"
    return f"{text}　{STATES[one.item.state]}" if one.item.is_bad else text


def limit_marks(limits: object, metric: str) -> list[Json]:
    """Return the limits that hold for a metric, each `{"at", "state"}`."""
    if isinstance(limits, Ceiling | Floor):
        if metric and limits.unit not in ("", measure_of(metric)[1]):
            return []
        return [
            {"at": float(limits.warning), "state": "warning"},
            {"at": float(limits.critical), "state": "critical"},
        ]
    if not is_dataclass(limits):
        return []
    marks: list[Json] = []
    for one in fields(limits):
        base, word = _limit_name(one.name)
        if metric.endswith(base):
            marks += _marks(getattr(limits, one.name), word)
    return marks


def _limit_name(name: str) -> tuple[str, str]:
    words = name.split("_")
    word = next((one for one in words if one in _LIMIT_WORDS), "")
    return "_".join(one for one in words if one != word), word


def _marks(value: object, word: str) -> list[Json]:
    if isinstance(value, Ceiling | Floor):
        return limit_marks(value, "")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [{"at": float(value), "state": word}] if is_number and word else []


def trend_charts(
    found: Iterable[Series], checks: Iterable[AnyCheck], moments: Sequence[datetime]
) -> list[dict[str, Json]]:
    """Return a chart for each area and unit whose numbers have a history.

    `moments` are those of the inspections that the series run over.
    """
    known = {check.name: check for check in checks}
    groups: dict[tuple[Area, str], list[Series]] = {}
    for one in found:
        area, unit = known[one.check].area, measure_of(one.metric)[1]
        if is_drawn(area, unit) and any(one.values) and _is_trend(one):
            groups.setdefault((area, unit), []).append(one)
    dates = [f"{one.astimezone(BEIJING):%Y-%m-%d}" for one in moments]
    order = list(AREAS)
    return [
        _trend(area, unit, groups[area, unit], known) | {"dates": dates}
        for area, unit in sorted(groups, key=lambda key: (order.index(key[0]), key[1]))
    ]


def _is_trend(one: Series) -> bool:
    return ranked_name(one.metric)[1] in ("", *MIDDLES)


def _trend(
    area: Area, unit: str, found: Sequence[Series], known: Mapping[str, AnyCheck]
) -> dict[str, Json]:
    metrics: dict[str, set[str]] = {}
    for one in found:
        metrics.setdefault(one.check, set()).add(one.metric)
    shown = sorted(found, key=_swing, reverse=True)[:LINES_MAX]
    return {
        "kind": "lines",
        "title": chart_title(area, unit),
        "unit": unit,
        "lines": [_line(one, known[one.check], len(metrics[one.check]) == 1) for one in shown],
        "more": len(found) - len(shown),
    }


def _swing(one: Series) -> float:
    numbers = [value for value in one.values if value is not None]
    return max(numbers) - min(numbers)


def _line(one: Series, check: AnyCheck, alone: bool) -> dict[str, Json]:
    label = measure_label(check, ranked_name(one.metric)[0], alone=alone)
    return {"label": f"{one.target}　{label}", "values": list(one.values)}

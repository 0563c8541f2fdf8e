"""A stacked bar chart as geometry: numbers that a template draws as SVG."""

from dataclasses import dataclass

import pandas as pd

from mailcare.papers.document import Json
from mailcare.papers.statistics import TOTAL
from mailcare.papers.wording import STATES


@dataclass(frozen=True, slots=True)
class Layout:
    """The measures of the chart, in SVG units (the drawing scales as a whole)."""

    width: float = 680
    label_width: float = 96
    total_width: float = 40
    row_height: float = 24
    bar_height: float = 15
    legend_height: float = 30
    legend_step: float = 82


def stacked_bars(table: pd.DataFrame, layout: Layout = Layout()) -> dict[str, Json]:
    """Return one bar for each row of `counts_by_area`, the total left out.

    A bar: `label`, its `y`, `total` and `segments` with `x`, `width`, `state` and `count`. All
    bars share one scale.
    """
    table = table.drop(index=TOTAL)
    longest = max([int(total) for total in table.sum(axis=1)], default=0)
    room = layout.width - layout.label_width - layout.total_width
    scale = room / longest if longest else 0.0
    bars = [
        _bar(str(area), row, layout.legend_height + place * layout.row_height, scale, layout)
        for place, (area, row) in enumerate(table.iterrows())
    ]
    return {
        "width": layout.width,
        "height": layout.legend_height + len(bars) * layout.row_height,
        "bar_height": layout.bar_height,
        "legend": _legend(layout),
        "bars": bars,
    }


def _bar(area: str, row: pd.Series, y: float, scale: float, layout: Layout) -> dict[str, Json]:
    segments: list[Json] = []
    x = layout.label_width
    for state, word in STATES.items():
        count = int(row[word])
        if count:
            width = round(count * scale, 2)
            segments.append({"state": state, "count": count, "x": round(x, 2), "width": width})
            x += width
    return {
        "label": area,
        "y": y,
        "end": round(x, 2),
        "total": int(row.sum()),
        "segments": segments,
    }


def _legend(layout: Layout) -> list[Json]:
    return [
        {"state": state, "word": word, "x": layout.label_width + place * layout.legend_step}
        for place, (state, word) in enumerate(STATES.items())
    ]

"""Draw the charts of a report with Matplotlib; see `charts` for what they hold."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mailcare.papers.canvas import (
    FAINT,
    FONT_PT,
    GREY,
    INK,
    drawable,
    plot_area,
    to_svg,
)
from mailcare.papers.formats import columns, number
from mailcare.papers.wording import STATES

FILLS = {
    "critical": "#8c1d18",
    "warning": "#e0a030",
    "notice": "#9dbbd6",
    "ok": "#dcebdd",
    "unmeasured": "#ffffff",
    "manual": "#eeeeee",
    "not_applicable": "#fafafa",
}
BAR_FILLS = FILLS | {"ok": "#8fb3a0"}
MARKS = {
    "notice": (GREY, (0, (1, 1)), "提示界限"),
    "warning": ("#8a5a00", (0, (2.5, 1.5)), "警告界限"),
    "critical": ("#8c1d18", "-", "严重界限"),
}
# Lines differ in black and white, too.
STROKES = (
    ("#1f3a56", "-", "o"),
    ("#8c1d18", (0, (4, 2)), "s"),
    ("#24603a", (0, (1, 1.2)), "^"),
    ("#8a5a00", (0, (5, 1.5, 1, 1.5)), "D"),
    ("#5b3a7a", (0, (7, 2)), "v"),
    ("#2b7a8a", (0, (2, 1)), "P"),
)
SCALE: Mapping[str, Any] = {"fontsize": FONT_PT - 0.5, "color": GREY}
GRID: Mapping[str, Any] = {"color": FAINT, "lw": 0.4, "zorder": 0, "clip_on": False}
ROW_PT, LABEL_PT, TEXT_PT = 15.5, 168.0, 118.0
HEAD_PT, FOOT_PT = 16.0, 16.0
TREND_PT, TREND_LABEL_PT = 118.0, 190.0
LABEL_COLUMNS = 38
FULL_SCALES = {"分": 5.0}  # units that are drawn up to what they can reach


def draw_chart(chart: Mapping[str, Any]) -> Markup:
    """Return a chart as inline SVG; `chart` is as `charts` makes it."""
    return _DRAWN[chart["kind"]](chart)


def _stacked(chart: Mapping[str, Any]) -> Markup:
    rows = chart["rows"]
    figure, axes = plot_area(HEAD_PT + ROW_PT * len(rows), left=72, right=34, top=HEAD_PT)
    totals = [sum(row["counts"].values()) for row in rows]
    longest = max(totals, default=0) or 1
    axes.set(xlim=(0, longest), ylim=(len(rows) - 0.5, -0.5))
    _label_rows(axes, [row["label"] for row in rows])
    for place, row in enumerate(rows):
        _stack(axes, place, row["counts"], longest)
    for state, word in STATES.items():
        axes.barh([0], [0], color=FILLS[state], label=word, **_edge(state))
    _legend(figure, axes, len(STATES))
    return to_svg(figure, title=chart["title"])


def _stack(axes: Axes, place: int, counts: Mapping[str, int], longest: int) -> None:
    start = 0
    for state, count in counts.items():
        if count:
            axes.barh(place, count, 0.66, left=start, color=FILLS[state], **_edge(state))
            if count / longest > 0.025:
                ink = "#ffffff" if state == "critical" else INK
                _say(axes, start + count / 2, place, str(count), ha="center", color=ink)
            start += count
    _say(axes, start + longest * 0.012, place, f"共 {start}", ha="left")


def _edge(state: str) -> dict[str, Any]:
    style = (0, (2.5, 2)) if state == "unmeasured" else "-"
    return {"edgecolor": GREY, "linewidth": 0.5, "linestyle": style, "clip_on": False}


def _bars(chart: Mapping[str, Any]) -> Markup:
    rows = chart["rows"]
    end = _scale_end(rows, chart["unit"])
    keys = _keys(rows, end)
    top = HEAD_PT if keys else 0.0
    figure, axes = plot_area(
        top + ROW_PT * len(rows) + FOOT_PT,
        left=LABEL_PT,
        right=TEXT_PT,
        top=top,
        bottom=FOOT_PT,
    )
    axes.set(xlim=(0, end), ylim=(len(rows) - 0.5, -0.5))
    _label_rows(axes, [row["label"] for row in rows])
    _grid_across(axes)
    for place, row in enumerate(rows):
        _bar(axes, place, row, end)
    for word, style in keys.items():
        axes.plot([], [], label=word, **style)
    _legend(figure, axes, len(keys))
    return to_svg(figure, title=chart["title"])


def _scale_end(rows: Sequence[Mapping[str, Any]], unit: str) -> float:
    tops = [max(row["value"], row["high"] or 0) for row in rows]
    highest = max(tops)
    if unit == "%":
        return max(100.0, highest)
    # A limit far above all values would leave nothing of the bars to be seen.
    near = [mark["at"] for row in rows for mark in row["limits"] if mark["at"] <= 3 * highest]
    return max([highest, *near]) * 1.05


def _bar(axes: Axes, place: int, row: Mapping[str, Any], end: float) -> None:
    fill = BAR_FILLS[row["state"]]
    axes.barh(place, row["value"], 0.58, color=fill, **_edge(row["state"]))
    if row["high"] is not None:
        low = row["low"] if row["low"] is not None else row["value"]
        ends = [low, row["high"]]
        axes.plot(ends, [place, place], color=INK, lw=0.9, clip_on=False)
        axes.vlines(ends, place - 0.18, place + 0.18, color=INK, lw=0.9, clip_on=False)
    for mark in row["limits"]:
        if mark["at"] <= end:
            colour, style, _ = MARKS[mark["state"]]
            at = [mark["at"]]
            axes.vlines(
                at, place - 0.42, place + 0.42, color=colour, ls=style, lw=1.1, clip_on=False
            )
    _say(axes, end * 1.015, place, row["text"], ha="left")


def _keys(rows: Sequence[Mapping[str, Any]], end: float) -> dict[str, dict[str, Any]]:
    """Return what the strokes over the bars mean, with how they are drawn."""
    seen = {mark["state"] for row in rows for mark in row["limits"] if mark["at"] <= end}
    keys = {
        word: {"color": colour, "ls": style, "lw": 1.3}
        for state, (colour, style, word) in MARKS.items()
        if state in seen
    }
    if any(row["high"] is not None for row in rows):
        has_low = any(row["low"] is not None for row in rows)
        keys["最低至最高" if has_low else "至第 95 百分位"] = {"color": INK, "lw": 0.9}
    return keys


def _lines(chart: Mapping[str, Any]) -> Markup:
    figure, axes = plot_area(TREND_PT, left=34, right=TREND_LABEL_PT, top=10, bottom=18)
    lines, dates = chart["lines"], chart["dates"]
    known = [value for line in lines for value in line["values"] if value is not None]
    top = _top(chart["unit"], known)
    axes.set(xlim=(-0.15, len(dates) - 0.9), ylim=(0, top))
    axes.set_xticks(range(len(dates)), dates, color=INK, fontsize=FONT_PT - 0.5)
    _grid_up(axes)
    labels = _spread([_last(line["values"]) for line in lines], top)
    for line, stroke, at in zip(lines, STROKES, labels, strict=False):
        _line(axes, line, stroke, at)
    return to_svg(figure, title=chart["title"])


def _top(unit: str, known: Sequence[float]) -> float:
    if unit in FULL_SCALES:
        return FULL_SCALES[unit]
    highest = max(known)
    if unit == "%" and not 0 < highest <= 60:
        return max(100.0, highest)
    return highest * 1.12 or 1.0  # a line of noughts needs some height too


def _line(axes: Axes, line: Mapping[str, Any], stroke: tuple[str, Any, str], at: float) -> None:
    colour, style, marker = stroke
    values = [math.nan if value is None else value for value in line["values"]]
    places = range(len(values))
    axes.plot(places, values, color=colour, ls=style, lw=1.2, clip_on=False)
    axes.plot(places, values, color=colour, ls="", marker=marker, ms=3.4, clip_on=False)
    end, last = len(values) - 1, _last(line["values"])
    beside = end + 0.1 * max(1, end) / 2
    axes.plot([end, beside], [last, at], color=FAINT, lw=0.5, clip_on=False)
    text = f"{number(last)}　{line['label']}"
    _say(axes, beside, at, cut(text, LABEL_COLUMNS + 8), ha="left", color=colour)


def _last(values: Sequence[float | None]) -> float:
    return next(value for value in reversed(values) if value is not None)


def _spread(values: Sequence[float], top: float) -> list[float]:
    """Return where the labels of lines stand: at their last values, but a line's height apart."""
    gap = top * 11.0 / (TREND_PT - 28)
    order = sorted(range(len(values)), key=values.__getitem__)
    places = list(values)
    floor, ceiling = -gap, top + gap
    for one in order:
        floor = places[one] = max(places[one], floor + gap)
    for one in reversed(order):
        ceiling = places[one] = min(places[one], ceiling - gap)
    return places


def _label_rows(axes: Axes, labels: Sequence[str]) -> None:
    for place, label in enumerate(labels):
        axes.annotate(
            drawable(cut(label, LABEL_COLUMNS)),
            (0, place),
            xytext=(-5, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            annotation_clip=False,
        )


def cut(text: str, width: int) -> str:
    """Return the text in so many half-width columns; the middle of what is too long gives way."""
    if columns(text) <= width:
        return text
    head, tail = text, text
    while columns(head) > width // 2:
        head = head[:-1]
    while columns(tail) > width // 2 - 2:
        tail = tail[1:]
    return f"{head}…{tail}"


def _grid_across(axes: Axes) -> None:
    """Draw the scale of horizontal bars."""
    ticks = _ticks(*axes.get_xlim())
    axes.set_xticks(ticks, [number(tick) for tick in ticks], **SCALE)
    axes.vlines(ticks, *axes.get_ylim(), **GRID)


def _grid_up(axes: Axes) -> None:
    """Draw the scale of lines over time."""
    ticks = _ticks(*axes.get_ylim())
    axes.set_yticks(ticks, [number(tick) for tick in ticks], **SCALE)
    axes.hlines(ticks, *axes.get_xlim(), **GRID)


def _ticks(low: float, high: float) -> list[float]:
    return [float(tick) for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]


def _legend(figure: Figure, axes: Axes, per_row: int) -> None:
    handles, words = axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles,
            words,
            loc="upper left",
            bbox_to_anchor=(axes.get_position().x0, 1.0),
            ncols=per_row,
            frameon=False,
            fontsize=FONT_PT,
            handlelength=1.4,
            handleheight=0.9,
            columnspacing=1.4,
            borderpad=0,
            borderaxespad=0.1,
        )


def _say(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    axes.text(x, y, drawable(text), va="center", clip_on=False, **style)


_DRAWN = {"stacked": _stacked, "bars": _bars, "lines": _lines}

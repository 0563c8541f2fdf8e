"""Draw the architecture diagram with Matplotlib; see `topology` for what it holds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from mailcare.papers.canvas import (
    FAINT,
    GREY,
    WIDTH_PT,
    blank_figure,
    text_width_pt,
    to_svg,
    write,
)
from mailcare.papers.topology import ROW_MAX

TITLE_PT, LINE_PT = 8.6, 7.4
LEADING_PT = 10.2
PAD_PT, GAP_PT = 5.0, 9.0
LAYER_GAP_PT = 15.0
HEAD_PT = 13.0
DENSE_ROW_MAX, DENSE_FROM = 5, 13
BOX_MIN_PT = 92.0
OUTSIDE_WEIGHT = 3.0
WIDE_PT = 240.0
ASIDE_PT = 90.0
MASK = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
FILLS = {
    "outside": "#ffffff",
    "dns": "#ffffff",
    "virtual": "#e3edf6",
    "mail": "#eef4ee",
    "backup": "#f6efe3",
    "other": "#f1eef6",
    "store": "#f3f3f3",
}
BREAKS = "、，；. "
DASHED = (0, (3, 2))
INK_OF_LINES = "#3d4a55"
ARROW: Mapping[str, Any] = {
    "arrowstyle": "-|>",
    "mutation_scale": 7,
    "shrinkA": 0,
    "shrinkB": 0,
    "linewidth": 0.8,
    "facecolor": INK_OF_LINES,
    "edgecolor": INK_OF_LINES,
    "clip_on": False,
    "zorder": 2,
}


@dataclass(frozen=True, slots=True)
class Box:
    """A box with its place: the upper left corner and the size, in points, y downwards."""

    key: str
    kind: str
    title: str
    lines: tuple[str, ...]
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Return the middle of its width."""
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer with its frame, and the boxes in it."""

    key: str
    title: str
    note: tuple[str, ...]
    y: float
    height: float
    boxes: tuple[Box, ...]

    @property
    def frame(self) -> Box:
        """Return the frame as a box that lines may lead to."""
        return Box(self.key, "", "", (), 0.5, self.y, WIDTH_PT - 1, self.height)


def draw_topology(content: Mapping[str, Any], *, say: Callable[[str], str] = str) -> Markup:
    """Return the diagram as inline SVG; `content` is as `topology` makes it.

    `say` gives its words in the reader's language.
    """
    layers = _place([_said(layer, say) for layer in content["layers"]])
    height = layers[-1].y + layers[-1].height + 1
    figure, axes = blank_figure(height)
    axes.set_ylim(height, 0)
    for layer in layers:
        _draw_layer(axes, layer)
    boxes = {box.key: box for layer in layers for box in layer.boxes}
    ends = boxes | {layer.key: layer.frame for layer in layers}
    for line in content["lines"]:
        tips = _tips(ends[line["start"]], ends[line["end"]])
        axes.add_patch(
            FancyArrowPatch(*tips, linestyle=DASHED if line["is_need"] else "-", **ARROW)
        )
    for box in boxes.values():
        _draw_box(axes, box)
    return to_svg(figure, title=say("客户系统架构图"))


def _said(layer: Mapping[str, Any], say: Callable[[str], str]) -> dict[str, Any]:
    boxes = [
        {**box, "title": say(box["title"]), "lines": [say(line) for line in box["lines"]]}
        for box in layer["boxes"]
    ]
    return {**layer, "title": say(layer["title"]), "note": say(layer["note"]), "boxes": boxes}


def _place(layers: Sequence[Mapping[str, Any]]) -> list[Layer]:
    placed: list[Layer] = []
    y = 1.0
    for layer in layers:
        placed.append(_place_layer(layer, y))
        y += placed[-1].height + LAYER_GAP_PT
    return placed


def _place_layer(layer: Mapping[str, Any], y: float) -> Layer:
    boxes = layer["boxes"]
    note = tuple(wrapped(layer["note"], WIDTH_PT - 2 * GAP_PT, LINE_PT)) if layer["note"] else ()
    # Beside one or two boxes there is room for the title.
    head = HEAD_PT * (len(boxes) > 2 or bool(note)) + LEADING_PT * len(note)
    per_row = DENSE_ROW_MAX if len(boxes) >= DENSE_FROM else ROW_MAX
    placed: list[Box] = []
    row_y = y + head + PAD_PT
    for start in range(0, len(boxes), per_row):
        row = list(_place_row(boxes[start : start + per_row], row_y, min(len(boxes), per_row)))
        placed.extend(row)
        row_y += max(box.height for box in row) + GAP_PT
    return Layer(layer["key"], layer["title"], note, y, row_y - GAP_PT + PAD_PT - y, tuple(placed))


def _place_row(boxes: Sequence[Mapping[str, Any]], y: float, slots: int) -> Iterator[Box]:
    # The last row of several keeps the columns of those above it.
    weights = [OUTSIDE_WEIGHT if box["kind"] == "outside" else 1.0 for box in boxes]
    slot = (WIDTH_PT - 2 * PAD_PT) / max(slots, sum(weights))
    x = PAD_PT
    for box, weight in zip(boxes, weights, strict=True):
        yield _place_box(box, (x, y), slot * weight)
        x += slot * weight


def _place_box(box: Mapping[str, Any], corner: tuple[float, float], slot: float) -> Box:
    x, y = corner
    texts = [(box["title"], TITLE_PT), *((line, LINE_PT) for line in box["lines"])]
    wanted = max(text_width_pt(text, size) for text, size in texts) + 2 * PAD_PT
    is_outside = box["kind"] == "outside"
    width = min(slot - GAP_PT, slot if is_outside else max(wanted, BOX_MIN_PT))
    inner = width - 2 * PAD_PT
    lines = tuple(part for line in box["lines"] for part in wrapped(line, inner, LINE_PT))
    height = 2 * PAD_PT + LEADING_PT * (1 + len(lines))
    x += (slot - width) / 2
    return Box(box["key"], box["kind"], box["title"], lines, x, y, width, height)


def wrapped(text: str, width_pt: float, size_pt: float) -> Iterator[str]:
    """Yield the text in lines that fit into a width, broken after a mark where one is near."""
    line = ""
    for character in text:
        if text_width_pt(line + character, size_pt) > width_pt:
            head = _head(line)
            yield head
            line = line[len(head) :]
        line += character
    yield line


def _head(line: str) -> str:
    after = max(line.rfind(mark) for mark in BREAKS) + 1
    return line[:after] if after > len(line) / 2 else line


def _draw_layer(axes: Axes, layer: Layer) -> None:
    if not layer.title:
        return
    axes.add_patch(
        Rectangle(
            (0.5, layer.y),
            WIDTH_PT - 1,
            layer.height,
            facecolor="none",
            edgecolor=FAINT,
            linewidth=0.7,
            clip_on=False,
        )
    )
    # A line that crosses a text must not strike it out.
    style = {"va": "center", "color": GREY, "bbox": MASK, "zorder": 2.5}
    write(
        axes, (PAD_PT, layer.y + HEAD_PT / 2 + 1), layer.title, size=LINE_PT, weight="bold", **style
    )
    for place, line in enumerate(layer.note):
        y = layer.y + HEAD_PT + LEADING_PT * (place + 0.5)
        write(axes, (PAD_PT, y), line, size=LINE_PT, **style)


def _draw_box(axes: Axes, box: Box) -> None:
    axes.add_patch(
        Rectangle(
            (box.x, box.y),
            box.width,
            box.height,
            facecolor=FILLS[box.kind],
            edgecolor=INK_OF_LINES,
            linewidth=0.9,
            linestyle=DASHED if box.kind in {"outside", "dns"} else "-",
            clip_on=False,
            zorder=3,
        )
    )
    style = {"ha": "center", "va": "center", "zorder": 4}
    first = box.y + PAD_PT + LEADING_PT / 2
    write(axes, (box.middle, first), box.title, size=TITLE_PT, weight="bold", **style)
    for place, line in enumerate(box.lines, start=1):
        write(axes, (box.middle, first + LEADING_PT * place), line, size=LINE_PT, **style)


def _tips(start: Box, end: Box) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where the arrow from one box to another begins and ends."""
    if start.y == end.y:
        y = start.y + min(start.height, end.height) / 2
        is_rightward = start.x < end.x
        return (start.x + start.width * is_rightward, y), (
            end.x + end.width * (not is_rightward),
            y,
        )
    is_downward = start.y < end.y
    begin_y = start.y + start.height * is_downward
    end_y = end.y + end.height * (not is_downward)
    if min(start.width, end.width) >= WIDE_PT:
        # Beside whatever stands in the middle of the layers in between.
        return (ASIDE_PT, begin_y), (ASIDE_PT, end_y)
    return (_meeting(start, end), begin_y), (_meeting(end, start), end_y)


def _meeting(box: Box, other: Box) -> float:
    """Return where along its width a box is met: wide ones right above or below the other."""
    if box.width < WIDE_PT:
        return box.middle
    return min(max(other.middle, box.x + GAP_PT), box.x + box.width - GAP_PT)

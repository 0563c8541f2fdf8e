"""Figures as SVG that stands in the HTML itself: text stays text, equal figures are equal bytes.

The only module that knows how Matplotlib writes SVG; `figures` and `diagram` draw with it.
"""

import re
from functools import cache
from hashlib import sha256
from io import StringIO
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags

FAMILY = "Noto Sans CJK SC"
WIDTH_PT = 488.0  # of a page's text
INK, GREY, FAINT = "#222222", "#555555", "#c9cfd4"
FONT_PT = 8.0
_POINTS_PER_INCH = 72.0

# Whatever a matplotlibrc of the operator's says, a paper looks the same.
mpl.rcdefaults()
mpl.rcParams |= {
    "svg.fonttype": "none",
    "svg.hashsalt": "mailcare",
    "font.family": [FAMILY],
    "font.size": FONT_PT,
    "text.parse_math": False,
    "text.color": INK,
    "axes.unicode_minus": False,
    "path.simplify": False,
}

_DROPPED = (
    re.compile(r"<metadata>.*?</metadata>", re.DOTALL),
    re.compile(r"<defs>\s*<style[^<]*</style>\s*</defs>"),
    re.compile(r'(?<=<g) id="[^"]*"'),
)


def blank_figure(height_pt: float) -> tuple[Figure, Axes]:
    """Return a figure as wide as the text, with axes in points from its lower left corner."""
    figure, axes = plot_area(height_pt, left=0, right=0, top=0)
    axes.set(xlim=(0, WIDTH_PT), ylim=(0, height_pt))
    return figure, axes


_NAMES = re.compile(r'(?<= id=")|(?<=href="#)')
_STYLE = re.compile(r' style="([^"]*)"')


def plot_area(
    height_pt: float, *, left: float, right: float, top: float, bottom: float = 0.0
) -> tuple[Figure, Axes]:
    """Return a figure as wide as the text, with bare axes inside of these margins in points."""
    figure = Figure(figsize=(WIDTH_PT / _POINTS_PER_INCH, height_pt / _POINTS_PER_INCH))
    FigureCanvasSVG(figure)
    width, height = WIDTH_PT - left - right, height_pt - top - bottom
    axes = figure.add_axes(
        (left / WIDTH_PT, bottom / height_pt, width / WIDTH_PT, height / height_pt)
    )
    axes.tick_params(left=False, bottom=False, labelleft=True, pad=2, labelcolor=GREY)
    axes.spines[:].set_visible(False)
    axes.set_yticks([])
    axes.set_xticks([])
    return figure, axes


def write(axes: Axes, place: tuple[float, float], text: str, **style: Any) -> None:
    """Write text at a place in points; a character that the font lacks as its code point."""
    axes.text(*place, drawable(text), clip_on=False, **style)


def drawable(text: str) -> str:
    """Return the text with what the font has no glyph for written as 〔U+1F600〕."""
    font = _font()
    return "".join(
        one if font.get_char_index(ord(one)) else f"〔U+{ord(one):04X}〕" for one in text
    )


@cache
def _font() -> Any:  # noqa: ANN401 - a C object without a public type
    return get_font(findfont(FontProperties(family=FAMILY)))


def text_width_pt(text: str, size_pt: float) -> float:
    """Return how wide a text is, in points; as if no two characters were drawn closer together."""
    return size_pt * sum(map(_width_em, drawable(text)))


@cache
def _width_em(character: str) -> float:
    glyph = _font().load_char(ord(character), flags=LoadFlags.NO_SCALE)
    return glyph.horiAdvance / _font().units_per_EM


def to_svg(figure: Figure, *, title: str) -> Markup:
    """Return the figure as an inline SVG element that scales with the text around it."""
    body = StringIO()
    figure.savefig(body, format="svg", metadata={"Date": None, "Creator": None})
    text = body.getvalue()
    text = text[text.index("<svg") :]
    for pattern in _DROPPED:
        text = pattern.sub("", text)
    # Several figures stand in one page, and a name must be there once.
    text = _NAMES.sub(f"f{sha256(text.encode()).hexdigest()[:8]}-", text)
    # WeasyPrint reads an element's style as the page's CSS, which knows no fill.
    text = _STYLE.sub(lambda style: _attributes(style[1]), text)
    head, _, rest = text.partition(">")
    view = re.search(r'viewBox="[^"]*"', head)
    assert view  # Matplotlib always writes one
    said = f'role="img" aria-label="{escape(title)}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {view[0]} {said}>'
    # Drawn here, not by strangers: Matplotlib escapes the texts in it.
    return Markup(opening + rest)  # noqa: S704


def _attributes(style: str) -> str:
    pairs = (one.partition(":") for one in style.split(";") if one)
    return "".join(f' {name.strip()}="{value.strip()}"' for name, _, value in pairs)

import json
import re

import pytest

from mailcare.papers.canvas import drawable
from mailcare.papers.charts import bar_charts, counts_chart
from mailcare.papers.diagram import draw_topology
from mailcare.papers.figures import cut, draw_chart
from mailcare.papers.statistics import counts_by_area
from mailcare.papers.topology import topology
from tests.papers import sample
from tests.papers.test_topology import system_of

BARS = bar_charts(sample.items_of())
TREND = {
    "kind": "lines",
    "title": "存储（%）",
    "unit": "%",
    "dates": ["2024-03-01", "2025-03-01", "2026-03-01"],
    "lines": [
        {"label": "mx1 /var/vmail　磁盘空间", "values": [40.0, None, 91.5]},
        {"label": "mx2 <b>&　磁盘空间", "values": [None, 91.0, 91.4]},
    ],
    "more": 0,
}
CHARTS = [counts_chart(counts_by_area(sample.items_of())), *BARS, TREND]


def test_there_are_charts_to_draw():
    assert {chart["kind"] for chart in CHARTS} == {"stacked", "bars", "lines"}


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart["title"])
def test_the_same_chart_is_the_same_svg_after_a_trip_through_json(chart):
    assert draw_chart(json.loads(json.dumps(chart))) == draw_chart(chart)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart["title"])
def test_text_stays_text_and_styles_are_attributes(chart):
    svg = draw_chart(chart)
    assert svg.startswith("<svg ")
    assert "<text " in svg
    assert "font-family=\"'Noto Sans CJK SC'\"" in svg
    assert not re.search(r"style=|url\(|<metadata|clip-path", svg)


def test_a_bar_tells_its_value_and_that_it_is_bad():
    chart = next(chart for chart in BARS if chart["title"] == "存储（%）")
    svg = draw_chart(chart)
    assert "97 %　严重" in svg
    assert "严重界限" in svg


def test_strangers_texts_are_escaped():
    assert "mx2 &lt;b&gt;&amp;" in draw_chart(TREND)


def test_names_within_two_figures_differ():
    other = TREND | {"dates": ["2023-03-01", "2025-03-01", "2026-03-01"]}
    names = [set(re.findall(r' id="([^"]+)"', draw_chart(chart))) for chart in (TREND, other)]
    assert names[0]
    assert not names[0] & names[1]


def test_a_character_without_a_glyph_is_written_as_its_code():
    assert drawable("好\U0001f600$x$") == "好〔U+1F600〕$x$"


def test_what_is_too_long_gives_way_in_the_middle():
    assert cut("mx1 /var/vmail", 20) == "mx1 /var/vmail"
    short = cut("mx1 /a/very/long/path/that/never/ends　磁盘空间", 30)
    assert short.startswith("mx1 /a")
    assert short.endswith("磁盘空间")
    assert "…" in short


@pytest.mark.parametrize("hosts", [1, 3, 7, 24, 60])
def test_the_diagram_fits_onto_a_page(hosts):
    svg = draw_topology(topology(system_of(hosts)))
    view = re.search(r'viewBox="0 0 488 ([0-9.]+)"', svg)
    assert view
    assert float(view[1]) < 670  # of a page's 222 mm: hardly made smaller
    assert "互联网 / 办公网用户" in svg

from datetime import UTC, datetime

import pytest

from mailcare.inspection.check import Area, Check, Finding, Severity, Target
from mailcare.inspection.comparison import Series
from mailcare.inspection.levels import Ceiling, Floor
from mailcare.papers.charts import bar_charts, counts_chart, limit_marks, ranked_name, trend_charts
from mailcare.papers.items import Item
from mailcare.papers.statistics import counts_by_area
from tests.papers import sample
from tests.papers.sample import MemoryLimits


def item(metrics: dict[str, float], area: Area = Area.HARDWARE, node: str = "mx1") -> Item:
    check = Check("a.check", area, "某项检查", "如何？", None, None, None, Ceiling(80, 95), "出处")
    result = Finding("a.check", Target(node), Severity.OK, "说明", metrics=metrics)
    return Item(result, check)


def charts(*items: Item) -> dict[str, dict]:
    return {chart["title"]: chart for chart in bar_charts(items)}


def test_the_counts_are_stacked_by_area_without_the_total():
    chart = counts_chart(counts_by_area(sample.items_of()))
    rows = {row["label"]: row["counts"] for row in chart["rows"]}
    assert rows["邮件服务"]["critical"] == 3
    assert "合计" not in rows
    assert sum(sum(counts.values()) for counts in rows.values()) == len(sample.RESULTS)


def test_a_new_metric_makes_a_chart_by_its_unit_and_area():
    found = charts(item({"brand_new_pct": 12.0}), item({"brand_new_mbps": 90.0}, Area.NETWORK))
    assert list(found) == ["硬件设备（%）", "网络（Mbit/s）"]
    [row] = found["硬件设备（%）"]["rows"]
    assert (row["value"], row["text"], row["label"]) == (12.0, "12 %", "mx1　某项检查")


def test_what_has_no_drawn_unit_or_is_all_zero_makes_no_chart():
    assert charts(item({"days_left": 12.0}), item({"steal_pct": 0.0})) == {}


def test_mails_are_counted_in_a_chart_of_the_queue_only():
    metrics = {"messages_count": 12.0}
    assert list(charts(item(metrics, Area.QUEUE), item(metrics))) == ["邮件队列（封）"]


def test_least_middle_and_most_are_one_bar():
    metrics = {"cpu_used_min_pct": 3.0, "cpu_used_median_pct": 9.0, "cpu_used_max_pct": 40.0}
    [row] = charts(item(metrics))["硬件设备（%）"]["rows"]
    assert (row["low"], row["value"], row["high"]) == (3.0, 9.0, 40.0)
    assert row["text"] == "9 %（3 至 40）"


def test_percentiles_are_one_bar():
    [row] = charts(item({"p50_ms": 20.0, "p95_ms": 90.0}))["硬件设备（毫秒）"]["rows"]
    assert (row["low"], row["value"], row["high"]) == (None, 20.0, 90.0)


@pytest.mark.parametrize(
    ("metric", "split"),
    [
        ("cpu_used_median_pct", ("cpu_used_pct", "median")),
        ("p95_ms", ("ms", "p95")),
        ("used_pct", ("used_pct", "")),
    ],
)
def test_a_name_is_split_from_its_rank(metric, split):
    assert ranked_name(metric) == split


def test_a_number_that_is_ranked_but_has_no_middle_is_drawn_as_it_is():
    [row] = charts(item({"cpu_used_max_pct": 40.0}))["硬件设备（%）"]["rows"]
    assert (row["low"], row["value"], row["high"]) == (None, 40.0, None)


def test_a_chart_of_many_hosts_keeps_the_highest_and_counts_the_rest():
    many = [item({"used_pct": float(number)}, node=f"mx{number}") for number in range(1, 61)]
    chart = charts(*many)["硬件设备（%）"]
    assert (len(chart["rows"]), chart["more"]) == (24, 36)
    assert min(row["value"] for row in chart["rows"]) == 37.0


@pytest.mark.parametrize(
    ("limits", "metric", "marks"),
    [
        (Ceiling(80, 95), "used_pct", [(80.0, "warning"), (95.0, "critical")]),
        (Floor(20, 10), "used_pct", [(20.0, "warning"), (10.0, "critical")]),
        (MemoryLimits(), "available_pct", [(20.0, "warning"), (10.0, "critical")]),
        (MemoryLimits(), "memory_pct", []),
        (None, "used_pct", []),
        (5, "used_pct", []),
    ],
)
def test_the_limits_of_a_metric_are_found(limits, metric, marks):
    assert [(one["at"], one["state"]) for one in limit_marks(limits, metric)] == marks


MOMENTS = [datetime(year, 3, 1, tzinfo=UTC) for year in (2024, 2025, 2026)]


def history(metric: str, *values: float | None, node: str = "mx1") -> Series:
    return Series("hardware.cpu", Target(node), metric, values)


def test_numbers_with_a_history_are_lines_over_the_dates():
    [chart] = trend_charts([history("used_pct", 10.0, None, 30.0)], sample.CHECKS, MOMENTS)
    assert chart["dates"] == ["2024-03-01", "2025-03-01", "2026-03-01"]
    assert chart["lines"] == [{"label": "mx1　CPU 使用率", "values": [10.0, None, 30.0]}]


def test_of_many_lines_those_that_moved_most_are_drawn():
    many = [history("used_pct", 10.0, 10.0, 10.0 + n, node=f"mx{n}") for n in range(20)]
    [chart] = trend_charts(many, sample.CHECKS, MOMENTS)
    assert (len(chart["lines"]), chart["more"]) == (6, 14)
    assert chart["lines"][0]["values"][-1] == 29.0


def test_ends_of_a_range_and_zeros_are_no_lines():
    found = [history("used_max_pct", 1.0, 2.0, 3.0), history("steal_pct", 0.0, 0.0, 0.0)]
    assert trend_charts(found, sample.CHECKS, MOMENTS) == []


def test_the_bar_of_a_clock_that_is_behind_points_to_the_right_and_its_text_tells():
    [chart] = bar_charts([item({"offset_s": -0.2})])
    [row] = chart["rows"]
    assert row["value"] == 0.2
    assert row["text"] == "-0.2 秒"

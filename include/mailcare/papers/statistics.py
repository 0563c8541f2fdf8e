"""The figures of an inspection as tables: for the report, and as an Excel file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from types import MappingProxyType

import pandas as pd

from mailcare.inspection.check import Finding, Result
from mailcare.inspection.comparison import Past, compare
from mailcare.inspection.planning import AnyCheck
from mailcare.papers.changes import change_row
from mailcare.papers.items import Item, read_items
from mailcare.papers.wording import AREAS, STATES, TOTAL, measure_of
from mailcare.papers.workbook import finish_sheet, printable

MEASURE_COLUMNS = ("领域", "检查项", "对象", "指标", "数值", "单位", "结论")
RESULT_COLUMNS = (
    "领域",
    "检查项",
    "检查名",
    "对象",
    "结论",
    "说明",
    "建议",
    "起因",
    "依据",
    "证据",
)
CHANGE_COLUMNS = {
    "kind": "变化",
    "area": "领域",
    "title": "检查项",
    "target": "对象",
    "before": "上次",
    "after": "本次",
    "says": "说明",
}


def counts_by_area(items: Sequence[Item]) -> pd.DataFrame:
    """Count results: a row for each area that was looked at and one for all, a column a state."""
    frame = pd.DataFrame(
        [(item.check.area, item.state) for item in items], columns=["area", "state"]
    )
    table = pd.crosstab(frame["area"], frame["state"])
    seen = [area for area in AREAS if area in set(table.index)]
    table = table.reindex(index=seen, columns=list(STATES), fill_value=0)
    table.index = pd.Index([AREAS[area] for area in seen])
    table.loc[TOTAL] = table.sum()
    return table.astype(int).rename(columns=STATES)


def measures(items: Sequence[Item]) -> pd.DataFrame:
    """Return a row for each number that was measured, by area, check and target."""
    frame = pd.DataFrame(_measures(items), columns=list(MEASURE_COLUMNS))
    order = {title: place for place, title in enumerate(AREAS.values())}
    return frame.sort_values(
        ["领域", "检查项", "对象", "指标"],
        key=lambda column: column.map(order) if column.name == "领域" else column,
        kind="stable",
        ignore_index=True,
    )


def _measures(items: Sequence[Item]) -> Iterator[tuple[str | float, ...]]:
    for item in items:
        if not isinstance(item.result, Finding):
            continue
        area, title = AREAS[item.check.area], item.check.title
        for metric, value in item.result.metrics.items():
            name, unit = measure_of(metric)
            state = STATES[item.state]
            yield (area, title, item.target, name, float(value), unit, state)


def results_table(items: Sequence[Item]) -> pd.DataFrame:
    """Return a row for each result, the most urgent first."""
    return pd.DataFrame((_result(item) for item in items), columns=list(RESULT_COLUMNS))


def _result(item: Item) -> tuple[str, ...]:
    found = item.result if isinstance(item.result, Finding) else None
    return (
        AREAS[item.check.area],
        item.check.title,
        item.check.name,
        item.target,
        STATES[item.state],
        item.says,
        found.advice if found else "",
        item.cause or "",
        item.check.source,
        "\n".join(found.evidence) if found else "",
    )


def changes_table(
    last: Past, results: Sequence[Result], checks: Sequence[AnyCheck]
) -> pd.DataFrame:
    """Return a row for each change since the last inspection."""
    rows = (change_row(change, checks) for change in compare(last.results, results))
    return pd.DataFrame(
        ([row[key] for key in CHANGE_COLUMNS] for row in rows), columns=list(CHANGE_COLUMNS)
    ).rename(columns=CHANGE_COLUMNS)


def statistics_xlsx(
    results: Iterable[Result],
    checks: Iterable[AnyCheck],
    *,
    about: Mapping[str, str] = MappingProxyType({}),
    past: Sequence[Past] = (),
) -> bytes:
    """Return an Excel file with the sheets 汇总, 数值 and 检查结果; text is never a formula.

    `about` stands above the summary, a line each: whose figures these are, and when taken. With
    `past`, the earlier inspections, oldest first, a sheet 比较 tells what changed since the last.
    """
    results, checks = tuple(results), tuple(checks)
    items = read_items(results, checks)
    heading = pd.DataFrame(list(about.items()))
    counts = counts_by_area(items).rename_axis("领域").reset_index()
    counts_row = len(heading) + 1 if about else 0
    sheets = {"数值": measures(items), "检查结果": results_table(items)}
    if past:
        sheets["比较"] = changes_table(past[-1], results, checks)
    body = BytesIO()
    with pd.ExcelWriter(body, engine="openpyxl") as writer:
        printable(heading).to_excel(writer, sheet_name="汇总", header=False, index=False)
        counts.to_excel(writer, sheet_name="汇总", startrow=counts_row, index=False)
        finish_sheet(writer.sheets["汇总"], header_row=counts_row + 1)
        for name, table in sheets.items():
            printable(table).to_excel(writer, sheet_name=name, index=False)
            finish_sheet(writer.sheets[name], header_row=1)
    return body.getvalue()

"""The figures of faults as tables, and as an Excel file."""

from collections.abc import Iterator, Sequence
from datetime import date

import pandas as pd

from mailcare.clock import BEIJING
from mailcare.faults.clocks import Kind
from mailcare.faults.wording import KIND_TITLES, breach_word, duration
from mailcare.papers.workbook import write_workbook
from mailcare.reports.statistics import (
    Breach,
    Figures,
    Grouping,
    Kept,
    Told,
    breaches,
    figures_by,
    figures_of_all,
)

GROUPING_TITLES = {
    Grouping.LEVEL: "级别",
    Grouping.CUSTOMER: "客户",
    Grouping.ENGINEER: "工程师",
    Grouping.MONTH: "月份",
}
COUNTED = ("按时率（%）", "按时", "违约", "超目标", "未结")
TIMES = ("净中位", "净 90%", "总中位", "总 90%")
TIMED = (Kind.RESPONSE, Kind.RESOLUTION)
BREACH_HEAD = (
    "故障", "客户", "工程师", "级别", "时限", "结论", "超时时刻", "总用时", "净用时", "原因",
)  # fmt: skip


def figure_head() -> tuple[str, ...]:
    """Return the titles of `figure_texts`."""
    counted = (f"{KIND_TITLES[kind]}{title}" for kind in Kind for title in COUNTED)
    timed = (f"{KIND_TITLES[kind]}{title}" for kind in TIMED for title in TIMES)
    return ("故障", *counted, *timed)


def figure_texts(figures: Figures) -> tuple[str, ...]:
    """Return a group's figures as they are shown; 「/」 where there is nothing to reckon with."""
    counted = (text for kind in Kind for text in _counted(figures.kept[kind]))
    timed = (_length(one) for kind in TIMED for one in _times(figures.kept[kind]))
    return (str(figures.faults), *counted, *timed)


def breach_texts(one: Breach) -> tuple[str, ...]:
    """Return a broken promise as it is shown."""
    at = f"{one.breached_at.astimezone(BEIJING):%Y-%m-%d %H:%M}"
    return (
        one.number, one.customer, one.engineer, one.level, KIND_TITLES[one.clock],
        breach_word(is_soft=one.is_soft), at, duration(one.gross_s), duration(one.net_s),
        one.reason or "/",
    )  # fmt: skip


def figures_xlsx(told: Sequence[Told], *, since: date, until: date) -> bytes:
    """Return the figures as an Excel file: a sheet for each grouping, and the broken promises."""
    sheets = {"汇总": _frame(f"{since} 至 {until}", [figures_of_all(told)])}
    for grouping, title in GROUPING_TITLES.items():
        sheets[f"按{title}"] = _frame(title, figures_by(told, grouping))
    rows = [breach_texts(one) for one in breaches(told)]
    sheets["违约与超目标"] = pd.DataFrame(rows, columns=list(BREACH_HEAD))
    return write_workbook(sheets)


def _frame(title: str, found: Sequence[Figures]) -> pd.DataFrame:
    return pd.DataFrame([_row(one) for one in found], columns=[title, *figure_head()])


def _row(figures: Figures) -> tuple[object, ...]:
    """Return numbers where `figure_texts` has texts, times in minutes; empty cells for nothing."""
    counted = (
        one
        for kind in Kind
        for kept in (figures.kept[kind],)
        for one in (_rounded(kept.rate_pct), kept.met, kept.breached, kept.missed_target, kept.open)
    )
    timed = (
        None if one is None else round(one / 60, 1)
        for kind in TIMED
        for one in _times(figures.kept[kind])
    )
    return (figures.name, figures.faults, *counted, *timed)


def _counted(kept: Kept) -> Iterator[str]:
    yield "/" if kept.rate_pct is None else f"{kept.rate_pct:.1f}"
    yield from map(str, (kept.met, kept.breached, kept.missed_target, kept.open))


def _times(kept: Kept) -> tuple[float | None, ...]:
    return (kept.net_median_s, kept.net_p90_s, kept.gross_median_s, kept.gross_p90_s)


def _length(seconds: float | None) -> str:
    return "/" if seconds is None else duration(seconds)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)

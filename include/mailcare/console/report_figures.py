"""故障统计: how promises were kept, by level, customer, engineer and month."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailcare.console.access import Reader
from mailcare.console.pages import XLSX, download, explained, show, today
from mailcare.console.tables import Column, Table, plain_table
from mailcare.contracts.forms import read_form
from mailcare.errors import InputError
from mailcare.reports import steps
from mailcare.reports.tables import (
    BREACH_HEAD,
    GROUPING_TITLES,
    breach_texts,
    figure_head,
    figure_texts,
)
from mailcare.surveys.forms import PeriodForm

router = APIRouter()
TITLE = "故障统计"
YEAR = timedelta(days=365)
SHOWN = 200  # broken promises on the page; the Excel file has all


@router.get("/reports/figures")
def figures_page(request: Request, _person: Reader) -> Response:
    """Show the figures of the faults that were declared in some days: a year up to now, unasked."""
    values = _period(request)
    try:
        found = steps.figures(read_form(PeriodForm, values))
    except InputError as error:
        none: dict[str, Any] = {"overall": None, "groups": (), "chart": None, "breaches": None}
        return show(
            request, "report_figures.html", code=422, title=TITLE, values=values,
            **none, **explained(error),
        )  # fmt: skip
    return show(
        request, "report_figures.html", title=TITLE, values=values, chart=found.chart,
        overall=_table("范围", [(found.overall.name, *figure_texts(found.overall))]),
        groups=[
            (title, _table(title, [(row.name, *figure_texts(row)) for row in found.groups[one]]))
            for one, title in GROUPING_TITLES.items()
        ],
        breaches=_texts(BREACH_HEAD, [breach_texts(one) for one in found.breaches[:SHOWN]]),
    )  # fmt: skip


@router.get("/reports/figures.xlsx")
def figures_file(request: Request, _person: Reader) -> Response:
    """Hand out the same figures as an Excel file."""
    values = _period(request)
    body = steps.figures_file(read_form(PeriodForm, values))
    return download(f"{TITLE}-{values['since']}-{values['until']}.xlsx", XLSX, body)


def _period(request: Request) -> dict[str, str]:
    usual = {"since": str(today() - YEAR), "until": str(today())}
    return {name: request.query_params.get(name, "") or day for name, day in usual.items()}


def _table(title: str, rows: Any) -> Table:  # noqa: ANN401 - rows of texts
    return _texts((title, *figure_head()), rows)


def _texts(head: tuple[str, ...], rows: Any) -> Table:  # noqa: ANN401 - rows of texts
    columns: tuple[Column[tuple[str, ...]], ...] = tuple(
        Column(title, lambda row, place=place: row[place]) for place, title in enumerate(head)
    )
    return plain_table(columns, rows)

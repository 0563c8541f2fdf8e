"""年度服务报告: the list, the form that asks for one, and a year's figures."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailcare.console.access import (
    EVERYBODY,
    MANAGERS,
    OVERSIGHT,
    Manager,
    Reader,
    refuse_others,
)
from mailcare.console.entered import Form, RowId
from mailcare.console.pages import Action, add_list, explained, go, moment, or_404, show
from mailcare.console.tables import Cell, Column, Shape, Table, plain_table
from mailcare.contracts.forms import read_form
from mailcare.errors import InputError
from mailcare.reviews import steps
from mailcare.reviews.forms import ReviewForm
from mailcare.reviews.lists import ReviewRow
from mailcare.reviews.section import Grid

router = APIRouter()
TEXTS = ("contract", "year")
EMPTY: Mapping[str, str] = MappingProxyType(dict.fromkeys(TEXTS, ""))

REVIEWS: tuple[Column[ReviewRow], ...] = (
    Column("客户", lambda row: Cell(row.customer or "全部客户", f"/reviews/{row.id}"), "customer"),
    Column("合同", lambda row: row.contract, "contract"),
    Column("合同年度", lambda row: str(row.contract_year or "")),
    Column("开始日期", lambda row: str(row.first_on), "first_on"),
    Column("结束日期", lambda row: str(row.last_on)),
    Column("发起时间", lambda row: moment(row.opened_at), "opened_at"),
)
add_list(
    router,
    Shape("/reviews", "年度服务报告", REVIEWS, steps.list_reviews),
    EVERYBODY,
    actions=(Action("生成报告", "/reviews/new", MANAGERS),),
)


@router.get("/reviews/new")
def review_form(request: Request, _person: Manager) -> Response:
    """Show the empty form."""
    return _form(request, EMPTY)


@router.post("/reviews/new")
def make_review(request: Request, person: Manager, form: Form) -> Response:
    """Open the review that is asked for and make its paper; nothing is sent."""
    values = {name: form.one(name) for name in TEXTS}
    try:
        asked = read_form(ReviewForm, values)
        review = steps.open_review(contract=asked.contract, year=asked.year, by=person.login)
        steps.render_review(review, by=person.login)
    except InputError as error:
        return _form(request, values, error=error)
    return go(request, f"/reviews/{review}", done="recorded")


@router.get("/reviews/{review}")
def show_review(request: Request, person: Reader, review: RowId) -> Response:
    """Show a year's figures as they are now, and the paper that was made of them.

    Those of the whole desk are for who answers for it.
    """
    with or_404():
        detail = steps.review_detail(review)
    if not detail.customer:
        refuse_others(person, OVERSIGHT)
    return show(
        request,
        "review.html",
        title=f"年度服务报告 {detail.number}",
        review=review,
        detail=detail,
        sections=[(one, [_named(grid) for grid in one.grids]) for one in detail.sections],
        managers=MANAGERS,
    )


@router.post("/reviews/{review}/render")
def render_review(request: Request, person: Manager, review: RowId) -> Response:
    """Make the paper of the figures as they are now."""
    with or_404():
        steps.render_review(review, by=person.login)
    return go(request, f"/reviews/{review}", done="recorded")


@router.post("/reviews/{review}/deliver")
def deliver_review(request: Request, person: Manager, review: RowId) -> Response:
    """Hand the latest version to the outbox."""
    steps.deliver_review(review, by=person.login)
    return go(request, f"/reviews/{review}", done="posted")


def _form(
    request: Request, values: Mapping[str, str], *, error: InputError | None = None
) -> Response:
    said = explained(error) if error else {}
    code = 422 if error else 200
    return show(request, "review_form.html", code=code, title="生成报告", values=values, **said)


def _named(grid: Grid) -> tuple[str, Table]:
    columns: tuple[Column[Any], ...] = tuple(
        Column(title, lambda row, place=place: _text(row[place]))
        for place, title in enumerate(grid.head)
    )
    return grid.title, plain_table(columns, grid.rows)


def _text(cell: object) -> str:
    return "/" if cell is None or cell == "" else str(cell)

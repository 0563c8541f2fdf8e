"""工作日历: the year tables; one person loads, another confirms."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailcare.calendars import steps
from mailcare.console.access import OFFICE, Office, Reader
from mailcare.console.entered import Form
from mailcare.console.pages import explained, go, moment, show
from mailcare.console.tables import Column, plain_table
from mailcare.console.words import label
from mailcare.errors import InputError

router = APIRouter()

YEARS: tuple[Column[steps.YearTableRow], ...] = (
    Column("年份", lambda row: str(row.year)),
    Column("状态", lambda row: label(row.state)),
    Column("通知", lambda row: row.notice),
    Column("载入人", lambda row: row.loaded_by),
    Column("载入时间", lambda row: moment(row.loaded_at)),
    Column("确认人", lambda row: row.confirmed_by or ""),
    Column("确认时间", lambda row: moment(row.confirmed_at)),
    Column("变化", lambda row: row.changes),
)


@router.get("/calendar")
def calendar_page(request: Request, _person: Reader) -> Response:
    """Show every year table, and what the proposed ones would change."""
    return _page(request)


@router.post("/calendar")
def propose(request: Request, person: Office, form: Form) -> Response:
    """Load a year table; another person has to confirm it."""
    name, content = form.file("file") or ("", b"")
    try:
        steps.propose_year_table(_text(content), name=name, by=person.login)
    except InputError as error:
        return _page(request, error=error)
    return go(request, "/calendar", done="proposed")


@router.post("/calendar/confirm")
def confirm(request: Request, person: Office, form: Form) -> Response:
    """Put a proposed year table into force; not by the one who loaded it."""
    try:
        steps.confirm_year_table(form.whole("year"), by=person.login)
    except InputError as error:
        return _page(request, error=error)
    return go(request, "/calendar", done="confirmed")


def _page(request: Request, *, error: InputError | None = None) -> Response:
    said = explained(error) if error else {}
    tables = steps.list_year_tables()
    return show(
        request, "calendar.html", code=422 if error else 200, title="工作日历",
        tables=tables, years=plain_table(YEARS, tables), office=OFFICE, **said,
    )  # fmt: skip


def _text(content: bytes) -> str:
    if not content:
        raise InputError("请选择文件")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("文件不是 UTF-8 文本") from None

"""工作日历: the year tables; one person loads, another confirms."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailcare.calendars import steps
from mailcare.console.access import OFFICE, Office, Reader
from mailcare.console.entered import Form
from mailcare.console.pages import explained, go, show
from mailcare.errors import InputError

router = APIRouter()


@router.get("/calendar")
def calendar_page(request: Request, _person: Reader) -> Response:
    """Show every year table, and what the proposed ones would change."""
    return _page(request)


@router.post("/calendar")
def propose(request: Request, person: Office, form: Form) -> Response:
    """Load a year table; another person has to confirm it."""
    name, content = form.files.get("file", ("", b""))
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
    return show(
        request, "calendar.html", code=422 if error else 200, title="工作日历",
        tables=steps.list_year_tables(), office=OFFICE, **said,
    )  # fmt: skip


def _text(content: bytes) -> str:
    if not content:
        raise InputError("请选择文件")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("文件不是 UTF-8 文本") from None

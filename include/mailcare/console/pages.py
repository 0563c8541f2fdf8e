"""Render pages and files; what all subjects' pages have in common."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, HTTPException, Request, status
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import mailcare
from mailcare.clock import BEIJING, utc_now
from mailcare.console.access import EVERYBODY, OVERSIGHT, Allowed, Person
from mailcare.console.tables import Shape, Table, Wished
from mailcare.console.words import DONE, FIELDS, label, language_of, translator
from mailcare.contracts.forms import REMARK_CHARACTERS_MOST, FormError
from mailcare.errors import InputError
from mailcare.papers.formats import visible
from mailcare.staff.steps import Role

LAST = datetime(9999, 12, 31, 15, 59, tzinfo=UTC)  # "for ever" in UTC is past all dates in Beijing
TEMPLATES = Path(mailcare.__file__).parents[1] / "templates" / "console"
DEEP = {("contacts",), ("numbers",)}  # fields whose parts have a place of their own
SHEET_CHARACTERS = 31  # Excel takes no longer name
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
NAVIGATION = (
    ("/", "到期与提醒", EVERYBODY),
    ("/faults", "故障", EVERYBODY),
    ("/customers", "客户", EVERYBODY),
    ("/contracts", "合同", EVERYBODY),
    ("/systems", "系统", EVERYBODY),
    ("/backups", "备份", EVERYBODY),
    ("/authorisations", "授权", EVERYBODY),
    ("/visits", "现场巡检", EVERYBODY),
    ("/papers", "文书", EVERYBODY),
    ("/mails", "来信", EVERYBODY),
    ("/outbox", "发件箱", EVERYBODY),
    ("/duty", "值班", EVERYBODY),
    ("/calls", "满意度", EVERYBODY),
    ("/reviews", "年度服务报告", EVERYBODY),
    ("/calendar", "工作日历", EVERYBODY),
    ("/staff", "人员", OVERSIGHT),
    ("/audit", "操作记录", OVERSIGHT),
)


@dataclass(frozen=True, slots=True)
class Action:
    """Something that can be done from a page, by some roles."""

    title: str
    href: str
    roles: frozenset[Role]


def today() -> date:
    """Return the day in Beijing."""
    return utc_now().astimezone(BEIJING).date()


def moment(at: datetime | None) -> str:
    """Write a moment in Beijing time, to the minute; nothing for none."""
    return f"{min(at, LAST).astimezone(BEIJING):%Y-%m-%d %H:%M}" if at else ""


def exact(at: datetime) -> str:
    """Write a moment in Beijing time, to the second."""
    return f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"


def show(request: Request, template: str, *, code: int = 200, **content: Any) -> Response:
    """Render a page; `content` is what its template names.

    `?xlsx=NAME` asks for a table of the page, by its name in `content`, as an Excel file.
    """
    if request.method == "GET":
        content = {name: _named(name, value) for name, value in content.items()}
    wanted = content.get(request.query_params.get("xlsx", ""))
    if isinstance(wanted, Table):
        title = "".join(one for one in content["title"] if one.isalnum()) or wanted.name
        return download(f"{title}-{today()}.xlsx", XLSX, wanted.sheet(title[:SHEET_CHARACTERS]))
    language = language_of(request)
    translate = translator(language)
    person: Person | None = getattr(request.state, "person", None)
    html = (
        _environment()
        .get_template(template)
        .render(
            {"actions": (), "complaints": (), "errors": {}, "done": _done(request)} | content,
            root=request.scope.get("root_path", ""),
            path=request.scope["path"].removeprefix(request.scope.get("root_path", "")) or "/",
            person=person,
            navigation=[one for one in NAVIGATION if person and person.may(one[2])],
            language=language,
            _=translate,
            label=lambda word: translate(label(word)),
            file_query=partial(_file_query, request),
        )
    )
    return HTMLResponse(html, code)


def _file_query(request: Request, name: str) -> str:
    said = {key: value for key, value in request.query_params.items() if key != "done"}
    return urlencode(said | {"xlsx": name})


def _named(name: str, value: object) -> object:
    is_part = isinstance(value, Table) and not value.path
    return replace(value, name=name) if is_part and isinstance(value, Table) else value


def _done(request: Request) -> str:
    return DONE.get(request.query_params.get("done", ""), "")


def go(request: Request, path: str, **query: str) -> RedirectResponse:
    """Send the browser to a page after something was changed."""
    root = request.scope.get("root_path", "")
    asked = f"?{urlencode(query)}" if query else ""
    return RedirectResponse(f"{root}{path}{asked}", status.HTTP_303_SEE_OTHER)


def download(name: str, media_type: str, body: bytes) -> Response:
    """Return a file that browsers save and never show as part of this site."""
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'self'",
    }
    return Response(body, media_type=media_type, headers=headers)


@contextmanager
def or_404() -> Iterator[None]:
    """Turn "not recorded" into 404, for what an address names."""
    try:
        yield
    except InputError as error:
        raise HTTPException(status.HTTP_404_NOT_FOUND, str(error)) from None


def explained(error: InputError) -> dict[str, Any]:
    """Return what a form's page is told of an error: by field, and all sentences on top."""
    if not isinstance(error, FormError):
        return {"complaints": str(error).splitlines(), "errors": {}}
    errors: dict[str, str] = {}
    for one in error.complaints:
        is_deep = one.path[:1] in DEEP
        key = ".".join(map(str, one.path if is_deep else one.path[:1]))
        errors[key] = f"{errors[key]}；{one.sentence}" if key in errors else one.sentence
    told = (f"{_field(one.path)}{one.sentence}" for one in error.complaints)
    return {"complaints": list(dict.fromkeys(told)), "errors": errors}


def _field(path: tuple[str | int, ...]) -> str:
    title = FIELDS.get(str(path[0])) if path else None
    return f"{title}：" if title else ""


def add_list(
    router: APIRouter,
    shape: Shape[Any],
    roles: frozenset[Role],
    *,
    actions: tuple[Action, ...] = (),
) -> None:
    """Add the page of a list and its Excel file."""
    allowed = [Depends(Allowed(roles))]

    @router.get(shape.path, dependencies=allowed)
    def list_page(request: Request, wish: Wished) -> Response:
        return show(
            request, "list.html", title=shape.title, table=shape.table(wish),
            hint=shape.hint, actions=actions,
        )  # fmt: skip

    add_file(router, shape, roles)


def add_file(router: APIRouter, shape: Shape[Any], roles: frozenset[Role]) -> None:
    """Add the Excel file of a list, whose page may be one of its own."""

    @router.get(f"{shape.path}.xlsx", dependencies=[Depends(Allowed(roles))])
    def list_file(wish: Wished) -> Response:
        return download(f"{shape.title}-{today()}.xlsx", XLSX, shape.sheet(wish))


def _chart(content: Mapping[str, Any], say: Callable[[str], str] = str) -> Markup:
    # Matplotlib takes half a second to import, and few pages need it.
    from mailcare.papers.figures import draw_chart  # noqa: PLC0415

    return draw_chart({name: _said(value, say) for name, value in content.items()})


def _said(value: Any, say: Callable[[str], str]) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return say(value)
    if isinstance(value, Mapping):
        return {name: _said(one, say) for name, one in value.items()}
    return [_said(one, say) for one in value] if isinstance(value, list | tuple) else value


def _finalize(value: object) -> object:
    if value is None:
        return ""
    return visible(value) if type(value) is str else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Callable[..., Any]] = {
        "moment": moment,
        "exact": exact,
        "chart": _chart,
    }
    environment.filters |= filters
    values: Mapping[str, Any] = {"remark_most": REMARK_CHARACTERS_MOST}
    environment.globals |= values
    return environment

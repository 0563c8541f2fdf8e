"""系统: the list with the last inspection, one system, and its site file from a browser."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailcare.console.access import EVERYBODY, MANAGERS, STAFF, Manager, Reader
from mailcare.console.authorisations import AUTHORISATIONS
from mailcare.console.entered import Entered, Form, RowId
from mailcare.console.pages import Action, add_list, explained, go, moment, or_404, show
from mailcare.console.papers import PAPERS
from mailcare.console.tables import Cell, Column, Shape, Table, plain_table
from mailcare.console.words import language_of, translator
from mailcare.errors import InputError
from mailcare.listing import Wish
from mailcare.papers.steps import list_papers, system_diagram
from mailcare.systems import steps
from mailcare.systems.lists import SystemRow
from mailcare.systems.previewing import SiteChange, SitePreview

router = APIRouter()
PAPERS_SHOWN = 20
CHANGES_SHOWN = 500
SITE_TITLE = "登记系统"


def overall(row: SystemRow) -> Cell:
    """Return how the last inspection found a system; never good while something is unknown."""
    if row.inspected_at is None:
        return Cell("尚未巡检", mark="quiet")
    counts = ((row.critical, "严重", "bad"), (row.warning, "警告", "warn"))
    told = [f"{word} {count}" for count, word, _ in counts if count]
    if row.unmeasured:
        told.append(f"未测得 {row.unmeasured}")
    worst = next((mark for count, _, mark in counts if count), "warn" if told else "good")
    return Cell("，".join(told) or "正常", f"/systems/{row.id}", worst)


SYSTEMS: tuple[Column[SystemRow], ...] = (
    Column("系统", lambda row: Cell(row.title, f"/systems/{row.id}"), "title"),
    Column("站点", lambda row: row.site, "site"),
    Column("客户", lambda row: Cell(row.customer, f"/customers/{row.customer_id}"), "customer"),
    Column("产品", lambda row: row.profile),
    Column("上次巡检", lambda row: moment(row.inspected_at), "inspected_at"),
    Column("结论", overall),
    Column("授权至", lambda row: moment(row.authorised_to)),
)
CHANGES: tuple[Column[SiteChange], ...] = (
    Column("位置", lambda row: row.place),
    Column("修改前", lambda row: row.before),
    Column("修改后", lambda row: row.after),
)
add_list(
    router,
    Shape("/systems", "系统", SYSTEMS, steps.list_systems),
    EVERYBODY,
    actions=(Action(SITE_TITLE, "/systems/import", MANAGERS),),
)


@router.get("/systems/import")
def site_form(request: Request, _person: Manager) -> Response:
    """Ask for the site file: uploaded, or written here."""
    return _site_page(request, "")


@router.post("/systems/import")
def preview_site(request: Request, _person: Manager, form: Form) -> Response:
    """Show what the site file would change; nothing is written."""
    text, version = _written(form), form.one("version")
    try:
        preview = steps.preview_site(_text(form), read_version=version)
    except InputError as error:
        return _site_page(request, text, version=version, error=error)
    table = plain_table(CHANGES, preview.changes[:CHANGES_SHOWN])
    return _site_page(request, text, version=version, preview=preview, table=table)


@router.post("/systems/import/apply")
def apply_site(request: Request, person: Manager, form: Form) -> Response:
    """Write exactly what was shown."""
    text = _written(form)
    try:
        system = steps.apply_site(text, token=form.one("token"), by=person.login)
    except InputError as error:
        return _site_page(request, text, version=form.one("version"), error=error)
    return go(request, f"/systems/{system}", done="imported")


@router.get("/systems/{system}/change")
def change_site(request: Request, _person: Manager, system: RowId) -> Response:
    """Show the recorded site file, to be edited; it is previewed like an uploaded one."""
    with or_404():
        text, version = steps.site_text(system)
    return _site_page(request, text, version=version)


@router.get("/systems/{system}")
def show_system(request: Request, _person: Reader, system: RowId) -> Response:
    """Show a system: its last inspection, hosts, authorisations and papers."""
    with or_404():
        detail = steps.system_detail(system)
    papers = list_papers(Wish(rows=PAPERS_SHOWN), system=system).rows
    return show(
        request,
        "system.html",
        title=detail.row.title,
        system=detail,
        overall=overall(detail.row),
        authorisations=plain_table(AUTHORISATIONS, detail.authorisations),
        papers=plain_table(PAPERS, papers),
        diagram=system_diagram(system, say=translator(language_of(request))),
        actions=(
            Action("编辑", f"/systems/{system}/change", MANAGERS),
            Action("申报故障", f"/faults/new?site={detail.row.site}", STAFF),
            Action("登记授权", f"/authorisations/new?system={system}", STAFF),
        ),
    )


def _written(form: Entered) -> str:
    """Return the site file as it was uploaded or written, for the page to show it again."""
    if file := form.file("file"):
        return file[1].decode("utf-8-sig", "replace")
    return form.texts.get("text", ("",))[-1]


def _text(form: Entered) -> str:
    file = form.file("file")
    if file is None:
        if not (text := _written(form)).strip():
            raise InputError("请选择文件，或在下面填写内容")
        return text
    try:
        return file[1].decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("文件不是 UTF-8 文本") from None


def _site_page(
    request: Request,
    text: str,
    *,
    version: str = "",
    error: InputError | None = None,
    preview: SitePreview | None = None,
    table: Table | None = None,
) -> Response:
    said = explained(error) if error else {}
    code = (409 if isinstance(error, steps.Changed) else 422) if error else 200
    return show(
        request, "site.html", code=code, title=SITE_TITLE, text=text, version=version,
        preview=preview, table=table, **said,
    )  # fmt: skip

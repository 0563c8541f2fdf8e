"""系统: the list with the last inspection, one system, and its site file from a browser."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailcare.console.access import EVERYBODY, MANAGERS, STAFF, Manager, Reader
from mailcare.console.authorisations import AUTHORISATIONS
from mailcare.console.entered import Form, RowId
from mailcare.console.pages import Action, add_list, explained, go, moment, or_404, show
from mailcare.console.papers import PAPERS
from mailcare.console.tables import Cell, Column, Shape, plain_table
from mailcare.errors import InputError
from mailcare.listing import Wish
from mailcare.papers.steps import list_papers
from mailcare.systems import steps
from mailcare.systems.lists import SystemRow
from mailcare.systems.previewing import SiteChange

router = APIRouter()
PAPERS_SHOWN = 20
CHANGES_SHOWN = 500


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
    actions=(Action("上传站点文件", "/systems/import", MANAGERS),),
)


@router.get("/systems/import")
def site_form(request: Request, _person: Manager) -> Response:
    """Ask for the site file."""
    return show(request, "site.html", title="上传站点文件", preview=None)


@router.post("/systems/import")
def preview_site(request: Request, _person: Manager, form: Form) -> Response:
    """Show what the site file would change; nothing is written."""
    _name, content = form.files.get("file", ("", b""))
    try:
        text = _text(content)
        preview = steps.preview_site(text)
    except InputError as error:
        return _refused(request, error)
    table = plain_table(CHANGES, preview.changes[:CHANGES_SHOWN])
    return show(request, "site.html", title="上传站点文件", preview=preview, table=table, text=text)


@router.post("/systems/import/apply")
def apply_site(request: Request, person: Manager, form: Form) -> Response:
    """Write exactly what was shown."""
    try:
        text = form.texts.get("text", ("",))[-1]
        system = steps.apply_site(text, token=form.one("token"), by=person.login)
    except InputError as error:
        return _refused(request, error)
    return go(request, f"/systems/{system}", done="imported")


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
        actions=(
            Action("申报故障", f"/faults/new?site={detail.row.site}", STAFF),
            Action("登记授权", f"/authorisations/new?system={system}", STAFF),
        ),
    )


def _text(content: bytes) -> str:
    if not content:
        raise InputError("请选择文件")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("文件不是 UTF-8 文本") from None


def _refused(request: Request, error: InputError) -> Response:
    told = explained(error)
    return show(request, "site.html", code=422, title="上传站点文件", preview=None, **told)

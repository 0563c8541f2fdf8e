"""从文件导入: what a file would change is shown first; then all of it is written, or nothing."""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64

from fastapi import APIRouter, HTTPException, Request, status
from fastapi.responses import Response

from mailcare.console.access import Manager
from mailcare.console.entered import Form
from mailcare.console.pages import explained, go, show
from mailcare.console.tables import Cell, Column, plain_table
from mailcare.console.words import label
from mailcare.contracts import steps
from mailcare.contracts.importing import Preview, PreviewRow
from mailcare.errors import InputError

router = APIRouter()
ROWS_SHOWN = 500
ORDER = {"error": 0, "change": 1, "addition": 2, "same": 3}
MARKS = {"error": "bad", "change": "warn", "addition": "good", "same": "quiet"}


def _remarks(row: PreviewRow) -> str:
    changes = (
        f"{one.field}：{one.before} → {one.after}" if one.before else f"{one.field}：{one.after}"
        for one in row.changes
    )
    return "\n".join((*row.sentences, *changes))


ROWS: tuple[Column[PreviewRow], ...] = (
    Column("位置", lambda row: row.place),
    Column("类型", lambda row: Cell(label(row.kind), mark=MARKS[row.kind])),
    Column("对象", lambda row: row.subject),
    Column("说明", _remarks),
)


@router.get("/import")
def import_form(request: Request, _person: Manager) -> Response:
    """Ask for the file."""
    return show(request, "import.html", title="从文件导入", preview=None)


@router.post("/import")
def preview_import(request: Request, _person: Manager, form: Form) -> Response:
    """Show every addition, change and error of the file by row; nothing is written."""
    name, content = form.file("file") or ("", b"")
    if not name:
        return _refused(request, InputError("请选择文件"))
    try:
        preview = steps.preview_import(content, name)
    except InputError as error:
        return _refused(request, error)
    return _previewed(request, preview, name, content)


@router.post("/import/apply")
def apply_import(request: Request, person: Manager, form: Form) -> Response:
    """Write exactly what was shown, all of it or nothing."""
    try:
        content = b64decode(form.one("content"), validate=True)
    except (NotBase64, ValueError):
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "表单不完整，请重新上传") from None
    try:
        token = form.one("token")
        steps.apply_import(content, form.one("name"), token=token, by=person.login)
    except InputError as error:
        return _refused(request, error)
    return go(request, "/contracts", done="imported")


def _refused(request: Request, error: InputError) -> Response:
    told = explained(error)
    return show(request, "import.html", code=422, title="从文件导入", preview=None, **told)


def _previewed(request: Request, preview: Preview, name: str, content: bytes) -> Response:
    rows = sorted(preview.rows, key=lambda row: ORDER[row.kind])[:ROWS_SHOWN]
    counts = {kind: sum(row.kind == kind for row in preview.rows) for kind in ORDER}
    return show(
        request, "import.html", title="从文件导入", preview=preview, counts=counts, marks=MARKS,
        table=plain_table(ROWS, rows), name=name, content=b64encode(content).decode(),
    )  # fmt: skip

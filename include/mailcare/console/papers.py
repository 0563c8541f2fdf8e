"""文书: the list of every version, and the files as downloads."""

from fastapi import APIRouter
from fastapi.responses import Response

from mailcare.console.access import EVERYBODY, Reader
from mailcare.console.entered import RowId
from mailcare.console.pages import add_list, download, moment, or_404
from mailcare.console.tables import Cell, Column, Shape
from mailcare.console.words import label
from mailcare.papers.steps import PaperRow, list_papers, paper_file

router = APIRouter()


def _file(kind: str) -> Column[PaperRow]:
    def cell(row: PaperRow) -> Cell:
        has_one = kind in row.kinds.split()
        return Cell(kind.upper(), f"/papers/{row.id}/{kind}") if has_one else Cell("")

    return Column(kind.upper(), cell)


def _link(name: str | None, href: str) -> Cell:
    return Cell(name, href) if name else Cell("")


PAPERS: tuple[Column[PaperRow], ...] = (
    Column("编号", lambda row: row.number, "number"),
    Column("版本", lambda row: str(row.version)),
    Column("类型", lambda row: label(row.template)),
    Column("客户", lambda row: _link(row.customer, f"/customers/{row.customer_id}"), "customer"),
    Column("系统", lambda row: _link(row.system, f"/systems/{row.system_id}"), "system"),
    Column("生成时间", lambda row: moment(row.made_at), "made_at"),
    _file("pdf"),
    _file("xlsx"),
    _file("html"),
)
add_list(router, Shape("/papers", "文书", PAPERS, list_papers), EVERYBODY)


@router.get("/papers/{paper}/{kind}")
def paper_download(_person: Reader, paper: RowId, kind: str) -> Response:
    """Hand out a rendered file, held against its stored SHA-256."""
    with or_404():
        file = paper_file(paper, kind)
    return download(file.name, file.media_type, file.body)

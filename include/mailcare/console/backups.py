"""备份: copies × levels with their ages, what was found of one copy, and its evidence."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from mailcare.backup import steps
from mailcare.backup.lists import LEVELS, CopyRow, RunRow
from mailcare.backup.verdicts import Level
from mailcare.console.access import EVERYBODY, Reader
from mailcare.console.entered import RowId
from mailcare.console.pages import XLSX, add_list, download, moment, or_404, show, today
from mailcare.console.tables import Cell, Column, Shape, Wished
from mailcare.listing import Page, Wish

router = APIRouter()
JSON = "application/json; charset=utf-8"
VERDICTS = {"PASS": "通过", "FAIL": "不通过", "DEGRADED": "降级", "NOT_RUN": "未执行"}
MARKS = {"PASS": "good", "FAIL": "bad", "DEGRADED": "warn", "NOT_RUN": "quiet"}
CopyName = Annotated[str, Path(max_length=64, pattern=r"^[a-z0-9][a-z0-9.-]*$")]


def _verdict(verdict: str) -> Cell:
    return Cell(VERDICTS[verdict], mark=MARKS[verdict])


def _level(level: str) -> Column[CopyRow]:
    def cell(row: CopyRow) -> Cell:
        last = row.levels.get(level)
        if last is None:
            return Cell("/")
        age = f"（{last.age_days} 天前）" if last.age_days else ""
        return Cell(f"{VERDICTS[last.verdict]}{age}", mark=MARKS[last.verdict])

    return Column(f"{level} {Level(level).label}", cell)


def _copy_page(row: CopyRow) -> Cell:
    return Cell(row.copy, f"/backups/{row.system_id}/{row.copy}")


COPIES: tuple[Column[CopyRow], ...] = (
    Column("客户", lambda row: Cell(row.customer, f"/customers/{row.customer_id}"), "customer"),
    Column("系统", lambda row: Cell(row.system, f"/systems/{row.system_id}"), "system"),
    Column("副本", _copy_page, "copy"),
    *(_level(level) for level in LEVELS),
    Column("上次验证", lambda row: moment(row.finished_at), "finished_at"),
    Column("结论", lambda row: _verdict(row.verdict), "verdict"),
)
RUNS: tuple[Column[RunRow], ...] = (
    Column("时间", lambda row: moment(row.judged_at), "judged_at"),
    Column("级别", lambda row: f"{row.level} {Level(row.level).label}", "level"),
    Column("备份代", lambda row: row.generation or "/"),
    Column("结论", lambda row: _verdict(row.verdict)),
    Column("应检", lambda row: f"{row.expected:,}"),
    Column("已检", lambda row: f"{row.examined:,}"),
    Column("合格", lambda row: f"{row.ok:,}"),
    Column("不合格", lambda row: f"{row.bad:,}"),
    Column("不可读", lambda row: f"{row.unreadable:,}"),
    Column("原因", lambda row: row.reason or "/"),
    Column("证据", lambda row: Cell(f"{row.sequence:06d}", f"/backups/evidence/{row.evidence_id}")),
)
add_list(router, Shape("/backups", "备份", COPIES, steps.list_copies), EVERYBODY)


def _runs(system: int, copy: str) -> Shape[RunRow]:
    def fetch(wish: Wish) -> Page[RunRow]:
        return steps.list_runs(wish, system=system, copy=copy)

    return Shape(f"/backups/{system}/{copy}", "备份副本", RUNS, fetch)


@router.get("/backups/evidence/{evidence}")
def evidence_download(_person: Reader, evidence: RowId) -> Response:
    """Hand out a piece of evidence, as `mailcare backup audit` reads it."""
    with or_404():
        name, body = steps.evidence_file(evidence)
    return download(name, JSON, body)


@router.get("/backups/{system}/{copy}.xlsx")
def runs_file(_person: Reader, system: RowId, copy: CopyName, wish: Wished) -> Response:
    """Hand out the history of a copy."""
    return download(f"{copy}-{today()}.xlsx", XLSX, _runs(system, copy).sheet(wish))


@router.get("/backups/{system}/{copy}")
def show_copy(
    request: Request, _person: Reader, system: RowId, copy: CopyName, wish: Wished
) -> Response:
    """Show what was found of one copy, and whether its evidence holds."""
    with or_404():
        wrong = steps.audit_copy(system, copy)
    shape = _runs(system, copy)
    return show(
        request, "backup.html", title=shape.title, table=shape.table(wish), copy=copy, wrong=wrong
    )

"""备份: copies × levels with their ages, what was found of one copy, and its evidence."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from mailcare.backup import steps
from mailcare.backup.lists import LEVELS, RunRow
from mailcare.backup.matrix import CopyRow, LevelCell, Standing
from mailcare.backup.verdicts import Level
from mailcare.console.access import EVERYBODY, Reader
from mailcare.console.entered import RowId
from mailcare.console.pages import XLSX, add_list, download, moment, or_404, show, today
from mailcare.console.tables import Cell, Column, Shape, Wished, plain_table
from mailcare.listing import Page, Wish

router = APIRouter()
JSON = "application/json; charset=utf-8"
MARKS = {
    Standing.FAIL: "bad",
    Standing.NEVER: "bad",
    Standing.DEGRADED: "warn",
    Standing.NOT_RUN: "quiet",
    Standing.PASS: "good",
    Standing.OUTSIDE: "quiet",
}
CopyName = Annotated[str, Path(max_length=64, pattern=r"^[a-z0-9][a-z0-9.-]*$")]


def _told(word: str, standing: Standing, *more: str) -> Cell:
    beside = f"（{'，'.join(filter(None, more))}）" if any(more) else ""
    return Cell(f"{word}{beside}", mark=f"verdict {MARKS[standing]}")


def _level_cell(one: LevelCell) -> Cell:
    standing = one.verdict if one.verdict is Standing.NEVER else one.standing
    age = f"{one.age_days}天前" if one.age_days else ""
    return _told(one.verdict.label, standing, age, "逾期" if one.is_overdue else "")


def _level(level: str) -> Column[CopyRow]:
    def cell(row: CopyRow) -> Cell:
        one = row.levels.get(level)
        return _level_cell(one) if one else Cell("/")

    return Column(_level_title(level), cell)


def _level_title(level: str) -> str:
    return f"{level} {Level(level).label}"


def _copy_page(row: CopyRow) -> Cell:
    return Cell(row.copy, f"/backups/{row.system_id}/{row.copy}")


def _standing(row: CopyRow) -> Cell:
    if row.standing is Standing.OUTSIDE and row.verdict:
        return _told(Standing(row.verdict.value).label, row.standing, row.standing.label)
    return _told(row.standing.label, row.standing)


def _run_verdict(row: RunRow) -> Cell:
    verdict = Standing(row.verdict)
    return _told(verdict.label, verdict)


COPIES: tuple[Column[CopyRow], ...] = (
    Column("客户", lambda row: Cell(row.customer, f"/customers/{row.customer_id}"), "customer"),
    Column("系统", lambda row: Cell(row.system, f"/systems/{row.system_id}"), "system"),
    Column("副本", _copy_page, "copy"),
    *(_level(level) for level in LEVELS),
    Column(
        "上次验证",
        lambda row: Cell(moment(row.verified_at) or "/", mark="when"),
        "verified_at",
    ),
    Column("结论", _standing, "verdict"),
    Column("原因", lambda row: Cell(row.reason or "/", mark="long")),
)
STANDS: tuple[Column[tuple[str, LevelCell]], ...] = (
    Column("级别", lambda one: _level_title(one[0])),
    Column("结论", lambda one: _level_cell(one[1])),
    Column("原因", lambda one: one[1].reason or "/"),
)
RUNS: tuple[Column[RunRow], ...] = (
    Column("时间", lambda row: moment(row.judged_at), "judged_at"),
    Column("级别", lambda row: _level_title(row.level), "level"),
    Column("备份代", lambda row: row.generation or "/"),
    Column("结论", _run_verdict),
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
        row = steps.copy_detail(system, copy)
    shape = _runs(system, copy)
    return show(
        request,
        "backup.html",
        title=shape.title,
        table=shape.table(wish),
        row=row,
        standing=_standing(row),
        levels=plain_table(STANDS, tuple(row.levels.items())),
        wrong=steps.audit_copy(system, copy),
    )

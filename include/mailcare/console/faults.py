"""故障: the board of what breaks first, the list, and declaring a fault in a minute."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailcare.clock import utc_now
from mailcare.console.access import EVERYBODY, STAFF, Reader, Staff
from mailcare.console.due import contract_link
from mailcare.console.entered import Form, new_key
from mailcare.console.pages import (
    XLSX,
    Action,
    add_list,
    download,
    explained,
    go,
    moment,
    show,
    today,
)
from mailcare.console.tables import Cell, Column, Shape, Wished
from mailcare.contracts.forms import read_form
from mailcare.contracts.steps import list_customers
from mailcare.deadlines import LEVEL_MEANINGS, Level
from mailcare.errors import InputError
from mailcare.faults import steps
from mailcare.faults.clocks import Clock, Kind, State
from mailcare.faults.standing import Stage
from mailcare.faults.steps import BoardRow, DeclarationForm, FaultRow
from mailcare.faults.wording import (
    REASON_TITLES,
    STAGE_TITLES,
    WORD_TITLES,
    duration,
    left_of,
)
from mailcare.listing import Page, Wish
from mailcare.systems.steps import list_systems

router = APIRouter()
REFRESH_S = 30
OFFERED = 500  # names that a field completes; any other may be typed in
SOON_SHARE = 0.25  # of a clock's time left: the manager has been told by then
TEXTS = (
    "customer", "site", "level", "description", "contact", "contact_details", "place", "via",
    "declared_at", "follows",
)  # fmt: skip
WAYS = ("phone", "email", "chat", "onsite")
MARKS = {
    Stage.DECLARED: "bad",
    Stage.ACCEPTED: "running",
    Stage.PAUSED: "quiet",
    Stage.HANDLED: "warn",
    Stage.REPORTED: "good",
    Stage.SIGNED: "good",
    Stage.CANCELLED: "quiet",
    Stage.MERGED: "quiet",
}


def clock_mark(clock: Clock, at: datetime) -> str:
    """Return the look of a clock: what is broken, what soon will be, what stands still."""
    if clock.state is State.LATE:
        return "warn" if clock.is_soft else "bad"
    if clock.state is not State.RUNNING or clock.due_at is None:
        return "good" if clock.state is State.MET else "quiet"
    whole_s = (clock.due_at - clock.started_at).total_seconds()
    left_s = (clock.due_at - at).total_seconds()
    return "warn" if left_s <= whole_s * SOON_SHARE else ""


def _clock(row: BoardRow, *, kind: Kind) -> Cell:
    """Return the latest epoch of a kind: what is left, and whether the date is provisional."""
    found = [one for one in row.clocks if one.clock is kind]
    if not found:
        return Cell("/", mark="quiet")
    clock = found[-1]
    said = left_of(clock, row.at)
    marked = f"{said}（暂行）" if clock.is_provisional and not clock.stopped_at else said
    return Cell(marked, mark=clock_mark(clock, row.at))


def _used(row: BoardRow) -> str:
    """Return what resolution has taken so far: net, and gross where they differ."""
    clock = [one for one in row.clocks if one.clock is Kind.RESOLUTION][-1]
    net, gross = duration(clock.net_s), duration(clock.gross_s)
    return net if net == gross else f"净 {net} / 总 {gross}"


def _state(row: FaultRow) -> Cell:
    stage = Stage(row.state)
    return Cell(STAGE_TITLES[stage], mark=MARKS[stage])


def _level(row: FaultRow) -> Cell:
    return Cell(row.level, mark="bad" if row.level in (Level.P1, Level.P2) else "")


def _contract(row: FaultRow) -> Cell:
    return contract_link(row.contract) if row.contract else Cell("合同外", mark="warn")


def _customer(row: FaultRow) -> Cell:
    return Cell(row.customer, f"/customers/{row.customer_id}")


def _system(row: FaultRow) -> Cell:
    return Cell(row.system or "/", f"/systems/{row.system_id}" if row.system_id else "")


def _number(row: FaultRow) -> Cell:
    return Cell(row.number, f"/faults/{row.id}", "whole")


BOARD: tuple[Column[BoardRow], ...] = (
    Column("级别", lambda row: _level(row.fault), "level"),
    Column("编号", lambda row: _number(row.fault), "number"),
    Column("最先到期", lambda row: moment(row.fault.breaks_at) or "/"),
    Column("响应", partial(_clock, kind=Kind.RESPONSE)),
    Column("处理", partial(_clock, kind=Kind.RESOLUTION)),
    Column("报告", partial(_clock, kind=Kind.REPORT)),
    Column("处理用时", _used),
    Column("状态", lambda row: _state(row.fault), "state"),
    Column("暂停原因", lambda row: REASON_TITLES.get(row.pause or "", "")),
    Column("客户", lambda row: _customer(row.fault), "customer"),
    Column("系统", lambda row: _system(row.fault), "system"),
    Column("合同", lambda row: _contract(row.fault)),
    Column("申报时间", lambda row: moment(row.fault.declared_at), "declared_at"),
)
FAULTS: tuple[Column[FaultRow], ...] = (
    Column("编号", _number, "number"),
    Column("级别", _level, "level"),
    Column("状态", _state, "state"),
    Column("客户", _customer, "customer"),
    Column("系统", _system, "system"),
    Column("合同", _contract),
    Column("申报时间", lambda row: moment(row.declared_at), "declared_at"),
    Column("故障描述", lambda row: Cell(row.description, mark="long")),
)


def _board(wish: Wish) -> Page[BoardRow]:
    return steps.board(wish, at=utc_now())


SHOWN = Shape("/faults", "故障看板", BOARD, _board)
DECLARE = Action("申报故障", "/faults/new", STAFF)


@router.get("/faults")
def board_page(request: Request, _person: Reader, wish: Wished) -> Response:
    """Show the open faults, what breaks first on top; the page loads itself anew."""
    return show(
        request, "board.html", title=SHOWN.title, table=SHOWN.table(wish), refresh_s=REFRESH_S,
        sweep=steps.last_sweep(at=utc_now()),
        actions=(
            DECLARE,
            Action("故障处理报告", "/reports", EVERYBODY),
            Action("统计", "/reports/figures", EVERYBODY),
            Action("全部故障", "/faults/all", EVERYBODY),
        ),
    )  # fmt: skip


@router.get("/faults.xlsx")
def board_file(_person: Reader, wish: Wished) -> Response:
    """Return the board as an Excel file."""
    return download(f"{SHOWN.title}-{today()}.xlsx", XLSX, SHOWN.sheet(wish))


add_list(
    router,
    Shape("/faults/all", "全部故障", FAULTS, steps.list_faults),
    EVERYBODY,
    actions=(DECLARE,),
)


@router.get("/faults/new")
def declaration_form(request: Request, _person: Staff) -> Response:
    """Show the empty form; a system or an earlier fault in the address is filled in."""
    asked = {name: request.query_params.get(name, "")[:200] for name in TEXTS}
    return _declaration(request, asked, key=new_key())


@router.post("/faults/new")
def declare_fault(request: Request, person: Staff, form: Form) -> Response:
    """Record the fault, or show what is wrong beside each field; sent twice it is one."""
    data, key = {name: form.one(name) for name in TEXTS}, form.key()
    try:
        entered = read_form(DeclarationForm, data)
        fault = steps.declare_form(
            entered, key=key, by=person.login, at=utc_now(),
            files=form.attached("file"),
        )  # fmt: skip
    except InputError as error:
        return _declaration(request, data, key=key, error=error)
    return go(request, f"/faults/{fault}", done="recorded")


def _declaration(
    request: Request,
    values: Mapping[str, str],
    *,
    key: str,
    error: InputError | None = None,
) -> Response:
    said = explained(error) if error else {}
    usual = {"level": "", "via": "phone"}
    return show(
        request, "fault_form.html", code=422 if error else 200, title="申报故障", key=key,
        values=usual | {name: one for name, one in values.items() if one or name not in usual},
        levels=LEVEL_MEANINGS, ways=[(one, WORD_TITLES[one]) for one in WAYS],
        systems=list_systems(Wish(rows=OFFERED)).rows,
        customers=list_customers(Wish(rows=OFFERED)).rows, **said,
    )  # fmt: skip

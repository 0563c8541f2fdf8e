"""值班: who is told when something is due or late, through what, and who is on duty."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from mailcare.console.access import EVERYBODY, MANAGERS, Allowed, Manager, Reader
from mailcare.console.entered import Entered, Form, RowId
from mailcare.console.pages import (
    XLSX,
    Action,
    add_list,
    download,
    explained,
    go,
    or_404,
    show,
    today,
)
from mailcare.console.tables import Cell, Column, Shape, Wished
from mailcare.contracts.forms import read_form
from mailcare.delivery.wording import RUNG_TITLES, VENDOR_TITLES
from mailcare.errors import InputError
from mailcare.listing import Page, Wish
from mailcare.staff import steps
from mailcare.staff.duty import DutyRow, MemberRow, RobotRow
from mailcare.staff.forms import DutyForm, MemberForm, RobotForm

router = APIRouter()
MEMBER_FIELDS = ("name", "login", "rung", "email", "robot", "works_from", "works_until")
ROBOT_FIELDS = ("name", "vendor", "variable", "connection")
DUTY_FIELDS = ("member", "since", "until", "turn")
NEW_MEMBER = dict.fromkeys(MEMBER_FIELDS, "") | {
    "works_from": "09:00", "works_until": "18:00", "is_active": True, "version": 0,
}  # fmt: skip
NEW_ROBOT = dict.fromkeys(ROBOT_FIELDS, "") | {"is_active": True, "version": 0}


def _active(row: MemberRow | RobotRow) -> Cell:
    return Cell("在用") if row.is_active else Cell("停用", mark="quiet")


def _source(row: RobotRow) -> str:
    return row.variable or f"connection: {row.connection}"


MEMBERS: tuple[Column[MemberRow], ...] = (
    Column("姓名", lambda row: Cell(row.name, f"/duty/members/{row.id}"), "name"),
    Column("级别", lambda row: RUNG_TITLES[row.rung], "rung"),
    Column("登录名", lambda row: row.login or "/"),
    Column("邮箱", lambda row: row.email),
    Column("机器人", lambda row: row.robot or "/"),
    Column("工作时间", lambda row: f"{row.works_from:%H:%M}–{row.works_until:%H:%M}"),
    Column("状态", _active),
)
ROBOTS: tuple[Column[RobotRow], ...] = (
    Column("名称", lambda row: Cell(row.name, f"/duty/robots/{row.id}")),
    Column("类型", lambda row: VENDOR_TITLES[row.vendor]),
    Column("地址来源", _source),
    Column("状态", _active),
)
DUTIES: tuple[Column[DutyRow], ...] = (
    Column("日期", lambda row: str(row.duty_on), "duty_on"),
    Column("级别", lambda row: RUNG_TITLES[row.rung]),
    Column("次序", lambda row: str(row.place)),
    Column("姓名", lambda row: row.name, "name"),
    Column("登记人", lambda row: row.entered_by),
)


def _coming(wish: Wish) -> Page[DutyRow]:
    return steps.list_duties(wish, since=today())


ROSTER = Shape("/duty", "值班", DUTIES, _coming)
add_list(
    router,
    Shape("/duty/members", "通知人员", MEMBERS, steps.list_members),
    EVERYBODY,
    actions=(
        Action("新人员", "/duty/members/new", MANAGERS),
        Action("值班", "/duty", EVERYBODY),
        Action("机器人", "/duty/robots", EVERYBODY),
    ),
)
add_list(
    router,
    Shape("/duty/robots", "机器人", ROBOTS, steps.list_robots),
    EVERYBODY,
    actions=(
        Action("新机器人", "/duty/robots/new", MANAGERS),
        Action("值班", "/duty", EVERYBODY),
        Action("通知人员", "/duty/members", EVERYBODY),
    ),
)


@router.get("/duty")
def duty_page(request: Request, _person: Reader, wish: Wished) -> Response:
    """Show the roster from today on, and the form to enter it."""
    return _roster(request, wish)


@router.get("/duty.xlsx", dependencies=[Depends(Allowed(EVERYBODY))])
def duty_file(wish: Wished) -> Response:
    """Return the roster as an Excel file."""
    return download(f"{ROSTER.title}-{today()}.xlsx", XLSX, ROSTER.sheet(wish))


@router.post("/duty")
def put_on_duty(request: Request, person: Manager, form: Form, wish: Wished) -> Response:
    """Put a person on duty."""
    values = {name: form.one(name) for name in DUTY_FIELDS}
    try:
        steps.put_on_duty(read_form(DutyForm, values), by=person.login)
    except InputError as error:
        return _roster(request, wish, values=values, error=error)
    return go(request, "/duty", done="saved")


@router.post("/duty/{duty}/remove")
def take_off_duty(request: Request, person: Manager, duty: RowId, wish: Wished) -> Response:
    """Take somebody off the roster."""
    try:
        steps.take_off_duty(duty, by=person.login)
    except InputError as error:
        return _roster(request, wish, error=error)
    return go(request, "/duty", done="deleted")


@router.get("/duty/members/new")
def new_member(request: Request, _person: Manager) -> Response:
    """Show the empty form."""
    return _member(request, NEW_MEMBER)


@router.post("/duty/members/new")
def enter_member(request: Request, person: Manager, form: Form) -> Response:
    """Record a person, or show what is wrong beside each field."""
    values = _values(form, MEMBER_FIELDS)
    try:
        steps.enter_member(read_form(MemberForm, values), by=person.login)
    except InputError as error:
        return _member(request, values | {"version": 0}, error=error)
    return go(request, "/duty/members", done="recorded")


@router.get("/duty/members/{member}")
def member_form(request: Request, _person: Reader, member: RowId) -> Response:
    """Show a person."""
    with or_404():
        row = steps.member(member)
    values = {name: getattr(row, name) or "" for name in MEMBER_FIELDS}
    hours = {"works_from": f"{row.works_from:%H:%M}", "works_until": f"{row.works_until:%H:%M}"}
    kept = {"is_active": row.is_active, "version": row.version}
    return _member(request, values | hours | kept, member=member)


@router.post("/duty/members/{member}")
def change_member(request: Request, person: Manager, member: RowId, form: Form) -> Response:
    """Write a person anew; who was second is told, and nothing is overwritten."""
    with or_404():
        steps.member(member)
    values, version = _values(form, MEMBER_FIELDS), form.whole("version")
    try:
        entered = read_form(MemberForm, values)
        steps.change_member(member, entered, read_version=version, by=person.login)
    except InputError as error:
        return _member(request, values | {"version": version}, member=member, error=error)
    return go(request, "/duty/members", done="saved")


@router.get("/duty/robots/new")
def new_robot(request: Request, _person: Manager) -> Response:
    """Show the empty form."""
    return _robot(request, NEW_ROBOT)


@router.post("/duty/robots/new")
def enter_robot(request: Request, person: Manager, form: Form) -> Response:
    """Record a robot, or show what is wrong beside each field."""
    values = _values(form, ROBOT_FIELDS)
    try:
        steps.enter_robot(read_form(RobotForm, values), by=person.login)
    except InputError as error:
        return _robot(request, values | {"version": 0}, error=error)
    return go(request, "/duty/robots", done="recorded")


@router.get("/duty/robots/{robot}")
def robot_form(request: Request, _person: Reader, robot: RowId) -> Response:
    """Show a robot."""
    with or_404():
        row = steps.robot(robot)
    values = {name: getattr(row, name) or "" for name in ROBOT_FIELDS}
    kept = {"is_active": row.is_active, "version": row.version}
    return _robot(request, values | kept, robot=robot)


@router.post("/duty/robots/{robot}")
def change_robot(request: Request, person: Manager, robot: RowId, form: Form) -> Response:
    """Write a robot anew."""
    with or_404():
        steps.robot(robot)
    values, version = _values(form, ROBOT_FIELDS), form.whole("version")
    try:
        entered = read_form(RobotForm, values)
        steps.change_robot(robot, entered, read_version=version, by=person.login)
    except InputError as error:
        return _robot(request, values | {"version": version}, robot=robot, error=error)
    return go(request, "/duty/robots", done="saved")


def _values(form: Entered, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: form.one(name) for name in names} | {"is_active": bool(form.one("is_active"))}


def _roster(
    request: Request,
    wish: Wish,
    *,
    values: dict[str, str] | None = None,
    error: InputError | None = None,
) -> Response:
    usual = {"member": "", "since": str(today()), "until": str(today()), "turn": "1"}
    return show(
        request, "duty.html", code=422 if error else 200, title=ROSTER.title,
        table=ROSTER.table(wish), duties=_coming(wish).rows, hint=ROSTER.hint,
        members=[one.name for one in _active_members()], values=values or usual,
        managers=MANAGERS,
        actions=(
            Action("通知人员", "/duty/members", EVERYBODY),
            Action("机器人", "/duty/robots", EVERYBODY),
        ),
        **(explained(error) if error else {}),
    )  # fmt: skip


def _active_members() -> list[MemberRow]:
    return [one for one in steps.list_members(Wish(rows=0)).rows if one.is_active]


def _member(
    request: Request,
    values: dict[str, Any],
    *,
    member: int | None = None,
    error: InputError | None = None,
) -> Response:
    return show(
        request, "member_form.html", code=_code(error), title="通知人员", values=values,
        member=member, rungs=RUNG_TITLES, managers=MANAGERS, changed=_code(error) == 409,
        robots=[one.name for one in steps.list_robots(Wish(rows=0)).rows],
        **(explained(error) if error else {}),
    )  # fmt: skip


def _robot(
    request: Request,
    values: dict[str, Any],
    *,
    robot: int | None = None,
    error: InputError | None = None,
) -> Response:
    return show(
        request, "robot_form.html", code=_code(error), title="机器人", values=values, robot=robot,
        vendors=VENDOR_TITLES, managers=MANAGERS, changed=_code(error) == 409,
        **(explained(error) if error else {}),
    )  # fmt: skip


def _code(error: InputError | None) -> int:
    if error is None:
        return 200
    return 409 if isinstance(error, steps.Changed) else 422

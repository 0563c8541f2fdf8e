"""人员: who holds which business role."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailcare.console.access import MANAGERS, OVERSIGHT, Manager, Overseer
from mailcare.console.entered import Entered, Form
from mailcare.console.pages import add_file, explained, go, moment, show
from mailcare.console.tables import Column, Shape, Wished
from mailcare.console.words import label
from mailcare.errors import InputError
from mailcare.staff import steps
from mailcare.staff.steps import Role, RoleRow

router = APIRouter()
ROLES: tuple[Column[RoleRow], ...] = (
    Column("登录名", lambda row: row.login, "login"),
    Column("角色", lambda row: label(row.role), "role"),
    Column("授予人", lambda row: row.given_by),
    Column("授予时间", lambda row: moment(row.given_at)),
)
PEOPLE = Shape("/staff", "人员", ROLES, steps.list_roles)


@router.get("/staff")
def staff_page(request: Request, _person: Overseer, wish: Wished) -> Response:
    """Show who holds which role."""
    return _page(request, wish)


@router.post("/staff/grant")
def grant(request: Request, person: Manager, form: Form, wish: Wished) -> Response:
    """Give a role."""
    try:
        steps.grant_role(form.one("login"), _role(form), by=person.login)
    except InputError as error:
        return _page(request, wish, login=form.one("login"), error=error)
    return go(request, "/staff", done="granted")


@router.post("/staff/withdraw")
def withdraw(request: Request, person: Manager, form: Form, wish: Wished) -> Response:
    """Take a role back."""
    try:
        steps.withdraw_role(form.one("login"), _role(form), by=person.login)
    except InputError as error:
        return _page(request, wish, error=error)
    return go(request, "/staff", done="withdrawn")


def _role(form: Entered) -> Role:
    if form.one("role") not in list(Role):
        raise InputError("没有这个角色")
    return Role(form.one("role"))


def _page(
    request: Request, wish: Wished, *, login: str = "", error: InputError | None = None
) -> Response:
    said = explained(error) if error else {}
    return show(
        request, "staff.html", code=422 if error else 200, title="人员",
        people=steps.list_roles(wish),
        table=PEOPLE.table(wish), roles=list(Role), login=login, managers=MANAGERS,
        oversight=OVERSIGHT, hint=PEOPLE.hint, **said,
    )  # fmt: skip


add_file(router, PEOPLE, OVERSIGHT)

"""客户: the list, one customer, and the form for name and contacts."""

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailcare.console.access import EVERYBODY, MANAGERS, OFFICE, Office, Reader
from mailcare.console.contracts import CONTRACTS
from mailcare.console.entered import Entered, Form, RowId
from mailcare.console.pages import Action, add_list, explained, go, or_404, show, today
from mailcare.console.tables import Cell, Column, Shape, plain_table
from mailcare.contracts import steps
from mailcare.contracts.details import ContactRow
from mailcare.contracts.forms import CustomerForm, read_form
from mailcare.contracts.lists import CustomerRow
from mailcare.errors import InputError

router = APIRouter()
SPARE_CONTACTS = 3
CONTACTS_MOST = 40
CONTACT_FIELDS = ("name", "role", "email", "phone")
CONTACT_RIGHTS = ("gets_papers", "may_authorise")
NEW = {"name": "", "version": 0, "contacts": ()}

CUSTOMERS: tuple[Column[CustomerRow], ...] = (
    Column("名称", lambda row: Cell(row.name, f"/customers/{row.id}"), "name"),
    Column("联系人", lambda row: str(row.contacts)),
    Column("系统数", lambda row: str(row.systems)),
    Column("合同数", lambda row: str(row.contracts)),
)
CONTACTS: tuple[Column[ContactRow], ...] = (
    Column("姓名", lambda row: row.name),
    Column("角色", lambda row: row.role),
    Column("邮箱", lambda row: row.email or ""),
    Column("电话", lambda row: row.phone or ""),
    Column("接收文书", lambda row: "有" if row.gets_papers else "无"),
    Column("可授权", lambda row: "有" if row.may_authorise else "无"),
)
add_list(
    router,
    Shape("/customers", "客户", CUSTOMERS, steps.list_customers),
    EVERYBODY,
    actions=(
        Action("新客户", "/customers/new", OFFICE),
        Action("从文件导入", "/import", MANAGERS),
    ),
)


@router.get("/customers/new")
def new_customer(request: Request, _person: Office) -> Response:
    """Show the empty form."""
    return _form(request, NEW)


@router.post("/customers/new")
def enter_customer(request: Request, person: Office, form: Form) -> Response:
    """Record a new customer, or show what is wrong beside each field."""
    try:
        entered = read_form(CustomerForm, _data(form))
        customer = steps.enter_customer(entered, by=person.login)
    except InputError as error:
        return _form(request, _kept(form), error=error)
    return go(request, f"/customers/{customer}", done="recorded")


@router.get("/customers/{customer}")
def show_customer(request: Request, _person: Reader, customer: RowId) -> Response:
    """Show a customer with contacts, systems and contracts."""
    with or_404():
        detail = steps.customer_detail(customer, on=today())
    return show(
        request,
        "customer.html",
        title=detail.name,
        customer=detail,
        contacts=plain_table(CONTACTS, detail.contacts),
        contracts=plain_table(CONTRACTS, detail.contracts),
        actions=(
            Action("编辑", f"/customers/{customer}/change", OFFICE),
            Action("新合同", f"/customers/{customer}/contract", MANAGERS),
        ),
    )


@router.get("/customers/{customer}/change")
def customer_form(request: Request, _person: Office, customer: RowId) -> Response:
    """Show the form with what is recorded."""
    return _recorded(request, customer)


@router.post("/customers/{customer}/change")
def change_customer(request: Request, person: Office, customer: RowId, form: Form) -> Response:
    """Write a customer anew; who was second is told, and nothing is overwritten."""
    with or_404():
        steps.customer_detail(customer, on=today())
    try:
        entered = read_form(CustomerForm, _data(form))
        version = form.whole("version")
        steps.change_customer(customer, entered, read_version=version, by=person.login)
    except InputError as error:
        return _form(request, _kept(form), customer=customer, error=error)
    return go(request, f"/customers/{customer}", done="saved")


@router.post("/customers/{customer}/delete")
def delete_customer(request: Request, person: Office, customer: RowId, form: Form) -> Response:
    """Delete a customer who has nothing that could be disputed."""
    version = form.whole("version")
    try:
        steps.delete_customer(customer, read_version=version, by=person.login)
    except InputError as error:
        return _recorded(request, customer, error=error)
    return go(request, "/customers", done="deleted")


def _recorded(request: Request, customer: int, *, error: InputError | None = None) -> Response:
    with or_404():
        detail = steps.customer_detail(customer, on=today())
    values = {"name": detail.name, "version": detail.version, "contacts": detail.contacts}
    return _form(request, values, customer=customer, error=error)


def _form(
    request: Request,
    values: dict[str, Any],
    *,
    customer: int | None = None,
    error: InputError | None = None,
) -> Response:
    said = explained(error) if error else {}
    code = _code(error)
    contacts = [*values["contacts"], *({} for _ in range(SPARE_CONTACTS))]
    return show(
        request, "customer_form.html", code=code, title="编辑" if customer else "新客户",
        values=values, contacts=contacts, customer=customer, changed=code == 409, **said,
    )  # fmt: skip


def _code(error: InputError | None) -> int:
    if error is None:
        return 200
    return 409 if isinstance(error, steps.Changed) else 422


def _contacts(form: Entered) -> Iterator[dict[str, Any]]:
    """Yield the contacts of which anything was filled in."""
    for number in range(CONTACTS_MOST):
        said = {name: form.one(f"contacts.{number}.{name}") for name in CONTACT_FIELDS}
        if any(said[name] for name in ("name", "email", "phone")):
            rights = {name: bool(form.one(f"contacts.{number}.{name}")) for name in CONTACT_RIGHTS}
            yield said | rights


def _data(form: Entered) -> dict[str, Any]:
    contacts = [
        {name: value for name, value in one.items() if value != ""} for one in _contacts(form)
    ]
    return {"name": form.one("name"), "contacts": contacts}


def _kept(form: Entered) -> dict[str, Any]:
    return {
        "name": form.one("name"),
        "version": form.one("version"),
        "contacts": tuple(_contacts(form)),
    }

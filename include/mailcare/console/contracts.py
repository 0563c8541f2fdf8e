"""合同: the list, one contract with its years, ledger and services, and the form."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, HTTPException, Request, status
from fastapi.responses import Response

from mailcare.console.access import EVERYBODY, MANAGERS, OFFICE, Manager, Office, Reader
from mailcare.console.due import SERVICES, contract_link, contract_path
from mailcare.console.entered import Entered, Form, RowId
from mailcare.console.pages import (
    Action,
    add_list,
    explained,
    go,
    moment,
    or_404,
    show,
    today,
)
from mailcare.console.tables import Cell, Column, Shape, plain_table
from mailcare.console.words import label
from mailcare.contracts import steps
from mailcare.contracts.details import ContractDetail, LedgerRow, VersionRow
from mailcare.contracts.forms import ContractForm, VisitForm, read_form
from mailcare.contracts.ledger import Balance
from mailcare.contracts.lists import ContractRow
from mailcare.contracts.promises import newest, versions
from mailcare.contracts.terms import REMOTE_CNY, VISIT_CNY, ContractYear
from mailcare.errors import InputError

router = APIRouter()
TEXTS = (
    "starts_on", "ends_on", "terms_version", "visits_per_year", "remote_cny", "visit_cny", "note",
)  # fmt: skip


def _state(row: ContractRow) -> Cell:
    if row.is_in_force:
        return Cell("有效", mark="good")
    return Cell("未生效") if row.starts_on > today() else Cell("已过期", mark="quiet")


CONTRACTS: tuple[Column[ContractRow], ...] = (
    Column("合同号", lambda row: contract_link(row.number), "number"),
    Column("客户", lambda row: Cell(row.customer, f"/customers/{row.customer_id}"), "customer"),
    Column("开始日期", lambda row: str(row.starts_on), "starts_on"),
    Column("结束日期", lambda row: str(row.ends_on), "ends_on"),
    Column("状态", _state),
    Column("远程服务", lambda row: "有" if row.remote_service else "无"),
    Column("现场次数", lambda row: str(row.visits_per_year)),
    Column("系统数", lambda row: str(row.systems)),
    Column("版本", lambda row: str(row.version)),
)
VERSIONS: tuple[Column[VersionRow], ...] = (
    Column("版本", lambda row: str(row.version)),
    Column("开始日期", lambda row: str(row.starts_on)),
    Column("结束日期", lambda row: str(row.ends_on)),
    Column("系统", lambda row: "、".join(row.systems)),
    Column("承诺版本", lambda row: str(row.terms_version)),
    Column("远程服务", lambda row: f"{row.remote_cny}" if row.remote_service else "无"),
    Column("现场次数", lambda row: f"{row.visits_per_year} × {row.visit_cny}"),
    Column("备注", lambda row: row.note),
    Column("登记人", lambda row: row.recorded_by),
    Column("登记时间", lambda row: moment(row.recorded_at)),
)
LEDGER: tuple[Column[LedgerRow], ...] = (
    Column("年份", lambda row: str(row.contract_year)),
    Column("服务", lambda row: label(row.promise)),
    Column("原因", lambda row: label(row.reason)),
    Column("数量", lambda row: str(row.count)),
    Column("备注", lambda row: row.note),
    Column("登记人", lambda row: row.recorded_by),
    Column("登记时间", lambda row: moment(row.recorded_at)),
)


YEARS: tuple[Column[tuple[ContractYear, Balance]], ...] = (
    Column("年份", lambda row: str(row[0].number)),
    Column("开始日期", lambda row: str(row[0].first_on)),
    Column("结束日期", lambda row: str(row[0].last_on)),
    Column("服务", lambda row: label(row[1].promise)),
    Column("购买", lambda row: str(row[1].bought)),
    Column("待执行", lambda row: str(row[1].planned)),
    Column("已用", lambda row: str(row[1].used)),
    Column("余", lambda row: str(row[1].left)),
    Column("合同外", lambda row: Cell(str(row[1].over), mark="warn" if row[1].over else "")),
)


add_list(
    router,
    Shape("/contracts", "合同", CONTRACTS, lambda wish: steps.list_contracts(wish, on=today())),
    EVERYBODY,
    actions=(Action("从文件导入", "/import", MANAGERS),),
)


@router.get("/contract")
def show_contract(request: Request, _person: Reader, number: str) -> Response:
    """Show a contract with its years, services, ledger and versions."""
    return _page(request, _detail(number))


@router.post("/contract/visit")
def add_visit(request: Request, person: Office, number: str, form: Form) -> Response:
    """Plan a visit that the customer asks for; one beyond the contract needs a manager's tick."""
    detail = _detail(number)
    approved_by = person.login if form.one("approved") and person.may(MANAGERS) else None
    data = {name: form.one(name) for name in ("site", "due_on")}
    try:
        asked = read_form(VisitForm, data)
        steps.add_visit(number, asked.site, asked.due_on, by=person.login, approved_by=approved_by)
    except InputError as error:
        return _page(request, detail, values=data, error=error)
    return go(request, "/contract", number=number, done="recorded")


def _page(
    request: Request,
    detail: ContractDetail,
    *,
    values: Mapping[str, str] = MappingProxyType({}),
    error: InputError | None = None,
) -> Response:
    said = explained(error) if error else {}
    return show(
        request,
        "contract.html",
        code=422 if error else 200,
        values={"site": "", "due_on": "", **values},
        office=OFFICE,
        managers=MANAGERS,
        title=f"合同 {detail.number}",
        contract=detail,
        years=plain_table(
            YEARS, [(one.year, left) for one in detail.years for left in one.balances]
        ),
        services=plain_table(SERVICES, detail.services),
        ledger=plain_table(LEDGER, detail.ledger),
        versions=plain_table(VERSIONS, detail.versions),
        actions=(Action("修改合同", contract_path(detail.number, "/change"), MANAGERS),),
        **said,
    )


@router.get("/customers/{customer}/contract")
def new_contract(request: Request, _person: Manager, customer: RowId) -> Response:
    """Show the empty form for a contract of a customer."""
    usual = {
        "terms_version": newest(),
        "remote_service": "1",
        "remote_cny": REMOTE_CNY,
        "visit_cny": VISIT_CNY,
    }
    return _form(request, {"visits_per_year": "0"} | usual, customer=customer)


@router.post("/customers/{customer}/contract")
def enter_contract(request: Request, person: Manager, customer: RowId, form: Form) -> Response:
    """Record a new contract, or show what is wrong beside each field."""
    name = _customer(customer).name
    try:
        entered = read_form(ContractForm, _data(form, form.one("number"), name))
        steps.enter_contract(entered, by=person.login)
    except InputError as error:
        return _form(request, _kept(form), customer=customer, error=error)
    return go(request, "/contract", number=entered.number, done="recorded")


@router.get("/contract/change")
def contract_form(request: Request, _person: Manager, number: str) -> Response:
    """Show the form with what is in force."""
    detail = _detail(number)
    now = detail.versions[0]
    values = {name: str(getattr(now, name)) for name in TEXTS} | {
        "remote_service": "1" if now.remote_service else "",
        "systems": now.systems,
        "version": str(detail.version),
    }
    return _form(request, values, customer=detail.customer_id, number=number)


@router.post("/contract/change")
def change_contract(request: Request, person: Manager, number: str, form: Form) -> Response:
    """Record the next version; who was second is told, and nothing is overwritten."""
    detail = _detail(number)
    try:
        entered = read_form(ContractForm, _data(form, number, detail.customer))
        version = form.whole("version")
        steps.change_contract(number, entered, read_version=version, by=person.login)
    except InputError as error:
        customer = detail.customer_id
        return _form(request, _kept(form), customer=customer, number=number, error=error)
    return go(request, "/contract", number=number, done="saved")


def _detail(number: str) -> ContractDetail:
    if "\0" in number:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    with or_404():
        return steps.contract_detail(number, on=today())


def _customer(customer: int) -> Any:  # noqa: ANN401 - what the step returns
    with or_404():
        return steps.customer_detail(customer, on=today())


def _form(
    request: Request,
    values: dict[str, Any],
    *,
    customer: int,
    number: str = "",
    error: InputError | None = None,
) -> Response:
    said = explained(error) if error else {}
    is_second = isinstance(error, steps.Changed)
    code = (409 if is_second else 422) if error else 200
    kept = dict.fromkeys((*TEXTS, "number", "version"), "") | {"systems": ()} | values
    return show(
        request, "contract_form.html", code=code, title="修改合同" if number else "新合同",
        terms_versions=versions(), values=kept,
        customer=_customer(customer), number=number, changed=is_second, **said,
    )  # fmt: skip


def _data(form: Entered, number: str, customer: str) -> dict[str, Any]:
    texts = {name: form.one(name) for name in TEXTS}
    return texts | {
        "number": number,
        "customer": customer,
        "systems": list(form.every("systems")),
        "remote_service": bool(form.one("remote_service")),
    }


def _kept(form: Entered) -> dict[str, Any]:
    names = (*TEXTS, "number", "version", "remote_service")
    return {name: form.one(name) for name in names} | {"systems": form.every("systems")}

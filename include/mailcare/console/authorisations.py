"""授权: the list, recording one with its evidence, showing it, and revoking it at once."""

from typing import Any

from fastapi import APIRouter, HTTPException, Request, status
from fastapi.responses import Response

from mailcare.console.access import EVERYBODY, STAFF, Reader, Staff
from mailcare.console.entered import DIGITS_MOST, Entered, Form, RowId
from mailcare.console.pages import (
    Action,
    add_list,
    download,
    explained,
    go,
    moment,
    or_404,
    show,
)
from mailcare.console.tables import Cell, Column, Shape, Wished
from mailcare.console.words import label
from mailcare.contracts.forms import read_form
from mailcare.errors import InputError
from mailcare.systems import steps
from mailcare.systems.forms import AuthorisationForm
from mailcare.systems.lists import AuthorisationRow
from mailcare.systems.steps import SystemDetail

router = APIRouter()
TEXTS = ("given_by", "given_at", "how", "purpose", "valid_from", "valid_to", "evidence")
MARKS = {"in_force": "good", "coming": "warn", "expired": "quiet", "revoked": "bad"}

AUTHORISATIONS: tuple[Column[AuthorisationRow], ...] = (
    Column("编号", lambda row: Cell(f"#{row.id}", f"/authorisations/{row.id}")),
    Column("状态", lambda row: Cell(label(row.state), mark=MARKS[row.state])),
    Column("客户", lambda row: Cell(row.customer, f"/customers/{row.customer_id}"), "customer"),
    Column("系统", lambda row: Cell(row.system, f"/systems/{row.system_id}"), "system"),
    Column("主机", lambda row: "、".join(row.nodes)),
    Column("授权人", lambda row: row.given_by),
    Column("授权时间", lambda row: moment(row.given_at), "given_at"),
    Column("生效", lambda row: moment(row.valid_from)),
    Column("失效", lambda row: moment(row.valid_to), "valid_to"),
    Column("用途", lambda row: row.purpose),
)
add_list(
    router,
    Shape("/authorisations", "授权", AUTHORISATIONS, steps.list_authorisations),
    EVERYBODY,
    actions=(Action("登记授权", "/authorisations/new", STAFF),),
)


@router.get("/authorisations/new")
def authorisation_form(request: Request, _person: Staff, wish: Wished) -> Response:
    """Ask for the system first, then show the form with its hosts."""
    chosen = request.query_params.get("system", "")
    if not chosen:
        found = steps.list_systems(wish)
        return show(request, "choose_system.html", title="登记授权", found=found, wish=wish)
    return _form(request, _system(chosen), {})


@router.post("/authorisations/new")
def record_authorisation(request: Request, person: Staff, form: Form) -> Response:
    """Record the consent, or show what is wrong beside each field."""
    system = _system(form.one("system"))
    data = {name: form.one(name) for name in TEXTS}
    data |= {"system": system.row.site, "nodes": list(form.every("nodes"))}
    try:
        entered = read_form(AuthorisationForm, data)
        added = steps.record_authorisation(entered, form.file("file"), by=person.login)
    except InputError as error:
        return _form(request, system, _kept(form), error=error)
    return go(request, f"/authorisations/{added}", done="recorded")


@router.get("/authorisations/{authorisation}")
def show_authorisation(request: Request, _person: Reader, authorisation: RowId) -> Response:
    """Show an authorisation with its evidence's SHA-256."""
    with or_404():
        row = steps.authorisation_detail(authorisation)
    return show(
        request, "authorisation.html", title=f"授权 #{row.id}", row=row, mark=MARKS[row.state],
        may_revoke=_person.may(STAFF) and row.state in ("in_force", "coming"),
    )  # fmt: skip


@router.post("/authorisations/{authorisation}/revoke")
def revoke_authorisation(request: Request, person: Staff, authorisation: RowId) -> Response:
    """End an authorisation now."""
    with or_404():
        steps.authorisation_detail(authorisation)
    steps.revoke_authorisation(authorisation, by=person.login)
    return go(request, f"/authorisations/{authorisation}", done="revoked")


@router.get("/authorisations/{authorisation}/evidence")
def evidence_file(_person: Reader, authorisation: RowId) -> Response:
    """Hand the evidence out as it came in, as a download only."""
    with or_404():
        file = steps.evidence_body(authorisation)
    return download(file.name, file.media_type, file.body)


def _system(chosen: str) -> SystemDetail:
    if not (chosen.isascii() and chosen.isdigit() and len(chosen) <= DIGITS_MOST):
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    with or_404():
        return steps.system_detail(int(chosen))


def _form(
    request: Request,
    system: SystemDetail,
    values: dict[str, Any],
    *,
    error: InputError | None = None,
) -> Response:
    said = explained(error) if error else {}
    kept = dict.fromkeys(TEXTS, "") | {"nodes": ()} | values
    return show(
        request, "authorisation_form.html", code=422 if error else 200, title="登记授权",
        system=system, values=kept, ways=("email", "phone", "letter", "onsite"), **said,
    )  # fmt: skip


def _kept(form: Entered) -> dict[str, Any]:
    return {name: form.one(name) for name in TEXTS} | {"nodes": form.every("nodes")}

"""来信: what came into the support mailbox, and what a person makes of it."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailcare.console.access import EVERYBODY, STAFF, Reader, Staff
from mailcare.console.entered import Form, RowId
from mailcare.console.pages import add_list, download, explained, go, moment, or_404, show
from mailcare.console.tables import Cell, Column, Shape
from mailcare.console.words import Quoted
from mailcare.contracts.forms import read_form
from mailcare.deadlines import LEVEL_CHOICES
from mailcare.errors import InputError
from mailcare.intake import steps
from mailcare.intake.forms import TriageForm
from mailcare.intake.lists import MailDetail, MailRow
from mailcare.intake.wording import MAIL_STATE_TITLES

router = APIRouter()
TRIAGE_FIELDS = (
    "customer", "site", "level", "description", "contact", "contact_details", "place",
)  # fmt: skip
MARKS = {"received": "running", "waiting": "bad", "automatic": "quiet", "dismissed": "quiet"}
SOURCE = "message/rfc822"


def _state(row: MailRow) -> Cell:
    return Cell(MAIL_STATE_TITLES[row.state], mark=MARKS.get(row.state, "good"))


MAILS: tuple[Column[MailRow], ...] = (
    Column("收到时间", lambda row: moment(row.received_at), "received_at"),
    Column("主题", lambda row: Cell(Quoted(row.subject), f"/mails/{row.id}")),
    Column("发件人", lambda row: row.sender, "sender"),
    Column("客户", lambda row: row.customer or "/"),
    Column("状态", _state, "state"),
    Column("故障", lambda row: Cell(row.fault, f"/faults/{row.fault_id}") if row.fault else "/"),
    Column("处理人", lambda row: row.decided_by or "/"),
)
add_list(router, Shape("/mails", "来信", MAILS, steps.list_mails), EVERYBODY)


@router.get("/mails/{mail}")
def mail_page(request: Request, _person: Reader, mail: RowId) -> Response:
    """Show a mail, and the forms to decide about one that waits."""
    return _mail(request, mail)


@router.get("/mails/{mail}/source")
def mail_source(_person: Reader, mail: RowId) -> Response:
    """Return a mail as it came."""
    with or_404():
        return download(f"mail-{mail}.eml", SOURCE, steps.mail_source(mail))


@router.post("/mails/{mail}/declare")
def declare_fault(request: Request, person: Staff, mail: RowId, form: Form) -> Response:
    """Make a mail a fault."""
    values = {name: form.one(name) for name in TRIAGE_FIELDS}
    try:
        steps.declare_fault(mail, read_form(TriageForm, values), by=person.login)
    except InputError as error:
        return _mail(request, mail, values=values, error=error)
    return go(request, f"/mails/{mail}", done="recorded")


@router.post("/mails/{mail}/note")
def add_to_fault(request: Request, person: Staff, mail: RowId, form: Form) -> Response:
    """Put a mail on a fault as a note."""
    try:
        steps.add_to_fault(mail, form.one("number"), by=person.login)
    except InputError as error:
        return _mail(request, mail, error=error)
    return go(request, f"/mails/{mail}", done="recorded")


@router.post("/mails/{mail}/dismiss")
def dismiss(request: Request, person: Staff, mail: RowId, form: Form) -> Response:
    """Say that a mail needs nothing."""
    try:
        steps.dismiss(mail, reason=form.one("reason"), by=person.login)
    except InputError as error:
        return _mail(request, mail, error=error)
    return go(request, f"/mails/{mail}", done="saved")


def _mail(
    request: Request,
    mail: int,
    *,
    values: dict[str, str] | None = None,
    error: InputError | None = None,
) -> Response:
    with or_404():
        detail = steps.mail_detail(mail)
    return show(
        request,
        "mail.html",
        code=422 if error else 200,
        title=Quoted(detail.row.subject),
        mail=detail,
        state=_state(detail.row),
        values=values or _suggested(detail),
        levels=LEVEL_CHOICES,
        staff=STAFF,
        **(explained(error) if error else {}),
    )


def _suggested(detail: MailDetail) -> dict[str, Any]:
    return {
        "customer": detail.row.customer or "",
        "site": detail.sites[0] if len(detail.sites) == 1 else "",
        "level": detail.level,
        "description": f"{detail.row.subject}\n{detail.text}".strip()[: steps.TEXT_MOST],
        "contact": detail.contact,
        "contact_details": detail.contact_details,
        "place": "",
    }

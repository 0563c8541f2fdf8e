"""故障处理报告: write it, review it, see how it goes out, and record a hand delivery."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailcare.clock import BEIJING, utc_now
from mailcare.console.access import EVERYBODY, MANAGERS, STAFF, Manager, Person, Reader, Staff
from mailcare.console.entered import Form, RowId
from mailcare.console.outbox import MARKS as LETTER_MARKS
from mailcare.console.pages import add_list, download, explained, go, moment, or_404, show
from mailcare.console.tables import Cell, Column, Shape, plain_table
from mailcare.contracts.forms import RemarkForm, complain, read_form
from mailcare.contracts.promises import promises
from mailcare.delivery.wording import STATE_TITLES
from mailcare.errors import InputError
from mailcare.faults import steps as faults
from mailcare.faults.declaration import TEXT_CHARACTERS_MOST
from mailcare.faults.events import Refused
from mailcare.papers.formats import until
from mailcare.reports import steps
from mailcare.reports.forms import DraftForm, HandOverForm, ReportForm
from mailcare.reports.lists import Act, LetterRow, ReportDetail, ReportRow
from mailcare.reports.wording import VIA_TITLES, state_title

router = APIRouter()
VIA = "console"
TEXTS = ("occurred_at", "method", "degree", "lessons", "opinions")
HANDED = ("received_by", "handed_at", "remark")
EDITABLE = ("draft", "returned")
MARKS = {
    "in_review": "warn",
    "returned": "bad",
    "approved": "running",
    "issued": "running",
    "sent": "good",
    "signed": "good",
    "superseded": "quiet",
}


def _state(row: ReportRow | Act) -> Cell:
    return Cell(state_title(row.state), mark=MARKS.get(row.state, ""))


def _due(row: ReportRow) -> str:
    if row.due_at is None:
        return "/"
    return f"{until(row.due_at.isoformat())}{'（暂行）' if row.is_provisional else ''}"


def _due_inside(row: ReportRow) -> str:
    """Return when it must have arrived, and by when on that day it should have."""
    if row.due_at is None:
        return _due(row)
    return f"{_due(row)}，内部要求当日 {promises(row.terms_version).report_internal_due:%H:%M}"


REPORTS: tuple[Column[ReportRow], ...] = (
    Column("编号", lambda row: Cell(row.number, f"/faults/{row.fault_id}/report"), "number"),
    Column("轮次", lambda row: str(row.epoch)),
    Column("状态", _state, "state"),
    Column("客户", lambda row: row.customer, "customer"),
    Column("级别", lambda row: row.level),
    Column("最迟送达", _due, "due_at"),
    Column("工程师", lambda row: row.author),
    Column("更新时间", lambda row: moment(row.state_changed_at)),
)
ACTS: tuple[Column[Act], ...] = (
    Column("时间", lambda row: moment(row.at)),
    Column("谁", lambda row: row.by),
    Column("状态", _state),
    Column("来自", lambda row: VIA_TITLES.get(row.via, row.via)),
    Column("说明", lambda row: row.remark),
)
LETTERS: tuple[Column[LetterRow], ...] = (
    Column("收件人", lambda row: Cell(row.recipient, f"/outbox/{row.id}")),
    Column("状态", lambda row: Cell(STATE_TITLES[row.state], mark=LETTER_MARKS[row.state])),
    Column("更新时间", lambda row: moment(row.state_changed_at)),
    Column("答复", lambda row: Cell(row.last_reply or "", mark="long")),
)
add_list(router, Shape("/reports", "故障处理报告", REPORTS, steps.list_reports), EVERYBODY)


@router.get("/faults/{fault}/report")
def show_report(request: Request, person: Reader, fault: RowId) -> Response:
    """Show the latest report on a fault; before there is one, offer to begin it."""
    report = steps.report_of(fault)
    if report is None:
        return _beginning(request, person, fault)
    return _page(request, person, steps.report_detail(report))


@router.post("/faults/{fault}/report")
def open_report(request: Request, person: Staff, fault: RowId) -> Response:
    """Begin the report that the fault's latest handling owes, filled in from its records."""
    try:
        steps.open_report(fault, by=person.login, at=utc_now())
    except InputError as error:
        return _beginning(request, person, fault, error=error)
    return go(request, f"/faults/{fault}/report")


@router.post("/reports/{report}/save")
def save_report(request: Request, person: Staff, report: RowId, form: Form) -> Response:
    """Keep the draft, or hand it to the reviewer; who comes second is told and loses nothing."""
    detail, data = _detail(report), {name: form.one(name) for name in TEXTS}
    seen, at = form.whole("version"), utc_now()
    try:
        if form.one("submit"):
            entered = read_form(ReportForm, data)
            steps.submit_report(report, entered, seen=seen, by=person.login, at=at)
        else:
            draft = read_form(DraftForm, data)
            steps.save_report(report, draft, seen=seen, by=person.login, at=at)
    except InputError as error:
        return _page(request, person, detail, values=data, error=error)
    done = "submitted" if form.one("submit") else "saved"
    return go(request, f"/faults/{detail.row.fault_id}/report", done=done)


@router.post("/reports/{report}/decide")
def decide_report(request: Request, person: Manager, report: RowId, form: Form) -> Response:
    """Approve the report, which issues it, or return it with a remark."""
    detail, at, data = _detail(report), utc_now(), {"remark": form.one("remark")}
    seen = form.whole("version")
    try:
        if form.one("decision") == "approve":
            is_first = steps.approve_report(report, seen=seen, by=person.login, via=VIA, at=at)
        else:
            entered = read_form(RemarkForm, data)
            is_first = steps.return_report(
                report, seen=seen, by=person.login, via=VIA, remark=entered.remark, at=at
            )
    except InputError as error:
        return _page(request, person, detail, values=data, error=error)
    done = "decided" if is_first else "decided_before"
    return go(request, f"/faults/{detail.row.fault_id}/report", done=done)


@router.post("/reports/{report}/handed")
def hand_over(request: Request, person: Staff, report: RowId, form: Form) -> Response:
    """Record that the report was handed over, with what proves it."""
    detail, files = _detail(report), form.attached("file")
    data = {name: form.one(name) for name in HANDED}
    try:
        entered = read_form(HandOverForm, data | {"has_file": bool(files)})
        evidence = faults.evidence_of(files)
        steps.hand_over(report, entered, evidence, by=person.login, at=utc_now())
    except InputError as error:
        blamed = complain("handed_at", error.sentence) if isinstance(error, Refused) else error
        return _page(request, person, detail, values=data, error=blamed)
    return go(request, f"/faults/{detail.row.fault_id}/report", done="recorded")


@router.get("/reports/{report}/preview")
def preview(_person: Reader, report: RowId) -> Response:
    """Hand out the report as PDF as it would be issued now, unsigned."""
    detail = _detail(report)
    name = f"{detail.row.number}-preview.pdf"
    return download(name, "application/pdf", steps.preview(report))


def _detail(report: int) -> ReportDetail:
    with or_404():
        return steps.report_detail(report)


def _beginning(
    request: Request, person: Person, fault: int, *, error: InputError | None = None
) -> Response:
    with or_404():
        row = faults.fault_detail(fault, at=utc_now()).row
    said: dict[str, Any] = explained(error) if error else {}
    return show(
        request, "report_begin.html", code=422 if error else 200,
        title=f"故障处理报告 {row.number}", row=row, may_begin=person.may(STAFF), **said,
    )  # fmt: skip


def _page(
    request: Request,
    person: Person,
    detail: ReportDetail,
    *,
    values: Mapping[str, str] | None = None,
    error: InputError | None = None,
) -> Response:
    said: dict[str, Any] = explained(error) if error else {}
    code = (409 if isinstance(error, faults.Changed) else 422) if error else 200
    row = detail.row
    return show(
        request, "report.html", code=code, title=f"故障处理报告 {row.number}", report=detail,
        state=_state(row), due=_due_inside(row), values=_values(detail) | dict(values or {}),
        acts=plain_table(ACTS, detail.acts), letters=plain_table(LETTERS, detail.letters),
        may_write=person.may(STAFF) and row.state in EDITABLE, most=TEXT_CHARACTERS_MOST,
        may_decide=person.may(MANAGERS) and row.state == "in_review",
        may_hand=person.may(STAFF) and row.state == "issued",
        may_begin=person.may(STAFF) and row.state in ("sent", "signed", "superseded"), **said,
    )  # fmt: skip


def _values(detail: ReportDetail) -> dict[str, str]:
    texts = {name: getattr(detail, name) for name in TEXTS if name != "occurred_at"}
    at = detail.occurred_at
    shown = f"{at.astimezone(BEIJING):%Y-%m-%dT%H:%M}" if at else ""
    return dict.fromkeys(HANDED, "") | texts | {"occurred_at": shown}

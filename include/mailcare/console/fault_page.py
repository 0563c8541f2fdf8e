"""One fault: its clocks, what can be recorded of it now, and what has happened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailcare.clock import utc_now
from mailcare.console.access import EVERYBODY, STAFF, Reader, Staff
from mailcare.console.entered import Entered, Form, RowId, new_key
from mailcare.console.faults import clock_mark
from mailcare.console.pages import Action, download, explained, go, moment, or_404, show
from mailcare.console.tables import Cell, Column, plain_table
from mailcare.contracts.forms import RemarkForm, complain, read_form
from mailcare.deadlines import LEVEL_CHOICES, LEVEL_MEANINGS, Level
from mailcare.errors import InputError
from mailcare.faults import steps
from mailcare.faults.breaches import CAUSE_TITLES
from mailcare.faults.clocks import Clock
from mailcare.faults.events import Refused
from mailcare.faults.standing import Stage
from mailcare.faults.steps import FaultDetail, FaultRow
from mailcare.faults.wording import (
    KIND_TITLES,
    REASON_TITLES,
    STAGE_TITLES,
    WORD_TITLES,
    due_text,
    duration,
    left_of,
    state_title,
)
from mailcare.systems.lists import AuthorisationRow
from mailcare.systems.steps import system_detail

router = APIRouter()
WORDS = ("level", "why", "channel", "reason", "kind", "into")
KEPT = (*WORDS, "agreed", "at", "remark", "authorisation", "text", "broken", "cause")


@dataclass(frozen=True, slots=True)
class Doing:
    """Something that can be recorded of a fault; `fields` are what else its form asks for."""

    title: str
    fields: tuple[str, ...] = ()


ACTIONS = {
    "accepted": Doing("受理"),
    "first_contact": Doing("首次联系", ("channel",)),
    "paused": Doing("暂停", ("reason",)),
    "resumed": Doing("恢复", ("authorisation",)),
    "handled": Doing("处理完成", ("kind",)),
    "level_changed": Doing("变更级别", ("level", "why", "agreed")),
    "reopened": Doing("重新打开"),
    "merged": Doing("并入另一故障", ("into",)),
    "cancelled": Doing("撤销故障"),
}
WORKING = ("first_contact", "handled", "level_changed", "merged", "cancelled")
POSSIBLE: Mapping[Stage, tuple[str, ...]] = {
    Stage.DECLARED: ("accepted", "paused", *WORKING),
    Stage.ACCEPTED: ("paused", *WORKING),
    Stage.PAUSED: ("resumed", *WORKING),
    Stage.HANDLED: ("handled", "reopened", "level_changed"),
    Stage.REPORTED: ("handled", "reopened", "level_changed"),
    Stage.SIGNED: ("handled", "reopened", "level_changed"),
    Stage.CANCELLED: (),
    Stage.MERGED: (),
}
CHOICES: Mapping[str, Sequence[tuple[str, str]]] = {
    "channel": [(one, WORD_TITLES[one]) for one in ("phone", "chat", "email", "onsite", "auto")],
    "reason": list(REASON_TITLES.items()),
    "kind": [(one, WORD_TITLES[one]) for one in ("fix", "workaround")],
    "why": [(one, WORD_TITLES[one]) for one in ("worsened", "misclassified")],
    "level": list(LEVEL_CHOICES.items()),
}
TITLES = {
    "channel": "联系方式",
    "reason": "暂停原因",
    "kind": "处理结果",
    "why": "变更原因",
    "level": "新级别",
}
CLOCKS: tuple[Column[tuple[Clock, datetime]], ...] = (
    Column("时限", lambda row: KIND_TITLES[row[0].clock]),
    Column("轮次", lambda row: str(row[0].epoch)),
    Column("级别", lambda row: row[0].level),
    Column("状态", lambda row: Cell(state_title(row[0]), mark=clock_mark(*row))),
    Column("剩余", lambda row: _left(*row)),
    Column("起算", lambda row: moment(row[0].started_at)),
    Column("到期", lambda row: due_text(row[0])),
    Column("停止", lambda row: moment(row[0].stopped_at)),
    Column("违约时刻", lambda row: moment(row[0].breached_at)),
    Column("总用时", lambda row: duration(row[0].gross_s)),
    Column("净用时", lambda row: duration(row[0].net_s)),
)


@router.get("/faults/{fault}")
def show_fault(request: Request, _person: Reader, fault: RowId) -> Response:
    """Show a fault: clocks, what can be done now, and what has happened."""
    return _page(request, fault)


@router.post("/faults/{fault}/event")
def record_event(request: Request, person: Staff, fault: RowId, form: Form) -> Response:
    """Record what happened; who did not see the last event is told, and nothing is written."""
    type_, now = form.one("type"), utc_now()
    try:
        words = {name: form.one(name) for name in WORDS}
        event = steps.event_entered(
            type_, form.one("at"), words | {"customer_agreed": bool(form.one("agreed"))}, now=now
        )
        steps.record_event(
            fault, event, by=person.login, at=now, backing=_backing(form), seen=form.whole("seen")
        )
    except InputError as error:
        blamed = complain(error.field, error.sentence) if isinstance(error, Refused) else error
        return _page(request, fault, values=_kept(form) | {"type": type_}, error=blamed)
    return go(request, f"/faults/{fault}", done="recorded")


@router.post("/faults/{fault}/note")
def add_note(request: Request, person: Staff, fault: RowId, form: Form) -> Response:
    """Add a remark, to a closed fault too."""
    now = utc_now()
    try:
        entered = read_form(steps.NoteForm, {"text": form.one("text")})
        files = steps.evidence_of(form.attached("file"))
        steps.add_note(
            fault, entered.text, key=form.key(), said_at=now,
            by=person.login, at=now, files=files,
        )  # fmt: skip
    except InputError as error:
        return _page(request, fault, values=_kept(form) | {"type": "note"}, error=error)
    return go(request, f"/faults/{fault}", done="recorded")


@router.post("/faults/{fault}/reason")
def add_breach_reason(request: Request, person: Staff, fault: RowId, form: Form) -> Response:
    """Record why a promise was broken."""
    clock, _, epoch = form.one("broken").partition("/")
    data = {"clock": clock, "epoch": epoch} | {name: form.one(name) for name in ("cause", "text")}
    try:
        entered = read_form(steps.BreachReasonForm, data)
        steps.add_breach_reason(fault, entered, by=person.login, at=utc_now())
    except InputError as error:
        return _page(request, fault, values=_kept(form) | {"type": "reason"}, error=error)
    return go(request, f"/faults/{fault}", done="recorded")


@router.post("/faults/{fault}/authorisation")
def ask_authorisation(request: Request, person: Staff, fault: RowId, form: Form) -> Response:
    """Ask the customer by letter to authorise remote login; the fault is paused until then."""
    seen = form.whole("seen")
    try:
        steps.ask_authorisation(fault, by=person.login, at=utc_now(), seen=seen)
    except InputError as error:
        return _page(request, fault, error=error)
    return go(request, f"/faults/{fault}", done="authorisation_asked")


@router.post("/faults/{fault}/inspection")
def ask_inspection(request: Request, person: Staff, fault: RowId) -> Response:
    """Ask for a follow-up inspection of the fault's system; it is started within a minute."""
    try:
        steps.ask_follow_up(fault, by=person.login, at=utc_now())
    except InputError as error:
        return _page(request, fault, error=error)
    return go(request, f"/faults/{fault}", done="asked")


@router.get("/faults/{fault}/files/{file}")
def fault_file(_person: Reader, fault: RowId, file: RowId) -> Response:
    """Hand a file out as it came in, as a download only."""
    with or_404():
        found = steps.fault_file(fault, file)
    return download(found.name, found.media_type, found.body)


def _backing(form: Entered) -> steps.Backing:
    authorisation = form.whole("authorisation") if form.one("authorisation") else None
    files = steps.evidence_of(form.attached("file"))
    entered = read_form(RemarkForm, {"remark": form.one("remark")})
    return steps.Backing(remark=entered.remark, files=files, authorisation=authorisation)


def _kept(form: Entered) -> dict[str, str]:
    return {name: form.one(name) for name in KEPT}


def _left(clock: Clock, at: datetime) -> Cell:
    """Return what is left of a clock that is still open."""
    return Cell("/") if clock.stopped_at else Cell(left_of(clock, at), mark=clock_mark(clock, at))


def _page(
    request: Request,
    fault: int,
    *,
    values: Mapping[str, str] = MappingProxyType({}),
    error: InputError | None = None,
) -> Response:
    now = utc_now()
    with or_404():
        detail = steps.fault_detail(fault, at=now)
    stage = Stage(detail.row.state)
    said = explained(error) if error else {}
    code = (409 if isinstance(error, steps.Changed) else 422) if error else 200
    return show(
        request, "fault.html", code=code, title=f"故障 {detail.row.number}", row=detail.row,
        detail=detail, state=STAGE_TITLES[stage], meaning=LEVEL_MEANINGS[Level(detail.row.level)],
        clocks=plain_table(CLOCKS, [(one, now) for one in detail.clocks]), staff=STAFF,
        titles=TITLES,
        doings={name: ACTIONS[name] for name in _possible(stage, detail)}, choices=CHOICES,
        authorisations=_authorisations(detail), via=WORD_TITLES[detail.row.declared_via],
        values=dict.fromkeys((*KEPT, "type"), "") | dict(values), key=new_key(),
        broken=_broken(detail), causes=CAUSE_TITLES, actions=_links(detail), **said,
    )  # fmt: skip


def _possible(stage: Stage, detail: FaultDetail) -> Sequence[str]:
    """Return what may be recorded now; once a fix is there, the fault is open or has no other."""
    is_fixed = detail.has_fix and "reopened" in POSSIBLE[stage]
    return [one for one in POSSIBLE[stage] if not (one == "handled" and is_fixed)]


def _links(detail: FaultDetail) -> tuple[Action, ...]:
    row = detail.row
    links = [
        Action("故障处理报告", f"/faults/{row.id}/report", EVERYBODY),
        Action("申报关联故障", f"/faults/new?{urlencode(_related(row))}", STAFF),
    ]
    if row.system_id:
        links.append(Action("登记授权", f"/authorisations/new?system={row.system_id}", STAFF))
    return tuple(links)


def _broken(detail: FaultDetail) -> Mapping[str, str]:
    """Return the promises that are recorded as broken, by what the form calls them."""
    return {
        f"{one.clock}/{one.epoch}": KIND_TITLES[one.clock]
        for one in detail.clocks
        if one.breached_at
    }


def _related(row: FaultRow) -> dict[str, str]:
    names = ("customer", "site", "contact", "contact_details", "place")
    return {name: getattr(row, name) or "" for name in names} | {"follows": row.number}


def _authorisations(detail: FaultDetail) -> Sequence[AuthorisationRow]:
    """Return the authorisations in force that cover the fault's system."""
    if detail.row.system_id is None:
        return ()
    given = system_detail(detail.row.system_id).authorisations
    return [one for one in given if one.state == "in_force"]

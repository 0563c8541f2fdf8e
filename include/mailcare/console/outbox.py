"""发件箱: letters by state, one letter with its events, and what a person decides about it."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from mailcare.clock import utc_now
from mailcare.console.access import EVERYBODY, STAFF, Allowed, Reader, Staff
from mailcare.console.entered import Form, RowId
from mailcare.console.pages import (
    XLSX,
    download,
    exact,
    explained,
    go,
    moment,
    or_404,
    show,
    today,
)
from mailcare.console.tables import Cell, Column, Shape, Wished, plain_table
from mailcare.console.words import Quoted
from mailcare.delivery import steps
from mailcare.delivery.lists import EventRow, LetterRow, UntoldRow
from mailcare.delivery.wording import CHANNEL_TITLES, RUNG_TITLES, STATE_TITLES
from mailcare.errors import InputError

router = APIRouter()
MARKS = {
    "pending": "running",
    "sending": "running",
    "sent": "good",
    "refused": "bad",
    "uncertain": "bad",
    "dead": "bad",
    "expired": "quiet",
    "settled": "good",
}
LATE_AFTER_S = 300  # the outbox runs every minute


def _next(row: LetterRow) -> str:
    return moment(row.next_attempt_at) if row.state == "pending" else ""


LETTERS: tuple[Column[LetterRow], ...] = (
    Column("登记时间", lambda row: moment(row.posted_at), "posted_at"),
    Column("标题", lambda row: Cell(Quoted(row.subject), f"/outbox/{row.id}")),
    Column("渠道", lambda row: CHANNEL_TITLES[row.channel], "channel"),
    Column("收件人", lambda row: row.recipient, "recipient"),
    Column("客户", lambda row: row.customer or "/", "customer"),
    Column(
        "状态", lambda row: Cell(STATE_TITLES[row.state], mark=MARKS.get(row.state, "")), "state"
    ),
    Column("已试", lambda row: str(row.attempts), "attempts"),
    Column("下次发送", _next),
    Column("对方答复", lambda row: row.last_reply or ""),
)
EVENTS: tuple[Column[EventRow], ...] = (
    Column("时间", lambda row: exact(row.at)),
    Column("状态", lambda row: Cell(STATE_TITLES[row.state], mark=MARKS.get(row.state, ""))),
    Column("说明", lambda row: row.detail),
    Column("谁", lambda row: row.by or "/"),
)
UNTOLD: tuple[Column[UntoldRow], ...] = (
    Column("时间", lambda row: moment(row.at)),
    Column("对象", lambda row: RUNG_TITLES[row.rung]),
    Column("标题", lambda row: Quoted(row.subject)),
)
OUTBOX = Shape("/outbox", "发件箱", LETTERS, steps.list_letters)


@router.get("/outbox")
def outbox_page(request: Request, _person: Reader, wish: Wished) -> Response:
    """Show how the outbox stands, and its letters."""
    state = steps.outbox_state()
    last = state.last_run_at
    return show(
        request,
        "outbox.html",
        title=OUTBOX.title,
        table=OUTBOX.table(wish),
        hint=OUTBOX.hint,
        counts=[(STATE_TITLES[one], MARKS[one], state.counts.get(one, 0)) for one in STATE_TITLES],
        last_run=moment(last),
        last_outcome=state.last_outcome,
        is_late=last is None or (utc_now() - last).total_seconds() > LATE_AFTER_S,
        untold=plain_table(UNTOLD, state.untold),
    )


@router.get("/outbox.xlsx", dependencies=[Depends(Allowed(EVERYBODY))])
def outbox_file(wish: Wished) -> Response:
    """Return all letters as an Excel file."""
    return download(f"{OUTBOX.title}-{today()}.xlsx", XLSX, OUTBOX.sheet(wish))


@router.get("/outbox/{delivery}")
def letter_page(request: Request, _person: Reader, delivery: RowId) -> Response:
    """Show a letter with everything that happened to it."""
    return _letter(request, delivery)


@router.post("/outbox/{delivery}/arrived")
def mark_arrived(request: Request, person: Staff, delivery: RowId, form: Form) -> Response:
    """Settle an uncertain letter: it has arrived."""
    try:
        steps.mark_arrived(delivery, reason=form.one("reason"), by=person.login)
    except InputError as error:
        return _letter(request, delivery, error=error)
    return go(request, f"/outbox/{delivery}", done="saved")


@router.post("/outbox/{delivery}/again")
def send_again(request: Request, person: Staff, delivery: RowId, form: Form) -> Response:
    """Let a letter go once more."""
    recipient, reason = form.one("recipient"), form.one("reason")
    try:
        steps.send_again(delivery, recipient=recipient, reason=reason, by=person.login)
    except InputError as error:
        return _letter(request, delivery, error=error, recipient=recipient)
    return go(request, f"/outbox/{delivery}", done="saved")


def _letter(
    request: Request, delivery: int, *, error: InputError | None = None, **entered: Any
) -> Response:
    with or_404():
        detail = steps.letter_detail(delivery)
    row = detail.row
    return show(
        request,
        "letter.html",
        code=422 if error else 200,
        title=Quoted(row.subject),
        letter=detail,
        channel=CHANNEL_TITLES[row.channel],
        state=Cell(STATE_TITLES[row.state], mark=MARKS[row.state]),
        events=plain_table(EVENTS, detail.events),
        begun=[one for one in detail.events if one.state == "sending"][-1:],
        recipient=entered.get("recipient", row.recipient),
        staff=STAFF,
        **(explained(error) if error else {}),
    )

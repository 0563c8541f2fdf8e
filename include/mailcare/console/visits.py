"""现场巡检: the list, one visit with its appointment, and the forms of the three days.

The forms are short and stand one below the other: an engineer fills them in on a phone.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request, status
from fastapi.responses import Response

from mailcare.console.access import EVERYBODY, FIELD, STAFF, FieldStaff, Person, Reader, Staff
from mailcare.console.entered import Entered, Form, RowId
from mailcare.console.pages import add_list, download, explained, go, moment, or_404, show, today
from mailcare.console.tables import Cell, Column, Shape, plain_table
from mailcare.contracts.forms import read_form
from mailcare.errors import InputError
from mailcare.inspection.check import Target
from mailcare.papers.wording import STATES
from mailcare.staff.steps import field_staff
from mailcare.systems.profile import Strict
from mailcare.visits import steps
from mailcare.visits.appointment import ACT_TITLES, STATE_TITLES, Act, Party, State, acts_of
from mailcare.visits.details import EventRow, Item, VisitDetail, VisitRow
from mailcare.visits.entries import DAY_TITLES, FIELDS, OPINIONS, TOPIC_TITLES
from mailcare.visits.forms import (
    CAPTION_MOST,
    AnswerForm,
    EndForm,
    MoveForm,
    ObservationForm,
    OfferForm,
    PhotoForm,
    StaffForm,
    TrainingForm,
)

router = APIRouter()
MARKS = {"confirmed": "good", "countered": "warn", "started": "warn", "no_show": "bad"}
WAY_TITLES = {"link": "邮件链接", "phone": "电话", "console": "控制台"}
PARTY_TITLES = {"customer": "客户", "vendor": "我方"}
Number = Annotated[str, Path(pattern=r"^XC-\d{4}-\d{5,9}$")]
NONE: Mapping[str, str] = MappingProxyType({})
# While one of them is to be corrected, it stands alone: others have fields of the same names.
FORMS = frozenset(
    {"assign", "propose", "answer", "move", "cancel", "miss"}
    | {"training", "words", "photo", "replies"}
)


def _state(row: VisitRow) -> Cell:
    return Cell(STATE_TITLES[State(row.state)], mark=MARKS.get(row.state, ""))


VISITS: tuple[Column[VisitRow], ...] = (
    Column("编号", lambda row: Cell(row.number, f"/visits/{row.number}"), "number"),
    Column("状态", _state, "state"),
    Column("客户", lambda row: Cell(row.customer, f"/customers/{row.customer_id}"), "customer"),
    Column("系统", lambda row: Cell(row.system, f"/systems/{row.system_id}")),
    Column("约定首日", lambda row: str(row.starts_on or "/"), "starts_on"),
    Column("到期日", lambda row: str(row.due_on or "/"), "due_on"),
    Column("工程师", lambda row: row.engineer_name or "/"),
)
HISTORY: tuple[Column[EventRow], ...] = (
    Column("时间", lambda row: moment(row.at)),
    Column("动作", lambda row: ACT_TITLES[Act(row.act)]),
    Column("哪一方", lambda row: PARTY_TITLES[row.party]),
    Column("方式", lambda row: WAY_TITLES[row.way]),
    Column("首日", lambda row: "、".join(row.starts)),
    Column("分段同意", lambda row: row.split_agreed_by),
    Column("说明", lambda row: row.note),
    Column("答复人", lambda row: row.said_by),
    Column("登记人", lambda row: row.recorded_by),
)
add_list(router, Shape("/visits", "现场巡检", VISITS, steps.list_visits), EVERYBODY)


@router.get("/visits/{number}")
def show_visit(request: Request, _person: Reader, number: Number) -> Response:
    """Show a visit: what is agreed, what can be done now, and what happened."""
    return _page(request, number)


@router.post("/visits/{number}/assign")
def assign(request: Request, person: Staff, number: Number, form: Form) -> Response:
    """Write down who goes and where to."""
    return _entered(
        request, person, number, "assign", StaffForm, _texts(form, StaffForm), steps.assign
    )


@router.post("/visits/{number}/propose")
def propose(request: Request, person: Staff, number: Number, form: Form) -> Response:
    """Propose days to the customer."""
    starts = [one for one in form.every("starts") if one]
    data = {"starts": starts, "note": form.one("note")}
    return _entered(request, person, number, "propose", OfferForm, data, steps.propose)


@router.post("/visits/{number}/answer")
def answer(request: Request, person: Staff, number: Number, form: Form) -> Response:
    """Write down what the customer answered by phone."""
    data = answered(form)
    return _entered(request, person, number, "answer", AnswerForm, data, steps.answer_by_phone)


@router.post("/visits/{number}/accept")
def accept(request: Request, person: Staff, number: Number) -> Response:
    """Accept the days that the customer asked for."""
    return _done(
        request, number, "accept", {}, lambda: steps.accept_counter(number, by=person.login)
    )


@router.post("/visits/{number}/move")
def move(request: Request, person: Staff, number: Number, form: Form) -> Response:
    """Move agreed days."""
    texts = _texts(form, MoveForm) | {"is_split_agreed": bool(form.one("is_split_agreed"))}
    return _entered(request, person, number, "move", MoveForm, texts, steps.move_visit)


@router.post("/visits/{number}/cancel")
def cancel(request: Request, person: Staff, number: Number, form: Form) -> Response:
    """Cancel a visit."""
    return _entered(
        request, person, number, "cancel", EndForm, _texts(form, EndForm), steps.cancel_visit
    )


@router.post("/visits/{number}/miss")
def miss(request: Request, person: Staff, number: Number, form: Form) -> Response:
    """Write down that an agreed visit did not take place."""
    return _entered(
        request, person, number, "miss", EndForm, _texts(form, EndForm), steps.miss_visit
    )


@router.post("/visits/{number}/start")
def start(request: Request, person: FieldStaff, number: Number) -> Response:
    """Begin the three days."""
    return _done(request, number, "start", {}, lambda: steps.start_visit(number, by=person.login))


@router.post("/visits/{number}/complete")
def complete(request: Request, person: FieldStaff, number: Number) -> Response:
    """End the three days."""
    return _done(
        request, number, "complete", {}, lambda: steps.complete_visit(number, by=person.login)
    )


@router.post("/visits/{number}/sheet")
def print_sheet(request: Request, _person: Staff, number: Number) -> Response:
    """Print the sheet as things stand and hand it out."""
    with or_404():
        return go(request, f"/papers/{steps.print_sheet(number)}/pdf")


@router.post("/visits/{number}/words")
def write_words(request: Request, person: FieldStaff, number: Number, form: Form) -> Response:
    """Write down what was found and done, or the customer's opinion, in words."""
    words = {name: form.one(name) for name in (*FIELDS, *OPINIONS) if name in form.texts}
    return _done(
        request, number, "words", words,
        lambda: steps.write_entries(number, words, by=person.login),
    )  # fmt: skip


@router.post("/visits/{number}/training")
def record_training(request: Request, person: FieldStaff, number: Number, form: Form) -> Response:
    """Write down what was taught."""
    return _entered(
        request,
        person,
        number,
        "training",
        TrainingForm,
        _texts(form, TrainingForm),
        steps.record_training,
    )


@router.post("/visits/{number}/photo")
def add_photo(request: Request, person: FieldStaff, number: Number, form: Form) -> Response:
    """Keep a photo or file as evidence."""
    file = form.file("file")
    return _entered(
        request, person, number, "photo", PhotoForm, _texts(form, PhotoForm),
        lambda number, told, by: steps.add_photo(number, file, told, by=by),
    )  # fmt: skip


@router.post("/visits/{number}/replies")
def add_replies(request: Request, _person: FieldStaff, number: Number, form: Form) -> Response:
    """Take the output of the kit's collector."""
    return _done(
        request, number, "replies", {}, lambda: steps.add_replies(number, form.file("file"))
    )


@router.get("/visits/{number}/photos/{file}")
def photo(_person: Reader, number: Number, file: RowId) -> Response:
    """Hand a photo or file out as it came in, as a download only."""
    with or_404():
        found = steps.photo_file(number, file)
    return download(found.name, found.media_type, found.body)


@router.get("/visits/{number}/day/{day}")
def show_day(request: Request, _person: Reader, number: Number, day: int) -> Response:
    """Show what a day asks, what a person should look at first."""
    if day not in DAY_TITLES:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    detail = _detail(number)
    items = [one for one in steps.day_items(number) if one.day == day]
    return show(
        request, "visit_day.html", title=f"第 {day} 天：{DAY_TITLES[day]}", visit=detail,
        wanted=[one for one in items if one.is_wanted],
        others=[one for one in items if not one.is_wanted], states=STATES,
    )  # fmt: skip


@router.get("/visits/{number}/look")
def look_form(request: Request, _person: FieldStaff, number: Number) -> Response:
    """Show the form for one check's target, with what was entered last."""
    item = _item(number, request.query_params)
    seen = item.seen
    values = {"verdict": "", "says": "", "advice": ""}
    if seen:
        values = {
            "verdict": seen.verdict.name.lower(),
            "says": seen.says,
            "advice": seen.advice,
            **{f"numbers.{name}": f"{value:g}" for name, value in seen.numbers.items()},
        }
    return _look(request, number, item, values)


@router.post("/visits/{number}/look")
def look(request: Request, person: FieldStaff, number: Number, form: Form) -> Response:
    """Write down what the engineer saw."""
    item = _item(number, {name: form.one(name) for name in ("check", "node", "port", "part")})
    numbers = {name: form.one(f"numbers.{name}") for name, _, _ in item.numbers}
    data = {
        "check": item.check.name,
        "node": item.target.node,
        "port": item.target.port,
        "part": item.target.part,
        **{name: form.one(name) for name in ("verdict", "says", "advice")},
        "numbers": {name: text for name, text in numbers.items() if text},
    }
    try:
        seen = read_form(ObservationForm, data)
        about = f"{item.check.title} {item.target}"
        told = PhotoForm(about=about[:CAPTION_MOST], caption=seen.says[:CAPTION_MOST])
        steps.observe(number, seen, form.file("file"), told, by=person.login)
    except InputError as error:
        values = {name: texts[-1] for name, texts in form.texts.items()}
        return _look(request, number, item, values, error=error)
    return go(request, f"/visits/{number}/day/{item.day}", done="recorded")


def _look(
    request: Request,
    number: str,
    item: Item,
    values: Mapping[str, str],
    *,
    error: InputError | None = None,
) -> Response:
    said = explained(error) if error else {}
    return show(
        request, "visit_look.html", code=422 if error else 200, title=item.check.title,
        number=number, item=item, values=defaultdict(str, values), states=STATES,
        verdicts=("ok", "notice", "warning", "critical"), **said,
    )  # fmt: skip


def _item(number: str, asked: Mapping[str, str]) -> Item:
    port = asked.get("port", "0") or "0"
    if not (port.isascii() and port.isdigit() and len(port) < 6):
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    wanted = (
        asked.get("check", ""),
        Target(asked.get("node", ""), int(port), asked.get("part", "")),
    )
    with or_404():
        items = steps.day_items(number)
    found = [one for one in items if (one.check.name, one.target) == wanted]
    if not found:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    return found[0]


def answered(form: Entered) -> dict[str, Any]:
    """Return the customer's answer as the form sends it: a day of the offer, or another one."""
    chosen = form.one("chosen")
    is_other = chosen == "other"
    return {
        "choice": "counter" if is_other else "confirm",
        "start": form.one("start") if is_other else chosen,
        "said_by": form.one("said_by"),
        "is_split_agreed": bool(form.one("is_split_agreed")),
        "note": form.one("note"),
    }


def _texts(form: Entered, shape: Any) -> dict[str, Any]:  # noqa: ANN401 - a pydantic model's class
    return {name: form.one(name) for name in shape.model_fields}


def _entered(
    request: Request,
    person: Person,
    number: str,
    part: str,
    shape: type[Strict],
    data: Mapping[str, Any],
    act: Callable[..., None],
) -> Response:
    """Read a form and hand it to the step that it is for; see `_done`."""
    return _done(
        request, number, part, data,
        lambda: act(number, read_form(shape, data), by=person.login),
    )  # fmt: skip


def _done(
    request: Request,
    number: str,
    part: str,
    values: Mapping[str, Any],
    act: Callable[[], object],
) -> Response:
    """Carry an act out and show the visit; where it is refused, what was entered stays."""
    with or_404():
        steps.visit_detail(number)
    try:
        act()
    except InputError as error:
        return _page(request, number, part=part, values=values, error=error)
    return go(request, f"/visits/{number}", done="recorded")


def _engineers() -> tuple[tuple[str, str], ...]:
    known = (
        (login, f"{name}（{login}）" if name else login) for login, name in field_staff().items()
    )
    return (("", "/"), *known)


def _detail(number: str) -> VisitDetail:
    with or_404():
        return steps.visit_detail(number)


def _page(
    request: Request,
    number: str,
    *,
    part: str = "",
    values: Mapping[str, Any] = NONE,
    error: InputError | None = None,
) -> Response:
    detail = _detail(number)
    state = State(detail.row.state)
    last = detail.history[-1] if detail.history else None
    only = part if error and part in FORMS else ""
    offered = last.starts if last and state in (State.PROPOSED, State.COUNTERED) else ()
    return show(
        request, "visit.html", code=422 if error else 200, title=f"现场巡检 {number}",
        visit=detail, state=_state(detail.row), acts=acts_of(state), offered=offered,
        history=plain_table(HISTORY, detail.history), part=part,
        values=defaultdict(str, values), staff=STAFF,
        field_staff=FIELD, engineers=_engineers(), today=today(), only=only, day_titles=DAY_TITLES,
        fields=FIELDS, opinions=OPINIONS,
        topics=TOPIC_TITLES, parties={str(one): PARTY_TITLES[one] for one in Party},
        **(explained(error) if error else {}),
    )  # fmt: skip

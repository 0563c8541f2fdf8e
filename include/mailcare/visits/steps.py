"""On-site visits: the seam between the records and the rules; every step is safe to run twice."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.calendars.steps import today, working_calendar
from mailcare.clock import utc_now
from mailcare.contracts.forms import complain
from mailcare.deadlines import visit_days
from mailcare.errors import InputError
from mailcare.inspection import onsite as inspecting
from mailcare.inspection import steps as inspections
from mailcare.inspection.checks import all_checks
from mailcare.inspection.collect.frames import restore, unpacked
from mailcare.inspection.collect.script import system_script
from mailcare.listing import Page, Wish
from mailcare.papers.items import read_items
from mailcare.papers.keeping import keep_paper, pages, paper_file
from mailcare.papers.signing import sign_paper
from mailcare.papers.steps import render_visit
from mailcare.papers.visit_sheet import LastInspection
from mailcare.records.inspections import Inspection
from mailcare.records.papers import FileKind
from mailcare.records.people import EvidenceFile
from mailcare.records.session import reading, transaction
from mailcare.records.visits import Visit, VisitState, VisitWay
from mailcare.surveys.steps import open_survey, sheet_of
from mailcare.systems.evidence import Evidence, read_evidence
from mailcare.visits import (
    appointing,
    closing,
    details,
    homecoming,
    kit,
    negotiating,
    onsite,
    reporting,
    writing,
)
from mailcare.visits.answering import (
    Knock,
    LinkRefused,
    Opened,
    is_flooding,
    offered_starts,
    open_link,
    use_up,
    write_refusal,
)
from mailcare.visits.appointing import Word
from mailcare.visits.appointment import Act, Party
from mailcare.visits.details import Item, VisitDetail, VisitRow, items_of
from mailcare.visits.forms import (
    AnswerForm,
    EndForm,
    MoveForm,
    ObservationForm,
    OfferForm,
    PhotoForm,
    StaffForm,
    TrainingForm,
)
from mailcare.visits.homecoming import Imported
from mailcare.visits.kit_folder import read_kit, write_kit
from mailcare.visits.negotiating import Moment
from mailcare.visits.reminders import due_reminder, reminder_key
from mailcare.visits.reporting import Closed

log = logging.getLogger(__name__)


class TooManyRefusals(InputError):
    """An address was refused so often that nothing of it is looked at for a while."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a customer's link shows: which visit, and the days that they may choose from."""

    number: str
    customer: str
    system: str
    place: str
    engineer: str
    note: str
    choices: tuple[tuple[date, ...], ...]
    provisional_note: str


def open_visit(service: int) -> int:
    """Return the visit of a planned service, made on the first call.

    Raise `InputError` for a service that is no visit, or that the contract no longer owes.
    """
    with transaction() as session:
        return appointing.open_service(session, service, at=utc_now()).id


def assign(number: str, form: StaffForm, *, by: str) -> None:
    """Write down who goes and where to, until the visit has begun.

    Raise `FormError` for an engineer who is not on the staff list. Where days are agreed, customer
    and engineer get the invitation anew, and an engineer who no longer goes gets a cancellation.
    """
    with _changing(number) as (session, visit, now):
        negotiating.assign(session, visit, form, now, by=by)


def propose(number: str, form: OfferForm, *, by: str) -> None:
    """Propose days to the customer: a letter with a link goes to each contact.

    A cancelled or missed visit is taken up again so. One that its contract year has no entitlement
    left for is 合同外: raise `FormError` unless `by` is a manager, and the record then says so.
    """
    with _changing(number) as (session, visit, now):
        negotiating.offer(session, visit, form, now, by=by)


def answer_by_phone(number: str, form: AnswerForm, *, by: str) -> None:
    """Write down what the customer answered by phone; `by` took the call."""
    word = Word(Party.CUSTOMER, VisitWay.PHONE, form.said_by, by)
    with _changing(number) as (session, visit, now):
        negotiating.answer(session, visit, form, now, word)


def accept_counter(number: str, *, by: str) -> None:
    """Accept the days that the customer asked for; both sides get the invitation."""
    with _changing(number) as (session, visit, now):
        negotiating.accept(session, visit, now, by=by)


def move_visit(number: str, form: MoveForm, *, by: str) -> None:
    """Move agreed days; both sides get the invitation anew."""
    with _changing(number) as (session, visit, now):
        negotiating.move(session, visit, form, now, by=by)


def cancel_visit(number: str, form: EndForm, *, by: str) -> None:
    """Cancel a visit; the entitlement goes back, and agreed days out of both calendars."""
    with _changing(number) as (session, visit, now):
        negotiating.call_off(session, visit, Act.CANCEL, form, now, by=by)


def miss_visit(number: str, form: EndForm, *, by: str) -> None:
    """Write down that an agreed visit did not take place; the entitlement goes back."""
    with _changing(number) as (session, visit, now):
        negotiating.call_off(session, visit, Act.MISS, form, now, by=by)


def start_visit(number: str, *, by: str) -> None:
    """Begin the three days of a visit."""
    with _changing(number) as (session, visit, now):
        negotiating.start(session, visit, now, by=by)
        inspecting.open_inspection(session, visit.service_id)


def list_visits(wish: Wish) -> Page[VisitRow]:
    """Return a page of visits; searched by number, customer, system, site and engineer.

    Sorts: number customer starts_on due_on state.
    """
    with reading() as session:
        return details.visit_rows(session, wish)


def visit_detail(number: str) -> VisitDetail:
    """Return a visit with all that hangs on it; raise `InputError` for an unknown number."""
    calendar = working_calendar()
    with reading() as session:
        visit = appointing.known_visit(session, number)
        return details.describe_visit(session, visit, calendar, today=today())


def day_items(number: str) -> tuple[Item, ...]:
    """Return what a visit has to find out, what a person should look at first.

    Nothing before it has begun.
    """
    with reading() as session:
        service = appointing.known_visit(session, number).service_id
        inspection = inspecting.known_inspection(session, service)
        if inspection is None:
            return ()
        found = inspecting.standing(session, inspection)
    return items_of(found.plan, found.results, found.answers)


def observe(
    number: str, form: ObservationForm, photo: tuple[str, bytes] | None, told: PhotoForm, *, by: str
) -> None:
    """Write down what the engineer saw of one check's target, with its photo if there is one.

    The last one counts. Raise `FormError` for numbers that cannot be, or a photo that is none; then
    nothing is written.
    """
    evidence = _evidence(photo) if photo else None
    with _changing(number) as (session, visit, now):
        onsite.refuse_unstarted(visit)
        inspection = inspecting.open_inspection(session, visit.service_id)
        inspecting.observe(session, inspection, form.place(), form.observation(), by=by, at=now.at)
        if evidence:
            onsite.keep_photo(session, visit, evidence, told=told, by=by, at=now.at)


def write_entries(number: str, words: Mapping[str, str], *, by: str) -> None:
    """Write the words of some fields down; equal words twice are once.

    Raise `FormError` for what is no field, or not to be written now.
    """
    with _changing(number) as (session, visit, now):
        for field, text in words.items():
            onsite.write_entry(session, visit, field, text.strip(), by=by, at=now.at)


def record_training(number: str, form: TrainingForm, *, by: str) -> None:
    """Write down what was taught on a topic, to whom and how long."""
    with _changing(number) as (session, visit, now):
        onsite.write_training(session, visit, form, by=by, at=now.at)


def add_photo(number: str, file: tuple[str, bytes] | None, told: PhotoForm, *, by: str) -> None:
    """Keep a photo or file as evidence; raise `FormError` for one that is not taken."""
    if file is None:
        raise complain("file", "请选择照片或文件")
    evidence = _evidence(file)
    with _changing(number) as (session, visit, now):
        onsite.keep_photo(session, visit, evidence, told=told, by=by, at=now.at)


def _evidence(file: tuple[str, bytes]) -> Evidence:
    try:
        return read_evidence(*file)
    except InputError as error:
        raise complain("file", str(error)) from None


def add_replies(number: str, file: tuple[str, bytes] | None) -> int:
    """Take the output of the kit's collector and return how many replies are new.

    Raise `FormError` for what is no such output, or was made for another visit.
    """
    if file is None:
        raise complain("replies", "请选择采集结果文件")
    name, body = file
    try:
        data = unpacked(body)
        kit.refuse_foreign_replies(restore(data), number, name=name)
        with _changing(number) as (session, visit, _):
            onsite.refuse_unstarted(visit)
            inspection = inspecting.open_inspection(session, visit.service_id)
            return inspecting.take_bundle(session, inspection, data, source=name)
    except InputError as error:
        raise complain("replies", str(error)) from None


def photo_file(number: str, file: int) -> Evidence:
    """Return a visit's photo or file as it came; `InputError` where the visit has none such."""
    with reading() as session:
        visit = appointing.known_visit(session, number)
        if file not in {one.file for one in onsite.photos_of(session, visit)}:
            raise InputError("没有这个文件", subject=number)
        row = session.get_one(EvidenceFile, file)
        return Evidence(row.name, row.media_type, row.body)


def complete_visit(number: str, *, by: str) -> None:
    """End the three days: the results are judged, the entitlement is used, the survey is opened.

    Raise `InputError` that lists what is still missing. Safe to run twice.
    """
    with _changing(number) as (session, visit, now):
        closing.complete(session, visit, by=by, at=now.at)


def print_sheet(number: str) -> int:
    """Return the paper 现场巡检单 of a visit as things stand; printed where something changed."""
    calendar = working_calendar()
    with reading() as session:
        visit = appointing.known_visit(session, number)
        closed = reporting.last_closed(session, visit)
    last = _last(closed) if closed else None
    with reading() as session:
        visit = appointing.known_visit(session, number)
        document = reporting.sheet(session, visit, last, calendar)
        system = writing.system_of(session, visit).id
    return keep_paper(document, lambda: pages(document), system=system, customer=None)


def _last(closed: Closed) -> LastInspection:
    items = read_items(inspections.recorded(closed.id).results, all_checks())
    return LastInspection(closed.number, closed.finished_at, items)


def render_report(visit: int) -> int:
    """Return the report of a completed visit, signed by its engineer; its survey sheet with it.

    Rendered where it is new. Raise `InputError` for a visit that is not completed.
    """
    calendar = working_calendar()
    with reading() as session:
        row = session.get_one(Visit, visit)
        if row.state is not VisitState.COMPLETED:
            raise InputError("只有已完成的现场巡检才有报告", subject=row.number)
        told = reporting.onsite_of(session, row, calendar)
        service = Inspection.service_id == row.service_id
        inspection = session.scalars(select(Inspection.id).where(service)).one()
    paper = render_visit(inspection, told)
    sign_paper(
        paper, login=row.engineer, signer=row.engineer_name, reason="现场巡检报告", at=utc_now()
    )
    with transaction() as session:
        survey = open_survey(
            session, closing.ended_case(session, session.get_one(Visit, visit)), at=utc_now()
        )
    sheet_of(survey)
    return paper


def make_kit(number: str, out: Path) -> list[Path]:
    """Write a visit's kit into a folder and return the files; it works without network.

    Raise `InputError` for a folder that holds one already.
    """
    sheet = paper_file(print_sheet(number), FileKind.PDF).body
    with reading() as session:
        visit = appointing.known_visit(session, number)
        system = reporting.described(session, visit)
        closed = reporting.last_closed(session, visit)
    items = reporting.to_look_at(system, _last(closed) if closed else None)
    script = kit.marked_script(system_script(system), number)
    files = {
        kit.COLLECTOR: script.encode(),
        kit.SHEET: sheet,
        kit.ENTRIES: kit.entries_form(number, items).encode(),
        kit.GUIDE: kit.guide(number).encode("utf-8-sig"),  # for Windows' own editor
        kit.MANIFEST: json.dumps({"schema": 1, "visit": number}).encode(),
    }
    return write_kit(out, files)


def import_kit(folder: Path, *, by: str) -> Imported:
    """Take home what a kit brought; all of it is checked before anything is written.

    A visit whose first day has come is begun by it. The same kit taken twice adds nothing.
    """
    brought = read_kit(folder)
    photos = {one: _brought_photo(one, body) for one, body in brought.photos.items()}
    with _changing(brought.number) as (session, visit, now):
        return homecoming.take_kit(session, visit, brought, photos, now, by=by)


def _brought_photo(name: str, body: bytes) -> Evidence:
    try:
        return read_evidence(name, body)
    except InputError as error:
        raise InputError(str(error), subject=name) from None


def is_over(visit: int) -> bool | None:
    """Tell whether a visit is completed; None where it is given up for good.

    That is a cancelled or missed one whose contract year is over, or that nobody owes any more.
    """
    with reading() as session:
        row = session.get_one(Visit, visit)
        if row.state in (VisitState.CANCELLED, VisitState.NO_SHOW):
            return None if appointing.is_given_up(session, row, today=today()) else False
        return row.state is VisitState.COMPLETED


@contextmanager
def _changing(number: str) -> Iterator[tuple[Session, Visit, Moment]]:
    now = Moment(utc_now(), today(), working_calendar())
    with transaction() as session:
        yield session, appointing.find_visit(session, number), now


def show_offer(knock: Knock) -> Offer:
    """Return what a link shows; raise `LinkRefused` or `TooManyRefusals`, both written down."""
    with _guarded(knock, reading) as session:
        return _offer(session, open_link(session, knock, at=utc_now()))


def answer_by_link(knock: Knock, form: AnswerForm) -> None:
    """Take a link's answer and use the link up; refusals as `show_offer`.

    Raise `FormError` for a day that cannot be; the link then works as before.
    """
    now = Moment(utc_now(), today(), working_calendar())
    with _guarded(knock, transaction) as session:
        opened = open_link(session, knock, at=now.at)
        visit = appointing.find_visit(session, opened.visit.number)
        open_link(session, knock, at=now.at)  # again: somebody may have been before us in the queue
        use_up(session, opened.link, at=now.at)
        word = Word(Party.CUSTOMER, VisitWay.LINK, form.said_by, f"link/{opened.link}")
        negotiating.answer(session, visit, form, now, word)


@contextmanager
def _guarded(
    knock: Knock, opening: Callable[[], AbstractContextManager[Session]]
) -> Iterator[Session]:
    with reading() as session:
        if is_flooding(session, knock.address, at=utc_now()):
            raise TooManyRefusals("尝试次数过多，请 15 分钟后再试，或与我们联系。")
    try:
        with opening() as session:
            yield session
    except LinkRefused as refused:
        log.warning("a visit's link was refused: %s from %s", refused.refusal, knock.address)
        with transaction() as session:
            write_refusal(session, knock, refused.refusal, at=utc_now())
        raise


def _offer(session: Session, opened: Opened) -> Offer:
    calendar = working_calendar()
    about = writing.about(session, opened.visit)
    found = [visit_days(start, calendar) for start in offered_starts(opened.offer)]
    return Offer(
        about.number,
        about.customer,
        about.system,
        about.place,
        about.engineer,
        opened.offer.note,
        tuple(one.days for one in found),
        next((one.deadline.note for one in found if one.deadline.is_provisional), ""),
    )


def remind_visits() -> int:
    """Post the reminders that are due of all agreed visits and return how many letters are new.

    However often it is called, each reminder of each agreed day goes once, in office hours.
    """
    calendar, now, day = working_calendar(), utc_now(), today()
    with reading() as session:
        agreed = select(Visit.number).where(
            Visit.state == VisitState.CONFIRMED, Visit.starts_on > day
        )
        numbers = session.scalars(agreed.order_by(Visit.id)).all()
    return sum(_remind(one, Moment(now, day, calendar)) for one in numbers)


def _remind(number: str, now: Moment) -> int:
    with transaction() as session:
        visit = appointing.find_visit(session, number)
        if visit.state is not VisitState.CONFIRMED or visit.starts_on is None:
            return 0
        ahead = due_reminder(visit.starts_on, now.calendar, today=now.today)
        if ahead is None:
            return 0
        days = visit_days(visit.starts_on, now.calendar).days
        key = reminder_key(number, visit.starts_on, ahead)
        return writing.write_reminder(session, visit, days, ahead=ahead, key=key, at=now.at)

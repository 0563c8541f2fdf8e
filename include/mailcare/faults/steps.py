"""Faults: the seam between the records and the rules; every step is safe to run twice."""

import gc
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from mailcare.calendars.steps import working_calendar
from mailcare.clock import utc_now
from mailcare.contracts.entering import Changed
from mailcare.contracts.forms import complain, read_form
from mailcare.errors import InputError
from mailcare.faults import asking, breaches, details, following, lists, recording, sweeping
from mailcare.faults.breaches import BreachReasonForm
from mailcare.faults.declaration import Declaration, DeclarationForm, EventForm, NoteForm
from mailcare.faults.details import Entry, FaultDetail
from mailcare.faults.events import ENTERED, Event
from mailcare.faults.lists import BoardRow, FaultRow
from mailcare.faults.recording import NOTHING, Backing
from mailcare.faults.standing import event_of
from mailcare.faults.sweeping import Swept
from mailcare.listing import Page, Wish
from mailcare.records import faults
from mailcare.records.customers import Customer, System
from mailcare.records.people import EvidenceFile
from mailcare.records.session import give_way, reading, transaction
from mailcare.systems.evidence import NAME_CHARACTERS_MOST, Evidence, read_evidence
from mailcare.workdays import Calendar

__all__ = [
    "Backing",
    "BoardRow",
    "BreachReasonForm",
    "Changed",
    "Declaration",
    "DeclarationForm",
    "Entry",
    "FaultDetail",
    "FaultRow",
    "NoteForm",
    "add_breach_reason",
    "add_note",
    "ask_authorisation",
    "ask_follow_up",
    "board",
    "declare",
    "declare_form",
    "event_entered",
    "evidence_of",
    "fault_detail",
    "fault_file",
    "fault_of",
    "follow_up_runs",
    "last_sweep",
    "list_faults",
    "open_fault",
    "record_event",
    "timeline",
]
log = logging.getLogger(__name__)
SWEPT_AT_ONCE = 1000  # faults of one transaction: a second or so of SQLite's write lock
SWEEP_STALE_AFTER = timedelta(minutes=5)  # it should run each minute


@dataclass(frozen=True, slots=True)
class SweepRow:
    """When the deadlines were last looked through, and whether that is too long ago."""

    swept_at: datetime
    is_stale: bool


def declare(
    declaration: Declaration, *, by: str, at: datetime, files: Sequence[Evidence] = ()
) -> int:
    """Record a fault and return its id; with a key that is known, the fault that has it.

    `at` is the moment of recording. Raise `Refused` for a time after it, `InputError` for a
    customer, system or earlier fault that is not recorded.
    """
    calendar = working_calendar()
    with transaction() as session:
        return recording.add_fault(session, declaration, files, calendar=calendar, by=by, at=at)


def declare_form(
    form: DeclarationForm,
    *,
    key: str,
    by: str,
    at: datetime,
    files: Sequence[tuple[str, bytes]] = (),
) -> int:
    """Record a fault as a person entered it, with files (name, content), and return its id.

    Raise `FormError` that names the field, `Refused` as `declare`.
    """
    evidence = evidence_of(files)
    with reading() as session:
        declaration = _named(session, form, key, at)
    return declare(declaration, by=by, at=at, files=evidence)


def record_event(
    fault: int,
    event: Event,
    *,
    by: str,
    at: datetime,
    backing: Backing = NOTHING,
    seen: int | None = None,
) -> int:
    """Record something that happened to a fault and return how many events it has now.

    `at` is the moment of recording; the event may lie before it. `seen` is how many events the
    recorder had before their eyes: `Changed` is raised where somebody else was quicker. Raise
    `Refused`, with a sentence, for what cannot have happened.
    """
    calendar = working_calendar()
    with transaction() as session:
        return recording.add_event(
            session, fault, event, backing, calendar=calendar, by=by, at=at, seen=seen
        )


def event_entered(word: str, at: str, words: Mapping[str, object], *, now: datetime) -> Event:
    """Return the event that a person entered; an empty text is a word that was left out.

    Without `at` it happened just now; without a zone `at` is Beijing time. Raise `InputError`.
    """
    if word not in ENTERED:
        raise InputError(f"「{word}」不能这样登记，可用：{'、'.join(ENTERED)}")
    entered = read_form(EventForm, {"at": at})
    given = {name: value or None for name, value in words.items()}
    return event_of(word, entered.at or now, given)


def open_fault(run: str, *, by: str, asked_at: datetime, **conf: Any) -> int:
    """Return the fault of a Dag run, declared on the first call; the run's id is its key.

    `conf` are the fields of `DeclarationForm`. Raise `FormError` for what cannot be used.
    """
    entered = {name: value for name, value in conf.items() if value is not None}
    form = read_form(DeclarationForm, {"declared_at": asked_at.isoformat()} | entered)
    return declare_form(form, key=f"run/{run}", by=by, at=utc_now())


def ask_authorisation(fault: int, *, by: str, at: datetime, seen: int) -> int:
    """Ask the customer by letter for a remote authorisation and pause the fault until it is there.

    Return how many events the fault has now. Raise `InputError` where nobody can be asked,
    `Changed` and `Refused` as `record_event`.
    """
    calendar = working_calendar()
    with transaction() as session:
        return asking.ask_for_authorisation(
            session, fault, calendar=calendar, by=by, at=at, seen=seen
        )


def ask_follow_up(fault: int, *, by: str, at: datetime) -> str:
    """Ask for an inspection of the fault's system and return the id of its run.

    One that was asked for and has not begun yet is not asked for again. Raise `InputError` for a
    fault that concerns no recorded system.
    """
    with transaction() as session:
        return following.ask(session, fault, by=by, at=at)


def follow_up_runs() -> list[dict[str, Any]]:
    """Return the runs of `inspect_system` that were asked for and have not begun."""
    with reading() as session:
        return following.runs(session)


def add_note(
    fault: int,
    text: str,
    *,
    key: str,
    said_at: datetime,
    by: str,
    at: datetime,
    files: Sequence[Evidence] = (),
) -> int | None:
    """Add a remark or a customer's mail to a fault, closed ones included; once by its key."""
    with transaction() as session:
        return recording.add_note(
            session, fault, text, files, key=key, said_at=said_at, by=by, at=at
        )


def add_breach_reason(fault: int, form: BreachReasonForm, *, by: str, at: datetime) -> None:
    """Record why a promise was broken; raise `FormError` where it is not recorded as broken."""
    with transaction() as session:
        breaches.add_reason(session, fault, form, by=by, at=at)


def fault_of(number: str) -> int:
    """Return the id of a fault's number; raise `InputError` for one that is not recorded."""
    with reading() as session:
        return recording.find_fault(session, number)


def timeline(fault: int) -> tuple[Entry, ...]:
    """Return what happened to a fault, was said, broke and was told, the oldest first."""
    with reading() as session:
        return details.history(session, fault)


def fault_detail(fault: int, *, at: datetime) -> FaultDetail:
    """Return a fault with its clocks as they stand at `at`; `InputError` if not recorded."""
    calendar = working_calendar()
    with reading() as session:
        return details.fault_detail(session, fault, calendar=calendar, now=at)


def board(wish: Wish, *, at: datetime) -> Page[BoardRow]:
    """Return a page of the open faults with their clocks; what breaks first stands first."""
    calendar = working_calendar()
    with reading() as session:
        return lists.board_rows(session, wish, calendar=calendar, now=at)


def sweep(*, at: datetime) -> Swept:
    """Tell who has to be told by `at`, record what broke, count anew what a year table moved.

    Safe to run twice and by two at once: each chunk of faults is one transaction, in which the
    ledger's rows, the letters and the breaches are written together. The worst faults come first.
    A fault whose records cannot be reckoned with holds up no other: the manager is told of it.
    """
    calendar = working_calendar()
    done = _swept(sweeping.displaced(calendar), sweeping.sweep_displaced, calendar, at)
    done += _swept(sweeping.due(at), sweeping.sweep_due, calendar, at)
    with transaction() as session:
        sweeping.note_sweep(session, done, now=at)
    return done


def _swept(
    which: ColumnElement[bool], part: Callable[..., Swept], calendar: Calendar, at: datetime
) -> Swept:
    with reading() as session:
        ids = sweeping.worst_first(session, which)
    done = Swept()
    waiting = [ids[first : first + SWEPT_AT_ONCE] for first in range(0, len(ids), SWEPT_AT_ONCE)]
    waiting.reverse()
    while waiting:
        chunk = waiting.pop()
        try:
            with transaction() as session, _no_search_for_cycles():
                done += part(session, chunk, calendar=calendar, now=at)
        except InputError as error:
            if half := len(chunk) // 2:
                waiting += [chunk[half:], chunk[:half]]
                continue
            with transaction() as session:
                sweeping.tell_unreckoned(session, chunk[0], str(error), now=at)
        left = sum(map(len, waiting))
        log.info("looked through %d of %d faults: %s", len(ids) - left, len(ids), done)
        if left:
            give_way()
    return done


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Let Python's collector wait: rows make no cycles, and to walk thousands takes it a third."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def tell_stalled(*, at: datetime) -> None:
    """Tell the manager that a sweep has not ended in time; once an hour."""
    with transaction() as session:
        sweeping.tell_stalled(session, now=at)


def last_sweep(*, at: datetime) -> SweepRow | None:
    """Return when the deadlines were last looked through; None where that never happened."""
    with reading() as session:
        row = session.get(faults.Sweep, 1)
        return SweepRow(row.swept_at, at - row.swept_at > SWEEP_STALE_AFTER) if row else None


def list_faults(wish: Wish) -> Page[FaultRow]:
    """Return a page of all faults, the newest first.

    Searched by number, customer, system and description; sorts: number customer system level state
    declared_at.
    """
    with reading() as session:
        return lists.fault_rows(session, wish)


def fault_file(fault: int, file: int) -> EvidenceFile:
    """Return a file of a fault, whole; raise `InputError` where there is none."""
    with reading() as session:
        found = details.file_body(session, fault, file)
        session.refresh(found, ["body"])
        return found


def evidence_of(files: Sequence[tuple[str, bytes]]) -> tuple[Evidence, ...]:
    """Return files that were handed in (name, content) as evidence; raise `FormError`."""
    return tuple(_evidence(name, body) for name, body in files)


def _evidence(name: str, body: bytes) -> Evidence:
    try:
        return read_evidence(name, body)
    except InputError as error:
        raise complain("file", f"{name[:NAME_CHARACTERS_MOST]}：{error}") from None


def _named(session: Session, form: DeclarationForm, key: str, at: datetime) -> Declaration:
    customer, system = _whose(session, form)
    if form.declared_at and form.declared_at > at:
        raise complain("declared_at", "申报时间不能晚于现在")
    known = select(func.count()).where(faults.Fault.number == form.follows)
    if form.follows and not session.scalar(known):
        raise complain("follows", "没有登记这个故障")
    return Declaration(
        key=key,
        customer=customer,
        system=system,
        declared_at=form.declared_at or at,
        follows=form.follows,
        level=form.level,
        description=form.description,
        via=form.via,
        contact=form.contact,
        contact_details=form.contact_details,
        place=form.place,
    )


def _whose(session: Session, form: DeclarationForm) -> tuple[int, int | None]:
    """Return the ids of customer and system; the system says whose it is."""
    system = session.scalar(select(System).where(System.site == form.site))
    if form.site and system is None:
        raise complain("site", "没有登记这个系统")
    named = session.scalar(select(Customer.id).where(Customer.name == form.customer))
    if form.customer and named is None:
        raise complain("customer", "没有登记这个客户")
    if system and named not in (None, system.customer_id):
        raise complain("site", "这个系统不是该客户的")
    customer = system.customer_id if system else named
    if customer is None:
        raise complain("customer", "请填写客户或系统")
    return customer, system.id if system else None

"""Faults: the seam between the records and the rules; every step is safe to run twice."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailcare.calendars.steps import working_calendar
from mailcare.contracts.entering import Changed
from mailcare.contracts.forms import complain
from mailcare.errors import InputError
from mailcare.faults import details, lists, recording
from mailcare.faults.declaration import Declaration, DeclarationForm
from mailcare.faults.details import Entry, FaultDetail
from mailcare.faults.events import Event
from mailcare.faults.lists import BoardRow, FaultRow
from mailcare.faults.recording import NOTHING, Backing
from mailcare.listing import Page, Wish
from mailcare.records import faults
from mailcare.records.customers import Customer, System
from mailcare.records.people import EvidenceFile
from mailcare.records.session import reading, transaction
from mailcare.systems.evidence import Evidence, read_evidence

__all__ = [
    "Backing",
    "BoardRow",
    "Changed",
    "Declaration",
    "DeclarationForm",
    "Entry",
    "FaultDetail",
    "FaultRow",
    "add_note",
    "board",
    "declare",
    "declare_form",
    "fault_detail",
    "fault_of",
    "list_faults",
    "record_event",
    "timeline",
]


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
    file: tuple[str, bytes] | None = None,
) -> int:
    """Record a fault as a person entered it, with a file (name, content), and return its id.

    Raise `FormError` that names the field, `Refused` as `declare`.
    """
    evidence = evidence_of(file)
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


def evidence_of(file: tuple[str, bytes] | None) -> tuple[Evidence, ...]:
    """Return a file that was handed in (name, content) as evidence; raise `FormError`."""
    try:
        return (read_evidence(*file),) if file else ()
    except InputError as error:
        raise complain("file", str(error)) from None


def _named(session: Session, form: DeclarationForm, key: str, at: datetime) -> Declaration:
    customer = session.scalar(select(Customer.id).where(Customer.name == form.customer))
    if customer is None:
        raise complain("customer", "没有登记这个客户")
    of_customer = select(System.id).where(System.site == form.site, System.customer_id == customer)
    system = session.scalar(of_customer) if form.site else None
    if form.site and system is None:
        raise complain("site", "该客户没有登记这个系统")
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

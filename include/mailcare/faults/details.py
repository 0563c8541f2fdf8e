"""One fault whole: its clocks, and the line of what happened, was said, broke and was told."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from mailcare.deadlines import Terms, report_deadline
from mailcare.errors import InputError
from mailcare.faults.breaches import said_of as said_why
from mailcare.faults.clocks import Clock, Kind
from mailcare.faults.dossiers import read_dossiers
from mailcare.faults.events import FORMS, Handled, Remedy
from mailcare.faults.lists import FaultRow, fault_row
from mailcare.faults.wording import KIND_TITLES, RUNG_TITLES, WORD_TITLES, breach_word, moment
from mailcare.records import faults
from mailcare.records.faults import EscalationOutcome
from mailcare.records.inspections import (
    Finding,
    FindingSeverity,
    FindingState,
    Inspection,
    Service,
    ServiceState,
)
from mailcare.records.people import EvidenceFile
from mailcare.workdays import Calendar

BAD = (FindingSeverity.WARNING, FindingSeverity.CRITICAL)


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of a fault; `id` is that of the reference, for its download."""

    id: int
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a fault's history.

    `kind` is event, note, breach, reason, step or moved; `recorded_at` is None for what the product
    found by itself. `text` is empty where the title says it all.
    """

    at: datetime
    kind: str
    title: str
    text: str = ""
    by: str = ""
    recorded_at: datetime | None = None
    authorisation: int | None = None
    files: tuple[FileRow, ...] = ()


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A follow-up inspection; `state` is asked, running or done.

    `findings` are its bad results, and how many checks could not be measured.
    """

    run: str
    asked_by: str
    asked_at: datetime
    state: str
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FaultDetail:
    """A fault with its clocks, its history and its follow-up inspections.

    `has_fix` tells that its last handling was a fix, so that no other is owed; `notes` is what
    screen and paper say beside provisional deadlines.
    """

    row: FaultRow
    has_fix: bool
    notes: tuple[str, ...]
    clocks: tuple[Clock, ...]
    history: tuple[Entry, ...]
    follow_ups: tuple[FollowUp, ...]


def fault_detail(session: Session, fault: int, *, calendar: Calendar, now: datetime) -> FaultDetail:
    """Return a fault whole; raise `InputError` for one that is not recorded."""
    row = fault_row(session, fault)
    dossier = read_dossiers(session, (fault,))[0]
    clocks = dossier.clocks(calendar, now)
    handled = [one for one in dossier.events if isinstance(one, Handled)]
    return FaultDetail(
        row,
        bool(handled) and max(handled, key=lambda one: one.at).kind is Remedy.FIX,
        provisional_notes(clocks, dossier.terms, calendar),
        clocks,
        history(session, fault),
        tuple(_follow_ups(session, fault)),
    )


def provisional_notes(clocks: Iterable[Clock], terms: Terms, calendar: Calendar) -> tuple[str, ...]:
    """Return the sentences that belong beside open provisional deadlines, each once."""
    open_ones = (one for one in clocks if one.is_provisional and one.stopped_at is None)
    notes = (report_deadline(one.started_at, calendar, terms=terms).note for one in open_ones)
    return tuple(dict.fromkeys(notes))


def history(session: Session, fault: int) -> tuple[Entry, ...]:
    """Return what happened to a fault, the oldest first."""
    entries = (
        *_events(session, fault),
        *_notes(session, fault),
        *_breaches(session, fault),
        *_reasons(session, fault),
        *_steps(session, fault),
        *_moves(session, fault),
    )
    return tuple(sorted(entries, key=lambda one: one.at))


def file_body(session: Session, fault: int, file: int) -> EvidenceFile:
    """Return a file of a fault; raise `InputError` where there is none."""
    found = session.scalar(
        select(EvidenceFile)
        .join(faults.FaultFile, faults.FaultFile.evidence_file_id == EvidenceFile.id)
        .where(faults.FaultFile.id == file, faults.FaultFile.fault_id == fault)
    )
    if found is None:
        raise InputError("没有这个附件", subject=str(file))
    return found


def _events(session: Session, fault: int) -> Iterator[Entry]:
    row, files = faults.FaultEvent, _files(session, fault, faults.FaultFile.event_id)
    for one in session.scalars(select(row).where(row.fault_id == fault).order_by(row.ordinal)):
        yield Entry(
            one.at,
            "event",
            FORMS[one.type].title,
            said_of(one.payload),
            one.recorded_by,
            one.recorded_at,
            one.authorisation_id,
            files[one.id],
        )


def said_of(payload: Mapping[str, object]) -> str:
    """Say an event's own words and its remark in a line."""
    agreed = ("客户已同意",) if payload.get("customer_agreed") else ()
    names = ("level", "why", "channel", "reason", "kind", "into", "remark")
    words = (str(payload[name]) for name in names if payload.get(name))
    return "；".join((*(WORD_TITLES.get(one, one) for one in words), *agreed))


def _notes(session: Session, fault: int) -> Iterator[Entry]:
    row, files = faults.FaultNote, _files(session, fault, faults.FaultFile.note_id)
    for one in session.scalars(select(row).where(row.fault_id == fault).order_by(row.id)):
        yield Entry(
            one.at, "note", "备注", one.text, one.recorded_by, one.recorded_at,
            files=files[one.id],
        )  # fmt: skip


def _files(
    session: Session, fault: int, owner: InstrumentedAttribute[int | None]
) -> Mapping[int, tuple[FileRow, ...]]:
    """Return a fault's files by the event or note that they belong to."""
    row = faults.FaultFile
    found = session.execute(
        select(owner.label("owner"), row.id, row.name, EvidenceFile.sha256)
        .join(EvidenceFile, EvidenceFile.id == row.evidence_file_id)
        .where(row.fault_id == fault, owner.is_not(None))
        .order_by(row.id)
    )
    grouped: dict[int, tuple[FileRow, ...]] = defaultdict(tuple)
    for one in found:
        grouped[one.owner] = (*grouped[one.owner], FileRow(one.id, one.name, one.sha256))
    return grouped


def _breaches(session: Session, fault: int) -> Iterator[Entry]:
    row = faults.FaultBreach
    for one in session.scalars(select(row).where(row.fault_id == fault).order_by(row.id)):
        title = f"{KIND_TITLES[Kind(one.clock)]}{breach_word(is_soft=one.is_soft)}"
        yield Entry(one.breached_at, "breach", title, f"{one.level}，{moment(one.found_at)} 发现")


def _reasons(session: Session, fault: int) -> Iterator[Entry]:
    row = faults.FaultBreachReason
    for one in session.scalars(select(row).where(row.fault_id == fault).order_by(row.id)):
        title = f"{KIND_TITLES[Kind(one.clock)]}超时原因"
        yield Entry(
            one.recorded_at, "reason", title, said_why(one), one.recorded_by, one.recorded_at
        )


def _steps(session: Session, fault: int) -> Iterator[Entry]:
    row = faults.Escalation
    for one in session.scalars(select(row).where(row.fault_id == fault).order_by(row.id)):
        is_told = one.outcome is EscalationOutcome.TOLD
        said = f"{KIND_TITLES[Kind(one.clock)]}时限第 {one.step} 级"
        whom = f"：{RUNG_TITLES[one.rung]}" if is_told else "，起算时已过，只通知最高一级"
        title = "已通知" if is_told else "未通知"
        yield Entry(one.found_at, "step", title, said + whom)


def _moves(session: Session, fault: int) -> Iterator[Entry]:
    row = faults.FaultDueChange
    for one in session.scalars(select(row).where(row.fault_id == fault).order_by(row.id)):
        text = f"原为 {moment(one.due_before_at)}，现为 {moment(one.due_after_at)}"
        yield Entry(one.found_at, "moved", "报告时限按新的年度表重新推算", text)


def _follow_ups(session: Session, fault: int) -> Iterator[FollowUp]:
    asked = faults.FaultInspection
    found = session.execute(
        select(asked.run, asked.asked_by, asked.asked_at, Service.state, Inspection)
        .outerjoin(Service, Service.key == asked.run)
        .outerjoin(Inspection, Inspection.service_id == Service.id)
        .where(asked.fault_id == fault)
        .order_by(asked.id)
    )
    for run, asked_by, asked_at, state, inspection in found:
        said = _bad_findings(session, inspection) if inspection else ()
        yield FollowUp(run, asked_by, asked_at, _progress(state), tuple(said))


def _progress(state: ServiceState | None) -> str:
    return "asked" if state is None else str(state)


def _bad_findings(session: Session, inspection: Inspection) -> Sequence[str]:
    bad = (
        select(Finding.node, Finding.summary)
        .where(
            Finding.judgement_id == inspection.current_judgement_id,
            Finding.state == FindingState.MEASURED,
            Finding.severity.in_(BAD),
        )
        .order_by(Finding.ordinal)
    )
    said = [
        f"{one.node}：{one.summary}" if one.node else one.summary for one in session.execute(bad)
    ]
    unmeasured = session.scalar(
        select(func.count(Finding.id)).where(
            Finding.judgement_id == inspection.current_judgement_id,
            Finding.state == FindingState.UNMEASURED,
        )
    )
    return [*said, f"未测得 {unmeasured}"] if unmeasured else said

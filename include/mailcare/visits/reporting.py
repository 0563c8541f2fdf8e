"""What a visit's papers tell, read from the records: the sheet before it, the report after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.deadlines import visit_days
from mailcare.inspection.check import Manual, Target
from mailcare.inspection.checks import all_checks
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.planning import plan_inspection
from mailcare.papers.document import Document
from mailcare.papers.items import Item, read_items
from mailcare.papers.numbering import Series, paper_number
from mailcare.papers.onsite import OnSite, Picture, Taught
from mailcare.papers.visit_sheet import LastInspection, OpenFault, Trip, visit_sheet, wanted
from mailcare.records.faults import Fault, FaultState
from mailcare.records.inspections import Inspection, Service, ServiceKind
from mailcare.records.visits import Visit
from mailcare.settings import read_settings
from mailcare.systems.site import Site
from mailcare.systems.system import System
from mailcare.visits.entries import (
    DAY_TITLES,
    HARDWARE_DAY,
    OUTLINE,
    TOPIC_TITLES,
    Topic,
    day_of_check,
)
from mailcare.visits.onsite import entries_of, photo_bodies, photos_of, trainings_of
from mailcare.visits.writing import system_of
from mailcare.workdays import Calendar

OPEN_STATES = {
    FaultState.DECLARED: "已申报",
    FaultState.ACCEPTED: "已受理",
    FaultState.PAUSED: "暂停计时",
    FaultState.HANDLED: "已处理，待出报告",
}
TOPIC_FIELDS = {
    Topic.SCREENS: "training_screens",
    Topic.COMMANDS: "training_commands",
    Topic.ARCHITECTURE: "training_architecture",
}
FORM_FIELDS = ("faults_network", "faults_dns", "faults_storage", "others")


@dataclass(frozen=True, slots=True)
class Closed:
    """The last closed inspection of a system, by its id."""

    id: int
    number: str
    finished_at: datetime


def described(session: Session, visit: Visit) -> System:
    """Return the system of a visit as its site file describes it now."""
    site = Site.model_validate(system_of(session, visit).definition)
    return System(site, site.profile())


def last_closed(session: Session, visit: Visit) -> Closed | None:
    """Return the last closed inspection of the visit's system, remote or on site."""
    found = session.execute(
        select(Inspection, Service, Visit.number)
        .join(Service, Service.id == Inspection.service_id)
        .outerjoin(Visit, Visit.service_id == Service.id)
        .where(
            Service.system_id == system_of(session, visit).id,
            Service.id != visit.service_id,
            Inspection.current_judgement_id.is_not(None),
        )
        .order_by(Inspection.started_at.desc(), Inspection.id.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        return None
    row, service, visit_number = found
    is_visit = service.kind is ServiceKind.VISIT
    number = paper_number(Series.INSPECTION, row.id, at=row.started_at)
    return Closed(row.id, visit_number if is_visit else number, row.finished_at or row.started_at)


def open_faults(session: Session, visit: Visit) -> tuple[OpenFault, ...]:
    """Return the customer's faults that are not over, the gravest first."""
    row = system_of(session, visit)
    known = select(Fault).where(
        Fault.customer_id == row.customer_id,
        (Fault.system_id == row.id) | Fault.system_id.is_(None),
        Fault.state.in_(list(OPEN_STATES)),
    )
    return tuple(
        OpenFault(
            one.number, str(one.level), one.declared_at, OPEN_STATES[one.state], one.description
        )
        for one in session.scalars(known.order_by(Fault.level, Fault.declared_at))
    )


def sheet(
    session: Session,
    visit: Visit,
    last: LastInspection | None,
    calendar: Calendar,
) -> Document:
    """Return the visit's sheet 现场巡检单; the same as long as nothing that it tells changes."""
    days = visit_days(visit.starts_on, calendar) if visit.starts_on else None
    trip = Trip(
        visit.number,
        tuple(zip(days.days, DAY_TITLES.values(), strict=True)) if days else (),
        visit.place,
        visit.engineer_name,
        visit.state_changed_at,
        days.deadline.note if days else "",
        tuple((TOPIC_TITLES[topic], points) for topic, points in OUTLINE.items()),
    )
    system = described(session, visit)
    return visit_sheet(
        system,
        trip,
        to_look_at=wanted(last.items) if last else _by_hand(system),
        last=last,
        faults=open_faults(session, visit),
        vendor=read_settings().vendor,
    )


def to_look_at(system: System, last: LastInspection | None) -> list[tuple[str, str, Target, str]]:
    """Return what the kit's form has a row for: what only people find out, and the hardware."""
    items = wanted(last.items) if last else _by_hand(system)
    rows = [(one.check.name, one.check.title, one.result.target, one.says) for one in items]
    known = {(name, target) for name, _, target, _ in rows}
    plan = plan_inspection(system, all_checks())
    hardware = [
        (check.name, check.title, asked.target, check.question)
        for check, asked in plan.questions
        if day_of_check(check.name, check.area) == HARDWARE_DAY
    ]
    return [*rows, *(one for one in hardware if (one[0], one[2]) not in known)]


def _by_hand(system: System) -> Sequence[Item]:
    """Return what is for a person from the start, where nobody has inspected the system yet."""
    checks = all_checks()
    results = judge_answers(plan_inspection(system, checks), {})
    return read_items([one for one in results if isinstance(one, Manual)], checks)


def onsite_of(session: Session, visit: Visit, calendar: Calendar) -> OnSite:
    """Return what people did and wrote on site, as the report tells it."""
    words, bodies = entries_of(session, visit), photo_bodies(session, visit)
    days = visit_days(visit.starts_on, calendar).days if visit.starts_on else ()
    return OnSite(
        visit.number,
        visit.place,
        visit.engineer_name,
        tuple(zip(days, DAY_TITLES.values(), strict=False)),
        tuple(
            Taught(
                TOPIC_FIELDS[one.topic], TOPIC_TITLES[one.topic], one.taught_on,
                f"{one.hours:g}", one.content, one.attendees,
            )
            for one in trainings_of(session, visit)
        ),
        {name: words.get(name, "") for name in FORM_FIELDS},
        words.get("done", ""),
        words.get("causes", ""),
        tuple(
            Picture(
                one.name, one.about, one.caption, one.size_bytes, one.sha256, one.recorded_at,
                bodies.get(one.file, b""),
            )
            for one in photos_of(session, visit)
        ),
    )  # fmt: skip

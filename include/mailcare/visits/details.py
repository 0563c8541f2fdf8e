"""The list of visits, one visit with all that hangs on it, and what a day asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailcare.deadlines import visit_days
from mailcare.inspection.check import Ask, Finding, Reply, Result, Target
from mailcare.inspection.observations import (
    Observation,
    person_ask,
    quantities_of,
    read_observation,
)
from mailcare.inspection.outcome import state_of
from mailcare.inspection.planning import AnyCheck, Plan
from mailcare.listing import Page, Wish
from mailcare.records.contracts import Contract
from mailcare.records.customers import Customer, System
from mailcare.records.inspections import Service
from mailcare.records.paging import Statement, page_of, searched, sorted_by
from mailcare.records.visits import Visit, VisitEvent, VisitLinkRefusal
from mailcare.visits.appointing import split_agreement, window_of
from mailcare.visits.appointment import suggested_starts
from mailcare.visits.entries import day_of_check
from mailcare.visits.onsite import Photo, Training, entries_of, photos_of, trainings_of
from mailcare.workdays import Calendar

WANTED = ("manual", "unmeasured")  # what a person on site should find out


@dataclass(frozen=True, slots=True)
class VisitRow:
    """A visit as the list shows it."""

    number: str
    state: str
    customer_id: int
    customer: str
    system_id: int
    system: str
    starts_on: date | None
    due_on: date | None
    engineer_name: str
    contract: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """One act of a visit's history."""

    act: str
    party: str
    way: str
    starts: tuple[str, ...]
    split_agreed_by: str
    note: str
    said_by: str
    recorded_by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class VisitDetail:
    """A visit: `days` are those agreed now, `suggested` first days that could be proposed."""

    row: VisitRow
    id: int
    service_id: int
    place: str
    engineer: str
    engineer_email: str
    days: tuple[date, ...]
    provisional_note: str
    split_agreed_by: str
    suggested: tuple[date, ...]
    history: tuple[EventRow, ...]
    entries: Mapping[str, str]
    trainings: tuple[Training, ...]
    photos: tuple[Photo, ...]
    refused_links: int


@dataclass(frozen=True, slots=True)
class Item:
    """What a day asks about one target of a check.

    `says` is what is known so far, or what a person has to look at; `numbers` are the names, titles
    and units of what may be entered; `seen` is what was entered last.
    """

    check: AnyCheck
    target: Target
    day: int
    state: str
    says: str
    numbers: tuple[tuple[str, str, str], ...]
    seen: Observation | None
    seen_at: datetime | None

    @property
    def is_wanted(self) -> bool:
        """Tell whether a person on site should find it out."""
        return self.state in WANTED or self.seen is not None


def visit_rows(session: Session, wish: Wish) -> Page[VisitRow]:
    """Return a page of visits, the next first; sorts: number customer starts_on due_on state."""
    columns = {
        "number": Visit.number,
        "customer": Customer.name,
        "starts_on": Visit.starts_on,
        "due_on": Service.due_on,
        "state": Visit.state,
    }
    looked_at = (Visit.number, Customer.name, System.title, System.site, Visit.engineer_name)
    statement = searched(_rows(), wish, looked_at)
    usual = (Service.due_on.desc().nulls_last(), Visit.id.desc())
    return page_of(session, sorted_by(statement, wish, columns, usual), wish, VisitRow)


def _rows() -> Statement:
    return (
        select(
            Visit.number,
            Visit.state,
            System.customer_id,
            Customer.name.label("customer"),
            Service.system_id,
            System.title.label("system"),
            Visit.starts_on,
            Service.due_on,
            Visit.engineer_name,
            func.coalesce(Contract.number, "").label("contract"),
        )
        .join(Service, Service.id == Visit.service_id)
        .join(System, System.id == Service.system_id)
        .join(Customer, Customer.id == System.customer_id)
        .outerjoin(Contract, Contract.id == Service.contract_id)
    )


def describe_visit(
    session: Session, visit: Visit, calendar: Calendar, *, today: date
) -> VisitDetail:
    """Return a visit with all that hangs on it."""
    found = session.execute(_rows().where(Visit.id == visit.id)).one()
    row = VisitRow(**dict(zip(found._fields, found, strict=True)))
    days = visit_days(visit.starts_on, calendar) if visit.starts_on else None
    window = window_of(session, visit, today=today)
    refused = select(func.count()).where(VisitLinkRefusal.visit_id == visit.id)
    return VisitDetail(
        row=row,
        id=visit.id,
        service_id=visit.service_id,
        place=visit.place,
        engineer=visit.engineer,
        engineer_email=visit.engineer_email,
        days=days.days if days else (),
        provisional_note=days.deadline.note if days else "",
        split_agreed_by=split_agreement(session, visit) if visit.starts_on else "",
        suggested=suggested_starts(row.due_on or today, calendar, window),
        history=_history(session, visit),
        entries=entries_of(session, visit),
        trainings=trainings_of(session, visit),
        photos=photos_of(session, visit),
        refused_links=session.scalar(refused) or 0,
    )


def _history(session: Session, visit: Visit) -> tuple[EventRow, ...]:
    events = select(VisitEvent).where(VisitEvent.visit_id == visit.id)
    return tuple(
        EventRow(
            one.act, one.party, one.way, tuple(one.starts), one.split_agreed_by, one.note,
            one.said_by, one.recorded_by, one.at,
        )
        for one in session.scalars(events.order_by(VisitEvent.ordinal))
    )  # fmt: skip


def items_of(
    plan: Plan, results: tuple[Result, ...], answers: Mapping[Ask, object]
) -> tuple[Item, ...]:
    """Return what there is to find out, what a person should look at first."""
    by_place: dict[tuple[str, Target], list[Result]] = {}
    for one in results:
        by_place.setdefault((one.check, one.target), []).append(one)
    items = [_item(check, question.target, by_place, answers) for check, question in plan.questions]
    return tuple(sorted(items, key=lambda one: not one.is_wanted))


def _item(
    check: AnyCheck,
    target: Target,
    by_place: Mapping[tuple[str, Target], list[Result]],
    answers: Mapping[Ask, object],
) -> Item:
    reply = answers.get(person_ask(check.name, target))
    found = by_place.get((check.name, target), [])
    quantities = quantities_of(check).items()
    numbers = tuple((name, one.title, one.unit) for name, one in quantities)
    return Item(
        check=check,
        target=target,
        day=day_of_check(check.name, check.area),
        state=_state(found[0]) if found else "measured",
        says=_says(found[0]) if found else "见分项结果",
        numbers=numbers,
        seen=read_observation(reply) if isinstance(reply, Reply) else None,
        seen_at=reply.taken_at if isinstance(reply, Reply) else None,
    )


def _state(result: Result) -> str:
    return result.severity.name.lower() if isinstance(result, Finding) else state_of(result)


def _says(result: Result) -> str:
    return result.summary if isinstance(result, Finding) else result.reason

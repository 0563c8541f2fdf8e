"""Write down what happens to a visit: state, history, ledger, letters, in one transaction."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailcare.clock import BEIJING
from mailcare.contracts.details import balances_of, contract_value
from mailcare.contracts.entering import version_in_force
from mailcare.contracts.extra_visits import OUTSIDE
from mailcare.contracts.planning import give_day, owed
from mailcare.contracts.terms import Contract, ContractYear
from mailcare.deadlines import VisitDays
from mailcare.errors import InputError
from mailcare.records import contracts
from mailcare.records.audit import note_change
from mailcare.records.changes import add_once, move
from mailcare.records.contracts import Entitlement, EntitlementReason
from mailcare.records.inspections import Service, ServiceKind, ServiceState
from mailcare.records.ledger import note_used
from mailcare.records.visits import Visit, VisitAct, VisitEvent, VisitParty, VisitState, VisitWay
from mailcare.visits.appointment import Act, Party, State, Window, next_state
from mailcare.visits.entitlement import USED, takes_again, turns
from mailcare.visits.forms import StaffForm
from mailcare.workdays import Calendar

WITHOUT_CONTRACT = timedelta(days=365)  # how far ahead a visit may lie that no contract year bounds


@dataclass(frozen=True, slots=True)
class Word:
    """At whose word something happens, how it came, and who writes it down."""

    party: Party
    way: VisitWay
    said_by: str
    by: str


@dataclass(frozen=True, slots=True)
class Deed:
    """One act: the first days that it speaks of, and what is said about it."""

    act: Act
    word: Word
    starts: tuple[date, ...] = ()
    split_agreed_by: str = ""
    note: str = ""


def open_service(session: Session, service_id: int, *, at: datetime) -> Visit:
    """Return the visit of a planned service, made on the first call; the service is then running.

    Raise `InputError` for a service that is no visit, or that the contract no longer owes.
    """
    service = session.get(Service, service_id)
    if service is None or service.kind is not ServiceKind.VISIT:
        raise InputError("没有这个编号的现场巡检服务", subject=str(service_id))
    if service.state is ServiceState.WITHDRAWN:
        raise InputError("合同变更后不再包含这次服务，已撤销", subject=str(service_id))
    values = {
        "service_id": service_id,
        "number": f"XC-{at.astimezone(BEIJING):%Y}-{service_id:05d}",
        "engineer": "",
        "engineer_name": "",
        "engineer_email": "",
        "place": "",
        "sequence": 0,
        "state": VisitState.OPEN,
        "state_changed_at": at,
    }
    add_once(session, Visit, values)
    move(
        session, Service, service_id,
        from_state=ServiceState.PLANNED, to_state=ServiceState.RUNNING, at=at,
    )  # fmt: skip
    return session.scalars(select(Visit).where(Visit.service_id == service_id)).one()


def find_visit(session: Session, number: str) -> Visit:
    """Return a visit, locked against others who want to change it; `InputError` if unknown."""
    known = select(Visit).where(Visit.number == number).with_for_update()
    # What was read before the lock is read anew: another one may have changed it meanwhile.
    visit = session.scalar(known.execution_options(populate_existing=True))
    if visit is None:
        raise InputError("没有这个编号的现场巡检", subject=number)
    return visit


def known_visit(session: Session, number: str) -> Visit:
    """Return a visit to be read; `InputError` if unknown."""
    visit = session.scalar(select(Visit).where(Visit.number == number))
    if visit is None:
        raise InputError("没有这个编号的现场巡检", subject=number)
    return visit


def window_of(session: Session, visit: Visit, *, today: date) -> Window:
    """Return the days in which a visit may lie: what is left of its contract year.

    A visit that is still owed when its year is over may come later: late is better than never.
    """
    year = _year_of(session, visit)
    if year is None or year.last_on < today:
        return Window(today, today + WITHOUT_CONTRACT)
    return Window(max(today, year.first_on), year.last_on)


def is_given_up(session: Session, visit: Visit, *, today: date) -> bool:
    """Tell whether a visit that is off can no longer be taken up within its contract year."""
    year = _year_of(session, visit)
    return year is None or year.last_on < today


def _year_of(session: Session, visit: Visit) -> ContractYear | None:
    service = session.get_one(Service, visit.service_id)
    contract = _contract_of(session, service)
    years = contract.years() if contract else ()
    return next((one for one in years if one.number == service.contract_year), None)


def _contract_of(session: Session, service: Service) -> Contract | None:
    if service.contract_id is None:
        return None
    contract = session.get_one(contracts.Contract, service.contract_id)
    return contract_value(contract.number, version_in_force(session, contract))


def do(session: Session, visit: Visit, deed: Deed, *, at: datetime) -> VisitEvent:
    """Let an act happen: the state by compare-and-set, an event, the ledger's lines, an audit.

    Raise `InputError` for an act that cannot be now, or is not theirs to decide.
    """
    before = State(visit.state)
    after = next_state(before, deed.act, deed.word.party)
    event = _event(session, visit, deed, at)
    if after is not before and not _moved(session, visit, before, after, at):
        raise InputError("另一人刚刚改动了这次巡检，请重新打开本页", subject=visit.number)
    visit.state = VisitState(after)
    session.add(event)
    session.flush()
    _keep_ledger(session, visit, before, event, by=deed.word.by)
    note_change(
        session,
        by=deed.word.by,
        at=at,
        action=f"visit_{deed.act}",
        subject=f"visit/{visit.number}",
        before={"state": str(before), "starts_on": _iso(visit.starts_on)},
        after={"state": str(after), "starts": event.starts, "note": deed.note},
    )
    return event


def _event(session: Session, visit: Visit, deed: Deed, at: datetime) -> VisitEvent:
    last = select(func.max(VisitEvent.ordinal)).where(VisitEvent.visit_id == visit.id)
    return VisitEvent(
        visit_id=visit.id,
        ordinal=(session.scalar(last) or 0) + 1,
        act=VisitAct(deed.act),
        party=VisitParty(deed.word.party),
        way=deed.word.way,
        starts=[one.isoformat() for one in deed.starts],
        split_agreed_by=deed.split_agreed_by,
        note=deed.note,
        said_by=deed.word.said_by,
        recorded_by=deed.word.by,
        at=at,
    )


def _moved(session: Session, visit: Visit, before: State, after: State, at: datetime) -> bool:
    return move(
        session, Visit, visit.id,
        from_state=VisitState(before), to_state=VisitState(after), at=at,
    )  # fmt: skip


def _keep_ledger(
    session: Session, visit: Visit, before: State, event: VisitEvent, *, by: str
) -> None:
    service = session.get_one(Service, visit.service_id)
    if service.contract_id is None:
        return
    for turn in turns(before, Act(event.act), service.key, event=event.ordinal):
        if turn.reason == USED:
            note_used(session, service.id, by=by)
            continue
        values = {
            "contract_id": service.contract_id,
            "contract_year": service.contract_year,
            "promise": str(service.kind),
            "reason": EntitlementReason(turn.reason),
            "count": 1,
            "key": turn.key,
            "note": f"{visit.number} {event.note}".strip(),
            "recorded_by": by,
        }
        add_once(session, Entitlement, values)


def needs_approval(session: Session, visit: Visit, act: Act) -> bool:
    """Tell whether an act takes an entitlement that its contract year no longer has 合同外."""
    service = session.get_one(Service, visit.service_id)
    if service.contract_id is None or not takes_again(State(visit.state), act):
        return False
    place = (service.contract_year, str(service.kind))
    found = [
        one
        for one in balances_of(session, service.contract_id)
        if (one.contract_year, one.promise) == place
    ]
    return not (found and found[0].left)


def outside_note(note: str, approved_by: str) -> str:
    """Return what the record says of a visit beyond the contract."""
    return f"{OUTSIDE}，由 {approved_by} 批准；{note}".removesuffix("；")


def agree_on(session: Session, visit: Visit, days: VisitDays, calendar: Calendar) -> None:
    """Write down which days are agreed; the due list shows them."""
    visit.starts_on = days.days[0]
    visit.sequence += 1
    service = session.get_one(Service, visit.service_id)
    service.due_on = days.days[0]
    service.is_provisional = any(calendar.day(one).is_provisional for one in days.days)


def take_back(session: Session, visit: Visit, calendar: Calendar, *, today: date) -> None:
    """Write down that no days are agreed any more; it is due again when its promise says.

    A visit that a person asked for beside the promises has no other day than the agreed one.
    """
    visit.starts_on = None
    visit.sequence += 1
    service = session.get_one(Service, visit.service_id)
    contract = _contract_of(session, service)
    promised = owed(contract, since=date.min) if contract else ()
    for one in promised:
        if contract and one.key == service.key:
            day = give_day(contract, one, calendar, today=today)
            service.due_on, service.is_provisional = day.due_on, day.is_provisional


def last_event(session: Session, visit: Visit) -> VisitEvent | None:
    """Return the last thing that happened to a visit."""
    events = select(VisitEvent).where(VisitEvent.visit_id == visit.id)
    return session.scalar(events.order_by(VisitEvent.ordinal.desc()).limit(1))


def split_agreement(session: Session, visit: Visit) -> str:
    """Return who agreed to the split days that hold now; empty where nobody had to."""
    agreeing = (VisitAct.CONFIRM, VisitAct.MOVE)
    events = select(VisitEvent.split_agreed_by).where(
        VisitEvent.visit_id == visit.id, VisitEvent.act.in_(agreeing)
    )
    return session.scalar(events.order_by(VisitEvent.ordinal.desc()).limit(1)) or ""


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def reassign(session: Session, visit: Visit, form: StaffForm, *, by: str, at: datetime) -> bool:
    """Write down who goes and where to, audited; tell whether anything is new."""
    before = {name: getattr(visit, name) for name in StaffForm.model_fields}
    after = form.model_dump()
    if after == before:
        return False
    for name, value in after.items():
        setattr(visit, name, value)
    note_change(
        session, by=by, at=at, action="change", subject=f"visit/{visit.number}",
        before=before, after=after,
    )  # fmt: skip
    return True

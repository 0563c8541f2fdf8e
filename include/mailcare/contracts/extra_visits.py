"""Plan a visit that a person asks for, within the contract's entitlement or beyond it 合同外."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailcare.clock import utc_now
from mailcare.contracts.details import balances_of, contract_value
from mailcare.contracts.entering import find_contract, note, version_in_force
from mailcare.contracts.forms import complain
from mailcare.contracts.planning import Promise
from mailcare.records import contracts
from mailcare.records.contracts import Entitlement
from mailcare.records.contracts import EntitlementReason as Reason
from mailcare.records.customers import System
from mailcare.records.inspections import Service, ServiceKind, ServicePurpose, ServiceState
from mailcare.records.people import Role
from mailcare.staff.roles import roles_held
from mailcare.workdays import Calendar

OUTSIDE = "合同外"


@dataclass(frozen=True, slots=True)
class Asked:
    """A visit that a person asks for; `year` is the contract year that its day lies in."""

    contract: contracts.Contract
    year: int
    system: int
    site: str
    due_on: date


def plan_extra_visit(
    session: Session, asked: Asked, calendar: Calendar, *, by: str, approved_by: str | None
) -> int:
    """Record the visit and its line in the ledger; refuse one that needs an approval and has none.

    It does not stand for a visit that the contract owes: planning leaves it alone.
    """
    left = _left(session, asked)
    if not left and not (approved_by and Role.MANAGER in roles_held(session, approved_by)):
        raise complain("approved_by", "本合同年度没有剩余的现场巡检次数，属合同外，须售后主管批准")
    said = "" if left else f"{OUTSIDE}，由 {approved_by} 批准"
    service = _service(session, asked, calendar)
    session.add(service)
    session.flush()
    session.add(
        Entitlement(
            contract_id=asked.contract.id,
            contract_year=asked.year,
            promise=str(Promise.VISIT),
            reason=Reason.PLANNED,
            count=1,
            key=f"{service.key}/planned",
            note=said,
            recorded_by=by,
        )
    )
    after = {"service": service.key, "due_on": asked.due_on.isoformat(), "note": said}
    note(session, by, "add_visit", f"contract/{asked.contract.number}", None, after)
    return service.id


def read_asked(session: Session, number: str, site: str, due_on: date, calendar: Calendar) -> Asked:
    """Check what is asked for against the contract; raise `FormError` beside the field."""
    # The lock makes two who ask at once wait for each other: the second sees the first one's visit.
    locked = select(contracts.Contract.id).where(contracts.Contract.number == number)
    session.execute(locked.with_for_update())
    contract = find_contract(session, number)
    value = contract_value(number, version_in_force(session, contract))
    year = value.year_of(due_on)
    system = session.scalar(
        select(System.id).where(System.site == site, System.id.in_(value.systems))
    )
    if system is None:
        raise complain("site", "合同不包含这个系统")
    if year is None:
        raise complain("due_on", f"不在合同期内（{value.starts_on} 至 {value.ends_on}）")
    if not calendar.is_workday(due_on):
        raise complain("due_on", f"{due_on} 不是工作日")
    if _is_planned(session, system, due_on):
        raise complain("due_on", f"{site} 在 {due_on} 已排有现场巡检")
    return Asked(contract, year.number, system, site, due_on)


def _is_planned(session: Session, system: int, due_on: date) -> bool:
    known = select(Service.id).where(
        Service.system_id == system,
        Service.kind == ServiceKind.VISIT,
        Service.due_on == due_on,
        Service.state != ServiceState.WITHDRAWN,
    )
    return session.scalar(known.limit(1)) is not None


def _left(session: Session, asked: Asked) -> int:
    place = (asked.year, str(Promise.VISIT))
    found = [
        one
        for one in balances_of(session, asked.contract.id)
        if (one.contract_year, one.promise) == place
    ]
    return found[0].left if found else 0


def _service(session: Session, asked: Asked, calendar: Calendar) -> Service:
    start = f"{asked.contract.number}/{asked.year}/{asked.system}/visit/extra/"
    known = select(func.count()).where(Service.key.startswith(start, autoescape=True))
    return Service(
        system_id=asked.system,
        kind=ServiceKind.VISIT,
        purpose=ServicePurpose.FOLLOW_UP,
        key=f"{start}{(session.scalar(known) or 0) + 1}",
        due_on=asked.due_on,
        is_provisional=calendar.day(asked.due_on).is_provisional,
        contract_id=asked.contract.id,
        contract_year=asked.year,
        state=ServiceState.PLANNED,
        state_changed_at=utc_now(),
    )

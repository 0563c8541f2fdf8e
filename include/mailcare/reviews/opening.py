"""Open a review: of the planned service, of a contract year asked for, or of the desk's year."""

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.contracts.details import contract_value
from mailcare.contracts.entering import find_contract, version_in_force
from mailcare.contracts.terms import ContractYear
from mailcare.errors import InputError
from mailcare.records.changes import add_once, move
from mailcare.records.contracts import Contract
from mailcare.records.inspections import Service, ServiceKind, ServiceState
from mailcare.records.reviews import Review

DESK_YEARS = (2, 9998)  # in UTC, the first Beijing midnight lies before all dates
PLANNER = "review_year"  # who opens the review of a planned service


def open_service(session: Session, service: int, *, at: datetime) -> int:
    """Return the review of a planned service's contract year; the service is running then."""
    row = session.get(Service, service)
    if row is None or row.kind is not ServiceKind.REVIEW or row.contract_id is None:
        raise InputError("没有这项年度回顾服务", subject=str(service))
    if row.state is ServiceState.WITHDRAWN:
        raise InputError("这项年度回顾已撤回", subject=str(service))
    move(
        session,
        Service,
        service,
        from_state=ServiceState.PLANNED,
        to_state=ServiceState.RUNNING,
        at=at,
    )
    contract = session.get_one(Contract, row.contract_id)
    return _open_year(session, contract, row.contract_year or 0, by=PLANNER, at=at)


def open_contract(
    session: Session, number: str, year: int | None, *, today: date, by: str, at: datetime
) -> int:
    """Return the review of a contract's year; without `year` that of today, or the last begun."""
    contract = find_contract(session, number)
    if year is None:
        value = contract_value(number, version_in_force(session, contract))
        begun = [one.number for one in value.years() if one.first_on <= today]
        year = begun[-1] if begun else 1
    return _open_year(session, contract, year, by=by, at=at)


def open_desk(session: Session, year: int, *, by: str, at: datetime) -> int:
    """Return the review of the desk's calendar year; raise `InputError` for one past all dates."""
    if not DESK_YEARS[0] <= year <= DESK_YEARS[1]:
        raise InputError(f"公历年应为 {DESK_YEARS[0]} 至 {DESK_YEARS[1]}", subject=str(year))
    values = {
        "key": f"desk/{year}",
        "first_on": date(year, 1, 1),
        "last_on": date(year, 12, 31),
        "opened_by": by,
        "opened_at": at,
    }
    return _once(session, values)


def _open_year(session: Session, contract: Contract, year: int, *, by: str, at: datetime) -> int:
    days = year_of(session, contract, year)
    values = {
        "key": f"{contract.number}/{year}",
        "contract_id": contract.id,
        "contract_year": year,
        "first_on": days.first_on,
        "last_on": days.last_on,
        "opened_by": by,
        "opened_at": at,
    }
    return _once(session, values)


def year_of(session: Session, contract: Contract, number: int) -> ContractYear:
    """Return the days of a contract year; raise `InputError` for one that it does not have."""
    value = contract_value(contract.number, version_in_force(session, contract))
    found = next((one for one in value.years() if one.number == number), None)
    if found is None:
        raise InputError(f"合同没有第 {number} 年度", subject=contract.number)
    return found


def _once(session: Session, values: Mapping[str, object]) -> int:
    added = add_once(session, Review, values)
    return added or session.scalars(select(Review.id).where(Review.key == values["key"])).one()


def find_review(session: Session, review: int) -> Review:
    """Return a review's row; raise `InputError` for one that is not recorded."""
    row = session.get(Review, review)
    if row is None:
        raise InputError("没有这份年度服务报告", subject=str(review))
    return row

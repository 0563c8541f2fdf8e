"""Plan a chunk of contracts for a day, and write the plans.

A chunk costs the same few queries however many contracts it holds.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy import bindparam, update
from sqlalchemy.orm import Session

from mailcare.contracts.cases import Case
from mailcare.contracts.ledger import SOLD, Balance, Line, balances
from mailcare.contracts.notices import Notice, NoticeKind, contract_notices
from mailcare.contracts.planning import PlannedService, owed
from mailcare.contracts.revision import Known, Revision, revise
from mailcare.contracts.terms import Contract
from mailcare.records import contracts
from mailcare.records.changes import add_all_once
from mailcare.records.contracts import Entitlement
from mailcare.records.contracts import EntitlementReason as Reason
from mailcare.records.inspections import Service, ServiceKind, ServicePurpose, ServiceState
from mailcare.records.people import AuditEntry
from mailcare.workdays import Calendar

PLANNER = "plan_services"  # who the ledger and the audit name


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written for one contract."""

    case: Case
    revision: Revision
    lines: tuple[tuple[str, Line], ...]
    notices: tuple[Notice, ...]


def plan_case(case: Case, calendar: Calendar, *, today: date) -> Plan:
    """Return what is to be written for a contract on a day."""
    revision = revise(case.contract, case.services, calendar, today=today, since=case.since)
    lines = tuple(
        (key, line)
        for key, line in (*_bought(case, today), *_planned(case.contract, revision))
        if key not in case.line_keys
    )
    left = balances((*case.lines, *(line for _, line in lines)))
    return Plan(case, revision, lines, tuple(_untold(case, left, today)))


def _untold(case: Case, left: Sequence[Balance], today: date) -> Iterator[Notice]:
    for one in contract_notices(case.contract, left, today=today):
        is_answered = case.is_renewed and one.kind is NoticeKind.CONTRACT_ENDS
        if one.key not in case.notice_keys and not is_answered:
            yield one


def _bought(case: Case, today: date) -> Iterator[tuple[str, Line]]:
    """Yield what this version of the contract bought in each year that has begun.

    A year that an earlier version bought for is said anew, though it may have none now.
    """
    contract = case.contract
    services = owed(contract, since=case.since)
    counts = Counter((one.year.number, str(one.promise)) for one in services)
    begun = {one.year.number for one in services if one.year.first_on <= today}
    said = {(line.contract_year, line.promise) for line in case.lines if line.reason == "bought"}
    places = {place for place in counts if place[0] in begun and place[1] in SOLD} | said
    for year, promise in sorted(places):
        key = f"{contract.number}/{year}/{promise}/bought/v{contract.terms.version}"
        yield key, Line(year, promise, Reason.BOUGHT, counts[year, promise])


def _planned(contract: Contract, revision: Revision) -> Iterator[tuple[str, Line]]:
    """Yield the lines of what is planned and given back; the version tells planned-again apart."""
    version = contract.terms.version
    for one in (*revision.added, *(service for _, service in revision.again)):
        if one.promise in SOLD:
            line = Line(one.year.number, str(one.promise), Reason.PLANNED, 1)
            yield f"{one.key}/planned/v{version}", line
    for known in revision.withdrawn:
        if known.promise in SOLD:
            line = Line(known.contract_year, str(known.promise), Reason.GIVEN_BACK, 1)
            yield f"{known.key}/given_back/v{version}", line


def write_plans(
    session: Session, plans: Sequence[Plan], *, today: date, at: datetime
) -> Sequence[Plan]:
    """Write a chunk's plans and return them, without what another process has begun meanwhile."""
    plans = _withdraw(session, plans, at)
    add_all_once(session, Service, [row for plan in plans for row in _service_rows(plan, at)])
    for was, changed in (
        (ServiceState.WITHDRAWN, [one for plan in plans for one in plan.revision.again]),
        (ServiceState.PLANNED, [one for plan in plans for one in plan.revision.moved]),
    ):
        _give_days(session, was, changed, at)
    add_all_once(session, Entitlement, [row for plan in plans for row in _line_rows(plan)])
    add_all_once(
        session, contracts.Notice, [row for plan in plans for row in _notice_rows(plan, today)]
    )
    add_all_once(session, AuditEntry, [row for plan in plans for row in _audit_rows(plan, at)])
    return plans


def _withdraw(session: Session, plans: Sequence[Plan], at: datetime) -> Sequence[Plan]:
    """Withdraw what is no longer owed, and return the plans without what has begun meanwhile."""
    ids = [one.id for plan in plans for one in plan.revision.withdrawn]
    if not ids:
        return plans
    statement = (
        update(Service)
        .where(Service.id.in_(ids), Service.state == ServiceState.PLANNED)
        .values(state=ServiceState.WITHDRAWN, state_changed_at=at)
        .returning(Service.id)
    )
    gone = set(session.scalars(statement))
    return plans if len(gone) == len(ids) else [_without_begun(plan, gone) for plan in plans]


def _without_begun(plan: Plan, gone: set[int]) -> Plan:
    revision = replace(
        plan.revision, withdrawn=tuple(one for one in plan.revision.withdrawn if one.id in gone)
    )
    told = dict(_planned(plan.case.contract, revision))
    lines = tuple(one for one in plan.lines if one[0] in told or one[1].reason != Reason.GIVEN_BACK)
    return replace(plan, revision=revision, lines=lines)


def _service_rows(plan: Plan, at: datetime) -> Iterator[dict[str, object]]:
    for one in plan.revision.added:
        yield {
            "system_id": one.system,
            "kind": ServiceKind(one.promise),
            "purpose": ServicePurpose.ANNUAL,
            "key": one.key,
            "due_on": one.due_on,
            "is_provisional": one.is_provisional,
            "contract_id": plan.case.id,
            "contract_year": one.year.number,
            "state": ServiceState.PLANNED,
            "state_changed_at": at,
        }


def _give_days(
    session: Session,
    was: ServiceState,
    changed: Sequence[tuple[Known, PlannedService]],
    at: datetime,
) -> None:
    if not changed:
        return
    moved_at = {} if was is ServiceState.PLANNED else {"state_changed_at": at}
    statement = (
        update(Service)
        .where(Service.id == bindparam("service"), Service.state == was)
        .values(
            state=ServiceState.PLANNED,
            due_on=bindparam("day"),
            is_provisional=bindparam("provisional"),
            **moved_at,
        )
    )
    rows = [
        {"service": known.id, "day": one.due_on, "provisional": one.is_provisional}
        for known, one in changed
    ]
    session.connection().execute(statement, rows)


def _line_rows(plan: Plan) -> Iterator[dict[str, object]]:
    for key, line in plan.lines:
        yield {
            "contract_id": plan.case.id,
            "contract_year": line.contract_year,
            "promise": line.promise,
            "reason": Reason(line.reason),
            "count": line.count,
            "key": key,
            "note": f"合同第 {plan.case.contract.terms.version} 版",
            "recorded_by": PLANNER,
        }


def _notice_rows(plan: Plan, today: date) -> Iterator[dict[str, object]]:
    for one in plan.notices:
        yield notice_row(one, today) | {"contract_id": plan.case.id}


def notice_row(notice: Notice, today: date) -> dict[str, object]:
    """Return the values of a notice that concerns no single contract."""
    return {
        "key": notice.key,
        "kind": str(notice.kind),
        "contract_id": None,
        "text": notice.text,
        "raised_on": today,
    }


def _audit_rows(plan: Plan, at: datetime) -> Iterator[dict[str, object]]:
    for action, known, after in _changes(plan.revision):
        yield {
            "at": at,
            "by": PLANNER,
            "action": action,
            "subject": f"contract/{plan.case.contract.number}",
            "before": _day(known.key, known.state, known.due_on, known.is_provisional),
            "after": after,
        }


def _changes(revision: Revision) -> Iterator[tuple[str, Known, dict[str, object]]]:
    for known in revision.withdrawn:
        after = _day(known.key, ServiceState.WITHDRAWN, known.due_on, known.is_provisional)
        yield "withdraw", known, after
    for action, changed in (("plan_again", revision.again), ("move", revision.moved)):
        for known, one in changed:
            after = _day(known.key, ServiceState.PLANNED, one.due_on, one.is_provisional)
            yield action, known, after


def _day(key: str, state: str, due_on: date | None, provisional: bool) -> dict[str, object]:
    return {
        "service": key,
        "state": str(state),
        "due_on": due_on.isoformat() if due_on else None,
        "is_provisional": provisional,
    }

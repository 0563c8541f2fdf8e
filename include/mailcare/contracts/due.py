"""Find the services that are to be started, and those that were told as not started."""

from datetime import date

from sqlalchemy import ColumnElement, String, and_, cast, exists, literal, or_, select
from sqlalchemy.orm import Session

from mailcare.contracts.notices import UNSTARTED
from mailcare.contracts.planning import Promise
from mailcare.contracts.starting import STARTS, DueService
from mailcare.records.contracts import Notice
from mailcare.records.customers import System
from mailcare.records.inspections import Service, ServiceKind, ServiceState
from mailcare.records.paging import Statement


def due(session: Session, *, on: date, most: int) -> tuple[DueService, ...]:
    """Return what is to be started on a day or before, the longest due first, those told last."""
    statement = _to_start(_until(on)).order_by(_is_told(), Service.due_on, Service.id)
    return _found(session, statement.limit(most))


def untold(session: Session, *, on: date, most: int) -> tuple[DueService, ...]:
    """Return what was to be started by a day, has not begun, and was not told yet."""
    statement = _to_start(_until(on), ~_is_told()).order_by(Service.id)
    return _found(session, statement.limit(most))


def told(session: Session) -> tuple[DueService, ...]:
    """Return what was told as not started and has not begun since, the longest due first."""
    return _found(session, _to_start(_is_told()).order_by(Service.due_on, Service.id))


def planned(session: Session, service: int) -> tuple[DueService, ...]:
    """Return a service that can be started; none for one that has begun or has no Dag."""
    of_a_dag = Service.kind.in_([ServiceKind(kind) for kind in STARTS])
    return _found(session, _to_start(Service.id == service, of_a_dag))


def _to_start(*conditions: ColumnElement[bool]) -> Statement:
    return (
        select(Service.id, Service.kind, System.site, Service.due_on)
        .join(System, System.id == Service.system_id)
        .where(Service.state == ServiceState.PLANNED, Service.due_on.is_not(None), *conditions)
    )


def _until(on: date) -> ColumnElement[bool]:
    """Tell what is due by a day, each kind as long ahead as its Dag wants."""
    kinds = (
        and_(Service.kind == ServiceKind(kind), Service.due_on <= on + start.ahead)
        for kind, start in STARTS.items()
    )
    return or_(*kinds)


def _is_told() -> ColumnElement[bool]:
    return exists().where(Notice.key == literal(UNSTARTED) + cast(Service.id, String))


def _found(session: Session, statement: Statement) -> tuple[DueService, ...]:
    rows = session.execute(statement)
    return tuple(DueService(row.id, Promise(row.kind), row.site, row.due_on) for row in rows)

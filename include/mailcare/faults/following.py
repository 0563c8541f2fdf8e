"""Follow-up inspections that a fault asks for; a Dag starts their runs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.errors import InputError
from mailcare.faults.dossiers import lock_faults
from mailcare.faults.lists import fault_row
from mailcare.records.customers import System
from mailcare.records.faults import Fault, FaultInspection
from mailcare.records.inspections import Service

RUNS_MOST = 100  # of one minute; the others follow


def ask(session: Session, fault: int, *, by: str, at: datetime) -> str:
    """Write down that an inspection is wanted; return the run's id, also of one not begun yet."""
    lock_faults(session, (fault,))
    row = fault_row(session, fault)
    if row.system_id is None:
        raise InputError("这个故障没有登记系统，不能发起巡检", subject=row.number)
    asked = session.scalars(select(FaultInspection.run).where(FaultInspection.fault_id == fault))
    runs = asked.all()
    if waiting := _not_begun(session, runs):
        return waiting
    run = f"inspect__{row.number}__{len(runs) + 1}"
    session.add(FaultInspection(fault_id=fault, run=run, asked_by=by, asked_at=at))
    return run


def runs(session: Session) -> list[dict[str, Any]]:
    """Return what starts the runs that have not begun: the service bears the run's id as key."""
    wanted = (
        select(FaultInspection.run, System.site)
        .join(Fault, Fault.id == FaultInspection.fault_id)
        .join(System, System.id == Fault.system_id)
        .outerjoin(Service, Service.key == FaultInspection.run)
        .where(Service.id.is_(None))
        .order_by(FaultInspection.id)
        .limit(RUNS_MOST)
    )
    rows = session.execute(wanted)
    return [
        {
            "trigger_dag_id": "inspect_system",
            "trigger_run_id": one.run,
            "conf": {"site": one.site},
        }
        for one in rows
    ]


def _not_begun(session: Session, asked: Sequence[str]) -> str | None:
    begun = set(session.scalars(select(Service.key).where(Service.key.in_(asked))))
    return next((one for one in asked if one not in begun), None)

"""The board, the list of faults and one fault whole, read from the records."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Subquery, func, or_, select
from sqlalchemy.orm import Session, aliased

from mailcare.errors import InputError
from mailcare.faults.clocks import Clock
from mailcare.faults.dossiers import read_dossiers
from mailcare.listing import Page, Wish
from mailcare.records import faults
from mailcare.records.contracts import Contract, ContractVersion
from mailcare.records.customers import Customer, System
from mailcare.records.faults import ClockState, FaultState
from mailcare.records.paging import Columns, Statement, page_of, rows_of, searched, sorted_by
from mailcare.workdays import Calendar

OPEN = (FaultState.DECLARED, FaultState.ACCEPTED, FaultState.PAUSED, FaultState.HANDLED)


@dataclass(frozen=True, slots=True)
class FaultRow:
    """A fault as lists show it; without `contract` it lies outside of any contract 合同外.

    `contract_version` is the one that was pinned at the declaration.

    `breaks_at` is when its next open promise breaks, or broke; None while everything is held.
    """

    id: int
    number: str
    customer_id: int
    customer: str
    system_id: int | None
    system: str | None
    site: str | None
    contract: str | None
    contract_version: int | None
    level: str
    state: str
    place: str
    contact: str
    contact_details: str
    description: str
    declared_via: str
    declared_at: datetime
    event_count: int
    follows: str | None
    breaks_at: datetime | None


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A fault on the board with its clocks as they stand at `at`, and why it is paused."""

    fault: FaultRow
    clocks: tuple[Clock, ...]
    pause: str | None
    at: datetime

    @property
    def open_clocks(self) -> tuple[Clock, ...]:
        """Return the clocks whose promise is still to be kept."""
        return tuple(one for one in self.clocks if one.stopped_at is None)


def fault_rows(session: Session, wish: Wish) -> Page[FaultRow]:
    """Return a page of all faults, the newest first; sorts: number customer level declared_at."""
    usual = (faults.Fault.id.desc(),)
    return page_of(session, _wished(_faults(_breaks()), wish, usual), wish, FaultRow)


def board_rows(
    session: Session, wish: Wish, *, calendar: Calendar, now: datetime
) -> Page[BoardRow]:
    """Return a page of the open faults; what breaks first, or broke first, stands first."""
    breaks = _breaks()
    usual = (breaks.c.breaks_at.asc().nulls_last(), faults.Fault.level, faults.Fault.id)
    statement = _faults(breaks).where(faults.Fault.state.in_(OPEN))
    page = page_of(session, _wished(statement, wish, usual), wish, FaultRow)
    ids = [one.id for one in page.rows]
    clocks = {one.id: one.clocks(calendar, now) for one in read_dossiers(session, ids)}
    pauses = _pauses(session, ids)
    rows = tuple(BoardRow(one, clocks[one.id], pauses.get(one.id), now) for one in page.rows)
    return Page(rows, page.total, wish)


def fault_row(session: Session, fault: int) -> FaultRow:
    """Return one fault; raise `InputError` for one that is not recorded."""
    breaks = _breaks(faults.FaultClock.fault_id == fault)
    statement = _faults(breaks).where(faults.Fault.id == fault)
    found = next(iter(rows_of(session, statement, FaultRow)), None)
    if found is None:
        raise InputError("没有登记这个故障", subject=str(fault))
    return found


def _wished(statement: Statement, wish: Wish, usual: Columns) -> Statement:
    fault = faults.Fault
    texts = (fault.number, Customer.name, System.title, System.site, fault.description)
    columns = {
        "number": fault.number,
        "customer": Customer.name,
        "system": System.title,
        "level": fault.level,
        "state": fault.state,
        "declared_at": fault.declared_at,
    }
    return sorted_by(searched(statement, wish, texts), wish, columns, usual)


def _faults(breaks: Subquery) -> Statement:
    fault, earlier = faults.Fault, aliased(faults.Fault)
    return (
        select(
            fault.id,
            fault.number,
            fault.customer_id,
            Customer.name.label("customer"),
            fault.system_id,
            System.title.label("system"),
            System.site,
            Contract.number.label("contract"),
            ContractVersion.version.label("contract_version"),
            fault.level,
            fault.state,
            fault.place,
            fault.contact,
            fault.contact_details,
            fault.description,
            fault.declared_via,
            fault.declared_at,
            fault.event_count,
            earlier.number.label("follows"),
            breaks.c.breaks_at,
        )
        .join(Customer, Customer.id == fault.customer_id)
        .outerjoin(System, System.id == fault.system_id)
        .outerjoin(ContractVersion, ContractVersion.id == fault.contract_version_id)
        .outerjoin(Contract, Contract.id == ContractVersion.contract_id)
        .outerjoin(earlier, earlier.id == fault.follows_id)
        .outerjoin(breaks, breaks.c.fault_id == fault.id)
    )


def _breaks(*which: ColumnElement[bool]) -> Subquery:
    """Return when the next open promise of each fault breaks, or broke."""
    clock = faults.FaultClock
    runs = or_(
        clock.state == ClockState.RUNNING,
        (clock.state == ClockState.LATE) & clock.stopped_at.is_(None),
    )
    return (
        select(clock.fault_id, func.min(clock.due_at).label("breaks_at"))
        .where(runs, *which)
        .group_by(clock.fault_id)
        .subquery()
    )


def _pauses(session: Session, ids: Collection[int]) -> Mapping[int, str]:
    """Return why faults that are paused are so."""
    row = faults.FaultEvent
    paused = (
        select(row.fault_id, row.payload)
        .join(faults.Fault, faults.Fault.id == row.fault_id)
        .where(
            row.fault_id.in_(ids),
            row.type == faults.FaultEventType.PAUSED,
            faults.Fault.state == FaultState.PAUSED,
        )
        .order_by(row.at)
    )
    return {one.fault_id: str(one.payload["reason"]) for one in session.execute(paused)}

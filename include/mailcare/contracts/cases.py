"""Read contracts in chunks, each with its services, its ledger and what was told of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, aliased

from mailcare.clock import BEIJING
from mailcare.contracts.ledger import Line
from mailcare.contracts.revision import Known
from mailcare.contracts.terms import Contract, Terms
from mailcare.records import contracts
from mailcare.records.contracts import ContractVersion, CoveredSystem, Entitlement
from mailcare.records.inspections import Service, ServicePurpose

CHUNK = 500  # contracts of one transaction: seconds of SQLite's write lock, and of memory


@dataclass(frozen=True, slots=True)
class Case:
    """A contract as the records have it: its services, its ledger's lines and what was told.

    It is renewed where another contract covers each of its systems from later on.
    """

    id: int
    contract: Contract
    since: date
    is_renewed: bool
    services: tuple[Known, ...]
    lines: tuple[Line, ...]
    line_keys: frozenset[str]
    notice_keys: frozenset[str]


def cases_after(session: Session, contract_id: int) -> tuple[Case, ...]:
    """Return the next chunk of contracts, by id, with the version in force of each."""
    rows = session.execute(_contracts_after(contract_id)).all()
    ids = [row.id for row in rows]
    systems = _grouped(
        session.execute(
            select(CoveredSystem.contract_version_id, CoveredSystem.system_id)
            .where(CoveredSystem.contract_version_id.in_([row.version_id for row in rows]))
            .order_by(CoveredSystem.contract_version_id, CoveredSystem.system_id)
        )
    )
    covered = {row.id: tuple(system for _, system in systems[row.version_id]) for row in rows}
    starts = _last_starts(session, {system for some in covered.values() for system in some})
    services, lines, notices = _services(session, ids), _lines(session, ids), _told(session, ids)
    return tuple(
        Case(
            row.id,
            _contract(row, covered[row.id]),
            row.recorded_at.astimezone(BEIJING).date(),
            all(starts[system] > row.ends_on for system in covered[row.id]),
            tuple(Known(*known[1:]) for known in services[row.id]),
            tuple(Line(*line[2:]) for line in lines[row.id]),
            frozenset(line.key for line in lines[row.id]),
            frozenset(notice.key for notice in notices[row.id]),
        )
        for row in rows
    )


def _contracts_after(contract_id: int) -> Any:  # noqa: ANN401 - a row of many columns
    first = aliased(ContractVersion)
    now, known = ContractVersion, contracts.Contract
    return (
        select(
            known.id,
            known.number,
            now.id.label("version_id"),
            now.version,
            now.starts_on,
            now.ends_on,
            now.remote_service,
            now.visits_per_year,
            now.remote_cny,
            now.visit_cny,
            first.created_at.label("recorded_at"),
        )
        .join(now, and_(now.contract_id == known.id, now.version == known.version))
        .join(first, and_(first.contract_id == known.id, first.version == 1))
        .where(known.id > contract_id)
        .order_by(known.id)
        .limit(CHUNK)
    )


def _contract(row: Any, systems: tuple[int, ...]) -> Contract:  # noqa: ANN401 - see above
    terms = Terms(
        row.version, row.visits_per_year, row.remote_service, row.remote_cny, row.visit_cny
    )
    return Contract(row.number, row.starts_on, row.ends_on, terms, systems)


def _last_starts(session: Session, systems: set[int]) -> Mapping[int, date]:
    """Return the day on which the last contract of each system starts."""
    now = ContractVersion
    rows = session.execute(
        select(CoveredSystem.system_id, func.max(now.starts_on).label("starts_on"))
        .join(now, now.id == CoveredSystem.contract_version_id)
        .join(
            contracts.Contract,
            and_(
                contracts.Contract.id == now.contract_id, contracts.Contract.version == now.version
            ),
        )
        .where(CoveredSystem.system_id.in_(systems))
        .group_by(CoveredSystem.system_id)
    )
    return {row.system_id: row.starts_on for row in rows}


def _services(session: Session, ids: Sequence[int]) -> Mapping[int, list[Any]]:
    """Return the services that keep a promise; what a person added beside them is left alone."""
    known = select(
        Service.contract_id,
        Service.id,
        Service.key,
        Service.kind,
        Service.system_id,
        Service.contract_year,
        Service.state,
        Service.due_on,
        Service.is_provisional,
    ).where(Service.contract_id.in_(ids), Service.purpose == ServicePurpose.ANNUAL)
    return _grouped(session.execute(known.order_by(Service.contract_id, Service.id)))


def _lines(session: Session, ids: Sequence[int]) -> Mapping[int, list[Any]]:
    line = Entitlement
    known = select(
        line.contract_id, line.key, line.contract_year, line.promise, line.reason, line.count
    ).where(line.contract_id.in_(ids))
    return _grouped(session.execute(known.order_by(line.contract_id, line.id)))


def _told(session: Session, ids: Sequence[int]) -> Mapping[int, list[Any]]:
    notice = contracts.Notice
    known = select(notice.contract_id, notice.key).where(notice.contract_id.in_(ids))
    return _grouped(session.execute(known))


def _grouped(rows: Any) -> Mapping[int, list[Any]]:  # noqa: ANN401 - rows of any columns
    groups: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        groups[row[0]].append(row)
    return groups

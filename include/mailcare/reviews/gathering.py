"""Gather a year's facts: of one contract, which is one customer's alone, or of the desk."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from mailcare.backup.standing import declared_names, last_lines
from mailcare.backup.verdicts import Verdict
from mailcare.clock import BEIJING
from mailcare.contracts.details import balances_of, contract_value
from mailcare.contracts.entering import version_in_force
from mailcare.contracts.promises import promises
from mailcare.inspection.checks import all_checks
from mailcare.papers.backup_lines import BackupLine
from mailcare.records import contracts
from mailcare.records.backups import BackupEvidence
from mailcare.records.contracts import ContractVersion
from mailcare.records.customers import Customer, System
from mailcare.records.faults import Fault, FaultBreach, FaultClock, FaultEvent, FaultEventType
from mailcare.records.inspections import (
    Finding,
    FindingSeverity,
    Inspection,
    Service,
    ServiceKind,
    ServiceState,
)
from mailcare.records.visits import Visit, VisitAct, VisitEvent, VisitState, VisitTraining
from mailcare.reviews.facts import (
    BackupFact,
    Bad,
    ClockFact,
    ContractFact,
    CustomerYear,
    DeskYear,
    FaultFact,
    InspectionFact,
    Keeping,
    ServiceFact,
    Span,
    VisitFact,
)
from mailcare.surveys.gathering import gather
from mailcare.workdays import ONE_DAY

INSPECTIONS_MOST = 6  # as many as a trend of the inspection's own report goes back
HANDLING = (FaultEventType.ACCEPTED, FaultEventType.FIRST_CONTACT, FaultEventType.HANDLED)
BAD = (FindingSeverity.CRITICAL, FindingSeverity.WARNING)
Condition = ColumnElement[bool]


def customer_year(session: Session, contract_id: int, year: int, span: Span) -> CustomerYear:
    """Return a contract year's facts; every query is held to the contract's own customer."""
    row = session.get_one(contracts.Contract, contract_id)
    in_force = version_in_force(session, row)
    contract = contract_value(row.number, in_force)
    of_contract = and_(Service.contract_id == contract_id, Service.contract_year == year)
    versions = select(ContractVersion.id).where(ContractVersion.contract_id == contract_id)
    covered = or_(Fault.system_id.is_(None), Fault.system_id.in_(contract.systems))
    own_faults = and_(
        Fault.customer_id == row.customer_id,
        or_(
            Fault.contract_version_id.in_(versions),
            and_(Fault.contract_version_id.is_(None), covered),
        ),
    )
    systems = select(System.title).where(System.id.in_(contract.systems)).order_by(System.id)
    return CustomerYear(
        customer=session.get_one(Customer, row.customer_id).name,
        contract=contract,
        promises=promises(in_force.terms_version),
        year=year,
        span=span,
        systems=tuple(session.scalars(systems)),
        balances=tuple(
            one for one in balances_of(session, contract_id) if one.contract_year == year
        ),
        services=_services(session, of_contract & (Service.kind != ServiceKind.REVIEW), span),
        faults=_faults(session, own_faults, span),
        inspections=_inspections(session, contract.systems, span),
        visits=_visits(session, of_contract),
        backups=tuple(_backups(session, contract.systems, span)),
        surveys=gather(session, since=span.first_on, until=span.last_on, customer=row.customer_id),
    )


def desk_year(session: Session, span: Span) -> DeskYear:
    """Return the whole desk's facts of a calendar year."""
    due = and_(Service.due_on >= span.first_on, Service.due_on <= span.last_on)
    return DeskYear(
        span,
        tuple(_contracts(session, span)),
        _services(session, due, span),
        _faults(session, Fault.id.is_not(None), span),
        _visits(session, due),
        gather(session, since=span.first_on, until=span.last_on),
    )


def _contracts(session: Session, span: Span) -> Iterator[ContractFact]:
    version = ContractVersion
    in_force = (version.contract_id == contracts.Contract.id) & (
        version.version == contracts.Contract.version
    )
    rows = session.execute(
        select(contracts.Contract.number, Customer.name, version)
        .join(version, in_force)
        .join(Customer, Customer.id == contracts.Contract.customer_id)
        .where(version.starts_on <= span.last_on, version.ends_on >= span.first_on)
        .order_by(contracts.Contract.number)
    )
    for number, customer, row in rows:
        terms = contract_value(number, row).terms
        yield ContractFact(number, customer, row.starts_on, row.ends_on, terms.yearly_cny)


def _services(session: Session, wanted: Condition, span: Span) -> tuple[ServiceFact, ...]:
    rows = session.execute(
        select(Service, System.title)
        .join(System, System.id == Service.system_id)
        .where(wanted, Service.state != ServiceState.WITHDRAWN)
        .order_by(Service.due_on, Service.id)
    )
    return tuple(_service(row, title, span) for row, title in rows)


def _service(row: Service, title: str, span: Span) -> ServiceFact:
    is_done = row.state is ServiceState.DONE
    return ServiceFact(
        str(row.kind),
        title,
        row.due_on,
        str(row.state),
        _day(row.state_changed_at) if is_done else None,
        not is_done and row.due_on is not None and row.due_on < span.made_on,
    )


def _faults(session: Session, wanted: Condition, span: Span) -> tuple[FaultFact, ...]:
    faults = session.scalars(
        select(Fault)
        .where(wanted, Fault.declared_at >= _start(span), Fault.declared_at < _end(span))
        .order_by(Fault.declared_at, Fault.id)
    ).all()
    ids = [one.id for one in faults]
    clocks = _clocks(session, ids)
    handlers = _handlers(session, ids)
    return tuple(_fault(one, clocks.get(one.id, []), handlers.get(one.id, ())) for one in faults)


def _fault(row: Fault, clocks: Sequence[ClockFact], engineers: Sequence[str]) -> FaultFact:
    return FaultFact(
        row.number,
        str(row.level),
        row.declared_at,
        row.description,
        str(row.state),
        row.contract_version_id is None,
        tuple(engineers),
        tuple(clocks),
    )


def _clocks(session: Session, faults: Sequence[int]) -> dict[int, list[ClockFact]]:
    breach = FaultBreach
    same = (
        (breach.fault_id == FaultClock.fault_id)
        & (breach.clock == FaultClock.clock)
        & (breach.epoch == FaultClock.epoch)
    )
    rows = session.execute(
        select(FaultClock, breach.is_soft)
        .outerjoin(breach, same)
        .where(FaultClock.fault_id.in_(faults))
        .order_by(FaultClock.started_at, FaultClock.id)
    )
    found: dict[int, list[ClockFact]] = {}
    for row, is_soft in rows:
        found.setdefault(row.fault_id, []).append(_clock(row, is_soft))
    return found


def _clock(row: FaultClock, is_soft: bool | None) -> ClockFact:
    took = row.stopped_at - row.started_at if row.stopped_at else None
    return ClockFact(str(row.clock), _keeping(row, is_soft), took)


def _keeping(row: FaultClock, is_soft: bool | None) -> Keeping | None:
    """Tell what became of a promise; `is_soft` is that of its recorded breach, which stays."""
    if is_soft is None and row.breached_at:
        is_soft = row.is_soft  # found, and not yet written down by the sweep
    if is_soft is not None:
        return Keeping.OVER_TARGET if is_soft else Keeping.BROKEN
    words = {"met": Keeping.KEPT, "running": Keeping.OPEN, "held": Keeping.OPEN}
    return words.get(str(row.state))


def _handlers(session: Session, faults: Sequence[int]) -> dict[int, list[str]]:
    rows = session.execute(
        select(FaultEvent.fault_id, FaultEvent.recorded_by)
        .where(FaultEvent.fault_id.in_(faults), FaultEvent.type.in_(HANDLING))
        .order_by(FaultEvent.ordinal)
    )
    found: dict[int, list[str]] = {}
    for fault, name in rows:
        names = found.setdefault(fault, [])
        if name not in names:
            names.append(name)
    return found


def _inspections(
    session: Session, systems: Sequence[int], span: Span
) -> tuple[InspectionFact, ...]:
    """Return the last remote inspections up to the year's end, oldest first, if it had one."""
    rows = session.execute(
        select(Inspection, System.title)
        .join(Service, Service.id == Inspection.service_id)
        .join(System, System.id == Service.system_id)
        .where(
            System.id.in_(systems),
            Service.kind == ServiceKind.REMOTE_INSPECTION,
            Inspection.current_judgement_id.is_not(None),
            Inspection.started_at < _end(span),
        )
        .order_by(Inspection.started_at.desc())
        .limit(INSPECTIONS_MOST)
    ).all()
    if not rows or rows[0][0].started_at < _start(span):
        return ()
    return tuple(_inspection(session, row, title) for row, title in reversed(rows))


def _inspection(session: Session, row: Inspection, title: str) -> InspectionFact:
    findings = session.scalars(
        select(Finding)
        .where(Finding.judgement_id == row.current_judgement_id)
        .order_by(Finding.ordinal)
    ).all()
    counts = Counter(str(one.severity or one.state) for one in findings)
    titles = {check.name: check.title for check in all_checks()}
    bad = sorted((one for one in findings if one.severity in BAD), key=_urgency)
    return InspectionFact(
        title,
        _day(row.started_at),
        counts,
        tuple(
            Bad(titles.get(one.check_name, one.check_name), str(one.severity), *_said(one))
            for one in bad
        ),
    )


def _urgency(finding: Finding) -> int:
    return BAD.index(finding.severity) if finding.severity else len(BAD)


def _said(finding: Finding) -> tuple[str, str]:
    return finding.summary, finding.advice


def _visits(session: Session, wanted: Condition) -> tuple[VisitFact, ...]:
    moved = select(func.count()).where(
        VisitEvent.visit_id == Visit.id, VisitEvent.act == VisitAct.MOVE
    )
    rows = session.execute(
        select(Visit, System.title, moved.scalar_subquery())
        .join(Service, Service.id == Visit.service_id)
        .join(System, System.id == Service.system_id)
        .where(wanted, Visit.state != VisitState.CANCELLED)
        .order_by(Visit.starts_on.nulls_last(), Visit.id)
    )
    found = rows.all()
    hours = _training(session, [visit.id for visit, _, _ in found])
    return tuple(_visit(visit, title, times, hours[visit.id]) for visit, title, times in found)


def _visit(row: Visit, title: str, moved: int, hours: Decimal) -> VisitFact:
    return VisitFact(
        row.number,
        title,
        row.starts_on,
        row.engineer,
        row.engineer_name,
        str(row.state),
        moved,
        hours,
    )


def _training(session: Session, visits: Sequence[int]) -> dict[int, Decimal]:
    """Return the hours taught at each visit; of a topic the last row counts."""
    rows = session.execute(
        select(VisitTraining.visit_id, VisitTraining.topic, VisitTraining.hours)
        .where(VisitTraining.visit_id.in_(visits))
        .order_by(VisitTraining.id)
    )
    last = {(visit, topic): hours for visit, topic, hours in rows}
    totals = dict.fromkeys(visits, Decimal(0))
    for (visit, _), hours in last.items():
        totals[visit] += hours
    return totals


def _backups(session: Session, systems: Sequence[int], span: Span) -> Iterator[BackupFact]:
    """Yield each declared copy, verified or not, and each that was verified in the year."""
    rows = session.scalars(select(System).where(System.id.in_(systems)).order_by(System.id))
    for system in rows.all():
        counts = _verdicts(session, system.id, span)
        last = {one.copy: one for one in last_lines(system.id, until=_end(span))}
        for name in sorted({*declared_names(system), *counts}):
            yield _backup(system.title, name, counts.get(name, Counter()), last.get(name))


def _verdicts(session: Session, system: int, span: Span) -> dict[str, Counter[str]]:
    found = session.execute(
        select(BackupEvidence.copy_name, BackupEvidence.verdict).where(
            BackupEvidence.system_id == system,
            BackupEvidence.finished_at >= _start(span),
            BackupEvidence.finished_at < _end(span),
        )
    )
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, verdict in found:
        counts[name][str(verdict)] += 1
    return counts


def _backup(
    system: str, name: str, counts: Mapping[str, int], last: BackupLine | None
) -> BackupFact:
    if last is None:
        return BackupFact(system, name, counts, None, str(Verdict.NOT_RUN))
    levels = {str(level): str(verdict) for level, verdict in sorted(last.levels.items())}
    return BackupFact(system, name, counts, _day(last.verified_at), str(last.verdict), levels)


def _start(span: Span) -> datetime:
    return datetime.combine(span.first_on, time(), BEIJING)


def _end(span: Span) -> datetime:
    return datetime.combine(span.last_on + ONE_DAY, time(), BEIJING)


def _day(at: datetime) -> date:
    return at.astimezone(BEIJING).date()

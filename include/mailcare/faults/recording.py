"""Write down a fault, what happens to it and what is said about it; refuse what cannot be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from mailcare.clock import BEIJING
from mailcare.contracts.entering import Changed
from mailcare.contracts.promises import newest
from mailcare.delivery.progress import withdraw
from mailcare.errors import InputError
from mailcare.faults.clocks import Clock, clocks
from mailcare.faults.declaration import Declaration
from mailcare.faults.dossiers import Dossier, lock_faults, read_dossiers, reckon, write_clocks
from mailcare.faults.events import FORMS, Declared, Event, LevelChanged, Merged, Paused, Refused
from mailcare.faults.ladder import warnings_of
from mailcare.faults.standing import CLOSED, WORDS, Stage, Standing, payload_of
from mailcare.faults.wording import moment
from mailcare.papers.numbering import Series, paper_number
from mailcare.records import faults
from mailcare.records.changes import add_once
from mailcare.records.contracts import Contract, ContractVersion, CoveredSystem
from mailcare.records.customers import Authorisation, Customer, System
from mailcare.records.faults import FaultEventType, FaultState, FaultVia
from mailcare.systems.authorising import keep_evidence
from mailcare.systems.evidence import Evidence
from mailcare.workdays import Calendar


@dataclass(frozen=True, slots=True)
class Backing:
    """What stands behind an event: the recorder's words, files, and an authorisation's id.

    A program's event has a `key` and is written down once.
    """

    remark: str = ""
    files: tuple[Evidence, ...] = ()
    authorisation: int | None = None
    key: str | None = None


NOTHING = Backing()


def add_fault(
    session: Session,
    declaration: Declaration,
    files: Iterable[Evidence],
    *,
    calendar: Calendar,
    by: str,
    at: datetime,
) -> int:
    """Record a declared fault and return its id; the one that has the same key where there is one.

    The contract version in force on the day of the declaration is pinned; without one the fault
    lies outside of any contract.
    """
    _refuse_future(declaration.declared_at, at)
    known = select(faults.Fault.id).where(faults.Fault.key == declaration.key)
    if found := session.scalar(known):
        return found
    added = add_once(session, faults.Fault, _fault_row(session, declaration))
    if added is None:
        return session.scalars(known).one()
    number = paper_number(Series.FAULT, added, at=declaration.declared_at)
    session.execute(update(faults.Fault).where(faults.Fault.id == added).values(number=number))
    declared = Declared(at=declaration.declared_at, level=declaration.level)
    _write_event(session, added, 1, declared, Backing(files=tuple(files)), by=by, at=at)
    _reckon_and_write(session, _dossier(session, added), calendar, at)
    return added


def add_event(
    session: Session,
    fault: int,
    event: Event,
    backing: Backing,
    *,
    calendar: Calendar,
    by: str,
    at: datetime,
    seen: int | None,
) -> int:
    """Record an event and return how many the fault has now.

    `seen` is how many the recorder had before their eyes: `Changed` is raised where there are more
    by now. None records whatever happened meanwhile. Raise `Refused` for what cannot have happened.
    """
    lock_faults(session, (fault,))
    dossier = _dossier(session, fault)
    if backing.key and _is_recorded(session, backing.key):
        return dossier.event_count
    if seen is not None and seen != dossier.event_count:
        raise _changed(session, dossier)
    _refuse_impossible_time(dossier, event, at)
    _refuse_unproven(session, dossier, event, backing)
    after = _with_event(dossier, event, calendar, at)
    count = dossier.event_count + 1
    _move_on(session, dossier, after.standing(at))
    _write_event(session, fault, count, event, backing, by=by, at=at)
    _withdraw_warnings(session, after, _reckon_and_write(session, after, calendar, at), at)
    return count


def _move_on(session: Session, dossier: Dossier, stands: Standing) -> None:
    """Count one event more where nobody else did meanwhile; raise `Changed` otherwise."""
    fault = faults.Fault
    moved = session.scalar(
        update(fault)
        .where(fault.id == dossier.id, fault.event_count == dossier.event_count)
        .values(
            event_count=dossier.event_count + 1,
            level=stands.level,
            state=FaultState(stands.stage),
        )
        .returning(fault.id)
    )
    if moved is None:
        raise _changed(session, dossier)


def add_note(
    session: Session,
    fault: int,
    text: str,
    files: Iterable[Evidence],
    *,
    key: str,
    said_at: datetime,
    by: str,
    at: datetime,
) -> int | None:
    """Add a remark or a mail to a fault, open or closed; None where its key is there already."""
    values = {"fault_id": fault, "key": key, "text": text, "at": said_at}
    added = add_once(session, faults.FaultNote, values | {"recorded_by": by, "recorded_at": at})
    if added is not None:
        _write_files(session, fault, files, by=by, note=added)
    return added


def _reckon_and_write(
    session: Session, dossier: Dossier, calendar: Calendar, at: datetime
) -> Sequence[Clock]:
    [reckoned] = reckon((dossier,), calendar=calendar, now=at)
    write_clocks(session, (reckoned,), calendar=calendar, now=at)
    return [clock for clock, _ in reckoned.clocks]


def _withdraw_warnings(
    session: Session, dossier: Dossier, clocks: Sequence[Clock], at: datetime
) -> None:
    """Let nobody read on Monday that time runs out on what was done on Saturday, and in time."""
    kept = [one for one in clocks if one.stopped_at and not one.breached_at]
    withdraw(session, dossier.id, [warnings_of(dossier.number, one) for one in kept], at=at)


def _fault_row(session: Session, declaration: Declaration) -> dict[str, object]:
    _refuse_strangers(session, declaration)
    return {
        "number": f"key/{declaration.key}",  # until the id is known that the number is made of
        "key": declaration.key,
        "customer_id": declaration.customer,
        "system_id": declaration.system,
        **_contract(session, declaration),
        "follows_id": find_fault(session, declaration.follows) if declaration.follows else None,
        "place": declaration.place,
        "contact": declaration.contact,
        "contact_details": declaration.contact_details,
        "description": declaration.description,
        "declared_via": FaultVia(declaration.via),
        "declared_at": declaration.declared_at,
        "level": declaration.level,
        "state": FaultState.DECLARED,
        "event_count": 1,
    }


def find_fault(session: Session, number: str) -> int:
    """Return the id of a fault's number; raise `InputError` for one that is not recorded."""
    named = select(faults.Fault.id).where(faults.Fault.number == number)
    # PostgreSQL's driver does not even ask for a text with a NUL in it.
    found = session.scalar(named) if number.isprintable() else None
    if found is None:
        raise InputError("没有登记这个故障", subject=number)
    return found


def _refuse_strangers(session: Session, declaration: Declaration) -> None:
    if session.get(Customer, declaration.customer) is None:
        raise InputError("没有登记这个客户", subject=str(declaration.customer))
    if declaration.system is None:
        return
    system = session.get(System, declaration.system)
    if system is None or system.customer_id != declaration.customer:
        raise InputError("该客户没有登记这个系统", subject=str(declaration.system))


def _contract(session: Session, declaration: Declaration) -> dict[str, int | None]:
    """Return what is pinned: the version that promises remote support on the day, and its promises.

    With a system named, the version that covers it. Outside of any contract the newest promises
    hold.
    """
    on = declaration.declared_at.astimezone(BEIJING).date()
    version = ContractVersion
    promised = (
        select(version.id, version.terms_version)
        .join(
            Contract, and_(Contract.id == version.contract_id, Contract.version == version.version)
        )
        .where(
            Contract.customer_id == declaration.customer,
            version.starts_on <= on,
            version.ends_on >= on,
            version.remote_service,
        )
        .order_by(version.starts_on.desc(), version.id.desc())
        .limit(1)
    )
    if declaration.system is not None:
        covered = CoveredSystem.system_id == declaration.system
        promised = promised.join(CoveredSystem).where(covered)
    found = session.execute(promised).first()
    return {
        "contract_version_id": found.id if found else None,
        "terms_version": found.terms_version if found else newest(),
    }


def _dossier(session: Session, fault: int) -> Dossier:
    found = read_dossiers(session, (fault,))
    if not found:
        raise InputError("没有登记这个故障", subject=str(fault))
    return found[0]


def _is_recorded(session: Session, key: str) -> bool:
    known = select(faults.FaultEvent.id).where(faults.FaultEvent.key == key)
    return session.scalar(known) is not None


def _changed(session: Session, dossier: Dossier) -> Changed:
    row = faults.FaultEvent
    last = session.scalars(
        select(row).where(row.fault_id == dossier.id).order_by(row.ordinal.desc()).limit(1)
    ).one()
    said = f"{last.recorded_by} 于 {moment(last.recorded_at)} 登记了「{FORMS[last.type].title}」"
    return Changed(f"{said}，您的操作没有登记，请重新打开后再决定", subject=dossier.number)


def _refuse_future(event_at: datetime, at: datetime) -> None:
    if event_at > at:
        raise Refused(f"时间 {moment(event_at)} 晚于现在（{moment(at)}），请核对")


def _refuse_impossible_time(dossier: Dossier, event: Event, at: datetime) -> None:
    _refuse_future(event.at, at)
    declared_at = dossier.events[0].at
    if event.at < declared_at:
        raise Refused(f"时间 {moment(event.at)} 早于申报（{moment(declared_at)}），请核对")


def _refuse_unproven(session: Session, dossier: Dossier, event: Event, backing: Backing) -> None:
    """Refuse a pause or a lighter level that nothing stands behind, and a merger into nothing."""
    is_proven = bool(backing.remark or backing.files or backing.authorisation)
    if isinstance(event, Paused) and not is_proven:
        raise Refused("暂停须写明依据，或附上凭证", field="remark")
    if isinstance(event, LevelChanged) and event.customer_agreed and not is_proven:
        raise Refused("客户同意须写明依据，或附上凭证", field="remark")
    if isinstance(event, Merged):
        _refuse_merger(session, dossier, event.into)
    if backing.authorisation is not None:
        _refuse_foreign_authorisation(session, dossier, backing.authorisation)


def _refuse_merger(session: Session, dossier: Dossier, into: str) -> None:
    fault = faults.Fault
    # Held still: two faults that go into each other at once would both be closed.
    named = select(fault.customer_id, fault.state).where(fault.number == into).with_for_update()
    other = session.execute(named).one_or_none() if into.isprintable() else None
    if other is None or other.customer_id != dossier.customer_id:
        raise Refused(f"该客户没有编号为 {into} 的故障", field="into")
    if into == dossier.number:
        raise Refused("不能把故障并入它自己", field="into")
    if Stage(other.state) in CLOSED:
        raise Refused(f"{into} 已撤销或合并，不能再并入", field="into")


def _refuse_foreign_authorisation(session: Session, dossier: Dossier, authorisation: int) -> None:
    of_customer = (
        select(Authorisation.id)
        .join(System, System.id == Authorisation.system_id)
        .where(Authorisation.id == authorisation, System.customer_id == dossier.customer_id)
    )
    if session.scalar(of_customer) is None:
        raise Refused("该客户没有这份授权", field="authorisation")


def _with_event(dossier: Dossier, event: Event, calendar: Calendar, at: datetime) -> Dossier:
    """Return the dossier with one event more; raise `Refused` for one that does not fit in."""
    after = replace(dossier, events=(*dossier.events, event))
    try:
        derived = clocks(after.events, after.terms, calendar, after.present(at))
    except Refused as error:
        raise _misfit(dossier, event, error) from None
    before = clocks(dossier.events, dossier.terms, calendar, dossier.present(at))
    if not _keeps_epochs(before, derived):
        raise Refused("此后已开始新一轮时限，不能在其之前补记这一事件")
    return after


def _misfit(dossier: Dossier, event: Event, error: Refused) -> Refused:
    if error.index is None or error.index >= len(dossier.events):
        is_level = isinstance(event, LevelChanged)
        return Refused(error.sentence, field="level") if is_level else error
    other = dossier.events[error.index]
    title = FORMS[WORDS[type(other)]].title
    said = f"补记后，已登记的「{title}」（{moment(other.at)}）不能成立"
    return Refused(f"{said}：{error.sentence}")


def _keeps_epochs(before: Sequence[Clock], after: Sequence[Clock]) -> bool:
    """Tell whether every epoch still begins when it did: breaches and warnings are known by it."""
    starts = {(one.clock, one.epoch): one.started_at for one in after}
    return all(starts.get((one.clock, one.epoch)) == one.started_at for one in before)


def _write_event(
    session: Session,
    fault: int,
    ordinal: int,
    event: Event,
    backing: Backing,
    *,
    by: str,
    at: datetime,
) -> None:
    row = faults.FaultEvent(
        fault_id=fault,
        ordinal=ordinal,
        key=backing.key,
        type=FaultEventType(WORDS[type(event)]),
        at=event.at,
        payload=payload_of(event) | ({"remark": backing.remark} if backing.remark else {}),
        authorisation_id=backing.authorisation,
        recorded_by=by,
        recorded_at=at,
    )
    session.add(row)
    session.flush()
    _write_files(session, fault, backing.files, by=by, event=row.id)


def _write_files(
    session: Session,
    fault: int,
    files: Iterable[Evidence],
    *,
    by: str,
    event: int | None = None,
    note: int | None = None,
) -> None:
    for one in files:
        kept = keep_evidence(session, one, by=by)
        session.add(
            faults.FaultFile(
                fault_id=fault, event_id=event, note_id=note, evidence_file_id=kept, name=one.name
            )
        )

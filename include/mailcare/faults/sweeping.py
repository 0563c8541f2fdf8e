"""Look through what is due: tell who has to be told, record what broke, count anew."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from mailcare.delivery.alerts import Call, alert, alert_all
from mailcare.faults.clocks import Clock, Kind
from mailcare.faults.dossiers import (
    Dossier,
    Moved,
    Reckoned,
    calendar_key,
    lock_faults,
    read_dossiers,
    reckon,
    step_row,
    write_clocks,
)
from mailcare.faults.ladder import SHARES_PCT, Step, due_steps, is_urgent, warnings_of
from mailcare.faults.wording import KIND_TITLES, breach_word, duration, moment
from mailcare.records import faults
from mailcare.records.alerts import Rung
from mailcare.records.changes import add_all_once, put_all
from mailcare.records.faults import ClockKind, ClockState, EscalationOutcome
from mailcare.workdays import Calendar

ONE_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many faults were looked at, people told, promises found broken and dates moved."""

    faults: int = 0
    told: int = 0
    broken: int = 0
    moved: int = 0

    def __add__(self, other: "Swept") -> "Swept":
        """Return both together."""
        return Swept(
            self.faults + other.faults,
            self.told + other.told,
            self.broken + other.broken,
            self.moved + other.moved,
        )


def due(now: datetime) -> ColumnElement[bool]:
    """Return which clocks have something to be told or recorded by `now`."""
    return faults.FaultClock.next_warning_at <= now


def displaced(calendar: Calendar) -> ColumnElement[bool]:
    """Return which clocks are of open reports that were counted with other year tables."""
    clock = faults.FaultClock
    return and_(
        clock.clock == ClockKind.REPORT,
        clock.state == ClockState.RUNNING,
        clock.calendar_key != calendar_key(calendar),
    )


def worst_first(session: Session, which: ColumnElement[bool]) -> Sequence[int]:
    """Return the faults with such a clock: the gravest level first, then what was due first."""
    clock = faults.FaultClock
    worst = (clock.level, clock.next_warning_at, clock.fault_id)
    found = session.scalars(select(clock.fault_id).where(which).order_by(*worst))
    return tuple(dict.fromkeys(found))


def sweep_due(session: Session, ids: Sequence[int], *, calendar: Calendar, now: datetime) -> Swept:
    """Deal with what of these faults is due; nothing of it is due at `now` any more.

    The ledger's rows, the letters and the clocks are written in the caller's transaction.
    """
    found = _locked(session, ids, due(now))
    reckoned = reckon(found, calendar=calendar, now=now)
    told = _tell(session, reckoned, now=now)
    after = [one.after(now) for one in reckoned]
    written = write_clocks(session, after, calendar=calendar, now=now)
    return Swept(len(found), told, written.broken)


def sweep_displaced(
    session: Session, ids: Sequence[int], *, calendar: Calendar, now: datetime
) -> Swept:
    """Count those of these faults anew whose open reports were counted with other year tables."""
    found = _locked(session, ids, displaced(calendar))
    reckoned = reckon(found, calendar=calendar, now=now)
    written = write_clocks(session, reckoned, calendar=calendar, now=now)
    alert_all(session, [_moved(one) for one in written.moved], at=now)
    return Swept(len(found), 0, written.broken, len(written.moved))


def note_sweep(session: Session, swept: Swept, *, now: datetime) -> None:
    """Write down when the deadlines were last looked through."""
    row = {"id": 1, "swept_at": now, "told": swept.told, "broken": swept.broken}
    put_all(session, faults.Sweep, [row], key=("id",))


def tell_stalled(session: Session, *, now: datetime) -> None:
    """Post that the deadlines are not looked through any more; once an hour."""
    said = "时限检查（watch_deadlines）没有按时完成"
    alert(
        session,
        key=f"sweep/{now:%Y-%m-%dT%H}",
        rung=Rung.MANAGER,
        subject=f"【告警】{said}",
        text=f"{said}，到期提醒可能迟到。请在 Airflow 查看 watch_deadlines，并人工核对故障看板。",
        is_urgent=True,
        at=now,
    )


def tell_unreckoned(session: Session, fault: int, why: str, *, now: datetime) -> None:
    """Post that a fault's records cannot be reckoned with; once a day."""
    row = session.get_one(faults.Fault, fault)
    alert(
        session,
        key=f"fault/{row.number}/unreckoned/{now:%Y-%m-%d}",
        rung=Rung.MANAGER,
        subject=f"【告警】{row.number} 的时限无法推算",
        text=f"{row.number} 的记录无法推算（{why}），不能自动提醒，请人工核对其时限。",
        is_urgent=True,
        at=now,
        fault=fault,
        customer=row.customer_id,
    )


def _locked(
    session: Session, ids: Sequence[int], which: ColumnElement[bool]
) -> tuple[Dossier, ...]:
    """Return the faults of which it still holds, the worst first; another sweep's work is left."""
    lock_faults(session, ids)
    still = worst_first(session, and_(faults.FaultClock.fault_id.in_(ids), which))
    found = {one.id: one for one in read_dossiers(session, still)}
    return tuple(found[one] for one in still)


def _tell(session: Session, reckoned: Iterable[Reckoned], *, now: datetime) -> int:
    """Write the ledger's rows and post the letters; return how many steps there were."""
    every = [
        (one.dossier, clock, step)
        for one in reckoned
        for clock, steps in one.clocks
        for step in due_steps(steps, now=now)
    ]
    rows = [step_row(*one, EscalationOutcome.TOLD, now=now) for one in every]
    add_all_once(session, faults.Escalation, rows)
    alert_all(session, [_call(*one, now=now) for one in every], at=now)
    return len(every)


def _call(dossier: Dossier, clock: Clock, step: Step, *, now: datetime) -> Call:
    return Call(
        key=f"{warnings_of(dossier.number, clock)}{step.number}",
        rung=Rung(step.rung),
        subject=_subject(dossier, clock, _reached(clock, step)),
        text=_told(dossier, clock, now),
        is_urgent=is_urgent(clock),
        fault=dossier.id,
        customer=dossier.customer_id,
    )


def _moved(moved: Moved) -> Call:
    clock, due_at = moved.clock, moved.clock.due_at
    assert due_at is not None, "a report's clock is never held"
    return Call(
        key=f"{warnings_of(moved.dossier.number, clock)}moved/{due_at.isoformat()}",
        rung=Rung.ENGINEER,
        subject=_subject(moved.dossier, clock, "报告时限变动"),
        text=(
            f"放假安排载入后重新推算，{moved.dossier.number} 的报告时限由 "
            f"{moment(moved.before_at)} 改为 {moment(due_at)}（北京时间）。"
        ),
        is_urgent=False,
        fault=moved.dossier.id,
        customer=moved.dossier.customer_id,
    )


def _subject(dossier: Dossier, clock: Clock, said: str) -> str:
    """Return what goes to chats as well: no more of a customer than number, level and name."""
    return f"【{clock.level} 故障】{dossier.number} {dossier.customer}：{said}"


def _reached(clock: Clock, step: Step) -> str:
    title = KIND_TITLES[clock.clock]
    if clock.breached_at:
        return f"{title}{breach_word(is_soft=clock.is_soft)}"
    if clock.clock is Kind.RESPONSE:
        return f"申报已 {(step.reached_at - clock.started_at) // ONE_MINUTE} 分钟，尚未响应"
    return f"{title}时限已用 {SHARES_PCT[step.rung]:.0f}%"


def _told(dossier: Dossier, clock: Clock, now: datetime) -> str:
    title, due_at = KIND_TITLES[clock.clock], clock.due_at or clock.earliest_due_at
    lines = [
        f"故障 {dossier.number}（{clock.level}），客户 {dossier.customer}。",
        f"{title}时限自 {moment(clock.started_at)} 起算（北京时间）。",
    ]
    if due_at:
        left_s = (due_at - now).total_seconds()
        said = f"还剩 {duration(left_s)}" if left_s > 0 else f"已超过 {duration(left_s)}"
        # It may be read hours later: what may wait is told in working hours.
        lines.append(f"时限 {moment(due_at)}（北京时间），截至 {moment(now)} {said}。")
    if clock.is_provisional and clock.earliest_due_at:
        lines.append(f"该时限为暂行推算，最早可能为 {moment(clock.earliest_due_at)}。")
    return "\n".join(lines)

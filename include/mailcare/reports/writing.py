"""Write a report on a fault, hand it to a reviewer, and take the decision; all compare-and-set."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailcare.clock import BEIJING
from mailcare.contracts.entering import Changed
from mailcare.contracts.forms import complain
from mailcare.delivery.alerts import alert
from mailcare.errors import InputError
from mailcare.faults.details import history
from mailcare.faults.dossiers import Dossier, lock_faults, read_dossiers
from mailcare.faults.events import Handled
from mailcare.faults.standing import Stage
from mailcare.faults.wording import WORD_TITLES
from mailcare.records.alerts import Rung
from mailcare.records.changes import add_once, move
from mailcare.records.faults import FaultReport, FaultReportEvent, ReportState
from mailcare.records.people import Role
from mailcare.reports.forms import DraftForm, ReportForm
from mailcare.staff.roles import roles_held

EDITABLE = (ReportState.DRAFT, ReportState.RETURNED)
UNSENT = (*EDITABLE, ReportState.IN_REVIEW, ReportState.APPROVED)
TEXTS = ("method", "degree", "lessons", "opinions")


def dossier_of(session: Session, fault: int) -> Dossier:
    """Return a fault's events; raise `InputError` for one that is not recorded."""
    found = read_dossiers(session, (fault,))
    if not found:
        raise InputError("没有登记这个故障", subject=str(fault))
    return found[0]


def latest_report(session: Session, fault: int) -> FaultReport | None:
    """Return the report on a fault's latest handling that has one."""
    of_fault = select(FaultReport).where(FaultReport.fault_id == fault)
    return session.scalar(of_fault.order_by(FaultReport.epoch.desc()).limit(1))


def handlings(dossier: Dossier) -> list[Handled]:
    """Return the handlings of a fault by time; the n-th one began the report clock's epoch n."""
    found = [one for one in dossier.events if isinstance(one, Handled)]
    return sorted(found, key=lambda one: one.at)


def open_report(session: Session, fault: int, *, by: str, at: datetime) -> FaultReport:
    """Return the report that a fault's latest handling owes, begun where there is none.

    It starts from what the last one said, else from what was recorded of the fault. One of an
    earlier handling that did not go out is superseded. Raise `InputError` for a fault whose
    handling owes none.
    """
    lock_faults(session, (fault,))
    dossier = dossier_of(session, fault)
    epoch, before = len(handlings(dossier)), latest_report(session, fault)
    if before and before.epoch == epoch:
        return before
    if dossier.standing(at).stage is not Stage.HANDLED:
        raise InputError("故障尚未处理完成，或报告已经送达", subject=dossier.number)
    _supersede(session, fault, epoch, by=by, at=at)
    texts = _texts_of(before) if before else {}
    row = _begin(session, dossier, epoch, texts, by=by, at=at)
    return session.get_one(FaultReport, row)


def _begin(
    session: Session, dossier: Dossier, epoch: int, texts: dict[str, str], *, by: str, at: datetime
) -> int:
    usual = {
        "method": _done(session, dossier.id),
        "degree": WORD_TITLES[handlings(dossier)[-1].kind],
        "lessons": "",
        "opinions": "",
    }
    key = {"fault_id": dossier.id, "epoch": epoch}
    counted = {"version": 1, "submissions": 0, "runs_begun": 0, "author": by}
    state = {"state": ReportState.DRAFT, "state_changed_at": at}
    values = key | usual | texts | {"degree": usual["degree"]} | counted | state
    added = add_once(session, FaultReport, values)
    if added is None:
        return session.scalars(select(FaultReport.id).filter_by(**key)).one()
    note(session, added, ReportState.DRAFT, by=by, at=at, remark="开始起草")
    return added


def _texts_of(row: FaultReport) -> dict[str, str]:
    return {name: getattr(row, name) for name in TEXTS}


def _done(session: Session, fault: int) -> str:
    """Return what was written down of the work, a line each, for the engineer to shorten."""
    told = (one for one in history(session, fault) if one.kind in ("event", "note") and one.text)
    lines = (f"{one.at.astimezone(BEIJING):%m-%d %H:%M} {one.title}：{one.text}" for one in told)
    return "\n".join(lines)[:2000]


def _supersede(session: Session, fault: int, epoch: int, *, by: str, at: datetime) -> None:
    unsent = select(FaultReport).where(
        FaultReport.fault_id == fault, FaultReport.epoch < epoch, FaultReport.state.in_(UNSENT)
    )
    for row in session.scalars(unsent).all():
        step(
            session, row.id, row.state, ReportState.SUPERSEDED, by=by, at=at, remark="另有新的处理"
        )


def save(
    session: Session, report: int, form: DraftForm | ReportForm, *, seen: int, by: str, at: datetime
) -> None:
    """Keep what was entered where the report is still as it was `seen`.

    Raise `Changed` where somebody else saved it meanwhile, `InputError` where it may not be changed
    any more, `FormError` for a time that cannot be.
    """
    row = session.get_one(FaultReport, report)
    dossier = dossier_of(session, row.fault_id)
    if form.occurred_at and form.occurred_at > dossier.events[0].at:
        raise complain("occurred_at", "故障时间不能晚于申报时间")
    values = form.model_dump() | {"version": seen + 1, "author": by}
    saved = session.scalar(
        update(FaultReport)
        .where(
            FaultReport.id == report,
            FaultReport.version == seen,
            FaultReport.state.in_(EDITABLE),
        )
        .values(**values)
        .returning(FaultReport.id)
    )
    if saved is None:
        raise _too_late(session, report, dossier.number)
    note(session, report, row.state, by=by, at=at, remark="保存")


def _too_late(session: Session, report: int, number: str) -> InputError:
    session.expire_all()
    row = session.get_one(FaultReport, report)
    if row.state not in EDITABLE:
        return InputError("报告已提交审核或已签发，不能再改", subject=number)
    last = events_of(session, report)[-1]
    when = f"{last.at.astimezone(BEIJING):%Y-%m-%d %H:%M}"
    return Changed(
        f"{last.by} 已于 {when} 保存，您的修改没有保存，请对照后重新填写", subject=number
    )


def submit(
    session: Session, report: int, form: ReportForm, *, seen: int, by: str, at: datetime
) -> None:
    """Save a report and hand it to the reviewer; the managers are told."""
    save(session, report, form, seen=seen, by=by, at=at)
    session.expire_all()
    row = session.get_one(FaultReport, report)
    step(session, report, row.state, ReportState.IN_REVIEW, by=by, at=at, remark="提交审核")
    submissions = row.submissions + 1
    session.execute(
        update(FaultReport).where(FaultReport.id == report).values(submissions=submissions)
    )
    tell(
        session,
        row,
        Rung.MANAGER,
        key=f"review/{submissions}",
        heading="待审核",
        said=f"，由 {by} 提交，请在控制台或 Airflow 审核。",
        at=at,
    )


def decide(
    session: Session,
    report: int,
    decision: ReportState,
    *,
    seen: int,
    by: str,
    via: str,
    remark: str,
    at: datetime,
) -> bool:
    """Approve or return a report as it was `seen`, once; tell whether this call did.

    Raise `Changed` where it was returned and submitted again meanwhile, `InputError` for one who is
    no manager, or who wrote any part of it.
    """
    row = session.get_one(FaultReport, report)
    if row.state is not ReportState.IN_REVIEW:
        return False
    if row.version != seen:
        raise Changed("报告退回后又重新提交过，请重新打开再审核")
    if Role.MANAGER not in roles_held(session, by):
        raise InputError(f"{by} 没有主管角色，不能审核")
    if by in _writers(session, report):
        raise InputError("不能审核自己提交或修改过的报告，请另一位主管审核")
    if not step(
        session, report, ReportState.IN_REVIEW, decision, by=by, at=at, via=via, remark=remark
    ):
        return False
    if decision is ReportState.RETURNED:
        _tell_returned(session, row, by=by, remark=remark, at=at)
    return True


def _writers(session: Session, report: int) -> frozenset[str]:
    """Return everybody who saved some part of a report, whoever saved last.

    A saving leaves the state as it was; beginning the report writes no words of one's own.
    """
    acts = events_of(session, report)
    return frozenset(
        now.by for before, now in pairwise(acts) if now.state is before.state in EDITABLE
    )


def _tell_returned(
    session: Session, row: FaultReport, *, by: str, remark: str, at: datetime
) -> None:
    tell(
        session,
        row,
        Rung.ENGINEER,
        key=f"returned/{row.submissions}",
        heading="已退回",
        said=f" 由 {by} 退回：{remark or '未写意见'}",
        at=at,
    )


def tell(
    session: Session,
    row: FaultReport,
    rung: Rung,
    *,
    key: str,
    heading: str,
    said: str,
    at: datetime,
) -> None:
    """Tell own staff, in their working hours, what became of a report; once for its `key`."""
    dossier = dossier_of(session, row.fault_id)
    alert(
        session,
        key=f"report/{row.id}/{key}",
        rung=rung,
        subject=f"{heading}：{dossier.number} 故障处理报告",
        text=f"{dossier.customer} 的 {dossier.number}{said}",
        is_urgent=False,
        at=at,
        fault=row.fault_id,
        customer=dossier.customer_id,
    )


def step(
    session: Session,
    report: int,
    from_state: ReportState,
    to_state: ReportState,
    *,
    by: str,
    at: datetime,
    remark: str,
    via: str = "console",
) -> bool:
    """Move a report on where it still is in a state, and write that down."""
    moved = move(session, FaultReport, report, from_state=from_state, to_state=to_state, at=at)
    if moved:
        note(session, report, to_state, by=by, at=at, remark=remark, via=via)
    return moved


def note(
    session: Session,
    report: int,
    state: ReportState,
    *,
    by: str,
    at: datetime,
    remark: str,
    via: str = "console",
) -> None:
    """Write down what somebody did about a report."""
    row = FaultReportEvent(report_id=report, at=at, by=by, state=state, via=via, remark=remark)
    session.add(row)
    session.flush()


def events_of(session: Session, report: int) -> Sequence[FaultReportEvent]:
    """Return what was done about a report, in order."""
    of_report = select(FaultReportEvent).where(FaultReportEvent.report_id == report)
    return session.scalars(of_report.order_by(FaultReportEvent.id)).all()

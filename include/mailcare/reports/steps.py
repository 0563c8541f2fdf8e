"""Reports on faults: the seam between the records, the papers and those who write and review."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailcare.calendars.steps import working_calendar
from mailcare.clock import utc_now
from mailcare.errors import InputError, MailcareError
from mailcare.faults.recording import Backing
from mailcare.faults.wording import moment
from mailcare.listing import Page, Wish
from mailcare.papers.document import Document
from mailcare.papers.fault import TITLE
from mailcare.papers.keeping import keep_paper, pages
from mailcare.papers.signing import name_of, sign_paper
from mailcare.records.faults import Fault, FaultReport, ReportState
from mailcare.records.papers import FileKind
from mailcare.records.session import reading, transaction
from mailcare.reports import issuing, lists, writing
from mailcare.reports.forms import DraftForm, HandOverForm, ReportForm
from mailcare.reports.lists import ReportDetail, ReportRow
from mailcare.settings import read_settings
from mailcare.surveys.forms import PeriodForm
from mailcare.systems.evidence import Evidence

if TYPE_CHECKING:
    from mailcare.reports.statistics import Breach, Figures, Grouping, Told


@dataclass(frozen=True, slots=True)
class FaultFigures:
    """Figures of all faults and of each group; `chart` is None where nothing was due."""

    overall: "Figures"
    groups: Mapping["Grouping", tuple["Figures", ...]]
    chart: Mapping[str, object] | None
    breaches: tuple["Breach", ...]


FOLLOWED_MOST = 200  # of one minute; the others follow


def open_report(fault: int, *, by: str, at: datetime) -> int:
    """Return the report that a fault's latest handling owes, begun where there is none."""
    with transaction() as session:
        return writing.open_report(session, fault, by=by, at=at).id


def report_of(fault: int) -> int | None:
    """Return the latest report on a fault."""
    with reading() as session:
        row = writing.latest_report(session, fault)
        return row.id if row else None


def report_detail(report: int) -> ReportDetail:
    """Return a report whole; raise `InputError` for one that is not recorded."""
    with reading() as session:
        return lists.report_detail(session, report)


def list_reports(wish: Wish) -> Page[ReportRow]:
    """Return a page of reports, the newest first; sorts: number customer state due_at."""
    with reading() as session:
        return lists.report_rows(session, wish)


def save_report(report: int, form: DraftForm, *, seen: int, by: str, at: datetime) -> None:
    """Keep a draft where nobody else has saved since `seen`; else raise `Changed`."""
    with transaction() as session:
        writing.save(session, report, form, seen=seen, by=by, at=at)


def submit_report(report: int, form: ReportForm, *, seen: int, by: str, at: datetime) -> None:
    """Save a report and hand it to the reviewer; who submits it signs it when it is approved."""
    with transaction() as session:
        writing.submit(session, report, form, seen=seen, by=by, at=at)


def approve_report(report: int, *, seen: int, by: str, via: str, at: datetime) -> bool:
    """Approve a report as it was `seen` and issue it at once; tell whether this call approved.

    Raise `Changed` where another version is under review by now, `InputError` for one who may not.
    What is approved and not issued, because this process
    was cut off, is issued by the next `follow_reports`.
    """
    with transaction() as session:
        is_first = writing.decide(
            session, report, ReportState.APPROVED, seen=seen, by=by, via=via, remark="通过", at=at
        )
    issue(report)
    return is_first


def return_report(report: int, *, seen: int, by: str, via: str, remark: str, at: datetime) -> bool:
    """Return a report to who wrote it; tell whether this call did. Raise as `approve_report`."""
    with transaction() as session:
        return writing.decide(
            session, report, ReportState.RETURNED, seen=seen, by=by, via=via, remark=remark, at=at
        )


def preview(report: int) -> bytes:
    """Return the report as PDF as it would be issued now, unsigned and kept nowhere."""
    with reading() as session:
        document = _document(session, report)
    return dict(pages(document))[FileKind.PDF]


def issue(report: int) -> int | None:
    """Render, sign and post an approved report; return its paper, None for one not approved.

    May be cut off anywhere and run again: equal content is one paper, the first signature stays,
    and the letters are written with the change of state.
    """
    settings, calendar = read_settings(), working_calendar()
    with reading() as session:
        row = session.get(FaultReport, report)
        if row is None:
            raise InputError("没有这份报告", subject=str(report))
        if row.state is not ReportState.APPROVED:
            return row.paper_id
        document, author = _document(session, report), row.author
        fault = session.get_one(Fault, row.fault_id)
        system, customer = fault.system_id, fault.customer_id
    paper = keep_paper(document, lambda: pages(document), system=system, customer=customer)
    file = sign_paper(paper, login=author, signer=name_of(author), reason=TITLE, at=utc_now())
    with transaction() as session:
        issuing.release(
            session, report, paper, file,
            calendar=calendar, vendor=settings.vendor, at=utc_now(),
        )  # fmt: skip
    return paper


def _document(session: Session, report: int) -> Document:
    return issuing.document_of(
        session, report, calendar=working_calendar(), vendor=read_settings().vendor
    )


def hand_over(
    report: int, form: HandOverForm, files: Sequence[Evidence], *, by: str, at: datetime
) -> None:
    """Record that an issued report was handed over 当面送达, with what proves it.

    Raise `InputError` for one that is not issued, `Refused` for a time that cannot be.
    """
    said = f"当面送达，签收人：{form.received_by}（{moment(form.handed_at)}）"
    remark = f"{said}；{form.remark}" if form.remark else said
    backing = Backing(remark, files=tuple(files))
    with transaction() as session:
        issuing.note_handed(
            session, report, form.handed_at, backing,
            calendar=working_calendar(), by=by, at=at,
        )  # fmt: skip


def follow_reports() -> int:
    """Carry on with every report that waits for nobody; return how many moved on.

    Issues what was approved, records what the customer's server accepted and what came back signed.
    Raise the first trouble after all reports were tried.
    """
    troubles: list[MailcareError] = []
    moved = 0
    for state, carry_on in FOLLOWED.items():
        for report in _in_state(state):
            try:
                moved += carry_on(report)
            except MailcareError as error:
                troubles.append(error)
    if troubles:
        raise troubles[0]
    return moved


def _in_state(state: ReportState) -> Sequence[int]:
    with reading() as session:
        waiting = select(FaultReport.id).where(FaultReport.state == state)
        return session.scalars(waiting.order_by(FaultReport.id).limit(FOLLOWED_MOST)).all()


def _issue_now(report: int) -> bool:
    return issue(report) is not None


def _note_arrival(report: int) -> bool:
    calendar = working_calendar()
    with transaction() as session:
        return issuing.note_arrival(session, report, calendar=calendar, at=utc_now())


def _note_signature(report: int) -> bool:
    calendar = working_calendar()
    with transaction() as session:
        return issuing.note_signature(session, report, calendar=calendar, at=utc_now())


FOLLOWED: Mapping[ReportState, Callable[[int], bool]] = {
    ReportState.APPROVED: _issue_now,
    ReportState.ISSUED: _note_arrival,
    ReportState.SENT: _note_signature,
}


def review_runs() -> list[dict[str, Any]]:
    """Return what starts the runs in which a report is reviewed in Airflow, one a submission."""
    waiting = (
        select(FaultReport.id, FaultReport.version, FaultReport.submissions, Fault.number)
        .join(Fault, Fault.id == FaultReport.fault_id)
        .where(
            FaultReport.state == ReportState.IN_REVIEW,
            FaultReport.runs_begun < FaultReport.submissions,
        )
        .order_by(FaultReport.id)
        .limit(FOLLOWED_MOST)
    )
    with reading() as session:
        return [
            {
                "trigger_dag_id": "handle_fault",
                "trigger_run_id": f"report__{one.number}__{one.id}__{one.submissions}",
                "conf": {"report": one.id, "version": one.version},
            }
            for one in session.execute(waiting)
        ]


def begin_review(report: int, version: int) -> str:
    """Say that a run has taken up the review of a report's version, and return what it is about.

    The sentence is empty where that version waits for no decision.
    """
    with transaction() as session:
        session.execute(
            update(FaultReport)
            .where(FaultReport.id == report)
            .values(runs_begun=FaultReport.submissions)
        )
        detail = lists.report_detail(session, report)
    row = detail.row
    if row.state != ReportState.IN_REVIEW or detail.version != version:
        return ""
    return f"{row.number} {row.customer}（{row.level}），{row.author} 提交"


def figures(period: PeriodForm) -> FaultFigures:
    """Return the figures of the faults that were declared in some days."""
    # pandas takes most of a second to import; the sweep of every minute counts nothing.
    from mailcare.reports.statistics import (  # noqa: PLC0415
        Grouping,
        breaches,
        figures_by,
        figures_of_all,
        trend,
    )

    told = _told(period)
    return FaultFigures(
        overall=figures_of_all(told),
        groups={one: figures_by(told, one) for one in Grouping},
        chart=trend(told),
        breaches=breaches(told),
    )


def figures_file(period: PeriodForm) -> bytes:
    """Return the same figures as an Excel file."""
    from mailcare.reports.tables import figures_xlsx  # noqa: PLC0415

    return figures_xlsx(_told(period), since=period.since, until=period.until)


def _told(period: PeriodForm) -> tuple["Told", ...]:
    from mailcare.reports.gathering import gather  # noqa: PLC0415

    calendar = working_calendar()
    with reading() as session:
        return gather(session, period.since, period.until, calendar=calendar, now=utc_now())

"""Papers: the inspection's report, and every paper's list and files."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, Text, func, select

from mailcare.clock import BEIJING
from mailcare.errors import InputError, MailcareError
from mailcare.files import write_whole
from mailcare.inspection import steps as inspection_steps
from mailcare.inspection.checks import all_checks
from mailcare.inspection.comparison import Past
from mailcare.inspection.outcome import findings_document, write_replies
from mailcare.inspection.proceedings import Proceedings, record_of_file
from mailcare.inspection.run import Inspection, areas, given_by_file
from mailcare.listing import Page, Wish
from mailcare.papers.actions import action_list
from mailcare.papers.document import Document
from mailcare.papers.inspection import Remarks, inspection_report
from mailcare.papers.keeping import keep_paper, latest_version, pages
from mailcare.papers.numbering import Series, paper_number
from mailcare.papers.render import print_pdf, render_html
from mailcare.papers.statistics import statistics_xlsx
from mailcare.progress import Progress
from mailcare.records.customers import Customer, System
from mailcare.records.paging import page_of, searched, sorted_by
from mailcare.records.papers import FileKind, Paper, PaperFile
from mailcare.records.session import reading
from mailcare.settings import read_settings


@dataclass(frozen=True, slots=True)
class PaperRow:
    """A version of a paper as the list shows it; `kinds` are those of its files, spaces between.

    A paper about a customer names no system, one about the whole desk neither.
    """

    id: int
    number: str
    version: int
    template: str
    system_id: int | None
    system: str | None
    customer_id: int | None
    customer: str | None
    made_at: datetime
    kinds: str


@dataclass(frozen=True, slots=True)
class PaperBody:
    """A rendered file, as it was stored."""

    name: str
    media_type: str
    body: bytes


MEDIA_TYPES = {
    FileKind.PDF: "application/pdf",
    FileKind.HTML: "text/html; charset=utf-8",
    FileKind.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    FileKind.SIGNED: "application/pdf",
}
WRITTEN = (FileKind.PDF, FileKind.HTML, FileKind.XLSX)  # what a file name's ending can ask for
ENDINGS = {kind: f".{kind}" for kind in FileKind} | {FileKind.SIGNED: "-signed.pdf"}


def list_papers(wish: Wish, *, system: int | None = None) -> Page[PaperRow]:
    """Return a page of papers, every version, the newest first; with `system` only that one's.

    Searched by number, customer, system and site; sorts: number customer system made_at.
    """
    statement = (
        select(
            Paper.id,
            Paper.number,
            Paper.version,
            Paper.template,
            Paper.system_id,
            System.title.label("system"),
            Paper.customer_id,
            Customer.name.label("customer"),
            Paper.created_at.label("made_at"),
            _kinds().label("kinds"),
        )
        .outerjoin(System, System.id == Paper.system_id)
        .outerjoin(Customer, Customer.id == Paper.customer_id)
    )
    if system is not None:
        statement = statement.where(Paper.system_id == system)
    columns = {
        "number": Paper.number,
        "customer": Customer.name,
        "system": System.title,
        "made_at": Paper.created_at,
    }
    statement = searched(statement, wish, (Paper.number, Customer.name, System.title, System.site))
    statement = sorted_by(statement, wish, columns, (Paper.id.desc(),))
    with reading() as session:
        return page_of(session, statement, wish, PaperRow)


def _kinds() -> ColumnElement[str]:
    kinds = select(func.aggregate_strings(PaperFile.kind.cast(Text), " "))
    return kinds.where(PaperFile.paper_id == Paper.id).scalar_subquery()


def paper_file(paper: int, kind: str) -> PaperBody:
    """Return a rendered file of a paper, after holding it against its stored SHA-256.

    Raise `InputError` where there is none, `MailcareError` where it is no longer what was stored.
    """
    missing = InputError("没有这份文件", subject=f"{paper}.{kind}")
    if kind not in list(FileKind):
        raise missing
    of_kind = (
        select(Paper.number, Paper.version, PaperFile.kind, PaperFile.sha256, PaperFile.body)
        .join(PaperFile, PaperFile.paper_id == Paper.id)
        .where(Paper.id == paper, PaperFile.kind == FileKind(kind))
    )
    with reading() as session:
        found = session.execute(of_kind).one_or_none()
    if found is None:
        raise missing
    name = f"{found.number}-v{found.version}{ENDINGS[found.kind]}"
    if hashlib.sha256(found.body).hexdigest() != found.sha256:
        raise MailcareError("文件与登记的 SHA-256 不符，可能已损坏，请从备份恢复", subject=name)
    return PaperBody(name, MEDIA_TYPES[found.kind], found.body)


def write_outcome(inspection: Inspection, out: Path, *, progress: Progress) -> list[Path]:
    """Write an inspection's six files into a folder and return their paths.

    Raise `Unavailable` where a file cannot be written; those written before stay.
    """
    site = inspection.system.site.site
    number = f"XJ-{site}-{inspection.started_at.astimezone(BEIJING):%Y%m%d-%H%M%S}"
    record = record_of_file(
        inspection.system, inspection.answers, given_by_file(inspection.system.site)
    )
    document = _report(inspection, number, record=record)
    progress.stage("生成报告", 6)
    written = []
    for name, body in _outcome(inspection, document):
        written.append(write_whole(out / name, body))
        progress.step(name)
    return written


def _outcome(inspection: Inspection, document: Document) -> Iterator[tuple[str, bytes]]:
    # The replies first: they cannot be had again, all else is made from them.
    yield "replies.jsonl", write_replies(inspection.answers)
    yield "findings.json", _findings_json(inspection)
    for kind, body in _files(inspection, document):
        yield f"{'statistics' if kind is FileKind.XLSX else 'report'}.{kind}", body
    yield "actions.pdf", print_pdf(render_html(_actions(inspection, document.number)))


def _files(
    inspection: Inspection, document: Document, *, past: Sequence[Past] = ()
) -> Iterator[tuple[FileKind, bytes]]:
    yield (
        FileKind.XLSX,
        statistics_xlsx(
            inspection.results,
            all_checks(),
            about={"客户名称": inspection.system.site.customer.name, "文件编号": document.number},
            past=past,
        ),
    )
    yield from pages(document)


def _findings_json(inspection: Inspection) -> bytes:
    content = findings_document(
        inspection.system.site.site,
        inspection.results,
        areas(),
        started_at=inspection.started_at,
        finished_at=inspection.finished_at,
    )
    return json.dumps(content, ensure_ascii=False, indent=2).encode()


def _report(
    inspection: Inspection,
    number: str,
    *,
    record: Proceedings,
    past: Sequence[Past] | None = None,
) -> Document:
    settings = read_settings()
    return inspection_report(
        inspection.system,
        inspection.results,
        all_checks(),
        number=number,
        started_at=inspection.started_at,
        finished_at=inspection.finished_at,
        record=record,
        past=past,
        remarks=Remarks(vendor=settings.vendor, feedback_address=settings.feedback_address),
    )


def _actions(inspection: Inspection, number: str) -> Document:
    return action_list(
        inspection.system,
        inspection.results,
        all_checks(),
        number=number,
        finished_at=inspection.finished_at,
        vendor=read_settings().vendor,
    )


def inspection_number(identity: int) -> str:
    """Return the document number of an inspection's report."""
    started_at = inspection_steps.recorded(identity).started_at
    return paper_number(Series.INSPECTION, identity, at=started_at)


def render_inspection(identity: int) -> int:
    """Return the report of an inspection's current judgement, rendered where it is new.

    Equal content is the same version and is never rendered twice. The engineer's action list is a
    paper of its own, kept beside the report and never delivered.
    """
    inspection = inspection_steps.recorded(identity)
    past = inspection_steps.earlier(identity)
    record = inspection_steps.proceedings(identity)
    system = inspection_steps.system_of(identity)
    document = _report(inspection, inspection_number(identity), record=record, past=past)
    actions = _actions(inspection, document.number)
    keep_paper(actions, lambda: pages(actions), system=system, customer=None)
    return keep_paper(
        document, lambda: _files(inspection, document, past=past), system=system, customer=None
    )


def write_paper(number: str, out: Path) -> Path:
    """Write the latest version of a paper to a file; its ending says which kind.

    Raise `InputError` for an unknown number or ending.
    """
    kind = out.suffix.removeprefix(".").lower() or FileKind.PDF
    if kind not in WRITTEN:
        raise InputError("只能写成 .pdf、.html 或 .xlsx", subject=str(out))
    with reading() as session:
        paper = latest_version(session, number)
        if paper is None:
            raise InputError("没有这个编号的报告", subject=number)
        body = next((file.body for file in paper.files if file.kind == kind), None)
        if body is None:
            raise InputError(f"这份文件没有 .{kind} 格式", subject=number)
    return write_whole(out, body)

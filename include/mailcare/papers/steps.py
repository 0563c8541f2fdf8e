"""Papers: the inspection's report, and every paper's list and files."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, Text, func, select

from mailcare.backup.standing import last_lines
from mailcare.clock import BEIJING
from mailcare.errors import InputError
from mailcare.files import write_whole
from mailcare.inspection import steps as inspection_steps
from mailcare.inspection.checks import all_checks
from mailcare.inspection.comparison import Past
from mailcare.inspection.outcome import findings_document, write_replies
from mailcare.inspection.proceedings import Proceedings, record_of_file
from mailcare.inspection.run import Inspection, areas, given_by_file, measured_span
from mailcare.listing import Page, Wish
from mailcare.papers.actions import action_list
from mailcare.papers.backup_lines import BackupLine
from mailcare.papers.document import Document
from mailcare.papers.inspection import Remarks, inspection_report
from mailcare.papers.keeping import PaperBody, keep_paper, latest_version, pages, paper_file
from mailcare.papers.numbering import Series, paper_number
from mailcare.papers.onsite import OnSite, Picture
from mailcare.papers.pades import Signature
from mailcare.papers.pictures import shown_pictures
from mailcare.papers.render import print_pdf, render_html
from mailcare.papers.signing import (
    Returned,
    file_signed_return,
    name_of,
    returned_file,
    returns_of,
    sign_paper,
    signatures_of,
    verify_file,
)
from mailcare.papers.statistics import statistics_xlsx
from mailcare.papers.topology import topology
from mailcare.progress import Progress
from mailcare.records.customers import Customer, System
from mailcare.records.paging import Statement, page_of, rows_of, searched, sorted_by
from mailcare.records.papers import FileKind, Paper, PaperFile
from mailcare.records.session import reading
from mailcare.settings import read_settings
from mailcare.systems import system as systems
from mailcare.systems.site import Site

__all__ = [
    "PaperBody",
    "file_signed_return",
    "paper_file",
    "returned_file",
    "verify_file",
]


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


WRITTEN = (FileKind.PDF, FileKind.HTML, FileKind.XLSX)  # what a file name's ending can ask for


@dataclass(frozen=True, slots=True)
class FileRow:
    """A rendered file of a paper, without its body."""

    kind: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PaperDetail:
    """A version of a paper with its files, its signatures and what the customer sent back.

    `versions` are the ids of all versions of its number, by version.
    """

    row: PaperRow
    files: tuple[FileRow, ...]
    signatures: tuple[Signature, ...]
    returned: tuple[Returned, ...]
    versions: dict[int, int]


def paper_detail(paper: int) -> PaperDetail:
    """Return a version of a paper whole; raise `InputError` for one that is not kept."""
    with reading() as session:
        rows = rows_of(session, _rows().where(Paper.id == paper), PaperRow)
        if not rows:
            raise InputError("没有这份文书", subject=str(paper))
        of_paper = (
            select(PaperFile.kind, PaperFile.sha256, PaperFile.size_bytes)
            .where(PaperFile.paper_id == paper)
            .order_by(PaperFile.id)
        )
        files = rows_of(session, of_paper, FileRow)
        of_number = select(Paper.version, Paper.id).where(Paper.number == rows[0].number)
        versions = {one.version: one.id for one in session.execute(of_number)}
    signed = signatures_of(paper)
    return PaperDetail(rows[0], files, signed, returns_of(paper), dict(sorted(versions.items())))


def is_internal(paper: int) -> bool:
    """Tell whether a paper is about the whole desk, and so about every customer.

    Raise `InputError` for one that is not kept.
    """
    with reading() as session:
        kept = session.get(Paper, paper)
    if kept is None:
        raise InputError("没有这份文书", subject=str(paper))
    return kept.customer_id is None


def sign_as(paper: int, *, login: str, at: datetime) -> int:
    """Sign a paper as the engineer who is logged in, and return the signed file's id.

    The name on the seal is that of the staff list, the login where it names nobody.
    """
    with reading() as session:
        kept = session.get(Paper, paper)
    if kept is None:
        raise InputError("没有这份文书", subject=str(paper))
    reason = str(kept.content.get("title", kept.number))
    return sign_paper(paper, login=login, signer=name_of(login), reason=reason, at=at)


def system_diagram(system: int, *, say: Callable[[str], str] = str) -> str:
    """Return the architecture that a system's site file registers, as inline SVG.

    `say` gives its words in the reader's language.
    """
    # Matplotlib takes half a second to import; no other page needs it.
    from mailcare.papers.diagram import draw_topology  # noqa: PLC0415

    with reading() as session:
        site = Site.model_validate(session.get_one(System, system).definition)
    return draw_topology(topology(systems.System(site, site.profile())), say=say)


def list_papers(wish: Wish, *, system: int | None = None) -> Page[PaperRow]:
    """Return a page of papers, every version, the newest first; with `system` only that one's.

    Searched by number, customer, system and site; sorts: number customer system made_at.
    """
    statement = _rows()
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


def _rows() -> Statement:
    return (
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


def _kinds() -> ColumnElement[str]:
    kinds = select(func.aggregate_strings(PaperFile.kind.cast(Text), " "))
    return kinds.where(PaperFile.paper_id == Paper.id).scalar_subquery()


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
    inspection: Inspection,
    document: Document,
    *,
    past: Sequence[Past] = (),
    photos: Sequence[Picture] = (),
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
    yield from pages(document, pictures=shown_pictures(photos))


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
    backups: Sequence[BackupLine] = (),
    onsite: OnSite | None = None,
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
        remarks=Remarks(
            settings.vendor,
            settings.feedback_address,
            onsite.written() if onsite else {},
            onsite,
        ),
        backups=backups,
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
    document = _report(
        inspection,
        inspection_number(identity),
        record=record,
        past=past,
        backups=last_lines(system, until=inspection.finished_at),
    )
    actions = _actions(inspection, document.number)
    keep_paper(actions, lambda: pages(actions), system=system, customer=None)
    return keep_paper(
        document, lambda: _files(inspection, document, past=past), system=system, customer=None
    )


def render_visit(identity: int, onsite: OnSite) -> int:
    """Return the report of a visit, whose inspection is closed; rendered where it is new.

    What was collected before anybody could write the visit's start down belongs to it, too.
    """
    inspection = inspection_steps.recorded(identity)
    span = measured_span(inspection.answers)
    if span:
        inspection = replace(inspection, started_at=min(span[0], inspection.started_at))
    past = inspection_steps.earlier(identity)
    record = inspection_steps.proceedings(identity)
    system = inspection_steps.system_of(identity)
    document = _report(
        inspection,
        onsite.number,
        record=record,
        past=past,
        backups=last_lines(system, until=inspection.finished_at),
        onsite=onsite,
    )
    return keep_paper(
        document,
        lambda: _files(inspection, document, past=past, photos=onsite.pictures),
        system=system,
        customer=None,
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

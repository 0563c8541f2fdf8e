"""Papers: build, render and store them, each version once."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.errors import InputError
from mailcare.files import write_whole
from mailcare.inspection import steps as inspection_steps
from mailcare.inspection.checks import all_checks
from mailcare.inspection.outcome import findings_document, write_replies
from mailcare.inspection.run import Inspection, areas
from mailcare.papers.document import Document
from mailcare.papers.formats import BEIJING
from mailcare.papers.inspection import Remarks, inspection_report
from mailcare.papers.render import print_pdf, render_html
from mailcare.papers.statistics import statistics_xlsx
from mailcare.progress import Progress
from mailcare.records.papers import FileKind, Paper, PaperFile
from mailcare.records.session import reading, transaction
from mailcare.settings import read_settings


def write_outcome(inspection: Inspection, out: Path, *, progress: Progress) -> list[Path]:
    """Write an inspection's five files into a folder and return their paths.

    Raise `Unavailable` where a file cannot be written; those written before stay.
    """
    site = inspection.system.site.site
    number = f"XJ-{site}-{inspection.started_at.astimezone(BEIJING):%Y%m%d-%H%M%S}"
    document = _report(inspection, number)
    progress.stage("生成报告", 5)
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


def _files(inspection: Inspection, document: Document) -> Iterator[tuple[FileKind, bytes]]:
    yield (
        FileKind.XLSX,
        statistics_xlsx(
            inspection.results,
            all_checks(),
            about={"客户名称": inspection.system.site.customer.name, "文件编号": document.number},
        ),
    )
    html = render_html(document)
    yield FileKind.HTML, html.encode()
    yield FileKind.PDF, print_pdf(html)


def _findings_json(inspection: Inspection) -> bytes:
    content = findings_document(
        inspection.system.site.site,
        inspection.results,
        areas(),
        started_at=inspection.started_at,
        finished_at=inspection.finished_at,
    )
    return json.dumps(content, ensure_ascii=False, indent=2).encode()


def _report(inspection: Inspection, number: str) -> Document:
    settings = read_settings()
    return inspection_report(
        inspection.system,
        inspection.results,
        all_checks(),
        number=number,
        started_at=inspection.started_at,
        finished_at=inspection.finished_at,
        remarks=Remarks(vendor=settings.vendor, feedback_address=settings.feedback_address),
    )


def inspection_number(identity: int) -> str:
    """Return the document number of an inspection's report."""
    started_at = inspection_steps.recorded(identity).started_at.astimezone(BEIJING)
    return f"XJ-{started_at:%Y}-{identity:05d}"


def render_inspection(identity: int) -> int:
    """Return the paper of an inspection's current judgement, rendered where it is new.

    Equal content is the same version and is never rendered twice.
    """
    inspection = inspection_steps.recorded(identity)
    document = _report(inspection, inspection_number(identity))
    with reading() as session:
        known = _version(session, document.number, document.fingerprint())
    if known:
        return known.id
    files = dict(_files(inspection, document))
    return _keep(inspection_steps.system_of(identity), document, files)


def _version(session: Session, number: str, fingerprint: str) -> Paper | None:
    return session.scalar(
        select(Paper).where(Paper.number == number, Paper.fingerprint == fingerprint)
    )


def _keep(system: int, document: Document, files: dict[FileKind, bytes]) -> int:
    with transaction() as session:
        if known := _version(session, document.number, document.fingerprint()):
            return known.id
        latest = _latest(session, document.number)
        paper = Paper(
            system_id=system,
            number=document.number,
            version=latest.version + 1 if latest else 1,
            template=document.template,
            template_version=str(document.template_version),
            content=dict(document.content),
            fingerprint=document.fingerprint(),
            files=[
                PaperFile(
                    kind=kind,
                    sha256=hashlib.sha256(body).hexdigest(),
                    size_bytes=len(body),
                    body=body,
                )
                for kind, body in files.items()
            ],
        )
        session.add(paper)
        session.flush()
        return paper.id


def _latest(session: Session, number: str) -> Paper | None:
    return session.scalar(
        select(Paper).where(Paper.number == number).order_by(Paper.version.desc()).limit(1)
    )


def write_paper(number: str, out: Path) -> Path:
    """Write the latest version of a paper to a file; its ending says which kind.

    Raise `InputError` for an unknown number or ending.
    """
    kind = out.suffix.removeprefix(".").lower() or FileKind.PDF
    if kind not in list(FileKind):
        raise InputError("只能写成 .pdf、.html 或 .xlsx", subject=str(out))
    with reading() as session:
        paper = _latest(session, number)
        if paper is None:
            raise InputError("没有这个编号的报告", subject=number)
        body = next(file.body for file in paper.files if file.kind == kind)
    return write_whole(out, body)

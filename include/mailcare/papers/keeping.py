"""Keep papers of any kind, each version once, and find them again."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.errors import InputError, MailcareError
from mailcare.papers.document import Document
from mailcare.papers.render import NONE, print_pdf, render_html
from mailcare.records.changes import take_turns
from mailcare.records.customers import System
from mailcare.records.papers import FileKind, Paper, PaperFile
from mailcare.records.session import reading, transaction

Render = Callable[[], Iterable[tuple[FileKind, bytes]]]


@dataclass(frozen=True, slots=True)
class KeptPaper:
    """A version of a paper as it is kept, without its files."""

    id: int
    number: str
    version: int
    template: str
    fingerprint: str
    customer: int | None
    system: int | None
    made_at: datetime


@dataclass(frozen=True, slots=True)
class PaperBody:
    """A file as it was stored."""

    name: str
    media_type: str
    body: bytes


MEDIA_TYPES = {
    FileKind.PDF: "application/pdf",
    FileKind.HTML: "text/html; charset=utf-8",
    FileKind.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    FileKind.SIGNED: "application/pdf",
}
ENDINGS = {kind: f".{kind}" for kind in FileKind} | {FileKind.SIGNED: "-signed.pdf"}


def keep_paper(
    document: Document, files: Render, *, system: int | None, customer: int | None
) -> int:
    """Return the version of a paper with this content, rendered and kept where it is new.

    `files` renders it; it is not called where the same content is kept already, and runs outside of
    any transaction. The customer of a paper about a system is the system's own. Two processes that
    keep the same content at once get the same version.
    """
    with reading() as session:
        known = _version(session, document)
    return known.id if known else _keep(document, dict(files()), system, customer)


def pages(
    document: Document, *, pictures: Mapping[str, str] = NONE
) -> Iterator[tuple[FileKind, bytes]]:
    """Render a document as HTML and PDF; `pictures` as `render_html` takes them."""
    html = render_html(document, pictures=pictures)
    yield FileKind.HTML, html.encode()
    yield FileKind.PDF, print_pdf(html)


def latest_paper(number: str) -> KeptPaper | None:
    """Return the latest version of a paper, None where there is no such number."""
    with reading() as session:
        paper = latest_version(session, number)
        return _kept(paper) if paper else None


def latest_version(session: Session, number: str) -> Paper | None:
    """Return the row of the latest version of a paper."""
    return session.scalar(
        select(Paper).where(Paper.number == number).order_by(Paper.version.desc()).limit(1)
    )


def _kept(paper: Paper) -> KeptPaper:
    return KeptPaper(
        paper.id,
        paper.number,
        paper.version,
        paper.template,
        paper.fingerprint,
        paper.customer_id,
        paper.system_id,
        paper.created_at,
    )


def _version(session: Session, document: Document) -> Paper | None:
    return session.scalar(
        select(Paper).where(
            Paper.number == document.number, Paper.fingerprint == document.fingerprint()
        )
    )


def _keep(
    document: Document, files: dict[FileKind, bytes], system: int | None, customer: int | None
) -> int:
    with transaction() as session:
        take_turns(session, f"paper/{document.number}")
        if known := _version(session, document):
            return known.id
        latest = latest_version(session, document.number)
        paper = Paper(
            customer_id=session.get_one(System, system).customer_id if system else customer,
            system_id=system,
            number=document.number,
            version=latest.version + 1 if latest else 1,
            template=document.template,
            template_version=str(document.template_version),
            content=dict(document.content),
            fingerprint=document.fingerprint(),
            files=[PaperFile(**file_values(kind, body)) for kind, body in files.items()],
        )
        session.add(paper)
        session.flush()
        return paper.id


def file_values(kind: FileKind, body: bytes) -> dict[str, object]:
    """Return what the row of a rendered file holds, its paper aside."""
    digest = hashlib.sha256(body).hexdigest()
    return {"kind": kind, "sha256": digest, "size_bytes": len(body), "body": body}


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

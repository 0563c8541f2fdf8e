"""Keep papers of any kind, each version once, and find them again."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.papers.document import Document
from mailcare.papers.render import print_pdf, render_html
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


def pages(document: Document) -> Iterator[tuple[FileKind, bytes]]:
    """Render a document as HTML and PDF."""
    html = render_html(document)
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
            files=[paper_file(kind, body) for kind, body in files.items()],
        )
        session.add(paper)
        session.flush()
        return paper.id


def paper_file(kind: FileKind, body: bytes) -> PaperFile:
    """Return the row of a rendered file."""
    return PaperFile(
        kind=kind,
        sha256=hashlib.sha256(body).hexdigest(),
        size_bytes=len(body),
        body=body,
    )

"""Reviews: the seam between the records, the papers, and those who ask for a year's figures."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy.orm import Session

from mailcare.calendars.steps import today
from mailcare.clock import utc_now
from mailcare.errors import InputError
from mailcare.listing import Page, Wish
from mailcare.papers.document import Document
from mailcare.papers.keeping import KeptPaper, keep_paper, latest_paper, pages
from mailcare.papers.numbering import Series, paper_number
from mailcare.papers.review import review_document, review_xlsx
from mailcare.records.audit import note_change
from mailcare.records.papers import FileKind
from mailcare.records.reviews import Review
from mailcare.records.session import reading, transaction
from mailcare.reviews import lists, opening, sending
from mailcare.reviews.desk import desk_sections
from mailcare.reviews.facts import Span
from mailcare.reviews.gathering import customer_year, desk_year
from mailcare.reviews.lists import ReviewRow
from mailcare.reviews.section import Section
from mailcare.reviews.sections import customer_sections
from mailcare.settings import read_settings


@dataclass(frozen=True, slots=True)
class ReviewDetail:
    """A review's figures as of now, and the latest version of its paper, if one was made."""

    number: str
    customer: str
    span: Span
    sections: tuple[Section, ...]
    paper: KeptPaper | None


def open_review(
    *,
    service: int | None = None,
    contract: str | None = None,
    year: int | None = None,
    by: str = opening.PLANNER,
) -> int:
    """Return the review of a planned service, else of a contract's year, else of the desk's.

    Without `year` it is that of today. Raise `InputError` for what is not recorded.
    """
    on, now = today(), utc_now()
    with transaction() as session:
        if service is not None:
            return opening.open_service(session, service, at=now)
        if contract:
            return opening.open_contract(session, contract, year, today=on, by=by, at=now)
        return opening.open_desk(session, on.year if year is None else year, by=by, at=now)


def render_review(review: int, *, by: str = opening.PLANNER) -> int:
    """Make a review's paper of the figures as they are now and return the review.

    Equal figures are the same version and are never rendered twice.
    """
    with reading() as session:
        row = opening.find_review(session, review)
        customer_id = _customer_id(session, row)
        customer, span, sections = _sections(session, row)
    document = review_document(
        sections,
        number=_number(row),
        customer=customer,
        span=span,
        vendor=read_settings().vendor,
    )
    keep_paper(document, lambda: _files(document, sections), system=None, customer=customer_id)
    with transaction() as session:
        subject = f"review/{review}"
        note_change(session, by=by, at=utc_now(), action="render", subject=subject)
    return review


def deliver_review(review: int, *, by: str = opening.PLANNER) -> int:
    """Post the latest version of a review's paper and return how many letters are new.

    Raise `InputError` where it was not made yet, or its customer has nobody who gets papers.
    """
    with transaction() as session:
        row = opening.find_review(session, review)
        paper = latest_paper(_number(row))
        if paper is None:
            raise InputError("这份年度服务报告还没有生成", subject=_number(row))
        vendor, now = read_settings().vendor, utc_now()
        note_change(session, by=by, at=now, action="deliver", subject=f"review/{review}")
        return sending.post_review(session, row, paper, vendor=vendor, at=now)


def review_detail(review: int) -> ReviewDetail:
    """Return a review with the figures as they are now; `InputError` for one not recorded."""
    with reading() as session:
        row = opening.find_review(session, review)
        customer, span, sections = _sections(session, row)
        number = _number(row)
    return ReviewDetail(number, customer, span, sections, latest_paper(number))


def list_reviews(wish: Wish) -> Page[ReviewRow]:
    """Return a page of reviews, the newest first; sorts: customer contract first_on opened_at."""
    with reading() as session:
        return lists.review_rows(session, wish)


def _number(row: Review) -> str:
    return paper_number(Series.REVIEW, row.id, at=row.opened_at)


def _customer_id(session: Session, row: Review) -> int | None:
    return sending.customer_of(session, row).id if row.contract_id else None


def _sections(session: Session, row: Review) -> tuple[str, Span, tuple[Section, ...]]:
    """Return the customer's name (empty for the desk), the days, and the sections."""
    span = Span(row.first_on, row.last_on, today())
    if row.contract_id is None:
        return "", span, desk_sections(desk_year(session, span))
    year = customer_year(session, row.contract_id, row.contract_year or 0, span)
    return year.customer, span, customer_sections(year)


def _files(document: Document, sections: tuple[Section, ...]) -> Iterator[tuple[FileKind, bytes]]:
    yield FileKind.XLSX, review_xlsx(sections)
    yield from pages(document)

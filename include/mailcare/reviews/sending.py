"""Hand a review to the outbox: to its customer's contacts, the desk's to the managers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailcare.delivery.outbox import Draft, FileReference, post
from mailcare.errors import InputError
from mailcare.papers.keeping import KeptPaper
from mailcare.records.alerts import Rung, StaffMember
from mailcare.records.changes import move
from mailcare.records.contracts import Contract
from mailcare.records.customers import Contact, Customer
from mailcare.records.deliveries import DeliveryChannel
from mailcare.records.inspections import Service, ServiceKind, ServiceState
from mailcare.records.papers import FileKind, PaperFile
from mailcare.records.reviews import Review

ENCLOSED = (FileKind.PDF, FileKind.XLSX)
BODY = """{name}：

您好！{about}的年度服务报告（编号 {number}，第 {version} 版，{first_on} 至 {last_on}）已完成，
随信附上 PDF 与 Excel 文件，请查收。

{vendor}
"""


@dataclass(frozen=True, slots=True)
class _Reader:
    name: str
    email: str


def post_review(
    session: Session, review: Review, paper: KeptPaper, *, vendor: str, at: datetime
) -> int:
    """Post a version of a review once to each reader and return how many letters are new.

    A customer's planned service is done with it. Raise `InputError` where the customer has nobody
    who gets papers.
    """
    customer = customer_of(session, review) if review.contract_id else None
    readers = tuple(_contacts(session, customer) if customer else _managers(session))
    if customer and not readers:
        raise InputError("客户没有接收文书的联系人或其邮箱", subject=customer.name)
    files = _files(session, paper)
    drafts = (_draft(review, paper, customer, one, files=files, vendor=vendor) for one in readers)
    added = sum(post(session, draft, at=at) is not None for draft in drafts)
    _finish(session, review, at=at)
    return added


def customer_of(session: Session, review: Review) -> Customer:
    """Return the customer whose contract a review is about."""
    contract = session.get_one(Contract, review.contract_id)
    return session.get_one(Customer, contract.customer_id)


def _contacts(session: Session, customer: Customer) -> Iterator[_Reader]:
    people = select(Contact).where(Contact.customer_id == customer.id, Contact.gets_papers)
    for one in session.scalars(people.order_by(Contact.id)):
        if one.email:
            yield _Reader(one.name, one.email)


def _managers(session: Session) -> Iterator[_Reader]:
    people = select(StaffMember).where(StaffMember.rung == Rung.MANAGER, StaffMember.is_active)
    for one in session.scalars(people.order_by(StaffMember.id)):
        yield _Reader(one.name, one.email)


def _files(session: Session, paper: KeptPaper) -> tuple[FileReference, ...]:
    rows = session.execute(
        select(PaperFile.id, PaperFile.kind)
        .where(PaperFile.paper_id == paper.id, PaperFile.kind.in_(ENCLOSED))
        .order_by(PaperFile.kind)
    )
    name = f"年度服务报告-{paper.number}-v{paper.version}"
    return tuple(FileReference(f"{name}.{kind}", paper_file=file) for file, kind in rows)


def _draft(
    review: Review,
    paper: KeptPaper,
    customer: Customer | None,
    reader: _Reader,
    *,
    files: tuple[FileReference, ...],
    vendor: str,
) -> Draft:
    about = customer.name if customer else "全部客户"
    return Draft(
        key=f"{paper.number}-v{paper.version}/{reader.email}",
        channel=DeliveryChannel.SMTP,
        recipient=reader.email,
        subject=f"【年度服务报告】{about} {paper.number}",
        body=BODY.format(
            name=reader.name,
            about=about,
            number=paper.number,
            version=paper.version,
            first_on=review.first_on,
            last_on=review.last_on,
            vendor=vendor,
        ),
        attachments=files,
        paper=paper.id,
        customer=customer.id if customer else None,
    )


def _finish(session: Session, review: Review, *, at: datetime) -> None:
    planned = select(Service.id).where(
        Service.kind == ServiceKind.REVIEW,
        Service.contract_id == review.contract_id,
        Service.contract_year == review.contract_year,
    )
    running, done = ServiceState.RUNNING, ServiceState.DONE
    for service in session.scalars(planned).all():
        move(session, Service, service, from_state=running, to_state=done, at=at)

"""The list of reviews."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailcare.listing import Page, Wish
from mailcare.records.contracts import Contract
from mailcare.records.customers import Customer
from mailcare.records.paging import page_of, searched, sorted_by
from mailcare.records.reviews import Review


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """A review as its list shows it; `customer` and `contract` are empty for the desk's own."""

    id: int
    customer: str
    contract: str
    contract_year: int | None
    first_on: date
    last_on: date
    opened_at: datetime


def review_rows(session: Session, wish: Wish) -> Page[ReviewRow]:
    """Return a page of reviews, the newest first; sorts: customer contract first_on opened_at."""
    statement = (
        select(
            Review.id,
            func.coalesce(Customer.name, "").label("customer"),
            func.coalesce(Contract.number, "").label("contract"),
            Review.contract_year,
            Review.first_on,
            Review.last_on,
            Review.opened_at,
        )
        .outerjoin(Contract, Contract.id == Review.contract_id)
        .outerjoin(Customer, Customer.id == Contract.customer_id)
    )
    columns = {
        "customer": Customer.name,
        "contract": Contract.number,
        "first_on": Review.first_on,
        "opened_at": Review.opened_at,
    }
    statement = searched(statement, wish, (Customer.name, Contract.number))
    statement = sorted_by(statement, wish, columns, (Review.opened_at.desc(), Review.id.desc()))
    return page_of(session, statement, wish, ReviewRow)

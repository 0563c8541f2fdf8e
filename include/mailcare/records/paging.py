"""Search, sort and page a statement, for the lists that people look through."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from mailcare.listing import Page, Wish

RowT = TypeVar("RowT")
Statement = Select[*tuple[Any, ...]]
Column = ColumnElement[Any] | InstrumentedAttribute[Any]
Columns = Sequence[Column]


def searched(statement: Statement, wish: Wish, columns: Columns) -> Statement:
    """Keep the rows in one of whose columns the wish's text stands, in whatever case."""
    if not wish.text:
        return statement
    return statement.where(or_(*(one.icontains(wish.text, autoescape=True) for one in columns)))


def sorted_by(
    statement: Statement, wish: Wish, columns: Mapping[str, Column], usual: Columns
) -> Statement:
    """Order as wished; the usual order decides between equals, and stands for an unknown wish."""
    chosen = columns.get(wish.sort)
    if chosen is None:
        return statement.order_by(*usual)
    first = chosen.desc().nulls_last() if wish.is_descending else chosen.asc().nulls_last()
    return statement.order_by(first, *usual)


def page_of(session: Session, statement: Statement, wish: Wish, row: type[RowT]) -> Page[RowT]:
    """Return the wished page; the statement's columns are named as the fields of `row`."""
    total = session.scalar(select(func.count()).select_from(statement.order_by(None).subquery()))
    if wish.rows:
        statement = statement.limit(wish.rows).offset(wish.offset)
    return Page(rows_of(session, statement, row), total or 0, wish)


def rows_of(session: Session, statement: Statement, row: type[RowT]) -> tuple[RowT, ...]:
    """Return all rows of a statement whose columns are named as the fields of `row`."""
    return tuple(
        row(**dict(zip(found._fields, found, strict=True))) for found in session.execute(statement)
    )

"""A list that a person pages through: what is asked for, and the piece that is shown."""

from dataclasses import dataclass
from math import ceil
from typing import Generic, TypeVar

RowT = TypeVar("RowT")

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants to see of a list.

    `text` is searched for in the list's own columns, `sort` names one of them (empty: the list's
    usual order), `page` counts from 1; `rows` of 0 means all of them, for a file.
    """

    text: str = ""
    sort: str = ""
    is_descending: bool = False
    page: int = 1
    rows: int = PAGE_ROWS

    @property
    def offset(self) -> int:
        """Return how many rows stand before the page."""
        return (self.page - 1) * self.rows


@dataclass(frozen=True, slots=True)
class Page(Generic[RowT]):
    """The rows of one page, and how many there are in all."""

    rows: tuple[RowT, ...]
    total: int
    wish: Wish

    @property
    def pages(self) -> int:
        """Return how many pages there are, at least one."""
        return max(1, ceil(self.total / self.wish.rows)) if self.wish.rows else 1

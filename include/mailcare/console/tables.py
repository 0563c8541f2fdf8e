"""A list as a table: the same columns make the page and the Excel file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Depends
from openpyxl import Workbook
from openpyxl.cell import Cell as SheetCell
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from starlette.requests import Request

from mailcare.listing import PAGE_ROWS, Page, Wish
from mailcare.papers.formats import visible

RowT = TypeVar("RowT")
TEXT_CHARACTERS_MOST = 100
PAGES_MOST = 1_000_000
CELL_CHARACTERS_MOST = 32_767  # Excel's limit
FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one place of a table; `href` is below the console's root, `mark` a look."""

    text: str
    href: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Column(Generic[RowT]):
    """A column: its title, how a row fills it, and the list's name for sorting by it.

    `notes` says below the table what a word of its cells means, where one of them holds it.
    """

    title: str
    cell: Callable[[RowT], Cell | str]
    sort: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """A page of a list, ready to be shown; `path` is where the list is.

    A table that is part of a page has no path but a `name`: that of its file on the same page.
    """

    path: str
    columns: tuple[Column[Any], ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: int
    pages: int
    wish: Wish
    name: str = ""

    def link(self, **changes: Any) -> str:
        """Return where the same list is with a changed wish."""
        return f"{self.path}?{query_of(replace(self.wish, **changes))}"

    def sorted_link(self, column: Column[Any]) -> str:
        """Return where the list is sorted by a column, the other way round if it is already."""
        turned = self.wish.sort == column.sort and not self.wish.is_descending
        return self.link(sort=column.sort, is_descending=turned, page=1)

    def order_of(self, column: Column[Any]) -> str:
        """Return the word of `aria-sort` for a column."""
        if not column.sort or self.wish.sort != column.sort:
            return "none"
        return "descending" if self.wish.is_descending else "ascending"

    def sheet(self, title: str) -> bytes:
        """Return what is shown as an Excel file."""
        cells = ([cell.text for cell in row] for row in self.rows)
        return write_sheet(title, [column.title for column in self.columns], cells)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what is to be said below the table of words that stand in it."""
        return tuple(
            said
            for at, column in enumerate(self.columns)
            for word, said in column.notes.items()
            if any(word in row[at].text for row in self.rows)
        )

    @property
    def file_link(self) -> str:
        """Return where the whole list is as an Excel file."""
        return f"{self.path}.xlsx?{query_of(replace(self.wish, page=1))}"


@dataclass(frozen=True, slots=True)
class Shape(Generic[RowT]):
    """What a list is: where, its columns, and where its rows come from."""

    path: str
    title: str
    columns: tuple[Column[RowT], ...]
    fetch: Callable[[Wish], Page[RowT]] = field(repr=False)
    hint: str = "搜索"

    def table(self, wish: Wish) -> Table:
        """Return the wished page as a table."""
        page = self.fetch(wish)
        rows = tuple(cells_of(self.columns, row) for row in page.rows)
        return Table(self.path, self.columns, rows, page.total, page.pages, wish)

    def sheet(self, wish: Wish) -> bytes:
        """Return all that is wished for, not only a page of it, as an Excel file."""
        rows = self.fetch(replace(wish, page=1, rows=0)).rows
        cells = ([cell.text for cell in cells_of(self.columns, row)] for row in rows)
        return write_sheet(self.title, [column.title for column in self.columns], cells)


def plain_table(columns: Sequence[Column[RowT]], rows: Sequence[RowT]) -> Table:
    """Return a table of rows that are all there, without paging and sorting."""
    shown = tuple(cells_of(columns, row) for row in rows)
    return Table("", tuple(columns), shown, len(shown), 1, Wish(rows=0))


def cells_of(columns: Sequence[Column[RowT]], row: RowT) -> tuple[Cell, ...]:
    """Return a row's cells."""
    filled = (column.cell(row) for column in columns)
    return tuple(one if isinstance(one, Cell) else Cell(one) for one in filled)


def write_sheet(title: str, head: Sequence[str], rows: Any) -> bytes:  # noqa: ANN401 - any texts
    """Write texts as an Excel file; text is never a formula."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for number in range(len(head)):
        sheet.column_dimensions[chr(ord("A") + number)].width = 20
    sheet.append([_cell(sheet, text, is_head=True) for text in head])
    for row in rows:
        sheet.append([_cell(sheet, text) for text in row])
    body = BytesIO()
    book.save(body)
    return body.getvalue()


def _cell(sheet: Any, text: str, *, is_head: bool = False) -> SheetCell:  # noqa: ANN401
    cell = WriteOnlyCell(sheet, visible(text)[:CELL_CHARACTERS_MOST])
    cell.data_type = "s"
    # The quote prefix keeps it text after somebody edits the cell, too.
    cell.quotePrefix = text.startswith(FORMULA_MARKS)
    if is_head:
        cell.font = Font(bold=True)
    return cell


def query_of(wish: Wish) -> str:
    """Return a wish as the query of an address; what is as usual is left out."""
    said = {
        "q": wish.text,
        "sort": wish.sort,
        "desc": "1" if wish.is_descending else "",
        "page": str(wish.page) if wish.page > 1 else "",
    }
    return urlencode({name: value for name, value in said.items() if value})


def _wish(request: Request) -> Wish:
    asked = request.query_params
    page = asked.get("page", "")
    number = int(page) if page.isascii() and page.isdigit() and len(page) < 8 else 1
    return Wish(
        text="".join(one for one in asked.get("q", "") if one.isprintable())[
            :TEXT_CHARACTERS_MOST
        ].strip(),
        sort=asked.get("sort", "")[:TEXT_CHARACTERS_MOST],
        is_descending=asked.get("desc") == "1",
        page=min(max(number, 1), PAGES_MOST),
        rows=PAGE_ROWS,
    )


Wished = Annotated[Wish, Depends(_wish)]

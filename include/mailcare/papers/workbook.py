"""Tables as an Excel file; text is never a formula."""

from collections.abc import Mapping, Sequence
from io import BytesIO

import pandas as pd
from openpyxl.cell import Cell, MergedCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from mailcare.papers.formats import columns, visible

CELL_CHARACTERS_MAX = 32_767  # Excel's limit
COLUMN_WIDTHS = (8, 60)
HEADER_FILL = PatternFill("solid", fgColor="DDE5EC")
FORMULA_MARKS = ("=", "+", "-", "@")
A4 = 9  # Excel's number of the paper


def write_workbook(sheets: Mapping[str, pd.DataFrame]) -> bytes:
    """Return an Excel file with a sheet for each table, by its name."""
    body = BytesIO()
    with pd.ExcelWriter(body, engine="openpyxl") as writer:
        for name, table in sheets.items():
            printable(table).to_excel(writer, sheet_name=name, index=False)
            finish_sheet(writer.sheets[name], header_row=1)
    return body.getvalue()


def printable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with texts that Excel takes: no control characters, within its length."""
    return frame.map(
        lambda value: visible(value)[:CELL_CHARACTERS_MAX] if isinstance(value, str) else value
    )


def finish_sheet(sheet: Worksheet, *, header_row: int) -> None:
    """Keep texts from being formulas, mark and freeze the header, and fit the columns."""
    sheet.freeze_panes = f"A{header_row + 1}"
    sheet.print_title_rows = f"{header_row}:{header_row}"
    sheet.page_setup.paperSize = A4
    for row in sheet.iter_rows():
        for cell in row:
            _finish_cell(cell, is_header=cell.row == header_row)
    for number, column in enumerate(sheet.iter_cols(), start=1):
        sheet.column_dimensions[get_column_letter(number)].width = _width(column)


def _finish_cell(cell: Cell | MergedCell, *, is_header: bool) -> None:
    if isinstance(cell.value, str):
        # openpyxl takes a text that starts with = for a formula; the quote prefix keeps it text
        # after somebody edits the cell, too.
        cell.data_type = "s"
        cell.quotePrefix = cell.value.startswith(FORMULA_MARKS)
    cell.alignment = Alignment(vertical="top", wrap_text=True)
    if is_header:
        cell.font = Font(bold=True)
        cell.fill = HEADER_FILL


def _width(column: Sequence[Cell | MergedCell]) -> int:
    lines = (line for cell in column for line in str(cell.value or "").splitlines())
    widest = max(map(columns, lines), default=0)
    low, high = COLUMN_WIDTHS
    return min(max(widest + 2, low), high)

"""The 年度服务报告 as a document and as an Excel file, from its sections."""

from collections.abc import Iterable, Sequence

import pandas as pd

from mailcare.papers.document import Document
from mailcare.papers.workbook import write_workbook
from mailcare.reviews.facts import Span
from mailcare.reviews.section import Section, day

TEMPLATE, TEMPLATE_VERSION = "review/report.html", 1
DESK = "全部客户（内部）"
SHEET_CHARACTERS_MOST = 31  # Excel's limit
FORBIDDEN = str.maketrans("", "", r"[]:*?/\ ")


def review_document(
    sections: Iterable[Section],
    *,
    number: str,
    customer: str,
    span: Span,
    vendor: str,
) -> Document:
    """Return the paper; one of the desk's own names no customer and is signed by nobody."""
    content = {
        "title": "年度服务报告",
        "customer": customer or DESK,
        "is_signed": bool(customer),
        "system": "",
        "vendor": vendor,
        "first_on": day(span.first_on),
        "last_on": day(span.last_on),
        "made_on": day(span.made_on),
        "finished_at": f"{span.made_on}T00:00:00+08:00",
        "sections": [one.content() for one in sections],
    }
    return Document(number, TEMPLATE, TEMPLATE_VERSION, content)


def review_xlsx(sections: Sequence[Section]) -> bytes:
    """Return an Excel file: a sheet of what is said, and one for each table."""
    said = [(one.title, sentence) for one in sections for sentence in one.says]
    sheets = {"说明": pd.DataFrame(said, columns=["部分", "说明"])}
    for section in sections:
        for grid in section.grids:
            name = _sheet_name(f"{section.title}-{grid.title}")
            sheets[name] = pd.DataFrame(grid.rows, columns=list(grid.head), dtype=object)
    return write_workbook(sheets)


def _sheet_name(title: str) -> str:
    return title.translate(FORBIDDEN)[:SHEET_CHARACTERS_MOST]

"""Small workbooks to import."""

from collections.abc import Callable, Sequence
from io import BytesIO

from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

HEADINGS = ("合同编号", "客户", "开始日期", "结束日期", "系统", "每年现场巡检次数")


def workbook(
    rows: Sequence[Sequence[object]],
    *,
    title: str = "合同",
    headings: Sequence[str] = HEADINGS,
    then: Callable[[Worksheet], None] | None = None,
) -> bytes:
    book = Workbook()
    sheet = book.active
    sheet.title = title
    sheet.append(list(headings))
    for row in rows:
        sheet.append(list(row))
    if then:
        then(sheet)
    content = BytesIO()
    book.save(content)
    return content.getvalue()

"""Read an import file, xlsx or YAML, into rows that know where they stand. Nothing is evaluated."""

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO
from itertools import islice
from typing import Any
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile, ZipInfo

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException

from mailcare.errors import InputError
from mailcare.systems.lines import LineMap, read_yaml, refuse_oversized

UNPACKED_BYTES_MOST = 64 * 1024 * 1024
PART_BYTES_MOST = 4 * 1024 * 1024  # styles and the like: openpyxl makes a whole tree of each
STREAMED = ("xl/worksheets/", "xl/sharedStrings.xml")  # the parts that it reads piece by piece
ROWS_MOST = 20_000  # of one sheet
COLUMNS_MOST = 50
EXCEL_ROWS = 1_048_576
MERGED = re.compile(
    rb'<(?:\w{1,9}:)?mergeCell\s[^<>]{0,99}?ref="([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})"'
)

CUSTOMERS, CONTRACTS = "客户", "合同"
COLUMNS = {
    CUSTOMERS: {
        "客户": "customer",
        "联系人": "name",
        "角色": "role",
        "邮箱": "email",
        "电话": "phone",
        "收取报告": "gets_papers",
        "可授权": "may_authorise",
    },
    CONTRACTS: {
        "合同编号": "number",
        "客户": "customer",
        "开始日期": "starts_on",
        "结束日期": "ends_on",
        "系统": "systems",
        "承诺版本": "terms_version",
        "远程服务": "remote_service",
        "每年现场巡检次数": "visits_per_year",
        "远程服务价格": "remote_cny",
        "现场巡检价格": "visit_cny",
        "备注": "note",
    },
}
NEEDED = {CUSTOMERS: ("客户", "联系人"), CONTRACTS: ("合同编号",)}
YES_NO = {"是": True, "否": False, "有": True, "无": False}
DAYS = ("starts_on", "ends_on")
FLAGS = ("remote_service", "gets_papers", "may_authorise")
NUMBERS = ("terms_version", "visits_per_year", "remote_cny", "visit_cny")
BETWEEN = re.compile(r"[、，,;；\s]+")  # the systems of one cell


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: the fields that were filled in, and what is wrong with its cells.

    `place` says where it stands, `columns` what a person calls each field.
    """

    place: str
    fields: Mapping[str, Any]
    columns: Mapping[str, str]
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sheets:
    """What a file holds: a row for each contact of a customer, and one for each contract."""

    contacts: tuple[Row, ...]
    contracts: tuple[Row, ...]


def read_sheets(content: bytes, name: str) -> Sheets:
    """Read a file by the ending of its name; raise `InputError` for one that cannot be used."""
    refuse_oversized(len(content), name=name)
    ending = name.lower().rpartition(".")[2]
    if ending == "xlsx":
        return _read_workbook(content, name)
    if ending in ("yaml", "yml"):
        return _read_document(content, name)
    raise InputError("只接受 .xlsx 或 .yaml 文件", subject=name)


def _read_workbook(content: bytes, name: str) -> Sheets:
    merged = _merged(content, name)
    try:
        book = load_workbook(BytesIO(content), read_only=True)
        titles = [one for one in COLUMNS if one in book.sheetnames]
        found = {one: tuple(_rows(book[one], one, merged)) for one in titles}
    except (InvalidFileException, BadZipFile, KeyError, ValueError, OSError, ParseError) as error:
        raise InputError(f"不是可用的 xlsx 文件（{error}）", subject=name) from None
    if not titles:
        raise InputError(f"没有名为「{CUSTOMERS}」或「{CONTRACTS}」的工作表", subject=name)
    return Sheets(found.get(CUSTOMERS, ()), found.get(CONTRACTS, ()))


def _merged(content: bytes, name: str) -> Mapping[str, str]:
    """Return the first merged range of each sheet's part; reading row by row does not tell it.

    A file that would unpack to too much is refused before anything of it is unpacked.
    """
    try:
        with ZipFile(BytesIO(content)) as packed:
            if _is_too_much(packed.infolist()):
                raise InputError("展开后内容过大", subject=name)
            parts = [one for one in packed.namelist() if one.startswith("xl/worksheets/")]
            found = {part: MERGED.search(packed.read(part)) for part in parts}
    except (BadZipFile, OSError, EOFError, NotImplementedError, zlib.error) as error:
        raise InputError(f"不是可用的 xlsx 文件（{error}）", subject=name) from None
    return {part: range_[1].decode() for part, range_ in found.items() if range_}


def _is_too_much(parts: Sequence[ZipInfo]) -> bool:
    whole = (part.file_size for part in parts if not part.filename.startswith(STREAMED))
    is_part_too_large = max(whole, default=0) > PART_BYTES_MOST
    return is_part_too_large or sum(part.file_size for part in parts) > UNPACKED_BYTES_MOST


def _rows(sheet: Any, title: str, merged: Mapping[str, str]) -> Iterator[Row]:  # noqa: ANN401 - openpyxl has many kinds of sheets
    """Yield the filled rows below the headings; raise `InputError` for headings that do not do."""
    if range_ := merged.get(sheet._worksheet_path.lstrip("/")):
        raise InputError(
            f"{range_} 是合并单元格，请取消合并，每行填全", subject=f"工作表「{title}」"
        )
    sheet.reset_dimensions()  # what a file says of its own size need not be true
    rows = islice(sheet.iter_rows(max_col=COLUMNS_MOST), EXCEL_ROWS)
    fields = _headings(next(rows, ()), title)
    count = 0
    for number, cells in enumerate(rows, start=2):
        if all(_is_blank(cell.value) for cell in cells):
            continue
        count += 1
        if count > ROWS_MOST:
            raise InputError(f"超过 {ROWS_MOST} 行，请分成几个文件", subject=f"工作表「{title}」")
        yield _row(f"{title} 第 {number} 行", cells, fields)


def _headings(cells: Sequence[Any], title: str) -> Mapping[int, str]:
    """Return the heading of each column that has one, by its place from 0."""
    found = {
        place: str(cell.value).strip()
        for place, cell in enumerate(cells)
        if not _is_blank(cell.value)
    }
    names = list(found.values())
    wrong = [one for one in names if one not in COLUMNS[title]]
    twice = [one for one in set(names) if names.count(one) > 1]
    missing = [one for one in NEEDED[title] if one not in names]
    said = ("不认识的列", wrong), ("重复的列", twice), ("缺少的列", missing)
    if sentences := [f"{what}：{'、'.join(columns)}" for what, columns in said if columns]:
        raise InputError("；".join(sentences), subject=f"工作表「{title}」第 1 行")
    return found


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _row(place: str, cells: Sequence[Any], headings: Mapping[int, str]) -> Row:
    columns = COLUMNS[place.partition(" ")[0]]
    fields: dict[str, Any] = {}
    sentences = []
    for at, heading in headings.items():
        cell = cells[at] if at < len(cells) else None
        if cell is None or _is_blank(cell.value):
            continue
        try:
            fields[columns[heading]] = _value(cell, columns[heading])
        except ValueError as error:
            sentences.append(f"{get_column_letter(at + 1)} 列「{heading}」：{error}")
    titles = {field: heading for heading, field in columns.items()}
    return Row(place, fields, titles, tuple(sentences))


def _value(cell: Any, field: str) -> object:  # noqa: ANN401 - openpyxl has many kinds of cells
    """Return a cell as its field wants it; raise `ValueError` with a sentence."""
    if cell.data_type == "f":
        raise ValueError("是公式，请改为填写结果")
    if cell.data_type == "e":
        raise ValueError(f"是错误值 {cell.value}")
    value = cell.value
    if field in DAYS:
        return _day(value)
    if field in FLAGS:
        return YES_NO.get(str(value).strip(), value)
    if field in NUMBERS:
        return value
    text = _text(value)
    return [one for one in BETWEEN.split(text) if one] if field == "systems" else text


def _day(value: object) -> object:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date | str):
        return value
    raise ValueError("应为日期，例如 2026-01-31")


def _text(value: object) -> str:
    """Return what a person reads in the cell: a number that is whole has no fraction."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole and isinstance(value, float) else value).strip()


def _read_document(content: bytes, name: str) -> Sheets:
    try:
        data, lines = read_yaml(content.decode(), name=name)
    except UnicodeDecodeError:
        raise InputError("不是 UTF-8 文本", subject=name) from None
    document = data if isinstance(data, dict) else {}
    if wrong := [str(key) for key in document if key not in ("customers", "contracts")]:
        raise InputError(f"不认识的键：{'、'.join(wrong)}", subject=name)
    return Sheets(
        tuple(_contacts(_listed(document, "customers", name), lines)),
        tuple(
            Row(f"第 {lines.line(('contracts', at))} 行", one, {})
            for at, one in enumerate(_listed(document, "contracts", name))
        ),
    )


def _listed(document: Mapping[str, object], key: str, name: str) -> Sequence[dict[str, Any]]:
    listed = document.get(key) or []
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise InputError(f"{key} 应为列表，每项为键值对", subject=name)
    return listed


def _contacts(customers: Sequence[dict[str, Any]], lines: LineMap) -> Iterator[Row]:
    """Yield a row for each contact, as a workbook has them."""
    for at, customer in enumerate(customers):
        place = f"第 {lines.line(('customers', at))} 行"
        contacts = customer.get("contacts")
        if set(customer) != {"name", "contacts"} or not isinstance(contacts, list) or not contacts:
            yield Row(place, {}, {}, ("客户应有 name 与至少一个 contacts，不能有别的键",))
            continue
        for number, contact in enumerate(contacts):
            fields = contact if isinstance(contact, dict) else {}
            here = f"第 {lines.line(('customers', at, 'contacts', number))} 行"
            yield Row(here, fields | {"customer": customer["name"]}, {})

"""What an import file may look like, and what it is told when it may not."""

from datetime import date, datetime
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.contracts.sheets import MERGED, ROWS_MOST, UNPACKED_BYTES_MOST, Sheets, read_sheets
from mailcare.errors import InputError
from mailcare.systems.lines import FILE_BYTES_MOST
from tests.contracts.workbooks import HEADINGS, workbook

ROW = ("HT-1", "示例银行", date(2026, 1, 1), "2026-12-31", "head-office、branch", 1)
TEMPLATES = Path(__file__).resolve().parents[2] / "include/templates/console"
MIDNIGHT = datetime(2026, 1, 1)  # noqa: DTZ001 - a workbook knows no zones


def complaint(content: bytes, name: str = "合同.xlsx") -> str:
    with pytest.raises(InputError) as error:
        read_sheets(content, name)
    return str(error.value)


def test_a_workbook_is_read_into_fields_with_their_place():
    [row] = read_sheets(workbook([ROW]), "合同.xlsx").contracts
    assert row.place == "合同 第 2 行"
    assert row.sentences == ()
    assert row.fields == {
        "number": "HT-1",
        "customer": "示例银行",
        "starts_on": date(2026, 1, 1),
        "ends_on": "2026-12-31",
        "systems": ["head-office", "branch"],
        "visits_per_year": 1,
    }


def test_empty_rows_are_passed_over_and_numbers_read_as_a_person_reads_them():
    rows = [(), (20260001.0, None, MIDNIGHT), (" ", "", None)]
    [row] = read_sheets(workbook(rows), "a.xlsx").contracts
    assert row.place == "合同 第 3 行"
    assert row.fields == {"number": "20260001", "starts_on": date(2026, 1, 1)}


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        (6, "=1+1", "F 列「每年现场巡检次数」：是公式"),
        (4, "=TODAY()", "D 列「结束日期」：是公式"),
        (1, "#REF!", "A 列「合同编号」：是错误值 #REF!"),
        (3, 46023, "C 列「开始日期」：应为日期，例如 2026-01-31"),
        (3, True, "C 列「开始日期」：应为日期"),
    ],
)
def test_a_cell_that_is_no_plain_value_is_told_with_its_row_and_column(column, value, sentence):
    def then(sheet):
        sheet.cell(3, column).value = value
        sheet.cell(3, column).number_format = "General"

    _, row = read_sheets(workbook([ROW, ROW], then=then), "a.xlsx").contracts
    assert row.place == "合同 第 3 行"
    assert sentence in "；".join(row.sentences)


def test_merged_cells_are_refused_with_their_range():
    said = complaint(workbook([ROW, ROW], then=lambda sheet: sheet.merge_cells("B2:B3")))
    assert "B2:B3 是合并单元格" in said
    assert "「合同」" in said


def test_merged_cells_on_a_sheet_that_is_not_read_do_no_harm():
    def then(sheet):
        sheet.parent.create_sheet("说明").merge_cells("A1:C3")

    assert read_sheets(workbook([ROW], then=then), "a.xlsx").contracts


@pytest.mark.parametrize(
    ("headings", "sentence"),
    [
        ((*HEADINGS, "折扣"), "不认识的列：折扣"),
        ((*HEADINGS, "客户"), "重复的列：客户"),
        (HEADINGS[1:], "缺少的列：合同编号"),
        ((), "缺少的列：合同编号"),
    ],
)
def test_headings_that_do_not_do_are_named(headings, sentence):
    assert sentence in complaint(workbook([], headings=headings))


def test_fifty_thousand_rows_are_refused_with_the_limit():
    said = complaint(workbook([(f"HT-{number}",) for number in range(50_000)]))
    assert f"超过 {ROWS_MOST} 行" in said


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked():
    content = BytesIO()
    part = "xl/worksheets/sheet1.xml"
    with ZipFile(content, "w", ZIP_DEFLATED) as packed, packed.open(part, "w") as sheet:
        for _ in range(UNPACKED_BYTES_MOST // 2**20 + 1):
            sheet.write(bytes(2**20))
    assert "展开后内容过大" in complaint(content.getvalue())


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"", "a.xlsx", "不是可用的 xlsx"),
        (b"PK\x03\x04 and no more", "a.xlsx", "不是可用的 xlsx"),
        (b"x" * (4 * 2**20 + 1), "a.xlsx", "超过 4 MiB"),
        (b"a,b", "a.csv", "只接受"),
        (workbook([], title="别的"), "a.xlsx", "没有名为「客户」或「合同」"),
        (b"\xff\xfe", "a.yaml", "不是 UTF-8"),
        (b"- 1", "a.yaml", "键值对"),
        (b"contract: []", "a.yaml", "不认识的键：contract"),
        (b"contracts: 1", "a.yaml", "contracts 应为列表"),
        (b"contracts: [1]", "a.yml", "contracts 应为列表"),
        (b"contracts: [\n", "a.yml", "不是合法的 YAML"),
    ],
)
def test_a_file_of_another_kind_is_refused(content, name, sentence):
    assert sentence in complaint(content, name)


def test_a_zip_without_a_workbook_is_refused():
    content = BytesIO()
    with ZipFile(content, "w") as packed:
        packed.writestr("readme.txt", "no workbook")
    assert "不是可用的 xlsx" in complaint(content.getvalue())


def test_the_pages_say_the_one_limit_of_the_files_that_people_write():
    said = f"文件，不超过 {FILE_BYTES_MOST // 2**20} MiB"
    pages = {"import.html": 1, "site.html": 1, "calendar.html": 1}
    told = {one: (TEMPLATES / one).read_text("utf-8").count(said) for one in pages}
    assert told == pages


def test_a_yaml_of_many_contracts_is_read_up_to_the_limit():
    one = "  - {number: HT-%d, customer: 示例银行}\n"
    text = "contracts:\n" + "".join(one % number for number in range(8_000))
    assert len(text) > 256 * 1024
    assert len(read_sheets(text.encode(), "a.yaml").contracts) == 8_000


def test_yaml_gives_the_line_of_each_contact_and_contract():
    text = """customers:
  - name: 示例银行
    contacts:
      - name: 王示例
        email: wang@shili-bank.example
contracts:
  - number: HT-1
    starts_on: 2026-01-01
"""
    sheets = read_sheets(text.encode(), "a.yaml")
    [contact], [contract] = sheets.contacts, sheets.contracts
    assert (contact.place, contact.fields["customer"]) == ("第 4 行", "示例银行")
    assert (contract.place, contract.fields["starts_on"]) == ("第 7 行", date(2026, 1, 1))


@pytest.mark.parametrize(
    "customer", ["{name: 甲}", "{name: 甲, contacts: []}", "{name: 甲, contacts: [x], y: 1}"]
)
def test_a_yaml_customer_without_contacts_is_told(customer):
    [row] = read_sheets(f"customers: [{customer}]".encode(), "a.yaml").contacts
    assert row.sentences


@given(st.binary(max_size=300), st.sampled_from(["a.xlsx", "a.yaml"]))
def test_whatever_the_bytes_only_a_sentence_comes_back(content, name):
    try:
        sheets = read_sheets(content, name)
    except InputError:
        return
    assert isinstance(sheets, Sheets)


def test_a_sheet_full_of_unfinished_marks_is_searched_in_no_time():
    assert MERGED.search(b"<mergeCell " * 1_000_000) is None  # hours, were it searched to the end
    assert MERGED.search(b'<x:mergeCell ref="A1:B2"/>')[1] == b"A1:B2"


def test_a_style_sheet_that_makes_a_tree_of_gigabytes_is_refused():
    content = BytesIO(workbook([ROW]))
    with ZipFile(content, "a", ZIP_DEFLATED) as packed:
        packed.writestr("xl/theme/more.xml", b"<a/>" * 2**20 + b" ")
    assert "展开后内容过大" in complaint(content.getvalue())

"""Import over the records: preview, then all or nothing."""

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import date

import pytest
from sqlalchemy import Engine, func, select

from mailcare.contracts import entering
from mailcare.contracts.forms import CustomerForm, read_form
from mailcare.contracts.importing import Change, Kind
from mailcare.contracts.steps import (
    apply_import,
    change_contract,
    contract_detail,
    customer_detail,
    list_contracts,
    preview_import,
)
from mailcare.errors import InputError
from mailcare.listing import Wish
from mailcare.records.contracts import Contract, ContractVersion
from mailcare.records.customers import Contact, Customer
from mailcare.records.people import AuditEntry
from mailcare.records.session import reading, transaction
from tests.contracts.desk import add_contract, add_customer, add_system, audits, form
from tests.contracts.workbooks import HEADINGS, workbook

ON = date(2026, 2, 2)
NEW = ("HT-2", "示例银行", "2026-01-01", "2026-12-31", "branch", 2)
CONTACTS = ("客户", "联系人", "邮箱", "收取报告", "可授权")


@pytest.fixture(autouse=True)
def desk(database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    customer = add_customer()
    for site in ("head-office", "branch"):
        add_system(customer, site)
    return customer


def written() -> list[int]:
    with reading() as session:
        models = (Customer, Contact, Contract, ContractVersion, AuditEntry)
        return [session.scalar(select(func.count()).select_from(one)) or 0 for one in models]


def previewed(*rows, headings=HEADINGS, title="合同"):
    return preview_import(workbook(rows, headings=headings, title=title), "a.xlsx")


def errors(*rows) -> str:
    before = written()
    preview = previewed(*rows)
    wrong = [row for row in preview.rows if row.kind is Kind.ERROR]
    assert wrong
    assert not preview.is_applicable
    with pytest.raises(InputError, match="未写入任何内容"):
        apply_import(workbook(rows), "a.xlsx", token=preview.token, by="li")
    assert written() == before
    return "\n".join(f"{row.place}：{'；'.join(row.sentences)}" for row in wrong)


def test_a_preview_writes_nothing_and_names_every_field():
    before = written()
    preview = previewed(NEW)
    [row] = preview.rows
    assert (row.place, row.kind, row.subject) == ("合同 第 2 行", Kind.ADDITION, "HT-2")
    assert Change("每年现场巡检次数", "", "2") in row.changes
    assert Change("现场巡检价格", "", "12000.00") in row.changes
    assert preview.is_applicable
    assert written() == before


def test_what_was_shown_is_written_with_an_audit():
    content = workbook([NEW])
    apply_import(content, "a.xlsx", token=preview_import(content, "a.xlsx").token, by="li")
    [version] = contract_detail("HT-2", on=ON).versions
    assert (version.visits_per_year, version.systems) == (2, ("branch",))
    [entry] = audits("import")
    assert (entry.by, entry.subject, entry.before) == ("li", "contract/HT-2", None)
    again = preview_import(content, "a.xlsx")
    assert [row.kind for row in again.rows] == [Kind.SAME]
    assert not again.is_applicable


def test_a_change_shows_old_and_new_and_leaves_what_is_not_in_the_file():
    add_contract(visits_per_year=1, remote_cny="5000", note="老客户")
    rows = [("HT-1", None, None, "2027-12-31", None, 2)]
    preview = previewed(*rows)
    [row] = preview.rows
    assert row.kind is Kind.CHANGE
    assert row.changes == (
        Change("结束日期", "2026-12-31", "2027-12-31"),
        Change("每年现场巡检次数", "1", "2"),
    )
    apply_import(workbook(rows), "a.xlsx", token=preview.token, by="li")
    newest, _ = contract_detail("HT-1", on=ON).versions
    assert (newest.version, newest.ends_on, newest.visits_per_year) == (2, date(2027, 12, 31), 2)
    assert (str(newest.remote_cny), newest.note) == ("5000.00", "老客户")


def test_records_that_changed_after_the_preview_are_not_overwritten():
    add_contract()
    content = workbook([("HT-1", None, None, None, None, 2)])
    token = preview_import(content, "a.xlsx").token
    change_contract("HT-1", form(visits_per_year=0), read_version=1, by="wang")
    before = written()
    with pytest.raises(InputError, match="预览之后有变化"):
        apply_import(content, "a.xlsx", token=token, by="li")
    assert written() == before


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (("HT-2", "示例银行", "2026-13-01", "2026-12-31", "branch"), "开始日期：应为日期"),
        (("HT-2", "示例银行", "2026/1/1", "2026-12-31", "branch"), "开始日期：应为日期"),
        (("HT-2", "示例银行", "2026-01-02", "2026-01-01", "branch"), "不能早于开始日期"),
        (("HT-2", "示例银行", "2026-01-01", "2036-01-01", "branch"), "不能超过 10 年"),
        (("HT-2", "示例银行", "2026-01-01", "2026-12-31", "nowhere"), "系统：该客户没有登记"),
        (("HT-2", "别家", "2026-01-01", "2026-12-31", "branch"), "客户：没有登记这个客户"),
        (("HT-2", "示例银行", "2026-01-01", "2026-12-31", "branch", 3), "巡检次数：不能大于 2"),
        (("HT-2", "示例银行", "2026-01-01", "2026-12-31", "branch", 1.5), "巡检次数：应为整数"),
        (("HT-2", "示例银行", "2026-01-01", "2026-12-31", "branch", "=1"), "是公式"),
        (("HT-2", "示例银行", None, "2026-12-31", "branch"), "开始日期：缺少必填项"),
        ((None, "示例银行", "2026-01-01", "2026-12-31", "branch"), "合同编号：缺少必填项"),
        (("<script>\x07".replace("\x07", "") * 30, "示例银行"), "合同编号"),
    ],
)
def test_a_row_that_cannot_be_is_told_and_nothing_of_the_file_is_written(row, sentence):
    good = ("HT-9", "示例银行", "2026-01-01", "2026-12-31", "head-office", 1)
    said = errors(good, row)
    assert sentence in said
    assert "合同 第 3 行" in said


def test_contracts_that_cover_a_system_at_once_name_each_other():
    add_contract(ends_on="2026-06-30")
    said = errors(
        ("HT-2", "示例银行", "2026-06-30", "2026-12-31", "head-office、branch"),
        ("HT-3", "示例银行", "2026-12-31", "2027-12-30", "branch"),
    )
    assert "第 2 行：head-office 在此期间已有合同 HT-1" in said
    assert "branch 在此期间已有合同 HT-3" in said
    assert "第 3 行：branch 在此期间已有合同 HT-2" in said


def test_a_contract_moved_out_of_the_way_in_the_same_file_overlaps_nothing():
    add_contract()
    preview = previewed(
        ("HT-1", None, None, "2026-06-30"),
        ("HT-2", "示例银行", "2026-07-01", "2027-06-30", "head-office"),
    )
    assert [row.kind for row in preview.rows] == [Kind.CHANGE, Kind.ADDITION]


def test_the_same_contract_twice_in_a_file_is_refused():
    assert "合同编号：与合同 第 2 行重复" in errors(NEW, NEW)


def test_contacts_are_added_and_changed_and_others_stay(desk):
    rows = [
        ("示例银行", "王示例", "wang@shili-bank.example", "是", "是"),
        ("示例银行", "李示例", None, "否", None),
        ("新示例公司", "张示例", None, None, None),
    ]
    preview = previewed(*rows, headings=CONTACTS, title="客户")
    assert [row.kind for row in preview.rows] == [Kind.CHANGE, Kind.ADDITION, Kind.ADDITION]
    assert Change("邮箱", "", "wang@shili-bank.example") in preview.rows[0].changes
    content = workbook(rows, headings=CONTACTS, title="客户")
    apply_import(content, "a.xlsx", token=preview.token, by="li")
    detail = customer_detail(desk, on=ON)
    assert [one.name for one in detail.contacts] == ["王示例", "李示例"]
    assert [one.may_authorise for one in detail.contacts] == [True, False]
    assert (detail.contacts[0].gets_papers, detail.version) == (True, 2)
    assert preview_import(content, "a.xlsx").count(Kind.SAME) == 3


def test_a_contact_that_cannot_be_is_told():
    rows = [("示例银行", "李", "no address", "也许"), ("示例银行", "赵"), ("示例银行", "赵")]
    wrong, _, twice = previewed(*rows, headings=CONTACTS, title="客户").rows
    assert "邮箱" in "；".join(wrong.sentences)
    assert "收取报告：应为 true 或 false" in "；".join(wrong.sentences)
    assert twice.sentences == ("与客户 第 3 行是同一个联系人",)


def test_yaml_imports_the_same():
    text = """contracts:
  - {number: HT-5, customer: 示例银行, starts_on: 2026-01-01, ends_on: 2026-12-31,
     systems: [branch], visits_per_year: 2}
"""
    preview = preview_import(text.encode(), "a.yaml")
    [row] = preview.rows
    assert (row.kind, row.place) == (Kind.ADDITION, "第 2 行")
    apply_import(text.encode(), "a.yaml", token=preview.token, by="li")
    assert [one.number for one in list_contracts(Wish(), on=ON).rows] == ["HT-5"]


def test_a_yaml_contract_with_an_unknown_key_is_refused():
    text = "contracts: [{number: HT-5, colour: red}]"
    [row] = preview_import(text.encode(), "a.yaml").rows
    assert "colour：不认识的键" in row.sentences


def test_a_customer_entered_while_the_file_is_written_is_told():
    content = workbook([("新银行", "李示例", None, None)], headings=CONTACTS, title="客户")
    token = preview_import(content, "a.xlsx").token
    other = read_form(CustomerForm, {"name": "新银行", "contacts": [{"name": "李示例"}]})
    with ThreadPoolExecutor(1) as pool:
        with transaction() as session:
            entering.add_customer(session, other, by="wang")
            applying = pool.submit(apply_import, content, "a.xlsx", token=token, by="li")
            wait([applying], timeout=1)
        with pytest.raises(InputError, match="预览之后有变化"):
            applying.result()

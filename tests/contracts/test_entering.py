from concurrent.futures import ThreadPoolExecutor, wait
from datetime import date

import pytest
from sqlalchemy import Engine, select

from mailcare.contracts.entering import add_customer
from mailcare.contracts.forms import ContractForm, CustomerForm, FormError, read_form
from mailcare.contracts.steps import (
    Changed,
    change_contract,
    change_customer,
    contract_detail,
    customer_detail,
    delete_customer,
    enter_contract,
    enter_customer,
    list_contracts,
    plan_due,
)
from mailcare.errors import InputError
from mailcare.listing import Wish
from mailcare.records.contracts import Contract, ContractVersion
from mailcare.records.customers import System
from mailcare.records.people import AuditEntry
from mailcare.records.session import reading, transaction
from tests.contracts.desk import predate_contracts

ON = date(2026, 1, 5)
CUSTOMER = {"name": "示例银行", "contacts": [{"name": "王示例"}]}
CONTRACT = {
    "number": "HT-2026-001",
    "customer": "示例银行",
    "starts_on": "2026-01-01",
    "ends_on": "2026-12-31",
    "systems": ["head-office"],
    "visits_per_year": 1,
}


@pytest.fixture(autouse=True)
def database(database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    customer = enter_customer(read_form(CustomerForm, CUSTOMER), by="li")
    with transaction() as session:
        values = {"title": "总行", "profile": "generic", "definition": {}}
        session.add(System(customer_id=customer, site="head-office", **values))


def form(**changes) -> ContractForm:
    return read_form(ContractForm, CONTRACT | changes)


def complaints(**changes) -> str:
    with pytest.raises(FormError) as error:
        enter_contract(form(**changes), by="li")
    return str(error.value)


def test_a_contract_entered_is_version_one_and_audited(engine):
    enter_contract(form(), by="li")
    with reading(engine) as session:
        version = session.scalars(select(ContractVersion)).one()
        audits = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert (version.version, version.ends_on, version.recorded_by) == (1, date(2026, 12, 31), "li")
    assert [one.subject for one in audits] == ["customer/1", "contract/HT-2026-001"]
    assert audits[1].before is None
    assert audits[1].after["visits_per_year"] == 1


def test_of_two_editors_the_second_is_told_and_nothing_is_overwritten(engine):
    enter_contract(form(), by="li")
    change_contract("HT-2026-001", form(visits_per_year=2), read_version=1, by="wang")
    with pytest.raises(Changed, match=r"由 wang 于 .* 修改"):
        change_contract("HT-2026-001", form(visits_per_year=0), read_version=1, by="zhao")
    with reading(engine) as session:
        assert session.scalars(select(Contract.version)).one() == 2
        visits = session.scalars(
            select(ContractVersion.visits_per_year).order_by(ContractVersion.version)
        ).all()
    assert visits == [1, 2]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ends_on": "2025-12-31"}, "不能早于"),
        ({"ends_on": "2036-01-01"}, "10 年"),
        ({"starts_on": "2026-02-30"}, "应为日期"),
        ({"visits_per_year": 3}, "不能大于 2"),
        ({"visits_per_year": 0, "remote_service": False}, "至少要有一项"),
        ({"systems": ["elsewhere"]}, "没有登记"),
        ({"systems": []}, "至少"),
        ({"customer": "另一家"}, "没有登记"),
        ({"number": "HT\x00"}, "控制字符"),
        ({"number": "H" * 201}, "不能超过 200 个字"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(changes, sentence, engine):
    assert sentence in complaints(**changes)
    with reading(engine) as session:
        assert session.scalars(select(Contract)).all() == []


def test_two_contracts_may_not_cover_a_system_at_once(engine):
    enter_contract(form(), by="li")
    assert "HT-2026-001" in complaints(number="HT-2", starts_on="2026-12-31", ends_on="2027-12-30")
    enter_contract(form(number="HT-3", starts_on="2027-01-01", ends_on="2027-12-31"), by="li")
    assert "已有这个编号" in complaints(starts_on="2028-01-01", ends_on="2028-12-31")


def test_a_customer_is_entered_once():
    with pytest.raises(FormError, match="同名"):
        enter_customer(read_form(CustomerForm, CUSTOMER), by="li")


def test_a_contract_that_is_not_there_cannot_be_changed():
    with pytest.raises(InputError, match="没有这份合同"):
        change_contract("HT-9", form(number="HT-9"), read_version=1, by="li")


def change(customer: int, *, read_version: int, **changes) -> int:
    entered = read_form(CustomerForm, CUSTOMER | changes)
    return change_customer(customer, entered, read_version=read_version, by="wang")


def test_a_customer_changed_has_other_contacts_and_is_audited():
    contacts = [{"name": "赵示例", "email": "zhao@shili-bank.example", "gets_papers": True}]
    assert change(1, read_version=1, name="示例商行", contacts=contacts) == 2
    detail = customer_detail(1, on=ON)
    assert (detail.name, detail.version) == ("示例商行", 2)
    assert [(one.name, one.gets_papers) for one in detail.contacts] == [("赵示例", True)]
    with reading() as session:
        latest = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert (latest.by, latest.before["name"], latest.after["name"]) == (
        "wang",
        "示例银行",
        "示例商行",
    )


def test_of_two_editors_of_a_customer_the_second_is_told_by_whom_and_when():
    change(1, read_version=1, name="示例商行")
    with pytest.raises(Changed, match=r"由 wang 于 \d{4}-\d\d-\d\d \d\d:\d\d 修改"):
        change(1, read_version=1, name="另一个名字")
    assert customer_detail(1, on=ON).name == "示例商行"


def test_a_customer_cannot_take_anothers_name():
    other = enter_customer(read_form(CustomerForm, CUSTOMER | {"name": "另一家"}), by="li")
    with pytest.raises(FormError, match="同名"):
        change(other, read_version=1)
    assert customer_detail(other, on=ON).version == 1


def test_a_customer_with_a_contract_and_open_services_is_not_deleted(engine):
    enter_contract(form(), by="li")
    predate_contracts()
    plan_due(today=ON)
    with pytest.raises(InputError, match=r"名下还有 1 份合同、 4 项服务"):
        delete_customer(1, read_version=1, by="li")
    assert customer_detail(1, on=ON).contracts


def test_a_customer_with_nothing_that_counts_is_deleted_and_that_is_audited():
    with pytest.raises(Changed):
        delete_customer(1, read_version=7, by="li")
    delete_customer(1, read_version=1, by="li")
    with pytest.raises(InputError, match="没有登记"):
        customer_detail(1, on=ON)
    with reading() as session:
        latest = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert (latest.action, latest.before["name"]) == ("delete", "示例银行")


def test_a_contract_in_detail_has_its_versions_years_ledger_and_services():
    enter_contract(form(ends_on="2027-12-31"), by="li")
    predate_contracts()
    change_contract("HT-2026-001", form(visits_per_year=2), read_version=1, by="wang")
    plan_due(today=ON)
    detail = contract_detail("HT-2026-001", on=date(2026, 12, 31))
    assert [one.version for one in detail.versions] == [2, 1]
    assert [one.year.number for one in detail.years] == [1]
    assert [(one.promise, one.planned) for one in detail.years[0].balances] == [
        ("remote_inspection", 1),
        ("visit", 2),
    ]
    assert (detail.yearly_cny, len(detail.ledger), len(detail.services)) == (30000, 5, 5)
    assert all(one.is_late for one in detail.services)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "'; DROP TABLE contracts; --", "%_"])
def test_script_and_sql_are_only_text(text):
    enter_contract(form(number=text, note=text), by="li")
    assert contract_detail(text, on=ON).versions[0].note == text
    assert [one.number for one in list_contracts(Wish(text=text), on=ON).rows] == [text]
    assert list_contracts(Wish(text="%x"), on=ON).rows == ()


def test_ten_megabytes_of_text_are_refused_beside_their_field():
    assert "note" in complaints(note="长" * 10_000_000)


def test_a_name_that_somebody_takes_meanwhile_is_told_beside_the_field():
    """Hold the other's row back until the change waits for it, or has not begun: equal outcomes."""
    other = read_form(CustomerForm, CUSTOMER | {"name": "另一银行"})
    mine = enter_customer(read_form(CustomerForm, CUSTOMER | {"name": "第三银行"}), by="li")
    with ThreadPoolExecutor(1) as pool:
        with transaction() as session:
            add_customer(session, other, by="wang")
            changing = pool.submit(change_customer, mine, other, read_version=1, by="li")
            wait([changing], timeout=1)
        with pytest.raises(FormError, match="已有同名客户"):
            changing.result()


def test_a_contact_whom_no_letter_can_reach_is_refused_beside_the_field(database):
    contacts = [{"name": "王示例", "email": "王@示例.example"}]
    with pytest.raises(FormError, match=r"contacts\.0\.email：应为“用户名@域名”") as caught:
        read_form(CustomerForm, {"name": "示例银行", "contacts": contacts})
    assert caught.value.complaints[0].path == ("contacts", 0, "email")

from datetime import date

import pytest
from sqlalchemy import Engine, select

from mailcare.contracts.forms import ContractForm, CustomerForm, FormError, read_form
from mailcare.contracts.steps import Changed, change_contract, enter_contract, enter_customer
from mailcare.errors import InputError
from mailcare.records.contracts import Contract, ContractVersion
from mailcare.records.customers import System
from mailcare.records.people import AuditEntry
from mailcare.records.session import reading, transaction

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
    with pytest.raises(Changed, match=r"wang.*第 2 版"):
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
        ({"number": "HT\x00"}, "格式"),
        ({"number": "H" * 201}, "符合要求"),
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

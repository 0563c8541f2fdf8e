"""The lists: searched, sorted and paged, on both databases."""

from datetime import date

import pytest
from sqlalchemy import Engine, event

from mailcare.contracts.steps import (
    change_contract,
    list_contracts,
    list_customers,
    list_notices,
    list_services,
    plan_due,
)
from mailcare.listing import Wish
from mailcare.records import session as records_session
from tests.contracts.desk import add_contract, add_customer, add_system, form

ON = date(2026, 7, 20)


@pytest.fixture(autouse=True)
def desk(database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    for number, name in enumerate(["甲公司", "乙公司", "丙公司"], start=1):
        customer = add_customer(name=name, contacts=[{"name": f"联系{number}"}])
        add_system(customer, f"site-{number}")
        add_contract(
            number=f"HT-{number}",
            customer=name,
            systems=[f"site-{number}"],
            starts_on=f"2026-0{number}-01",
            ends_on=f"202{5 + number}-12-31",
        )


def numbers(wish: Wish, *, on: date = ON) -> list[str]:
    return [one.number for one in list_contracts(wish, on=on).rows]


def test_contracts_are_found_by_number_customer_and_note():
    change_contract("HT-3", form(**THIRD, note="重点客户"), read_version=1, by="li")
    assert numbers(Wish(text="ht-2")) == ["HT-2"]
    assert numbers(Wish(text="乙")) == ["HT-2"]
    assert numbers(Wish(text="重点")) == ["HT-3"]
    assert numbers(Wish(text="没有")) == []


THIRD = {
    "number": "HT-3",
    "customer": "丙公司",
    "systems": ["site-3"],
    "starts_on": "2026-03-01",
    "ends_on": "2028-12-31",
}


def test_contracts_are_sorted_and_paged():
    assert numbers(Wish(sort="ends_on", is_descending=True)) == ["HT-3", "HT-2", "HT-1"]
    assert numbers(Wish(sort="no such column")) == ["HT-1", "HT-2", "HT-3"]
    page = list_contracts(Wish(page=2, rows=2), on=ON)
    assert ([one.number for one in page.rows], page.total, page.pages) == (["HT-3"], 3, 2)
    assert len(numbers(Wish(rows=0))) == 3


@pytest.mark.parametrize(
    "listed",
    [
        lambda wish: list_contracts(wish, on=ON),
        list_customers,
        lambda wish: list_services(wish, until=None, on=ON),
    ],
    ids=["contracts", "customers", "services"],
)
def test_a_page_takes_as_many_queries_for_many_rows_as_for_one(listed):
    plan_due(today=date(2026, 3, 2))
    seen: list[str] = []
    engine = records_session._operators_engine()

    def note(_connection, _cursor, statement, *_rest):
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    assert len(listed(Wish(rows=1)).rows) == 1
    few = len(seen)
    assert len(listed(Wish(rows=3)).rows) == 3
    event.remove(engine, "before_cursor_execute", note)
    assert few
    assert len(seen) == 2 * few


def test_a_contract_over_is_still_listed_and_says_so():
    states = [one.is_in_force for one in list_contracts(Wish(), on=date(2027, 6, 1)).rows]
    assert states == [False, True, True]


def test_customers_are_found_by_name_and_contact_with_counts():
    [one] = list_customers(Wish(text="联系2")).rows
    assert (one.name, one.contacts, one.systems, one.contracts) == ("乙公司", 1, 1, 1)
    assert list_customers(Wish(rows=2)).total == 3


def test_what_is_due_has_the_late_first_and_nothing_later_than_asked():
    plan_due(today=date(2026, 3, 2))
    page = list_services(Wish(rows=0), until=date(2026, 12, 1), on=ON)
    assert page.total == len(page.rows)
    late = [one.is_late for one in page.rows]
    assert late == sorted(late, reverse=True)
    assert {True, False} == set(late)
    assert max(one.due_on for one in page.rows) <= date(2026, 12, 1)
    everything = list_services(Wish(rows=0), until=None, on=ON)
    assert everything.total == 12
    assert list_services(Wish(text="乙公司"), until=None, on=ON).total == 4
    kinds = [one.kind for one in list_services(Wish(sort="kind"), until=None, on=ON).rows]
    assert kinds == sorted(kinds)


def test_notices_come_newest_first():
    plan_due(today=date(2026, 11, 3))
    plan_due(today=date(2026, 11, 4))
    rows = list_notices(Wish()).rows
    assert rows
    assert rows[0].raised_on == date(2026, 11, 4)
    assert {one.contract for one in list_notices(Wish(text="HT-1")).rows} == {"HT-1"}

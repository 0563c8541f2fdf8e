import json
from datetime import UTC, date, datetime, timedelta
from io import BytesIO

import pytest
import time_machine
from openpyxl import load_workbook
from sqlalchemy import Engine, select

from mailcare.contracts.forms import CustomerForm, read_form
from mailcare.contracts.steps import due_runs, enter_customer, plan_due
from mailcare.errors import InputError
from mailcare.listing import Wish
from mailcare.records.alerts import Rung
from mailcare.records.deliveries import Delivery, Enclosure
from mailcare.records.inspections import Service, ServiceKind, ServiceState
from mailcare.records.papers import FileKind, Paper
from mailcare.records.session import reading
from mailcare.reviews.steps import (
    deliver_review,
    list_reviews,
    open_review,
    render_review,
    review_detail,
)
from mailcare.surveys.steps import record_answer
from tests.contracts.desk import add_contract, add_system
from tests.delivery.desk import add_member
from tests.faults.desk import declared, happened
from tests.surveys.desk import answer, ask, ended

# Made once more on PostgreSQL by the year of tests/test_contract_year.py.
DATABASES = ["sqlite"]
OURS, OTHERS = "示例银行", "另一客户"
DECEMBER = datetime(2026, 12, 2, 1, 0, tzinfo=UTC)
SPOKEN = ("GZ-2026-00002", "另一客户", "other-site", "HT-OTHER", "隔壁的故障", "隔壁的意见")


@pytest.fixture(autouse=True)
def database(database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(DECEMBER, tick=False) as traveller:
        yield traveller


@pytest.fixture
def desk() -> None:
    """Two customers to whom the same kinds of things happened."""
    for name, site, number in ((OURS, "head-office", "HT-1"), (OTHERS, "other-site", "HT-OTHER")):
        contact = {"name": f"{name}联系人", "email": f"{site}@bank.example", "gets_papers": True}
        customer = enter_customer(
            read_form(CustomerForm, {"name": name, "contacts": [contact]}), by="li"
        )
        add_system(customer, site)
        add_contract(number=number, customer=name, systems=[site])
    plan_due(today=date(2026, 1, 5))
    said = "隔壁的故障"
    for customer, text in ((1, "邮件无法外发"), (2, said)):
        fault = declared("P1", customer=customer, system=customer, description=text, key=text)
        happened(
            fault,
            "2026-03-02 09:10 contact phone",
            "2026-03-02 11:00 handled fix",
            "2026-03-02 15:00 sent",
        )
    for customer, text in ((1, "很好"), (2, "隔壁的意见")):
        survey = ask(ended(customer, case_id=customer, subject=f"GZ-2026-0000{customer}"))
        record_answer(survey, answer(comments=text), by="service")


def rows(model: type) -> list:
    with reading() as session:
        return list(session.scalars(select(model).order_by(model.id)))


def review_service(customer: int) -> Service:
    found = [one for one in rows(Service) if one.kind is ServiceKind.REVIEW]
    return found[customer - 1]


def everything_in(review: int) -> str:
    """Return all that the review's paper and Excel file say, and all its letters."""
    number = review_detail(review).number
    with reading() as session:
        paper = session.scalars(select(Paper).where(Paper.number == number)).one()
        bodies = {one.kind: one.body for one in paper.files}
        letters = [
            f"{one.recipient} {one.subject} {one.body}"
            for one in session.scalars(select(Delivery).where(Delivery.paper_id == paper.id))
        ]
        content = json.dumps(paper.content, ensure_ascii=False)
    book = load_workbook(BytesIO(bodies[FileKind.XLSX]))
    cells = [str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row]
    return "\n".join([content, bodies[FileKind.HTML].decode(), *letters, *cells])


def test_the_planned_review_starts_before_the_year_ends_and_is_done_when_posted(desk):
    runs = due_runs(today=date(2026, 12, 2))
    assert [one["trigger_dag_id"] for one in runs if "review" in one["trigger_run_id"]] == [
        "review_year"
    ] * 2

    review = open_review(service=review_service(1).id)
    assert review_service(1).state is ServiceState.RUNNING
    assert deliver_review(render_review(review)) == 1

    assert review_service(1).state is ServiceState.DONE
    assert review_service(2).state is ServiceState.PLANNED
    [letter] = [one for one in rows(Delivery) if one.paper_id]
    assert letter.recipient == "head-office@bank.example"
    assert "年度服务报告" in letter.subject
    assert {one.name.rpartition(".")[2] for one in rows(Enclosure)} == {"pdf", "xlsx"}


def test_a_review_never_holds_anything_of_another_customer(desk):
    ours = render_review(open_review(contract="HT-1"))
    deliver_review(ours)

    told = everything_in(ours)
    assert "邮件无法外发" in told
    assert "很好" in told
    assert [word for word in SPOKEN if word in told] == []


def test_the_desks_review_holds_all_customers_and_goes_to_managers_only(desk):
    add_member("甲", Rung.MANAGER)
    add_member("乙", Rung.ENGINEER)
    review = render_review(open_review())
    assert deliver_review(review) == 1

    told = everything_in(review)
    assert OURS in told
    assert OTHERS in told
    recipients = {one.recipient for one in rows(Delivery) if one.paper_id}
    assert not any(one.endswith("bank.example") for one in recipients)


def test_made_again_it_is_the_same_version_and_is_posted_once(desk):
    review = open_review(contract="HT-1", year=1)
    for _ in range(2):
        assert open_review(contract="HT-1") == review
        render_review(review)
        deliver_review(review)

    assert [one.version for one in rows(Paper)] == [1]
    assert len([one for one in rows(Delivery) if one.paper_id]) == 1


def test_changed_figures_are_the_next_version(desk, clock):
    review = render_review(open_review(contract="HT-1"))
    clock.move_to(DECEMBER + timedelta(days=1))
    render_review(review)

    assert [one.version for one in rows(Paper)] == [1, 2]
    paper = review_detail(review).paper
    assert paper is not None
    assert paper.version == 2


def test_a_review_that_was_not_made_is_not_delivered(desk):
    review = open_review(contract="HT-1")
    with pytest.raises(InputError, match="还没有生成"):
        deliver_review(review)


def test_a_customer_whom_nobody_can_write_to_is_told_and_the_service_stays(desk):
    customer = enter_customer(
        read_form(CustomerForm, {"name": "无邮箱客户", "contacts": [{"name": "孙示例"}]}), by="li"
    )
    add_system(customer, "silent")
    add_contract(number="HT-3", customer="无邮箱客户", systems=["silent"])
    review = render_review(open_review(contract="HT-3"))
    with pytest.raises(InputError, match="没有接收文书的联系人"):
        deliver_review(review)


@pytest.mark.parametrize(
    "asked",
    [
        {"contract": "HT-9"},
        {"contract": "HT-1", "year": 2},
        {"service": 99},
        {"year": 1},
        {"year": 9999},
    ],
)
def test_what_is_not_recorded_is_refused(desk, asked):
    with pytest.raises(InputError):
        open_review(**asked)


def test_a_service_of_another_kind_is_no_review(desk):
    other = next(one for one in rows(Service) if one.kind is not ServiceKind.REVIEW)
    with pytest.raises(InputError, match="没有这项"):
        open_review(service=other.id)
    assert rows(Service)[0].state is ServiceState.PLANNED


def test_reviews_are_listed_with_their_customer_or_the_desk(desk):
    open_review(contract="HT-1")
    open_review(year=2025)
    listed = {(one.customer, one.contract) for one in list_reviews(Wish()).rows}
    assert listed == {(OURS, "HT-1"), ("", "")}
    assert list_reviews(Wish(text=OTHERS)).total == 0

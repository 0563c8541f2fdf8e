"""The year's figures, and the paper that is made of them, page by page."""

import pytest
import time_machine
from sqlalchemy import select

from mailcare.records.deliveries import Delivery
from mailcare.records.session import reading
from tests.console.test_pages import audited

DATABASES = ["sqlite"]


@pytest.fixture(autouse=True)
def december():
    with time_machine.travel("2026-12-01T09:00:00+08:00", tick=False):
        yield


def letters() -> list[Delivery]:
    with reading() as session:
        return list(session.scalars(select(Delivery)))


def test_a_review_is_made_shown_downloaded_and_handed_to_the_outbox(login):
    client = login("boss")
    made = client.post("/reviews/new", data={"contract": "HT-2026-001", "year": ""})
    assert made.status_code == 303

    page = client.get(made.headers["location"]).text
    assert "ND-2026-00001 v1" in page
    assert "本年度没有申报的故障。" in page
    assert "6,000 元/年" in page
    assert client.get("/papers/2/pdf").content.startswith(b"%PDF")
    assert letters() == []

    assert client.post("/reviews/1/deliver").status_code == 303
    assert {one.customer_id for one in letters()} == {1}
    told = [one[:2] for one in audited() if one[2] == "review/1"]
    assert told == [("boss", "render"), ("boss", "deliver")]
    assert "HT-2026-001" in client.get("/reviews").text


def test_the_desks_year_is_made_without_a_contract(login):
    client = login("boss")
    client.post("/reviews/new", data={"contract": "", "year": "2026"})
    page = client.get("/reviews/1").text
    assert "另一客户" not in page
    assert "HT-2026-001" in page
    assert "全部客户" in page
    for who, code in (("engineer", 403), ("auditor", 200)):
        client = login(who)
        paths = ("/reviews/1", "/papers/2", "/papers/2/pdf")
        assert [client.get(path).status_code for path in paths] == [code] * 3, who


@pytest.mark.parametrize(
    "asked",
    [{"contract": "HT-9"}, {"contract": "HT-2026-001", "year": "9"}, {"year": "x"}, {"year": "0"}],
)
def test_what_cannot_be_made_is_told_on_the_form(login, asked):
    answer = login("boss").post("/reviews/new", data=asked)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


def test_only_a_manager_makes_and_sends(login):
    client = login("engineer")
    assert client.get("/reviews").status_code == 200
    for path in ("/reviews/new", "/reviews/1/render", "/reviews/1/deliver"):
        assert client.post(path, data={}).status_code == 403
    assert client.get("/reviews/1").status_code == 404

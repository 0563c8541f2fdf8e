"""The customers' page: reachable without a login, and nothing but the page of a link that works."""

import re
from secrets import token_urlsafe

import pytest
import time_machine
from fastapi.testclient import TestClient
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from mailcare.records.visits import VisitState
from mailcare.visits.links import REFUSALS_MOST
from tests.visits import desk

DATABASES = ["sqlite"]
OWN = {"Origin": "http://testserver"}


@pytest.fixture(scope="session")
def answering():
    from warnings import catch_warnings, simplefilter

    with catch_warnings():
        simplefilter("ignore")  # Airflow's own imports warn of its own deprecations
        from mailcare.console.answering import create_answering

        return create_answering()


@pytest.fixture
def client(answering, database_url, engine, monkeypatch, tmp_path):
    from tests.contracts.desk import add_customer, add_system

    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path))
    monkeypatch.setenv("MAILCARE_PUBLIC_URL", "https://service.vendor.example")
    monkeypatch.setenv("MAILCARE_SENDER", "service@vendor.example")
    add_system(add_customer(contacts=desk.CONTACTS))
    with time_machine.travel("2026-04-01T09:00:00+08:00", tick=False):
        yield TestClient(answering, headers=OWN, follow_redirects=False)


@pytest.fixture
def link(client) -> str:
    number = desk.planned_visit()
    desk.propose(number)
    return "/" + "/".join(desk.link())


def test_looking_changes_nothing_and_answering_acts_once(client, link):
    for _ in range(2):
        page = client.get(link)
        assert page.status_code == 200
        assert "2026-05-11、2026-05-12、2026-05-13" in page.text
    taken = client.post(link, data={"chosen": desk.FIRST, "said_by": "王示例"})
    assert taken.status_code == 200
    assert "您的答复已登记" in taken.text
    assert desk.visit(link.split("/")[1]).state is VisitState.CONFIRMED
    assert client.get(link).status_code == 410
    assert client.post(link, data={"chosen": desk.FIRST, "said_by": "王示例"}).status_code == 410
    assert desk.refusals() == [("used", "testclient")] * 2


def test_another_day_is_taken_as_a_wish(client, link):
    wish = {"chosen": "other", "start": desk.SECOND, "said_by": "王示例", "note": "月末结账"}
    assert client.post(link, data=wish).status_code == 200
    assert desk.visit(link.split("/")[1]).state is VisitState.COUNTERED


def test_what_is_wrong_is_said_and_may_be_corrected(client, link):
    sunday = {"chosen": "other", "start": "2026-05-10", "said_by": "王"}
    strange = {"chosen": "<script>", "said_by": "王"}
    for data, field in (
        ({}, "start"),
        ({"chosen": desk.FIRST}, "said_by"),
        (sunday, "start"),
        (strange, "start"),
        ({"chosen": desk.FIRST, "said_by": "王", "note": "a\0b"}, "note"),
    ):
        wrong = client.post(link, data=data, headers={"Accept-Language": "en"})
        assert wrong.status_code == 422, data
        [told] = re.findall(rf'id="{field}-error">([^<]+)<', wrong.text)
        assert re.search("[一-鿿]", told)  # the customer's page is Chinese
        assert "<script>" not in wrong.text
    assert client.post(link, data={"chosen": desk.FIRST, "said_by": "王示例"}).status_code == 200


def test_a_guess_is_refused_written_down_and_at_last_not_listened_to(client, link):
    number = link.split("/")[1]
    codes = [
        client.get(f"/{number}/{token_urlsafe(32)}").status_code for _ in range(REFUSALS_MOST + 1)
    ]
    assert codes == [404] * REFUSALS_MOST + [429]
    assert len(desk.refusals()) == REFUSALS_MOST
    assert client.post(link, data={"chosen": desk.FIRST, "said_by": "王"}).status_code == 429


@pytest.mark.parametrize(
    ("trusted", "known_as"), [("testclient", "203.0.113.9"), ("127.0.0.1", "testclient")]
)
def test_only_a_trusted_proxy_says_who_knocks(answering, client, link, trusted, known_as):
    """The server that Airflow runs reads the addresses, from `MAILCARE_PROXY_IPS` alone."""
    behind = ProxyHeadersMiddleware(answering, trusted_hosts=trusted)
    knocking = TestClient(behind, headers=OWN | {"X-Forwarded-For": "192.0.2.1, 203.0.113.9"})
    assert knocking.get(f"/{link.split('/')[1]}/{token_urlsafe(32)}").status_code == 404
    assert desk.refusals() == [("unknown", known_as)]


def test_trouble_of_ours_is_told_without_its_details(client, link, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MAILCARE_DB_URL", f"sqlite:///{tmp_path}/empty.db")
    told = client.get(link)
    assert told.status_code == 400
    assert "请与我们联系" in told.text
    assert "empty.db" not in told.text
    assert "mailcare db upgrade" in caplog.text


@pytest.mark.parametrize(
    "path", ["/", "/visits", "/customers", "/console.css/x", "/openapi.json", "/docs", "/a/b/c"]
)
def test_nothing_else_is_reachable(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "邮件中的" in answer.text


def test_only_the_form_of_this_page_may_answer(client, link):
    sent = {"chosen": desk.FIRST, "said_by": "王示例"}
    foreign = client.post(link, data=sent, headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert client.get(link).status_code == 200


def test_the_page_is_styled_and_never_framed_stored_or_indexed(client, link):
    assert client.get("/console.css").status_code == 200
    page = client.get(link)
    assert "frame-ancestors 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
    assert "noindex" in page.text
    assert "nav" not in page.text

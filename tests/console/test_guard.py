"""Foreign and oversized requests are refused, and every answer is protected."""

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import func, select

from mailcare.records.base import Base
from mailcare.records.session import reading
from tests.console.test_access import ask, routes

DATABASES = ["postgresql"]

FORM = {"login": "new", "role": "engineer"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "http://evil.example", "Authorization": "Bearer good"},
    ],
)
def test_a_foreign_page_changes_nothing(login, headers):
    client = login("boss")
    answer = client.post("/staff/grant", data=FORM, headers=headers)
    assert answer.status_code == 403
    assert "new" not in client.get("/staff").text.replace("new-password", "")


def test_a_cookie_without_any_origin_is_refused_and_a_program_with_a_token_is_not(login):
    client = login("boss")
    del client.headers["Origin"]
    assert client.post("/staff/grant", data=FORM).status_code == 403
    program = {"Authorization": "Bearer good"}
    assert client.post("/staff/grant", data=FORM, headers=program).status_code == 303


def test_our_own_form_is_taken(login):
    headers = {"Sec-Fetch-Site": "same-origin"}
    assert login("boss").post("/staff/grant", data=FORM, headers=headers).status_code == 303


def test_ten_megabytes_of_text_are_refused_before_they_are_read(login):
    answer = login("boss").post("/customers/new", data={"name": "x" * 10_000_000})
    assert answer.status_code == 413
    assert "过大" in answer.text


def test_an_upload_over_the_limit_is_refused(login):
    files = {"file": ("big.xlsx", b"x" * (33 * 1024 * 1024))}
    assert login("boss").post("/import", files=files).status_code == 413


@pytest.mark.parametrize("path", ["/", "/customers", "/papers/1/pdf", "/nowhere", "/console.css"])
def test_every_answer_has_the_protecting_headers(login, path):
    headers = login("boss").get(path).headers
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert "default-src" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_nothing_is_changed_by_looking(app):
    words = ("delete", "revoke", "grant", "withdraw", "apply", "confirm")
    asked = [one for one in app.routes if isinstance(one, APIRoute) and "GET" in one.methods]
    assert asked
    assert not [one.path for one in asked if one.path.rpartition("/")[2] in words]


def rows() -> dict[str, int]:
    with reading() as session:
        tables = Base.metadata.sorted_tables
        return {
            one.name: session.scalar(select(func.count()).select_from(one)) or 0 for one in tables
        }


def of_method(app, method: str) -> list[APIRoute]:
    found = [one for one in routes(app) if method in one.methods]
    assert len(found) > 20
    return found


def test_no_page_and_no_file_writes_a_row_when_it_is_looked_at(app, login):
    client, before = login("boss"), rows()
    assert sum(before.values()) > 5
    codes = {ask(client, route).status_code for route in of_method(app, "GET")}
    assert 200 in codes
    assert rows() == before


def test_every_route_that_changes_something_refuses_a_foreign_page(app, login):
    client, before = login("boss"), rows()
    client.headers["Origin"] = "http://evil.example"
    for route in of_method(app, "POST"):
        answer = ask(client, route)
        assert answer.status_code == 403, route.path
        assert "不是从本控制台的页面发出" in answer.text, route.path
    assert rows() == before


def test_a_download_opened_anyway_can_do_nothing(login):
    policy = login("boss").get("/papers/1/pdf").headers["content-security-policy"]
    assert policy.startswith("sandbox")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"login=\xff\xfe&role=%00%ed%a0%80"),
        ("multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\n\xff--x--"),
        ("multipart/form-data", b"no boundary"),
        ("application/json", b'{"login": "a"}'),
        ("text/plain", b"\x00" * 1000),
        ("application/x-www-form-urlencoded", b"a=1&" * 1000),
    ],
)
@pytest.mark.parametrize("path", ["/staff/grant", "/authorisations/new", "/import", "/calendar"])
def test_a_body_that_is_no_form_is_refused_and_nothing_breaks(login, path, kind, body):
    answer = login("boss").post(path, content=body, headers={"Content-Type": kind})
    assert answer.status_code in {400, 404, 422}, answer.text

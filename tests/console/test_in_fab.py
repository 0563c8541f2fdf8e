"""The same access rules under production's auth manager."""

import httpx
import pytest

from mailcare.records.schema import upgrade
from tests.console.servers import fab_api_server, fill, using

# The viewer has the product's manager role, too: Airflow's permission is asked for all the same.
EXPECTED = {"boss": ("Admin", 200), "auditor": ("User", 200), "stranger": ("Op", 403),
            "viewer": ("Viewer", 403)}  # fmt: skip
CHANGES = {
    "staff/grant": {"login": "stranger", "role": "manager"},
    "customers/new": {"name": "丙公司", "contacts.0.name": "李示例"},
    "customers/1/delete": {"version": "1"},
    "authorisations/1/revoke": {},
    "faults/new": {"site": "shili-bank-lab"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("fab")
    database = f"sqlite:///{home / 'mailcare.db'}"
    upgrade(database)
    users = {login: role for login, (role, _) in EXPECTED.items()}
    with using(database):
        fill()
        with fab_api_server(home, database, users) as running:
            yield running


def bearer(server, login: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {server.token(login)}"}
    return httpx.Client(base_url=f"{server.url}/mailcare/", headers=headers, timeout=60)


def lists(app) -> list[str]:
    """Return the address of every list: what has an Excel file and asks for nothing."""
    from tests.console.test_access import routes

    paths = [one.path for one in routes(app) if "GET" in one.methods and "{" not in one.path]
    found = sorted({one.removesuffix(".xlsx") for one in paths if one.endswith(".xlsx")})
    assert len(found) > 10
    return [one for one in found if one in paths]


@pytest.mark.parametrize("login", list(EXPECTED))
def test_permission_and_role_decide_by_cookie_and_bearer(server, login):
    token, (_, code) = server.token(login), EXPECTED[login]
    for options in (
        {"headers": {"Authorization": f"Bearer {token}"}},
        {"cookies": {"_token": token}},
    ):
        answer = httpx.get(f"{server.url}/mailcare/customers", timeout=60, **options)
        assert answer.status_code == code
        assert ("示例银行" in answer.text) is (code == 200)


@pytest.mark.parametrize("login", list(EXPECTED))
def test_every_list_opens_to_whom_it_may_and_to_nobody_else(app, server, login):
    with bearer(server, login) as client:
        codes = {path: client.get(path.lstrip("/")).status_code for path in lists(app)}
    assert codes == dict.fromkeys(codes, EXPECTED[login][1])


def test_nobody_is_told_to_log_in(server):
    answer = httpx.get(f"{server.url}/mailcare/customers", timeout=60)
    assert answer.status_code == 401
    assert "登录" in answer.text


@pytest.mark.parametrize("login", [one for one in EXPECTED if one != "boss"])
def test_who_may_not_changes_nothing(server, login):
    with bearer(server, login) as client:
        codes = {path: client.post(path, data=data).status_code for path, data in CHANGES.items()}
    assert codes == dict.fromkeys(CHANGES, 403)
    with bearer(server, "boss") as client:
        assert "丙公司" not in client.get("customers").text


def test_a_manager_enters_a_customer(server):
    with bearer(server, "boss") as client:
        answer = client.post("customers/new", data={"name": "乙", "contacts.0.name": "李示例"})
        assert answer.status_code == 303, answer.text
        assert "乙" in client.get("customers").text

"""The same access rules under production's auth manager."""

import httpx
import pytest

from mailcare.records.schema import upgrade
from tests.console.servers import fab_api_server, fill, using

# The viewer has the product's manager role, too: Airflow's permission is asked for all the same.
EXPECTED = {"boss": ("Admin", 200), "auditor": ("User", 200), "stranger": ("Op", 403),
            "viewer": ("Viewer", 403)}  # fmt: skip


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


def test_nobody_is_told_to_log_in(server):
    answer = httpx.get(f"{server.url}/mailcare/customers", timeout=60)
    assert answer.status_code == 401
    assert "登录" in answer.text


def test_an_auditor_changes_nothing(server):
    headers = {"Authorization": f"Bearer {server.token('auditor')}"}
    data = {"login": "auditor", "role": "manager"}
    url = f"{server.url}/mailcare/staff/grant"
    assert httpx.post(url, data=data, headers=headers, timeout=60).status_code == 403

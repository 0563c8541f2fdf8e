"""The console over a test client: real routes, roles and records, Airflow's login replaced."""

from collections.abc import Callable, Iterator
from warnings import catch_warnings, simplefilter

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient

from tests.console.servers import ROLES, USERS, add_contract, fill

Login = Callable[[str], TestClient]


class User:
    """What the console asks of Airflow's user."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get_name(self) -> str:
        return self.name


@pytest.fixture(scope="session")
def app():
    with catch_warnings():
        simplefilter("ignore")  # Airflow's own imports warn of its own deprecations
        from mailcare.console.app import create_app

        return create_app()


@pytest.fixture
def records(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    fill()
    add_contract()


@pytest.fixture
def login(app, records) -> Iterator[Login]:
    """Return a client of one of `USERS`; "" is nobody. Only what Airflow answers is replaced."""
    from airflow.api_fastapi.core_api.security import get_user

    from mailcare.console.access import may_run_inspections

    who = ""

    def user() -> User:
        if not who:
            raise HTTPException(401, "Not authenticated")
        return User(who)

    def permission() -> None:
        if not who:
            raise HTTPException(401, "Not authenticated")
        if USERS[who] == "viewer":
            raise HTTPException(403, "Forbidden")

    app.dependency_overrides = {get_user: user, may_run_inspections: permission}

    def client(name: str) -> TestClient:
        nonlocal who
        who = name
        own = {"Origin": "http://testserver", "Accept-Language": "zh"}
        return TestClient(app, headers=own, follow_redirects=False, raise_server_exceptions=True)

    assert set(ROLES) <= set(USERS)
    yield client
    app.dependency_overrides = {}

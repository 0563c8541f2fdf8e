from pathlib import Path

import pytest
import time_machine
from sqlalchemy import Engine

from tests.contracts.desk import add_customer, add_system
from tests.visits.desk import CONTACTS

APRIL = "2026-04-01T09:00:00+08:00"


@pytest.fixture
def desk_records(
    database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    monkeypatch.setenv("MAILCARE_PUBLIC_URL", "https://service.vendor.example/")
    monkeypatch.setenv("MAILCARE_SENDER", "service@vendor.example")


@pytest.fixture
def desk(desk_records: None) -> None:
    add_system(add_customer(contacts=CONTACTS))


@pytest.fixture
def clock():
    with time_machine.travel(APRIL, tick=False) as traveller:
        yield traveller

import pytest


@pytest.fixture
def database(database_url, monkeypatch):
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    monkeypatch.setenv("MAILCARE_SENDER", "service@vendor.example")
    monkeypatch.delenv("MAILCARE_RELAY_URL", raising=False)

from pathlib import Path

import pytest


@pytest.fixture
def records(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path))
    monkeypatch.setenv("MAILCARE_SENDER", "service@vendor.example")
    monkeypatch.setenv("MAILCARE_VENDOR", "示例维保公司")
    for name in ("MAILCARE_RELAY_URL", "MAILCARE_SIGNING_CERTIFICATE"):
        monkeypatch.delenv(name, raising=False)

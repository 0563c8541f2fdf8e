import subprocess
import sys
from pathlib import Path

import pytest

from mailcare.errors import InputError
from mailcare.secrets import find_secret
from mailcare.systems.site import Credential

ASK = """
from mailcare.errors import InputError
from mailcare.secrets import find_secret
from mailcare.systems.site import Credential

try:
    secret = find_secret(Credential(login="fallback", connection={name!r}))
    print(secret.login, secret.password, secret.private_key)
except InputError as error:
    print(error)
"""


def from_connection(name: str, home: Path, **surroundings: str) -> str:
    """Ask in a process of its own: Airflow reads its settings once, on its first import."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK.format(name=name)],
        env={"PYTHONPATH": ":".join(sys.path), "AIRFLOW_HOME": str(home), **surroundings},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()[-1]


def test_a_connection_that_airflow_does_not_know_is_named(tmp_path):
    assert from_connection("nix", tmp_path) == "nix：没有这个 Airflow 连接"


def test_a_connection_gives_its_login_password_and_key(tmp_path):
    connection = (
        '{"conn_type": "ssh", "login": "a", "password": "p", "extra": {"private_key": "k"}}'
    )
    assert from_connection("mine", tmp_path, AIRFLOW_CONN_MINE=connection) == "a p k"


def test_a_variable_that_is_not_set_is_named(monkeypatch):
    monkeypatch.delenv("NOBODY_SETS_THIS", raising=False)
    with pytest.raises(InputError, match="NOBODY_SETS_THIS：环境变量没有设置"):
        find_secret(Credential(login="a", password_env="NOBODY_SETS_THIS"))

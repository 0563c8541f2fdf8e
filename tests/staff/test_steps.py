from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from mailcare.cli import app
from mailcare.errors import InputError
from mailcare.listing import Wish
from mailcare.records.people import AuditEntry
from mailcare.records.session import reading
from mailcare.staff.steps import (
    Role,
    grant_role,
    list_audit,
    list_roles,
    roles_of,
    withdraw_role,
)


@pytest.fixture(autouse=True)
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)


def test_a_stranger_has_no_role():
    assert roles_of("nobody") == frozenset()


def test_roles_are_given_listed_and_taken_back_and_each_is_audited():
    grant_role("li", Role.MANAGER, by="cli:root")
    grant_role("li", Role.ENGINEER, by="cli:root")
    assert roles_of("li") == {Role.MANAGER, Role.ENGINEER}
    withdraw_role("li", Role.ENGINEER, by="li")
    assert [(one.login, one.role) for one in list_roles(Wish()).rows] == [("li", Role.MANAGER)]
    told = [(one.by, one.action, one.subject) for one in list_audit(Wish()).rows]
    assert told == [
        ("li", "withdraw", "staff/li"),
        ("cli:root", "grant", "staff/li"),
        ("cli:root", "grant", "staff/li"),
    ]


def test_a_role_given_twice_or_taken_twice_is_told_and_not_audited():
    grant_role("li", Role.AUDITOR, by="boss")
    with pytest.raises(InputError, match="已有"):
        grant_role("li", Role.AUDITOR, by="boss")
    with pytest.raises(InputError, match="没有这个角色"):
        withdraw_role("wang", Role.AUDITOR, by="boss")
    with reading() as session:
        assert len(session.scalars(select(AuditEntry)).all()) == 1


@pytest.mark.parametrize("login", ["", "  ", "a\nb", "x" * 101])
def test_a_login_is_a_name(login):
    with pytest.raises(InputError, match="登录名"):
        grant_role(login, Role.ENGINEER, by="boss")


def test_the_last_manager_cannot_be_taken_away():
    grant_role("li", Role.MANAGER, by="cli:root")
    with pytest.raises(InputError, match="最后一位"):
        withdraw_role("li", Role.MANAGER, by="li")
    assert roles_of("li") == {Role.MANAGER}


def test_the_command_line_makes_the_first_manager():
    run = CliRunner().invoke(app, ["staff", "grant", "admin", "manager"])
    assert run.exit_code == 0, run.output
    assert roles_of("admin") == {Role.MANAGER}
    listed = CliRunner().invoke(app, ["staff", "list"]).output
    assert "admin  manager" in listed
    assert CliRunner().invoke(app, ["staff", "grant", "admin", "king"]).exit_code == 2


def test_of_two_managers_who_withdraw_each_other_at_once_one_stays():
    grant_role("li", Role.MANAGER, by="cli:root")
    grant_role("wang", Role.MANAGER, by="cli:root")

    def withdraw(login: str) -> None:
        with suppress(InputError):
            withdraw_role(login, Role.MANAGER, by="boss")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(withdraw, ("li", "wang")))
    assert list_roles(Wish()).total == 1

"""Collecting from real hosts that fail: what is tried again, what is not, and what is kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from lab import faults
from mailcare.errors import MailcareError, Unavailable
from mailcare.inspection import steps
from mailcare.inspection.check import Finding, Severity
from mailcare.records.inspections import Connection
from mailcare.records.schema import upgrade
from mailcare.records.session import reading
from mailcare.systems.steps import import_site

SITE = Path(__file__).resolve().parents[2] / "lab" / "site.yaml"
SCOPE = ("ssh.login", "os.release", "hardware.memory")

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]


@pytest.fixture(autouse=True)
def healthy() -> Iterator[None]:
    faults.heal_all()
    yield
    faults.heal_all()


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    url = f"sqlite:///{tmp_path / 'mailcare.db'}"
    monkeypatch.setenv("MAILCARE_DB_URL", url)
    upgrade(url)
    import_site(SITE, recorded_by="test")
    return steps.open_inspection("run-1", site="shili-bank-lab", scope=SCOPE)


def login_of(inspection: int, host: str) -> Finding:
    steps.record(steps.judge(inspection))
    results = steps.recorded(inspection).results
    [login] = [one for one in results if one.check == "ssh.login" and one.target.node == host]
    assert isinstance(login, Finding)
    return login


def test_a_host_that_does_not_answer_is_tried_again_and_then_told_of(opened: int) -> None:
    faults.inject("ssh-down")
    with pytest.raises(Unavailable, match="mx1"):
        steps.collect(opened, "mx1", tries_left=1)
    steps.collect(opened, "mx1", tries_left=0)  # the last try keeps what there is
    assert login_of(opened, "mx1").severity is Severity.WARNING


def test_a_host_that_answers_at_the_second_try_counts_as_well(opened: int) -> None:
    faults.inject("ssh-down")
    with pytest.raises(Unavailable):
        steps.collect(opened, "mx1", tries_left=2)
    faults.heal("ssh-down")
    steps.collect(opened, "mx1", tries_left=1)
    assert login_of(opened, "mx1").severity is Severity.OK
    results = steps.recorded(opened).results
    assert [one for one in results if one.check == "os.release" and isinstance(one, Finding)]


@pytest.mark.parametrize("fault", ["hostkey-changed", "ssh-auth-refused"])
def test_a_host_that_refuses_us_fails_at_once_and_is_a_finding(opened: int, fault: str) -> None:
    faults.inject(fault)
    with pytest.raises(MailcareError) as refused:
        steps.collect(opened, "mx1", tries_left=2)
    assert refused.value.permanent
    assert login_of(opened, "mx1").severity >= Severity.WARNING


def test_after_the_cause_is_mended_a_task_run_again_goes_on(opened: int) -> None:
    faults.inject("ssh-auth-refused")
    with pytest.raises(MailcareError):
        steps.collect(opened, "mx1", tries_left=2)
    faults.heal("ssh-auth-refused")
    steps.collect(opened, "mx1", tries_left=2)
    assert login_of(opened, "mx1").severity is Severity.OK


def test_every_login_is_written_down_with_its_authorisation(opened: int) -> None:
    for host in steps.hosts_to_ask(opened):
        steps.collect(opened, host, tries_left=0)
    with reading() as session:
        rows = session.scalars(select(Connection).order_by(Connection.node)).all()
    assert [(row.node, row.address, row.login) for row in rows] == [
        ("bak1", "10.66.0.31", "inspector"),
        ("mx1", "10.66.0.11", "inspector"),
    ]
    assert all(row.authorisation_id for row in rows)

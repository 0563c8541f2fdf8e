"""The task that waits for an authorisation, on real records; Airflow's part is faked."""

import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from mailcare.inspection import steps
from mailcare.records.changes import revoke
from mailcare.records.customers import Authorisation
from mailcare.records.schema import upgrade
from mailcare.records.session import transaction
from mailcare.systems.steps import import_site

SITE = Path(__file__).resolve().parents[2] / "lab" / "site.yaml"
ANSWERED = {"params_input": {}, "responded_at": datetime.now(UTC), "responded_by_user": None}


class Parked(Exception):
    """What stands for Airflow's own signal that a task waits for a person."""


@pytest.fixture
def inspection(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'mailcare.db'}"
    monkeypatch.setenv("MAILCARE_DB_URL", url)
    upgrade(url)
    import_site(SITE, recorded_by="test")
    return steps.open_inspection("run-1", site="shili-bank-lab")


@pytest.fixture
def gate(inspection, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's own imports warn of its own deprecations
        from airflow.providers.standard.operators.hitl import HITLOperator

        from mailcare.contracts.gate import AuthorisationGate

    def park(_self, _context):
        raise Parked

    monkeypatch.setattr(HITLOperator, "execute", park)
    return AuthorisationGate(task_id="authorise", identity=str(inspection))


def withdraw():
    with transaction() as session:
        row = session.scalars(select(Authorisation)).one()
        assert revoke(session, row.id, by="test", at=datetime.now(UTC))


def test_a_covered_run_passes_at_once_with_the_hosts_to_ask(gate):
    assert gate.execute({}) == ["", "bak1", "mx1"]


def test_a_run_that_is_not_covered_waits(gate):
    withdraw()
    with pytest.raises(Parked):
        gate.execute({})


def test_an_answer_without_a_record_waits_again(gate):
    withdraw()
    with pytest.raises(Parked):
        gate.execute_complete({}, ANSWERED | {"chosen_options": ["已登记授权，继续"]})


def test_an_answer_goes_on_once_the_record_is_there(gate):
    event = ANSWERED | {"chosen_options": ["已登记授权，继续"]}
    assert gate.execute_complete({}, event) == ["", "bak1", "mx1"]


def test_calling_it_off_fails_for_good(gate):
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match="已取消"):
        gate.execute_complete({}, ANSWERED | {"chosen_options": ["取消本次服务"]})

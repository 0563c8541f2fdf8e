"""The task that waits for a reviewer, on real records; Airflow's part is faked."""

import warnings
from datetime import UTC, datetime

import pytest

from tests.reports.desk import approve, handled, open_desk, state, submitted, version


class Parked(Exception):
    """What stands for Airflow's own signal that a task waits for a person."""


def answered(option: str, name: str) -> dict[str, object]:
    user = {"id": "1", "name": name}
    said = {"params_input": {}, "responded_at": datetime.now(UTC), "responded_by_user": user}
    return said | {"chosen_options": [option]}


@pytest.fixture
def make(records, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's own imports warn of its own deprecations
        from airflow.providers.standard.operators.hitl import HITLOperator

        from mailcare.reports.gate import ReportReview

    def park(_self, _context):
        raise Parked

    monkeypatch.setattr(HITLOperator, "execute", park)

    def of(report, seen=None):
        seen = seen or (version(report) if report else "None")
        return ReportReview(task_id="review", report=str(report), version=str(seen))

    return of


@pytest.fixture
def report(records) -> int:
    open_desk()
    return submitted(handled())


def test_a_run_about_something_else_is_skipped(make):
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException):
        make(None).execute({})


def test_it_waits_until_somebody_decides_and_looks_again_after_a_while(make, report):
    with pytest.raises(Parked):
        make(report).execute({})
    with pytest.raises(Parked):
        make(report).execute_complete({}, {"error": "", "error_type": "timeout"})


def test_an_approval_in_airflow_counts_and_issues(make, report):
    assert make(report).execute_complete({}, answered("Approve", "boss")) == report
    assert state(report) == "issued"


def test_a_rejection_in_airflow_returns_the_report(make, report):
    assert make(report).execute_complete({}, answered("Reject", "boss")) == report
    assert state(report) == "returned"


def test_an_answer_to_the_question_about_a_returned_version_decides_nothing(make, report):
    first = make(report)
    make(report).execute_complete({}, answered("Reject", "boss"))
    again = submitted(1)
    assert again == report

    assert first.execute_complete({}, answered("Approve", "boss")) == report
    assert state(report) == "in_review"
    with pytest.raises(Parked):
        make(report).execute({})


def test_an_answer_by_one_who_may_not_review_changes_nothing(make, report):
    for who in ("zhou", "stranger"):
        with pytest.raises(Parked):
            make(report).execute_complete({}, answered("Approve", who))
    assert state(report) == "in_review"


def test_what_the_console_decided_first_stays(make, report):
    with pytest.raises(
        Parked
    ):  # Airflow may have lost an answer: it asks again, nothing is decided
        make(report).execute_complete({}, {"error": "", "error_type": "timeout"})
    approve(report)

    assert make(report).execute_complete({}, {"error": "", "error_type": "timeout"}) == report
    assert make(report).execute_complete({}, answered("Reject", "boss")) == report
    assert state(report) == "issued"

"""The list of systems tells the last closed inspection, and never calls the unknown good."""

from datetime import timedelta

import pytest

from mailcare.listing import Wish
from mailcare.records.inspections import (
    Finding,
    FindingSeverity,
    FindingState,
    Inspection,
    Judgement,
    Service,
    ServiceKind,
    ServicePurpose,
    ServiceState,
)
from mailcare.records.session import transaction
from mailcare.systems.steps import list_systems
from tests.records.rows import NOW, add_system

OK, BAD = FindingSeverity.OK, FindingSeverity.CRITICAL


@pytest.fixture
def system(database_url: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    with transaction() as session:
        add_system(session, site="another")
        return add_system(session)


def inspect(system: int, *severities: FindingSeverity | None, day: int) -> None:
    """Write a closed inspection; None is a check that could not be measured."""
    with transaction() as session:
        service = Service(
            system_id=system,
            kind=ServiceKind.REMOTE_INSPECTION,
            purpose=ServicePurpose.FOLLOW_UP,
            key=f"run-{day}",
            state=ServiceState.DONE,
            state_changed_at=NOW,
        )
        session.add(service)
        session.flush()
        at = NOW + timedelta(days=day)
        row = Inspection(
            service_id=service.id, started_at=at, finished_at=at, definition={}, scope=[]
        )
        session.add(row)
        session.flush()
        judgement = Judgement(
            inspection_id=row.id,
            fingerprint="f",
            judged_at=at,
            product_version="1",
            findings=[finding(place, one) for place, one in enumerate(severities)],
        )
        session.add(judgement)
        session.flush()
        row.current_judgement_id = judgement.id


def finding(ordinal: int, severity: FindingSeverity | None) -> Finding:
    return Finding(
        ordinal=ordinal,
        check_name="dns.mx",
        area="dns",
        node="",
        port=0,
        part="",
        state=FindingState.MEASURED if severity else FindingState.UNMEASURED,
        severity=severity,
        summary="",
        advice="",
        reason=None if severity else "no reply",
        evidence=[],
        metrics={},
        caused_by=None,
    )


def test_the_last_inspection_counts_and_the_unmeasured_are_counted_apart(system):
    inspect(system, BAD, BAD, OK, day=1)
    inspect(system, OK, None, day=2)
    found = {row.site: row for row in list_systems(Wish()).rows}
    row = found["shili-bank"]
    assert row.inspected_at == NOW + timedelta(days=2)
    assert (row.critical, row.warning, row.unmeasured) == (0, 0, 1)
    assert (found["another"].inspected_at, found["another"].unmeasured) == (None, None)


def test_the_state_on_the_page_names_the_worst_and_the_unknown(system):
    from mailcare.console.systems import overall

    def shown() -> tuple[str, str]:
        found = {row.site: row for row in list_systems(Wish()).rows}
        cell = overall(found["shili-bank"])
        return cell.text, cell.mark

    assert shown() == ("尚未巡检", "quiet")
    inspect(system, OK, day=1)
    assert shown() == ("正常", "good")
    inspect(system, OK, None, day=2)
    assert shown() == ("未测得 1", "warn")
    inspect(system, BAD, None, OK, day=3)
    assert shown() == ("严重 1，未测得 1", "bad")


def test_systems_are_sorted_by_their_last_inspection_the_uninspected_last(system):
    inspect(system, OK, day=1)
    for is_descending in (True, False):
        wish = Wish(sort="inspected_at", is_descending=is_descending)
        assert [row.site for row in list_systems(wish).rows] == ["shili-bank", "another"]

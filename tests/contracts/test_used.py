"""A promise is used up when its inspection is recorded, once, and by no follow-up."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, select, update

from mailcare.contracts.steps import change_contract, plan_due
from mailcare.errors import InputError
from mailcare.inspection.steps import open_inspection, record
from mailcare.records.inspections import (
    Inspection,
    Judgement,
    Service,
    ServiceKind,
    ServicePurpose,
    ServiceState,
)
from mailcare.records.session import transaction
from tests.contracts.desk import (
    NEW_YEAR,
    add_contract,
    add_customer,
    add_system,
    form,
    ledger,
    services,
)

NOW = datetime(2026, 7, 2, 3, tzinfo=UTC)
USED = ("remote_inspection", "used", 1)


@pytest.fixture(autouse=True)
def desk(database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    add_system(add_customer())
    add_contract()
    plan_due(today=NEW_YEAR)


def judged(service: int) -> int:
    with transaction() as session:
        session.execute(
            update(Service).where(Service.id == service).values(state=ServiceState.RUNNING)
        )
        inspection = Inspection(service_id=service, started_at=NOW, definition={}, scope=[])
        session.add(inspection)
        session.flush()
        judgement = Judgement(
            inspection_id=inspection.id, fingerprint="f", judged_at=NOW, product_version="0"
        )
        session.add(judgement)
        session.flush()
        return judgement.id


def test_the_years_inspection_recorded_twice_is_used_once():
    service = services()["HT-1/1/1/remote_inspection/1"].id
    judgement = judged(service)
    for _ in range(2):
        record(judgement)
    assert ledger().count(USED) == 1
    assert services()["HT-1/1/1/remote_inspection/1"].state is ServiceState.DONE
    assert [one.kind for one in told()] == ["used_up"]


def test_a_withdrawn_service_is_not_begun():
    change_contract("HT-1", form(remote_service=False), read_version=1, by="li")
    assert plan_due(today=NEW_YEAR).withdrawn == 2
    with pytest.raises(InputError, match="已撤销"):
        open_inspection("inspect__1", service=services()["HT-1/1/1/remote_inspection/1"].id)


def test_a_follow_up_uses_nothing_up():
    with transaction() as session:
        service = Service(
            system_id=session.scalars(select(Service.system_id).limit(1)).one(),
            kind=ServiceKind.REMOTE_INSPECTION,
            purpose=ServicePurpose.FOLLOW_UP,
            key="manual__1",
            state=ServiceState.PLANNED,
            state_changed_at=NOW,
        )
        session.add(service)
        session.flush()
        number = service.id
    record(judged(number))
    assert USED not in ledger()
    assert told() == []


def told():
    from tests.contracts.desk import notices

    plan_due(today=NEW_YEAR)
    return notices()

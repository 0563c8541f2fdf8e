from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import Engine, select

from mailcare.records.alerts import Alert, Rung
from mailcare.records.deliveries import Delivery, DeliveryChannel, DeliveryState
from mailcare.records.inspections import (
    Inspection,
    Service,
    ServiceKind,
    ServicePurpose,
    ServiceState,
)
from mailcare.records.papers import Paper
from mailcare.records.session import reading, transaction
from mailcare.records.surveys import Survey
from mailcare.reports.steps import open_report
from mailcare.surveys.steps import follow_up, open_due, record_answer
from tests.faults import desk
from tests.surveys.desk import answer, ask, ended

# Made once more on PostgreSQL by the year of tests/test_contract_year.py.
DATABASES = ["sqlite"]
NOW = datetime(2026, 3, 4, 4, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def database(database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    desk.open_desk()


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def surveys() -> list[Survey]:
    with reading() as session:
        return list(session.scalars(select(Survey).order_by(Survey.id)))


def alerts(rung: Rung) -> list[Alert]:
    with reading() as session:
        return list(session.scalars(select(Alert).where(Alert.rung == rung).order_by(Alert.id)))


def service(kind: ServiceKind, purpose: ServicePurpose = ServicePurpose.ANNUAL) -> Service:
    return Service(
        system_id=1, kind=kind, purpose=purpose, key=f"{kind}/{purpose}", due_on=date(2026, 3, 2),
        state=ServiceState.DONE, state_changed_at=NOW,
    )  # fmt: skip


def inspected(state: DeliveryState, purpose: ServicePurpose = ServicePurpose.ANNUAL) -> None:
    with transaction() as session:
        session.add(done := service(ServiceKind.REMOTE_INSPECTION, purpose))
        session.flush()
        row = Inspection(
            service_id=done.id, started_at=NOW - timedelta(hours=2), definition={}, scope=[],
            finished_at=NOW - timedelta(hours=1),
        )  # fmt: skip
        session.add(row)
        session.flush()
        number = f"XJ-2026-{row.id:05d}"
        paper = Paper(
            system_id=1, customer_id=1, number=number, version=1, fingerprint="f", content={},
            template="inspection/report.html", template_version="1",
        )  # fmt: skip
        session.add(paper)
        session.flush()
        session.add(
            Delivery(
                paper_id=paper.id, customer_id=1, key=number, channel=DeliveryChannel.SMTP,
                recipient="w@bank.example", subject="", body="", message_id=number, state=state,
                next_attempt_at=NOW, state_changed_at=NOW, attempts=1,
            )
        )  # fmt: skip


def reported(level: str = "P1", when: str = "2026-03-02") -> int:
    fault = desk.declared(level, f"{when} 09:00")
    desk.happened(
        fault, f"{when} 09:10 contact phone", f"{when} 11:00 handled fix",
        f"{when} 15:00 sent",
    )  # fmt: skip
    return fault


def test_an_inspection_is_asked_about_once_its_report_has_arrived():
    inspected(DeliveryState.PENDING)
    assert open_due() == 0
    with transaction() as session:
        session.scalars(select(Delivery)).one().state = DeliveryState.SENT

    assert open_due() == 1
    assert open_due() == 0
    [survey] = surveys()
    assert (survey.case_kind, survey.subject) == ("inspection", "XJ-2026-00001")
    assert survey.handled_by == []


def test_a_follow_up_is_not_asked_about_by_itself():
    inspected(DeliveryState.SENT, ServicePurpose.FOLLOW_UP)
    assert open_due() == 0


def test_a_fault_is_asked_about_when_its_report_was_sent():
    fault = desk.declared("P1", "2026-03-02 09:00")
    desk.happened(fault, "2026-03-02 09:10 contact phone", "2026-03-02 11:00 handled fix")
    assert open_due() == 0
    desk.happened(fault, "2026-03-02 15:00 sent")

    assert open_due() == 1
    [survey] = surveys()
    assert (survey.case_kind, survey.case_version) == ("fault", 1)
    assert (survey.contact, survey.phone) == ("王示例", "分机 1000")
    assert survey.handled_by == ["li"]
    assert survey.outcome.startswith("已修复")
    assert survey.finished_at == datetime(2026, 3, 2, 3, 0, tzinfo=UTC)


def test_who_wrote_a_faults_report_is_its_engineer_too():
    fault = desk.declared("P1", "2026-03-02 09:00")
    desk.happened(fault, "2026-03-02 09:10 contact phone", "2026-03-02 11:00 handled fix")
    open_report(fault, by="zhou", at=NOW)
    desk.happened(fault, "2026-03-02 15:00 sent")
    assert open_due() == 1
    assert surveys()[0].handled_by == ["li", "zhou"]


def test_a_fault_whose_report_came_back_is_asked_about_when_it_was_sent_again():
    fault = reported()
    desk.happened(fault, "2026-03-02 16:00 returned 2026-03-02T15:00")
    assert open_due() == 0
    desk.happened(fault, "2026-03-03 09:00 sent")
    assert open_due() == 1


def test_a_question_about_the_product_is_remote_support():
    reported("P4")
    open_due()
    assert [one.case_kind for one in surveys()] == ["remote_support"]


def test_a_fault_that_came_back_is_asked_about_anew_after_its_next_report():
    fault = reported()
    assert open_due() == 1
    desk.happened(fault, "2026-03-02 16:00 reopened")
    assert open_due() == 0
    desk.happened(fault, "2026-03-03 09:00 handled fix", "2026-03-03 12:00 sent")

    assert open_due() == 1
    assert [one.case_version for one in surveys()] == [1, 2]


def test_what_ended_long_ago_is_let_be(clock):
    reported()
    clock.move_to(NOW + timedelta(days=31))
    assert open_due() == 0


def test_customer_service_is_told_once_of_each_task_and_reminder():
    reported()
    open_due()
    open_due()
    for day in (9, 9, 12, 18):
        follow_up(today=date(2026, 3, day))

    told = [one.subject for one in alerts(Rung.CUSTOMER_SERVICE)]
    assert told == [
        "请电话回访客户满意度：GZ-2026-00001",
        "第 1 次催办：请电话回访客户满意度：GZ-2026-00001",
        "第 2 次催办：请电话回访客户满意度：GZ-2026-00001",
        "满意度调查已过期未答复：GZ-2026-00001",
    ]
    assert not any(one.is_urgent for one in alerts(Rung.CUSTOMER_SERVICE))


def test_a_nought_is_told_to_manager_and_director_at_once_and_a_blank_is_not():
    good, bad = ask(ended(1)), ask(ended(1, case_id=2, subject="GZ-2026-00002"))
    record_answer(good, answer(skill="", effect=""), by="service")
    assert alerts(Rung.MANAGER) == []

    record_answer(bad, answer(skill="0", comments="数据丢失"), by="service")

    for rung in (Rung.MANAGER, Rung.DIRECTOR):
        [told] = alerts(rung)
        assert told.is_urgent
        assert "GZ-2026-00002" in told.subject
        assert "技术水平" in told.text
        assert "数据丢失" in told.text
        assert "示例银行" not in told.subject

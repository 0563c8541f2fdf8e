"""The morning's planning over the records, on both databases."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import Engine, event, update

from mailcare.calendars.steps import confirm_year_table, load_year_table
from mailcare.contracts import cases, daily, steps
from mailcare.contracts.ledger import Line, balances
from mailcare.contracts.planning import Promise
from mailcare.contracts.starting import STARTS, Start
from mailcare.contracts.steps import (
    PlanOutcome,
    add_visit,
    change_contract,
    contract_detail,
    due_runs,
    list_customers,
    list_unstarted,
    may_start,
    plan_due,
    restart_run,
    tell_unstarted,
)
from mailcare.errors import InputError
from mailcare.listing import Wish
from mailcare.records import session as records_session
from mailcare.records.inspections import Service, ServiceState
from mailcare.records.ledger import note_used
from mailcare.records.people import Role, StaffRole
from mailcare.records.session import transaction
from tests.contracts.desk import (
    NEW_YEAR,
    add_contract,
    add_customer,
    add_system,
    audits,
    form,
    ledger,
    notices,
    services,
)

KINDS = ["remote_inspection", "backup_verification", "visit", "review"]


@pytest.fixture(autouse=True)
def desk(database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    # How kinds are started is told with one of them; which Dags there are is tests/dags' matter.
    for kind in set(STARTS) - {Promise.REMOTE_INSPECTION}:
        monkeypatch.delitem(STARTS, kind)
    with time_machine.travel(datetime(2026, 1, 4, 1, tzinfo=UTC), tick=False):
        add_system(add_customer())
        yield


def carry_out(key: str, state: ServiceState = ServiceState.DONE) -> None:
    with transaction() as session:
        [row] = session.scalars(
            update(Service).where(Service.key == key).values(state=state).returning(Service)
        )
        if state is ServiceState.DONE:
            note_used(session, row.id)


def left(promise: str) -> tuple[int, int, int, int]:
    year = contract_detail("HT-1", on=NEW_YEAR).years[0]
    [one] = [each for each in year.balances if each.promise == promise]
    assert one.bought + one.over == one.left + one.planned + one.used
    assert min(one.bought, one.over, one.left, one.planned, one.used) >= 0
    return one.bought, one.planned, one.used, one.over


def test_a_contract_gets_this_years_services_and_a_ledger():
    add_contract()
    assert plan_due(today=NEW_YEAR) == PlanOutcome(added=4)
    known = services()
    assert [str(one.kind) for one in known.values()] == KINDS
    assert {one.state for one in known.values()} == {ServiceState.PLANNED}
    assert {one.contract_year for one in known.values()} == {1}
    assert ledger() == [
        ("remote_inspection", "bought", 1),
        ("visit", "bought", 1),
        ("remote_inspection", "planned", 1),
        ("visit", "planned", 1),
    ]


def test_planned_twice_is_planned_once():
    add_contract()
    plan_due(today=NEW_YEAR)
    before = (list(services()), ledger())
    assert plan_due(today=NEW_YEAR) == PlanOutcome()
    assert (list(services()), ledger()) == before


def test_a_missed_year_is_caught_up_with():
    add_contract(ends_on="2028-12-31")
    plan_due(today=date(2028, 5, 8))
    assert Counter(one.contract_year for one in services().values()) == {1: 4, 2: 4, 3: 4}


def test_a_year_over_before_the_contract_was_recorded_is_not_planned():
    add_contract(starts_on="2024-03-01", ends_on="2026-02-28")
    plan_due(today=NEW_YEAR)
    assert {one.contract_year for one in services().values()} == {2}


def test_a_shorter_contract_withdraws_what_is_still_planned_and_gives_it_back():
    add_contract(visits_per_year=2)
    plan_due(today=NEW_YEAR)
    carry_out("HT-1/1/1/visit/1")
    change_contract("HT-1", form(visits_per_year=1), read_version=1, by="li")
    assert plan_due(today=NEW_YEAR).withdrawn == 1
    assert services()["HT-1/1/1/visit/2"].state is ServiceState.WITHDRAWN
    assert left("visit") == (1, 0, 1, 0)
    [entry] = audits("withdraw")
    assert (entry.subject, entry.before["state"]) == ("contract/HT-1", "planned")


def test_what_comes_back_into_the_contract_is_planned_again_once():
    add_contract()
    plan_due(today=NEW_YEAR)
    change_contract("HT-1", form(visits_per_year=0), read_version=1, by="li")
    plan_due(today=NEW_YEAR)
    assert left("visit") == (0, 0, 0, 0)
    change_contract("HT-1", form(visits_per_year=1), read_version=2, by="li")
    assert plan_due(today=NEW_YEAR) == PlanOutcome(added=1)
    assert plan_due(today=NEW_YEAR) == PlanOutcome()
    assert services()["HT-1/1/1/visit/1"].state is ServiceState.PLANNED
    assert left("visit") == (1, 1, 0, 0)


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_contracts_of_several_chunks_are_planned_alike(monkeypatch, at_once):
    monkeypatch.setattr(cases, "CHUNK", at_once)
    for number in ("HT-1", "HT-2", "HT-3"):
        add_system(1, number)
        add_contract(number=number, systems=[number])
    plan_due(today=NEW_YEAR)
    planned = Counter(key.partition("/")[0] for key in services())
    assert planned["HT-1"] > 0
    assert planned == dict.fromkeys(("HT-1", "HT-2", "HT-3"), planned["HT-1"])
    assert plan_due(today=NEW_YEAR) == PlanOutcome()


def test_what_began_while_planning_is_not_withdrawn(monkeypatch):
    add_contract()
    plan_due(today=NEW_YEAR)
    change_contract("HT-1", form(visits_per_year=0), read_version=1, by="li")
    with transaction() as session:
        known = cases.cases_after(session, 0)
    calendar = daily.Calendar()
    plans = [daily.plan_case(case, calendar, today=NEW_YEAR) for case in known]
    assert plans[0].revision.withdrawn
    carry_out("HT-1/1/1/visit/1", ServiceState.RUNNING)
    with transaction() as session:
        plans = daily.write_plans(session, plans, today=NEW_YEAR, at=daily.datetime.now(UTC))
    assert plans[0].revision.withdrawn == ()
    assert ("visit", "given_back", 1) not in ledger()
    assert left("visit") == (0, 1, 0, 1)


def test_a_new_notice_moves_what_rests_on_it_and_keeps_the_old_day(tmp_path):
    add_contract()
    plan_due(today=NEW_YEAR)
    table = tmp_path / "2026.yaml"
    table.write_text(
        "year: 2026\nnotice: 示例〔2026〕1号\n"
        "off: [2026-01-01..2026-01-03, 2026-02-16..2026-02-19, 2026-04-05, 2026-05-01..2026-05-02,"
        " 2026-06-19, 2026-07-02, 2026-09-25, 2026-10-01..2026-10-03]\nwork: []\n",
        "utf-8",
    )
    load_year_table(table, by="li")
    confirm_year_table(2026, by="wang")
    assert plan_due(today=NEW_YEAR).moved == 2
    assert services()["HT-1/1/1/remote_inspection/1"].due_on == date(2026, 7, 3)
    entry = audits("move")[0]
    assert (entry.before["due_on"], entry.after["due_on"]) == ("2026-07-02", "2026-07-03")


def test_use_is_written_once_and_told_when_nothing_is_left():
    add_contract()
    plan_due(today=NEW_YEAR)
    carry_out("HT-1/1/1/visit/1")
    carry_out("HT-1/1/1/visit/1")
    assert left("visit") == (1, 0, 1, 0)
    assert plan_due(today=NEW_YEAR).noticed == 1
    [notice] = notices()
    assert (notice.kind, notice.text) == (
        "used_up",
        "合同 HT-1 第 1 年度的现场巡检已用完：购买 1 次，已用 1 次",
    )


def test_what_lapses_unused_and_a_contract_that_ends_are_told_in_time():
    add_contract()
    assert plan_due(today=date(2026, 10, 31)).noticed == 0
    plan_due(today=date(2026, 11, 2))
    kinds = Counter(one.kind for one in notices())
    assert kinds == {"contract_ends": 1, "lapses": 2, "calendar_missing": 1}


def test_a_changed_contract_reminds_anew():
    add_contract()
    plan_due(today=date(2026, 12, 28))
    change_contract("HT-1", form(note="续约商谈中"), read_version=1, by="li")
    plan_due(today=date(2026, 12, 28))
    ends = [one.key for one in notices() if one.kind == "contract_ends"]
    assert ends == ["HT-1/v1/ends/7", "HT-1/v2/ends/7"]


def test_a_contract_that_is_renewed_by_another_one_is_not_reminded_of():
    add_contract()
    add_contract(number="HT-2", starts_on="2027-01-01", ends_on="2027-12-31")
    plan_due(today=date(2026, 12, 28))
    assert "contract_ends" not in {one.kind for one in notices()}


def test_two_planners_at_once_plan_once():
    add_contract(ends_on="2028-12-31")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: plan_due(today=NEW_YEAR), range(2)))
    assert len(services()) == 4
    assert left("visit") == (1, 1, 0, 0)
    assert plan_due(today=NEW_YEAR) == PlanOutcome()


def test_the_missing_calendar_is_told_once_a_day():
    for _ in range(2):
        plan_due(today=date(2026, 11, 1))
    plan_due(today=date(2026, 11, 2))
    assert [one.key for one in notices()] == [
        "calendar/2027/2026-11-01",
        "calendar/2027/2026-11-02",
    ]


def test_nothing_starts_on_a_rest_day_and_that_is_written_down():
    assert may_start(today=NEW_YEAR)  # a Sunday on which people work
    assert notices() == []
    for _ in range(2):
        assert not may_start(today=date(2026, 2, 16))  # the New Year's Eve, a Monday
    [notice] = notices()
    assert (notice.kind, notice.key) == ("rest_day", "rest_day/2026-02-16")


def test_what_is_due_is_started_by_a_name_of_its_own_however_late():
    add_contract()
    plan_due(today=NEW_YEAR)
    inspection = services()["HT-1/1/1/remote_inspection/1"].id
    assert due_runs(today=date(2026, 7, 1)) == []
    runs = [
        {
            "trigger_dag_id": "inspect_system",
            "trigger_run_id": f"inspect__{inspection}",
            "conf": {"service": inspection},
        }
    ]
    assert due_runs(today=date(2026, 7, 2)) == runs
    assert due_runs(today=date(2027, 3, 1)) == runs
    carry_out("HT-1/1/1/remote_inspection/1", ServiceState.RUNNING)
    assert due_runs(today=date(2027, 3, 1)) == []


def test_a_kind_is_started_as_long_ahead_as_its_dag_wants(monkeypatch):
    add_contract()
    plan_due(today=NEW_YEAR)
    early = Start("conduct_visit", "visit", ahead=timedelta(days=30))
    monkeypatch.setitem(STARTS, Promise.VISIT, early)
    visit = services()["HT-1/1/1/visit/1"]
    assert due_runs(today=visit.due_on - timedelta(days=31)) == []
    [run] = due_runs(today=visit.due_on - timedelta(days=30))
    assert run["trigger_run_id"] == f"visit__{visit.id}"


def test_a_visit_that_was_not_bought_needs_a_managers_approval():
    add_contract(visits_per_year=0)
    plan_due(today=NEW_YEAR)
    day = date(2026, 3, 3)
    with pytest.raises(InputError, match="合同外，须售后主管批准"):
        add_visit("HT-1", "head-office", day, by="li")
    with pytest.raises(InputError, match="合同外"):
        add_visit("HT-1", "head-office", day, by="li", approved_by="li")
    with transaction() as session:
        session.add(StaffRole(login="boss", role=Role.MANAGER, given_by="root"))
    add_visit("HT-1", "head-office", day, by="li", approved_by="boss")
    assert left("visit") == (0, 1, 0, 1)
    assert plan_due(today=NEW_YEAR).noticed == 1
    assert "合同外" in notices()[0].text
    assert services()["HT-1/1/1/visit/extra/1"].state is ServiceState.PLANNED
    assert contract_detail("HT-1", on=NEW_YEAR).ledger[-1].note == "合同外，由 boss 批准"


@pytest.mark.parametrize(
    ("site", "day", "sentence"),
    [
        ("elsewhere", date(2026, 3, 3), "不包含"),
        ("head-office", date(2027, 3, 3), "不在合同期内"),
        ("head-office", date(2026, 3, 7), "不是工作日"),
    ],
)
def test_a_visit_that_cannot_be_is_refused(site, day, sentence):
    add_contract()
    with pytest.raises(InputError, match=sentence):
        add_visit("HT-1", site, day, by="li")


def test_the_queries_are_as_many_for_hundreds_of_contracts_as_for_one(monkeypatch):
    add_contract()
    few = statements(lambda: plan_due(today=NEW_YEAR))
    for number in range(2, 40):
        add_system(1, f"s{number}")
        add_contract(number=f"HT-{number}", systems=[f"s{number}"])
    many = statements(lambda: plan_due(today=NEW_YEAR))
    assert few
    assert len(many) <= len(few) + 2


def statements(work) -> list[str]:
    seen: list[str] = []
    engine = records_session._operators_engine()

    def note(_connection, _cursor, statement, *_rest):
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    work()
    event.remove(engine, "before_cursor_execute", note)
    return seen


def test_the_last_line_of_what_was_bought_counts():
    lines = [
        Line(1, "visit", "bought", 2),
        Line(1, "visit", "used", 1),
        Line(1, "visit", "planned", 1),
    ]
    [one] = balances([*lines, Line(1, "visit", "bought", 1)])
    assert (one.bought, one.planned, one.used, one.left, one.over) == (1, 0, 1, 0, 0)


def test_an_inspection_that_never_began_is_told_once_and_holds_up_no_other(monkeypatch):
    [customer] = list_customers(Wish()).rows
    add_system(customer.id, "branch")
    add_contract()
    add_contract(number="HT-2", systems=["branch"], starts_on="2026-02-05", ends_on="2026-12-31")
    plan_due(today=date(2026, 2, 5))
    monkeypatch.setattr(steps, "RUNS_MOST", 1)
    first, second = (
        services()[key].id
        for key in ("HT-1/1/1/remote_inspection/1", "HT-2/1/2/remote_inspection/1")
    )
    late = date(2026, 7, 20)
    assert [one["conf"]["service"] for one in due_runs(today=late)] == [first]
    plan_due(today=late)
    plan_due(today=late)
    [told] = [one for one in notices() if one.kind == "unstarted"]
    assert f"inspect__{first}" in told.text
    assert [one["conf"]["service"] for one in due_runs(today=late)] == [second]


def late_inspection() -> int:
    add_contract()
    plan_due(today=NEW_YEAR)
    return services()["HT-1/1/1/remote_inspection/1"].id


def test_a_run_that_failed_before_it_began_is_told_at_once_and_once():
    service, late = late_inspection(), date(2026, 7, 20)
    assert list_unstarted() == ()
    tell_unstarted(service, today=late)
    tell_unstarted(service, today=late)
    [told] = list_unstarted()
    assert (told.id, told.run) == (service, f"inspect__{service}")
    assert [one.kind for one in notices()].count("unstarted") == 1
    carry_out("HT-1/1/1/remote_inspection/1", ServiceState.RUNNING)
    assert list_unstarted() == ()


def test_nothing_is_told_of_a_run_that_failed_after_it_had_begun():
    service = late_inspection()
    carry_out("HT-1/1/1/remote_inspection/1", ServiceState.RUNNING)
    tell_unstarted(service, today=date(2026, 7, 20))
    assert "unstarted" not in {one.kind for one in notices()}


def test_a_service_is_started_anew_under_its_name_and_that_is_audited():
    service = late_inspection()
    assert restart_run(service, by="li") == {
        "trigger_dag_id": "inspect_system",
        "trigger_run_id": f"inspect__{service}",
        "conf": {"service": service},
    }
    [entry] = audits("restart")
    assert (entry.by, entry.subject) == ("li", f"service/{service}")
    carry_out("HT-1/1/1/remote_inspection/1", ServiceState.DONE)
    with pytest.raises(InputError, match="已经开始或已撤回"):
        restart_run(service, by="li")


def test_a_visit_sent_twice_is_added_once():
    add_contract()
    day = date(2026, 3, 3)
    with transaction() as session:
        session.add(StaffRole(login="boss", role=Role.MANAGER, given_by="root"))
    add_visit("HT-1", "head-office", day, by="boss", approved_by="boss")
    with pytest.raises(InputError, match="已排有现场巡检"):
        add_visit("HT-1", "head-office", day, by="boss", approved_by="boss")


def test_of_two_contracts_entered_at_once_for_the_same_time_one_is_refused():
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(_entered, ("HT-1", "HT-2")))
    assert sorted(map(bool, said)) == [False, True]
    assert "在此期间已有合同" in "".join(said)


def _entered(number: str) -> str:
    try:
        add_contract(number=number)
    except InputError as error:
        return str(error)
    return ""

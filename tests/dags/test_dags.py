import ast
import os
import subprocess
import sys
from datetime import date, timedelta
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest
from airflow.sdk.exceptions import DagRunTriggerException

from mailcare.contracts.gate import CANCEL, LOOK_AGAIN
from mailcare.contracts.planning import Promise
from mailcare.contracts.starting import STARTS, DueService, run_of
from mailcare.deadlines import LEVEL_CHOICES
from mailcare.tasks import start_run

DAGS = Path(__file__).resolve().parents[2] / "dags"
# A Dag that is not named here fails the suite.
KNOWN = {
    "conduct_visit",
    "deliver_papers",
    "handle_fault",
    "inspect_system",
    "plan_backups",
    "plan_services",
    "receive_mail",
    "review_year",
    "survey_customer",
    "verify_backup",
    "watch_deadlines",
}
PARSE = """
import runpy, sys
asked = []
sys.addaudithook(lambda name, told: name == "sqlite3.connect" and asked.append(told))
parsed = [runpy.run_path(path) for path in sys.argv[1:]]
print(len(parsed), "parsed,", sum("mailcare.db" in str(told) for told in asked), "asked")
print(*(one for one in sys.modules if one.startswith(HEAVY)))
"""
# What a parser of Dag files must not pay for. Airflow itself brings SQLAlchemy along.
HEAVY = (
    *("mailcare.records", "mailcare.inspection", "pandas", "weasyprint", "asyncssh", "openpyxl"),
    "airflow.models.dagrun",
)
CUSTOMERS_HOSTS = {("inspect_system", "collect"), ("verify_backup", "verify")}


@pytest.fixture(scope="module")
def dags():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's own imports warn of its own deprecations
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(dag_folder=str(DAGS))
    assert bag.import_errors == {}
    return bag.dags


def test_every_dag_is_known_and_every_known_dag_is_there(dags):
    assert set(dags) == KNOWN


@pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.stem)
def test_a_dag_file_is_short_and_named_like_its_dag(path, dags):
    assert len(path.read_text("utf-8").splitlines()) < 60
    assert path.stem in dags


@pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.stem)
def test_steps_are_imported_only_inside_tasks(path):
    tree = ast.parse(path.read_text("utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert top
    assert not [node for node in top if "steps" in ast.unparse(node)]


def test_parsing_asks_the_records_nothing_and_loads_nothing_heavy(tmp_path):
    database = tmp_path / "mailcare.db"
    files = sorted(map(str, DAGS.glob("*.py")))
    surroundings = os.environ | {"MAILCARE_DB_URL": f"sqlite:///{database}"}
    words = [sys.executable, "-c", PARSE.replace("HEAVY", str(HEAVY)), *files]
    ran = subprocess.run(words, capture_output=True, text=True, check=True, env=surroundings)
    assert ran.stdout.splitlines()[-2:] == [f"{len(files)} parsed, 0 asked", ""]
    assert not database.exists()


def test_every_dag_has_a_page_a_schedule_and_bounded_tasks_that_retry(dags):
    assert dags
    for dag in dags.values():
        assert dag.doc_md
        assert dag.dagrun_timeout is not None
        for task in dag.tasks:
            assert task.retries >= 1, task.task_id
            assert task.execution_timeout is not None, task.task_id


def test_what_touches_a_customers_host_has_the_pool(dags):
    for dag_id, task_id in CUSTOMERS_HOSTS:
        assert dags[dag_id].get_task(task_id).pool == "customer_hosts"


def test_the_inspection_is_one_straight_line(dags):
    dag = dags["inspect_system"]
    line = ["plan", "authorise", "collect", "judge", "record", "render", "deliver"]
    assert sorted(dag.task_ids) == sorted(line)
    for before, after in pairwise(line):
        assert after in dag.get_task(before).downstream_task_ids


def test_a_verification_is_one_straight_line_that_waits_for_the_customer(dags):
    dag = dags["verify_backup"]
    line = ["plan", "authorise", "verify", "conclude", "render", "deliver"]
    assert sorted(dag.task_ids) == sorted(line)
    for before, after in pairwise(line):
        assert after in dag.get_task(before).downstream_task_ids
    assert dag.get_task("authorise").area == "backup"


def test_routine_verifications_are_started_once_a_day_by_their_name(dags):
    dag = dags["plan_backups"]
    assert not dag.catchup
    assert dag.get_task("start").python_callable is start_run.function


def named_steps():
    calls = (
        node
        for path in DAGS.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "step"
    )
    return [ast.literal_eval(call.args[1]) for call in calls]


def test_the_steps_that_dags_name_exist():
    assert "inspection.judge" in named_steps()
    for step in named_steps():
        area, name = step.split(".")
        assert callable(getattr(import_module(f"mailcare.{area}.steps"), name))


def test_judging_goes_on_when_one_host_refused_us(dags):
    assert dags["inspect_system"].get_task("judge").trigger_rule == "all_done_min_one_success"


def test_runs_that_wait_for_the_customer_hold_up_no_other(dags):
    assert dags["inspect_system"].max_active_runs >= 500


def test_planning_is_daily_and_no_weekday_cron(dags):
    timetable = dags["plan_services"].timetable
    assert timetable.expression == "0 1 * * *"
    assert str(timetable.timezone) == "Asia/Shanghai"
    assert not dags["plan_services"].catchup


def test_planning_is_one_straight_line_that_starts_what_is_due(dags):
    dag = dags["plan_services"]
    line = ["plan", "calendar", "due", "start"]
    assert sorted(dag.task_ids) == sorted(line)
    for before, after in pairwise(line):
        assert after in dag.get_task(before).downstream_task_ids


def test_a_run_is_started_once_by_its_name(dags):
    assert dags["plan_services"].get_task("start").python_callable is start_run.function
    due = DueService(7, Promise.REMOTE_INSPECTION, "bank", date(2026, 3, 2))
    with pytest.raises(DagRunTriggerException) as asked:
        start_run.function(run_of(due))
    told = asked.value
    assert (told.trigger_dag_id, told.dag_run_id) == ("inspect_system", "inspect__7")
    assert told.conf == {"service": 7}
    assert told.skip_when_already_exists
    assert not told.reset_dag_run
    assert told.logical_date is None  # many runs a day


@pytest.mark.parametrize("start", STARTS.values(), ids=lambda start: start.dag)
def test_a_kind_of_service_is_carried_out_by_a_dag_that_takes_it(start, dags):
    assert "service" in dags[start.dag].params
    assert dags[start.dag].max_active_runs >= 500  # one that waits holds up no other


def test_each_kind_of_service_has_run_names_of_its_own():
    assert STARTS
    assert len({one.run for one in STARTS.values()}) == len(STARTS)


def test_deadlines_are_watched_each_minute_by_one_run_at_a_time(dags):
    dag = dags["watch_deadlines"]
    assert dag.timetable.expression == "* * * * *"
    assert not dag.catchup
    assert dag.max_active_runs == 1
    assert dag.get_task("start").python_callable is start_run.function


def test_a_sweep_that_hangs_calls_the_dead_mans_switch(dags):
    [alert] = dags["watch_deadlines"].deadline
    module, _, name = alert.callback.path.rpartition(".")
    assert callable(getattr(import_module(module), name))


def test_a_fault_is_declared_by_hand_and_its_run_waits_for_nothing(dags):
    dag = dags["handle_fault"]
    assert not dag.get_task("declare").upstream_task_ids
    assert dag.max_active_runs >= 500
    assert dag.params["customer"] is None  # a site alone says whose it is
    level = dag.params.get_param("level").schema
    assert {one: level["values_display"][one] for one in level["enum"]} == LEVEL_CHOICES


def test_a_visit_waits_for_people_and_then_prints_and_delivers(dags):
    dag = dags["conduct_visit"]
    line = ["open", "appointment", "render", "deliver"]
    assert sorted(dag.task_ids) == sorted(line)
    for before, after in pairwise(line):
        assert after in dag.get_task(before).downstream_task_ids
    assert dag.max_active_runs >= 500
    assert dag.get_task("appointment").response_timeout <= timedelta(hours=1)


@pytest.mark.parametrize("dag", ["inspect_system", "verify_backup"])
def test_a_run_without_authorisation_looks_again_within_five_minutes_by_itself(dags, dag):
    gate = dags[dag].get_task("authorise")
    assert gate.response_timeout == timedelta(minutes=5)
    assert gate.options == [LOOK_AGAIN, CANCEL]
    assert gate.defaults == [LOOK_AGAIN]  # what the end of the wait chooses: never to cancel


def test_a_report_that_nobody_reviewed_is_looked_at_again_within_five_minutes(dags):
    [gate] = [one for one in dags["handle_fault"].tasks if one.task_type == "ReportReview"]
    assert gate.response_timeout == timedelta(minutes=5)
    assert not gate.defaults  # nobody approves by being silent

"""### 服务计划 Planning

Every morning: `plan → calendar → due → start`.

- `plan` writes what each contract owes this year, withdraws what a changed contract no longer owes,
  moves what a new holiday notice displaced, and raises the reminders.
- `calendar` lets nothing start on a rest day and writes that down; make-up working days count.
- `start` triggers the Dag of the service's kind, named after the service: a second run, a retry or
  a missed day changes nothing and loses nothing. At most 500 a day, the late ones first. A run that
  fails before its service has begun is told in the console, and started anew from there.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from mailcare.tasks import TASK_DEFAULTS, start_run

with DAG(
    dag_id="plan_services",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 1 * * *", timezone="Asia/Shanghai"),
    catchup=False,  # a missed day is looked back on
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args=TASK_DEFAULTS,
    tags=["mailcare"],
):

    @task
    def plan() -> None:
        from mailcare.calendars.steps import today
        from mailcare.contracts import steps

        steps.plan_due(today=today())

    @task.short_circuit
    def calendar() -> bool:
        from mailcare.calendars.steps import today
        from mailcare.contracts import steps

        return steps.may_start(today=today())

    @task
    def due() -> list[dict]:
        from mailcare.calendars.steps import today
        from mailcare.contracts import steps

        return steps.due_runs(today=today())

    runs = due()
    plan() >> calendar() >> runs
    start_run.expand(run=runs)

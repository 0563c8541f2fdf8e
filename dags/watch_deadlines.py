"""### 时限检查 Watching deadlines

Every minute: `sweep → start`.

- `sweep` finds by an index what is due: warns at 50, 75 and 100 % of a clock (response: after 5, 10
  and 15 minutes), the engineer, the manager, the director; each once. It records what broke, with
  the moment at which it did. P1 and P2 are told at any hour, the rest in working hours.
- When a year table was confirmed, open reports are counted anew; what was before is kept.
- `follow` issues reports that were approved, and records their arrival and their signed return.
- `start` begins the follow-up inspections that were asked for and the reviews of reports, each
  once by its run's id.
- A sweep that has not ended after five minutes is told to the manager. The fault board shows when
  the last one ended.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from mailcare.tasks import TASK_DEFAULTS, start_run

with DAG(
    dag_id="watch_deadlines",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("* * * * *", timezone="Asia/Shanghai"),
    catchup=False,  # the next sweep finds what a missed one would have
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=20),
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=5),
        callback=AsyncCallback("mailcare.faults.watchman.tell_stalled"),
    ),
    default_args=TASK_DEFAULTS | {"retry_delay": timedelta(seconds=10)},
    tags=["mailcare"],
):

    @task
    def sweep() -> list[dict]:
        from mailcare.clock import utc_now
        from mailcare.faults import steps
        from mailcare.reports import steps as reports

        steps.sweep(at=utc_now())
        return [*steps.follow_up_runs(), *reports.review_runs()]

    @task
    def follow() -> int:
        from mailcare.reports import steps

        return steps.follow_reports()

    follow()
    start_run.expand(run=sweep())

"""### 例行备份验证 Routine backup verification

Every morning: `due → start`. One run of *verify_backup* a system whose site file declares copies
and whose contract covers remote service; rest days too. A run is named after the site and the day:
asked for twice, it runs once.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from mailcare.tasks import TASK_DEFAULTS, start_run

with DAG(
    dag_id="plan_backups",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 6 * * *", timezone="Asia/Shanghai"),  # after the night's jobs
    catchup=False,  # what was missed is due the next day, deeper by then
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args=TASK_DEFAULTS,
    tags=["mailcare"],
):

    @task
    def due() -> list[dict]:
        from mailcare.backup import steps
        from mailcare.clock import utc_now

        return steps.routine_runs(now=utc_now())

    start_run.expand(run=due())

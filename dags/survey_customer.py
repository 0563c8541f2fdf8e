"""### 满意度调查 Surveys

Every hour: `open → follow up`.

- `open` asks about every case that ended and was not asked about: an inspection whose report the
  customer has, a fault whose report was sent, a visit that is completed; once a version of a case.
  Customer service is told and finds the call under 满意度, a visit's signed sheet is awaited.
- `follow_up` reminds after three and six working days, at most twice, and lets a survey go after
  ten. On rest days nothing happens.
- Both may run as often as they like: each survey, reminder and alert exists once.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from mailcare.tasks import TASK_DEFAULTS

with DAG(
    dag_id="survey_customer",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 * * * *", timezone="Asia/Shanghai"),
    catchup=False,  # what is due is found in the records, however long nothing ran
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    default_args=TASK_DEFAULTS,
    tags=["mailcare"],
):

    @task(task_id="open")
    def open_due() -> int:
        from mailcare.surveys import steps

        return steps.open_due()

    @task
    def follow_up() -> int:
        from mailcare.calendars.steps import today
        from mailcare.surveys import steps

        return len(steps.follow_up(today=today()))

    open_due() >> follow_up()

"""### 发件箱 Outbox

Every minute: sends the letters that are due, mail to customers and own staff, and chat messages to
own staff.

- A letter is written down once, by its key, before it goes; that its text goes is committed before
  the first byte leaves. A crash at any moment loses none and doubles none.
- What a relay or robot answers decides: refused for good, to be tried again (the waits grow, with
  jitter), or uncertain. An uncertain letter is never sent again by itself; 发件箱 on the console
  shows it, and a person decides.
- An alert that a chat robot does not take goes by mail, then to the next person.
- Without a relay or a robot nothing fails: the letters wait and are shown.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from mailcare.tasks import TASK_DEFAULTS

with DAG(
    dag_id="deliver_papers",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("* * * * *", timezone="Asia/Shanghai"),
    catchup=False,  # what is due is found by query, however long nothing ran
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    default_args=TASK_DEFAULTS,
    tags=["mailcare"],
):
    # A run begins its last letter after four minutes; the relay may take ten more to answer.
    @task(execution_timeout=timedelta(minutes=30))
    def send() -> str:
        from mailcare.delivery import steps

        return str(steps.send_due())

    send()

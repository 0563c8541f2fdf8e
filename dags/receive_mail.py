"""### 来信 Support mailbox

Every minute: reads what is new in the support mailbox over IMAP, read-only, and keeps each mail
once.

- A mail that answers a letter about a fault, or names its number and comes from its customer,
  becomes a note on it, of which the engineer is told; a closed fault stays closed.
- What a program wrote never counts. Everything else waits under 来信 for a person, who makes it a
  fault or files it; the engineer on duty is told at once, the next rungs after 10 and 15 minutes.
- The time of a mail is when our server received it, never the sender's own date.
- Without a mailbox in the settings nothing is read and nothing fails.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from mailcare.tasks import TASK_DEFAULTS

with DAG(
    dag_id="receive_mail",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("* * * * *", timezone="Asia/Shanghai"),
    catchup=False,  # what is new is told by the mailbox, however long nothing ran
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=30),
    default_args=TASK_DEFAULTS,
    tags=["mailcare"],
):

    @task(execution_timeout=timedelta(minutes=10))
    def receive() -> str:
        from mailcare.intake import steps

        return str(steps.receive())

    receive()

"""What the Dags' tasks have in common: one step each, tried again only where that can help."""

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

from airflow.sdk import Context, ExceptionRetryPolicy, RetryAction, RetryRule, task
from airflow.sdk.exceptions import DagRunTriggerException

from mailcare.errors import MailcareError, Unavailable

CUSTOMER_HOSTS = "customer_hosts"  # the pool of every task that touches a customer's host
TASK_DEFAULTS = {
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "execution_timeout": timedelta(minutes=15),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(exception=Unavailable, action=RetryAction.RETRY),
            RetryRule(exception=MailcareError, action=RetryAction.FAIL),
        ]
    ),
}


def tell_unstarted(context: Context) -> None:
    """Tell people that a planned service's run failed before it began: for its first task."""
    from mailcare.calendars.steps import today
    from mailcare.contracts import steps

    if service := context["params"].get("service"):
        steps.tell_unstarted(int(service), today=today())


def step(task_id: str, function: str, **options: Any) -> Callable[..., Any]:
    """Return a task that hands an id to `function` and keeps the id that it returns.

    `function` is `area.name`, found in `mailcare.<area>.steps`. It is imported when the task runs:
    the steps bring the database, pandas and more along, which Dag parsing must not pay for.
    """
    area, _, name = function.rpartition(".")

    @task(task_id=task_id, **options)
    def carry_out(identity: int) -> int | None:
        return getattr(import_module(f"mailcare.{area}.steps"), name)(identity)

    return carry_out


@task(task_id="start")
def start_run(run: dict[str, Any]) -> None:
    """Start a Dag's run under a name; one of that name is left as it is and this task skipped.

    `run` holds `trigger_dag_id`, `trigger_run_id` and `conf`. Airflow's TriggerDagRunOperator does
    the same, but its import alone takes ten times as long as parsing all Dag files: it brings the
    models of Airflow's own database along.
    """
    raise DagRunTriggerException(
        trigger_dag_id=run["trigger_dag_id"],
        dag_run_id=run["trigger_run_id"],
        conf=run["conf"],
        logical_date=None,  # many runs a day
        reset_dag_run=False,
        skip_when_already_exists=True,
        wait_for_completion=False,
        allowed_states=[],
        failed_states=[],
        poke_interval=60,
        deferrable=False,
    )

"""What the Dags' tasks have in common: one step each, tried again only where that can help."""

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

from airflow.sdk import Context, ExceptionRetryPolicy, RetryAction, RetryRule, task

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

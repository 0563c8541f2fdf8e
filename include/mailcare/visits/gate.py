"""The task that waits, without a worker, until a visit's three days are over."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

LOOK_AGAIN = "再看一次"
LOOK_AGAIN_EVERY = timedelta(hours=1)
HOW_TO = """现场巡检的日期、三天的记录和完成都在「维保控制台」的「现场巡检」中登记。
完成登记后本任务在一小时内自行继续；也可选择「再看一次」立即继续。
已取消或未成行的巡检可在控制台重新提出日期；合同年度结束后本次运行自行结束。"""


class VisitGate(HITLOperator):
    """Go on once a visit is completed, skip what follows once it is given up; else wait.

    `visit` is the visit's id (templated), and the task's value. Every `LOOK_AGAIN_EVERY` the
    records are looked at again, and the reminders that are due are posted; waiting takes no worker.
    """

    template_fields = (*HITLOperator.template_fields, "visit")

    def __init__(self, *, visit: object, **kwargs: Any) -> None:
        super().__init__(
            subject="等待现场巡检完成：服务 {{ params.service }}",
            body=HOW_TO,
            options=[LOOK_AGAIN],
            defaults=[LOOK_AGAIN],
            response_timeout=LOOK_AGAIN_EVERY,
            **kwargs,
        )
        self.visit = visit

    # pyrefly: ignore[bad-override] - the parent only parks; this one may return at once
    def execute(self, context: Context) -> int:
        """Return the visit's id once it is completed; park the task otherwise."""
        from mailcare.visits import steps  # heavy: not while Dag files are parsed

        visit = int(str(self.visit))
        steps.remind_visits()
        is_over = steps.is_over(visit)
        if is_over is None:
            raise AirflowSkipException("现场巡检没有进行，合同年度已结束")
        if not is_over:
            super().execute(context)  # does not return: it parks the task
        return visit

    def execute_complete(self, context: Context, event: dict[str, Any]) -> int:
        """Take the answer, or the end of the wait, and look at the records again."""
        super().execute_complete(context, event)
        return self.execute(context)

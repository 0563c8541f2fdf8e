"""The task that lets a run go on only when the customer's authorisation covers it."""

from datetime import timedelta
from importlib import import_module
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

LOOK_AGAIN = "已登记授权，继续"
CANCEL = "取消本次服务"
LOOK_AGAIN_EVERY = timedelta(minutes=5)
HOW_TO = """没有有效授权，不会建立任何连接。请取得客户授权，在「维保控制台」的「授权」中登记
（或写入站点文件的 `authorisations`，用 `mailcare site import SITE.yaml` 登记），
然后选择「已登记授权，继续」。
登记后即使无人点选，本任务也会在五分钟内自行继续。"""


class AuthorisationGate(HITLOperator):
    """Go on at once where an authorisation covers every host; else wait under Required Actions.

    `identity` is the id of what is carried out (templated): an inspection, or what else `area`
    keeps. The task's value is the list that the next task is mapped over: an inspection's hosts,
    "" for the probes from outside; a verification's copies. The records are looked at again when
    a person answers and every `LOOK_AGAIN_EVERY`, so that a run goes on by itself; waiting takes
    no worker.
    Cancelling fails the task without a retry.
    """

    template_fields = (*HITLOperator.template_fields, "identity")

    def __init__(self, *, identity: object, area: str = "inspection", **kwargs: Any) -> None:
        super().__init__(
            subject="等待客户授权远程登录：{{ params.site or params.service }}",
            body=HOW_TO,
            options=[LOOK_AGAIN, CANCEL],
            defaults=[LOOK_AGAIN],
            response_timeout=LOOK_AGAIN_EVERY,
            **kwargs,
        )
        self.identity, self.area = identity, area

    # pyrefly: ignore[bad-override] - the parent only parks; this one may return at once
    def execute(self, context: Context) -> list[str]:
        """Return the hosts to be asked where all are covered; park the task otherwise."""
        steps = import_module(f"mailcare.{self.area}.steps")  # not while Dag files are parsed
        identity = int(str(self.identity))
        if hosts := steps.hosts_without_authorisation(identity):
            self.log.warning("no valid authorisation for %s: waiting", ", ".join(hosts))
            super().execute(context)  # does not return: it parks the task
        return steps.hosts_to_ask(identity)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> list[str]:
        """Take the answer, or the end of the wait, and look at the records again."""
        answer = super().execute_complete(context, event)
        if CANCEL in answer["chosen_options"]:
            raise AirflowFailException("已取消：没有客户授权，未建立任何连接")
        return self.execute(context)

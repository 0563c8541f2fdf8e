"""The task in which a manager reviews a report under Required Actions; the console may be first."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from mailcare.clock import utc_now
from mailcare.errors import InputError

LOOK_AGAIN_EVERY = timedelta(minutes=5)
VIA = "airflow"
NO_REMARK = "在 Airflow 中退回，请向审核人询问原因"
HOW_TO = """请在「维保控制台」的故障页打开报告，预览后选择 Approve 或 Reject；也可以直接在那里审核，
先作出的决定有效。只有主管可以审核，且不能审核自己写过的报告。回答后几分钟内又在这里询问的，
是回答没有生效（见任务日志）或被 Airflow 丢失：请再答一次，或在控制台审核。"""


class ReportReview(ApprovalOperator):
    """Park until a manager has decided about a report, here or on the console; the first counts.

    `report` is the report's id (templated); without one the task is skipped, for the run is about
    something else. The records are looked at again every `LOOK_AGAIN_EVERY`; waiting takes no
    worker. An answer by somebody who may not review changes nothing and the task waits on.
    """

    template_fields = (*ApprovalOperator.template_fields, "report")

    def __init__(self, *, report: object, **kwargs: Any) -> None:
        super().__init__(
            subject="审核故障处理报告",
            body=HOW_TO,
            response_timeout=LOOK_AGAIN_EVERY,
            **kwargs,
        )
        self.report = report

    # pyrefly: ignore[bad-override] - the parent only parks; this one may return at once
    def execute(self, context: Context) -> int:
        """Return the report where it is decided; park the task otherwise."""
        # Heavy: not while Dag files are parsed.
        from mailcare.reports import steps  # noqa: PLC0415

        if not str(self.report).isdecimal():
            raise AirflowSkipException("这次运行不是审核报告")
        report = int(str(self.report))
        if about := steps.begin_review(report):
            self.subject = f"审核故障处理报告：{about}"
            super().execute(context)  # does not return: it parks the task
        return report

    def execute_complete(self, context: Context, event: dict[str, Any]) -> int:
        """Take the answer, or the end of the wait, and look at the records again."""
        if "error" not in event:
            # The parent's own would skip what follows; a decision here is a record, not a branch.
            answer = HITLOperator.execute_complete(self, context, event)
            self._decide(answer["chosen_options"][0], answer["responded_by_user"])
        return self.execute(context)

    def _decide(self, option: str, user: Any) -> None:  # noqa: ANN401 - Airflow's own shape
        from mailcare.reports import steps  # noqa: PLC0415

        report, by = int(str(self.report)), user["name"] if user else ""
        try:
            if option == self.APPROVE:
                steps.approve_report(report, by=by, via=VIA, at=utc_now())
            else:
                steps.return_report(report, by=by, via=VIA, remark=NO_REMARK, at=utc_now())
        except InputError as error:
            self.log.warning("the answer does not count: %s", error)

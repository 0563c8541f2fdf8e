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

    `report` is the report's id and `version` the one that was submitted (both templated); without
    them the task is skipped, for the run is about something else. Once that version was returned,
    the task is over: a later one has a run of its own, so that no answer counts for words that its
    giver has not seen. The records are looked at again every `LOOK_AGAIN_EVERY`; waiting takes no
    worker. An answer by somebody who may not review changes nothing and the task waits on.
    """

    template_fields = (*ApprovalOperator.template_fields, "report", "version")

    def __init__(self, *, report: object, version: object, **kwargs: Any) -> None:
        super().__init__(
            subject="审核故障处理报告",
            body=HOW_TO,
            response_timeout=LOOK_AGAIN_EVERY,
            **kwargs,
        )
        self.report, self.version = report, version

    # pyrefly: ignore[bad-override] - the parent only parks; this one may return at once
    def execute(self, context: Context) -> int:
        """Return the report where it is decided; park the task otherwise."""
        # Heavy: not while Dag files are parsed.
        from mailcare.reports import steps  # noqa: PLC0415

        if not (str(self.report).isdecimal() and str(self.version).isdecimal()):
            raise AirflowSkipException("这次运行不是审核报告")
        report = int(str(self.report))
        if about := steps.begin_review(report, int(str(self.version))):
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

        report, seen = int(str(self.report)), int(str(self.version))
        by = user["name"] if user else ""
        try:
            if option == self.APPROVE:
                steps.approve_report(report, seen=seen, by=by, via=VIA, at=utc_now())
            else:
                steps.return_report(
                    report, seen=seen, by=by, via=VIA, remark=NO_REMARK, at=utc_now()
                )
        except InputError as error:
            self.log.warning("the answer does not count: %s", error)

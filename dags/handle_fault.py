"""### 故障处理 Handling a fault

Started by hand for an incident: `declare` records the fault and its clocks run. **申报时间** is
when the call began, or when our own server received the mail; empty is now. The run's id is its
key: a retry declares nothing twice. What follows is recorded on the console, and *watch_deadlines*
warns of what is due.

Started by *watch_deadlines* for a report that waits for its review: `review` parks under *Required
Actions*, taking no worker, until a manager decides there or on the console; then it is issued.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from mailcare.deadlines import LEVEL_CHOICES
from mailcare.reports.gate import ReportReview
from mailcare.tasks import TASK_DEFAULTS, step

with DAG(
    dag_id="handle_fault",
    doc_md=__doc__,
    schedule=None,
    params={
        "customer": Param(None, type=["null", "string"], title="客户名称（填了系统可不填）"),
        "site": Param(None, type=["null", "string"], title="系统（站点文件中的 site）"),
        "level": Param("P3", enum=[*LEVEL_CHOICES], title="故障级别", values_display=LEVEL_CHOICES),
        "description": Param("", type="string", format="multiline", title="故障描述"),
        "contact": Param("", type="string", title="联系人"),
        "contact_details": Param("", type="string", title="联系方式"),
        "place": Param("/", type="string", title="故障地点"),
        "via": Param("phone", enum=["phone", "email", "chat", "onsite"], title="申报方式"),
        "declared_at": Param(None, type=["null", "string"], format="date-time", title="申报时间"),
        "follows": Param(None, type=["null", "string"], title="关联的原故障编号"),
        "report": Param(None, type=["null", "integer"], title="（由系统填写）待审核的报告"),
        "version": Param(None, type=["null", "integer"], title="（由系统填写）报告的版本"),
    },
    dagrun_timeout=timedelta(days=30),  # the report's review, which parks, may take its time
    max_active_runs=1000,  # runs that are parked hold up no other
    default_args=TASK_DEFAULTS,
    tags=["mailcare"],
):

    @task
    def declare(params: dict, run_id: str, *, dag_run) -> int:
        from airflow.sdk.exceptions import AirflowSkipException

        from mailcare.faults import steps

        if (params.pop("report"), params.pop("version")) != (None, None):
            raise AirflowSkipException
        who = dag_run.triggering_user_name or "airflow"
        return steps.open_fault(run_id, by=who, asked_at=dag_run.run_after, **params)

    declare()  # pyrefly: ignore[missing-argument] - Airflow hands them in
    review = ReportReview(
        task_id="review", report="{{ params.report }}", version="{{ params.version }}"
    )
    step("issue", "reports.issue")(review.output)

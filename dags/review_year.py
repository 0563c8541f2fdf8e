"""### 年度服务报告 Review of a year

`open → render → deliver`: what was promised, what was done, clocks kept and broken, inspections,
backups, satisfaction, advice and the proposal for the next year, as PDF and Excel file.

- *plan_services* starts it for each contract year before that ends (**计划服务**).
- On demand: **合同** and its **年度** (empty: the one of today). Without a contract it is the whole
  desk's calendar year, which goes to the managers only.
- Made again with equal figures it is the same version, and goes to nobody twice.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from mailcare.tasks import TASK_DEFAULTS, step

with DAG(
    dag_id="review_year",
    doc_md=__doc__,
    schedule=None,
    params={
        "service": Param(None, type=["null", "integer"], title="计划服务的编号"),
        "contract": Param(None, type=["null", "string"], title="或：合同号"),
        "year": Param(None, type=["null", "integer"], title="合同年度；没有合同号的为公历年"),
    },
    dagrun_timeout=timedelta(hours=6),
    max_active_runs=1000,  # one that is tried again holds up no other; the executor bounds the work
    default_args=TASK_DEFAULTS,
    tags=["mailcare"],
):

    @task(task_id="open")
    def open_review(params: dict) -> int:
        from mailcare.reviews import steps

        return steps.open_review(**params)

    render = step("render", "reviews.render_review")
    deliver = step("deliver", "reviews.deliver_review")

    deliver(render(open_review()))  # pyrefly: ignore[missing-argument] - Airflow hands them in

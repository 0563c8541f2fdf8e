"""### 远程巡检 Remote inspection

Inspects one customer's mail system over SSH and the mail protocols and delivers the 巡检报告:
`plan → authorise → collect → judge → record → render → deliver`, one task an arrow.

- **站点** names the system, or **计划服务** the planned service that this run carries out.
- Without a valid authorisation the run waits under *Required Actions* and nothing connects.
- `collect` runs once a host, and once for the probes from outside. A host that refuses us is a red
  square and a finding in the report; the others go on.
- Every task may be run again: it continues where it stopped.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from mailcare.contracts.gate import AuthorisationGate
from mailcare.tasks import CUSTOMER_HOSTS, TASK_DEFAULTS, step, tell_unstarted

with DAG(
    dag_id="inspect_system",
    doc_md=__doc__,
    schedule=None,
    params={
        "site": Param(None, type=["null", "string"], title="站点（站点文件中的 site）"),
        "service": Param(None, type=["null", "integer"], title="或：计划服务的编号"),
        "scope": Param(None, type=["null", "array"], title="只做这些检查（空为全部）"),
        "bundle": Param(None, type=["null", "string"], title="只判读客户交回的文件（路径）"),
    },
    dagrun_timeout=timedelta(days=30),  # the customer's authorisation may take its time
    max_active_runs=1000,  # runs that wait for one hold up no other; the pool bounds the work
    default_args=TASK_DEFAULTS,
    tags=["mailcare"],
):

    @task(on_failure_callback=tell_unstarted)
    def plan(params: dict, run_id: str) -> int:
        from mailcare.inspection import steps

        return steps.open_inspection(run_id, **params)

    # A site file may spread its probes over two hours and let a probe mail travel for one.
    @task(pool=CUSTOMER_HOSTS, execution_timeout=timedelta(hours=3))
    def collect(inspection: int, host: str, *, ti) -> None:
        from mailcare.inspection import steps

        steps.collect(inspection, host, tries_left=ti.max_tries + 1 - ti.try_number)

    judge = step("judge", "inspection.judge", trigger_rule="all_done_min_one_success")
    record = step("record", "inspection.record")
    render = step("render", "papers.render_inspection")
    deliver = step("deliver", "delivery.deliver_paper")

    inspection = plan()  # pyrefly: ignore[missing-argument] - Airflow hands them in
    authorise = AuthorisationGate(task_id="authorise", identity=inspection)
    collected = collect.partial(inspection=inspection).expand(host=authorise.output)
    judged = judge(inspection)
    collected >> judged
    deliver(render(record(judged)))

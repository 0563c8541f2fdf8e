"""### 备份验证 Backup verification

Verifies the copies that a site file declares, from "is there a backup" (L0) to "a real IMAP server
served it" (L5): `plan → authorise → verify → conclude → render → deliver`.

- **站点** names the system, or **计划服务** the planned service, which goes through L5.
- **级别** empty: what is due (L0–L2 and a shard of L3 daily, L4 weekly, all of L3 and L5 monthly).
- Without a valid authorisation a run that has to log in waits under *Required Actions*.
- `verify` never writes to a backup. Run again, it goes on with the copies without evidence.
- What failed becomes a fault, once an incident, and own staff is told.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from mailcare.contracts.gate import AuthorisationGate
from mailcare.tasks import CUSTOMER_HOSTS, TASK_DEFAULTS, step

with DAG(
    dag_id="verify_backup",
    doc_md=__doc__,
    schedule=None,
    params={
        "site": Param(None, type=["null", "string"], title="站点（站点文件中的 site）"),
        "service": Param(None, type=["null", "integer"], title="或：计划服务的编号"),
        "copies": Param(None, type=["null", "array"], title="只验证这些副本（空为全部）"),
        "through": Param(
            None,
            enum=[None, "L0", "L1", "L2", "L3", "L4", "L5"],
            title="验证到哪一级（空为按约定）",
        ),
        "routine": Param(None, type=["null", "boolean"], title="例行（每日一个分片）"),
    },
    dagrun_timeout=timedelta(days=30),  # the customer's authorisation may take its time
    max_active_runs=1000,  # runs that wait for one hold up no other; the pool bounds the work
    default_args=TASK_DEFAULTS,
    tags=["mailcare"],
):

    @task
    def plan(params: dict, run_id: str) -> int:
        from mailcare.backup import steps

        return steps.open_verification(run_id, **params)

    @task(pool=CUSTOMER_HOSTS, execution_timeout=timedelta(hours=12))
    def verify(verification: int, copy: str) -> None:
        from mailcare.backup import steps

        steps.verify(verification, copy)

    conclude = step("conclude", "backup.conclude", trigger_rule="all_done_min_one_success")
    render, deliver = step("render", "backup.render"), step("deliver", "backup.deliver")
    verification = plan()  # pyrefly: ignore[missing-argument] - Airflow hands them in
    gate = AuthorisationGate(task_id="authorise", identity=verification, area="backup")
    verified = verify.partial(verification=verification).expand(copy=gate.output)
    verified >> (concluded := conclude(verification))
    deliver(render(concluded))

"""### 现场巡检 On-site visit

Carries one planned visit through: `open → appointment → render → deliver`.

- `open` makes the visit of a **计划服务**; *plan_services* starts this a month before it is due.
- `appointment` waits under *Required Actions*, without a worker, until the visit is completed on
  the console: days proposed, answered by link or by phone, moved, three days filled in.
  Every hour it posts the reminders that are due (ten, three and one working days before). A visit
  that was cancelled may be taken up again until its contract year is over; then the run ends.
- `render` prints the 巡检报告, signed by the engineer, and the 满意度调查表; `deliver` mails it.
- Every task may be run again: nothing is printed, signed or sent twice.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from mailcare.tasks import TASK_DEFAULTS, step
from mailcare.visits.gate import VisitGate

with DAG(
    dag_id="conduct_visit",
    doc_md=__doc__,
    schedule=None,
    params={"service": Param(None, type=["null", "integer"], title="计划服务的编号（现场巡检）")},
    dagrun_timeout=timedelta(days=400),  # a contract year: the customer's days may lie far off
    max_active_runs=1000,  # runs that wait hold up no other
    default_args=TASK_DEFAULTS,
    tags=["mailcare"],
):

    @task(task_id="open")
    def open_visit(params: dict) -> int:
        from mailcare.visits import steps

        return steps.open_visit(params["service"])

    render = step("render", "visits.render_report")
    deliver = step("deliver", "delivery.deliver_paper")

    visit = open_visit()  # pyrefly: ignore[missing-argument] - Airflow hands it in
    appointment = VisitGate(task_id="appointment", visit=visit)
    deliver(render(appointment.output))

"""The dead-man switch of `watch_deadlines`: what Airflow calls when a sweep is not done in time.

Airflow's triggerer imports it by name and awaits it; a worker that hangs does not hold it up. The
Dag file's parser imports it, too, which must not pay for the steps.
"""

from asyncio import to_thread
from typing import Any


async def tell_stalled(**_told: Any) -> None:
    """Tell the manager; Airflow's own words about the run are passed over."""
    from mailcare.clock import utc_now
    from mailcare.faults import steps

    await to_thread(steps.tell_stalled, at=utc_now())

"""Which Dag carries out which kind of service, when it starts and under which name. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from mailcare.contracts.planning import Promise


@dataclass(frozen=True, slots=True)
class Start:
    """How services of one kind are started: `ahead` of the day that they are due.

    `dag` is triggered with `{"service": id}`, as a run named after `run` and the service. Its first
    task moves the service from planned to running (a visit by its appointment), else it is told
    as not started. The run's name is the same however often it is asked for, so it runs once.
    """

    dag: str
    run: str
    ahead: timedelta = timedelta(0)


# A kind that is not named here has no Dag: its services stay planned, and become late.
STARTS: Mapping[Promise, Start] = {
    Promise.REMOTE_INSPECTION: Start("inspect_system", "inspect"),
    Promise.BACKUP_VERIFICATION: Start("verify_backup", "verify"),
    Promise.REVIEW: Start("review_year", "review"),
    # The days have to be agreed with the customer before they can be held.
    Promise.VISIT: Start("conduct_visit", "visit", ahead=timedelta(days=30)),
}


@dataclass(frozen=True, slots=True)
class DueService:
    """A service that is to be started; `site` is its system's."""

    id: int
    kind: Promise
    site: str
    due_on: date

    @property
    def run(self) -> str:
        """Return the name of its Dag run."""
        return f"{STARTS[self.kind].run}__{self.id}"


def run_of(service: DueService) -> dict[str, Any]:
    """Return what the trigger of a Dag run takes."""
    return {
        "trigger_dag_id": STARTS[service.kind].dag,
        "trigger_run_id": service.run,
        "conf": {"service": service.id},
    }

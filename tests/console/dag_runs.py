"""Dag runs of a living Airflow, asked for and watched as one of the staff."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.console.servers import Server

RUN_WITHIN_S = 300


@dataclass(frozen=True)
class Runs:
    """The runs of one Dag, as a person sees them."""

    server: Server
    login: str
    dag: str

    def start(self, run: str, **conf: object) -> None:
        body = {"dag_run_id": run, "logical_date": None, "conf": conf}
        answer = self._ask("POST", "", body)
        assert answer.is_success, answer.text

    def wait_for(self, run: str, *wanted: str, task: str = "") -> None:
        """Wait until the run, or a task of it, is in one of the states."""
        where = f"{run}/taskInstances/{task}" if task else run
        deadline = time.monotonic() + RUN_WITHIN_S
        state = None
        while state not in wanted and time.monotonic() < deadline:
            time.sleep(1)
            answer = self._ask("GET", where)
            state = answer.json()["state"] if answer.is_success else None
            assert state != "failed", self.states(run)
        assert state in wanted, self.states(run)

    def states(self, run: str) -> Mapping[str, str]:
        tasks = self._ask("GET", f"{run}/taskInstances").json()["task_instances"]
        return {one["task_id"]: one["state"] for one in tasks}

    def choose(self, run: str, task: str, option: str) -> None:
        """Answer a task that waits under Required Actions, until the answer is enough for it.

        Airflow asks again where an answer is quicker than the executor's word that it parked:
        it takes that for the end of what the answer began, and tries the task anew.
        """
        body = {"chosen_options": [option], "params_input": {}}
        deadline = time.monotonic() + RUN_WITHIN_S
        while (state := self.states(run)[task]) != "success" and time.monotonic() < deadline:
            assert state != "failed", self.states(run)
            if state == "awaiting_input":
                answer = self._ask("PATCH", f"{run}/taskInstances/{task}/-1/hitlDetails", body)
                assert answer.is_success, answer.text
            time.sleep(1)
        assert state == "success", self.states(run)

    def _ask(self, method: str, path: str, body: object = None):
        where = f"dags/{self.dag}/dagRuns/{path}".rstrip("/")
        return self.server.ask(self.login, method, where, body)

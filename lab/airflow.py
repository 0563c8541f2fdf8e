"""Start a throw-away Airflow, watch a Dag run through the REST API, and stop it whole."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from lab.errors import LabError

PORT = 8080
START_WITHIN_S = 300
RUN_WITHIN_S = 900
STOP_WITHIN_S = 5  # nothing of it is kept
TELL_EVERY_S = 3
BUSY_MOST = 10  # times to ask again, a second apart
LOGIN = "admin"
FINISHED = {"success", "failed", "upstream_failed", "skipped", "removed"}


@dataclass(frozen=True, slots=True)
class Airflow:
    """A running Airflow: where it answers, and who may log in."""

    url: str
    password: str
    client: httpx.Client

    def get(self, path: str) -> dict[str, object]:
        """Read from the REST API."""
        return self._answer("GET", path, None)

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, object]:
        """Write to the REST API."""
        return self._answer("POST", path, dict(body))

    def _answer(self, method: str, path: str, body: object) -> dict[str, object]:
        """Ask again where its database, of one writer at a time, was busy: nothing was written."""
        answer = self.client.request(method, f"/api/v2/{path}", json=body)
        for _ in range(BUSY_MOST):
            if answer.status_code != httpx.codes.INTERNAL_SERVER_ERROR:
                break
            time.sleep(1)
            answer = self.client.request(method, f"/api/v2/{path}", json=body)
        answer.raise_for_status()
        return answer.json()


def environment(home: Path, root: Path, *, host: str, password: str) -> dict[str, str]:
    """Return the settings of a small Airflow on `host` that keeps all it writes below `home`."""
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({LOGIN: password}))
    settings = {
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__DAGS_FOLDER": root / "dags",
        "AIRFLOW__CORE__PLUGINS_FOLDER": root / "plugins",
        "AIRFLOW__CORE__LOAD_EXAMPLES": False,
        "AIRFLOW__CORE__PARALLELISM": 4,
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{LOGIN}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": passwords,
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Asia/Shanghai",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": 5,
        "AIRFLOW__API__HOST": host,
        "AIRFLOW__API__PORT": PORT,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{host}:{PORT}/execution/",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{PORT}",
        "PYTHONPATH": root / "include",
        # standalone starts its parts by the bare name `airflow`
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return kept | {key: str(value) for key, value in settings.items()}


@contextmanager
def running(
    command: Sequence[str], variables: Mapping[str, str], *, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `airflow standalone` in a process group of its own, and end the whole group."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    # Its children outlive the parent: the group is signalled, and asked until nobody is left.
    for sign in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + STOP_WITHIN_S
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
            while time.monotonic() < deadline:
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(0.2)


def wait_until_healthy(process: subprocess.Popen[bytes], url: str, *, log: Path) -> Iterator[str]:
    """Yield what is up and what is not, every few seconds, until all of Airflow is healthy."""
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise LabError(f"Airflow ended by itself; see {log}")
        healthy = _healthy_parts(url)
        waiting = [part for part in PARTS if part not in healthy]
        passed_s = START_WITHIN_S - (deadline - time.monotonic())
        yield f"{passed_s:3.0f} s: waiting for {', '.join(waiting) or 'nothing: all is healthy'}"
        if len(healthy) == len(PARTS):
            return
        time.sleep(TELL_EVERY_S)
    raise LabError(f"Airflow was not healthy within {START_WITHIN_S} s; see {log}")


PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def _healthy_parts(url: str) -> list[str]:
    try:
        health = httpx.get(f"{url}/api/v2/monitor/health", timeout=5).json()
    except (httpx.HTTPError, ValueError):
        return []
    return [part for part in PARTS if (health.get(part) or {}).get("status") == "healthy"]


def new_password() -> str:
    """Return a password for this run."""
    return secrets.token_urlsafe(9)


def log_in(url: str, password: str) -> Airflow:
    """Return a client that is logged in."""
    answer = httpx.post(
        f"{url}/auth/token", json={"username": LOGIN, "password": password}, timeout=30
    )
    answer.raise_for_status()
    token = answer.json()["access_token"]
    client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    return Airflow(url, password, client)


def trigger(airflow: Airflow, dag: str, run: str, conf: Mapping[str, object]) -> None:
    """Start a Dag run as soon as the Dag is known."""
    deadline = time.monotonic() + START_WITHIN_S
    while airflow.client.get(f"/api/v2/dags/{dag}").status_code == httpx.codes.NOT_FOUND:
        if time.monotonic() > deadline:
            raise LabError(f"Airflow does not know the Dag {dag}: {airflow.get('importErrors')}")
        time.sleep(1)
    body = {"dag_run_id": run, "logical_date": None, "conf": dict(conf)}
    airflow.post(f"dags/{dag}/dagRuns", body)


def follow(airflow: Airflow, dag: str, run: str) -> Iterator[str]:
    """Yield a line for each task that changes its state, until the run has ended."""
    deadline = time.monotonic() + RUN_WITHIN_S
    seen: dict[str, str] = {}
    while time.monotonic() < deadline:
        for name, state in _task_states(airflow, dag, run).items():
            if seen.get(name) != state:
                seen[name] = state
                yield f"{name:<14} {state}"
        if run_state(airflow, dag, run) in FINISHED:
            return
        time.sleep(1)
    raise LabError(f"the run did not end within {RUN_WITHIN_S} s")


def _task_states(airflow: Airflow, dag: str, run: str) -> dict[str, str]:
    rows = airflow.get(f"dags/{dag}/dagRuns/{run}/taskInstances?order_by=id")["task_instances"]
    assert isinstance(rows, list)
    return {
        row["task_id"] + (f"[{row['map_index']}]" if row["map_index"] >= 0 else ""): row["state"]
        for row in rows
        if row["state"]
    }


def run_state(airflow: Airflow, dag: str, run: str) -> str:
    """Return the state of a Dag run."""
    return str(airflow.get(f"dags/{dag}/dagRuns/{run}")["state"])


def returned(airflow: Airflow, dag: str, run: str, task: str) -> object:
    """Return what a task of the run returned."""
    path = f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
    return airflow.get(path)["value"]

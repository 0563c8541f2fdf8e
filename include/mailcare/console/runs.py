"""Start a service's Dag run anew: through Airflow's own public API, as the person who asks."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from httpx import ASGITransport, AsyncClient, Response
from starlette.requests import Request

from mailcare.errors import InputError

AIRFLOW = "mailcare.airflow"  # where the plugin puts Airflow's application into a request's scope
MOUNTED_AT = "/mailcare"
OPEN_STATES = frozenset({"queued", "running"})
TIMEOUT_S = 30
HANDED_ON = ("authorization", "cookie", "host")


async def run_again(request: Request, run: dict[str, Any]) -> None:
    """Let a run go on where it failed, or make it where there is none.

    `run` is what `contracts.steps.restart_run` returns. Raise `InputError` for one that is still
    under way, or that Airflow does not let the person start.
    """
    dag, name = quote(run["trigger_dag_id"], safe=""), quote(run["trigger_run_id"], safe="")
    runs = f"{_root(request)}/api/v2/dags/{dag}/dagRuns"
    async with _airflow(request) as airflow:
        known = await airflow.get(f"{runs}/{name}")
        if known.status_code == HTTPStatus.NOT_FOUND:
            made = {"dag_run_id": run["trigger_run_id"], "conf": run["conf"], "logical_date": None}
            _refuse_failure(await airflow.post(runs, json=made))
            return
        _refuse_failure(known)
        if known.json()["state"] in OPEN_STATES:
            raise InputError("这次运行仍在进行或排队，不必重新启动", subject=run["trigger_run_id"])
        again = {"dry_run": False, "only_failed": known.json()["state"] == "failed"}
        _refuse_failure(await airflow.post(f"{runs}/{name}/clear", json=again))


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", "")).removesuffix(MOUNTED_AT)


def _airflow(request: Request) -> AsyncClient:
    """Return a client of the Airflow that serves this very request; nothing leaves the process."""
    headers = {name: request.headers[name] for name in HANDED_ON if name in request.headers}
    transport = ASGITransport(app=request.scope[AIRFLOW])
    address = f"{request.url.scheme}://airflow"
    return AsyncClient(transport=transport, base_url=address, headers=headers, timeout=TIMEOUT_S)


def _refuse_failure(answer: Response) -> None:
    if answer.is_success:
        return
    if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise InputError("Airflow 不允许您启动这个 Dag")
    raise InputError(f"Airflow 没有接受（{answer.status_code}：{answer.text[:200]}）")

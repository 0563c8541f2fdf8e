"""A run started anew: what the console asks of Airflow, played by an Airflow with a memory."""

from datetime import date

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from sqlalchemy import select

from mailcare.console.runs import AIRFLOW
from mailcare.contracts.steps import plan_due, tell_unstarted
from mailcare.records.inspections import Service, ServiceKind
from mailcare.records.session import reading

LATE = date(2027, 1, 4)


class Airflow:
    """The three routes of Airflow's API that are used, and the runs that it knows."""

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        self.asked: list[tuple[str, object]] = []
        self.allows = True
        self.app = FastAPI()
        self.app.get("/api/v2/dags/inspect_system/dagRuns/{name}")(self.show)
        self.app.post("/api/v2/dags/inspect_system/dagRuns")(self.make)
        self.app.post("/api/v2/dags/inspect_system/dagRuns/{name}/clear")(self.clear)

    def show(self, name: str) -> dict[str, str]:
        if name not in self.runs:
            raise HTTPException(404)
        return {"state": self.runs[name]}

    async def make(self, request: Request) -> None:
        if not self.allows:
            raise HTTPException(403)
        self.asked.append(("make", await request.json()))

    async def clear(self, name: str, request: Request) -> None:
        self.asked.append((f"clear {name}", await request.json()))


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


@pytest.fixture
def client(login, app, airflow) -> TestClient:
    inner = login("engineer")

    async def mounted(scope, receive, send):
        await app(scope | {AIRFLOW: airflow.app}, receive, send)

    return TestClient(mounted, headers=inner.headers, follow_redirects=False)


@pytest.fixture
def service(records) -> int:
    """Return an inspection that is due and was told as not started."""
    plan_due(today=LATE)
    with reading() as session:
        of_kind = Service.kind == ServiceKind.REMOTE_INSPECTION
        found = session.scalars(select(Service.id).where(of_kind)).first()
    assert found
    tell_unstarted(found, today=LATE)
    return found


def test_a_failed_run_goes_on_where_it_failed(client, airflow, service):
    airflow.runs[f"inspect__{service}"] = "failed"
    answer = client.post(f"/services/{service}/restart")
    assert answer.status_code == 303, answer.text
    said = {"dry_run": False, "only_failed": True}
    assert airflow.asked == [(f"clear inspect__{service}", said)]
    assert "已重新启动" in client.get("/?done=restarted").text


def test_a_run_that_was_never_made_is_made_under_its_name(client, airflow, service):
    assert client.post(f"/services/{service}/restart").status_code == 303
    [(what, body)] = airflow.asked
    assert (what, body["dag_run_id"]) == ("make", f"inspect__{service}")
    assert body["conf"] == {"service": service}


def test_a_run_under_way_is_left_alone_and_a_refusal_is_told(client, airflow, service):
    airflow.runs[f"inspect__{service}"] = "running"
    answer = client.post(f"/services/{service}/restart")
    assert (answer.status_code, airflow.asked) == (400, [])
    assert "仍在进行" in answer.text
    airflow.runs.clear()
    airflow.allows = False
    assert "Airflow 不允许您启动" in client.post(f"/services/{service}/restart").text


def test_what_did_not_start_stands_on_the_first_page_with_its_button(client, login, service):
    assert "未能启动" in client.get("/").text
    assert f"/services/{service}/restart" in client.get("/").text
    assert f"/services/{service}/restart" not in login("auditor").get("/").text
    assert login("auditor").post(f"/services/{service}/restart").status_code == 403

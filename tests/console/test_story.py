"""A customer's whole story in Airflow's own pages, from the import to the report, by a real run."""

import shutil
import time
from collections.abc import Iterator
from datetime import date, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader
from sqlalchemy import select

from mailcare.contracts.steps import plan_due
from mailcare.records.inspections import Service, ServiceKind
from mailcare.records.schema import upgrade
from mailcare.records.session import reading
from tests.console.servers import ROOT, SITE_NAME, Server, prepare, standalone, using
from tests.delivery.smtp_server import smtp_server
from tests.surroundings import without

CHROMIUM = "/usr/bin/chromium"
WAIT_MS = 120_000
RUN_WITHIN_S = 300
IMPORTED = """\
customers:
  - name: 示例银行
    contacts: [{{name: 钱示例, email: qian@shili-bank.example, may_authorise: true}}]
contracts:
  - number: HT-STORY-1
    customer: 示例银行
    starts_on: {starts_on}
    ends_on: {ends_on}
    systems: [{system}]
"""


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    if not Path(CHROMIUM).exists():
        without("Debian's chromium")
    database = f"sqlite:///{tmp_path / 'mailcare.db'}"
    upgrade(database)
    with using(database):
        prepare(tmp_path)
        with (
            smtp_server() as relay,
            standalone(tmp_path, database, f"smtp://127.0.0.1:{relay.port}") as running,
        ):
            yield running


def test_from_the_import_to_the_downloaded_report(server, tmp_path):
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or CHROMIUM, args=["--no-sandbox"]
        )
        context = browser.new_context(
            viewport={"width": 1440, "height": 900}, locale="zh-CN", accept_downloads=True
        )
        context.set_default_timeout(WAIT_MS)
        context.add_cookies([{"name": "_token", "value": server.token("boss"), "url": server.url}])
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text))
        page.goto(f"{server.url}/plugin/mailcare", wait_until="commit")
        console = page.frame_locator("iframe")
        import_contract(console, tmp_path)
        plan_due(today=date.today())  # noqa: DTZ011 - the machine's own day, as the server has it
        record_authorisation(console, tmp_path)
        console.get_by_role("link", name="到期与提醒").click()
        console.get_by_role("link", name="HT-STORY-1").first.wait_for()
        inspect(page, server)
        report = download_report(page, console)
        page.screenshot(path=tmp_path / "report.png")
        browser.close()
    assert [one for one in complaints if "mailcare" in one] == []
    text = "".join(leaf.extract_text() for leaf in PdfReader(BytesIO(report)).pages)
    assert "示例银行" in text
    assert "钱示例" in text  # who authorised it
    assert "客户" in text


def import_contract(console, folder: Path) -> None:
    starts_on = date.today() - timedelta(days=330)  # noqa: DTZ011
    file = folder / "contracts.yaml"
    text = IMPORTED.format(
        starts_on=starts_on, ends_on=starts_on + timedelta(days=363), system=SITE_NAME
    )
    file.write_text(text, "utf-8")
    console.get_by_role("link", name="合同", exact=True).click()
    console.get_by_role("link", name="从文件导入").click()
    console.get_by_label("文件").set_input_files(file)
    console.get_by_role("button", name="预览").click()
    console.get_by_text("HT-STORY-1").first.wait_for()
    console.get_by_role("button", name="确认导入").click()
    console.get_by_text("已导入。").wait_for()
    assert console.get_by_role("link", name="HT-STORY-1").count() == 1


def record_authorisation(console, folder: Path) -> None:
    evidence = folder / "consent.pdf"
    evidence.write_bytes(b"%PDF-1.4 consent of the customer")
    console.get_by_role("link", name="系统", exact=True).click()
    console.get_by_role("link", name="总行邮件系统（实验环境）").click()
    console.locator(".drawing svg").wait_for()
    console.get_by_role("link", name="登记授权").click()
    console.get_by_label("mx1").check()
    console.get_by_label("bak1").check()
    console.get_by_label("授权人").select_option("钱示例")
    console.get_by_label("授权时间").fill("2026-01-05T09:00")
    console.get_by_label("用途").fill("年度巡检")
    console.get_by_label("生效").fill("2026-01-05T09:00")
    console.get_by_label("失效").fill("2090-01-05T09:00")
    console.get_by_label("依据").fill("盖章授权书")
    console.get_by_label("附件").set_input_files(evidence)
    console.get_by_role("button", name="保存").click()
    console.get_by_text("已登记。").wait_for()
    assert console.get_by_text(sha256(evidence.read_bytes()).hexdigest()).count() == 1


def inspect(page, server: Server) -> None:
    """Let the planned service's own Dag run judge the recorded replies, as the person logged in."""
    with reading() as session:
        of_kind = Service.kind == ServiceKind.REMOTE_INSPECTION
        service = session.scalars(select(Service.id).where(of_kind)).one()
    pool = {"name": "customer_hosts", "slots": 8}
    assert page.request.post(f"{server.url}/api/v2/pools", data=pool).ok
    runs = f"{server.url}/api/v2/dags/inspect_system/dagRuns"
    run = f"inspect__{service}"
    conf = {"service": service, "bundle": str(ROOT / "lab/recorded.jsonl")}
    body = {"dag_run_id": run, "logical_date": None, "conf": conf}
    answer = page.request.post(runs, data=body)
    assert answer.ok, answer.text()
    deadline = time.monotonic() + RUN_WITHIN_S
    state = ""
    while state not in {"success", "failed"} and time.monotonic() < deadline:
        time.sleep(1)
        state = page.request.get(f"{runs}/{run}").json()["state"]
    tasks = page.request.get(f"{runs}/{run}/taskInstances").json()["task_instances"]
    assert state == "success", {one["task_id"]: one["state"] for one in tasks}


def download_report(page, console) -> bytes:
    console.get_by_role("link", name="文书").click()
    row = console.get_by_role("row").filter(has_text="巡检报告")
    with page.expect_download() as found:
        row.get_by_role("link", name="PDF", exact=True).click()
    assert found.value.suggested_filename.startswith("XJ-")
    return Path(found.value.path()).read_bytes()

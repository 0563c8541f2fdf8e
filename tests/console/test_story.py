"""In a living Airflow: a customer's whole story in its pages, and the runs that park go on."""

import shutil
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
import time_machine
from pypdf import PdfReader
from sqlalchemy import select

from mailcare.contracts.steps import plan_due
from mailcare.listing import Wish
from mailcare.papers.steps import list_papers
from mailcare.records.backups import BackupEvidence
from mailcare.records.faults import FaultClock, FaultEvent
from mailcare.records.inspections import Service, ServiceKind
from mailcare.records.schema import upgrade
from mailcare.records.session import reading
from mailcare.reports import steps as reports
from mailcare.staff.steps import Role, grant_role
from mailcare.systems.steps import import_site
from tests.backup.stores import make_store, pack
from tests.backup.test_steps import SITE as BACKED_UP
from tests.console.dag_runs import Runs
from tests.console.servers import (
    ROOT,
    SITE,
    SITE_NAME,
    Server,
    Standalone,
    prepare,
    standalone,
    using,
)
from tests.delivery.smtp_server import SmtpServer, smtp_server
from tests.faults.desk import stored
from tests.reports import desk as report_desk
from tests.surroundings import without
from tests.visits import desk as visit_desk
from tests.visits import onsite_desk

CHROMIUM = "/usr/bin/chromium"
WAIT_MS = 120_000
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


@pytest.fixture(scope="module")
def relay() -> Iterator[SmtpServer]:
    with smtp_server() as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory, relay) -> Iterator[Standalone]:
    home = tmp_path_factory.mktemp("airflow")
    database = f"sqlite:///{home / 'mailcare.db'}"
    upgrade(database)
    with using(database):
        prepare(home)
        with standalone(home, database, f"smtp://127.0.0.1:{relay.port}") as running:
            yield running


def test_from_the_import_to_the_downloaded_report(server, tmp_path):
    if not Path(CHROMIUM).exists():
        without("Debian's chromium")
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
        inspect(server)
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


def inspect(server: Server) -> None:
    """Let the planned service's own Dag run judge the recorded replies, as the person logged in."""
    with reading() as session:
        of_kind = Service.kind == ServiceKind.REMOTE_INSPECTION
        service = session.scalars(select(Service.id).where(of_kind)).one()
    runs, run = Runs(server, "boss", "inspect_system"), f"inspect__{service}"
    runs.start(run, service=service, bundle=str(ROOT / "lab/recorded.jsonl"))
    runs.wait_for(run, "success")


def download_report(page, console) -> bytes:
    console.get_by_role("link", name="文书").click()
    row = console.get_by_role("row").filter(has_text="巡检报告")
    with page.expect_download() as found:
        row.get_by_role("link", name="PDF", exact=True).click()
    assert found.value.suggested_filename.startswith("XJ-")
    return Path(found.value.path()).read_bytes()


def test_a_report_is_issued_once_though_the_scheduler_is_killed_at_every_step(server, relay):
    for login in ("li", "zhou"):
        grant_role(login, Role.ENGINEER, by="test")
    fault = report_desk.handled()
    report = report_desk.submitted(fault)
    row = reports.report_detail(report).row
    due = due_moments(fault)
    run = f"report__{row.number}__{report}__1"  # watch_deadlines starts it within a minute
    runs = Runs(server, "boss", "handle_fault")
    for task, *states in (
        ("declare", "queued", "running", "skipped"),
        ("review", "awaiting_input"),
    ):
        runs.wait_for(run, *states, task=task)
        server.kill_scheduler()
    runs.wait_for(run, "awaiting_input", task="review")
    runs.choose(run, "review", "Approve")
    runs.wait_for(run, "queued", "running", "success", task="issue")
    server.kill_scheduler()
    runs.wait_for(run, "success")
    assert due_moments(fault) == due
    assert report_desk.state(report) in {"issued", "sent"}  # deliver_papers may have been by
    papers = list_papers(Wish(text=row.number)).rows
    assert [(one.number, one.version) for one in papers] == [(row.number, 1)]
    [letter] = report_desk.letters(report)
    assert sum(f"Message-ID: {letter.message_id}".encode() in text for text in relay.taken) <= 1
    happenings = [str(one.type) for one in stored(FaultEvent, fault)]
    assert happenings[:4] == ["declared", "accepted", "first_contact", "handled"]
    assert happenings[4:] in ([], ["report_sent"])


def due_moments(fault: int) -> dict[tuple[str, int], datetime | None]:
    return {(one.clock, one.epoch): one.due_at for one in stored(FaultClock, fault)}


def test_a_visit_parks_until_its_days_are_over_and_its_papers_go(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MAILCARE_PUBLIC_URL", "https://service.vendor.example/")
    branch = tmp_path / "site.yaml"
    branch.write_text(
        SITE.read_text("utf-8").replace(f"site: {SITE_NAME}", "site: branch"), "utf-8"
    )
    with time_machine.travel("2026-04-01T09:00:00+08:00", tick=False) as clock:
        number = onsite_desk.begun_visit(clock, "branch", branch)
    [service] = visit_desk.visit_services()
    run = f"visit__{service}"
    runs = Runs(server, "boss", "conduct_visit")
    runs.start(run, service=service)
    runs.wait_for(run, "awaiting_input", task="appointment")
    with time_machine.travel("2026-05-13T17:00:00+08:00", tick=False):
        onsite_desk.complete(number)
    runs.choose(run, "appointment", "再看一次")
    runs.wait_for(run, "success")
    assert set(runs.states(run).values()) == {"success"}
    assert any(one.paper_id for one in visit_desk.letters("admin@shili-bank.example"))


def test_a_backup_is_verified_to_a_signed_statement(server, tmp_path):
    live = make_store(tmp_path / "live")
    pack(live, "tar.gz", tmp_path / "copies/mail-0.tar.gz")
    site = tmp_path / "site.yaml"
    site.write_text(BACKED_UP.format(place=tmp_path / "copies", live=live), "utf-8")
    import_site(site, recorded_by="test")
    runs = Runs(server, "boss", "verify_backup")
    runs.start("manual__1", site="bank", through="L3")
    runs.wait_for("manual__1", "success")
    with reading() as session:
        [row] = session.scalars(select(BackupEvidence))
    assert row.verdict == "PASS"

"""One contract year, day by day, through the functions that the Dags' tasks call.

Signed in January; a backup verified in spring, two visits (one moved), three faults (one late), the
inspection in summer, surveys all along, and in December the review.
"""

import os
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from io import BytesIO
from pathlib import Path

import pytest
import time_machine
import yaml
from pypdf import PdfReader
from sqlalchemy import select

from mailcare.backup import steps as backup
from mailcare.clock import BEIJING
from mailcare.contracts import steps as contracts
from mailcare.contracts.forms import read_form
from mailcare.delivery import steps as delivery
from mailcare.faults import steps as faults
from mailcare.inspection import steps as inspection
from mailcare.listing import Wish
from mailcare.papers import steps as papers
from mailcare.records.base import Base
from mailcare.records.contracts import Entitlement
from mailcare.records.deliveries import Delivery
from mailcare.records.faults import FaultBreach
from mailcare.records.inspections import Service, ServiceKind
from mailcare.records.papers import FileKind, Paper
from mailcare.records.session import reading
from mailcare.records.surveys import Survey
from mailcare.reports import steps as reports
from mailcare.reviews import steps as reviews
from mailcare.staff.steps import Role, grant_role
from mailcare.surveys import steps as surveys
from mailcare.surveys.forms import AnswerForm
from mailcare.systems.steps import import_site
from mailcare.visits import steps as visits
from mailcare.visits.forms import AnswerForm as DaysForm
from mailcare.visits.forms import MoveForm, OfferForm, StaffForm
from mailcare.workdays import ONE_DAY
from tests.backup.stores import make_store, pack
from tests.contracts.desk import add_contract
from tests.delivery.smtp_server import SmtpServer, smtp_server
from tests.faults.desk import declared, happened
from tests.inspection.samples import LAB_SITE
from tests.reports.desk import form as report_form
from tests.surveys.desk import SCAN
from tests.visits.onsite_desk import SITE, look, teach

DATABASES = ["postgresql"]
RECORDED = LAB_SITE.parent / "recorded.jsonl"
# A short report is rendered in a second.
SCOPE = ["os.release", "hardware.load", "storage.space", "dns.mx", "imap.login", "loop.internal"]
PAPERS = os.environ.get("MAILCARE_YEAR_PAPERS", "")  # a folder to look at the year's papers in
GOOD = {"satisfaction": "5", "attitude": "5", "skill": "4", "effect": ""}
POOR = {"satisfaction": "2", "attitude": "4", "skill": "3", "effect": "1", "comments": "恢复太慢"}


class Year:
    """The desk, and what its Dags do on a day."""

    def __init__(self, clock: time_machine.Traveller, folder: Path) -> None:
        self.clock, self.folder, self.started = clock, folder, set()

    def live(self, first_on: date, last_on: date, acts: Mapping[date, list]) -> None:
        on = first_on
        while on <= last_on:
            self.at(on, 9)
            for act in acts.get(on, []):
                act()
            self.at(on, 18)
            self.daily(on)
            on += ONE_DAY

    def at(self, on: date, hour: int, minute: int = 0) -> None:
        self.clock.move_to(datetime(on.year, on.month, on.day, hour, minute, tzinfo=BEIJING))

    def daily(self, on: date) -> None:
        contracts.plan_due(today=on)  # plan_services
        if contracts.may_start(today=on):
            for run in contracts.due_runs(today=on):
                self.start(run["trigger_dag_id"], run["trigger_run_id"], **run["conf"])
        visits.remind_visits()  # conduct_visit
        faults.sweep(at=datetime.now(BEIJING))  # watch_deadlines, each minute
        reports.follow_reports()
        delivery.send_due()  # deliver_papers, each minute
        reports.follow_reports()
        surveys.open_due()  # survey_customer
        surveys.follow_up(today=on)
        delivery.send_due()

    def start(self, dag: str, run: str, *, service: int) -> None:
        if run in self.started:
            return
        self.started.add(run)
        {
            "inspect_system": self.inspect,
            "verify_backup": self.verify,
            "review_year": self.review,
            "conduct_visit": lambda _run, one: visits.open_visit(one),
        }[dag](run, service)

    def inspect(self, run: str, service: int) -> None:
        conf = {"service": service, "bundle": str(RECORDED), "scope": SCOPE}
        opened = inspection.open_inspection(run, **conf)
        for host in inspection.hosts_to_ask(opened):
            inspection.collect(opened, host, tries_left=0)
        recorded = inspection.record(inspection.judge(opened))
        delivery.deliver_paper(papers.render_inspection(recorded))

    def verify(self, run: str, service: int) -> None:
        opened = backup.open_verification(run, service=service)
        for copy in backup.hosts_to_ask(opened):
            backup.verify(opened, copy)
        backup.render(backup.conclude(opened))
        backup.deliver(opened)

    def review(self, _run: str, service: int) -> None:
        reviews.deliver_review(reviews.render_review(reviews.open_review(service=service)))


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    with smtp_server() as server:
        monkeypatch.setenv("MAILCARE_RELAY_URL", f"smtp://127.0.0.1:{server.port}")
        yield server


@pytest.fixture
def year(database_url, tmp_path, monkeypatch, relay) -> Iterator[Year]:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAILCARE_SENDER", "service@vendor.example")
    monkeypatch.setenv("MAILCARE_VENDOR", "示例维保")
    with time_machine.travel("2026-01-04T09:00:00+08:00", tick=False) as clock:
        import_site(site_with_backups(tmp_path), recorded_by="li")
        add_contract(systems=[SITE], visits_per_year=2)
        for login in ("lin", "zhou"):
            grant_role(login, Role.ENGINEER, by="test")
        grant_role("boss", Role.MANAGER, by="test")
        yield Year(clock, tmp_path)


def site_with_backups(folder: Path) -> Path:
    live = make_store(folder / "live")
    pack(live, "tar.gz", folder / "copies/mail-0.tar.gz")
    site = yaml.safe_load(LAB_SITE.read_text("utf-8"))
    site["backups"] = [
        {
            "name": "nightly",
            "title": "每日全量包",
            "kind": "tar.gz",
            "path": str(folder / "copies"),
            "live": {"path": str(live)},
            "policy": {"L4": None, "L5": None, "shards": 3},
        }
    ]
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(site, allow_unicode=True), "utf-8")
    return path


def rows(model: type[Base]) -> list:
    with reading() as session:
        return list(session.scalars(select(model).order_by(model.id)))


def visit_number(place: int) -> str:
    return visits.list_visits(Wish(sort="number")).rows[place].number


def agree(place: int, start: str) -> None:
    number = visit_number(place)  # plan_services has started its run, which has opened it
    staff = {"engineer": "lin", "engineer_name": "林示例", "engineer_email": "lin@vendor.example",
             "place": "示例市示例路 1 号机房"}  # fmt: skip
    visits.assign(number, read_form(StaffForm, staff), by="li")
    visits.propose(number, read_form(OfferForm, {"starts": [start]}), by="li")
    said = {"choice": "confirm", "start": start, "said_by": "王示例"}
    visits.answer_by_phone(number, read_form(DaysForm, said), by="li")


def move(place: int, start: str) -> None:
    said = {"start": start, "speaker": "customer", "said_by": "王示例", "note": "机房停电"}
    visits.move_visit(visit_number(place), read_form(MoveForm, said), by="li")


def begin(place: int) -> None:
    visits.start_visit(visit_number(place), by="lin")


def finish(place: int, taught_on: str) -> None:
    number = visit_number(place)
    look(number, numbers={"temperature_c": 43})
    look(number, check="app.version", says="6.0.1")
    teach(number, taught_on=taught_on)
    visits.write_entries(number, {"done": "清理队列", "faults_dns": "无"}, by="lin")
    visits.complete_visit(number, by="lin")


def incident(level: str, on: str, *lines: str) -> None:
    fault = declared(level, f"{on} 10:00")
    happened(fault, f"{on} 10:10 contact phone", *lines)


def report(fault: int, occurred_at: str) -> None:
    """Write a fault's report and have it approved; what follows is the Dags' own."""
    now = datetime.now(BEIJING)
    one = reports.open_report(fault, by="zhou", at=now)
    seen = reports.report_detail(one).version
    written = report_form(occurred_at=occurred_at)
    reports.submit_report(one, written, seen=seen, by="zhou", at=now)
    seen = reports.report_detail(one).version
    reports.approve_report(one, seen=seen, by="boss", via="console", at=now)


def late_incident() -> None:
    fault = declared("P1", "2026-09-01 10:00")
    happened(fault, "2026-09-01 10:25 contact phone")


def answered(subject: str, scores: Mapping[str, str], *, scan: bool = False) -> None:
    survey = next(one for one in rows(Survey) if one.subject == subject)
    now = datetime.now(BEIJING).strftime("%Y-%m-%dT%H:%M")
    form = read_form(AnswerForm, {"answered_by": "王示例", "answered_at": now, **scores})
    if scan:
        surveys.record_sheet(survey.id, form, SCAN, by="service")
    else:
        surveys.record_answer(survey.id, form, by="service")


def story() -> Mapping[date, list]:
    """Return what people do, by the day."""
    acts = {
        "03-02": [lambda: incident("P1", "2026-03-02", "2026-03-02 16:00 handled fix")],
        "03-03": [lambda: report(1, "2026-03-02T09:40")],
        "03-04": [lambda: answered("GZ-2026-00001", GOOD)],
        "04-20": [lambda: agree(0, "2026-05-11")],
        "05-11": [lambda: begin(0)],
        "05-13": [lambda: finish(0, "2026-05-13")],
        "05-14": [lambda: answered(visit_number(0), GOOD, scan=True)],
        "06-08": [lambda: incident("P4", "2026-06-08", "2026-06-09 10:00 handled fix")],
        "06-10": [lambda: report(2, "2026-06-08T09:40")],
        "08-20": [lambda: agree(1, "2026-09-07")],
        "08-27": [lambda: move(1, "2026-10-12")],
        "09-01": [late_incident],
        "09-03": [lambda: happened(3, "2026-09-03 08:00 handled fix"),
                  lambda: report(3, "2026-09-01T09:40")],
        "09-04": [lambda: answered("GZ-2026-00003", POOR)],
        "10-12": [lambda: begin(1)],
        "10-14": [lambda: finish(1, "2026-10-14")],
        "10-15": [lambda: answered(visit_number(1), GOOD, scan=True)],
    }  # fmt: skip
    return {date.fromisoformat(f"2026-{on}"): one for on, one in acts.items()}


def test_a_contract_year_is_lived_through_and_reviewed(year, relay):
    year.live(date(2026, 1, 4), date(2026, 12, 31), story())

    [review] = reviews.list_reviews(Wish()).rows
    detail = reviews.review_detail(review.id)
    told = {one.title: one for one in detail.sections}

    # Promised is done: one inspection, one verification, two visits, and nothing given twice.
    ledger = [(one.promise, str(one.reason)) for one in rows(Entitlement)]
    assert ledger.count(("remote_inspection", "used")) == 1
    assert ledger.count(("visit", "used")) == 2
    states = {row[0]: row[4] for row in grid(told["完成的服务"])}
    assert states == dict.fromkeys(("远程巡检", "备份验证", "现场巡检"), "已完成")
    reviewed = [one for one in rows(Service) if one.kind is ServiceKind.REVIEW]
    assert [str(one.state) for one in reviewed] == ["done"]

    # One fault was late to respond and to resolve; the others kept every promise.
    breaches = {(one.fault_id, str(one.clock)) for one in rows(FaultBreach) if not one.is_soft}
    assert breaches == {(3, "response"), (3, "resolution")}
    assert "申报故障 3 起。" in told["故障与时限"].says
    assert any("处理时限：按时 2 次，违约 1 次" in one for one in told["故障与时限"].says)
    moved = {row[0]: row[4] for row in grid(told["现场服务"])}
    assert moved == {visit_number(0): 0, visit_number(1): 1}
    assert told["备份验证"].grids
    assert told["巡检与趋势"].charts

    # Each ended case was asked about once: three faults, two visits, one inspection.
    assert sorted(str(one.case_kind) for one in rows(Survey)) == [
        "fault", "fault", "inspection", "remote_support", "visit", "visit",
    ]  # fmt: skip
    unanswered = [one for one in rows(Survey) if one.state != "answered"]
    assert {one.state for one in unanswered} == {"expired"}
    assert {one.reminders for one in unanswered} == {2}
    assert any("恢复太慢" in one for row in grid(told["客户满意度"], "意见与建议") for one in row)

    # The paper went to the customer before the year was over, and every letter went once.
    printed = [one for one in rows(Paper) if one.number == detail.number]
    assert len(printed) == 1
    assert printed[0].created_at is not None
    letters = [one for one in rows(Delivery) if one.paper_id == printed[0].id]
    assert [str(one.state) for one in letters] == ["sent"]
    assert len(relay.taken) == len({one.key for one in rows(Delivery) if one.state == "sent"})
    text = "".join(page.extract_text() for page in PdfReader(BytesIO(pdf(printed[0].id))).pages)
    assert "示例银行" in text
    if PAPERS:
        keep_papers(Path(PAPERS))


def grid(section, title: str = "") -> tuple[tuple[object, ...], ...]:
    named = [one for one in section.grids if not title or one.title == title]
    return named[-1].rows


def pdf(paper: int) -> bytes:
    with reading() as session:
        files = session.get_one(Paper, paper).files
        return next(one.body for one in files if one.kind is FileKind.PDF)


def keep_papers(folder: Path) -> None:
    for one in surveys.list_surveys(Wish(rows=0)).rows:
        surveys.sheet_of(one.id)
    for one in rows(Paper):
        (folder / f"{one.number}-v{one.version}.pdf").write_bytes(pdf(one.id))

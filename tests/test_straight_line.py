"""The steps of `inspect_system` in their order, on both databases, on a recorded bundle."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
import pytest
import time_machine
from pypdf import PdfReader
from sqlalchemy import func, select

from mailcare.delivery import steps as delivery
from mailcare.delivery.smtp_relay import Refused, Uncertain
from mailcare.errors import InputError, MailcareError
from mailcare.inspection import steps as inspection
from mailcare.inspection.outcome import count_results
from mailcare.papers import steps as papers
from mailcare.records.changes import revoke
from mailcare.records.customers import Authorisation
from mailcare.records.deliveries import Delivery, DeliveryEvent, DeliveryState
from mailcare.records.inspections import Connection, Finding, Inspection, Judgement, Reply, Service
from mailcare.records.papers import Paper, PaperFile
from mailcare.records.session import reading, transaction
from mailcare.systems import steps as systems
from tests.delivery.smtp_server import CLOSE, smtp_server

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "lab" / "site.yaml"
RECORDED = ROOT / "lab" / "recorded.jsonl"
# A short report is rendered in a second; what needs all checks says so.
SCOPE = ["os.release", "hardware.load", "storage.space", "dns.mx", "imap.login", "loop.internal"]


@pytest.fixture
def database(database_url, monkeypatch):
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    monkeypatch.setenv("MAILCARE_SENDER", "service@vendor.example")
    monkeypatch.delenv("MAILCARE_RELAY_URL", raising=False)


@pytest.fixture
def site(database):
    systems.import_site(SITE, recorded_by="test")
    return "shili-bank-lab"


@pytest.fixture
def opened(site):
    return inspection.open_inspection("run-1", site=site, bundle=str(RECORDED), scope=SCOPE)


@pytest.fixture
def paper(opened):
    return papers.render_inspection(carried_out(opened))


@pytest.fixture
def whole(site):
    return inspected("run-1", site)


def carried_out(opened):
    for host in inspection.hosts_to_ask(opened):
        inspection.collect(opened, host, tries_left=0)
    return inspection.record(inspection.judge(opened))


def inspected(run, site, **conf):
    return carried_out(inspection.open_inspection(run, site=site, bundle=str(RECORDED), **conf))


def count(model):
    with reading() as session:
        return session.scalar(select(func.count()).select_from(model))


def states():
    with reading() as session:
        return [row.state for row in session.scalars(select(Delivery).order_by(Delivery.id))]


def test_a_run_opened_twice_is_one_inspection(site):
    first = inspection.open_inspection("run-1", site=site, bundle=str(RECORDED))
    assert inspection.open_inspection("run-1", site=site, bundle=str(RECORDED)) == first
    assert inspection.open_inspection("run-2", site=site, bundle=str(RECORDED)) != first
    assert count(Service) == 2


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ({}, "必须且只能填写一个"),
        ({"site": "shili-bank-lab", "service": 1}, "必须且只能填写一个"),
        ({"site": "nobody"}, "没有登记这个站点"),
        ({"service": 77}, "没有这个编号的巡检服务"),
        ({"site": "shili-bank-lab", "scope": ["os.nothing"]}, "没有这些检查项：os.nothing"),
        ({"site": "shili-bank-lab", "color": "red"}, "color：不认识的键"),
        ({"site": "shili-bank-lab", "bundle": "/nowhere"}, "文件无法读取"),
        ({"site": "shili-bank-lab", "bundle": __file__}, "不是回复记录"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused_and_nothing_is_written(site, conf, said):
    with pytest.raises(InputError, match=said):
        inspection.open_inspection("run-1", **conf)
    assert count(Inspection) == 0
    assert count(Service) == 0


def test_the_whole_line_gives_a_report_with_what_was_recorded(whole):
    paper = papers.render_inspection(whole)
    results = inspection.recorded(whole).results
    counts = count_results(results)
    assert counts["ok"] > 40
    assert counts["critical"] == counts["warning"] == counts["unmeasured"] == 0
    with reading() as session:
        row = session.get_one(Paper, paper)
        kinds = {file.kind: file.size_bytes for file in row.files}
    assert row.number == papers.inspection_number(whole)
    assert row.version == 1
    assert set(kinds) == {"pdf", "html", "xlsx"}
    assert min(kinds.values()) > 1000


def test_every_step_run_twice_changes_nothing(paper, opened):
    before = [count(model) for model in (Reply, Judgement, Finding, Paper, PaperFile)]
    for host in inspection.hosts_to_ask(opened):
        inspection.collect(opened, host, tries_left=0)
    assert inspection.record(inspection.judge(opened)) == opened
    assert papers.render_inspection(opened) == paper
    assert [count(model) for model in (Reply, Judgement, Finding, Paper, PaperFile)] == before
    assert before[0] > 5


def test_a_later_judgement_makes_a_new_version_of_the_paper(paper, opened):
    with transaction() as session:
        row = session.scalars(select(Reply).where(Reply.words.isnot(None))).first()
        assert row
        reply = {
            column.name: getattr(row, column.name)
            for column in Reply.__table__.columns
            if column.name not in ("id", "created_at")
        }
        session.add(Reply(**reply | {"attempt": 2, "text": "", "exit_code": 1}))
    inspection.record(inspection.judge(opened))
    later = papers.render_inspection(opened)
    assert later != paper
    with reading() as session:
        assert session.get_one(Paper, later).version == 2


def test_a_bundle_that_covers_one_host_leaves_the_rest_unmeasured(site, tmp_path):
    part = tmp_path / "part.jsonl"
    lines = RECORDED.read_text("utf-8").splitlines()
    part.write_text("\n".join(line for line in lines if json.loads(line)["ask"]["node"] == "bak1"))
    opened = inspection.open_inspection("run-1", site=site, bundle=str(part))
    for host in inspection.hosts_to_ask(opened):
        inspection.collect(opened, host, tries_left=0)
    inspection.record(inspection.judge(opened))
    counts = count_results(inspection.recorded(opened).results)
    assert counts["ok"] > 3
    assert counts["unmeasured"] > 20


def test_with_a_valid_authorisation_every_host_is_covered(site):
    opened = inspection.open_inspection("run-1", site=site)
    assert inspection.hosts_without_authorisation(opened) == []
    assert inspection.hosts_to_ask(opened) == ["", "bak1", "mx1"]


def test_without_one_the_hosts_are_named_and_nothing_connects(database, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    usable = tmp_path / "site.yaml"
    text = SITE.read_text("utf-8").replace("/run/mailcare-lab/inspector_key", str(key))
    usable.write_text(text, "utf-8")
    systems.import_site(usable, recorded_by="test")
    opened = inspection.open_inspection("run-1", site="shili-bank-lab")
    with transaction() as session:
        row = session.scalars(select(Authorisation)).one()
        assert revoke(session, row.id, by="test", at=datetime.now(UTC))
    assert inspection.hosts_without_authorisation(opened) == ["mx1", "bak1"]
    with pytest.raises(MailcareError, match="没有客户的有效授权"):
        inspection.collect(opened, "mx1", tries_left=0)
    assert count(Connection) == 0
    with reading() as session:
        replies = session.scalars(select(Reply)).all()
        assert replies
        assert all(reply.text is None and "有效授权" in (reply.reason or "") for reply in replies)


def test_a_run_that_was_called_off_is_not_judged(site):
    opened = inspection.open_inspection("run-1", site=site)
    with pytest.raises(MailcareError, match="没有采集到任何回复"):
        inspection.judge(opened)
    assert count(Judgement) == 0


@pytest.mark.parametrize("scope", [["loop.internal"], ["dns.mx"]])
def test_what_is_asked_of_no_single_host_needs_an_authorisation_too(site, scope):
    opened = inspection.open_inspection("run-1", site=site, scope=scope)
    assert inspection.hosts_without_authorisation(opened) == []
    with transaction() as session:
        row = session.scalars(select(Authorisation)).one()
        assert revoke(session, row.id, by="test", at=datetime.now(UTC))
    assert inspection.hosts_without_authorisation(opened) == ["mx1"]
    inspection.collect(opened, "", tries_left=0)
    with reading() as session:
        replies = session.scalars(select(Reply)).all()
        assert replies
        assert all(reply.text is None for reply in replies)


def test_a_run_does_not_go_on_with_other_parameters(site):
    inspection.open_inspection("run-1", site=site, scope=["dns.mx"])
    with pytest.raises(InputError, match="另一组参数"):
        inspection.open_inspection("run-1", site=site)


def test_an_authorisation_is_withdrawn_by_the_site_file(site, tmp_path):
    opened = inspection.open_inspection("run-1", site=site)
    withdrawn = tmp_path / "site.yaml"
    withdrawn.write_text(
        SITE.read_text("utf-8") + "    revoked_at: 2026-11-01T00:00:00+08:00\n", "utf-8"
    )
    assert "新登记授权 0 份" in systems.import_site(withdrawn, recorded_by="test")
    assert inspection.hosts_without_authorisation(opened) == ["mx1", "bak1"]


def test_an_authorisation_that_left_the_file_stays_and_is_said(site, tmp_path):
    without = tmp_path / "site.yaml"
    without.write_text(SITE.read_text("utf-8").partition("authorisations:")[0], "utf-8")
    said = systems.import_site(without, recorded_by="test")
    assert "1 份仍有效的授权不在文件里" in said


def test_a_bundle_was_measured_when_its_replies_were_taken(paper, opened):
    recorded = inspection.recorded(opened)
    moments = [answer.taken_at for answer in recorded.answers.values()]
    assert (recorded.started_at, recorded.finished_at) == (min(moments), max(moments))


def test_another_customers_authorisation_covers_nothing(site, tmp_path):
    text = SITE.read_text("utf-8")
    head, _, _ = text.partition("authorisations:")
    other = tmp_path / "other.yaml"
    other.write_text(
        head.replace("site: shili-bank-lab", "site: other").replace(
            "name: 示例银行", "name: 另一家"
        )
    )
    systems.import_site(other, recorded_by="test")
    opened = inspection.open_inspection("run-1", site="other")
    assert inspection.hosts_without_authorisation(opened) == ["mx1", "bak1"]


def test_an_import_repeated_adds_no_authorisation(site):
    assert "新登记授权 0 份" in systems.import_site(SITE, recorded_by="test")
    assert count(Authorisation) == 1


def test_a_site_does_not_move_to_another_customer(site, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(SITE.read_text("utf-8").replace("name: 示例银行", "name: 另一家"))
    with pytest.raises(InputError, match="另一个客户名下"):
        systems.import_site(other, recorded_by="test")


def test_the_action_list_is_a_paper_of_its_own_and_is_not_delivered(
    paper, opened, monkeypatch, tmp_path
):
    number = papers.inspection_number(opened)
    written = papers.write_paper(f"{number}-TODO", tmp_path / "a.pdf")
    assert "工程师待办单" in PdfReader(written).pages[0].extract_text()
    with pytest.raises(InputError, match=r"没有 \.xlsx 格式"):
        papers.write_paper(f"{number}-TODO", tmp_path / "a.xlsx")
    with reading() as session:
        assert session.get_one(Paper, paper).number == number
    with smtp_server() as server:
        monkeypatch.setenv("MAILCARE_RELAY_URL", f"smtp://127.0.0.1:{server.port}")
        delivery.deliver_paper(paper)
    assert b"TODO" not in b"".join(server.taken)
    assert server.taken


def test_the_first_inspection_has_nothing_before_it(paper, opened):
    assert inspection.earlier(opened) == ()
    assert changes_of(paper)["note"] == "首次巡检，没有可比较的记录"


def changes_of(paper):
    with reading() as session:
        return session.get_one(Paper, paper).content["changes"]


def test_a_later_inspection_is_compared_with_the_whole_ones_before_it(whole, site):
    inspected("run-2", site, scope=["dns.mx"])
    third = inspected("run-3", site)
    unfinished = inspection.open_inspection("run-4", site=site, bundle=str(RECORDED))
    [past] = inspection.earlier(third)
    assert past.results == inspection.recorded(whole).results
    assert len(inspection.earlier(unfinished)) == 2
    assert inspection.earlier(whole) == ()
    changes = changes_of(papers.render_inspection(third))
    assert changes["last_at"] == past.started_at.isoformat()
    assert {row["kind"] for row in changes["rows"]} <= {"未变"}


def test_no_more_than_five_earlier_inspections_are_looked_at_oldest_first(site):
    done = [inspected(f"run-{number}", site) for number in range(7)]
    past = inspection.earlier(done[-1])
    assert len(past) == 5
    assert [one.started_at for one in past] == sorted(one.started_at for one in past)


def test_another_systems_inspections_are_no_past(whole, tmp_path):
    other = tmp_path / "other.yaml"
    text = SITE.read_text("utf-8").replace("site: shili-bank-lab", "site: other")
    other.write_text(text, "utf-8")
    systems.import_site(other, recorded_by="test")
    assert inspection.earlier(inspected("run-2", "other")) == ()


def test_the_record_of_a_bundle_names_the_authorisation_and_no_connection(paper, opened):
    record = inspection.proceedings(opened)
    assert record.handed_in
    assert record.logins == ()
    assert [one.how for one in record.consents] == ["letter"]
    assert sum(one.replies for one in record.traffic) > 5


def test_the_record_names_each_connection_with_its_authorisation(paper, opened):
    with transaction() as session:
        given = session.scalars(select(Authorisation)).one().id
        session.add(
            Connection(
                inspection_id=opened,
                authorisation_id=given,
                node="mx1",
                address="10.66.0.11",
                login="inspector",
                connected_at=datetime.now(UTC),
            )
        )
    record = inspection.proceedings(opened)
    assert [(one.node, one.login) for one in record.logins] == [("mx1", "inspector")]
    assert [one.terms.identity for one in record.consents] == [record.logins[0].consent]


def test_an_authorisation_withdrawn_later_does_not_change_the_record(paper, opened):
    with transaction() as session:
        row = session.scalars(select(Authorisation)).one()
        assert revoke(session, row.id, by="test", at=datetime.now(UTC))
    assert [one.terms.revoked_at for one in inspection.proceedings(opened).consents] == [None]
    assert papers.render_inspection(opened) == paper


def test_a_paper_is_written_by_number_and_kind(paper, opened, tmp_path):
    number = papers.inspection_number(opened)
    pdf = papers.write_paper(number, tmp_path / "a.pdf")
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert "巡检报告" in papers.write_paper(number, tmp_path / "a.html").read_text("utf-8")
    assert papers.write_paper(number, tmp_path / "a.xlsx").read_bytes().startswith(b"PK")
    with pytest.raises(InputError, match="没有这个编号"):
        papers.write_paper("XJ-2026-99999", tmp_path / "b.pdf")
    with pytest.raises(InputError, match="只能写成"):
        papers.write_paper(number, tmp_path / "b.doc")


def test_a_paper_is_mailed_once_however_often_it_is_delivered(paper, monkeypatch):
    with smtp_server() as server:
        monkeypatch.setenv("MAILCARE_RELAY_URL", f"smtp://127.0.0.1:{server.port}")
        delivery.deliver_paper(paper)
        delivery.deliver_paper(paper)
    assert len(server.taken) == 1
    assert b"application/pdf" in server.taken[0]
    assert states() == [DeliveryState.SENT]
    with reading() as session:
        events = [row.state for row in session.scalars(select(DeliveryEvent))]
    assert events == [DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.SENT]


def test_without_a_relay_the_letter_is_kept_and_the_run_says_so(paper):
    with pytest.raises(InputError, match="没有设置邮件中继"):
        delivery.deliver_paper(paper)
    assert states() == [DeliveryState.PENDING]


def test_a_relay_that_says_later_leaves_the_letter_to_the_outbox(paper, monkeypatch):
    with smtp_server(RCPT=["451 4.7.1 greylisted", "250 2.1.5 Ok"]) as server:
        monkeypatch.setenv("MAILCARE_RELAY_URL", f"smtp://127.0.0.1:{server.port}")
        delivery.deliver_paper(paper)
        assert states() == [DeliveryState.PENDING]
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2), tick=True):
            assert delivery.send_due().sent == 1
    assert len(server.taken) == 1
    assert states() == [DeliveryState.SENT]


def test_a_letter_that_was_refused_waits_until_somebody_tries_again(paper, monkeypatch):
    with smtp_server(RCPT=["550 5.1.1 no such user", "250 2.1.5 Ok"]) as server:
        monkeypatch.setenv("MAILCARE_RELAY_URL", f"smtp://127.0.0.1:{server.port}")
        with pytest.raises(Refused, match="no such user"):
            delivery.deliver_paper(paper)
        assert states() == [DeliveryState.REFUSED]
        delivery.deliver_paper(paper)
    assert len(server.taken) == 1
    assert states() == [DeliveryState.SENT]


def test_a_relay_that_turns_us_away_leaves_the_letter_waiting(paper, monkeypatch):
    with smtp_server(CONNECT=["554 5.7.1 go away"]) as server:
        monkeypatch.setenv("MAILCARE_RELAY_URL", f"smtp://127.0.0.1:{server.port}")
        with pytest.raises(InputError, match="go away"):
            delivery.deliver_paper(paper)
    assert states() == [DeliveryState.PENDING]


def test_who_has_left_the_site_file_gets_no_papers(paper, monkeypatch, tmp_path):
    text = SITE.read_text("utf-8").replace("email: admin@", "email: neu@")
    changed = tmp_path / "site.yaml"
    changed.write_text(text.replace("王示例", "新示例"), "utf-8")
    systems.import_site(changed, recorded_by="test")
    with smtp_server() as server:
        monkeypatch.setenv("MAILCARE_RELAY_URL", f"smtp://127.0.0.1:{server.port}")
        delivery.deliver_paper(paper)
    [recipient] = [line for line in server.lines if line.upper().startswith("RCPT")]
    assert recipient.endswith("<neu@shili-bank.example>")


def test_a_letter_whose_fate_is_open_is_never_sent_again_by_itself(paper, monkeypatch):
    with smtp_server(TEXT=[CLOSE]) as server:
        monkeypatch.setenv("MAILCARE_RELAY_URL", f"smtp://127.0.0.1:{server.port}")
        for _ in range(2):
            with pytest.raises(Uncertain):
                delivery.deliver_paper(paper)
    assert server.verbs.count("DATA") == 1
    assert states() == [DeliveryState.UNCERTAIN]


def test_a_letter_found_half_sent_after_a_crash_is_uncertain(paper, monkeypatch):
    with smtp_server() as server:
        monkeypatch.setenv("MAILCARE_RELAY_URL", "")
        with pytest.raises(InputError):  # the letter is written down, then the relay is missing
            delivery.deliver_paper(paper)
        with transaction() as session:
            row = session.scalars(select(Delivery)).one()
            row.state = DeliveryState.SENDING
            row.state_changed_at = datetime.now(UTC) - timedelta(minutes=20)
        monkeypatch.setenv("MAILCARE_RELAY_URL", f"smtp://127.0.0.1:{server.port}")
        with pytest.raises(Uncertain):
            delivery.deliver_paper(paper)
    assert server.taken == []
    assert states() == [DeliveryState.UNCERTAIN]


def test_the_system_under_test_never_carries_its_own_report(paper, monkeypatch):
    monkeypatch.setenv("MAILCARE_RELAY_URL", "smtp://10.66.0.11:25")
    with pytest.raises(InputError, match="不得经由被检系统"):
        delivery.deliver_paper(paper)

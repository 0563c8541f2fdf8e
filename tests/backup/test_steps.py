import hashlib
import json
import shutil
import signal
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from mailcare.backup import running, steps
from mailcare.backup.verdicts import Level
from mailcare.errors import InputError, MailcareError
from mailcare.listing import Wish
from mailcare.papers.keeping import latest_paper, paper_file
from mailcare.records.alerts import Alert
from mailcare.records.backups import BackupEvidence, BackupLevel, Verification
from mailcare.records.base import Base
from mailcare.records.customers import System
from mailcare.records.faults import Fault
from mailcare.records.inspections import Service, ServiceKind, ServicePurpose, ServiceState
from mailcare.records.session import reading, transaction
from mailcare.systems.steps import import_site
from tests.backup.copies import cover
from tests.backup.stores import flip, make_store, pack

SITE = """\
schema: 1
site: bank
customer: {{name: 示例银行, contacts: [{{name: 王工, phone: 0000-1234}}]}}
system: {{title: 企业邮件系统, profile: generic}}
domains: [{{name: bank.example}}]
nodes: [{{name: mx1, hostname: mx1.bank.example, address: 192.0.2.1}}]
backups:
  - name: nightly
    title: 每日全量包
    kind: tar.gz
    path: {place}
    live: {{path: {live}}}
    policy: {{L4: null, L5: null, shards: 3}}
"""


@pytest.fixture
def bank(database_url, tmp_path, monkeypatch):
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path / "home"))
    live = make_store(tmp_path / "live")
    pack(live, "tar.gz", tmp_path / "copies/mail-0.tar.gz")
    path = tmp_path / "site.yaml"
    path.write_text(SITE.format(place=tmp_path / "copies", live=live), "utf-8")
    import_site(path, recorded_by="li")
    return tmp_path


def carried_out(run, **conf):
    verification = steps.open_verification(run, **conf)
    for copy in steps.hosts_to_ask(verification):
        steps.verify(verification, copy)
    return steps.conclude(verification)


def all_of(model: type[Base]):
    with reading() as session:
        return session.scalars(select(model).order_by(model.id)).all()


def test_a_run_is_made_and_its_copies_are_verified_once(bank):
    first = carried_out("manual__1", site="bank", through="L3")
    assert carried_out("manual__1", site="bank", through="L3") == first
    (row,) = all_of(BackupEvidence)
    assert (row.sequence, row.previous, row.verdict) == (1, None, "PASS")
    second = carried_out("manual__2", site="bank", through="L3")
    assert second != first
    assert [one.previous for one in all_of(BackupEvidence)] == [None, row.sha256]
    assert steps.audit_copy(row.system_id, "nightly") == ()
    assert all_of(Fault) == []
    assert all_of(Alert) == []


def test_a_failed_copy_is_one_fault_and_one_alert_an_incident(bank):
    path = bank / "copies/mail-0.tar.gz"
    whole = path.read_bytes()
    flip(path)
    for number in range(2):
        carried_out(f"run-{number}", site="bank", through="L3")
    (fault,) = all_of(Fault)
    assert "每日全量包" in fault.description
    assert fault.level == "P2"
    [told] = [one for one in all_of(Alert) if one.key.startswith("backup/")]
    assert told.is_urgent
    assert "nightly" in told.text
    assert "nightly" not in told.subject  # it goes to chats
    path.write_bytes(whole)
    carried_out("run-2", site="bank", through="L3")
    flip(path)
    carried_out("run-3", site="bank", through="L3")
    assert len(all_of(Fault)) == 2


def test_a_routine_run_reads_all_at_first_then_a_shard_a_day(bank, time_machine_at):
    for day in range(4):
        time_machine_at(timedelta(days=day))
        carried_out(f"backup__bank__{day}", site="bank", routine=True)
    read = [
        (one["facts"]["shard"], one["facts"]["shards"])
        for row in all_of(BackupEvidence)
        for one in json.loads(row.statement)["findings"]
        if one["facts_kind"] == "integrity"
    ]
    assert read == [(0, 1), (0, 3), (1, 3), (2, 3)]


KILLED = """
import os, signal, sys
from mailcare.backup import running, steps
from mailcare.backup.verdicts import Level

def killed(ground):
    os.kill(os.getpid(), signal.SIGKILL)

running.LEVELS = {**running.LEVELS, Level.L3: killed}
steps.verify(int(sys.argv[1]), "nightly")
"""


def test_a_run_that_was_killed_goes_on_with_the_levels_that_it_had_not_finished(bank, monkeypatch):
    verification = steps.open_verification("manual__1", site="bank", through="L3")
    words = [sys.executable, "-c", KILLED, str(verification)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    again = []
    levels = {
        level: lambda ground, level=level, run=run: again.append(level) or run(ground)
        for level, run in running.LEVELS.items()
    }
    monkeypatch.setattr(running, "LEVELS", levels)
    steps.verify(verification, "nightly")
    assert again == ["L0", "L3"]
    (row,) = all_of(BackupEvidence)
    said = json.loads(row.statement)
    assert [(one["level"], one["verdict"]) for one in said["findings"]] == [
        (level, "PASS") for level in ("L0", "L1", "L2", "L3")
    ]
    assert steps.audit_copy(row.system_id, "nightly") == ()
    carried_out("manual__2", site="bank", through="L3")
    assert again[2:] == ["L0", "L1", "L2", "L3"], "another run begins anew"


def test_what_a_killed_run_found_does_not_stand_for_another_generation(bank, monkeypatch):
    class Ended(BaseException):
        pass

    counted = []

    def count(ground):
        counted.append(ground.newest.size_bytes)
        return real(ground)

    def end(_ground):
        raise Ended

    real = running.LEVELS[Level.L2]
    monkeypatch.setattr(running, "LEVELS", {**running.LEVELS, Level.L2: count, Level.L3: end})
    verification = steps.open_verification("manual__1", site="bank", through="L3")
    for _ in range(2):
        with pytest.raises(Ended):
            steps.verify(verification, "nightly")
    assert len(counted) == 1
    shutil.rmtree(bank / "live/bank.example/user2")
    pack(bank / "live", "tar.gz", bank / "copies/mail-0.tar.gz")
    with pytest.raises(Ended):
        steps.verify(verification, "nightly")
    assert len(set(counted)) == 2


def test_no_length_of_history_hides_when_a_level_was_last_run(bank):
    verification = carried_out("manual__1", site="bank", through="L2")
    (first,) = all_of(BackupEvidence)
    said = json.loads(first.statement)
    runs = [
        {
            "id": verification + number,
            "system_id": first.system_id,
            "key": f"later__{number}",
            "through": "L0",
            "copies": [],
            "is_routine": True,
            "definition": {},
            "started_at": first.finished_at,
        }
        for number in range(1, 501)
    ]
    later = [
        {
            "verification_id": verification + sequence - 1,
            "system_id": first.system_id,
            "copy_name": first.copy_name,
            "sequence": sequence,
            "previous": f"{sequence - 1:064}",
            "statement": (text := json.dumps(said | {"sequence": sequence, "findings": []})),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "signature": "",
            "public_key": "",
            "verdict": first.verdict,
            "finished_at": first.finished_at,
        }
        for sequence in range(2, 502)
    ]
    with transaction() as session:
        session.execute(insert(Verification), runs)
        session.execute(insert(BackupEvidence), later)
    with reading() as session:
        past = steps._past(session, first.system_id, "nightly")
    assert past.sequence == 501
    assert {str(level) for level in past.last_run_at} == {"L0", "L1", "L2"}
    assert len(past.sizes) == 1


def test_a_message_that_failed_stands_in_the_matrix_while_other_shards_are_read(
    bank, time_machine_at
):
    cover("bank")
    carried_out("backup__bank__0", site="bank", routine=True)
    changed = next(one for one in (bank / "live").rglob("cur/*") if one.is_file())
    changed.write_bytes(changed.read_bytes()[::-1])
    pack(bank / "live", "tar.gz", bank / "copies/mail-0.tar.gz")
    stood = []
    for day in range(1, 6):
        time_machine_at(timedelta(days=day))
        carried_out(f"backup__bank__{day}", site="bank", routine=True)
        stood.append(steps.list_copies(Wish()).rows[0].levels["L3"].verdict)
    found = [one.verdict for one in all_of(BackupLevel) if one.level == "L3"][1:]
    first = found.index("FAIL")
    assert "PASS" in found[first:]
    assert stood == ["PASS"] * first + ["FAIL"] * (5 - first)


@pytest.fixture
def time_machine_at(monkeypatch):
    import time_machine

    started_at, travels = datetime.now(UTC), []

    def travel(ahead):
        for one in travels:
            one.stop()
        travels[:] = [time_machine.travel(started_at + ahead, tick=True)]
        travels[0].start()

    yield travel
    for one in travels:
        one.stop()


def planned_service(state=ServiceState.PLANNED):
    with transaction() as session:
        system = session.scalars(select(System)).one()
        row = Service(
            system_id=system.id,
            kind=ServiceKind.BACKUP_VERIFICATION,
            purpose=ServicePurpose.ANNUAL,
            key="HT-1/1/1/backup_verification/1",
            due_on=date(2026, 12, 1),
            state=state,
            state_changed_at=datetime(2026, 11, 1, tzinfo=UTC),
        )
        session.add(row)
        session.flush()
        return row.id


def test_a_planned_service_is_fulfilled_and_has_its_report(bank):
    service = planned_service()
    verification = carried_out("verify__1", service=service)
    assert [one.state for one in all_of(Service)] == [ServiceState.DONE]
    steps.render(verification)
    year = all_of(Verification)[0].started_at.year
    paper = latest_paper(f"BF-{year}-{verification:05d}")
    assert paper is not None
    assert steps.render(verification) == verification
    assert latest_paper(paper.number).version == 1
    assert paper_file(paper.id, "pdf").body.startswith(b"%PDF")


def test_a_copy_without_evidence_fulfils_nothing_and_stands_on_the_report(bank):
    site = bank / "site.yaml"
    more = "  - {{name: weekly, title: 每周异地包, kind: tar.gz, path: {}}}\n".format(
        bank / "copies"
    )
    site.write_text(site.read_text("utf-8") + more, "utf-8")
    import_site(site, recorded_by="li")
    verification = steps.open_verification("verify__1", service=planned_service())
    steps.verify(verification, "nightly")
    steps.conclude(verification)
    assert [one.state for one in all_of(Service)] == [ServiceState.RUNNING]
    steps.render(verification)
    year = all_of(Verification)[0].started_at.year
    paper = latest_paper(f"BF-{year}-{verification:05d}")
    said = paper_file(paper.id, "html").body.decode()
    assert "每周异地包" in said
    assert "验证没有完成，不能据此认为备份可用。" in said
    steps.verify(verification, "weekly")
    steps.conclude(verification)
    assert [one.state for one in all_of(Service)] == [ServiceState.DONE]


def test_what_could_not_be_reached_for_too_long_fulfils_no_service(bank, time_machine_at):
    text = (bank / "site.yaml").read_text("utf-8").replace("    live:", "    node: mx1\n    live:")
    (bank / "site.yaml").write_text(text, "utf-8")
    import_site(bank / "site.yaml", recorded_by="li")
    carried_out("manual__1", site="bank", through="L1")
    time_machine_at(timedelta(days=3))
    carried_out("verify__1", service=planned_service())
    assert [one.verdict for one in all_of(BackupEvidence)] == ["NOT_RUN", "DEGRADED"]
    assert [one.state for one in all_of(Service)] == [ServiceState.RUNNING]


def test_the_report_says_verdicts_coverage_and_evidence(bank):
    from io import BytesIO

    from pypdf import PdfReader

    shutil.copy(bank / "copies/mail-0.tar.gz", bank / "copies/mail-1.tar.gz")
    verification = carried_out("manual__1", site="bank", through="L3")
    steps.render(verification)
    year = all_of(Verification)[0].started_at.year
    paper = latest_paper(f"BF-{year}-{verification:05d}")
    text = "\n".join(
        page.extract_text() for page in PdfReader(BytesIO(paper_file(paper.id, "pdf").body)).pages
    )
    for said in ("备份验证报告", "每日全量包", "全部副本通过验证", "恢复演练", "24 / 24"):
        assert said in text
    assert all_of(BackupEvidence)[0].sha256[:20] in text.replace("\n", "")


def test_a_withdrawn_service_and_another_kind_are_refused(bank):
    with pytest.raises(InputError, match="已撤销"):
        steps.open_verification("verify__1", service=planned_service(ServiceState.WITHDRAWN))
    with pytest.raises(InputError, match="没有这个编号"):
        steps.open_verification("verify__2", service=99)
    with pytest.raises(InputError, match="没有登记这个站点"):
        steps.open_verification("x", site="nowhere")
    with pytest.raises(InputError, match="必须且只能填写一个"):
        steps.open_verification("x")


def test_a_second_run_of_a_service_is_refused_with_a_sentence(bank):
    service = planned_service()
    steps.open_verification("verify__1", service=service)
    with pytest.raises(InputError, match="已另有一次运行"):
        steps.open_verification("verify__2", service=service)


def test_a_run_that_was_called_off_proves_nothing(bank):
    verification = steps.open_verification("manual__1", site="bank")
    with pytest.raises(MailcareError, match="没有任何副本得到验证"):
        steps.conclude(verification)


def test_hosts_to_be_logged_in_to_wait_for_an_authorisation(bank):
    text = (bank / "site.yaml").read_text("utf-8").replace("    live:", "    node: mx1\n    live:")
    (bank / "site.yaml").write_text(text, "utf-8")
    import_site(bank / "site.yaml", recorded_by="li")
    verification = steps.open_verification("manual__1", site="bank")
    assert steps.hosts_without_authorisation(verification) == ["mx1"]
    routine = steps.open_verification("backup__bank__1", site="bank", routine=True)
    assert steps.hosts_without_authorisation(routine) == []
    steps.verify(routine, "nightly")
    (row,) = all_of(BackupEvidence)
    assert row.verdict == "NOT_RUN"
    told = [one["reason"] for one in json.loads(row.statement)["findings"]]
    assert told
    assert all(told)


@pytest.mark.parametrize("text", ["", "[]", '{"findings": [3]}', '{"findings": []}'])
@pytest.mark.parametrize("which", [0, 1])
def test_evidence_that_was_changed_is_told_and_keeps_nothing_else_from_working(bank, text, which):
    for number in range(2):  # the routine one would have no report, had it not been read in full
        carried_out(f"run-{number}", site="bank", routine=True)
    changed = all_of(BackupEvidence)[which]
    with transaction() as session:
        session.execute(
            update(BackupEvidence).where(BackupEvidence.id == changed.id).values(statement=text)
        )
    wrong = steps.audit_copy(changed.system_id, "nightly")
    assert "内容与其 SHA-256 不符，证据被改动过" in wrong
    assert steps.copy_detail(changed.system_id, "nightly").copy == "nightly"
    with pytest.raises(InputError, match="不能据此出具报告"):
        steps.render(changed.verification_id)
    if text == '{"findings": []}':
        assert json.loads(steps.evidence_file(changed.id)[1])["sha256"] == changed.sha256
    else:
        with pytest.raises(InputError, match="已损坏"):
            steps.evidence_file(changed.id)
    steps.render(carried_out("run-2", site="bank", through="L3"))
    last = all_of(BackupEvidence)[2]
    assert (last.sequence, last.previous) == (3, all_of(BackupEvidence)[1].sha256)


def test_the_matrix_shows_the_last_verdict_on_each_level(bank):
    carried_out("manual__1", site="bank", through="L2")
    flip(bank / "copies/mail-0.tar.gz")
    carried_out("manual__2", site="bank", through="L3")
    (row,) = steps.list_copies(Wish()).rows
    assert (row.copy, row.verdict, row.standing) == ("nightly", "FAIL", "OUTSIDE")
    assert row.levels["L0"].verdict == "PASS"
    assert row.levels["L3"].verdict == "FAIL"
    assert row.levels["L3"].age_days == 0
    runs = steps.list_runs(Wish(), system=row.system_id, copy="nightly")
    assert runs.total == 7
    name, body = steps.evidence_file(runs.rows[0].evidence_id)
    assert name == "nightly-000002.json"
    assert json.loads(body)["statement"]["copy"] == "nightly"

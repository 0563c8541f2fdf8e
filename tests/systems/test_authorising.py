"""Authorisations as they are entered, and what they do to a running inspection."""

from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from sqlalchemy import update

from mailcare.clock import utc_now
from mailcare.contracts.forms import FormError, read_form
from mailcare.errors import InputError
from mailcare.inspection import steps as inspection
from mailcare.listing import Wish
from mailcare.records.customers import Contact
from mailcare.records.session import transaction
from mailcare.systems import steps
from mailcare.systems.forms import AuthorisationForm

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "lab" / "site.yaml"
NAME = "shili-bank-lab"


@pytest.fixture(autouse=True)
def database(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    text = SITE.read_text("utf-8")
    kept, _, _ = text.partition("\nauthorisations:")
    assert kept != text
    file = tmp_path / "site.yaml"
    file.write_text(kept, "utf-8")
    steps.import_site(file, recorded_by="test")


def form(**changes) -> AuthorisationForm:
    now = utc_now()
    data = {
        "system": NAME,
        "given_by": "王示例",
        "given_at": (now - timedelta(hours=2)).isoformat(),
        "how": "phone",
        "purpose": "年度巡检",
        "nodes": ["mx1", "bak1"],
        "valid_from": (now - timedelta(hours=1)).isoformat(),
        "valid_to": (now + timedelta(days=1)).isoformat(),
        "evidence": "电话记录",
    }
    return read_form(AuthorisationForm, data | changes)


def test_an_inspection_waits_until_it_is_recorded_and_again_once_it_is_revoked():
    run = inspection.open_inspection("run-1", site=NAME)
    assert [one.hosts for one in steps.list_waiting()] == [("mx1", "bak1")]
    given = steps.record_authorisation(form(), None, by="li")
    assert steps.list_waiting() == ()
    assert inspection.hosts_without_authorisation(run) == []
    steps.revoke_authorisation(given, by="wang")
    assert inspection.hosts_without_authorisation(run) == ["mx1", "bak1"]
    assert [one.hosts for one in steps.list_waiting()] == [("mx1", "bak1")]


def test_an_inspection_under_way_waits_again_once_it_has_expired():
    run = inspection.open_inspection("run-1", site=NAME)
    steps.record_authorisation(form(), None, by="li")
    assert inspection.hosts_without_authorisation(run) == []
    with time_machine.travel(utc_now() + timedelta(days=2), tick=False):
        assert inspection.hosts_without_authorisation(run) == ["mx1", "bak1"]
        assert [one.hosts for one in steps.list_waiting()] == [("mx1", "bak1")]


def test_one_that_covers_some_hosts_leaves_the_others_waiting():
    inspection.open_inspection("run-1", site=NAME)
    steps.record_authorisation(form(nodes=["mx1"]), None, by="li")
    assert [one.hosts for one in steps.list_waiting()] == [("bak1",)]


def test_times_without_a_zone_are_beijing_time():
    entered = form(valid_from="2026-01-05T09:00", given_at="2026-01-05 08:00")
    assert entered.valid_from.isoformat() == "2026-01-05T09:00:00+08:00"
    assert entered.given_at.isoformat() == "2026-01-05T08:00:00+08:00"


@pytest.mark.parametrize("text", ["", "0001-01-01T00:00", "9999-12-31T23:59+00:00", "x" * 5000])
def test_an_odd_moment_is_a_complaint_and_no_crash(text):
    with pytest.raises(FormError):
        steps.record_authorisation(form(valid_to=text), None, by="li")


def test_states_are_told_for_now():
    first = steps.record_authorisation(form(), None, by="li")
    later = (utc_now() + timedelta(hours=1)).isoformat()
    steps.record_authorisation(form(valid_from=later), None, by="li")
    steps.revoke_authorisation(first, by="li")
    listed = {one.state for one in steps.list_authorisations(Wish()).rows}
    assert listed == {"revoked", "coming"}
    with pytest.raises(InputError, match="已经撤销"):
        steps.revoke_authorisation(first, by="li")


def test_equal_evidence_is_kept_once_and_given_back_whole():
    file = ("a.pdf", b"%PDF-1.7 consent")
    first = steps.record_authorisation(form(), file, by="li")
    second = steps.record_authorisation(form(purpose="复查"), file, by="li")
    assert steps.evidence_body(first).body == steps.evidence_body(second).body == file[1]
    names = {one.evidence_sha256 for one in steps.list_authorisations(Wish()).rows}
    assert len(names) == 1


def test_a_system_is_listed_with_its_authorisation_and_before_its_first_inspection():
    steps.record_authorisation(form(), None, by="li")
    [row] = steps.list_systems(Wish(text="实验")).rows
    assert (row.inspected_at, row.critical) == (None, None)
    assert row.authorised_to > utc_now()
    assert steps.system_detail(row.id).hosts == ("mx1", "bak1")
    with pytest.raises(InputError, match="没有登记"):
        steps.system_detail(row.id + 1)


def test_one_given_by_somebody_without_the_right_is_refused_beside_the_field():
    with pytest.raises(FormError) as caught:
        steps.record_authorisation(form(given_by="路人"), None, by="li")
    [complaint] = caught.value.complaints
    assert complaint.path == ("given_by",)
    assert complaint.sentence.startswith("路人 不是该客户指定的授权人（王示例）")
    assert steps.list_authorisations(Wish()).rows == ()


def test_anybody_may_authorise_for_a_customer_who_names_nobody():
    with transaction() as session:
        session.execute(update(Contact).values(may_authorise=False))
    assert steps.record_authorisation(form(given_by="路人"), None, by="li")


def site_without_rights(folder: Path) -> tuple[Path, int]:
    """Return a site file that leaves the rights as they are recorded, and its giver's line."""
    text = SITE.read_text("utf-8").replace("      may_authorise: true\n", "")
    file = folder / "silent.yaml"
    file.write_text(text, "utf-8")
    [line] = [at for at, one in enumerate(text.splitlines(), 1) if "given_by:" in one]
    return file, line


def let_authorise(name: str) -> None:
    with transaction() as session:
        session.execute(update(Contact).values(may_authorise=False))
        session.add(
            Contact(customer_id=1, name=name, role="", gets_papers=False, may_authorise=True)
        )


def test_a_site_file_adds_no_authorisation_that_the_records_do_not_allow(tmp_path):
    let_authorise("行长")
    file, line = site_without_rights(tmp_path)
    said = rf"第 {line} 行 authorisations\.0\.given_by：王示例 不是该客户指定的授权人（行长）"
    with pytest.raises(InputError, match=said):
        steps.import_site(file, recorded_by="test")
    with pytest.raises(InputError, match=said):
        steps.preview_site(file.read_text("utf-8"))
    assert steps.list_authorisations(Wish()).rows == ()


def test_what_was_given_by_somebody_who_has_left_stays_importable(tmp_path):
    steps.import_site(SITE, recorded_by="test")
    let_authorise("行长")
    file, _ = site_without_rights(tmp_path)
    assert "新登记授权 0 份" in steps.import_site(file, recorded_by="test")
    text = file.read_text("utf-8")
    assert not steps.preview_site(text).is_new
    [one] = steps.list_authorisations(Wish()).rows
    assert (one.given_by, one.state) == ("王示例", "in_force")
    added = text + text[text.index("\n  - given_by") :].replace("purpose: ", "purpose: 再次")
    file.write_text(added, "utf-8")
    with pytest.raises(InputError, match=r"authorisations\.1\.given_by：王示例 不是"):
        steps.import_site(file, recorded_by="test")


def test_a_site_file_that_does_not_say_who_may_authorise_takes_no_right_away(tmp_path):
    file = tmp_path / "silent.yaml"
    file.write_text(SITE.read_text("utf-8").replace("      may_authorise: true\n", ""), "utf-8")
    steps.import_site(file, recorded_by="test")
    [system] = steps.list_systems(Wish()).rows
    assert steps.system_detail(system.id).givers == ("王示例",)

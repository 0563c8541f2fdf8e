import json

import pytest
from typer.testing import CliRunner

from mailcare.cli import app
from tests.backup.stores import make_store, pack

SITE = """\
schema: 1
site: bank
customer: {{name: 示例银行, contacts: [{{name: 王工}}]}}
system: {{title: 邮件系统, profile: generic}}
domains: [{{name: bank.example}}]
nodes: [{{name: mx1, hostname: mx1.bank.example, address: 192.0.2.1}}]
backups:
  - {{name: nightly, kind: tar.gz, path: {place}, live: {{path: {live}}}}}
  - {{name: remote, kind: tar.gz, node: mx1, path: /srv/backup}}
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path / "home"))
    live = make_store(tmp_path / "live")
    pack(live, "tar.gz", tmp_path / "copies/mail.tar.gz")
    path = tmp_path / "site.yaml"
    path.write_text(SITE.format(place=tmp_path / "copies", live=live), "utf-8")
    return path


def run(*words):
    return CliRunner().invoke(app, ["backup", *map(str, words)])


def test_a_good_copy_ends_with_0_and_its_evidence_holds(site, tmp_path):
    out = tmp_path / "out"
    done = run("verify", site, "--copy", "nightly", "--through", "L3", "--out", out)
    assert (done.exit_code, "通过" in done.output) == (0, True)
    (evidence,) = (out / "evidence").iterdir()
    assert run("audit", evidence).exit_code == 0


def test_a_damaged_copy_ends_with_1(site, tmp_path):
    path = tmp_path / "copies/mail.tar.gz"
    path.write_bytes(path.read_bytes()[:-40])
    done = run("verify", site, "--copy", "nightly", "--through", "L3", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "不通过" in done.output


def test_a_copy_that_cannot_be_reached_ends_with_3(site, tmp_path):
    done = run("verify", site, "--copy", "remote", "--through", "L2", "--out", tmp_path / "out")
    assert done.exit_code == 3
    document = json.loads((tmp_path / "out/verification.json").read_text("utf-8"))
    assert {one["verdict"] for one in document["copies"][0]["levels"]} == {"NOT_RUN"}


def test_an_unknown_level_ends_with_2(site):
    assert run("verify", site, "--through", "L9").exit_code == 2

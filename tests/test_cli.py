import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from mailcare import cli

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "lab" / "site.yaml"
RECORDED = ROOT / "lab" / "recorded.jsonl"


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line; return its exit code, standard output and standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mailcare", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


@pytest.fixture
def database(tmp_path, monkeypatch):
    monkeypatch.setenv("MAILCARE_DB_URL", f"sqlite:///{tmp_path / 'mailcare.db'}")


def test_inspecting_a_bundle_writes_the_six_files_and_a_table(run, tmp_path):
    code, out, _ = run("inspect", SITE, "--bundle", RECORDED, "--out", tmp_path / "out")
    assert code == 0
    assert "os.release" in out
    assert "严重 0" in out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "report.pdf",
        "report.html",
        "actions.pdf",
        "findings.json",
        "statistics.xlsx",
        "replies.jsonl",
    }
    findings = json.loads((tmp_path / "out" / "findings.json").read_text("utf-8"))
    assert findings["schema"] == 1
    assert findings["site"] == "shili-bank-lab"
    assert (
        findings["counts"]["ok"] == sum(row["severity"] == "ok" for row in findings["results"]) > 40
    )
    assert sum(findings["counts"].values()) == len(findings["results"])


def test_the_replies_that_it_writes_are_a_bundle_again(run, tmp_path):
    run("inspect", SITE, "--bundle", RECORDED, "--out", tmp_path / "a")
    run("inspect", SITE, "--bundle", tmp_path / "a" / "replies.jsonl", "--out", tmp_path / "b")
    first, second = (
        json.loads((tmp_path / name / "findings.json").read_text("utf-8"))["results"]
        for name in ("a", "b")
    )
    assert first == second
    assert first


def test_only_the_named_checks_are_done(run, tmp_path):
    words = ("inspect", SITE, "--bundle", RECORDED, "--out", tmp_path)
    code, _, _ = run(*words, "--check", "os.release", "--check", "dns.mx")
    findings = json.loads((tmp_path / "findings.json").read_text("utf-8"))
    assert code == 0
    assert {row["check"] for row in findings["results"]} == {"os.release", "dns.mx"}


def test_an_unknown_check_is_refused_with_the_known_ones(run, tmp_path):
    code, _, err = run("inspect", SITE, "--out", tmp_path, "--check", "os.nothing")
    assert code == 2
    assert "os.nothing" in err
    assert "os.release" in err


@pytest.mark.parametrize("text", [None, "a: [", "schema: 1", "schema: 1\npassword: x"])
def test_a_bad_site_file_is_refused_with_two(run, tmp_path, text):
    path = tmp_path / "site.yaml"
    if text is not None:
        path.write_text(text)
    for command in (("inspect", path, "--out", tmp_path / "out"), ("site", "check", path)):
        code, out, err = run(*command)
        assert code == 2
        assert err.startswith("错误：")
        assert "Traceback" not in out + err
    assert not (tmp_path / "out").exists()


def test_without_a_valid_authorisation_nothing_connects_and_three_is_returned(run, tmp_path):
    path = tmp_path / "site.yaml"
    text = SITE.read_text("utf-8")
    path.write_text(text.replace("valid_to: 2036", "valid_to: 2026-01-06T00:00:00+08:00 # 2036"))
    code, out, err = run("inspect", path, "--out", tmp_path / "out")
    assert code == 3
    assert "没有当前有效的授权" in out
    assert "没有任何一项能够测得" in err
    counts = json.loads((tmp_path / "out" / "findings.json").read_text("utf-8"))["counts"]
    assert counts["ok"] == 0
    assert counts["unmeasured"] > 20


def test_a_bundle_that_is_none_is_refused(run, tmp_path):
    bundle = tmp_path / "reply.txt"
    bundle.write_bytes(b"\xff\x00 nothing")
    code, _, err = run("inspect", SITE, "--bundle", bundle, "--out", tmp_path)
    assert code == 2
    assert "不是回复记录" in err


def test_an_output_folder_that_cannot_be_written_is_said(run, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    code, _, err = run("inspect", SITE, "--bundle", RECORDED, "--out", blocked)
    assert code == 1
    assert "文件写不进去" in err


def test_the_collector_runs_and_its_output_is_judged(run, tmp_path):
    code, script, _ = run("collector")
    assert code == 0
    (tmp_path / "collect.sh").write_text(script, "utf-8")
    done = subprocess.run(["sh", tmp_path / "collect.sh"], capture_output=True, check=True)
    (tmp_path / "reply.txt").write_bytes(done.stdout)
    site = tmp_path / "site.yaml"
    text = SITE.read_text("utf-8").replace(
        "mx1.shili-bank.example\n", f"{os.uname().nodename}\n", 1
    )
    site.write_text(text, "utf-8")
    code, _, _ = run("inspect", site, "--bundle", tmp_path / "reply.txt", "--out", tmp_path / "out")
    assert code == 0
    findings = json.loads((tmp_path / "out" / "findings.json").read_text("utf-8"))["results"]
    states = {(row["check"], row["target"]): row["state"] for row in findings}
    assert states[("os.release", "mx1")] == "measured"
    assert states[("os.release", "bak1")] == "unmeasured"


def test_the_schema_is_json(run):
    code, out, _ = run("site", "schema")
    assert code == 0
    Draft202012Validator.check_schema(json.loads(out))


def test_checking_the_lab_site_says_what_it_is(run):
    code, out, _ = run("site", "check", SITE)
    assert code == 0
    assert "示例银行" in out


def test_a_database_that_was_never_set_up_is_said(run, database):
    code, _, err = run("site", "import", SITE)
    assert code == 2
    assert "mailcare db upgrade" in err


def test_upgrading_twice_and_importing_twice_is_harmless(run, database):
    assert run("db", "upgrade")[0] == 0
    assert run("db", "upgrade")[0] == 0
    assert "新登记授权 1 份" in run("site", "import", SITE)[1]
    assert "新登记授权 0 份" in run("site", "import", SITE)[1]


def test_rendering_an_unknown_paper_is_refused(run, database, tmp_path):
    run("db", "upgrade")
    code, _, err = run("paper", "render", "XJ-1", "--out", tmp_path / "a.pdf")
    assert code == 2
    assert "没有这个编号的报告" in err


def test_the_command_is_also_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "mailcare", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "include")},
    )
    assert "inspect" in done.stdout

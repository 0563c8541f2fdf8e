import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mailcare.cli_time import calendar_app, deadline_app, fault_app
from mailcare.errors import InputError
from mailcare.records.schema import upgrade

app = typer.Typer()
app.add_typer(deadline_app, name="deadline")
app.add_typer(calendar_app, name="calendar")
app.add_typer(fault_app, name="fault")

TABLE = Path(__file__).parent / "console" / "year-2027.yaml"
P1 = {"type": "declared", "at": "2026-09-30T18:20:00+08:00", "level": "P1"}


def run(*words):
    return CliRunner().invoke(app, list(words))


def answer(*words):
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def events_file(tmp_path):
    def write(*events):
        path = tmp_path / "events.json"
        path.write_text(json.dumps({"events": list(events)}), "utf-8")
        return str(path)

    return write


def test_the_report_deadline_is_answered_in_json():
    assert answer("deadline", "report", "--handled-at", "2026-02-11T08:00:00Z") == {
        "due_at": "2026-02-15T00:00:00+08:00",
        "internal_due_at": "2026-02-14T17:00:00+08:00",
        "provisional": False,
        "rule": "自处理完毕次日起算，第3个工作日24:00前送达",
        "days": ["2026-02-12", "2026-02-13", "2026-02-14"],
    }


def test_the_report_deadline_is_answered_in_words():
    said = run("deadline", "report", "--handled-at", "2026-02-11T16:00:00+08:00").stdout
    assert "最迟：2026-02-14 周六 24:00（北京时间）" in said
    assert "内部要求：2026-02-14 17:00:00（北京时间）" in said
    assert "注：" not in said


def test_a_provisional_deadline_says_why_and_how_early_it_could_be():
    said = run("deadline", "report", "--handled-at", "2026-12-30T15:00:00+08:00").stdout
    assert "尚未公布的2027年度" in said
    assert "最早可能为：2027-01-03 周日 24:00" in said
    assert answer("deadline", "report", "--handled-at", "2026-12-30T15:00+08:00")["provisional"]


@pytest.mark.parametrize(
    ("level", "due"),
    [
        ("P1", "2026-09-29T11:00:00+08:00"),
        ("P2", "2026-09-30T11:00:00+08:00"),
        ("P3", "2026-10-04T00:00:00+08:00"),
        ("p4", "2026-10-06T00:00:00+08:00"),
    ],
)
def test_the_resolution_deadline_is_answered_by_level(level, due):
    words = ("--level", level, "--declared-at", "2026-09-28T11:00:00+08:00")
    said = answer("deadline", "resolution", *words)
    assert (said["due_at"], said["internal_due_at"], said["provisional"]) == (due, None, False)
    assert "北京时间" in run("deadline", "resolution", *words).stdout


def test_an_unknown_level_is_refused():
    words = ("--level", "P5", "--declared-at", "2026-09-28T11:00:00+08:00")
    assert run("deadline", "resolution", *words).exit_code == 2


@pytest.mark.parametrize("when", ["2026-02-11T16:00:00", "yesterday", ""])
def test_a_time_that_cannot_be_read_names_its_option(when):
    result = run("deadline", "report", "--handled-at", when)
    assert isinstance(result.exception, InputError)
    assert str(result.exception).startswith("--handled-at：")


def test_a_visit_that_runs_through_is_answered_with_its_days():
    said = answer("deadline", "visit", "--start", "2026-10-08")
    assert said["days"] == ["2026-10-08", "2026-10-09", "2026-10-10"]
    assert said["due_at"] == "2026-10-11T00:00:00+08:00"
    assert "可以安排" in run("deadline", "visit", "--start", "2026-10-08").stdout


@pytest.mark.parametrize("start", ["2026-09-29", "2026-10-01"])
def test_a_visit_that_cannot_start_so_is_refused_with_the_next_start(start):
    result = run("deadline", "visit", "--start", start)
    assert result.exit_code == 2
    assert "2026-10-08" in result.stdout
    as_json = run("deadline", "visit", "--start", start, "--json")
    assert as_json.exit_code == 2
    assert "2026-10-08" in json.loads(as_json.stdout)["error"]


@pytest.mark.parametrize("start", ["2026-02-30", "soon", "0001-01-01", "9999-12-31"])
def test_a_start_that_is_no_day_names_its_option(start):
    result = run("deadline", "visit", "--start", start)
    assert isinstance(result.exception, InputError)
    assert str(result.exception).startswith("--start：")


def test_a_published_year_is_shown():
    said = answer("calendar", "show", "2026")
    assert (said["source"], said["provisional"], said["workdays"]) == (
        "chinesecalendar",
        False,
        248,
    )
    assert len(said["work"]) == 6
    assert "2026-02-15" in said["off"]
    text = run("calendar", "show", "2026").stdout
    assert "休  2026-10-01 周四 至 2026-10-07 周三  国庆节" in text
    assert "班  2026-09-20 周日  调休上班" in text


def test_an_unpublished_year_is_shown_as_a_guess():
    assert answer("calendar", "show", "2027")["provisional"] is True
    assert "尚未公布" in run("calendar", "show", "2027").stdout


def test_a_year_that_no_calendar_knows_is_refused():
    assert run("calendar", "show", "2150").exit_code == 2


def test_a_year_is_loaded_and_not_confirmed_by_the_same_person(monkeypatch, tmp_path):
    url = f"sqlite:///{tmp_path / 'mailcare.db'}"
    monkeypatch.setenv("MAILCARE_DB_URL", url)
    upgrade(url)
    said = run("calendar", "load", str(TABLE))
    assert said.exit_code == 0, said.output
    assert "2027-02-20（周六）：休 → 班" in said.stdout
    assert "待另一人确认" in said.stdout
    refused = run("calendar", "confirm", "2027")
    assert isinstance(refused.exception, InputError)
    assert answer("calendar", "show", "2027")["provisional"] is True
    monkeypatch.setenv("LOGNAME", "wang")
    assert run("calendar", "confirm", "2027").exit_code == 0
    assert answer("calendar", "show", "2027")["provisional"] is False


def test_the_clocks_are_answered_in_json(events_file):
    pause = {"type": "paused", "at": "2026-09-30T20:00:00+08:00", "reason": "third_party"}
    said = answer("fault", "clocks", events_file(P1, pause), "--now", "2026-10-02T00:00Z")
    assert [row["clock"] for row in said["clocks"]] == ["response", "resolution"]
    assert said["clocks"][1] == {
        "clock": "resolution",
        "epoch": 1,
        "level": "P1",
        "started_at": "2026-09-30T18:20:00+08:00",
        "due_at": None,
        "soft": False,
        "stopped_at": None,
        "state": "held",
        "breached_at": None,
        "gross_s": 37 * 3600 + 40 * 60,
        "net_s": 100 * 60,
        "provisional": False,
    }


def test_the_clocks_are_answered_in_words(events_file):
    handled = {"type": "handled", "at": "2026-10-03T08:00:00+08:00", "kind": "fix"}
    said = run(
        "fault", "clocks", events_file(P1, handled), "--now", "2026-10-03T09:00+08:00"
    ).stdout
    assert "处理 第1轮 P1  违约" in said
    assert "违约于 2026-10-01 18:20:00（北京时间）" in said
    assert "时限 2026-10-10 周六 24:00（北京时间）" in said


def test_without_now_the_present_moment_is_meant(events_file):
    assert answer("fault", "clocks", events_file(P1))["clocks"]


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_refused_sequence_is_told_as_json_with_its_place(events_file, more):
    resumed = {"type": "resumed", "at": "2026-09-30T20:00:00+08:00"}
    result = run("fault", "clocks", events_file(P1, resumed), *more)
    assert result.exit_code == 2
    said = json.loads(result.stdout)
    assert said == {"error": "故障不在暂停中，不能恢复", "index": 1}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[]", b'{"events": 1}', b'{"events": []}']
)
def test_a_file_that_cannot_be_used_is_told_the_same_way(tmp_path, content):
    path = tmp_path / "events.json"
    path.write_bytes(content)
    result = run("fault", "clocks", str(path))
    assert result.exit_code == 2
    assert json.loads(result.stdout)["index"] is None


def test_a_file_that_is_not_there_is_told_the_same_way(tmp_path):
    for path in (tmp_path / "nowhere.json", tmp_path):
        result = run("fault", "clocks", str(path))
        assert result.exit_code == 2
        assert json.loads(result.stdout)["index"] is None


def test_a_now_that_cannot_be_read_is_told_the_same_way(events_file):
    result = run("fault", "clocks", events_file(P1), "--now", "2026-10-02T00:00")
    assert result.exit_code == 2
    assert "--now" in json.loads(result.stdout)["error"]

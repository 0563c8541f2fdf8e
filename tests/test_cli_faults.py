"""`mailcare fault`: declare, list, show and record from a shell."""

import json
from datetime import UTC, datetime

import pytest
import time_machine
from typer.testing import CliRunner

from mailcare.cli import app
from mailcare.errors import InputError
from tests.faults.desk import open_desk

DECLARE = [
    "fault", "declare", "--site", "head-office", "--level", "p1", "--description", "全行停发",
    "--contact", "王示例", "--contact-details", "分机 1000",
]  # fmt: skip
NUMBER = "GZ-2026-00001"


@pytest.fixture(autouse=True)
def records(sqlite_template, tmp_path, monkeypatch):
    file = tmp_path / "mailcare.db"
    file.write_bytes(sqlite_template.read_bytes())
    monkeypatch.setenv("MAILCARE_DB_URL", f"sqlite:///{file}")
    open_desk()


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(datetime(2026, 3, 2, 1, tzinfo=UTC), tick=False) as now:
        yield now


def said(*words: str) -> str:
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_fault_is_declared_listed_shown_and_finished(clock):
    assert NUMBER in said(*DECLARE)
    assert "响应 还剩 15分" in said("fault", "list")
    clock.move_to(datetime(2026, 3, 2, 1, 10, tzinfo=UTC))
    said(
        "fault", "event", NUMBER, "first_contact", "--channel", "phone", "--at", "2026-03-02 09:05"
    )
    said("fault", "event", NUMBER, "handled", "--kind", "fix", "--remark", "重启队列")
    shown = said("fault", "show", NUMBER)
    assert "响应 第1轮  按时完成" in shown
    assert "处理完成  彻底解决；重启队列" in shown
    assert said("fault", "list") == said("fault", "list", "示例银行")


def test_the_same_key_declares_once():
    for _ in range(2):
        said(*DECLARE, "--key", "ticket-7")
    assert said("fault", "list", "--all").count("GZ-") == 1


def test_lists_and_faults_are_json_too():
    said(*DECLARE)
    [row] = json.loads(said("fault", "list", "--json"))
    assert row["number"] == NUMBER
    shown = json.loads(said("fault", "show", NUMBER, "--json"))
    assert [one["clock"] for one in shown["clocks"]] == ["response", "resolution"]
    assert [one["title"] for one in shown["history"]] == ["申报"]


def test_an_empty_desk_says_so():
    assert said("fault", "list").strip() == "没有故障。"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["fault", "show", "GZ-2026-00009"], "没有登记这个故障"),
        (["fault", "event", NUMBER, "resumed"], "不在暂停中"),
        (["fault", "event", NUMBER, "paused", "--reason", "third_party"], "暂停须写明依据"),
        (["fault", "event", NUMBER, "paused"], "reason 未填写"),
        (["fault", "event", NUMBER, "vanished"], "「vanished」不能这样登记，可用：accepted"),
        (["fault", "event", NUMBER, "accepted", "--at", "noon"], "应为日期和时间"),
        (["fault", "event", NUMBER, "accepted", "--file", "nowhere.pdf"], "文件不存在"),
        ([*DECLARE, "--via", "pigeon"], "只能是"),
        ([*DECLARE, "--customer", "陌生行"], "没有登记这个客户"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, complaint):
    said(*DECLARE)
    with pytest.raises(InputError, match=complaint):
        CliRunner().invoke(app, words, catch_exceptions=False)

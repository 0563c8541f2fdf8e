import json

import pytest
import typer
from sqlalchemy import Engine
from typer.testing import CliRunner

from mailcare.cli_contracts import contract_app
from tests.contracts.desk import add_customer, add_system
from tests.contracts.workbooks import workbook

app = typer.Typer()
app.add_typer(contract_app, name="contract")
ROW = ("HT-2", "示例银行", "2026-01-01", "2026-12-31", "head-office", 2)


@pytest.fixture(autouse=True)
def desk(database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    add_system(add_customer())


def run(*words):
    return CliRunner().invoke(app, ["contract", *map(str, words)])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "合同.xlsx"
    path.write_bytes(workbook([ROW]))
    return path


def test_an_import_is_only_shown_unless_it_is_to_be_applied(file):
    shown = run("import", file)
    assert shown.exit_code == 0, shown.output
    assert "新增  合同 第 2 行  HT-2" in shown.output
    assert "每年现场巡检次数 空 → 2" in shown.output
    assert "尚未写入" in shown.output
    assert "没有合同" in run("list").output


def test_an_import_applied_is_listed(file):
    assert "已写入" in run("import", file, "--apply").output
    assert "HT-2  示例银行  2026-01-01 至 2026-12-31" in run("list").output
    [listed] = json.loads(run("list", "HT-2", "--json").output)
    assert (listed["number"], listed["visits_per_year"]) == ("HT-2", 2)
    again = run("import", file, "--apply")
    assert "不变 1" in again.output


def test_a_file_with_a_wrong_row_is_not_applied_and_ends_with_2(tmp_path):
    path = tmp_path / "a.xlsx"
    path.write_bytes(workbook([ROW, ("HT-3", "示例银行", "soon")]))
    told = run("import", path, "--apply")
    assert told.exit_code == 2
    assert "错误  合同 第 3 行  HT-3" in told.output
    assert "没有合同" in run("list").output


def test_a_file_that_is_not_there_is_told(tmp_path):
    told = run("import", tmp_path / "none.xlsx")
    assert "文件不存在" in str(told.exception)

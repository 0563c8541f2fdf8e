from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from mailcare.calendars.steps import confirm_year_table, load_year_table, working_calendar
from mailcare.errors import InputError
from mailcare.records.calendars import TableState, YearTable
from mailcare.records.session import reading
from mailcare.workdays import Calendar, Source

TABLE = """\
year: 2027
notice: 示例通知〔2026〕1号
off: [2027-01-01..2027-01-03, 2027-02-05..2027-02-11, 2027-04-05, 2027-05-01..2027-05-05,
      2027-06-09, 2027-09-15, 2027-10-01..2027-10-07]
work: [{work}]
"""


@pytest.fixture(autouse=True)
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)


@pytest.fixture
def table(tmp_path: Path):
    def write(work: str = "2027-02-20") -> Path:
        path = tmp_path / "2027.yaml"
        path.write_text(TABLE.format(work=work), "utf-8")
        return path

    return write


def states(engine: Engine) -> list[TableState]:
    with reading(engine) as session:
        return list(session.scalars(select(YearTable.state).order_by(YearTable.id)))


def test_a_loaded_table_counts_only_after_a_second_person_confirmed_it(table, engine):
    said = load_year_table(table(), by="li")
    assert "2027-02-20" in said
    assert "待另一人确认" in said
    assert not working_calendar().is_workday(date(2027, 2, 20))
    confirm_year_table(2027, by="wang")
    calendar = working_calendar()
    assert calendar.is_workday(date(2027, 2, 20))
    assert calendar.source(2027) is Source.OPERATOR
    assert states(engine) == [TableState.CONFIRMED]


def test_who_loaded_a_table_may_not_confirm_it(table, engine):
    load_year_table(table(), by="li")
    with pytest.raises(InputError, match="另一人"):
        confirm_year_table(2027, by="li")
    assert states(engine) == [TableState.PROPOSED]
    assert working_calendar() == Calendar()


def test_loading_twice_proposes_once(table, engine):
    load_year_table(table(), by="li")
    assert "待另一人确认" in load_year_table(table(), by="zhao")
    confirm_year_table(2027, by="wang")
    assert "没有变化" in load_year_table(table(), by="li")
    assert states(engine) == [TableState.CONFIRMED]


def test_a_changed_notice_replaces_the_one_in_force(table, engine):
    load_year_table(table(), by="li")
    confirm_year_table(2027, by="wang")
    said = load_year_table(table(work="2027-02-20, 2027-05-08"), by="li")
    assert "现行年度表" in said
    assert not working_calendar().is_workday(date(2027, 5, 8))
    confirm_year_table(2027, by="wang")
    assert working_calendar().is_workday(date(2027, 5, 8))
    assert states(engine) == [TableState.REPLACED, TableState.CONFIRMED]


def test_a_second_proposal_takes_the_place_of_the_first(table):
    load_year_table(table(), by="li")
    load_year_table(table(work="2027-05-08"), by="zhao")
    confirm_year_table(2027, by="li")  # loaded by zhao
    assert working_calendar().is_workday(date(2027, 5, 8))
    assert not working_calendar().is_workday(date(2027, 2, 20))


def test_nothing_to_confirm_is_said():
    with pytest.raises(InputError, match="没有待确认"):
        confirm_year_table(2027, by="wang")


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputError, match="不存在"):
        load_year_table(tmp_path / "no.yaml", by="li")


def test_without_a_database_the_libraries_stand_alone(monkeypatch, tmp_path):
    monkeypatch.delenv("MAILCARE_DB_URL")
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path))
    assert working_calendar() == Calendar()
    assert not list(tmp_path.iterdir())

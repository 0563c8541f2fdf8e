from datetime import date

import chinese_calendar
import pytest

from mailcare.errors import InputError
from mailcare.workdays import Calendar, YearTable, days_of, statutory_days
from mailcare.year_tables import difference, parse_year_table

NOTICE_2026 = """\
year: 2026
notice: 国办发明电〔2025〕7号
off:
  - 2026-01-01..2026-01-03
  - 2026-02-15..2026-02-23
  - 2026-04-04..2026-04-06
  - 2026-05-01..2026-05-05
  - 2026-06-19..2026-06-21
  - 2026-09-25..2026-09-27
  - 2026-10-01..2026-10-07
work: [2026-01-04, 2026-02-14, 2026-02-28, 2026-05-09, 2026-09-20, 2026-10-10]
"""
RULE_2027 = """\
year: 2027
notice: 虚构的通知
off: [2027-01-01, 2027-02-05..2027-02-12, 2027-04-05, 2027-05-01..2027-05-05, 2027-06-09,
      2027-09-15, 2027-10-01..2027-10-07]
work: [2027-01-03, 2027-02-20, 2027-05-08, 2027-10-09]
"""


def complaint(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_year_table(text, name="year.yaml")
    return str(caught.value)


def changed(old: str, new: str) -> str:
    assert old in NOTICE_2026
    return NOTICE_2026.replace(old, new, 1)


def test_the_notice_of_2026_is_read_and_equals_the_library():
    table = parse_year_table(NOTICE_2026, name="2026.yaml")
    assert (table.year, table.notice) == (2026, "国办发明电〔2025〕7号")
    calendar = Calendar((table,))
    assert all(calendar.is_workday(on) is chinese_calendar.is_workday(on) for on in days_of(2026))


def test_the_difference_of_what_is_already_known_is_nothing():
    table = parse_year_table(NOTICE_2026, name="2026.yaml")
    said = difference(table, Calendar())
    assert said.splitlines()[0].endswith("0 天不同，工作日 248 → 248 天")
    assert len(said.splitlines()) == 1


def test_the_difference_names_each_day_that_changes_and_what_it_was_held_against():
    table = parse_year_table(RULE_2027, name="2027.yaml")
    said = difference(table, Calendar())
    assert "暂行推算" in said
    assert "  2027-01-03（周日）：休 → 班" in said
    assert "  2027-02-11（周四）：班 → 休" in said
    assert len(said.splitlines()) == 1 + 4 + 5


def test_the_difference_against_an_earlier_table_of_the_year():
    first = parse_year_table(RULE_2027, name="2027.yaml")
    second = YearTable(2027, "更正", first.off - {date(2027, 2, 12)}, first.work)
    said = difference(second, Calendar((first,)))
    assert said.splitlines()[1:] == ["  2027-02-12（周五）：休 → 班"]


def test_days_of_the_december_before_are_accepted_and_shown():
    text = RULE_2027.replace("[2027-01-01,", "[2026-12-31..2027-01-01,")
    table = parse_year_table(text, name="2027.yaml")
    assert date(2026, 12, 31) in table.off
    assert "2026-12-31（周四）：班 → 休" in difference(table, Calendar())


@pytest.mark.parametrize("year", range(2008, 2027))
def test_every_published_year_would_pass_the_checks(year):
    off = sorted(
        {on for on in chinese_calendar.holidays if on.year == year} | set(statutory_days(year))
    )
    work = sorted(on for on in chinese_calendar.workdays if on.year == year)
    text = f"year: {year}\nnotice: 某号\noff: [{', '.join(map(str, off))}]\n"
    text += f"work: [{', '.join(map(str, work))}]\n"
    table = parse_year_table(text, name="year.yaml")
    assert sum(map(table.is_workday, days_of(year))) == sum(
        map(chinese_calendar.is_workday, days_of(year))
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("2026-01-04,", "2026-01-05,", "第 11 行 work.0：2026-01-05（周一） 不是周末"),
        ("2026-01-04,", "2026-01-03,", "第 11 行 work.0：2026-01-03（周六） 同时列在 off 中"),
        ("2026-01-04,", "2026-10-10,", "第 11 行 work.5：2026-10-10（周六） 重复"),
        ("2026-05-05\n", "2026-05-05\n  - 2026-05-05\n", "第 8 行 off.4：2026-05-05（周二） 重复"),
        ("2026-06-19..", "2026-06-20..", "缺少法定节假日 2026-06-19（周五） 端午节"),
        ("2026-10-01..2026-10-07", "2026-10-07..2026-10-01", "第 10 行 off.6：起止日期颠倒"),
        ("2026-10-01..2026-10-07", "2026-10-01..2027-10-07", "第 10 行 off.6：不属于 2026 年"),
        ("2026-01-04,", "2027-01-09,", "第 11 行 work.0：不属于 2026 年"),
        ("2026-01-04,", "soon,", "第 11 行 work.0：应为日期"),
        ("2026-01-04,", "20260104,", "第 11 行 work.0：应为日期"),
        ("2026-01-04,", "2026-01-04 10:00:00,", "第 11 行 work.0：应为日期"),
        ("2026-04-04..2026-04-06", "2026-04-04..", "第 6 行 off.2：应为日期"),
        ("2026-01-04,", "2026-02-30,", "第 11 行：没有 2026-02-30 这一天"),
        ("2026-04-04..2026-04-06", "2026-04-04..2026-04-31", "第 6 行 off.2：应为日期"),
        ("国办发明电〔2025〕7号", "''", "第 2 行 notice：不能为空"),
        ("year: 2026", "year: next", "第 1 行 year：应为整数"),
        ("year: 2026", "year: 1999", "第 1 行 year：不能小于 2000"),
        ("work:", "works:", "第 11 行 works：不认识的键"),
        ("notice: 国办发明电〔2025〕7号\n", "", "notice：缺少必填项"),
    ],
)
def test_a_mistake_is_told_with_its_line(old, new, said):
    assert said in complaint(changed(old, new))


def test_a_total_that_cannot_be_is_told():
    off = "2026-03-02..2026-03-06"
    text = complaint(changed("2026-06-21\n", f"2026-06-21\n  - {off}\n"))
    assert "第 1 行 year：全年工作日 243 天，不在 245—252 天之内" in text


def test_all_mistakes_are_told_at_once():
    text = changed("2026-01-04,", "2026-01-05,").replace("2026-06-19..", "2026-06-20..")
    assert len(complaint(text).splitlines()) == 3


@pytest.mark.parametrize("text", ["", "[]", "year: [", "2026", "\x00"])
def test_what_is_not_a_mapping_is_refused(text):
    assert complaint(text).startswith("year.yaml：")

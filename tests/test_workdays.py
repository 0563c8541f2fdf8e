from datetime import date, timedelta

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.workdays import (
    Calendar,
    Source,
    YearTable,
    breaks,
    days_of,
    guessed_rest_days,
    makeup_days,
    statutory_days,
    workday_count,
)

CALENDAR = Calendar()
DAYS = st.dates(date(2004, 1, 1), date(2035, 12, 31))


def table(year: int, *, off: str = "", work: str = "") -> YearTable:
    return YearTable(
        year,
        "国办发明电〔2026〕1号",
        frozenset(map(date.fromisoformat, off.split())),
        frozenset(map(date.fromisoformat, work.split())),
    )


@pytest.mark.parametrize(
    "on", ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"]
)
def test_the_makeup_days_of_2026_are_working_days(on):
    day = CALENDAR.day(date.fromisoformat(on))
    assert (day.is_working, day.source, day.is_provisional) == (True, Source.LIBRARY, False)


def test_spring_festival_2026_rests_from_15_to_23_february():
    rest = [on for on in days_of(2026) if on.month == 2 and 15 <= on.day <= 23]
    assert len(rest) == 9
    assert not any(map(CALENDAR.is_workday, rest))
    assert CALENDAR.is_workday(date(2026, 2, 24))


def test_2026_has_248_working_days():
    assert workday_count(CALENDAR, 2026) == 248


@pytest.mark.parametrize("year", range(2004, 2027))
def test_published_years_agree_with_the_library_day_by_day(year):
    assert all(CALENDAR.is_workday(on) is chinese_calendar.is_workday(on) for on in days_of(year))


def test_an_unpublished_year_is_guessed_and_says_so():
    day = CALENDAR.day(date(2027, 3, 1))
    assert (day.is_working, day.source, day.is_provisional) == (True, Source.FALLBACK, True)


def test_the_guess_leaves_out_statutory_days_the_observed_ones_included():
    assert not CALENDAR.is_workday(date(2027, 1, 1))
    assert "补假" in guessed_rest_days(2027)[date(2027, 5, 4)]
    assert not CALENDAR.is_workday(date(2027, 5, 4))
    assert workday_count(CALENDAR, 2027) == 248


def test_statutory_days_leave_out_days_in_lieu_and_swapped_ones():
    days = statutory_days(2026)
    assert days[date(2026, 2, 17)] == "春节"
    assert date(2026, 1, 2) not in days  # a swap
    assert date(2026, 4, 6) not in days  # in lieu of a Sunday
    assert len(days) == 13


def test_the_operators_table_goes_before_the_library():
    calendar = Calendar((table(2026, off="2026-03-02", work="2026-03-07"),))
    assert not calendar.is_workday(date(2026, 3, 2))
    assert calendar.is_workday(date(2026, 3, 7))
    assert calendar.source(2026) is Source.OPERATOR
    assert calendar.source(2025) is Source.LIBRARY


def test_a_loaded_year_is_no_longer_provisional():
    calendar = Calendar((table(2027, off="2027-01-01", work="2027-01-03"),))
    assert not calendar.day(date(2027, 1, 3)).is_provisional
    assert calendar.is_workday(date(2027, 1, 3))
    assert calendar.table(2027) is calendar.tables[0]
    assert calendar.table(2026) is None


def test_a_notice_may_settle_the_last_days_of_the_december_before():
    calendar = Calendar((table(2027, off="2026-12-31 2027-01-01", work="2026-12-26"),))
    assert not calendar.is_workday(date(2026, 12, 31))
    assert calendar.is_workday(date(2026, 12, 26))
    assert calendar.day(date(2026, 12, 26)).source is Source.OPERATOR
    assert calendar.day(date(2026, 12, 25)).source is Source.LIBRARY


def test_the_later_years_notice_decides_a_december_day_that_both_know():
    this, following = table(2026), table(2027, off="2026-12-31")
    assert not Calendar((this, following)).is_workday(date(2026, 12, 31))
    assert not Calendar((following, this)).is_workday(date(2026, 12, 31))


def test_two_tables_of_one_year_are_refused():
    with pytest.raises(ValueError, match="one year"):
        Calendar((table(2027), table(2027, off="2027-01-01")))


def test_next_workdays_run_over_rest_days_and_makeup_days():
    found = CALENDAR.next_workdays(date(2026, 2, 11), 4)
    assert [on.isoformat() for on in found] == [
        "2026-02-12",
        "2026-02-13",
        "2026-02-14",
        "2026-02-24",
    ]


def test_workdays_are_added_in_both_directions():
    assert CALENDAR.add_workdays(date(2026, 2, 13), 2) == date(2026, 2, 24)
    assert CALENDAR.add_workdays(date(2026, 2, 24), -2) == date(2026, 2, 13)
    assert CALENDAR.add_workdays(date(2026, 2, 18), 0) == date(2026, 2, 18)


def test_the_earliest_days_take_undecided_weekends_beside_a_holiday_as_working():
    found = CALENDAR.earliest_workdays(date(2026, 12, 30), 3)
    assert [on.isoformat() for on in found] == ["2026-12-31", "2027-01-02", "2027-01-03"]


def test_a_statutory_day_cannot_become_a_working_day_nor_a_weekend_far_from_one():
    assert not CALENDAR.may_be_workday(date(2027, 1, 1))
    assert not CALENDAR.may_be_workday(date(2027, 2, 6))
    assert CALENDAR.may_be_workday(date(2027, 2, 20))
    assert not CALENDAR.may_be_workday(date(2027, 7, 17))


def test_a_published_weekend_cannot_become_a_working_day():
    assert not CALENDAR.may_be_workday(date(2026, 1, 3))


def test_every_makeup_day_so_far_would_have_been_foreseen_as_possible():
    known = [on for on in chinese_calendar.workdays if on.year >= 2008]
    assert len(known) > 100
    for on in known:
        around = statutory_days(on.year) | statutory_days(on.year + 1)
        near = (abs((on - rest).days) for rest in around)
        assert min(near) <= 14


def test_provisional_years_are_named_when_a_span_touches_them():
    assert CALENDAR.provisional_years(date(2026, 12, 30), date(2027, 1, 5)) == (2027,)
    assert CALENDAR.provisional_years(date(2026, 12, 28), date(2026, 12, 31)) == ()
    assert CALENDAR.provisional_years(date(2027, 12, 30), date(2028, 1, 5)) == (2027, 2028)


@pytest.mark.parametrize(
    ("today", "missing"),
    [
        (date(2026, 10, 31), ()),
        (date(2026, 11, 1), (2027,)),
        (date(2026, 12, 31), (2027,)),
        (date(2027, 1, 1), (2027,)),
        (date(2027, 11, 1), (2027, 2028)),
    ],
)
def test_missing_years_are_told_from_the_first_of_november(today, missing):
    assert CALENDAR.years_missing(today) == missing


def test_a_loaded_next_year_is_not_missing():
    assert Calendar((table(2027),)).years_missing(date(2026, 12, 1)) == ()


def test_the_year_is_shown_as_breaks_with_names_and_makeup_days():
    shown = breaks(CALENDAR, 2026)
    assert len(shown) == 7
    assert (shown[1].first_on, shown[1].last_on) == (date(2026, 2, 15), date(2026, 2, 23))
    assert shown[1].names == ("农历除夕", "春节")
    assert len(makeup_days(CALENDAR, 2026)) == 6


@given(DAYS, st.integers(1, 30))
def test_adding_workdays_is_the_same_as_counting_them(on, count):
    days = CALENDAR.next_workdays(on, count)
    assert CALENDAR.add_workdays(on, count) == days[-1]
    assert all(map(CALENDAR.is_workday, days))
    between = [on + timedelta(days=n) for n in range(1, (days[-1] - on).days + 1)]
    assert sum(map(CALENDAR.is_workday, between)) == count
    if CALENDAR.is_workday(on):
        assert CALENDAR.add_workdays(days[-1], -count) == on


@given(DAYS, st.integers(1, 10))
def test_the_earliest_days_are_never_later(on, count):
    earliest, expected = CALENDAR.earliest_workdays(on, count), CALENDAR.next_workdays(on, count)
    assert all(early <= late for early, late in zip(earliest, expected, strict=True))
    if not CALENDAR.provisional_years(on, expected[-1]):
        assert earliest == expected

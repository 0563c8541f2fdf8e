from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare import deadlines
from mailcare.clock import BEIJING
from mailcare.contracts.promises import promises
from mailcare.deadlines import (
    Level,
    Promise,
    Unit,
    day_end,
    legal_latest_on,
    midnight_from,
    next_visit_start,
    read_moment,
    visit_days,
)
from mailcare.errors import InputError
from mailcare.workdays import Calendar, YearTable

CALENDAR = Calendar()
STANDARD = promises(1)
BERLIN = ZoneInfo("Europe/Berlin")
FIRST = datetime(2005, 1, 1, tzinfo=UTC)
MOMENTS = st.timedeltas(timedelta(), timedelta(days=9400)).map(lambda since: FIRST + since)


def report_deadline(handled_at, calendar, *, terms=STANDARD):
    return deadlines.report_deadline(handled_at, calendar, terms=terms)


def resolution_deadline(level, declared_at, *, terms=STANDARD):
    return deadlines.resolution_deadline(level, declared_at, terms=terms)


def beijing(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BEIJING)


REPORTS = {
    "D1 plain": ("2026-01-30 10:00", "2026-02-04"),
    "D2 make-up Saturday counts": ("2026-02-11 16:00", "2026-02-14"),
    "D3 over Spring Festival": ("2026-02-12 09:00", "2026-02-24"),
    "D4": ("2026-02-13 17:30", "2026-02-25"),
    "D5 handled on a make-up Saturday": ("2026-02-14 11:00", "2026-02-26"),
    "D6 handled on a holiday": ("2026-02-18 03:00", "2026-02-26"),
    "D7 last holiday minute": ("2026-02-23 23:59", "2026-02-26"),
    "D8 eleven minutes later, one day later": ("2026-02-24 00:10", "2026-02-27"),
    "D9": ("2026-02-26 15:00", "2026-03-02"),
    "D10": ("2026-04-30 20:00", "2026-05-08"),
    "D11": ("2026-05-07 10:00", "2026-05-11"),
    "D12 make-up Sunday counts": ("2026-09-18 17:00", "2026-09-22"),
    "D13 Mid-Autumn": ("2026-09-23 10:00", "2026-09-29"),
    "D14 National Day": ("2026-09-29 10:00", "2026-10-09"),
    "D15 before the holiday": ("2026-09-30 23:50", "2026-10-10"),
    "D15 in the holiday": ("2026-10-01 00:30", "2026-10-10"),
    "D16": ("2026-10-08 09:00", "2026-10-12"),
}


@pytest.mark.parametrize(("handled", "last_on"), REPORTS.values(), ids=REPORTS)
def test_the_report_is_due_at_the_end_of_the_third_working_day(handled, last_on):
    deadline = report_deadline(beijing(handled), CALENDAR)
    assert deadline.due_at == beijing(last_on) + timedelta(days=1)
    assert deadline.internal_due_at == beijing(f"{last_on} 17:00")
    assert deadline.days[-1] == date.fromisoformat(last_on)
    assert len(deadline.days) == 3
    assert not deadline.is_provisional
    assert deadline.earliest_due_at == deadline.due_at
    assert deadline.note == ""
    assert deadline.rule == "自处理完毕次日起算，第3个工作日24:00前送达"


def test_d15_given_in_utc_is_the_same():
    at = datetime(2026, 9, 30, 16, 30, tzinfo=UTC)
    assert report_deadline(at, CALENDAR).due_at == beijing("2026-10-11")


def test_d17_over_an_unpublished_new_year_is_provisional():
    deadline = report_deadline(beijing("2026-12-30 15:00"), CALENDAR)
    assert deadline.due_at == beijing("2027-01-06")
    assert deadline.is_provisional
    assert deadline.earliest_due_at <= beijing("2027-01-05")
    assert "尚未公布的2027年度" in deadline.note


def test_three_days_that_end_before_new_year_are_not_provisional():
    assert not report_deadline(beijing("2026-12-28 09:00"), CALENDAR).is_provisional


def test_d29_a_loaded_table_moves_the_deadline_and_settles_it():
    table = YearTable(2027, "虚构", frozenset({date(2027, 1, 1)}), frozenset({date(2027, 1, 3)}))
    deadline = report_deadline(beijing("2026-12-30 15:00"), Calendar((table,)))
    assert deadline.due_at == beijing("2027-01-05")
    assert not deadline.is_provisional


RESOLUTIONS = {
    "D18 hours run through the holiday": ("P1", "2026-09-30 18:20", "2026-10-01 18:20"),
    "D20 New Year's Eve counts": ("P2", "2026-02-14 09:00", "2026-02-16 09:00"),
    "D21 needs no calendar": ("P1", "2026-12-31 23:30", "2027-01-01 23:30"),
    "D22": ("P3", "2026-09-28 11:00", "2026-10-04"),
    "D23 no roll": ("P3", "2026-10-05 22:00", "2026-10-11"),
    "D24": ("P4", "2026-09-30 08:00", "2026-10-08"),
    "D25": ("P4", "2026-02-09 09:00", "2026-02-17"),
    "midnight belongs to the day that begins": ("P3", "2026-03-02 00:00", "2026-03-08"),
    "the last second of a day": ("P3", "2026-03-01 23:59:59", "2026-03-07"),
}


@pytest.mark.parametrize(("level", "declared", "due"), RESOLUTIONS.values(), ids=RESOLUTIONS)
def test_the_resolution_is_due(level, declared, due):
    deadline = resolution_deadline(Level(level), beijing(declared))
    assert deadline.due_at == beijing(due)
    assert not deadline.is_provisional
    assert deadline.internal_due_at is None


def test_soft_targets_list_their_days_and_hour_promises_none():
    soft = resolution_deadline(Level.P3, beijing("2026-09-28 11:00"))
    assert [on.day for on in soft.days] == [29, 30, 1, 2, 3]
    assert "超目标" in soft.rule
    hard = resolution_deadline(Level.P1, beijing("2026-09-28 11:00"))
    assert hard.days == ()
    assert "24小时" in hard.rule


@pytest.mark.parametrize(
    ("last_on", "latest"),
    [
        ("2026-10-03", "2026-10-08"),
        ("2026-10-07", "2026-10-08"),
        ("2026-02-16", "2026-02-24"),
        ("2026-10-10", "2026-10-10"),
    ],
)
def test_d22_to_d25_the_legal_latest_day_rolls_over_rest_days(last_on, latest):
    assert legal_latest_on(date.fromisoformat(last_on), CALENDAR) == date.fromisoformat(latest)


def test_an_hour_promise_is_met_at_its_due_moment_and_a_day_promise_is_not():
    hours = resolution_deadline(Level.P1, beijing("2026-03-02 09:00"))
    days = report_deadline(beijing("2026-03-02 09:00"), CALENDAR)
    assert not hours.is_missed(hours.due_at)
    assert hours.is_missed(hours.due_at + timedelta(microseconds=1))
    assert days.is_missed(days.due_at)
    assert not days.is_missed(days.due_at - timedelta(microseconds=1))


@pytest.mark.parametrize("start", ["2026-09-28", "2026-10-08", "2026-02-12", "2026-02-26"])
def test_d28_starts_that_run_through_are_accepted(start):
    visit = visit_days(date.fromisoformat(start), CALENDAR)
    assert visit.objection == ""
    assert visit.rest_days == ()
    assert len(visit.days) == 3


@pytest.mark.parametrize("start", ["2026-09-29", "2026-10-09", "2026-09-18"])
def test_d28_starts_split_by_rest_days_are_objected_to(start):
    visit = visit_days(date.fromisoformat(start), CALENDAR)
    assert "被休息日隔开" in visit.objection
    assert visit.rest_days


@pytest.mark.parametrize("start", ["2026-10-01", "2026-03-07", "2026-02-23"])
def test_a_visit_cannot_start_on_a_rest_day(start):
    assert "不是工作日" in visit_days(date.fromisoformat(start), CALENDAR).objection


def test_a_visit_in_an_unpublished_year_is_provisional():
    assert visit_days(date(2027, 3, 1), CALENDAR).deadline.is_provisional
    assert not visit_days(date(2026, 3, 2), CALENDAR).deadline.is_provisional


def test_the_next_start_of_a_visit_runs_through():
    assert next_visit_start(date(2026, 9, 29), CALENDAR) == date(2026, 10, 8)


def test_d30_in_a_zone_with_summer_time_days_end_at_local_midnight_and_hours_are_elapsed():
    terms = replace(STANDARD, zone=BERLIN)
    before_change = datetime(2026, 3, 28, 12, tzinfo=BERLIN)
    day = resolution_deadline(Level.P3, before_change, terms=terms).due_at
    assert day.astimezone(BERLIN) == datetime(2026, 4, 3, tzinfo=BERLIN)
    hour = resolution_deadline(Level.P1, before_change, terms=terms).due_at
    assert hour - before_change.astimezone(UTC) == timedelta(hours=24)
    assert hour.astimezone(BERLIN).hour == 13


def test_a_contract_may_promise_otherwise():
    terms = replace(
        STANDARD,
        resolution=(Promise(4, Unit.HOURS), *STANDARD.resolution[1:]),
        report_workdays=1,
    )
    at = beijing("2026-03-02 09:00")
    assert resolution_deadline(Level.P1, at, terms=terms).due_at == beijing("2026-03-02 13:00")
    assert report_deadline(at, CALENDAR, terms=terms).due_at == beijing("2026-03-04")
    assert "第1个工作日" in report_deadline(at, CALENDAR, terms=terms).rule


def test_a_midnight_stays_and_anything_later_is_rounded_up():
    midnight = beijing("2026-03-02")
    assert midnight_from(midnight, BEIJING) == midnight
    assert midnight_from(midnight + timedelta(microseconds=1), BEIJING) == beijing("2026-03-03")


@pytest.mark.parametrize(
    "text", ["2026-02-11T16:00:00+08:00", "2026-02-11T08:00Z", "20260211T080000Z"]
)
def test_a_moment_is_read_in_any_zone(text):
    at = read_moment(text)
    assert at == beijing("2026-02-11 16:00")
    assert at.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-02-11T16:00:00", "时区"),
        ("2026-02-11", "时区"),
        ("2026-02-30T16:00:00+08:00", "ISO 8601"),
        ("2026-02-11T24:01:00+08:00", "ISO 8601"),
        ("yesterday", "ISO 8601"),
        ("", "ISO 8601"),
        (None, "ISO 8601"),
        (1770796800, "ISO 8601"),
        ("0001-01-01T00:00:00+08:00", "2000"),
        ("9999-12-31T23:59:59-08:00", "2000"),
    ],
)
def test_what_is_no_moment_with_a_zone_is_refused(text, said):
    with pytest.raises(InputError, match=said):
        read_moment(text)


@given(MOMENTS, st.sampled_from(["Asia/Tokyo", "America/New_York", "Europe/Berlin", "UTC"]))
def test_the_zone_in_which_a_moment_is_given_changes_nothing(at, zone):
    other = at.astimezone(ZoneInfo(zone))
    assert report_deadline(other, CALENDAR) == report_deadline(at, CALENDAR)
    for level in Level:
        assert resolution_deadline(level, other) == resolution_deadline(level, at)


@given(MOMENTS, st.timedeltas(timedelta(), timedelta(days=20)))
def test_a_later_handling_is_never_due_earlier(at, later):
    first, second = report_deadline(at, CALENDAR), report_deadline(at + later, CALENDAR)
    assert first.due_at <= second.due_at
    assert first.earliest_due_at <= first.due_at
    assert first.due_at - at >= timedelta(days=3)
    assert first.due_at == day_end(first.days[-1], BEIJING)

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.contracts.planning import Promise, plan_services, reminders
from mailcare.contracts.terms import Contract, Terms, anniversary
from mailcare.workdays import Calendar, YearTable

DAYS = st.dates(date(2020, 1, 1), date(2035, 12, 31))
LENGTHS = st.integers(0, 1500)
EVER = date(2000, 1, 1)  # recorded before any year was over


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    starts_on = draw(DAYS)
    terms = Terms(1, visits_per_year=draw(st.integers(0, 2)))
    ends_on = starts_on + timedelta(days=draw(LENGTHS))
    return Contract("HT-1", starts_on, ends_on, terms, (1,))


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    """A calendar with a made-up notice for one year: any days off, any weekend worked."""
    year = draw(st.integers(2020, 2036))
    days = st.dates(date(year, 1, 1), date(year, 12, 31))
    off = draw(st.frozensets(days, max_size=60))
    work = frozenset(one for one in draw(st.frozensets(days, max_size=20)) if one.weekday() >= 5)
    return Calendar((YearTable(year, "示例", off - work, work),))


def contract(starts_on: date, ends_on: date, *, visits: int = 0) -> Contract:
    return Contract("HT-1", starts_on, ends_on, Terms(1, visits_per_year=visits), (1,))


@given(contracts())
def test_the_years_are_the_contract_without_gaps(one):
    years = one.years()
    assert (years[0].first_on, years[-1].last_on) == (one.starts_on, one.ends_on)
    for before, after in pairwise(years):
        assert after.first_on == before.last_on + timedelta(days=1)
        assert 365 <= (after.first_on - before.first_on).days <= 366


@given(contracts(), calendars(), DAYS)
def test_every_year_that_has_begun_has_its_one_inspection_on_a_working_day(one, calendar, today):
    services = plan_services(one, calendar, today=today, since=EVER)
    begun = [year for year in one.years() if year.first_on <= today]
    inspections = [each for each in services if each.promise is Promise.REMOTE_INSPECTION]
    assert [each.year for each in inspections] == begun
    for each in inspections:
        assert calendar.is_workday(each.due_on)
        assert each.due_on >= each.year.first_on


@given(contracts(), calendars(), DAYS, st.integers(0, 800))
def test_a_later_day_drops_no_service(one, calendar, today, later):
    keys = {each.key for each in plan_services(one, calendar, today=today, since=EVER)}
    after = plan_services(one, calendar, today=today + timedelta(days=later), since=EVER)
    assert keys <= {each.key for each in after}
    assert len({each.key for each in after}) == len(after)


@given(contracts(), DAYS)
def test_years_over_when_the_contract_was_recorded_owe_nothing(one, since):
    services = plan_services(one, Calendar(), today=one.ends_on, since=since)
    planned = {each.year for each in services}
    assert planned == {year for year in one.years() if year.last_on >= since}


def test_each_year_begins_with_all_that_the_plan_promises():
    one = contract(date(2026, 1, 1), date(2026, 12, 31), visits=1)
    services = plan_services(one, Calendar(), today=date(2026, 1, 1), since=EVER)
    assert [(each.promise, each.due_on) for each in services] == [
        (Promise.REMOTE_INSPECTION, date(2026, 7, 2)),
        (Promise.BACKUP_VERIFICATION, date(2026, 4, 2)),
        (Promise.VISIT, date(2026, 7, 2)),
        (Promise.REVIEW, date(2026, 12, 1)),
    ]


def test_a_year_from_29_february_ends_on_the_last_of_february():
    assert anniversary(date(2024, 2, 29), 1) == date(2025, 3, 1)
    assert anniversary(date(2024, 2, 29), 4) == date(2028, 2, 29)
    first, second = contract(date(2024, 2, 29), date(2026, 2, 28)).years()
    assert (first.last_on, second.last_on) == (date(2025, 2, 28), date(2026, 2, 28))


def test_a_contract_begun_on_a_leap_day_owes_four_whole_years_and_each_in_its_time():
    one = contract(date(2028, 2, 29), date(2032, 2, 28), visits=1)
    counts = []
    for today in (date(2028, 2, 29), date(2029, 2, 28), date(2029, 3, 1), date(2032, 2, 28)):
        services = plan_services(one, Calendar(), today=today, since=one.starts_on)
        counts.append(len(services))
    reviews = [each.due_on for each in services if each.promise is Promise.REVIEW]
    assert counts == [4, 4, 8, 16]
    assert all(each.year.holds(each.due_on) for each in services)
    late = date(2032, 2, 27)  # planned on the last day, a Saturday: the last working day before it
    assert reviews == [date(2029, 2, 28), date(2030, 2, 28), date(2031, 2, 28), late]
    first = plan_services(one, Calendar(), today=one.starts_on, since=one.starts_on)
    assert [(each.promise, each.due_on) for each in first] == [
        (Promise.REMOTE_INSPECTION, date(2028, 8, 29)),
        (Promise.BACKUP_VERIFICATION, date(2028, 5, 30)),
        (Promise.VISIT, date(2028, 8, 29)),
        (Promise.REVIEW, date(2029, 1, 29)),
    ]


def test_visits_are_spread_over_the_year():
    one = contract(date(2026, 1, 1), date(2026, 12, 31), visits=2)
    services = plan_services(one, Calendar(), today=date(2026, 1, 1), since=EVER)
    visits = [each.due_on for each in services if each.promise is Promise.VISIT]
    assert visits == [date(2026, 5, 6), date(2026, 8, 31)]  # 2 May is a holiday


def test_no_visit_bought_is_no_visit_planned():
    one = contract(date(2026, 1, 1), date(2026, 12, 31))
    services = plan_services(one, Calendar(), today=date(2026, 6, 1), since=EVER)
    assert services
    assert not [each for each in services if each.promise is Promise.VISIT]


def test_a_contract_entered_late_is_due_from_today_on():
    one = contract(date(2026, 1, 1), date(2026, 12, 31))
    inspection, *_ = plan_services(one, Calendar(), today=date(2026, 9, 19), since=EVER)
    assert inspection.due_on == date(2026, 9, 20)  # a Sunday on which people work


def test_a_day_in_an_unpublished_year_is_provisional():
    one = contract(date(2027, 1, 1), date(2027, 12, 31))
    services = plan_services(one, Calendar(), today=date(2027, 1, 1), since=EVER)
    assert services
    assert all(each.is_provisional for each in services)


@pytest.mark.parametrize(
    ("today", "key"),
    [
        (date(2026, 11, 1), "HT-1/v1/ends/60"),
        (date(2026, 12, 1), "HT-1/v1/ends/30"),
        (date(2026, 12, 31), "HT-1/v1/ends/7"),
    ],
)
def test_only_the_latest_reminder_before_the_end_is_due(today, key):
    [reminder] = reminders(contract(date(2026, 1, 1), date(2026, 12, 31)), today=today)
    assert reminder.key == key


@pytest.mark.parametrize("today", [date(2026, 10, 31), date(2027, 1, 1)])
def test_long_before_and_after_the_end_nobody_is_reminded(today):
    assert reminders(contract(date(2026, 1, 1), date(2026, 12, 31)), today=today) == ()


def test_the_price_list_is_the_seeds():
    assert Terms(1, visits_per_year=2).yearly_cny == Decimal(30000)


def test_what_is_not_sold_is_refused():
    with pytest.raises(ValueError, match="visits"):
        Terms(1, visits_per_year=3)
    with pytest.raises(ValueError, match="end"):
        contract(date(2026, 1, 2), date(2026, 1, 1))

from datetime import date

import pytest

from mailcare.errors import InputError
from mailcare.visits.appointment import (
    NEXT,
    Act,
    Party,
    State,
    Window,
    acts_of,
    checked_days,
    next_state,
    refuse_early_start,
    suggested_starts,
)
from mailcare.workdays import Calendar

CALENDAR = Calendar()
YEAR = Window(date(2026, 1, 1), date(2026, 12, 31))


def test_days_are_agreed_by_the_one_who_did_not_propose_them():
    assert next_state(State.OPEN, Act.PROPOSE, Party.VENDOR) is State.PROPOSED
    assert next_state(State.PROPOSED, Act.CONFIRM, Party.CUSTOMER) is State.CONFIRMED
    assert next_state(State.PROPOSED, Act.COUNTER, Party.CUSTOMER) is State.COUNTERED
    assert next_state(State.COUNTERED, Act.CONFIRM, Party.VENDOR) is State.CONFIRMED


@pytest.mark.parametrize(
    ("state", "act", "party", "said"),
    [
        (State.PROPOSED, Act.CONFIRM, Party.VENDOR, "须由客户约定日期"),
        (State.COUNTERED, Act.CONFIRM, Party.CUSTOMER, "须由我方约定日期"),
        (State.PROPOSED, Act.START, Party.VENDOR, "待客户答复的现场巡检不能开始"),
        (State.COMPLETED, Act.CANCEL, Party.VENDOR, "已完成的现场巡检不能取消"),
        (State.STARTED, Act.MOVE, Party.VENDOR, "现场进行中的现场巡检不能改期"),
        (State.CONFIRMED, Act.COMPLETE, Party.VENDOR, "已约定的现场巡检不能完成"),
        (State.OPEN, Act.PROPOSE, Party.CUSTOMER, "须由我方提出日期"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(state, act, party, said):
    with pytest.raises(InputError, match=said):
        next_state(state, act, party)


def test_nothing_can_happen_to_a_completed_visit():
    assert {state for state, _ in NEXT} == set(State) - {State.COMPLETED}
    assert acts_of(State.COMPLETED) == set()
    assert acts_of(State.CANCELLED) == {Act.PROPOSE}


@pytest.mark.parametrize(
    ("start", "last"),
    [("2026-09-28", "2026-09-30"), ("2026-10-08", "2026-10-10"), ("2026-02-12", "2026-02-14")],
)
def test_three_consecutive_working_days_are_taken_make_up_days_included(start, last):
    days = checked_days(date.fromisoformat(start), CALENDAR, YEAR).days
    assert (len(days), days[-1].isoformat()) == (3, last)


def test_days_that_rest_days_split_need_the_customers_agreement_in_the_record():
    with pytest.raises(InputError, match="须客户同意并记录在案"):
        checked_days(date(2026, 9, 29), CALENDAR, YEAR)
    agreed = checked_days(date(2026, 9, 29), CALENDAR, YEAR, split_agreed_by="王示例 电话")
    assert agreed.days == (date(2026, 9, 29), date(2026, 9, 30), date(2026, 10, 8))


def test_nobody_can_agree_to_start_on_a_rest_day():
    with pytest.raises(InputError, match="不是工作日"):
        checked_days(date(2026, 10, 1), CALENDAR, YEAR, split_agreed_by="王示例 电话")


def test_a_visit_lies_wholly_in_its_window():
    short = Window(date(2026, 3, 2), date(2026, 3, 4))
    assert checked_days(date(2026, 3, 2), CALENDAR, short).days[-1] == date(2026, 3, 4)
    for start in (date(2026, 2, 27), date(2026, 3, 3)):
        with pytest.raises(InputError, match="不在可安排的日期内"):
            checked_days(start, CALENDAR, short, split_agreed_by="王示例")


@pytest.mark.parametrize("start", [date.min, date(9999, 12, 29), date.max])
def test_days_at_the_ends_of_time_are_outside_of_every_window(start):
    with pytest.raises(InputError, match="不在可安排的日期内"):
        checked_days(start, CALENDAR, YEAR, split_agreed_by="王示例")


def test_days_of_an_unpublished_year_are_provisional():
    found = checked_days(date(2027, 3, 1), CALENDAR, Window(date(2027, 1, 1), date(2027, 12, 31)))
    assert found.deadline.is_provisional
    assert "2027" in found.deadline.note


def test_suggested_days_need_nobodys_agreement_and_stay_within_the_window():
    found = suggested_starts(date(2026, 9, 25), CALENDAR, YEAR)
    assert found == (date(2026, 9, 28), date(2026, 10, 8), date(2026, 10, 12))
    assert suggested_starts(date(2026, 12, 30), CALENDAR, YEAR) == ()


def test_a_visit_does_not_start_before_its_first_day():
    refuse_early_start(date(2026, 3, 2), today=date(2026, 3, 2))
    with pytest.raises(InputError, match="不能提前"):
        refuse_early_start(date(2026, 3, 2), today=date(2026, 3, 1))

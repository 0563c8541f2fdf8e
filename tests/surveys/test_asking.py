from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailcare.surveys.asking import OWN_MARKS, UNKNOWN_ENGINEER, Step, step_due, why_not
from mailcare.workdays import Calendar

CALENDAR = Calendar()
MONDAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("today", "reminders", "step"),
    [
        (date(2026, 3, 4), 0, None),
        (date(2026, 3, 5), 0, Step.REMIND),
        (date(2026, 3, 5), 1, None),
        (date(2026, 3, 10), 1, Step.REMIND),
        (date(2026, 3, 10), 2, None),
        (date(2026, 3, 13), 2, None),
        (date(2026, 3, 16), 2, Step.EXPIRE),
        (date(2026, 3, 16), 0, Step.EXPIRE),
    ],
)
def test_two_reminders_and_an_end_counted_in_working_days(today, reminders, step):
    assert step_due(MONDAY, reminders, CALENDAR, today=today) is step


def test_nobody_is_called_on_a_rest_day_and_make_up_days_count():
    asked_on = date(2026, 9, 16)  # Wednesday; Sunday 09-20 is a make-up working day
    assert step_due(asked_on, 0, CALENDAR, today=date(2026, 9, 19)) is None
    assert step_due(asked_on, 0, CALENDAR, today=date(2026, 9, 20)) is Step.REMIND


@settings(max_examples=50)
@given(st.dates(date(2026, 1, 1), date(2026, 11, 30)), st.lists(st.booleans(), max_size=40))
def test_whatever_days_are_missed_there_are_two_reminders_at_most_and_one_end(asked_on, is_run):
    reminders, steps = 0, []
    for number, runs in enumerate([*is_run, *[True] * 30]):
        today = asked_on + timedelta(days=number)
        step = step_due(asked_on, reminders, CALENDAR, today=today) if runs else None
        steps.append(step)
        reminders += step is Step.REMIND
        if step is Step.EXPIRE:
            break
    assert reminders <= 2
    assert steps[-1] is Step.EXPIRE


@pytest.mark.parametrize("spelled", ["lin", "LIN", " lin ", "l in", "ｌｉｎ"])
def test_the_engineer_of_the_case_is_refused_however_the_login_is_spelled(spelled):
    assert why_not("Lin", (spelled, "zhao"), {"lin", "zhao"}) == OWN_MARKS
    assert why_not("service", (spelled,), {"lin"}) == ""
    assert why_not("zhao", (spelled,), {"lin", "zhao"}) == ""


@pytest.mark.parametrize("handled_by", [(), ("lni",), ("cli:root", "service")])
def test_no_engineer_may_record_where_nobody_can_tell_whose_case_it_was(handled_by):
    assert why_not("Lin", handled_by, {"lin", "zhao"}) == UNKNOWN_ENGINEER
    assert why_not("boss", handled_by, {"lin", "zhao"}) == ""


def test_who_worked_on_a_case_is_refused_engineer_or_not():
    assert why_not("service", ("service", "lin"), {"lin"}) == OWN_MARKS

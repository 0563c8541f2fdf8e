from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailcare.surveys.asking import Step, is_partial, step_due
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


def test_the_engineer_of_the_case_is_partial():
    assert is_partial("engineer", ("colleague", "engineer"))
    assert not is_partial("service", ("colleague", "engineer"))
    assert not is_partial("service", ())

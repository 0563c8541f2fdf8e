from datetime import date, timedelta

from mailcare.visits.reminders import due_reminder, reminder_key
from mailcare.workdays import Calendar

CALENDAR = Calendar()
START = date(2026, 10, 12)  # the Monday after the National Day and the make-up Saturday


def test_people_are_reminded_ten_three_and_one_working_days_before():
    told = {
        on: due_reminder(START, CALENDAR, today=on)
        for on in (date(2026, 9, 10) + timedelta(days=number) for number in range(40))
    }
    first = {ahead: min(on for on, one in told.items() if one == ahead) for ahead in (10, 3, 1)}
    assert first == {10: date(2026, 9, 21), 3: date(2026, 10, 8), 1: date(2026, 10, 10)}


def test_nobody_is_reminded_on_a_rest_day_nor_from_the_first_day_on():
    assert due_reminder(START, CALENDAR, today=date(2026, 10, 3)) is None
    assert due_reminder(START, CALENDAR, today=date(2026, 10, 11)) is None
    assert due_reminder(START, CALENDAR, today=START) is None


def test_of_missed_reminders_only_the_latest_comes():
    assert due_reminder(START, CALENDAR, today=date(2026, 10, 9)) == 3


def test_a_moved_visit_is_reminded_anew():
    assert reminder_key("XC-2026-00001", 0, 3) != reminder_key("XC-2026-00001", 1, 3)

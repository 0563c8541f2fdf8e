"""When people are reminded of a visit that is agreed. Pure."""

from datetime import date

from mailcare.workdays import Calendar

REMINDERS_WORKDAYS = (10, 3, 1)  # before the first day


def due_reminder(start: date, calendar: Calendar, *, today: date) -> int | None:
    """Return which reminder is due, by its working days before the first day; None for none.

    Of several that were missed only the latest is due; nobody is reminded on a rest day, nor from
    the first day on.
    """
    if today >= start or not calendar.is_workday(today):
        return None
    due = [ahead for ahead in REMINDERS_WORKDAYS if today >= calendar.add_workdays(start, -ahead)]
    return min(due, default=None)


def reminder_key(number: str, start: date, ahead: int) -> str:
    """Return the key of a reminder: one for each day that was agreed, so a moved visit has new."""
    return f"{number}/{start}/T-{ahead}"

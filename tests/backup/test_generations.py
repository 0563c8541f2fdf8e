"""Which promised generations are missing, whatever the hour at which they are made."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.backup.generations import missing, slots, started_at
from mailcare.backup.source import Generation
from mailcare.clock import BEIJING
from mailcare.systems.backups import Schedule

DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 11, 28, tzinfo=BEIJING)  # a Saturday
HOURS = st.timedeltas(timedelta(), DAY - timedelta(microseconds=1))


def generations(*begun: datetime) -> list[Generation]:
    return [Generation(str(one), one, one) for one in begun]


def gone(schedule: Schedule, now: datetime, *begun: datetime) -> list[str]:
    return [str(one) for one in missing(slots(schedule, now), generations(*begun))]


@given(now=HOURS, made=HOURS, lost=st.integers(1, 5))
def test_of_nightly_runs_the_very_one_that_is_lost_is_named(now, made, lost):
    nights = [MIDNIGHT + made - back * DAY for back in range(7)]
    nights = [one for one in nights if one <= MIDNIGHT + now]
    schedule = Schedule(daily=6)
    assert gone(schedule, MIDNIGHT + now, *nights) == []
    kept = [one for one in nights if one.date() != (MIDNIGHT - lost * DAY).date()]
    assert gone(schedule, MIDNIGHT + now, *kept) == [f"日备 {(MIDNIGHT - lost * DAY).date()}"]


@pytest.mark.parametrize("late", ["00:10", "01:59"])
def test_a_run_that_slips_past_midnight_counts_for_its_evening(late):
    hour, minute = map(int, late.split(":"))
    evenings = [MIDNIGHT - back * DAY - timedelta(minutes=10) for back in range(5)]
    evenings[2] = MIDNIGHT - 2 * DAY + timedelta(hours=hour, minutes=minute)
    assert gone(Schedule(daily=5), MIDNIGHT + DAY / 2, *evenings) == []
    slipped_every_night = [one.replace(hour=0, minute=10) + DAY for one in evenings]
    assert gone(Schedule(daily=4), MIDNIGHT + DAY / 2, *slipped_every_night) == []


def test_a_run_three_hours_after_midnight_is_none_of_the_evening():
    evenings = [MIDNIGHT - back * DAY - timedelta(minutes=10) for back in range(5)]
    evenings[2] = MIDNIGHT - 2 * DAY + timedelta(hours=3)
    assert gone(Schedule(daily=5), MIDNIGHT + DAY / 2, *evenings) == ["日备 2026-11-25"]


def test_weeks_and_months_are_the_calendars_own():
    sundays = [MIDNIGHT + DAY - week * 7 * DAY for week in range(1, 6)]
    schedule = Schedule(weekly=4, monthly=2)
    assert gone(schedule, MIDNIGHT, *sundays) == []
    del sundays[1]  # 15 November
    assert gone(schedule, MIDNIGHT, *sundays) == ["周备 2026-11-09—2026-11-15"]
    assert gone(schedule, MIDNIGHT, *sundays[:2])[-1] == "月备 2026-10-01—2026-10-31"


def test_nothing_is_promised_from_before_the_copy_began():
    schedule = Schedule(daily=10, since=(MIDNIGHT - 2 * DAY).date())
    assert gone(schedule, MIDNIGHT) == ["日备 2026-11-27", "日备 2026-11-26"]


CHANGED = MIDNIGHT + timedelta(hours=2)


@pytest.mark.parametrize(
    ("name", "begun", "is_named"),
    [
        ("mail-20261128-0130.tar.gz", MIDNIGHT + timedelta(hours=1.5), True),
        ("mail-20261128.tar.gz", CHANGED, False),
        ("mail-20261126.tar.gz", MIDNIGHT - DAY, False),
        ("mail-20260230.tar.gz", CHANGED, False),
        ("mail.2", CHANGED, False),
        ("mail-120261128", CHANGED, False),
    ],
)
def test_a_name_tells_when_a_generation_was_begun(name, begun, is_named):
    assert started_at(name, CHANGED) == (begun, is_named)

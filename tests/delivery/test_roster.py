from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from mailcare.clock import BEIJING
from mailcare.delivery.roster import Person, next_open, told_first, told_next
from mailcare.records.alerts import Rung
from mailcare.workdays import Calendar

ENGINEER = Person(1, "甲", Rung.ENGINEER, "a@vendor.example", time(9), time(18))
SECOND = replace(ENGINEER, id=2, name="乙")
MANAGER = replace(ENGINEER, id=3, name="丙", rung=Rung.MANAGER)
DIRECTOR = replace(ENGINEER, id=4, name="丁", rung=Rung.DIRECTOR)
SERVICE = replace(ENGINEER, id=5, name="戊", rung=Rung.CUSTOMER_SERVICE)
DESK = (ENGINEER, SECOND, MANAGER, DIRECTOR, SERVICE)


def test_the_first_on_duty_is_told():
    roster = (replace(ENGINEER, place=2), replace(SECOND, place=1), MANAGER)
    assert [one.id for one in told_first(roster, Rung.ENGINEER)] == [2]


def test_without_a_roster_everybody_of_the_rung_is_told():
    assert told_first(DESK, Rung.ENGINEER) == (ENGINEER, SECOND)
    assert told_first(DESK, Rung.CUSTOMER_SERVICE) == (SERVICE,)


def test_an_empty_rung_asks_the_next_one_up():
    assert told_first((DIRECTOR,), Rung.ENGINEER) == (DIRECTOR,)
    assert told_first((MANAGER, DIRECTOR), Rung.CUSTOMER_SERVICE) == (MANAGER,)
    assert told_first((), Rung.ENGINEER) == ()


def test_the_next_person_is_on_duty_then_of_the_rung_then_above():
    roster = (ENGINEER, replace(SECOND, place=1), MANAGER, DIRECTOR)
    told: set[int] = set()
    order = []
    while person := told_next(roster, Rung.ENGINEER, told=told):
        order.append(person.id)
        told.add(person.id)
    assert order == [2, 1, 3, 4]


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        ("2026-03-06 10:00", "2026-03-06 10:00"),  # a Friday, in hours
        ("2026-03-06 07:00", "2026-03-06 09:00"),
        ("2026-03-06 18:00", "2026-03-09 09:00"),  # the hours are over: Monday
        ("2026-03-07 12:00", "2026-03-09 09:00"),
        ("2026-02-13 20:00", "2026-02-14 09:00"),  # a Saturday on which people work
        ("2026-02-14 20:00", "2026-02-24 09:00"),  # over the Spring Festival
    ],
)
def test_what_may_wait_is_told_in_working_hours(at, opens):
    moment = datetime.fromisoformat(at).replace(tzinfo=BEIJING).astimezone(UTC)
    found = next_open(moment, ENGINEER, Calendar())
    assert f"{found.astimezone(BEIJING):%Y-%m-%d %H:%M}" == opens

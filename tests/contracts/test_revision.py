from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mailcare.contracts.planning import Promise, plan_services
from mailcare.contracts.revision import Known, Revision, revise
from mailcare.contracts.terms import Contract, Terms
from mailcare.workdays import Calendar, YearTable

EVER = date(2000, 1, 1)
DAYS = st.dates(date(2024, 1, 1), date(2028, 12, 31))


def contract(*, starts_on=date(2026, 1, 1), days=364, visits=0, version=1, systems=(1,)):
    terms = Terms(version, visits_per_year=visits)
    return Contract("HT-1", starts_on, starts_on + timedelta(days=days), terms, systems)


@st.composite
def contracts(draw):
    return contract(
        starts_on=draw(DAYS),
        days=draw(st.integers(0, 1200)),
        visits=draw(st.integers(0, 2)),
        systems=(1, 2)[: draw(st.integers(1, 2))],
    )


@st.composite
def calendars(draw):
    year = draw(st.integers(2024, 2030))
    days = st.dates(date(year, 1, 1), date(year, 12, 31))
    off = draw(st.frozensets(days, max_size=40))
    return Calendar((YearTable(year, "示例", off, frozenset()),))


def carried_out(known: tuple[Known, ...], revision: Revision) -> tuple[Known, ...]:
    """What the records hold after a revision was written."""
    rows = {one.key: one for one in known}
    for one in revision.withdrawn:
        rows[one.key] = replace(one, state="withdrawn")
    for one, day in (*revision.again, *revision.moved):
        due = {"due_on": day.due_on, "is_provisional": day.is_provisional}
        rows[one.key] = replace(one, state="planned", **due)
    for one in revision.added:
        place = (one.system, one.year.number, "planned", one.due_on, one.is_provisional)
        rows[one.key] = Known(len(rows) + 1, one.key, str(one.promise), *place)
    return tuple(rows.values())


def revised(one, known, calendar, today):
    return revise(one, known, calendar, today=today, since=EVER)


def planned(one, *, today=date(2026, 1, 1), calendar=None):
    return carried_out((), revised(one, (), calendar or Calendar(), today))


NOTHING = Revision((), (), (), ())


@given(contracts(), calendars(), DAYS)
def test_planned_twice_is_planned_once(one, calendar, today):
    known = carried_out((), revised(one, (), calendar, today))
    assert len(known) == len(plan_services(one, calendar, today=today, since=EVER))
    assert revised(one, known, calendar, today) == NOTHING


@given(contracts(), calendars(), st.lists(DAYS, min_size=1, max_size=5))
def test_no_service_is_dropped_or_moved_as_days_go_by_in_any_order(one, calendar, days):
    known: tuple[Known, ...] = ()
    for today in days:
        revision = revised(one, known, calendar, today)
        assert revision == replace(NOTHING, added=revision.added)
        known = carried_out(known, revision)
    at_once = plan_services(one, calendar, today=max(days), since=EVER)
    assert {row.key for row in known} == {each.key for each in at_once}


@given(contracts(), st.data())
def test_whatever_a_contract_becomes_each_year_keeps_its_one_inspection(one, data):
    today = data.draw(DAYS)
    known = carried_out((), revised(one, (), Calendar(), today))
    for version in range(2, 5):
        one = replace(data.draw(contracts()), terms=Terms(version))
        known = carried_out(known, revised(one, known, Calendar(), today))
        open_ones = [row for row in known if row.state == "planned"]
        inspections = [row for row in open_ones if row.promise == Promise.REMOTE_INSPECTION]
        begun = [year.number for year in one.years() if year.first_on <= today]
        places = [(row.contract_year, row.system) for row in inspections]
        assert len(set(places)) == len(places)
        assert {(year, system) for year in begun for system in one.systems} <= set(places)
        assert revised(one, known, Calendar(), today) == NOTHING


def test_what_a_changed_contract_no_longer_owes_is_withdrawn_and_comes_back():
    known = planned(contract(visits=2))
    fewer = contract(visits=1, version=2)
    revision = revised(fewer, known, Calendar(), date(2026, 2, 2))
    assert [one.key for one in revision.withdrawn] == ["HT-1/1/1/visit/2"]
    known = carried_out(known, revision)
    again = revised(contract(visits=2, version=3), known, Calendar(), date(2026, 10, 12))
    [(_, day)] = again.again
    assert (day.key, day.due_on) == ("HT-1/1/1/visit/2", date(2026, 10, 12))


def test_a_visit_done_under_the_wider_contract_stands_for_the_one_still_owed():
    known = tuple(
        replace(one, state="done") if one.key.endswith("visit/2") else one
        for one in planned(contract(visits=2))
    )
    revision = revised(contract(visits=1, version=2), known, Calendar(), date(2026, 2, 2))
    assert [one.key for one in revision.withdrawn] == ["HT-1/1/1/visit/1"]


def test_what_has_begun_is_never_withdrawn():
    known = tuple(replace(one, state="running") for one in planned(contract(visits=1)))
    shorter = contract(starts_on=date(2027, 1, 1), version=2)
    assert revised(shorter, known, Calendar(), date(2026, 2, 2)).withdrawn == ()


def test_a_day_that_a_notice_makes_a_rest_day_moves_on():
    known = planned(contract())
    off = frozenset({date(2026, 7, 2), date(2026, 7, 3)})
    calendar = Calendar((YearTable(2026, "示例", off, frozenset()),))
    [(before, day)] = revised(contract(), known, calendar, date(2026, 2, 2)).moved
    assert (before.due_on, day.due_on) == (date(2026, 7, 2), date(2026, 7, 6))


def test_a_late_service_keeps_its_day_so_that_it_stays_late():
    known = planned(contract())
    calendar = Calendar((YearTable(2026, "示例", frozenset({date(2026, 7, 2)}), frozenset()),))
    moved = revised(contract(), known, calendar, date(2026, 7, 3)).moved
    assert "HT-1/1/1/remote_inspection/1" not in [one.key for one, _ in moved]


def test_a_published_year_makes_a_provisional_day_certain():
    next_year = contract(starts_on=date(2027, 1, 1))
    known = planned(next_year, today=date(2027, 1, 1))
    assert known
    assert all(one.is_provisional for one in known)
    published = Calendar((YearTable(2027, "示例", frozenset(), frozenset()),))
    moved = revised(next_year, known, published, date(2027, 1, 1)).moved
    assert {day.due_on for _, day in moved} == {one.due_on for one in known}
    assert not any(day.is_provisional for _, day in moved)


def test_a_contract_that_starts_later_moves_its_services_into_its_year():
    known = planned(contract())
    later = contract(starts_on=date(2026, 9, 1), version=2)
    moved = dict(revised(later, known, Calendar(), date(2026, 2, 2)).moved)
    assert moved
    assert all(day.due_on >= date(2026, 9, 1) for day in moved.values())

"""The ledger through a contract's life: conserved and never negative, whatever happens to it."""

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from mailcare.contracts.cases import Case
from mailcare.contracts.daily import plan_case
from mailcare.contracts.ledger import SOLD, Line, balances
from mailcare.contracts.terms import Terms
from mailcare.workdays import Calendar
from tests.contracts.test_revision import EVER, carried_out, contracts

TODAY = date(2026, 6, 1)


def planned(case: Case, today: date) -> Case:
    """The case after a plan for it was written."""
    plan = plan_case(case, Calendar(), today=today)
    keys = [key for key, _ in plan.lines]
    assert len(set(keys)) == len(keys)
    assert case.line_keys.isdisjoint(keys)
    return replace(
        case,
        services=carried_out(case.services, plan.revision),
        lines=(*case.lines, *(line for _, line in plan.lines)),
        line_keys=case.line_keys | set(keys),
        notice_keys=case.notice_keys | {one.key for one in plan.notices},
    )


def used(case: Case, numbers: set[int]) -> Case:
    """The case after some of its planned services were carried out."""
    done = [one for one in case.services if one.state == "planned" and one.id in numbers]
    lines = [Line(one.contract_year, one.promise, "used", 1) for one in done if one.promise in SOLD]
    services = tuple(replace(one, state="done") if one in done else one for one in case.services)
    return replace(case, services=services, lines=(*case.lines, *lines))


@given(contracts(), st.data())
def test_the_ledger_is_conserved_and_agrees_with_the_services(one, data):
    case = Case(1, one, EVER, False, (), (), frozenset(), frozenset())
    for version in range(1, 5):
        terms = Terms(version, data.draw(st.integers(0, 2)), data.draw(st.booleans()))
        case = replace(case, contract=replace(data.draw(contracts()), terms=terms))
        case = planned(case, data.draw(st.dates(date(2024, 1, 1), date(2028, 1, 1))))
        case = used(case, data.draw(st.sets(st.integers(1, 30))))
        for balance in balances(case.lines):
            counts = (balance.bought, balance.planned, balance.used, balance.left, balance.over)
            assert min(counts) >= 0
            assert balance.bought + balance.over == balance.left + balance.planned + balance.used
            assert (balance.planned, balance.used) == (
                counted(case, balance, "planned"),
                counted(case, balance, "done"),
            )


def counted(case: Case, balance, state: str) -> int:
    place = (balance.contract_year, balance.promise, state)
    return sum((one.contract_year, one.promise, one.state) == place for one in case.services)


@given(contracts())
def test_what_is_planned_twice_has_no_line_twice(one):
    case = planned(Case(1, one, EVER, False, (), (), frozenset(), frozenset()), TODAY)
    again = plan_case(case, Calendar(), today=TODAY)
    assert (again.lines, again.notices) == ((), ())

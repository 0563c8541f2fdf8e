"""The inspection names the lab's faults, and nothing else; a healthy lab raises nothing.

Here one fault of each area is tried, and those behind which much else fails. `make lab-matrix`
tries them all and takes half an hour.
"""

from collections.abc import Iterator

import pytest

from lab import faults, matrix
from mailcare.inspection.run import areas

# What these break hides or breaks much else: one cause must lead.
WIDE = (
    *("dns-down", "link-down", "postfix-down", "dovecot-down", "ssh-down", "smtp-421"),
    *("disk-full", "cert-expired", "mx-wrong", "service-flaky", "command-hang"),
)

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]


@pytest.fixture(autouse=True)
def healthy() -> Iterator[None]:
    faults.heal_all()
    yield
    faults.heal_all()


def test_every_fault_has_an_expectation() -> None:
    assert set(matrix.EXPECTED) == {fault.name for fault in faults.ALL}


def test_every_check_has_a_fault_that_trips_it_or_only_states_a_fact() -> None:
    tripped = {check for expected in matrix.EXPECTED.values() for check in expected}
    facts = set(matrix.facts_only())
    assert facts == {"os.release", "app.version"}
    assert tripped | facts == set(areas())
    assert not tripped & facts


def sample() -> list[str]:
    """Choose the first fault of each area, and the wide ones."""
    first = dict[str, str]()
    for fault, expected in matrix.EXPECTED.items():
        for check in expected:
            first.setdefault(areas()[check], fault)
    return list(dict.fromkeys((*first.values(), *WIDE)))


@pytest.mark.parametrize("fault", sample())
def test_what_leads_the_report_is_the_fault(fault: str) -> None:
    faults.inject(fault)
    leading = [one for one in matrix.raised(matrix.inspect()) if one.caused_by is None]
    found = {(one.check, matrix.severity_of(one)) for one in leading}
    assert found == set(matrix.EXPECTED[fault].items())


def test_after_all_that_nothing_is_raised() -> None:
    results = matrix.inspect()
    assert len(results) > 40
    assert matrix.raised(results) == ()

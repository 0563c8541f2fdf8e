"""The inspection names every fault of the lab, and nothing else; a healthy lab raises nothing."""

from collections.abc import Iterator

import pytest

from lab import faults, matrix

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]


@pytest.fixture(autouse=True)
def healthy() -> Iterator[None]:
    faults.heal_all()
    yield
    faults.heal_all()


def test_every_fault_has_an_expectation() -> None:
    assert set(matrix.EXPECTED) == {fault.name for fault in faults.ALL}


@pytest.mark.parametrize("fault", list(matrix.EXPECTED))
def test_what_leads_the_report_is_the_fault(fault: str) -> None:
    faults.inject(fault)
    leading = [one for one in matrix.raised(matrix.inspect()) if one.caused_by is None]
    found = {(one.check, matrix.severity_of(one)) for one in leading}
    assert found == set(matrix.EXPECTED[fault].items())


def test_after_all_that_nothing_is_raised() -> None:
    results = matrix.inspect()
    assert len(results) > 40
    assert matrix.raised(results) == ()

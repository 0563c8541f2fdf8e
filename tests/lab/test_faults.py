"""Every fault shows itself when injected and leaves nothing visible when healed."""

from collections.abc import Iterator

import pytest

from lab import faults, hosts, lifecycle, state
from lab.errors import LabError
from lab.faults.fault import Fault
from lab.topology import HOSTS

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]


@pytest.fixture(autouse=True)
def healthy() -> Iterator[None]:
    """Start and end with a lab without faults, whatever a test leaves behind."""
    faults.heal_all()
    yield
    faults.heal_all()


@pytest.mark.parametrize("fault", faults.ALL, ids=[fault.name for fault in faults.ALL])
def test_a_fault_shows_while_it_is_injected_and_only_then(fault: Fault) -> None:
    assert not fault.is_visible()
    assert faults.inject(fault.name)
    assert fault.is_visible()
    assert faults.heal(fault.name)
    assert not fault.is_visible()


def test_a_healed_lab_is_serving_everything_again() -> None:
    for name in ("ssh-hang", "webmail-error", "postfix-down"):
        faults.inject(name)
    faults.heal_all()
    assert lifecycle.status().is_up
    assert not any(hosts.get_running(host).idle_services() for host in HOSTS)


def test_injecting_or_healing_twice_changes_nothing() -> None:
    assert faults.inject("load-high")
    assert not faults.inject("load-high")
    assert state.injected() == ["load-high"]
    assert faults.heal("load-high")
    assert not faults.heal("load-high")
    assert state.injected() == []


def test_dns_faults_add_up_and_heal_one_by_one() -> None:
    spf, dmarc = faults.find("spf-missing"), faults.find("dmarc-missing")
    faults.inject(spf.name)
    faults.inject(dmarc.name)
    assert spf.is_visible()
    assert dmarc.is_visible()
    faults.heal(spf.name)
    assert not spf.is_visible()
    assert dmarc.is_visible()


def test_faults_that_would_undo_each_other_are_refused() -> None:
    faults.inject("cert-expired")
    with pytest.raises(LabError, match="heal cert-expired first"):
        faults.inject("cert-name")
    assert state.injected() == ["cert-expired"]


def test_an_unknown_fault_is_refused_by_name() -> None:
    with pytest.raises(LabError, match="no fault named volcano"):
        faults.inject("volcano")


def test_fault_names_are_unique_and_titled_in_chinese() -> None:
    names = [fault.name for fault in faults.ALL]
    assert len(names) > 30
    assert len(set(names)) == len(names)
    assert all(any("\u4e00" <= sign <= "\u9fff" for sign in fault.title) for fault in faults.ALL)

import pytest

from mailcare.inspection.check import Severity, Subject, Target
from mailcare.systems.site import VirtualAddress
from mailcare.systems.system import System
from tests.inspection.checks.reply_files import RECORDED_AT, check_named, replies_in
from tests.inspection.samples import lab_system

CHECK = check_named("smtp.greeting")
SAID = "mx1.shili-bank.example"


def judged(hostname, *virtual):
    site = lab_system().site
    [mx1, *others] = site.nodes
    nodes = (mx1.model_copy(update={"hostname": hostname}), *others)
    addresses = tuple(
        VirtualAddress(name="vip", hostname=name, address="10.66.0.99", nodes=("mx1",))
        for name in virtual
    )
    changes = {"nodes": nodes, "virtual_addresses": addresses}
    system = System(site.model_copy(update=changes), site.profile())
    subject = Subject(system, Target("mx1", 25), RECORDED_AT)
    [verdict] = CHECK.judge(CHECK.parse(replies_in("smtp.greeting", "ok")), CHECK.limits, subject)
    return verdict


@pytest.mark.parametrize(("hostname", "virtual"), [("mx1", ()), ("node7.example", (SAID,))])
def test_a_host_may_greet_with_its_whole_name_or_that_of_its_virtual_address(hostname, virtual):
    assert judged(hostname, *virtual).severity is Severity.OK


@pytest.mark.parametrize("hostname", ["mail", "mx1.other.example"])
def test_another_name_is_none_of_its_own(hostname):
    verdict = judged(hostname, "mail.shili-bank.example")
    assert verdict.severity is Severity.WARNING
    assert f"应为主机名 {hostname}或 mail.shili-bank.example" in verdict.summary

"""What a customer's own run of the collector says is what a login would have said."""

from pathlib import Path

import pytest

from lab import hosts
from lab.topology import BAK1, MX1
from mailcare.inspection.check import Channel, Finding, Result, Severity
from mailcare.inspection.collect.script import system_script
from mailcare.inspection.run import inspect_site, planned
from mailcare.progress import Lines
from mailcare.systems.site import load_site
from tests.inspection.samples import LAB_SITE, lab_system

pytestmark = pytest.mark.lab

# A bundle tells no login, and a host's clock can only be held against another one.
NEEDS_CONNECTION = {"ssh.login", "os.clock"}
Said = dict[tuple[str, str], tuple[type[Result], Severity | None]]


def asked_on_hosts() -> list[str]:
    """Name the checks that hosts alone can answer."""
    channels: dict[str, set[Channel]] = {}
    for check, question in planned(load_site(LAB_SITE), []).questions:
        channels.setdefault(check.name, set()).update(ask.channel for ask in question.asks)
    return [name for name, found in channels.items() if found == {Channel.SSH}]


def said(results: tuple[Result, ...]) -> Said:
    return {
        (one.check, str(one.target)): (type(one), getattr(one, "severity", None))
        for one in results
        if one.check not in NEEDS_CONNECTION
    }


def test_a_bundle_is_judged_as_the_same_hosts_over_ssh(lab, tmp_path: Path):
    script = system_script(lab_system())
    bundle = tmp_path / "reply.txt"
    with bundle.open("w") as file:
        for host in (MX1, BAK1):
            as_inspector = ("setpriv", "--reuid=inspector", "--regid=inspector", "--init-groups")
            running = hosts.get_running(host)
            file.write(running.run(*as_inspector, "sh", stdin=script, timeout_s=120))
    names = asked_on_hosts()
    online = said(inspect_site(LAB_SITE, names, bundle=None, progress=Lines()).results)
    offline = said(inspect_site(LAB_SITE, names, bundle=bundle, progress=Lines()).results)
    assert len([one for one, _ in online.values() if one is Finding]) > 20
    assert offline == online

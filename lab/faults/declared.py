"""A site file that says something else than the lab is, or tells of one host more."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from lab import hosts, keys, layers, probes, state
from lab.faults.fault import Fault, switch
from lab.topology import MX1, MX2, Host

_SITE = Path(__file__).resolve().parents[1] / "site.yaml"
_STORE = "/var/vmail"
_MAIL_USER = "vmail:vmail"
_SLOT = "site file"

Site = dict[str, Any]


def _describe(change: Callable[[Site], None]) -> None:
    """Write the site file that is inspected instead of the lab's own."""
    site: Site = yaml.safe_load(_SITE.read_text("utf-8"))
    change(site)
    state.OTHER_SITE.write_text(yaml.safe_dump(site, allow_unicode=True), "utf-8")


def _forget_description() -> None:
    state.OTHER_SITE.unlink(missing_ok=True)


def _tells(words: str) -> bool:
    return state.OTHER_SITE.exists() and words in state.OTHER_SITE.read_text("utf-8")


def _as_pair(site: Site) -> None:
    site["system"]["deployment"] = "dual"


def _as_distributed(site: Site) -> None:
    first = site["nodes"][0]
    key = keys.openssh_public(keys.host_key(MX2.name))
    second = deepcopy(first)  # equal parts that are one would be written as YAML aliases
    second |= {"name": MX2.name, "hostname": MX2.fqdn, "web_name": MX2.fqdn}
    second |= {"address": MX2.address, "public_address": MX2.address}
    second["ssh"]["host_key"] = key
    site["system"]["deployment"] = "distributed"
    site["nodes"].insert(1, second)
    for listed in (site["virtual_addresses"][0], site["stores"][0], site["authorisations"][0]):
        listed["nodes"].insert(1, MX2.name)


def _start_second() -> None:
    hosts.start(MX2)
    hosts.wait_for(MX2)
    # Each user's mail lies on one host; the lab's users all live on mx1.
    second = hosts.get_running(MX2)
    second.run("postconf", "-e", f"virtual_transport=smtp:[{MX1.address}]")
    second.run("postfix", "reload")
    _keep_users(MX1, layers.MAILBOXES[MX1.name])
    _keep_users(MX2, layers.MAILBOXES[MX2.name][:-1])
    _describe(_as_distributed)


def _end_second() -> None:
    _forget_description()
    hosts.end(MX2)
    hosts.get_running(MX1).run("chmod", "750", _STORE)


def _keep_users(host: Host, boxes: tuple[str, ...]) -> None:
    """Make the directories of mailboxes, and let the inspector count them."""
    running = hosts.get_running(host)
    for box in boxes:
        user, _, domain = box.partition("@")
        running.run("mkdir", "-p", f"{_STORE}/{domain}/{user}")
        running.run("chown", _MAIL_USER, f"{_STORE}/{domain}", f"{_STORE}/{domain}/{user}")
        running.run("chmod", "755", _STORE, f"{_STORE}/{domain}")


def _lacks_a_user() -> bool:
    count = f"ls {_STORE}/shili-bank.example | wc -l"
    first, second = (probes.over_ssh(count, address=one.address) for one in (MX1, MX2))
    return first.exit_code == second.exit_code == 0 and int(second.text) < int(first.text)


FAULTS = (
    Fault(
        name="pair-declared",
        title="登记为双机，实际只有一台邮件主机",
        effect=f"{state.OTHER_SITE}, which is inspected instead, tells of a pair of mail hosts",
        host=MX1,
        slot=_SLOT,
        apply=switch("pair-declared", partial(_describe, _as_pair), _forget_description),
        is_visible=partial(_tells, "deployment: dual"),
    ),
    Fault(
        name="users-unsynced",
        title="分布式系统两台主机的用户未同步",
        effect="a second mail host, mx2, is up and declared, and lacks one of mx1's users",
        host=MX1,
        slot=_SLOT,
        apply=switch("users-unsynced", _start_second, _end_second),
        is_visible=_lacks_a_user,
    ),
)

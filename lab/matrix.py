"""Inject every fault of the lab, inspect, and hold what is found against what must be found.

`python -m lab.matrix` tries every fault and then the healthy lab many times over, writes
`docs/detection.md` and ends with 1 when a fault is missed or misnamed or anything is raised without
one. With names of faults only those are tried, and the page stays as it is.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import faults, lifecycle, state
from mailcare.inspection.check import Finding, Result, Severity, Unmeasured
from mailcare.inspection.checks import all_checks
from mailcare.inspection.levels import FactOnly
from mailcare.inspection.run import areas, inspect_site
from mailcare.progress import Lines

Raised = Finding | Unmeasured
SITE = Path(__file__).parent / "site.yaml"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "detection.md"
HEALTHY_RUNS = 20

OK, NOTICE, WARNING, CRITICAL = Severity
UNMEASURED = None

# What must lead the report while each fault lasts: these checks, so bad, and nothing else.
# Where the honest answer is that it could not be measured, the severity is UNMEASURED.
EXPECTED: dict[str, dict[str, Severity | None]] = {
    "postfix-down": {"service.processes": CRITICAL},
    "dovecot-down": {"service.processes": CRITICAL},
    "webmail-down": {"service.processes": CRITICAL},
    "webmail-error": {"web.login_page": CRITICAL},
    "opendkim-down": {"loop.dkim": WARNING},
    "dns-down": {"dns.resolver": CRITICAL},
    "disk-full": {"storage.space": CRITICAL},
    "spool-full": {"storage.space": CRITICAL},
    "inodes-full": {"storage.inodes": CRITICAL},
    "disk-read-only": {"storage.mounts": CRITICAL},
    "cert-expired": {"tls.certificate": CRITICAL},
    "cert-expiring": {"tls.certificate": CRITICAL},
    "cert-name": {"tls.certificate": CRITICAL},
    "cert-untrusted": {"tls.certificate": WARNING},
    "chain-missing": {"tls.certificate": WARNING},
    "cert-vip-name": {"tls.names": CRITICAL},
    "tls-old": {"tls.offers": WARNING},
    "tls-outdated": {"tls.handshake": WARNING},
    "tls-plain": {"tls.handshake": CRITICAL},
    "mta-sts-mismatch": {"dns.mta_sts": CRITICAL},
    "tls-rpt-wrong": {"dns.tls_rpt": WARNING},
    "dane-mismatch": {"dns.dane": CRITICAL},
    "dnssec-broken": {"dns.dnssec": CRITICAL},
    "ns-dead": {"dns.soa": WARNING},
    "soa-differs": {"dns.soa": WARNING},
    "ptr-missing-ipv6": {"dns.ptr6": WARNING},
    "vip-down": {"cluster.address_holder": CRITICAL},
    "vip-blocked": {"cluster.virtual_address": CRITICAL},
    "mx-extra": {"cluster.declared": WARNING},
    "pair-declared": {"cluster.declared": WARNING, "cluster.single_points": WARNING},
    # Both hosts stand behind one virtual address and one exchanger, which is told, too.
    "users-unsynced": {"cluster.user_counts": WARNING, "cluster.single_points": WARNING},
    "mx-wrong": {"dns.mx": CRITICAL},
    "mx-missing": {"dns.mx": CRITICAL},
    "mx-address-missing": {"dns.addresses": CRITICAL},
    "mx-address-wrong": {"dns.addresses": CRITICAL},
    "webmail-address-wrong": {"dns.addresses": WARNING},
    "spf-missing": {"dns.spf": WARNING},
    "spf-wrong": {"dns.spf": CRITICAL},
    "ptr-missing": {"dns.ptr": WARNING},
    "ptr-wrong": {"dns.ptr": WARNING},
    "dkim-missing": {"dns.dkim": WARNING},
    "dkim-wrong": {"loop.dkim": WARNING},
    "dmarc-missing": {"dns.dmarc": WARNING},
    "dnsbl-listed": {"dns.blocklist": CRITICAL},
    "dnsbl-dead": {"dns.blocklist": UNMEASURED},
    "open-relay": {"security.open_relay": CRITICAL},
    "relay-own-sender": {"security.open_relay": CRITICAL},
    # Nobody can know why the server sends us away; that mail from outside stays out is a fact.
    "smtp-421": {"smtp.greeting": UNMEASURED, "loop.inbound": CRITICAL},
    "submission-off": {"service.listeners": CRITICAL},
    "smtp-banner-wrong": {"smtp.greeting": WARNING},
    "starttls-off": {"smtp.greeting": WARNING},
    "mail-blackhole": {"loop.internal": CRITICAL, "loop.inbound": CRITICAL},
    "loop-slow": {"loop.outbound": WARNING},
    "queue-stuck": {"queue.reasons": WARNING},
    "queue-held": {"queue.depth": WARNING},
    "queue-forgotten": {"queue.age": WARNING},
    "provider-refuses-content": {"loop.providers": WARNING},
    "provider-rate-limit": {"loop.providers": WARNING},
    "provider-defers": {"loop.providers": WARNING},
    "provider-blocklists": {"loop.matrix": CRITICAL},
    "providers-refuse-many": {"loop.matrix": CRITICAL},
    "mail-to-junk": {"loop.outbound": WARNING},
    "provider-junks": {"loop.providers": WARNING},
    "firewall-imaps": {"network.vantage": CRITICAL},
    "firewall-smtp": {"network.vantage": CRITICAL},
    "imap-login-refused": {
        "imap.login": CRITICAL,
        "pop3.login": CRITICAL,
        "submission.login": CRITICAL,
    },
    "ssh-down": {"ssh.login": WARNING},
    "ssh-hang": {"ssh.login": WARNING},
    "hostkey-changed": {"ssh.login": CRITICAL},
    "ssh-auth-refused": {"ssh.login": WARNING},
    "pop3-unseen": {"ssh.login": WARNING, "service.ports": CRITICAL},
    "port-exposed": {"security.listeners": WARNING},
    "attack-traversal": {"security.attack_signs": WARNING},
    "attack-succeeded": {"security.attack_signs": CRITICAL},
    "web-guessing": {"security.attack_signs": WARNING},
    "password-guessing": {"security.login_failures": WARNING},
    "password-guessed": {"security.login_failures": CRITICAL},
    "password-spraying": {"security.login_failures": WARNING},
    "account-besieged": {"security.login_failures": WARNING},
    "account-spamming": {"security.sending_spikes": CRITICAL},
    "forward-outside": {"security.forwards": WARNING},
    "admin-exposed": {"security.admin_pages": WARNING},
    "ssh-password": {"security.ssh_password": WARNING},
    "ssh-root": {"security.ssh_password": WARNING, "security.ssh_root": WARNING},
    "command-hang": {"storage.space": UNMEASURED, "storage.inodes": UNMEASURED},
    "clock-skew": {"os.clock": CRITICAL},
    "link-down": {"network.reach": CRITICAL},
    "load-high": {"hardware.load": WARNING},
    "release-ended": {"os.eol": WARNING},
    "memory-low": {"hardware.memory": CRITICAL},
    "cpu-busy": {"hardware.cpu": WARNING},
    "raid-degraded": {"hardware.raid": CRITICAL},
    "disk-failing": {"hardware.smart": CRITICAL},
    "temperature-high": {"hardware.sensors": CRITICAL},
    "memory-errors": {"hardware.memory_errors": CRITICAL},
    "busy-for-days": {"hardware.history": WARNING},
    "swap-thrash": {"hardware.memory": CRITICAL},
    "oom-kill": {"hardware.memory": WARNING},
    "link-saturated": {"network.bandwidth": CRITICAL},
    "nic-errors": {"network.errors": CRITICAL},
    "gateway-dead": {"network.gateway": WARNING},
    "disk-slow": {"storage.wait": CRITICAL},
    "io-errors": {"storage.errors": CRITICAL},
    "nfs-hang": {"storage.network": CRITICAL},
    "reboot-crash": {"os.boots": WARNING},
    "up-for-years": {"os.uptime": WARNING},
    "updates-pending": {"os.updates": WARNING},
    "updates-stale": {"os.updates": UNMEASURED},
    "reboot-required": {"os.restart": WARNING},
    "package-vulnerable": {"os.serious_bugs": WARNING},
    "product-vulnerable": {"app.advisory": WARNING},
    "extension-down": {"app.secondary_development": CRITICAL},
    "archive-off": {"function.archive": CRITICAL},
    "approval-off": {"function.approval": CRITICAL},
    "approval-stuck": {"function.approval": CRITICAL},
    "search-broken": {"function.query": WARNING},
    "service-flaky": {"service.steadiness": CRITICAL},
}


@dataclass(frozen=True, slots=True)
class Row:
    """One fault, and what the inspection said while it lasted.

    `leading` are the findings from a warning up and the unmeasured results that nothing explains;
    `explained` counts those that name a cause.
    """

    fault: str
    leading: tuple[Raised, ...]
    explained: int

    def is_right(self) -> bool:
        """Tell whether the expected results lead, and nothing else does."""
        found = {(one.check, severity_of(one)) for one in self.leading}
        return found == set(EXPECTED[self.fault].items())


def severity_of(result: Raised) -> Severity | None:
    """Return how bad a result is; None where it could not be measured."""
    return result.severity if isinstance(result, Finding) else None


def inspect() -> tuple[Result, ...]:
    """Inspect the lab with every check, by the site file of the fault where it brings its own."""
    site = state.OTHER_SITE if state.OTHER_SITE.exists() else SITE
    return inspect_site(site, [], bundle=None, progress=Lines()).results


def raised(results: Iterable[Result]) -> tuple[Raised, ...]:
    """Return the findings from a warning up and what could not be measured."""
    return tuple(
        one
        for one in results
        if isinstance(one, Unmeasured)
        or (isinstance(one, Finding) and one.severity >= Severity.WARNING)
    )


def examine(fault: str) -> Row:
    """Inject one fault, inspect, heal it; what it leaves behind would lead the next one's row."""
    faults.inject(fault)
    try:
        found = raised(inspect())
    finally:
        faults.heal(fault)
    leading = tuple(one for one in found if one.caused_by is None)
    return Row(fault, leading, len(found) - len(leading))


def facts_only() -> list[str]:
    """Name the checks that state a fact and never warn; every other one has a fault here."""
    return [one.name for one in all_checks() if isinstance(one.limits, FactOnly)]


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the table's lines as Markdown."""
    yield "| 故障 | 内容 | 领域 | 首要结论 | 级别 | 由它解释 | |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        yield _line(row)


def _line(row: Row) -> str:
    area = "、".join(dict.fromkeys(str(areas()[one.check]) for one in row.leading))
    says = "；".join(dict.fromkeys(f"{one.check} {one.target}" for one in row.leading))
    severity = "、".join(dict.fromkeys(_label(one) for one in row.leading))
    mark = "✓" if row.is_right() else "✗"
    title = faults.find(row.fault).title
    return f"| {row.fault} | {title} | {area} | {says} | {severity} | {row.explained} | {mark} |"


def _label(result: Raised) -> str:
    severity = severity_of(result)
    return severity.name.lower() if severity is not None else "unmeasured"


def _page(rows: Sequence[Row], alarms: Sequence[Raised]) -> str:
    right = sum(row.is_right() for row in rows)
    said = "；".join(dict.fromkeys(f"{one.check} {one.target}" for one in alarms)) or "没有"
    return "\n".join(
        (
            "# 故障与发现",
            "",
            "<!-- 由 `make lab-matrix` 写成，请勿手工修改。 -->",
            "",
            "实验环境的每个故障逐一注入、巡检、修复。“首要结论”是警告以上或未测得、"
            "且不由其他问题解释的结果；与预期的检查和级别完全一致才记 ✓。",
            "",
            f"- 故障 {len(rows)} 个，判断正确 {right} 个。",
            f"- 无故障时巡检 {HEALTHY_RUNS} 次，警告以上或未测得的结果：{said}。",
            f"- 只陈述事实、从不报警的检查：{'、'.join(facts_only())}。",
            "",
            *table(rows),
            "",
        )
    )


def main(names: Sequence[str]) -> int:
    """Try the named faults, or all; see the module."""
    lifecycle.up()
    rows = []
    for name in names or [fault.name for fault in faults.ALL]:
        rows.append(examine(name))
        sys.stderr.write(f"{_line(rows[-1])}\n")
    alarms: list[Raised] = []
    for number in range(0 if names else HEALTHY_RUNS):
        alarms.extend(raised(inspect()))
        sys.stderr.write(f"healthy run {number + 1}: {len(alarms)} raised so far\n")
    if not names:
        PAGE.write_text(_page(rows, alarms), "utf-8")
    return int(bool(alarms) or not all(row.is_right() for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Inject every fault of the lab, inspect, and hold what is found against what must be found.

`python -m lab.matrix [FAULT …]` prints the table that `make lab-matrix` shows, and ends with 1
when a fault is missed, misnamed, or leaves something behind after it is healed.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import faults, lifecycle
from mailcare.inspection.check import Finding, Result, Severity, Unmeasured
from mailcare.inspection.run import areas, inspect_site
from mailcare.progress import Lines

Raised = Finding | Unmeasured
SITE = Path(__file__).parent / "site.yaml"

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
    "cert-expired": {"tls.certificate": CRITICAL},
    "cert-expiring": {"tls.certificate": CRITICAL},
    "cert-name": {"tls.certificate": CRITICAL},
    "cert-untrusted": {"tls.certificate": WARNING},
    "mx-wrong": {"dns.mx": CRITICAL},
    "mx-missing": {"dns.mx": CRITICAL},
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
    # Nobody can know why the server sends us away; that mail from outside stays out is a fact.
    "smtp-421": {"smtp.greeting": UNMEASURED, "loop.inbound": CRITICAL},
    "smtp-banner-wrong": {"smtp.greeting": WARNING},
    "starttls-off": {"smtp.greeting": WARNING},
    "mail-blackhole": {"loop.internal": CRITICAL, "loop.inbound": CRITICAL},
    "loop-slow": {"loop.outbound": WARNING},
    "queue-stuck": {"queue.depth": WARNING, "queue.age": WARNING},
    "imap-login-refused": {
        "imap.login": CRITICAL,
        "pop3.login": CRITICAL,
        "submission.login": CRITICAL,
    },
    "ssh-down": {"ssh.login": WARNING},
    "ssh-hang": {"ssh.login": WARNING},
    "hostkey-changed": {"ssh.login": CRITICAL},
    "ssh-auth-refused": {"ssh.login": WARNING},
    "port-exposed": {"security.listeners": WARNING},
    "command-hang": {"storage.space": UNMEASURED, "storage.inodes": UNMEASURED},
    "clock-skew": {"os.clock": CRITICAL},
    "link-down": {"network.reach": CRITICAL},
    "load-high": {"hardware.load": WARNING},
    "memory-low": {"hardware.memory": CRITICAL},
    "cpu-busy": {"hardware.cpu": WARNING},
}


@dataclass(frozen=True, slots=True)
class Row:
    """One fault: what the inspection said while it lasted, and what was left after it was healed.

    `leading` are the findings from a warning up and the unmeasured results that nothing explains;
    `explained` counts those that name a cause.
    """

    fault: str
    leading: tuple[Raised, ...]
    explained: int
    left: tuple[Raised, ...]

    def is_right(self) -> bool:
        """Tell whether the expected result leads alone, and nothing is left."""
        found = {(one.check, severity_of(one)) for one in self.leading}
        return not self.left and found == set(EXPECTED[self.fault].items())


def severity_of(result: Raised) -> Severity | None:
    """Return how bad a result is; None where it could not be measured."""
    return result.severity if isinstance(result, Finding) else None


def inspect() -> tuple[Result, ...]:
    """Inspect the lab with every check."""
    return inspect_site(SITE, [], bundle=None, progress=Lines()).results


def raised(results: Iterable[Result]) -> tuple[Raised, ...]:
    """Return the findings from a warning up and what could not be measured."""
    return tuple(
        one
        for one in results
        if isinstance(one, Unmeasured)
        or (isinstance(one, Finding) and one.severity >= Severity.WARNING)
    )


def examine(fault: str) -> Row:
    """Inject one fault, inspect, heal it, inspect again."""
    faults.inject(fault)
    try:
        found = raised(inspect())
    finally:
        faults.heal(fault)
    leading = tuple(one for one in found if one.caused_by is None)
    return Row(fault, leading, len(found) - len(leading), raised(inspect()))


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the table's lines as Markdown."""
    yield "| 故障 | 领域 | 首要结论 | 级别 | 由它解释 | 修复后 | |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        yield _line(row)


def _line(row: Row) -> str:
    area = "、".join(dict.fromkeys(str(areas()[one.check]) for one in row.leading))
    says = "；".join(f"{one.check} {one.target}" for one in row.leading)
    severity = "、".join(dict.fromkeys(_label(one) for one in row.leading))
    left = "；".join(one.check for one in row.left) or "无"
    mark = "✓" if row.is_right() else "✗"
    return f"| {row.fault} | {area} | {says} | {severity} | {row.explained} | {left} | {mark} |"


def _label(result: Raised) -> str:
    severity = severity_of(result)
    return severity.name.lower() if severity is not None else "unmeasured"


def main(names: Sequence[str]) -> int:
    """Print the table for the named faults, or for all."""
    lifecycle.up()
    wrong = 0
    rows = []
    for name in names or [fault.name for fault in faults.ALL]:
        row = examine(name)
        wrong += not row.is_right()
        rows.append(row)
        sys.stderr.write(f"{_line(row)}\n")
    sys.stdout.write("\n".join(table(rows)) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

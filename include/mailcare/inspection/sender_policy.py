"""SPF and DMARC: what a domain publishes, and whether it lets its own servers send.

checkdmarc reads the records over a name server that the caller hands in: the live one when a reply
is recorded, the recorded one when it is judged.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Any

import checkdmarc.utils
import dns.exception
import dns.nameserver
import dns.resolver
from checkdmarc.dmarc import (
    DMARCError,
    DMARCRecordNotFound,
    parse_dmarc_record,
    query_dmarc_record,
)
from checkdmarc.spf import SPFError, SPFRecordNotFound, parse_spf_record, query_spf_record
from expiringdict import ExpiringDict

from mailcare.inspection.lookups import resolver_over

# Its cache knows names only, not which server was asked: a replay would read live answers and a
# recording would miss what another inspection has just asked. An entry now ages at once.
checkdmarc.utils.DNS_CACHE = ExpiringDict(max_len=1, max_age_seconds=0)

_PERCENTAGE = re.compile(r";\s*pct\s*=\s*(\d{1,3})\b", re.IGNORECASE)
_MX_PREFIX = re.compile(r"(^|\s)[-+?~]?mx\S*/", re.IGNORECASE)


class PolicyResult(StrEnum):
    """What SPF says of a sending address (RFC 7208 §2.6); `UNKNOWN` where only a mail can tell."""

    PASS = "pass"  # noqa: S105 - a result, not a secret
    NEUTRAL = "neutral"
    SOFTFAIL = "softfail"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SenderPolicy:
    """A domain's SPF record; `error` says why receivers cannot use it (permerror)."""

    record: str | None
    error: str = ""
    everyone: bool = False
    results: tuple[tuple[str, PolicyResult], ...] = ()


@dataclass(frozen=True, slots=True)
class ReportPolicy:
    """The DMARC record that holds for a domain and the policy in it.

    `is_testing` where receivers are asked not to apply it, or not to all mails (RFC 9989 t=y,
    RFC 7489 pct).
    """

    record: str | None
    policy: str = ""
    is_testing: bool = False
    error: str = ""


def read_sender_policy(
    domain: str, addresses: tuple[str, ...], servers: Sequence[dns.nameserver.Nameserver]
) -> SenderPolicy:
    """Read the SPF record of `domain` and what it says of each address."""
    resolver = resolver_over(servers)
    record: str | None = None
    try:
        # checkdmarc asks for an explanation text over `nameservers`, for the rest over `resolver`.
        record = query_spf_record(domain, resolver=resolver, nameservers=servers)["record"]
        parsed = parse_spf_record(record, domain, resolver=resolver, nameservers=servers)["parsed"]
    except SPFRecordNotFound as error:
        return SenderPolicy(record, "" if record is None else str(error))
    except SPFError as error:
        return SenderPolicy(record or "", str(error))
    results = tuple((one, _evaluate(parsed, record, one, resolver)) for one in addresses)
    return SenderPolicy(record, everyone=parsed["all"] == "pass", results=results)


def read_report_policy(domain: str, servers: Sequence[dns.nameserver.Nameserver]) -> ReportPolicy:
    """Read the DMARC record that holds for `domain`."""
    resolver = resolver_over(servers)
    record: str | None = None
    try:
        query = query_dmarc_record(domain, resolver=resolver, nameservers=servers)
        record = query["record"]
        parsed = parse_dmarc_record(
            record, query["location"], resolver=resolver, nameservers=servers
        )
    except DMARCRecordNotFound:
        return ReportPolicy(None)
    except DMARCError as error:
        return ReportPolicy(record or "", error=str(error))
    tags, is_own = parsed["tags"], query["location"].lower() == domain.rstrip(".").lower()
    policy = str(tags["p" if is_own else "sp"]["value"])
    return ReportPolicy(record, policy, is_testing=_is_testing(tags, record))


def _is_testing(tags: Any, record: str) -> bool:  # noqa: ANN401 - checkdmarc's tree
    percentage = _PERCENTAGE.search(record)
    return tags["t"]["value"] == "y" or (percentage is not None and int(percentage[1]) < 100)


def _evaluate(
    parsed: Any,  # noqa: ANN401 - checkdmarc's tree
    record: str,
    address: str,
    resolver: dns.resolver.Resolver,
) -> PolicyResult:
    """Follow the mechanisms in order (RFC 7208 §4.6.2); the first that matches decides."""
    for mechanism in parsed["mechanisms"]:
        matches = _matches(mechanism, record, address, resolver)
        if matches is None:
            return PolicyResult.UNKNOWN
        if matches:
            return PolicyResult(mechanism["action"])
    redirect = parsed["redirect"]
    if redirect and not redirect["parsed"]:
        return PolicyResult.UNKNOWN
    if redirect:
        return _evaluate(redirect["parsed"], redirect["record"], address, resolver)
    return PolicyResult(parsed["all"])


def _matches(
    mechanism: Any,  # noqa: ANN401 - checkdmarc's tree
    record: str,
    address: str,
    resolver: dns.resolver.Resolver,
) -> bool | None:
    """Tell whether a mechanism covers the address; None where only a real mail could tell."""
    match mechanism["mechanism"]:
        case "ip4" | "ip6":
            return _covers((mechanism["value"],), address)
        case "a" | "mx" if "%" in mechanism["value"]:
            return None
        case "a":
            return _covers(mechanism.get("addresses", ()), address)
        case "mx":
            hosts = (host["hostname"] for host in mechanism.get("hosts", ()))
            # checkdmarc drops the prefix length of mx/NN: what it might cover is not known then.
            return _covers(_addresses(hosts, resolver), address) or (
                None if _MX_PREFIX.search(record) else False
            )
        case "include" if mechanism["parsed"]:
            inner = _evaluate(mechanism["parsed"], mechanism["record"], address, resolver)
            return None if inner is PolicyResult.UNKNOWN else inner is PolicyResult.PASS
    return None


def _covers(networks: Iterable[str], address: str) -> bool:
    own = ip_address(address)
    return any(own in ip_network(network, strict=False) for network in networks)


def _addresses(hosts: Iterable[str], resolver: dns.resolver.Resolver) -> Iterator[str]:
    for host in hosts:
        for rdtype in ("A", "AAAA"):
            with suppress(dns.exception.DNSException):
                yield from (rdata.to_text() for rdata in resolver.resolve(host, rdtype))

"""Whether a domain's own name servers all answer with one voice, and its signatures hold.

Signatures are not left to `checkdmarc.check_dnssec`: it answers False alike for an unsigned zone, a
broken one and a lookup that failed, and holds signatures against now, not the moment of the reply.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import dns.dnssec
import dns.exception
import dns.flags
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.DS import DS
from dns.rdtypes.ANY.SOA import SOA

from mailcare.inspection.check import (
    Area,
    Ask,
    Channel,
    Check,
    DoesNotApply,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.levels import NoLimits
from mailcare.inspection.lookups import Lookup, Lookups, normal_name, read_lookups, read_servers
from mailcare.inspection.probes import dns_questions
from mailcare.systems.system import System

_RESOLVER = ("dns.resolver",)
ZONE_S = 40.0  # two rounds over all name servers
_NO_ROUTE = "Network is unreachable"
_SILENT = "没有应答"


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Name servers that a domain should have."""

    name_servers: int


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What one name server said of the zone; `trouble` where it gave no answer of its own."""

    name: str
    address: str
    serial: int | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class ZoneServers:
    """A zone's name servers: all names, those without an address, and what each address said."""

    names: tuple[str, ...]
    homeless: tuple[str, ...]
    answers: tuple[ServerAnswer, ...]


def zone_ask(domain: str) -> Ask:
    """Ask a domain's own name servers, one by one."""
    return Ask(Channel.DNS, ("zone", domain), ZONE_S)


def _ask_soa(system: System) -> Iterator[Question]:
    for domain in system.site.domains:
        yield Question(Target(part=domain.name), (zone_ask(domain.name),))


def _parse_soa(replies: tuple[Reply, ...]) -> ZoneServers:
    lookups = read_lookups(replies[0])
    domain = next(lookups.all()).name
    names = tuple(normal_name(rdata.to_text()) for rdata in lookups.records("NS", domain))
    if not names and (zone := _zone_above(lookups.find("NS", domain))):
        raise DoesNotApply(f"{domain} 不是独立的 DNS 区，由上级 {zone} 的服务器解析")
    answers = tuple(
        answer
        for name, address, own in read_servers(replies[0])
        if (answer := _server_answer(name, address, own.answered.get(("SOA", normal_name(domain)))))
    )
    asked = {name for name, _, _ in read_servers(replies[0])}
    homeless = tuple(name for name in names if name not in asked and not lookups.addresses(name))
    if names and not homeless and all(answer.trouble == _SILENT for answer in answers):
        # The resolver has the zone, so somebody serves it: what fails is our way there.
        raise ReplyError("没有问到任何一台权威 DNS 服务器，请放行巡检机到外部 53 端口的查询")
    return ZoneServers(names, homeless, answers)


def _zone_above(lookup: Lookup) -> str:
    """Return the zone that a name without its own name servers stands in, as far as it is told."""
    if lookup.response is None or not lookup.exists():
        return ""
    sections = (one for one in lookup.response.authority if one.rdtype == dns.rdatatype.SOA)
    zones = (normal_name(one.name.to_text()) for one in sections)
    return next((one for one in zones if one != normal_name(lookup.name)), "")


def _server_answer(name: str, address: str, lookup: Lookup | None) -> ServerAnswer | None:
    """Read one server's answer, None where this machine could not ask it."""
    if lookup is None or (lookup.response is None and _NO_ROUTE in lookup.failure):
        return None
    if lookup.response is None:
        return ServerAnswer(name, address, trouble=_SILENT)
    if (rcode := lookup.response.rcode()) != dns.rcode.NOERROR:
        return ServerAnswer(name, address, trouble=f"回答 {dns.rcode.to_text(rcode)}")
    serial = next((one.serial for one in lookup.records() if isinstance(one, SOA)), None)
    if serial is None or not lookup.response.flags & dns.flags.AA:
        return ServerAnswer(name, address, trouble="不是该域的权威服务器")
    return ServerAnswer(name, address, serial)


def _judge_soa(zone: ZoneServers, limits: ServerLimits, subject: Subject) -> Iterator[Verdict]:
    domain = subject.target.part
    rows = tuple(
        f"{one.name}（{one.address}）：{one.trouble or f'序列号 {one.serial}'}"
        for one in zone.answers
    )
    problems = list(_server_problems(zone))
    if problems:
        advice = "请检查这些 DNS 服务器与主辅同步，并在注册商处去掉不再使用的 NS。"
        summary = f"{domain} {'；'.join(problems)}；全部 NS 应有相同的应答"
        yield Verdict(Severity.WARNING, summary, advice, rows)
    elif len(zone.names) < limits.name_servers:
        advice = "请增加一台位于另一网络的权威 DNS 服务器，否则它停机时全域解析中断。"
        summary = (
            f"{domain} 有 {len(zone.names)} 台权威 DNS 服务器，建议不少于 {limits.name_servers} 台"
        )
        yield Verdict(Severity.NOTICE, summary, advice, rows)
    else:
        count = f"{domain} 的 {len(zone.names)} 台权威 DNS 服务器均有应答"
        summary = f"{count}，序列号一致（应不少于 {limits.name_servers} 台）"
        yield Verdict(Severity.OK, summary, evidence=rows)


def _server_problems(zone: ZoneServers) -> Iterator[str]:
    if not zone.names:
        yield "没有 NS 记录"
    for name in zone.homeless:
        yield f"NS {name} 没有地址记录"
    for one in zone.answers:
        if one.trouble:
            yield f"NS {one.name}（{one.address}）{one.trouble}"
    serials = sorted({one.serial for one in zone.answers if one.serial is not None})
    if len(serials) > 1:
        yield f"各 NS 的 SOA 序列号不同（{'、'.join(map(str, serials))}）"


@dataclass(frozen=True, slots=True)
class Signing:
    """Whether the parent vouches for a zone's keys, and whether the zone's signatures hold.

    `trouble` says why a validating resolver refuses the zone; `evidence` are its DS records.
    """

    has_delegation: bool
    has_keys: bool = False
    trouble: str = ""
    evidence: tuple[str, ...] = ()


def _ask_dnssec(system: System) -> Iterator[Question]:
    return dns_questions("dnssec", system)


def _parse_dnssec(replies: tuple[Reply, ...]) -> Signing:
    lookups = read_lookups(*replies)
    domain = normal_name(next(lookups.all()).name)
    delegations = lookups.records("DS", domain)
    keys = lookups.answered.get(("DNSKEY", domain))
    if not delegations:
        return Signing(has_delegation=False, has_keys=bool(keys and keys.records()))
    trouble = _signing_trouble(lookups, domain, replies[0].taken_at.timestamp())
    rows = tuple(f"{domain} DS {record}" for record in delegations)
    return Signing(has_delegation=True, has_keys=True, trouble=trouble, evidence=rows)


def _signing_trouble(lookups: Lookups, domain: str, now_s: float) -> str:
    """Follow the chain from the parent's DS over the keys to the zone's SOA."""
    zone = dns.name.from_text(domain)
    keys, key_signatures = _signed(lookups, domain, dns.rdatatype.DNSKEY)
    if keys is None:
        return "上级有 DS 记录，但域没有 DNSKEY"
    vouched = _vouched_keys(lookups, domain, keys)
    if not vouched:
        return "没有一把 DNSKEY 与上级的 DS 记录相符"
    soa, soa_signatures = _signed(lookups, domain, dns.rdatatype.SOA)
    if soa is None:
        raise ReplyError(f"没有取得 {domain} 的 SOA 记录，无法验证签名")
    for rrset, signatures, trusted in (
        (keys, key_signatures, vouched),
        (soa, soa_signatures, keys),
    ):
        kind = dns.rdatatype.to_text(rrset.rdtype)
        if signatures is None:
            return f"{kind} 记录没有签名"
        try:
            dns.dnssec.validate(rrset, signatures, {zone: trusted}, now=now_s)
        except dns.exception.DNSException as error:
            return f"{kind} 记录的签名无效（{error}）"
    return ""


def _signed(
    lookups: Lookups, domain: str, rdtype: dns.rdatatype.RdataType
) -> tuple[dns.rrset.RRset | None, dns.rrset.RRset | None]:
    """Return a record set and its signatures, None for what the answer lacks; raise as `find`."""
    kind, zone = dns.rdatatype.to_text(rdtype), dns.name.from_text(domain)
    response, internet = lookups.find(kind, domain).response, dns.rdataclass.IN
    if response is None:
        return None, None
    return (
        response.get_rrset(response.answer, zone, internet, rdtype),
        response.get_rrset(response.answer, zone, internet, dns.rdatatype.RRSIG, rdtype),
    )


def _vouched_keys(lookups: Lookups, domain: str, keys: dns.rrset.RRset) -> dns.rrset.RRset | None:
    """Return the keys that a DS record of the parent names; raise for digests that none knows."""
    zone = dns.name.from_text(domain)
    delegations = [one for one in lookups.records("DS", domain) if isinstance(one, DS)]
    found, known = dns.rrset.RRset(zone, dns.rdataclass.IN, dns.rdatatype.DNSKEY), 0
    for key in keys:
        for delegation in delegations:
            try:
                made = dns.dnssec.make_ds(zone, key, delegation.digest_type, validating=True)
            except (dns.exception.DNSException, ValueError):
                continue
            known += 1
            if made == delegation:
                found.add(key)
    if not known:
        raise ReplyError("上级的 DS 记录使用了无法验证的摘要算法")
    return found if len(found) else None


def _judge_dnssec(signing: Signing, _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    domain, rows = subject.target.part, signing.evidence
    if signing.trouble:
        summary = f"{domain} 的 DNSSEC 已损坏：{signing.trouble}；应能通过验证"
        advice = (
            "验证 DNSSEC 的外域已无法解析本域：请立即恢复签名，或先请注册商撤下 DS 记录再停用签名。"
        )
        yield Verdict(Severity.CRITICAL, summary, advice, rows)
    elif signing.has_delegation:
        yield Verdict(Severity.OK, f"{domain} 的 DNSSEC 签名有效（应能通过验证）", evidence=rows)
    elif signing.has_keys:
        summary = f"{domain} 已签名，但上级没有 DS 记录，DNSSEC 没有生效"
        yield Verdict(Severity.NOTICE, summary, "请把 DS 记录提交给域名注册商。", rows)
    else:
        summary = f"{domain} 没有启用 DNSSEC，建议启用"
        yield Verdict(Severity.NOTICE, summary, "建议由 DNS 服务商签名，再提交 DS 记录。", rows)


CHECKS = (
    Check(
        name="dns.soa",
        area=Area.DNS,
        title="权威 DNS 服务器",
        question="全部权威 DNS 服务器是否都有应答且内容一致？",
        ask=_ask_soa,
        parse=_parse_soa,
        judge=_judge_soa,
        limits=ServerLimits(name_servers=2),
        source="RFC 1034 §4.1（不少于两台）；RFC 1912 §2.2（序列号）、§2.8（无效授权）",
        after=_RESOLVER,
    ),
    Check(
        name="dns.dnssec",
        area=Area.DNS,
        title="DNSSEC",
        question="域名的 DNSSEC 签名是否有效？",
        ask=_ask_dnssec,
        parse=_parse_dnssec,
        judge=_judge_dnssec,
        limits=NoLimits(),
        source="RFC 4035 §5；RFC 9364",
        after=_RESOLVER,
    ),
)

"""The DNS records that lead to the mail hosts: resolver, MX, addresses, reverse names.

Severities of all DNS checks: CRITICAL where mail for everybody stops or is refused, WARNING where
some receivers will refuse or distrust it, NOTICE where protection is weaker than it could be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from mailcare.inspection.check import (
    Area,
    Check,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.lookups import Lookups, normal_name, read_lookups
from mailcare.inspection.probes import dns_ask, dns_questions, mail_hosts, unseen
from mailcare.inspection.transcript import read_transcript
from mailcare.systems.site import Node
from mailcare.systems.system import System

_RESOLVER = ("dns.resolver",)


@dataclass(frozen=True, slots=True)
class NoLimits:
    """The rule is a fact, not a number."""


@dataclass(frozen=True, slots=True)
class Resolving:
    """Whether the resolver answered, and whether the domain exists for it."""

    resolver: str
    is_customers: bool
    trouble: str | None
    exists: bool
    soa: str = ""


def _ask_resolver(system: System) -> Iterator[Question]:
    domain = system.site.domains[0].name
    yield Question(Target(part=domain), (dns_ask("lookup", "SOA", domain),))


def _parse_resolver(replies: tuple[Reply, ...]) -> Resolving:
    server = (read_transcript(replies[0]).event("resolver") or "").split()
    if len(server) != 3:
        raise ReplyError("回复中没有解析服务器")
    lookup = next(read_lookups(replies[0]).all())
    trouble = lookup.trouble()
    is_customers = server[2] == "site"
    if trouble and not is_customers:
        raise ReplyError(f"巡检机的解析服务器 {server[0]} 没有应答：{trouble}")
    soa = next((rdata.to_text() for rdata in lookup.records()), "")
    return Resolving(f"{server[0]}:{server[1]}", is_customers, trouble, lookup.exists(), soa)


def _judge_resolver(fact: Resolving, _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    domain = subject.target.part
    if fact.trouble:
        summary = f"解析服务器 {fact.resolver} 没有给出 {domain} 的应答：{fact.trouble}"
        advice = "请检查该 DNS 服务是否运行、端口 53（UDP 与 TCP）是否放行。"
        yield Verdict(Severity.CRITICAL, summary, advice)
    elif not fact.exists:
        advice = "请核对域名拼写、注册是否到期、上级授权是否正确。"
        yield Verdict(Severity.CRITICAL, f"域名 {domain} 不存在（应有 SOA 记录）", advice)
    else:
        yield Verdict(Severity.OK, f"解析服务器 {fact.resolver} 应答正常", evidence=(fact.soa,))


@dataclass(frozen=True, slots=True)
class MxHost:
    """One mail exchanger and where it leads; `trouble` where its addresses could not be asked."""

    name: str
    preference: int
    addresses: tuple[str, ...]


def _ask_mx(system: System) -> Iterator[Question]:
    mail_hosts(system)
    return dns_questions("mx", system)


def _parse_mx(replies: tuple[Reply, ...]) -> tuple[MxHost, ...]:
    lookups = read_lookups(*replies)
    domain = next(lookups.all()).name
    rdatas = (rdata.to_text().split() for rdata in lookups.records("MX", domain))
    hosts = (_mx_host(lookups, int(words[0]), words[1]) for words in rdatas)
    return tuple(sorted(hosts, key=lambda host: (host.preference, host.name)))


def _mx_host(lookups: Lookups, preference: int, name: str) -> MxHost:
    # RFC 7505: the root as exchanger says that the domain takes no mail.
    addresses = lookups.addresses(name) if name != "." else ()
    return MxHost(normal_name(name), preference, addresses)


def _judge_mx(hosts: tuple[MxHost, ...], _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    nodes = mail_hosts(subject.system)
    wanted = "、".join(node.hostname for node in nodes)
    advice = f"请在 DNS 中把 MX 记录改为 {wanted}，并确认其地址记录正确。"
    rows = tuple(f"MX {one.preference} {one.name} → {_listed(one.addresses)}" for one in hosts)
    flaws = [flaw for host in hosts if (flaw := _mx_flaw(host, nodes))]
    if not hosts:
        summary = f"没有 MX 记录，应指向 {wanted}"
        yield Verdict(Severity.CRITICAL, summary, advice, rows)
    elif flaws:
        summary = f"{'；'.join(flaws)}；应指向 {wanted}"
        yield Verdict(Severity.CRITICAL, summary, advice, rows)
    else:
        names = "、".join(host.name for host in hosts)
        yield Verdict(Severity.OK, f"MX 指向 {names}，与登记的邮件主机一致", "", rows)


def _mx_flaw(host: MxHost, nodes: tuple[Node, ...]) -> str | None:
    if not host.name:
        return "MX 为「.」，声明本域不收邮件"
    if not host.addresses:
        return f"MX 主机 {host.name} 没有地址记录"
    named = any(normal_name(node.hostname) == host.name for node in nodes)
    if named or any(_leads_to(node, host.addresses) for node in nodes):
        return None
    return f"MX 指向 {host.name}（{_listed(host.addresses)}），不是登记的邮件主机"


def _leads_to(node: Node, addresses: tuple[str, ...]) -> bool:
    return _same(node.address, addresses) or _same(node.seen_address, addresses)


def _same(address: str, others: tuple[str, ...]) -> bool:
    return any(ip_address(address) == ip_address(other) for other in others)


def _listed(words: tuple[str, ...]) -> str:
    return "、".join(words) or "无"


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """A host name and its addresses."""

    name: str
    addresses: tuple[str, ...]


def _ask_addresses(system: System) -> Iterator[Question]:
    for node in mail_hosts(system):
        for name in dict.fromkeys(filter(None, (node.hostname, node.web_name))):
            yield Question(Target(node.name, part=name), (dns_ask("hosts", name),))


def _parse_addresses(replies: tuple[Reply, ...]) -> HostAddresses:
    lookups = read_lookups(*replies)
    name = next(lookups.all()).name
    return HostAddresses(normal_name(name), lookups.addresses(name))


def _judge_addresses(host: HostAddresses, _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    node = subject.system.node(subject.target.node)
    wanted = node.seen_address
    found = _listed(host.addresses)
    rows = tuple(f"{host.name} → {address}" for address in host.addresses)
    if not host.addresses:
        advice = f"请为 {host.name} 添加地址记录（登记地址 {wanted}）。"
        summary = f"{host.name} 没有地址记录，应为 {wanted}"
        yield Verdict(Severity.CRITICAL, summary, advice, rows)
    elif _leads_to(node, host.addresses):
        yield Verdict(Severity.OK, f"{host.name} 解析为 {found}，与登记地址一致", "", rows)
    elif not node.is_seen and ip_address(host.addresses[0]).is_global:
        summary = f"{host.name} 解析为公网地址 {found}，登记的是内网地址 {wanted}"
        yield Verdict(Severity.NOTICE, summary, "请确认防火墙的地址转换指向该主机。", rows)
    else:
        advice = "请更正地址记录；若主机已迁移，请更新站点文件。"
        yield Verdict(Severity.WARNING, f"{host.name} 解析为 {found}，应为 {wanted}", advice, rows)


@dataclass(frozen=True, slots=True)
class ReverseNames:
    """The reverse names of an address, each with the addresses it leads back to."""

    names: tuple[tuple[str, tuple[str, ...]], ...]


def _ask_ptr(system: System) -> Iterator[Question]:
    for node in mail_hosts(system):
        address = node.seen_address
        yield Question(Target(node.name, part=address), (dns_ask("ptr", address),))


def _parse_ptr(replies: tuple[Reply, ...]) -> ReverseNames:
    lookups = read_lookups(*replies)
    reverse = next(lookups.all()).name
    names = (rdata.to_text() for rdata in lookups.records("PTR", reverse))
    return ReverseNames(tuple((normal_name(name), lookups.addresses(name)) for name in names))


def _judge_ptr(reverse: ReverseNames, _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    node = subject.system.node(subject.target.node)
    if reason := unseen(node):
        raise ReplyError(reason)
    address, hostname = node.seen_address, normal_name(node.hostname)
    rows = tuple(f"{address} → {name} → {_listed(back)}" for name, back in reverse.names)
    names = _listed(tuple(name for name, _ in reverse.names))
    confirmed = [name for name, back in reverse.names if _same(address, back)]
    if hostname in confirmed:
        summary = f"反向解析为 {hostname}，正反一致"
        yield Verdict(Severity.OK, summary, "", rows)
        return
    if not reverse.names:
        problem = f"{address} 没有反向解析"
    elif hostname in dict(reverse.names):
        problem = f"反向解析 {hostname} 不能解析回 {address}"
    else:
        problem = f"反向解析为 {names}"
    advice = f"请向线路运营商申请把 {address} 的反向解析设为 {hostname}。"
    yield Verdict(Severity.WARNING, f"{problem}，应为 {hostname}，部分外域会拒收", advice, rows)


CHECKS = (
    Check(
        name="dns.resolver",
        area=Area.DNS,
        title="DNS 解析服务",
        question="DNS 服务器是否应答？",
        ask=_ask_resolver,
        parse=_parse_resolver,
        judge=_judge_resolver,
        limits=NoLimits(),
        source="RFC 1035 §3.3.13：存在的域必有 SOA 记录",
    ),
    Check(
        name="dns.mx",
        area=Area.DNS,
        title="MX 记录",
        question="MX 记录是否把来信引到本系统？",
        ask=_ask_mx,
        parse=_parse_mx,
        judge=_judge_mx,
        limits=NoLimits(),
        source="RFC 5321 §5.1；RFC 7505（空 MX）；应指向站点文件登记的邮件主机",
        after=_RESOLVER,
    ),
    Check(
        name="dns.addresses",
        area=Area.DNS,
        title="主机地址记录",
        question="邮件主机名是否解析到登记的地址？",
        ask=_ask_addresses,
        parse=_parse_addresses,
        judge=_judge_addresses,
        limits=NoLimits(),
        source="RFC 5321 §5.1；应与站点文件登记的地址一致",
        after=_RESOLVER,
    ),
    Check(
        name="dns.ptr",
        area=Area.DNS,
        title="反向解析",
        question="发信地址的反向解析是否与主机名一致？",
        ask=_ask_ptr,
        parse=_parse_ptr,
        judge=_judge_ptr,
        limits=NoLimits(),
        source="RFC 1912 §2.1；RFC 8601 §3（iprev）；Gmail 与 Outlook 的发件人要求",
        after=(*_RESOLVER, "dns.addresses"),
    ),
)

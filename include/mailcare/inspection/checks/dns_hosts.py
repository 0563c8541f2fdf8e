"""The DNS records that lead to the mail hosts: resolver, MX, addresses, reverse names.

Severities of all DNS checks: CRITICAL where mail for everybody stops or is refused, WARNING where
some receivers will refuse or distrust it, NOTICE where protection is weaker than it could be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from dns import reversename

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
from mailcare.inspection.levels import NoLimits
from mailcare.inspection.lookups import Lookups, normal_name, read_lookups
from mailcare.inspection.probes import dns_ask, dns_questions, mail_hosts, unseen
from mailcare.inspection.transcript import read_transcript
from mailcare.systems.site import Node, Role
from mailcare.systems.system import System

_RESOLVER = ("dns.resolver",)


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
        yield Verdict(
            Severity.OK,
            f"解析服务器 {fact.resolver} 应答正常",
            evidence=tuple(filter(None, [fact.soa])),
        )


@dataclass(frozen=True, slots=True)
class MxHost:
    """One mail exchanger and where it leads; `is_alias` where its name is a CNAME."""

    name: str
    preference: int
    addresses: tuple[str, ...]
    is_alias: bool = False


@dataclass(frozen=True, slots=True)
class MxFlaw:
    """One thing that is wrong with the mail exchangers."""

    severity: Severity
    text: str


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
    if name == ".":
        return MxHost("", preference, ())
    addresses = lookups.addresses(name)
    return MxHost(normal_name(name), preference, addresses, lookups.find("A", name).is_alias())


def _judge_mx(hosts: tuple[MxHost, ...], _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    nodes = mail_hosts(subject.system)
    wanted = "、".join(node.hostname for node in nodes)
    advice = f"请在 DNS 中把 MX 记录改为 {wanted}，并确认其地址记录正确。"
    rows = tuple(f"MX {one.preference} {one.name} → {_listed(one.addresses)}" for one in hosts)
    flaws = [*_mx_flaws(hosts, subject.system)]
    names = "、".join(host.name for host in hosts)
    if not hosts:
        summary = f"没有 MX 记录，应指向 {wanted}"
        yield Verdict(Severity.CRITICAL, summary, advice, rows)
    elif flaws:
        summary = f"{'；'.join(flaw.text for flaw in flaws)}；应指向 {wanted}"
        yield Verdict(max(flaw.severity for flaw in flaws), summary, advice, rows)
    else:
        yield Verdict(Severity.OK, f"MX 指向 {names}，与登记的主机一致", "", rows)


def _mx_flaws(hosts: tuple[MxHost, ...], system: System) -> Iterator[MxFlaw]:
    first = min((host.preference for host in hosts), default=0)
    for host in hosts:
        if trouble := _mx_trouble(host):
            # RFC 5321 §5.1: senders go on to the next exchanger, after a delay.
            severity = Severity.CRITICAL if host.preference == first else Severity.WARNING
            yield MxFlaw(severity, trouble)
        elif host.preference == first and not is_ours(host.name, host.addresses, system):
            place = f"{host.name}（{_listed(host.addresses)}）"
            yield MxFlaw(Severity.CRITICAL, f"MX 指向 {place}，不是登记的邮件主机")
        elif host.is_alias:
            text = f"MX 主机 {host.name} 是别名（CNAME），部分外域会拒绝投递"
            yield MxFlaw(Severity.WARNING, text)
    names = [host.name for host in hosts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        yield MxFlaw(Severity.NOTICE, f"MX 主机 {'、'.join(twice)} 重复登记")


def _mx_trouble(host: MxHost) -> str:
    if not host.name:
        return "MX 为「.」，声明本域不收邮件"
    if _is_address(host.name):
        return f"MX 写成了地址 {host.name}，应为主机名"
    return "" if host.addresses else f"MX 主机 {host.name} 没有地址记录"


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def is_ours(name: str, addresses: tuple[str, ...], system: System) -> bool:
    """Tell whether a mail exchanger is a mail host, a gateway or a virtual address, as declared."""
    nodes = (*system.nodes_of(Role.MAIL), *system.nodes_of(Role.OTHER))
    virtual = system.site.virtual_addresses
    if name in {normal_name(one.hostname) for one in (*nodes, *virtual)}:
        return True
    if any(_leads_to(node, addresses) for node in nodes):
        return True
    return any(_same(one.address, addresses) for one in virtual)


def _leads_to(node: Node, addresses: tuple[str, ...]) -> bool:
    return _same(node.address, addresses) or _same(node.seen_address, addresses)


def _same(address: str, others: tuple[str, ...]) -> bool:
    return any(ip_address(address) == ip_address(other) for other in others)


def _listed(words: tuple[str, ...]) -> str:
    return "、".join(words) or "无"


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """A host name and its addresses; mail for everybody is sent to an exchanger."""

    name: str
    addresses: tuple[str, ...]
    is_exchanger: bool


def _ask_addresses(system: System) -> Iterator[Question]:
    exchangers = tuple(dns_ask("mx", domain.name) for domain in system.site.domains)
    for node in mail_hosts(system):
        for name in dict.fromkeys(filter(None, (node.hostname, node.web_name))):
            asks = (dns_ask("hosts", name), *exchangers)
            yield Question(Target(node.name, part=name), asks)


def _parse_addresses(replies: tuple[Reply, ...]) -> HostAddresses:
    lookups = read_lookups(*replies)
    name = normal_name(next(lookups.all()).name)
    exchangers = {
        normal_name(rdata.to_text().split()[1])
        for lookup in lookups.all()
        if lookup.rdtype == "MX"
        for rdata in lookup.records()
    }
    return HostAddresses(name, lookups.addresses(name), name in exchangers)


def _judge_addresses(host: HostAddresses, _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    node = subject.system.node(subject.target.node)
    wanted = node.seen_address
    found = _listed(host.addresses)
    rows = tuple(f"{host.name} → {address}" for address in host.addresses)
    if not host.addresses and "." not in host.name:
        raise ReplyError(f"站点文件登记的 {host.name} 不是完整的域名，无法查询，请改为完整域名")
    if not host.addresses:
        advice = f"请为 {host.name} 添加地址记录（登记地址 {wanted}）。"
        summary = f"{host.name} 没有地址记录，应为 {wanted}"
        yield Verdict(Severity.CRITICAL, summary, advice, rows)
    elif any(_same(one, host.addresses) for one in _places(host.name, node, subject.system)):
        yield _right_place(host, subject.system, rows)
    elif not node.is_seen and ip_address(host.addresses[0]).is_global:
        summary = f"{host.name} 解析为公网地址 {found}，登记的是内网地址 {wanted}"
        yield Verdict(Severity.NOTICE, summary, "请确认防火墙的地址转换指向该主机。", rows)
    else:
        severity = Severity.CRITICAL if host.is_exchanger else Severity.WARNING
        use = "，外来邮件按此地址投递" if host.is_exchanger else ""
        advice = "请更正地址记录；若主机已迁移，请更新站点文件。"
        yield Verdict(severity, f"{host.name} 解析为 {found}，应为 {wanted}{use}", advice, rows)


def _places(name: str, node: Node, system: System) -> Iterator[str]:
    """Yield the addresses to which a host's name may lead, those in front of it included."""
    for one in system.nodes_of(Role.MAIL):
        is_shared = name in {normal_name(one.hostname), normal_name(one.web_name or "")}
        if one == node or is_shared:
            yield from (one.address, one.seen_address)
    yield from (one.address for one in system.site.virtual_addresses if node.name in one.nodes)
    if name != normal_name(node.hostname):  # a proxy may stand before the webmail
        for proxy in system.nodes_of(Role.OTHER):
            yield from (proxy.address, proxy.seen_address)


def _right_place(host: HostAddresses, system: System, rows: tuple[str, ...]) -> Verdict:
    found, strange = _listed(host.addresses), _undeclared(host.addresses, system)
    if not strange:
        return Verdict(Severity.OK, f"{host.name} 解析为 {found}，与登记地址一致", "", rows)
    summary = f"{host.name} 解析为 {found}，其中 {_listed(strange)} 没有登记"
    advice = "请确认多出的地址仍在使用并可提供服务，登记到站点文件；已停用的请从 DNS 删除。"
    return Verdict(Severity.NOTICE, summary, advice, rows)


def _undeclared(addresses: tuple[str, ...], system: System) -> tuple[str, ...]:
    """Return the addresses that the site file lacks; it has one address of each host only."""
    nodes = system.site.nodes
    known = {
        *(ip_address(one.address) for one in (*nodes, *system.site.virtual_addresses)),
        *(ip_address(one.seen_address) for one in nodes),
    }
    versions = {one.version for one in known}
    found = (one for one in addresses if ip_address(one).version in versions)
    return tuple(one for one in found if ip_address(one) not in known)


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
    if right := sorted(_sender_names(node, subject.system).intersection(confirmed)):
        yield Verdict(Severity.OK, f"反向解析为 {_listed(tuple(right))}，正反一致", "", rows)
        return
    if "." not in hostname:
        raise ReplyError(f"站点文件登记的 {hostname} 不是完整的域名，无法与反向解析 {names} 核对")
    if not reverse.names:
        problem = f"{address} 没有反向解析"
    elif hostname in dict(reverse.names):
        problem = f"反向解析 {hostname} 不能解析回 {address}"
    else:
        problem = f"反向解析为 {names}"
    advice = f"请向线路运营商申请把 {address} 的反向解析设为 {hostname}。"
    yield Verdict(Severity.WARNING, f"{problem}，应为 {hostname}，部分外域会拒收", advice, rows)


def _sender_names(node: Node, system: System) -> set[str]:
    """Return the names that a host's address may have: of all hosts behind it, of its clusters."""
    sharing = (one for one in system.nodes_of(Role.MAIL) if one.seen_address == node.seen_address)
    virtual = (one for one in system.site.virtual_addresses if node.name in one.nodes)
    return {normal_name(one.hostname) for one in (node, *sharing, *virtual)}


_INTERNAL = ip_network("fc00::/7")  # RFC 4193: nobody outside ever sees them


@dataclass(frozen=True, slots=True)
class Ipv6Names:
    """A host's published IPv6 addresses, and those of them without a reverse name."""

    addresses: tuple[str, ...]
    nameless: tuple[str, ...]


def _ask_ptr6(system: System) -> Iterator[Question]:
    for node in mail_hosts(system):
        ask = dns_ask("ptr6", node.hostname)
        yield Question(Target(node.name, part=node.hostname), (ask,))


def _parse_ptr6(replies: tuple[Reply, ...]) -> Ipv6Names:
    lookups = read_lookups(*replies)
    found = lookups.records("AAAA", next(lookups.all()).name)
    texts = (rdata.to_text() for rdata in found)
    addresses = tuple(one for one in texts if ip_address(one) not in _INTERNAL)
    reverse = {one: str(reversename.from_address(one)) for one in addresses}
    nameless = (one for one in addresses if not lookups.records("PTR", reverse[one]))
    return Ipv6Names(addresses, tuple(nameless))


def _judge_ptr6(names: Ipv6Names, _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    hostname = subject.target.part
    rows = tuple(f"{hostname} → {address}" for address in names.addresses)
    if names.nameless:
        listed = _listed(names.nameless)
        summary = f"IPv6 地址 {listed} 没有反向解析，应为 {hostname}，经 IPv6 外发的邮件会被拒收"
        advice = "请申请 IPv6 反向解析，或撤下 AAAA 记录并让邮件服务只用 IPv4 外发。"
        yield Verdict(Severity.WARNING, summary, advice, rows)
    elif names.addresses:
        summary = f"{hostname} 的 IPv6 地址均有反向解析（应全部有）"
        yield Verdict(Severity.OK, summary, evidence=rows)
    else:
        yield Verdict(Severity.OK, f"{hostname} 没有 IPv6 地址记录（内部地址不计），无需反向解析")


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
        after=(*_RESOLVER, "dns.addresses"),
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
    Check(
        name="dns.ptr6",
        area=Area.DNS,
        title="IPv6 反向解析",
        question="发布了 IPv6 地址的邮件主机是否有 IPv6 反向解析？",
        ask=_ask_ptr6,
        parse=_parse_ptr6,
        judge=_judge_ptr6,
        limits=NoLimits(),
        source="RFC 1912 §2.1；Gmail 发件人要求：经 IPv6 发信的地址必须有反向解析",
        after=_RESOLVER,
    ),
)

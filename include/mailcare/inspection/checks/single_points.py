"""Single points of failure: where the loss of one thing is enough to stop the mail."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from mailcare.inspection.check import (
    Area,
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
from mailcare.inspection.hosts import LOGIN_FIRST, first_line, host_ask, lines_of, output_of
from mailcare.inspection.levels import NoLimits
from mailcare.inspection.lookups import (
    Exchangers,
    exchanger_row,
    exchangers_in,
    normal_name,
    read_lookups,
)
from mailcare.inspection.probes import dns_ask, mail_hosts
from mailcare.systems.site import Deployment, Role
from mailcare.systems.system import System

# The second one holds what stands behind systemd-resolved's own 127.0.0.53.
_RESOLVER_FILES = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")


@dataclass(frozen=True, slots=True)
class Point:
    """A place where one loss is enough; `is_advice` where it is a matter of prudence only."""

    text: str
    is_advice: bool = False


@dataclass(frozen=True, slots=True)
class Entrances:
    """The exchangers and name servers through which mail finds the system."""

    exchangers: Exchangers
    name_servers: tuple[str, ...]


def _ask_entrances(system: System) -> Iterator[Question]:
    mail_hosts(system)
    for domain in system.site.domains:
        asks = (dns_ask("mx", domain.name), dns_ask("lookup", "NS", domain.name))
        yield Question(Target(part=domain.name), asks)
    for node in system.nodes_of(Role.MAIL):
        ask, behind = (host_ask(node, "cat", file) for file in _RESOLVER_FILES)
        yield Question(Target(node.name), (ask,), (behind,))


def _parse_entrances(replies: tuple[Reply, ...]) -> Entrances | tuple[str, ...]:
    """Read a domain's entrances, or the name servers that a host asks."""
    if replies[0].source.startswith("dns:"):
        named = read_lookups(replies[-1])
        records = named.records("NS", next(named.all()).name)
        servers = tuple(normal_name(record.to_text()) for record in records)
        return Entrances(exchangers_in(read_lookups(replies[0])), servers)
    servers = _name_servers(output_of(replies[0], "cat /etc/resolv.conf"))
    if not servers:
        raise ReplyError(f"/etc/resolv.conf 中没有 nameserver：{first_line(replies[0].text)}")
    if not all(map(_is_own, servers)):
        return servers
    behind = [one for reply in replies[1:] for one in _name_servers(reply.text)]
    if not behind:
        raise DoesNotApply(f"主机使用本机的 DNS 服务 {servers[0]}，resolv.conf 不登记其上游")
    return tuple(behind)


def _name_servers(text: str) -> tuple[str, ...]:
    lines = (line.split() for line in lines_of(text))
    servers = (words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1)
    return tuple(dict.fromkeys(servers))


def _is_own(server: str) -> bool:
    return server.startswith("127.") or server in ("::1", "0.0.0.0")  # noqa: S104 - a resolver's name


def _judge_entrances(
    fact: Entrances | tuple[str, ...], _limits: NoLimits, subject: Subject
) -> Iterator[Verdict]:
    if isinstance(fact, Entrances):
        points = [*_entrance_points(fact, subject.system), *_system_points(subject)]
        rows = tuple(exchanger_row(one) for one in fact.exchangers)
        rows += (f"NS {'、'.join(fact.name_servers) or '无'}",)
    else:
        points = _resolver_points(fact)
        rows = tuple(f"nameserver {server}" for server in fact)
    deployment = subject.system.site.system.deployment
    label = deployment.label
    if not points:
        yield Verdict(Severity.OK, f"没有发现单点（部署方式：{label}）", evidence=rows)
        return
    is_single = deployment is Deployment.SINGLE
    is_advice = is_single or all(point.is_advice for point in points)
    yield Verdict(
        Severity.NOTICE if is_advice else Severity.WARNING,
        f"部署方式为{label}，单点 {len(points)} 处：{'；'.join(one.text for one in points)}",
        "单机部署的单点为已知风险，请确认恢复预案与备份。"
        if is_single
        else "请逐项增加第二台或第二条，使任一处停机时邮件服务不中断。",
        rows,
    )


def _resolver_points(servers: tuple[str, ...]) -> list[Point]:
    return [] if len(servers) > 1 else [Point(f"主机只用一台 DNS 服务器 {servers[0]}")]


def _entrance_points(fact: Entrances, system: System) -> Iterator[Point]:
    names = {name for name, _ in fact.exchangers}
    addresses = {one for _, found in fact.exchangers for one in found}
    networks = {_network(address) for address in addresses}
    if not any(_is_shared(one, system) for one in fact.exchangers):
        if len(names) == 1:
            yield Point("只有一个 MX 主机")
        if len(addresses) == 1:
            yield Point("MX 只有一个地址")
    if len(addresses) > 1 and len(networks) == 1:
        yield Point(f"全部 MX 地址在同一网段 {networks.pop()}", is_advice=True)
    if len(fact.name_servers) == 1:
        yield Point("只有一台权威 DNS 服务器")


def _is_shared(exchanger: tuple[str, tuple[str, ...]], system: System) -> bool:
    """Tell whether an exchanger is a virtual address that another host takes over."""
    name, addresses = exchanger
    return any(
        len(one.nodes) > 1 and (name == normal_name(one.hostname) or one.address in addresses)
        for one in system.site.virtual_addresses
    )


def _network(address: str) -> str:
    prefix = 24 if ip_address(address).version == 4 else 48
    return str(ip_network(f"{address}/{prefix}", strict=False))


def _system_points(subject: Subject) -> Iterator[Point]:
    """Yield what is no matter of a domain; of several domains the first one tells it."""
    site = subject.system.site
    if subject.target.part != site.domains[0].name:
        return
    if len(subject.system.nodes_of(Role.MAIL)) == 1:
        yield Point("只有一台邮件主机")
    for store in site.stores:
        if not store.mirrored:
            yield Point(f"存储「{store.title}」没有镜像")


CHECKS = (
    Check(
        name="cluster.single_points",
        area=Area.CLUSTER,
        title="单点",
        question="哪些地方坏一处就会中断邮件服务？",
        ask=_ask_entrances,
        parse=_parse_entrances,
        judge=_judge_entrances,
        limits=NoLimits(),
        source="RFC 2182 §3（权威服务器应在不同网络）；RFC 5321 §5.1（多个 MX）；resolv.conf(5)",
        after=(*LOGIN_FIRST, "dns.resolver", "dns.mx"),
    ),
)

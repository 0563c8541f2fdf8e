"""How the system is built: what is declared against what answers, and where one loss is enough.

Every host is asked itself, not only the virtual address in front of it: a pair of which one half
has been dead for months looks healthy from outside.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from mailcare.inspection.certificate import Certificate, read_certificate
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
from mailcare.inspection.checks.dns_hosts import is_ours
from mailcare.inspection.dialogues import Connection, read_attempt
from mailcare.inspection.hosts import (
    LOGIN_FIRST,
    first_line,
    host_ask,
    lines_of,
    output_of,
    whole_output_of,
)
from mailcare.inspection.levels import NoLimits
from mailcare.inspection.lookups import exchangers_in, normal_name, read_lookups
from mailcare.inspection.probes import TALK_S, dns_ask, mail_hosts, port_ask
from mailcare.inspection.transcript import read_transcript
from mailcare.systems.profile import Listener, TlsMode
from mailcare.systems.site import Deployment, Node, Role, VirtualAddress
from mailcare.systems.system import System

Exchangers = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one address that were tried, and those that accepted."""

    tried: tuple[int, ...]
    accepting: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """The exchangers of all domains, and what each address that was tried accepts."""

    exchangers: Exchangers
    ports: dict[str, Ports]


def _ask_declared(system: System) -> Iterator[Question]:
    lookups = tuple(dns_ask("mx", domain.name) for domain in system.site.domains)
    ports = tuple(
        port_ask(node.name, node.address, listener.port)
        for node in mail_hosts(system)
        for listener in system.profile.need("listeners")
        if listener.public  # the others are looked at from inside, by `service.listeners`
    )
    target = Target(part=system.site.system.deployment.label)
    yield Question(target, (*lookups, *ports))


def _parse_declared(replies: tuple[Reply, ...]) -> Shape:
    lookups, attempts = _apart(replies)
    return Shape(exchangers_in(read_lookups(*lookups)), _ports(attempts))


def _apart(replies: tuple[Reply, ...]) -> tuple[list[Reply], list[Reply]]:
    """Divide the replies into lookups and dialogues with a port."""
    lookups, others = list[Reply](), list[Reply]()
    for reply in replies:
        is_lookup = read_transcript(reply).event("resolver") is not None
        (lookups if is_lookup else others).append(reply)
    return lookups, others


def _ports(attempts: list[Reply]) -> dict[str, Ports]:
    tried: dict[str, Ports] = {}
    for reply in attempts:
        attempt = read_attempt(reply)
        address = (read_transcript(reply).event("connecting") or "").partition(" ")[0]
        before = tried.get(address, Ports((), ()))
        made = (attempt.port,) if attempt.connection is Connection.MADE else ()
        tried[address] = Ports((*before.tried, attempt.port), (*before.accepting, *made))
    return tried


def _judge_declared(shape: Shape, _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    system = subject.system
    label = system.site.system.deployment.label
    problems = [
        *_count_problems(shape, system),
        *_silent_nodes(shape, system),
        *_foreign_exchangers(shape, system),
        *_unused_nodes(shape, system),
    ]
    rows = (*_node_rows(shape, system), *(_exchanger_row(one) for one in shape.exchangers))
    if problems:
        advice = "请核对实际部署：恢复没有应答的主机，更正 DNS，或更新站点文件的登记。"
        summary = f"登记为{label}，与实际不符：{'；'.join(problems)}；应与登记一致"
        yield Verdict(Severity.WARNING, summary, advice, rows)
    else:
        nodes = system.nodes_of(Role.MAIL)
        summary = f"登记为{label}：{len(nodes)} 台邮件主机各自应答，MX 均指向登记的主机"
        yield Verdict(Severity.OK, summary, evidence=rows)


def _node_rows(shape: Shape, system: System) -> Iterator[str]:
    for node in system.nodes_of(Role.MAIL):
        ports = shape.ports.get(node.address, Ports((), ()))
        missing = [str(port) for port in ports.tried if port not in ports.accepting]
        note = f"，无应答：{'、'.join(missing)}" if missing else ""
        count = f"{len(ports.tried)} 个端口中 {len(ports.accepting)} 个应答"
        yield f"{node.name}（{node.address}）：{count}{note}"


def _exchanger_row(exchanger: tuple[str, tuple[str, ...]]) -> str:
    return f"MX {exchanger[0]} → {'、'.join(exchanger[1]) or '无'}"


def _count_problems(shape: Shape, system: System) -> Iterator[str]:
    deployment, nodes = system.site.system.deployment, system.nodes_of(Role.MAIL)
    if deployment is Deployment.SINGLE:
        if len(nodes) > 1:
            yield f"登记了 {len(nodes)} 台邮件主机"
        return
    answering = [node for node in nodes if _accepting(shape, node)]
    if len(nodes) < 2:
        yield "只登记了 1 台邮件主机"
    elif len(answering) < 2:
        yield f"{len(nodes)} 台邮件主机中只有 {len(answering)} 台应答"


def _accepting(shape: Shape, node: Node) -> tuple[int, ...]:
    ports = shape.ports.get(node.address)
    return ports.accepting if ports else ()


def _silent_nodes(shape: Shape, system: System) -> Iterator[str]:
    for node in system.nodes_of(Role.MAIL):
        tried = shape.ports.get(node.address, Ports((), ())).tried
        missing = sorted(set(tried) - set(_accepting(shape, node)))
        if missing:
            yield f"{node.name} 自身的 {'、'.join(map(str, missing))} 端口没有应答"


def _foreign_exchangers(shape: Shape, system: System) -> Iterator[str]:
    for name, addresses in shape.exchangers:
        if not is_ours(name, addresses, system):
            yield f"MX 中有未登记的主机 {name}（{'、'.join(addresses) or '无地址'}）"


def _unused_nodes(shape: Shape, system: System) -> Iterator[str]:
    """Name the declared mail hosts to which neither an exchanger nor a virtual address leads."""
    if system.site.system.deployment is Deployment.SINGLE:
        return
    behind = {name for one in system.site.virtual_addresses for name in one.nodes}
    names = {name for name, _ in shape.exchangers}
    led_to = {address for _, addresses in shape.exchangers for address in addresses}
    if any(_is_gateway(one, system) for one in shape.exchangers):
        return
    for node in system.nodes_of(Role.MAIL):
        is_named = node.name in behind or normal_name(node.hostname) in names
        if not is_named and led_to.isdisjoint({node.address, node.seen_address}):
            yield f"没有 MX 或虚拟地址指向 {node.name}"


def _is_gateway(exchanger: tuple[str, tuple[str, ...]], system: System) -> bool:
    """Tell whether an exchanger is a declared host that passes the mail on to the mail hosts."""
    name, addresses = exchanger
    return any(
        name == normal_name(one.hostname)
        or not {one.address, one.seen_address}.isdisjoint(addresses)
        for one in system.nodes_of(Role.OTHER)
    )


def _virtual(subject: Subject) -> VirtualAddress:
    """Return the virtual address that a target names."""
    own = subject.target.part
    return next(one for one in subject.system.site.virtual_addresses if one.name == own)


def _virtual_target(address: VirtualAddress) -> Target:
    return Target(part=address.name)


@dataclass(frozen=True, slots=True)
class Front:
    """What a virtual address accepts, and the certificates that it shows."""

    ports: Ports
    certificates: tuple[Certificate, ...]


def _ask_front(system: System) -> Iterator[Question]:
    for address in system.site.virtual_addresses:
        public = [one for one in system.profile.need("listeners") if one.public]
        # The first host stands for the address: its SMTP server is then talked to one at a time.
        node = address.nodes[0]
        connects = (port_ask(node, address.address, one.port) for one in public)
        secured = [one for one in public if one.tls is TlsMode.IMPLICIT] or [
            one for one in public if one.tls is TlsMode.STARTTLS
        ]
        shown = (_front_ask(node, address, one) for one in secured[:1])
        yield Question(_virtual_target(address), (*connects, *shown))


def _front_ask(node: str, address: VirtualAddress, listener: Listener) -> Ask:
    server = (address.address, str(listener.port), listener.tls.value, address.hostname)
    return Ask(Channel.TLS, ("certificate", *server, listener.protocol.value), TALK_S, node)


def _parse_front(replies: tuple[Reply, ...]) -> Front:
    connects = [one for one in replies if _is_connect(one)]
    addresses = list(_ports(connects).values())
    if len(addresses) != 1:
        raise ReplyError("回复中没有虚拟地址的连接记录")
    certificates: list[Certificate] = []
    for reply in replies:
        if not _is_connect(reply) and read_attempt(reply).connection is Connection.MADE:
            certificates.append(read_certificate(reply))
    return Front(addresses[0], tuple(certificates))


def _is_connect(reply: Reply) -> bool:
    return read_transcript(reply).event("server-name") is None


def _judge_front(front: Front, _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    address = _virtual(subject)
    place = f"虚拟地址 {address.address}（{address.hostname}）"
    missing = [str(port) for port in front.ports.tried if port not in front.ports.accepting]
    strange = [one for one in front.certificates if not one.covers(address.hostname)]
    rows = (f"应答的端口：{'、'.join(map(str, front.ports.accepting)) or '无'}",)
    if missing:
        yield Verdict(
            Severity.CRITICAL,
            f"{place}的 {'、'.join(missing)} 端口没有应答，应全部应答",
            "请检查该地址由哪台主机持有、其服务是否监听该地址，以及防火墙规则。",
            rows,
        )
    elif strange:
        names = "、".join(strange[0].names) or "无"
        yield Verdict(
            Severity.CRITICAL,
            f"{place}出示的证书不含该名称（证书内名称：{names}）",
            "请为持有虚拟地址的全部主机安装包含该名称的证书。",
            rows,
        )
    else:
        count = len(front.ports.tried)
        yield Verdict(Severity.OK, f"{place}的 {count} 个端口均有应答，证书名称相符", "", rows)


_LEAF = re.compile(r"^\s*\|-- ([0-9.]{7,15})\s*$")
_LOCAL = re.compile(r"^\s*/32 host LOCAL\s*$")


@dataclass(frozen=True, slots=True)
class Holding:
    """The addresses of each host that was asked, in the order of the asks."""

    addresses: tuple[frozenset[str], ...]


def _ask_holder(system: System) -> Iterator[Question]:
    for address in system.site.virtual_addresses:
        is_old = ip_address(address.address).version == 4
        table = "/proc/net/fib_trie" if is_old else "/proc/net/if_inet6"
        asks = tuple(host_ask(system.node(name), "cat", table) for name in address.nodes)
        yield Question(_virtual_target(address), asks)


def _parse_holder(replies: tuple[Reply, ...]) -> Holding:
    return Holding(tuple(_own_addresses(reply) for reply in replies))


def _own_addresses(reply: Reply) -> frozenset[str]:
    lines = lines_of(whole_output_of(reply, "cat /proc/net/fib_trie"))
    found: set[str] = set()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if (leaf := _LEAF.match(line)) and _LOCAL.match(following):
            found.add(leaf[1])
        elif len(line.split()) == 6 and (own := _ipv6(line.split()[0])):
            found.add(own)
    if not found:
        raise ReplyError(f"没有读到主机自身的地址：{first_line(reply.text)}")
    return frozenset(found)


def _ipv6(digits: str) -> str:
    """Read an address as /proc/net/if_inet6 writes it, empty where it is none."""
    try:
        return str(ip_address(bytes.fromhex(digits))) if len(digits) == 32 else ""
    except ValueError:
        return ""


def _judge_holder(holding: Holding, _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    address = _virtual(subject)
    rows = tuple(
        f"{name}：{'持有' if address.address in own else '未持有'}"
        for name, own in zip(address.nodes, holding.addresses, strict=False)
    )
    holders = [row.partition("：")[0] for row in rows if row.endswith("：持有")]
    place = f"虚拟地址 {address.address}"
    if len(holders) == 1:
        yield Verdict(Severity.OK, f"{place} 由 {holders[0]} 持有（应恰有一台）", evidence=rows)
    elif holders:
        yield Verdict(
            Severity.CRITICAL,
            f"{place} 同时由 {'、'.join(holders)} 持有，应恰有一台",
            "疑为脑裂：请立即检查心跳线路与集群软件，确认由一台持有后再恢复另一台；"
            "负载均衡直接路由（LVS-DR）模式除外，此时请只登记负载均衡主机。",
            rows,
        )
    else:
        yield Verdict(
            Severity.CRITICAL,
            f"{place} 没有主机持有（查了 {'、'.join(address.nodes)}），应恰有一台",
            "请检查集群软件（如 keepalived、heartbeat）是否运行，并由一台主机接管该地址；"
            "由独立的负载均衡设备持有的，请在站点文件把该设备登记为 nodes。",
            rows,
        )


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
        rows = tuple(_exchanger_row(one) for one in fact.exchangers)
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


@dataclass(frozen=True, slots=True)
class UserLimits:
    """How far the hosts' numbers of mailboxes may lie apart, in per cent of the largest."""

    apart_pct: float


_DEPTH = ("-mindepth", "2", "-maxdepth", "2", "-type", "d")
# The names of the mailboxes stay on the host: only their number is printed.
_COUNT = (
    'users=$(find "$0/" "$@" 2>/dev/null) || users=$(sudo -n find "$0/" "$@") || exit 1; '
    'printf "%s" "$users" | grep -c . || :'
)


def _ask_users(system: System) -> Iterator[Question]:
    if system.site.system.deployment is not Deployment.DISTRIBUTED:
        return
    store = system.profile.need("mail_store")
    words = ("sh", "-c", _COUNT, store, *_DEPTH)
    asks = tuple(host_ask(node, *words, timeout_s=30) for node in mail_hosts(system))
    yield Question(Target(part="用户目录"), asks)


def _parse_users(replies: tuple[Reply, ...]) -> tuple[int, ...]:
    return tuple(_user_count(reply) for reply in replies)


def _user_count(reply: Reply) -> int:
    text = reply.text.strip()
    if reply.exit_code != 0 or not text.isdecimal() or not text.isascii() or len(text) > 12:
        raise ReplyError(
            "无法统计邮件存储目录：请给巡检账号该目录的读取权限，或允许其 sudo find "
            f"（退出码 {reply.exit_code}：{first_line(text)}）"
        )
    return int(text)


def _judge_users(
    counts: tuple[int, ...], limits: UserLimits, subject: Subject
) -> Iterator[Verdict]:
    names = [node.name for node in mail_hosts(subject.system)]
    rows = tuple(f"{name}：{count} 个" for name, count in zip(names, counts, strict=False))
    most, least = max(counts), min(counts)
    if not most:
        raise ReplyError("各主机的邮件存储目录中都没有用户目录，请核对产品档案的 mail_store")
    apart_pct = 100 * (most - least) / most
    summary = f"各主机的用户目录数为 {'、'.join(map(str, counts))}，相差 {apart_pct:.1f}%"
    limit = f"（上限 {limits.apart_pct:g}%）"
    if apart_pct > limits.apart_pct:
        advice = "请检查各站点之间的用户同步任务及其日志，补齐缺少的用户。"
        yield Verdict(Severity.WARNING, summary + limit, advice, rows, {"apart_pct": apart_pct})
    else:
        yield Verdict(Severity.OK, summary + limit, "", rows, {"apart_pct": apart_pct})


_ENTRY = ("network.reach", "service.processes", "service.ports", "service.steadiness")

CHECKS = (
    Check(
        name="cluster.declared",
        area=Area.CLUSTER,
        title="部署情况",
        question="登记的部署方式与实际应答的主机、MX 是否一致？",
        ask=_ask_declared,
        parse=_parse_declared,
        judge=_judge_declared,
        limits=NoLimits(),
        source="站点文件 deployment、nodes、virtual_addresses；服务方案附件 2「服务器部署情况」",
        after=(*_ENTRY, "dns.resolver", "dns.mx"),
    ),
    Check(
        name="cluster.address_holder",
        area=Area.CLUSTER,
        title="虚拟地址持有者",
        question="虚拟地址是否恰由一台主机持有？",
        ask=_ask_holder,
        parse=_parse_holder,
        judge=_judge_holder,
        limits=NoLimits(),
        source="RFC 9568 §1（同一时刻只有一台为主）；proc(5) /proc/net/fib_trie",
        after=LOGIN_FIRST,
    ),
    Check(
        name="cluster.virtual_address",
        area=Area.CLUSTER,
        title="虚拟地址应答",
        question="虚拟地址的对外端口是否都应答，证书是否相符？",
        ask=_ask_front,
        parse=_parse_front,
        judge=_judge_front,
        limits=NoLimits(),
        source="产品档案 listeners（public）；站点文件 virtual_addresses；RFC 9525 §6",
        after=(*_ENTRY, "tls.handshake", "tls.certificate", "tls.names", "cluster.address_holder"),
    ),
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
    Check(
        name="cluster.user_counts",
        area=Area.CLUSTER,
        title="分布式用户同步",
        question="分布式部署中各主机的用户数是否一致？",
        ask=_ask_users,
        parse=_parse_users,
        judge=_judge_users,
        limits=UserLimits(apart_pct=1),
        source="产品分布式方案：用户列表定期同步到所有站点；上限为本公司经验值",
        after=LOGIN_FIRST,
    ),
)

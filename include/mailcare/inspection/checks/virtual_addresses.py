"""Virtual addresses: which host holds each, and whether all that it should offer answers there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from mailcare.inspection.certificate import Certificate, read_certificate
from mailcare.inspection.check import (
    Area,
    Ask,
    Channel,
    Check,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.dialogues import Connection, Ports, ports_of, read_attempt
from mailcare.inspection.hosts import LOGIN_FIRST, first_line, host_ask, lines_of, whole_output_of
from mailcare.inspection.levels import NoLimits
from mailcare.inspection.probes import TALK_S, port_ask
from mailcare.inspection.transcript import read_transcript
from mailcare.systems.profile import Listener, TlsMode
from mailcare.systems.site import VirtualAddress
from mailcare.systems.system import System


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
    addresses = list(ports_of(connects).values())
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


_ENTRY = ("network.reach", "service.processes", "service.ports", "service.steadiness")

CHECKS = (
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
)

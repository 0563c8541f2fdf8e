"""Inside against outside: what listens on the host must answer from the network, too.

The host's own list of listening sockets and the worker's attempts to connect are joined in one
verdict, so that a wall between the two is not taken for a service that is down. It leads then:
`service.ports` names it as its cause.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from mailcare.inspection.check import (
    Area,
    Ask,
    Check,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Verdict,
)
from mailcare.inspection.checks.listeners import LISTENING, Socket, read_sockets
from mailcare.inspection.dialogues import CONNECTION_TEXT, Attempt, Connection, read_attempt
from mailcare.inspection.hosts import LOGIN_FIRST, host_ask
from mailcare.inspection.probes import endpoint_at, endpoint_target, port_ask
from mailcare.systems.site import Node
from mailcare.systems.system import System


@dataclass(frozen=True, slots=True)
class Views:
    """The sockets seen inside, and the attempts from outside: None where no way leads there."""

    sockets: tuple[Socket, ...]
    attempts: tuple[Attempt | None, ...]


@dataclass(frozen=True, slots=True)
class VantageLimits:
    """No number: a public port that is listened on accepts a connection from outside."""


def _ask(system: System) -> Iterator[Question]:
    for endpoint in system.endpoints():
        if endpoint.listener.public:
            node, port = endpoint.node, endpoint.listener.port
            tries = (port_ask(node.name, address, port) for address in _addresses(node))
            asks: tuple[Ask, ...] = (host_ask(node, *LISTENING), *tries)
            yield Question(endpoint_target(endpoint), asks)


def _addresses(node: Node) -> tuple[str, ...]:
    return tuple(dict.fromkeys((node.address, node.seen_address)))


def _parse(replies: tuple[Reply, ...]) -> Views:
    attempts = tuple(_attempt(reply) for reply in replies[1:])
    if not any(attempts):
        read_attempt(replies[1])
    return Views(read_sockets(replies[0]), attempts)


def _attempt(reply: Reply) -> Attempt | None:
    try:
        return read_attempt(reply)
    except ReplyError:
        return None


def _judge(views: Views, _limits: VantageLimits, subject: Subject) -> Iterator[Verdict]:
    listener = endpoint_at(subject.system, subject.target).listener
    own = [one for one in views.sockets if one.port == listener.port and not one.is_loopback]
    name = f"{listener.name}（{listener.port} 端口）"
    if not own:
        raise ReplyError(f"{name}在主机上没有对外监听，无从比较内外")
    addresses = _addresses(subject.system.node(subject.target.node))
    tries = dict(zip(addresses, views.attempts, strict=True))
    answered = [address for address, one in tries.items() if one and _is_made(one)]
    rows = (*(one.row for one in own), *_rows(tries))
    outside = addresses[-1]
    if not answered and not any(_takes(one, address) for one in own for address in addresses):
        raise ReplyError(f"{name}没有在 {addresses[0]} 上监听（只在其他地址上），无从比较内外")
    if tries[outside] is None:
        raise ReplyError(f"巡检机没有到达 {outside} 的路由，无从比较内外")
    if outside in answered:
        yield Verdict(Severity.OK, f"{name}在主机上监听，从外部也能连接", evidence=rows)
    elif answered:
        summary = f"{name}在内网地址可以连接，在公网地址 {outside} {_result(tries[outside])}"
        yield Verdict(Severity.CRITICAL, f"{summary}，应能连接", _NAT_ADVICE, rows)
    else:
        summary = f"{name}在主机上正在监听，从巡检机{_result(tries[outside])}，应能连接"
        yield Verdict(Severity.CRITICAL, summary, _WALL_ADVICE, rows)


def _takes(own: Socket, address: str) -> bool:
    """Tell whether a socket takes connections to an address: to that one, or to any."""
    packed = ip_address(address).packed
    words = (packed[at : at + 4][::-1].hex() for at in range(0, len(packed), 4))
    return not own.address.strip("0") or own.address.endswith("".join(words).upper())


def _is_made(attempt: Attempt) -> bool:
    return attempt.connection is Connection.MADE


def _result(attempt: Attempt | None) -> str:
    return CONNECTION_TEXT[attempt.connection] if attempt else "没有可达的路由"


def _rows(tries: dict[str, Attempt | None]) -> Iterator[str]:
    return (f"巡检机 → {address}：{_result(one)}" for address, one in tries.items())


_WALL_ADVICE = (
    "服务本身在运行，连接被途中拦住：请检查主机防火墙（nft、iptables、firewalld）、"
    "云安全组与网络防火墙是否放行该端口；都放行时请运营商确认未封该端口。"
)
_NAT_ADVICE = (
    "服务本身正常：请检查出口防火墙的端口映射（NAT）与放行规则，再请运营商确认未封该端口；"
    "若巡检机就在内网，请先从外网复测，排除防火墙不支持内网回流。"
)

CHECKS = (
    Check(
        name="network.vantage",
        area=Area.NETWORK,
        title="内外对照",
        question="主机上正在监听的对外服务，从外部能否连接？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=VantageLimits(),
        source="服务方案「外部邮件无法收到」；产品档案 listeners 中 public 的端口应内外都能连接",
        after=("service.listeners", "service.processes", "service.steadiness", *LOGIN_FIRST),
    ),
)

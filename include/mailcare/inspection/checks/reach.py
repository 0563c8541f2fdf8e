"""Whether each host answers at all, and whether each declared service accepts connections."""

from collections.abc import Iterator
from dataclasses import dataclass

from mailcare.inspection.check import (
    Area,
    Ask,
    Check,
    Question,
    Reply,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.dialogues import CONNECTION_TEXT, Attempt, Connection, read_attempt
from mailcare.inspection.probes import ask_each, endpoint_at, port_ask
from mailcare.systems.profile import ProfileGap
from mailcare.systems.site import Node, Role
from mailcare.systems.system import Endpoint, System

_ANSWERS = frozenset({Connection.MADE, Connection.REFUSED})


@dataclass(frozen=True, slots=True)
class ReachLimits:
    """No number: one answer from any port is enough."""


def _ask_reach(system: System) -> Iterator[Question]:
    for node in system.site.nodes:
        if ports := _ports(system, node):
            asks = tuple(port_ask(node.name, node.address, port) for port in ports)
            yield Question(Target(node.name), asks)


def _ports(system: System, node: Node) -> tuple[int, ...]:
    ports = [node.ssh.port] if node.ssh else []
    if Role.MAIL in node.roles:
        ports.extend(_declared_ports(system))
    return tuple(dict.fromkeys(ports))


def _declared_ports(system: System) -> list[int]:
    # Whether the ports are known is the business of service.ports; SSH alone can show a host up.
    try:
        return [listener.port for listener in system.profile.need("listeners")]
    except ProfileGap:
        return []


def _parse_reach(replies: tuple[Reply, ...]) -> tuple[Attempt, ...]:
    return tuple(read_attempt(reply) for reply in replies)


def _judge_reach(
    attempts: tuple[Attempt, ...], _limits: ReachLimits, _subject: Subject
) -> Iterator[Verdict]:
    answering = [one for one in attempts if one.connection in _ANSWERS]
    if not answering:
        yield _unreachable(attempts)
        return
    times_ms = [one.connect_ms for one in attempts if one.connect_ms is not None]
    metrics = {"connect_ms": min(times_ms)} if times_ms else {}
    speed = f"，最快 {min(times_ms):.1f} 毫秒" if times_ms else ""
    summary = f"主机可达：{len(attempts)} 个端口中 {len(answering)} 个有应答{speed}"
    yield Verdict(Severity.OK, summary, evidence=_rows(attempts), metrics=metrics)


def _unreachable(attempts: tuple[Attempt, ...]) -> Verdict:
    return Verdict(
        Severity.CRITICAL,
        f"主机不可达：{len(attempts)} 个端口均无应答（应至少一个）",
        "请确认主机已开机、网线与交换机端口正常，再检查路由和防火墙是否放行巡检机地址。",
        evidence=_rows(attempts),
    )


def _rows(attempts: tuple[Attempt, ...]) -> tuple[str, ...]:
    return tuple(f"TCP {one.port}：{CONNECTION_TEXT[one.connection]}" for one in attempts)


def _ask_ports(system: System) -> Iterator[Question]:
    # What need not answer to the outside is looked at from inside, by service.listeners.
    return ask_each(_port_ask, (one for one in system.endpoints() if one.listener.public))


def _port_ask(endpoint: Endpoint) -> Ask:
    return port_ask(endpoint.node.name, endpoint.node.address, endpoint.listener.port)


def _parse_port(replies: tuple[Reply, ...]) -> Attempt:
    return read_attempt(replies[0])


def _judge_port(attempt: Attempt, _limits: ReachLimits, subject: Subject) -> Iterator[Verdict]:
    listener = endpoint_at(subject.system, subject.target).listener
    name = f"{listener.name}（{attempt.port} 端口）"
    if attempt.connection is Connection.MADE:
        metrics = {} if attempt.connect_ms is None else {"connect_ms": attempt.connect_ms}
        yield Verdict(Severity.OK, f"{name}接受连接", evidence=_rows((attempt,)), metrics=metrics)
        return
    yield Verdict(
        Severity.CRITICAL,
        f"{name}{CONNECTION_TEXT[attempt.connection]}，由 {listener.service} 提供的服务不可用",
        _PORT_ADVICE[attempt.connection].format(service=listener.service),
        evidence=_rows((attempt,)),
    )


_PORT_ADVICE = {
    Connection.REFUSED: "请在主机上检查 {service} 是否运行、是否监听该端口，必要时启动服务。",
    Connection.TIMEOUT: "端口没有任何应答，请先检查防火墙规则，再检查主机与 {service} 的状态。",
    Connection.UNREACHABLE: "请检查主机网络与路由，恢复后再检查 {service}。",
}

CHECKS = (
    Check(
        name="network.reach",
        area=Area.NETWORK,
        title="主机可达性",
        question="主机能否从网络到达？",
        ask=_ask_reach,
        parse=_parse_reach,
        judge=_judge_reach,
        limits=ReachLimits(),
        source="RFC 9293 §3.5：主机对连接请求应答 SYN-ACK 或 RST；两者皆无即不可达",
    ),
    Check(
        name="service.ports",
        area=Area.SERVICE,
        title="服务端口",
        question="各服务端口能否连接？",
        ask=_ask_ports,
        parse=_parse_port,
        judge=_judge_port,
        limits=ReachLimits(),
        source="产品档案 listeners：声明的端口必须接受连接",
        after=(
            "network.reach",
            "network.vantage",
            "service.processes",
            "service.listeners",
            "service.steadiness",
        ),
    ),
)

"""Which ports are listened on, seen from inside the host: the declared ones, and no others."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

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
from mailcare.inspection.hosts import (
    LOGIN_FIRST,
    NOT_FOUND,
    asked_hosts,
    first_line,
    host_ask,
    lines_of,
)
from mailcare.systems.system import System

# State 0A is LISTEN; a busy host has tens of thousands of other rows, which stay where they are.
LISTENING = ("grep", "-h", " 0A ", "/proc/net/tcp", "/proc/net/tcp6")
_ROW = re.compile(r"^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) [0-9A-F:]+ 0A ")
_FOUND_OR_NOT = (0, 1)
SSH_PORT = 22
# The kernel writes words in the host's byte order; the first octet of 127.0.0.1 comes last.
_LOOPBACK = re.compile(r"^(?:.{6}7F|0{24}(?:01000000|00000001)|0{16}FFFF0000.{6}7F)$")


@dataclass(frozen=True, slots=True)
class Socket:
    """A listening socket as the kernel writes it: address in hexadecimal, port, the whole row."""

    address: str
    port: int
    row: str

    @property
    def is_loopback(self) -> bool:
        """Tell whether only the host itself can connect."""
        return _LOOPBACK.match(self.address) is not None


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """No number: the port is listened on, and not for the host alone."""


def _ask(system: System) -> Iterator[Question]:
    for endpoint in system.endpoints():
        node = endpoint.node
        yield Question(Target(node.name, endpoint.listener.port), (host_ask(node, *LISTENING),))


def _parse(replies: tuple[Reply, ...]) -> tuple[Socket, ...]:
    return read_sockets(replies[0])


def read_sockets(reply: Reply) -> tuple[Socket, ...]:
    """Read the rows of `LISTENING`; raise `ReplyError` where they cannot be had."""
    if reply.exit_code == NOT_FOUND:
        raise ReplyError("主机上没有 grep")
    rows = [(found, line) for line in lines_of(reply.text) if (found := _ROW.match(line))]
    if not rows and (reply.text.strip() or reply.exit_code not in _FOUND_OR_NOT):
        raise ReplyError(f"无法读取 /proc/net/tcp：{first_line(reply.text)}")
    return tuple(Socket(found[1], int(found[2], 16), line.strip()) for found, line in rows)


def _judge(
    sockets: tuple[Socket, ...], _limits: ListenerLimits, subject: Subject
) -> Iterator[Verdict]:
    listener = next(
        endpoint.listener
        for endpoint in subject.system.endpoints()
        if endpoint.node.name == subject.target.node
        and endpoint.listener.port == subject.target.port
    )
    own = [socket for socket in sockets if socket.port == listener.port]
    name = f"{listener.name}（{listener.port} 端口）"
    if not own:
        ports = "、".join(str(port) for port in sorted({socket.port for socket in sockets}))
        yield Verdict(
            Severity.CRITICAL,
            f"{name}在主机上没有监听，应由 {listener.service} 监听",
            f"请启动 {listener.service}，检查其配置中是否启用该端口，以及端口是否被其他程序占用。",
            evidence=(f"正在监听的端口：{ports or '无'}",),
        )
    elif all(socket.is_loopback for socket in own):
        yield Verdict(
            Severity.WARNING,
            f"{name}只监听本机回环地址，其他主机无法连接",
            f"请检查 {listener.service} 的监听地址设置；如由前置代理转发，请改为登记该代理。",
            evidence=tuple(socket.row for socket in own),
        )
    else:
        yield Verdict(Severity.OK, f"{name}正在监听", evidence=tuple(socket.row for socket in own))


def _ask_host(system: System) -> Iterator[Question]:
    list(system.endpoints())  # a profile without listeners is a gap: nothing to compare with
    for node in asked_hosts(system):
        yield Question(Target(node.name), (host_ask(node, *LISTENING),))


def _judge_host(
    sockets: tuple[Socket, ...], _limits: ListenerLimits, subject: Subject
) -> Iterator[Verdict]:
    declared = _declared_ports(subject)
    foreign = [one for one in sockets if not one.is_loopback and one.port not in declared]
    ports = "、".join(str(port) for port in sorted({one.port for one in foreign}))
    if not ports:
        yield Verdict(
            Severity.OK, f"没有未登记的对外 TCP 端口（登记 {len(declared)} 个；UDP 未查）"
        )
        return
    yield Verdict(
        Severity.WARNING,
        f"有未登记的 TCP 端口对外监听：{ports}（应只有登记的 {len(declared)} 个）",
        "请用 ss -lntp 查明是哪个程序在监听；不需要的请停用或由防火墙拦住，"
        "需要的请登记到站点文件的 expected_ports。",
        evidence=tuple(one.row for one in foreign),
    )


def _declared_ports(subject: Subject) -> set[int]:
    node = subject.system.node(subject.target.node)
    own = {one.listener.port for one in subject.system.endpoints() if one.node == node}
    return own | set(node.expected_ports) | {node.ssh.port if node.ssh else SSH_PORT}


CHECKS = (
    Check(
        name="service.listeners",
        area=Area.SERVICE,
        title="监听端口（主机内部）",
        question="产品应监听的端口在主机上是否都在监听？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=ListenerLimits(),
        source="产品档案 listeners；proc(5) /proc/net/tcp：状态 0A 为 LISTEN",
        after=("service.processes", *LOGIN_FIRST),
    ),
    Check(
        name="security.listeners",
        area=Area.SECURITY,
        title="未登记的对外端口",
        question="是否有未登记的 TCP 端口对外监听？",
        ask=_ask_host,
        parse=_parse,
        judge=_judge_host,
        limits=ListenerLimits(),
        source="CIS Debian Linux Benchmark：只开放需要的网络服务；登记见产品档案与站点文件",
        blind_after=LOGIN_FIRST,
    ),
)

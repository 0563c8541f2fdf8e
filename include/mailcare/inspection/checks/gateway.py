"""Whether each host has a default route, and knows the machine that it leads to.

The host is not made to send anything: its own tables tell whom it reached of late.
"""

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
    Verdict,
)
from mailcare.inspection.hosts import LOGIN_FIRST, ask_hosts, lines_of, whole_output_of
from mailcare.systems.system import System

_ROUTES = ("cat", "/proc/net/route")
_NEIGHBOURS = ("cat", "/proc/net/arp")
_REJECT = 0x200
_COMPLETE = 0x2
_HEX = re.compile(r"[0-9A-F]{8}", re.ASCII)
_FLAGS = re.compile(r"[0-9A-Fa-f]{1,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A default route; `is_known` None where the host has not talked to the gateway of late."""

    interface: str
    address: str
    is_known: bool | None


@dataclass(frozen=True, slots=True)
class Gateways:
    """The default routes of a host, and one without a gateway's address (a tunnel, a PPP link)."""

    found: tuple[Gateway, ...]
    direct: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """No number: a gateway answers."""


def _ask(system: System) -> Iterator[Question]:
    return ask_hosts(system, _ROUTES, _NEIGHBOURS)


def _parse(replies: tuple[Reply, ...]) -> Gateways:
    routes = lines_of(whole_output_of(replies[0], "cat /proc/net/route"), width=300)
    neighbours = lines_of(whole_output_of(replies[1], "cat /proc/net/arp"), width=300)
    if not routes[0].startswith("Iface") or not neighbours[0].startswith("IP address"):
        raise ReplyError("/proc/net/route 或 /proc/net/arp 的内容无法识别")
    known = dict(_neighbours(neighbours[1:]))
    rows = [words for words in map(str.split, routes[1:]) if _is_default(words)]
    found = tuple(
        Gateway(words[0][:30], address, known.get(address))
        for words in rows
        if (address := _address(words[2])) != "0.0.0.0"  # noqa: S104  # no gateway, not a listener
    )
    direct = tuple(words[0][:30] for words in rows if words[2] == "0" * 8)
    return Gateways(found, direct)


def _is_default(words: list[str]) -> bool:
    if len(words) < 8 or words[1] != "0" * 8 or words[7] != "0" * 8:
        return False
    flags = int(words[3], 16) if _FLAGS.fullmatch(words[3]) else 0
    return bool(_HEX.fullmatch(words[2])) and bool(flags & 1) and not flags & _REJECT


def _address(text: str) -> str:
    # The kernel prints the number as the host stores it: little-endian on every common machine.
    return ".".join(str(byte) for byte in reversed(bytes.fromhex(text)))


def _neighbours(lines: list[str]) -> Iterator[tuple[str, bool]]:
    for words in map(str.split, lines):
        if len(words) >= 6 and words[2].startswith("0x") and _FLAGS.fullmatch(words[2][2:]):
            yield words[0], bool(int(words[2], 16) & _COMPLETE)


def _judge(gateways: Gateways, _limits: GatewayLimits, _subject: Subject) -> Iterator[Verdict]:
    for one in gateways.found:
        yield _verdict(one)
    for interface in gateways.direct:
        yield Verdict(Severity.OK, f"默认路由经 {interface} 直连，无网关地址", part=interface)
    if not gateways.found and not gateways.direct:
        yield Verdict(
            Severity.NOTICE,
            "没有 IPv4 默认路由，主机只能访问直连网段（应有 1 条）",
            "请确认这是有意隔离；邮件主机需要默认路由才能向外站投递和回应外部用户。",
        )


def _verdict(one: Gateway) -> Verdict:
    words = {True: "近期有应答", None: "近期没有往来，未见异常", False: "不应答地址解析（ARP）"}
    severity = Severity.WARNING if one.is_known is False else Severity.OK
    return Verdict(
        severity,
        f"默认网关 {one.address}（{one.interface}）{words[one.is_known]}（应有应答）",
        "请检查网关设备、VLAN 与网线；网关不通时主机无法与其他网段通信。" if severity else "",
        evidence=(f"{one.interface} {one.address} {one.is_known}",),
        part=one.address,
    )


CHECKS = (
    Check(
        name="network.gateway",
        area=Area.NETWORK,
        title="默认网关",
        question="主机能否到达网关？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=GatewayLimits(),
        source="proc(5) /proc/net/route；arp(7) ATF_COM",
        after=LOGIN_FIRST,
    ),
)

"""How full the network links of each host are, and whether they lose packets."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

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
from mailcare.inspection.hosts import LOGIN_FIRST, asked_hosts, host_ask, lines_of
from mailcare.inspection.levels import Ceiling
from mailcare.inspection.snapshot import (
    Traffic,
    Window,
    read_snapshots,
    samples_of,
    windows_between,
)
from mailcare.systems.system import System

# What the kernel knows of each link; a speed it does not know is -1 or refused.
_LINKS = (
    "sh",
    "-c",
    'fact() { head -n 1 "$1" 2>/dev/null; }; '
    'for link in /sys/class/net/*; do master=$(readlink "$link/master"); '
    'set -- "$link"/lower_*; lower=; [ -e "$1" ] && lower=yes; '
    'bond=; [ -d "$link/bonding" ] && bond=yes; '
    'echo "link ${link##*/} state=$(fact "$link/operstate") speed=$(fact "$link/speed") '
    'duplex=$(fact "$link/duplex") changes=$(fact "$link/carrier_changes") '
    'master=${master##*/} lower=$lower bond=$bond"; done; echo end',
)
_INSIDE = re.compile(
    r"lo|(?:veth|docker|br-|virbr|vnet|cali|flannel|cni|tun|tap|dummy|ifb|kube|lxc|lxd|sit|gre|"
    r"ip6tnl|tunl|nerdctl|podman|cilium|ovs-system|wg).*"
)
_BOND = re.compile(r"(?:bond|team)\d{1,3}", re.ASCII)
_SPEED = re.compile(r"\d{1,7}", re.ASCII)
_SPEED_UNKNOWN = "65535"  # how kernels before 4.x write -1
_BITS = 8 / 1_000_000
_ENOUGH = 10  # errors or drops in the windows; fewer say nothing


@dataclass(frozen=True, slots=True)
class Link:
    """What the kernel says of one interface; empty words and None where it does not say."""

    name: str
    is_up: bool
    speed_mbps: int | None
    duplex: str
    changes: int
    master: str
    has_lower: bool
    is_bond: bool


@dataclass(frozen=True, slots=True)
class Flow:
    """An interface's link, its median rates, and its counters over the windows and since boot."""

    link: Link
    received_mbps: float
    sent_mbps: float
    passed: Traffic
    total: Traffic


@dataclass(frozen=True, slots=True)
class ErrorLimits:
    """Per cent of the packets: errors, and drops; changes of the carrier since boot."""

    errors_pct: Ceiling
    drops_warning_pct: float
    changes_notice: int


def _ask(system: System) -> Iterator[Question]:
    for node in asked_hosts(system):
        yield Question(Target(node.name), (*samples_of(node), host_ask(node, *_LINKS)))


def _parse(replies: tuple[Reply, ...]) -> tuple[Flow, ...]:
    snapshots = read_snapshots(replies[:-1])
    windows = windows_between(snapshots)
    links = {link.name: link for link in _links(replies[-1])}
    counted = [(one.before.traffic(), one.after.traffic(), one) for one in windows]
    flows = []
    for name, total in counted[-1][1].items():
        link = links.get(name)
        if link and link.is_up and not _INSIDE.fullmatch(name):
            flows.append(_flow(link, total, counted))
    if not flows:
        raise ReplyError("没有可识别的网络接口")
    return tuple(flows)


def _flow(
    link: Link,
    total: Traffic,
    counted: Sequence[tuple[Mapping[str, Traffic], Mapping[str, Traffic], Window]],
) -> Flow:
    received, sent = [], []
    name = link.name
    for before, after, window in counted:
        if name not in before or name not in after:
            raise ReplyError(f"网络接口 {name} 在采样期间出现或重建")
        received.append(
            _passed(before[name].received_bytes, after[name].received_bytes) / window.seconds
        )
        sent.append(_passed(before[name].sent_bytes, after[name].sent_bytes) / window.seconds)
    first = counted[0][0][name]
    passed = Traffic(
        _passed(first.received_bytes, total.received_bytes),
        _passed(first.sent_bytes, total.sent_bytes),
        _passed(first.packets, total.packets),
        _passed(first.errors, total.errors),
        _passed(first.drops, total.drops),
    )
    return Flow(link, median(received) * _BITS, median(sent) * _BITS, passed, total)


def _passed(before: int, after: int) -> int:
    if after < before:
        raise ReplyError("两次采样之间网络计数变小（接口可能重建过），无法计算速率")
    return after - before


def _links(reply: Reply) -> Iterator[Link]:
    lines = lines_of(reply.text, width=500)
    if "end" not in lines:
        raise ReplyError("网络接口信息的读取没有完成")
    for line in lines:
        words = line.split(" ")
        if words[0] == "link" and len(words) == 9:
            facts = {key: value for key, _, value in (word.partition("=") for word in words[2:])}
            yield _link(words[1], facts)


def _link(name: str, facts: Mapping[str, str]) -> Link:
    speed, changes = facts.get("speed", ""), facts.get("changes", "")
    known = int(speed) if _SPEED.fullmatch(speed) and speed != _SPEED_UNKNOWN else 0
    return Link(
        name=name,
        is_up=facts.get("state") in ("up", "unknown"),
        speed_mbps=known or None,
        duplex=facts.get("duplex", ""),
        changes=int(changes) if _SPEED.fullmatch(changes) else 0,
        master=facts.get("master", ""),
        has_lower=bool(facts.get("lower")),
        is_bond=bool(facts.get("bond")) or bool(_BOND.fullmatch(name)),
    )


def _outermost(flows: Sequence[Flow]) -> list[Flow]:
    """Return the flows that count each packet once: a bond for its ports, a port for its VLANs."""
    bonds = {flow.link.name for flow in flows if flow.link.is_bond}
    return [
        flow
        for flow in flows
        if flow.link.master not in bonds and (flow.link.is_bond or not flow.link.has_lower)
    ] or list(flows)


def _judge_use(flows: tuple[Flow, ...], limits: Ceiling, subject: Subject) -> Iterator[Verdict]:
    declared = subject.system.node(subject.target.node).link_mbps
    for flow in _outermost(flows):
        yield _use(flow, flow.link.speed_mbps or declared, limits)


def _use(flow: Flow, speed_mbps: int | None, limits: Ceiling) -> Verdict:
    rates = f"接收 {flow.received_mbps:.1f}、发送 {flow.sent_mbps:.1f} Mbit/s"
    metrics = {
        "received_mbps": round(flow.received_mbps, 2),
        "sent_mbps": round(flow.sent_mbps, 2),
    }
    name = flow.link.name
    if speed_mbps is None:
        summary = f"{name} {rates}；链路速率未知，无法折算占用率"
        return Verdict(Severity.OK, summary, evidence=_lines(flow), metrics=metrics, part=name)
    used_pct = 100 * max(flow.received_mbps, flow.sent_mbps) / speed_mbps
    severity = limits.severity(used_pct)
    return Verdict(
        severity,
        f"{name} {rates}，占链路 {speed_mbps} Mbit/s 的 {used_pct:.1f}%"
        f"（警告 ≥ {limits.warning:g}%，严重 ≥ {limits.critical:g}%）",
        _USE_ADVICE if severity else "",
        evidence=_lines(flow),
        metrics=metrics | {"bandwidth_used_pct": round(used_pct, 1)},
        part=name,
    )


def _lines(flow: Flow) -> tuple[str, ...]:
    total, link = flow.total, flow.link
    return (
        f"{link.name} received {total.received_bytes} sent {total.sent_bytes} bytes, "
        f"{total.packets} packets, {total.errors} errors, {total.drops} drops since boot; "
        f"speed {link.speed_mbps or '?'} duplex {link.duplex or '?'} changes {link.changes}",
    )


def _judge_errors(
    flows: tuple[Flow, ...], limits: ErrorLimits, _subject: Subject
) -> Iterator[Verdict]:
    for flow in flows:
        severity, advice = _meaning(flow, limits)
        yield Verdict(
            severity,
            f"{flow.link.name} 采样期间错误包 {flow.passed.errors} 个、"
            f"丢弃 {flow.passed.drops} 个，"
            f"累计错误包占 {_share(flow.total.errors, flow.total.packets):.3f}%"
            f"（警告 ≥ {limits.errors_pct.warning:g}%，严重 ≥ {limits.errors_pct.critical:g}%）；"
            f"双工 {flow.link.duplex or '未知'}，链路变动 {flow.link.changes} 次"
            f"（≥ {limits.changes_notice} 次提示）",
            advice,
            evidence=_lines(flow),
            metrics={
                "errors_pct": round(_share(flow.passed.errors, flow.passed.packets), 3),
                "drops_pct": round(_share(flow.passed.drops, flow.passed.packets), 3),
            },
            part=flow.link.name,
        )


def _meaning(flow: Flow, limits: ErrorLimits) -> tuple[Severity, str]:
    passed, total = flow.passed, flow.total
    errors = limits.errors_pct.severity(_share(passed.errors, passed.packets))
    if errors and passed.errors >= _ENOUGH:
        return errors, "请检查网线、光模块和交换机端口，更换后观察错误计数是否停止增长。"
    if flow.link.duplex == "half":
        return Severity.WARNING, "请把网卡与交换机端口都设为自动协商；半双工会造成冲突和重传。"
    drops_pct = _share(passed.drops, passed.packets)
    if drops_pct >= limits.drops_warning_pct and passed.drops >= _ENOUGH:
        return _drops_meaning(flow.link)
    if limits.errors_pct.severity(_share(total.errors, total.packets)) and total.errors >= _ENOUGH:
        return Severity.NOTICE, "错误已不再增长：请在下次巡检时对照计数，确认线路已恢复正常。"
    if flow.link.changes >= limits.changes_notice:
        return Severity.NOTICE, "链路曾多次中断：请查看系统日志中的 link down 时间，检查线路。"
    if flow.link.speed_mbps and flow.link.speed_mbps <= 100:
        return Severity.NOTICE, "链路仅百兆：请确认网线和交换机端口是否支持千兆。"
    return Severity.OK, ""


def _drops_meaning(link: Link) -> tuple[Severity, str]:
    if link.is_bond or _BOND.fullmatch(link.master):
        # The port of a bond that stands by drops every broadcast, and the bond counts it.
        advice = "主备绑定的备用网口会丢弃广播，属正常；请用 ethtool -S 确认丢包不在主用网口。"
        return Severity.NOTICE, advice
    return Severity.WARNING, "请检查网卡队列（ethtool -S、ethtool -g）、CPU 软中断和流量突发。"


def _share(part: int, whole: int) -> float:
    """Return a share in per cent; all where only the part was counted."""
    if not part:
        return 0.0
    return 100 * part / max(whole, part)


_USE_ADVICE = (
    "请用 iftop 或交换机流量图找出占用最多的连接；检查有无群发、备份或被攻击，"
    "必要时限速或升级带宽。"
)

CHECKS = (
    Check(
        name="network.bandwidth",
        area=Area.NETWORK,
        title="网络带宽占用",
        question="网络带宽是否够用？",
        ask=_ask,
        parse=_parse,
        judge=_judge_use,
        limits=Ceiling(warning=80, critical=95, unit="%"),
        source="proc(5) /proc/net/dev 采样之差，除以 /proc/uptime 的真实间隔；界限为经验值",
        after=LOGIN_FIRST,
    ),
    Check(
        name="network.errors",
        area=Area.NETWORK,
        title="网卡错误与丢包",
        question="网卡和线路是否在丢失数据？",
        ask=_ask,
        parse=_parse,
        judge=_judge_errors,
        limits=ErrorLimits(
            errors_pct=Ceiling(warning=0.01, critical=0.1), drops_warning_pct=1, changes_notice=20
        ),
        source="proc(5) /proc/net/dev；Checkmk if 缺省界限：错误包 0.01% / 0.1%；其余为经验值",
        after=LOGIN_FIRST,
    ),
)

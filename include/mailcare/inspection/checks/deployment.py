"""How the system is built: what is declared against what answers.

Every host is asked itself, not only the virtual address in front of it: a pair of which one half
has been dead for months looks healthy from outside.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mailcare.inspection.check import (
    Area,
    Check,
    Question,
    Reply,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.checks.dns_hosts import is_ours
from mailcare.inspection.dialogues import Ports, ports_of
from mailcare.inspection.levels import NoLimits
from mailcare.inspection.lookups import (
    Exchangers,
    exchanger_row,
    exchangers_in,
    normal_name,
    read_lookups,
)
from mailcare.inspection.probes import dns_ask, mail_hosts, port_ask
from mailcare.inspection.transcript import read_transcript
from mailcare.systems.site import Deployment, Node, Role
from mailcare.systems.system import System


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
    return Shape(exchangers_in(read_lookups(*lookups)), ports_of(attempts))


def _apart(replies: tuple[Reply, ...]) -> tuple[list[Reply], list[Reply]]:
    """Divide the replies into lookups and dialogues with a port."""
    lookups, others = list[Reply](), list[Reply]()
    for reply in replies:
        is_lookup = read_transcript(reply).event("resolver") is not None
        (lookups if is_lookup else others).append(reply)
    return lookups, others


def _judge_declared(shape: Shape, _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    system = subject.system
    label = system.site.system.deployment.label
    problems = [
        *_count_problems(shape, system),
        *_silent_nodes(shape, system),
        *_foreign_exchangers(shape, system),
        *_unused_nodes(shape, system),
    ]
    rows = (*_node_rows(shape, system), *(exchanger_row(one) for one in shape.exchangers))
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
)

"""The asks that probe a system's ports, complete in their words, so that equal asks are one."""

from collections.abc import Callable, Iterable, Iterator

from mailcare.inspection.check import Ask, Channel, Question, Target
from mailcare.systems.profile import ProfileGap, Protocol
from mailcare.systems.site import Domain, Mailbox, Node, Role
from mailcare.systems.system import Endpoint, System

CONNECT_S = 5.0
TALK_S = 15.0
LOOKUP_S = 12.0
OFFERS_S = 40.0  # about six connections


def port_ask(node: str, address: str, port: int) -> Ask:
    """Ask whether a TCP port accepts a connection."""
    return Ask(Channel.TCP, ("connect", address, str(port)), CONNECT_S, node)


def endpoint_ask(channel: Channel, verb: str, endpoint: Endpoint, *more: str) -> Ask:
    """Ask a listener something; the words are the verb, the server, and what the verb needs."""
    words = (verb, *server_words(endpoint), *more)
    return Ask(channel, words, TALK_S, endpoint.node.name)


def server_words(endpoint: Endpoint) -> tuple[str, str, str, str]:
    """Name a listener: address, port, TLS mode, host name."""
    listener = endpoint.listener
    return endpoint.node.address, str(listener.port), listener.tls.value, endpoint.server_name


def tls_ask(endpoint: Endpoint) -> Ask:
    """Ask what a listener's TLS is like."""
    return endpoint_ask(Channel.TLS, "certificate", endpoint, endpoint.listener.protocol.value)


def offers_ask(endpoint: Endpoint) -> Ask:
    """Ask which TLS versions and weak ciphers a listener accepts."""
    words = ("offers", *server_words(endpoint), endpoint.listener.protocol.value)
    return Ask(Channel.TLS, words, OFFERS_S, endpoint.node.name)


def endpoint_target(endpoint: Endpoint) -> Target:
    """Return the target of a result about one listener."""
    return Target(endpoint.node.name, endpoint.listener.port)


def endpoint_at(system: System, target: Target) -> Endpoint:
    """Return the listener that a target names."""
    return next(one for one in system.endpoints() if endpoint_target(one) == target)


def inside_mailbox(system: System) -> Mailbox:
    """Return the customer's probe mailbox; raise `ProfileGap` where the site file has none."""
    if system.site.mailboxes.inside is None:
        raise ProfileGap("站点文件未填写 mailboxes.inside（内部探测邮箱）")
    return system.site.mailboxes.inside


def outside_mailbox(system: System) -> Mailbox:
    """Return the probe mailbox outside; raise `ProfileGap` where the site file has none."""
    if system.site.mailboxes.outside is None:
        raise ProfileGap("站点文件未填写 mailboxes.outside（外部探测邮箱）")
    return system.site.mailboxes.outside


def ask_each(ask: Callable[[Endpoint], Ask], endpoints: Iterable[Endpoint]) -> Iterator[Question]:
    """Yield one question of one ask for each listener."""
    return (Question(endpoint_target(one), (ask(one),)) for one in endpoints)


def login_questions(channel: Channel, protocol: Protocol, system: System) -> Iterator[Question]:
    """Yield the login of the customer's probe mailbox at each listener of a protocol."""
    for endpoint in system.endpoints(protocol):
        ask = endpoint_ask(channel, "login", endpoint, inside_mailbox(system).address)
        yield Question(endpoint_target(endpoint), (ask,))


def dns_ask(*words: str) -> Ask:
    """Ask the DNS something; see `collect.dns` for the verbs."""
    return Ask(Channel.DNS, words, LOOKUP_S)


def dns_questions(verb: str, system: System) -> Iterator[Question]:
    """Yield one lookup for each mail domain of the customer."""
    for domain in system.site.domains:
        yield Question(Target(part=domain.name), (dns_ask(verb, domain.name),))


def mail_hosts(system: System) -> tuple[Node, ...]:
    """Return the mail hosts; raise `ProfileGap` where the site file has none."""
    nodes = system.nodes_of(Role.MAIL)
    if not nodes:
        raise ProfileGap("站点文件没有 mail 角色的主机")
    return nodes


def unseen(*nodes: Node) -> str:
    """Say which hosts' outside address is not known, empty where all are."""
    private = "、".join(f"{node.name}（{node.address}）" for node in nodes if not node.is_seen)
    return f"{private} 登记的是内网地址，请在站点文件填写 public_address" if private else ""


def dkim_key_names(domain: Domain) -> tuple[str, ...]:
    """Return the names under which a domain's declared DKIM keys are published."""
    return tuple(f"{selector}._domainkey.{domain.name}" for selector in domain.dkim_selectors)


def dkim_key_ask(name: str) -> Ask:
    """Ask for the DKIM key published under a name."""
    return dns_ask("lookup", "TXT", name)

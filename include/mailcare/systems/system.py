"""A customer's mail system as the checks see it: the site file over the product's profile."""

from collections.abc import Iterator
from dataclasses import dataclass

from mailcare.systems.profile import Listener, Profile, Protocol, TlsMode
from mailcare.systems.site import Node, Role, Site


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One TCP port of one host, with the name under which its users reach it."""

    node: Node
    listener: Listener

    @property
    def server_name(self) -> str:
        """Return the host name for SNI and the certificate."""
        if self.listener.protocol is Protocol.HTTPS and self.node.web_name:
            return self.node.web_name
        return self.node.hostname


@dataclass(frozen=True, slots=True)
class System:
    """One customer's installation; `profile` has the site file's overrides in it."""

    site: Site
    profile: Profile

    def nodes_of(self, role: Role) -> tuple[Node, ...]:
        """Return the hosts that have a role, in the site file's order."""
        return tuple(node for node in self.site.nodes if role in node.roles)

    def node(self, name: str) -> Node:
        """Return a host by its name; a name that the site file lacks is our own error."""
        return next(node for node in self.site.nodes if node.name == name)

    def rests_on(self, name: str, other: str) -> bool:
        """Tell whether a host is another one, or cannot work without it, however indirectly."""
        seen, waiting = set[str](), [name]
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                waiting.extend(self.node(current).depends_on)
        return other in seen

    def endpoints(self, *protocols: Protocol) -> Iterator[Endpoint]:
        """Yield the ports of all mail hosts, of the given protocols where any are given.

        Raise `ProfileGap` where the profile does not say what listens.
        """
        for node in self.nodes_of(Role.MAIL):
            for listener in self.profile.need("listeners"):
                if not protocols or listener.protocol in protocols:
                    yield Endpoint(node, listener)

    def tls_endpoints(self) -> Iterator[Endpoint]:
        """Yield the ports that offer TLS, at once or after STARTTLS."""
        return (one for one in self.endpoints() if one.listener.tls is not TlsMode.NONE)

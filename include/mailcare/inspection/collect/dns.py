"""DNS lookups, every answer written down as it came (read again by `lookups`).

Words: `lookup TYPE NAME`; `mx DOMAIN` and `hosts NAME` with the addresses of what they find;
`ptr ADDRESS` with the way back, `ptr6 NAME` the same for a host's IPv6 addresses;
`spf DOMAIN ADDRESS…`, `dmarc DOMAIN`, `dnsbl ZONE ADDRESS`; `dnssec DOMAIN` with the signatures;
`tlsa DOMAIN` for the DANE records of its exchangers; `zone DOMAIN` with what each of its own name
servers says of it, asked directly.
The site's resolver is asked, or the worker's own where the site file names none.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, sleep

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.resolver
import dns.reversename
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.NS import NS
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.SOA import SOA

from mailcare.errors import Unavailable
from mailcare.inspection.blocklist import entry_name, point_names
from mailcare.inspection.check import Answer, Ask, Reply
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.lookups import resolver_over
from mailcare.inspection.sender_policy import read_report_policy, read_sender_policy
from mailcare.systems.site import Site

TRY_S = 2.0
LOOKUP_S = 5.0
SIZE_LIMIT_LINES = 4000
SIGNED_BYTES = 1232  # the datagram that passes every path; more comes over TCP
DNS_PORT = 53
PAUSE_S = 2.0


@dataclass(slots=True)
class Record:
    """The transcript under way and the moment at which it must end."""

    deadline: float
    lines: list[str] = field(default_factory=list)
    failed: bool = False

    def remaining_s(self) -> float:
        """Return the seconds left; `OSError`, which ends a query at once, when none are."""
        left_s = self.deadline - monotonic()
        if left_s <= 0 or len(self.lines) > SIZE_LIMIT_LINES:
            raise OSError("本项查询的时间或篇幅已经用完")
        return left_s

    def fail(self, event: str) -> None:
        """Write down why a query has no answer."""
        self.failed = True
        self.lines.append(f"# {event}")


class RecordingServer(dns.nameserver.Nameserver):
    """A name server that writes down every answer that the real one gives."""

    def __init__(self, server: dns.nameserver.Do53Nameserver, record: Record) -> None:
        super().__init__()
        self._server = server
        self._record = record

    def __str__(self) -> str:
        return str(self._server)

    def kind(self) -> str:
        """Name the transport."""
        return self._server.kind()

    def is_always_max_size(self) -> bool:
        """Say whether answers are never truncated."""
        return self._server.is_always_max_size()

    def answer_nameserver(self) -> str:
        """Name the server that answers."""
        return self._server.answer_nameserver()

    def answer_port(self) -> int:
        """Return the port that answers."""
        return self._server.answer_port()

    def query(
        self,
        request: dns.message.QueryMessage,
        timeout: float,
        source: str | None,
        source_port: int,
        max_size: bool,
        one_rr_per_rrset: bool = False,
        ignore_trailing: bool = False,
    ) -> dns.message.Message:
        """Ask the real server; what goes wrong is written down and raised again."""
        question = request.question[0]
        self._record.lines.append(f"> {dns.rdatatype.to_text(question.rdtype)} {question.name}")
        try:
            timeout_s = min(timeout, self._record.remaining_s())
            response = self._server.query(
                request, timeout_s, source, source_port, max_size, one_rr_per_rrset, ignore_trailing
            )
        except dns.message.Truncated:
            self._record.lines.append("# truncated")
            raise
        except dns.exception.Timeout:
            self._record.fail("timeout")
            raise
        except (dns.exception.DNSException, OSError, EOFError) as error:
            self._record.fail(f"failed {error}")
            raise
        self._record.lines.extend(f"< {line}" for line in response.to_text().splitlines())
        return response


@dataclass(frozen=True, slots=True)
class Client:
    """Asks one server after the other; what comes of it is in the record."""

    record: Record
    resolver: dns.resolver.Resolver
    servers: tuple[dns.nameserver.Nameserver, ...]

    def look_up(self, rdtype: str, name: str | dns.name.Name) -> tuple[dns.rdata.Rdata, ...]:
        """Return the records, none where the query has no answer."""
        try:
            return tuple(self.resolver.resolve(name, rdtype))
        except dns.exception.DNSException:
            return ()

    def find_hosts(self, *names: dns.name.Name | str) -> None:
        """Look up the addresses of each name."""
        for name in names:
            self.look_up("A", name)
            self.look_up("AAAA", name)


def probe(ask: Ask, scene: Scene) -> Answer:
    """Make the lookups; raise `Unavailable` where there is no name server to ask."""
    site = scene.system.site
    record = Record(monotonic() + ask.timeout_s)
    servers = _servers(site)
    asked = "site" if site.resolver else "system"
    record.lines.append(f"# resolver {servers[0].address} {servers[0].port} {asked}")
    client = _client(servers, record)
    with suppress(dns.exception.DNSException):
        _VERBS[ask.words[0]](client, *ask.words[1:])
    text = "".join(f"{line}\n" for line in record.lines)
    source = f"dns://{servers[0].address}:{servers[0].port}"
    return Reply(text, int(record.failed), scene.now(), source)


def address_of(name: str, site: Site) -> str:
    """Return an address of a host, asked of the site's resolver.

    Raise dnspython's errors where there is none, `Unavailable` where there is nobody to ask.
    """
    resolver = resolver_over(_servers(site))
    resolver.timeout, resolver.lifetime = TRY_S, LOOKUP_S
    try:
        rdatas = resolver.resolve(name, "A")
    except dns.resolver.NoAnswer:
        rdatas = resolver.resolve(name, "AAAA")
    return next(rdata.to_text() for rdata in rdatas)


def _servers(site: Site) -> tuple[dns.nameserver.Do53Nameserver, ...]:
    if site.resolver:
        return (dns.nameserver.Do53Nameserver(site.resolver.address, site.resolver.port),)
    try:
        system = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration as error:
        raise Unavailable(f"本机没有配置 DNS 解析服务器（{error}）") from None
    return tuple(dns.nameserver.Do53Nameserver(str(one), system.port) for one in system.nameservers)


def _client(servers: tuple[dns.nameserver.Do53Nameserver, ...], record: Record) -> Client:
    recording = tuple(RecordingServer(server, record) for server in servers)
    resolver = resolver_over(recording)
    resolver.timeout, resolver.lifetime = TRY_S, LOOKUP_S
    return Client(record, resolver, recording)


def _look_up_one(client: Client, rdtype: str, name: str) -> None:
    client.look_up(rdtype, name)


def _names(rdatas: tuple[dns.rdata.Rdata, ...]) -> Iterator[dns.name.Name]:
    for rdata in rdatas:
        if isinstance(rdata, MX):
            yield rdata.exchange
        elif isinstance(rdata, PTR | NS):
            yield rdata.target


def _look_up_mx(client: Client, domain: str) -> None:
    client.find_hosts(*_names(client.look_up("MX", domain)))


def _look_up_hosts(client: Client, name: str) -> None:
    client.find_hosts(name)


def _look_up_ptr(client: Client, address: str) -> None:
    name = dns.reversename.from_address(address)
    client.find_hosts(*_names(client.look_up("PTR", name)))


def _look_up_ptr6(client: Client, name: str) -> None:
    for rdata in client.look_up("AAAA", name):
        client.look_up("PTR", dns.reversename.from_address(rdata.to_text()))


def _look_up_spf(client: Client, domain: str, *addresses: str) -> None:
    client.record.lines += [f"# domain {domain}", f"# senders {' '.join(addresses)}"]
    read_sender_policy(domain, addresses, client.servers)


def _look_up_dmarc(client: Client, domain: str) -> None:
    client.record.lines.append(f"# domain {domain}")
    read_report_policy(domain, client.servers)


def _look_up_dnssec(client: Client, domain: str) -> None:
    # Signatures are checked from the record: a resolver that validates is told not to (CD).
    client.resolver.use_edns(0, dns.flags.DO, SIGNED_BYTES)
    client.resolver.set_flags(dns.flags.RD | dns.flags.CD)
    for rdtype in ("DS", "DNSKEY", "SOA"):
        client.look_up(rdtype, domain)


def _look_up_tlsa(client: Client, domain: str) -> None:
    for name in _names(client.look_up("MX", domain)):
        client.find_hosts(name)
        client.look_up("TLSA", f"_25._tcp.{name}")


def _look_up_zone(client: Client, domain: str) -> None:
    servers = [
        (name, address)
        for name in _names(client.look_up("NS", domain))
        for address in _addresses(client, name)
    ]
    serials = {_ask_server(client, domain, name, address=address) for name, address in servers}
    if len(serials) > 1:
        # A change may be on its way to the secondaries, a datagram may be lost: once more.
        sleep(PAUSE_S)
        for name, address in servers:
            _ask_server(client, domain, name, address=address)


def _addresses(client: Client, name: dns.name.Name) -> tuple[str, ...]:
    """Return a name server's IPv4 addresses, its IPv6 ones where it has no others."""
    rdatas = client.look_up("A", name) or client.look_up("AAAA", name)
    return tuple(rdata.to_text() for rdata in rdatas)


def _ask_server(client: Client, domain: str, name: dns.name.Name, *, address: str) -> int | None:
    """Ask one server for the zone's SOA; return its serial, None where it gives none."""
    client.record.lines.append(f"# server {name} {address}")
    server = RecordingServer(dns.nameserver.Do53Nameserver(address, DNS_PORT), client.record)
    query = dns.message.make_query(domain, "SOA", flags=0)
    with suppress(dns.exception.DNSException, OSError, EOFError):
        response = server.query(query, TRY_S, None, 0, max_size=False)
        serials = [soa.serial for rrset in response.answer for soa in rrset if isinstance(soa, SOA)]
        return next(iter(serials), None)
    return None


def _look_up_dnsbl(client: Client, zone: str, address: str) -> None:
    for point in point_names(address, zone):
        client.look_up("A", point)
    name = entry_name(address, zone)
    if client.look_up("A", name):
        client.look_up("TXT", name)


_VERBS: dict[str, Callable[..., None]] = {
    "lookup": _look_up_one,
    "mx": _look_up_mx,
    "hosts": _look_up_hosts,
    "ptr": _look_up_ptr,
    "ptr6": _look_up_ptr6,
    "spf": _look_up_spf,
    "dmarc": _look_up_dmarc,
    "dnsbl": _look_up_dnsbl,
    "dnssec": _look_up_dnssec,
    "tlsa": _look_up_tlsa,
    "zone": _look_up_zone,
}

"""DNS answers as text and back: what a collector wrote down is looked up again, without a network.

A reply of the `dns` channel is a transcript: `> TYPE NAME` for each query, then the answer as
dnspython prints a message, or an event that says why there is none. Its first line is
`# resolver ADDRESS PORT site|system`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.resolver
import dns.rrset

from mailcare.inspection.check import Reply, ReplyError
from mailcare.inspection.transcript import Transcript, read_transcript

Exchangers = tuple[tuple[str, tuple[str, ...]], ...]  # names with their addresses

_FACTS = frozenset({dns.rcode.NOERROR, dns.rcode.NXDOMAIN})
# What a resolver may leave unanswered without harm: a removed type, and courtesy lookups.
_COURTESIES = frozenset({"SPF", "CNAME"})


@dataclass(frozen=True, slots=True)
class Lookup:
    """One query and its answer; `failure` says why there is none."""

    rdtype: str
    name: str
    response: dns.message.Message | None
    failure: str = ""

    def trouble(self) -> str | None:
        """Say why this lookup tells nothing, or None: "no such name" does tell something."""
        if self.response is None:
            return self.failure or "没有记录到应答"
        rcode = self.response.rcode()
        return None if rcode in _FACTS else dns.rcode.to_text(rcode)

    def exists(self) -> bool:
        """Tell whether the name exists, with records of this type or without."""
        return self.response is not None and self.response.rcode() == dns.rcode.NOERROR

    def is_alias(self) -> bool:
        """Tell whether the name is an alias (CNAME) of another one."""
        if self.response is None:
            return False
        own = normal_name(self.name)
        return any(
            rrset.rdtype == dns.rdatatype.CNAME and normal_name(rrset.name.to_text()) == own
            for rrset in self.response.answer
        )

    def records(self) -> tuple[dns.rdata.Rdata, ...]:
        """Return the records, aliases followed, in a fixed order; empty where there are none."""
        rrset = self._rrset()
        return tuple(sorted(rrset, key=str)) if rrset is not None else ()

    def _rrset(self) -> dns.rrset.RRset | None:
        if not isinstance(self.response, dns.message.QueryMessage):
            return None
        try:
            return self.response.resolve_chaining().answer
        except dns.exception.DNSException:
            return None


@dataclass(frozen=True, slots=True)
class Lookups:
    """The lookups of one or more replies, the last answer of each query."""

    answered: dict[tuple[str, str], Lookup] = field(default_factory=dict)

    def all(self) -> Iterator[Lookup]:
        """Yield the lookups in the order of their first query."""
        return iter(self.answered.values())

    def find(self, rdtype: str, name: str) -> Lookup:
        """Return a lookup that tells something; raise `ReplyError` for any other."""
        lookup = self.answered.get((rdtype, normal_name(name)))
        if lookup is None:
            raise ReplyError(f"没有查询 {name} 的 {rdtype} 记录")
        if trouble := lookup.trouble():
            raise ReplyError(f"查询 {name} 的 {rdtype} 记录失败：{trouble}")
        return lookup

    def records(self, rdtype: str, name: str) -> tuple[dns.rdata.Rdata, ...]:
        """Return the records of a name, empty where it has none; raise as `find` does."""
        return self.find(rdtype, name).records()

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return a name's IPv4 and IPv6 addresses; raise as `find` does."""
        rdatas = (*self.records("A", name), *self.records("AAAA", name))
        return tuple(rdata.to_text() for rdata in rdatas)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a name's TXT records, the strings of each joined; raise as `find` does."""
        return tuple(_joined(rdata) for rdata in self.records("TXT", name))

    def texts_if_any(self, name: str) -> tuple[str, ...]:
        """Return a name's TXT records, none where they could not be had: mere explanations."""
        lookup = self.answered.get(("TXT", normal_name(name)))
        return tuple(_joined(rdata) for rdata in lookup.records()) if lookup else ()

    def need_answers(self) -> None:
        """Raise `ReplyError` where a lookup that matters brought no answer."""
        for lookup in self.all():
            if lookup.rdtype not in _COURTESIES and (trouble := lookup.trouble()):
                raise ReplyError(f"查询 {lookup.name} 的 {lookup.rdtype} 记录失败：{trouble}")


class Replay(dns.nameserver.Nameserver):
    """A name server that knows the recorded answers and nothing else."""

    def __init__(self, lookups: Lookups) -> None:
        super().__init__()
        self._lookups = lookups

    def __str__(self) -> str:
        return "Replay"

    def kind(self) -> str:
        """Name the transport."""
        return "replay"

    def is_always_max_size(self) -> bool:
        """Say that no answer is ever truncated."""
        return True

    def answer_nameserver(self) -> str:
        """Name the server that answers."""
        return "replay"

    def answer_port(self) -> int:
        """Return the port that answers: none."""
        return 0

    def query(
        self, request: dns.message.QueryMessage, *_args: object, **_options: object
    ) -> dns.message.Message:
        """Return the recorded answer; `OSError`, which ends the query at once, where none is."""
        question = request.question[0]
        rdtype = dns.rdatatype.to_text(question.rdtype)
        lookup = self._lookups.answered.get((rdtype, normal_name(question.name.to_text())))
        if lookup is None or lookup.response is None:
            raise OSError("no recorded answer")
        return lookup.response


def read_lookups(*replies: Reply) -> Lookups:
    """Read the replies of the dns channel; raise `ReplyError` for a text that is none."""
    answered: dict[tuple[str, str], Lookup] = {}
    for reply in replies:
        for lookup in _lookups(read_transcript(reply)):
            key = (lookup.rdtype, normal_name(lookup.name))
            if lookup.response is not None or key not in answered:
                answered[key] = lookup
    if not answered:
        raise ReplyError("回复中没有 DNS 查询记录")
    return Lookups(answered)


def exchangers_in(lookups: Lookups) -> Exchangers:
    """Return the mail exchangers of all domains asked about, each with its addresses.

    Raise `ReplyError` as `Lookups.find` does.
    """
    found: dict[str, tuple[str, ...]] = {}
    for lookup in lookups.all():
        if lookup.rdtype == "MX":
            for rdata in lookups.records("MX", lookup.name):
                name = rdata.to_text().split()[1]
                found[normal_name(name)] = lookups.addresses(name) if name != "." else ()
    return tuple((name, addresses) for name, addresses in found.items() if name)


def exchanger_row(exchanger: tuple[str, tuple[str, ...]]) -> str:
    """Return an exchanger as a row of evidence."""
    return f"MX {exchanger[0]} → {'、'.join(exchanger[1]) or '无'}"


def read_servers(reply: Reply) -> tuple[tuple[str, str, Lookups], ...]:
    """Read what single name servers said: name, address and the last answers of each.

    A reply of the verb `zone` has a line `# server NAME ADDRESS` before each server's answers.
    """
    parts: dict[tuple[str, str], list[tuple[str, str]]] = {}
    lines: list[tuple[str, str]] = []
    for mark, text in read_transcript(reply).lines:
        words = text.split()
        if mark == "#" and words[:1] == ["server"] and len(words) == 3:
            lines = parts[normal_name(words[1]), words[2]] = []
        lines.append((mark, text))
    return tuple(
        (name, address, Lookups({(one.rdtype, normal_name(one.name)): one for one in found}))
        for (name, address), part in parts.items()
        if (found := tuple(_lookups(Transcript(tuple(part)))))
    )


def normal_name(name: str) -> str:
    """Write a domain name in the form that all comparisons use."""
    return name.rstrip(".").lower()


def resolver_over(servers: Sequence[dns.nameserver.Nameserver]) -> dns.resolver.Resolver:
    """Return a resolver that asks these servers only, and knows no cache or search list."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [*servers]
    return resolver


def _lookups(transcript: Transcript) -> Iterator[Lookup]:
    query, body, failure = "", list[str](), ""
    for mark, text in (*transcript.lines, (">", "")):
        if mark == ">":
            yield from _one_lookup(query, body, failure)
            query, body, failure = text, [], ""
        elif mark == "<":
            body.append(text)
        elif query:
            failure = text


def _one_lookup(query: str, body: list[str], failure: str) -> Iterable[Lookup]:
    rdtype, _, name = query.partition(" ")
    if not name:
        return ()
    if not body:
        return (Lookup(rdtype, name, None, failure),)
    response = _message(body)
    if [_question(one) for one in response.question] != [(rdtype, normal_name(name))]:
        raise ReplyError(f"DNS 应答与查询 {name} 的 {rdtype} 记录不符")
    return (Lookup(rdtype, name, response, failure),)


def _message(body: list[str]) -> dns.message.Message:
    # EDNS options are written but not read by dnspython; none of them is part of the answer.
    text = "\n".join(line for line in body if not line.startswith("option "))
    try:
        return dns.message.from_text(text)
    except (dns.exception.DNSException, ValueError, LookupError, OverflowError) as error:
        raise ReplyError(f"DNS 应答记录无法读取（{type(error).__name__}）") from None


def _question(rrset: dns.rrset.RRset) -> tuple[str, str]:
    return dns.rdatatype.to_text(rrset.rdtype), normal_name(rrset.name.to_text())


def _joined(rdata: dns.rdata.Rdata) -> str:
    strings: tuple[bytes, ...] = getattr(rdata, "strings", ())
    return b"".join(strings).decode("utf-8", "backslashreplace")

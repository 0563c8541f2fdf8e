"""What an auditor asks of an inspection: who allowed it, who connected, what was asked."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailcare import VERSION
from mailcare.contracts.authorisation import Authorisation
from mailcare.inspection.check import Answer, Ask, Channel, Reply
from mailcare.inspection.outcome import write_replies
from mailcare.systems.site import AuthorisationEntry
from mailcare.systems.system import System


@dataclass(frozen=True, slots=True)
class Consent:
    """An authorisation with all that was recorded of it; `how` is a word of `site.Consent`."""

    terms: Authorisation
    given_at: datetime
    how: str
    purpose: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Login:
    """One connection to a host; `consent` names the authorisation that it was made under."""

    node: str
    address: str
    login: str
    connected_at: datetime
    consent: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """How many asks one channel carried, and how many of them were answered."""

    channel: Channel
    asks: int
    replies: int


@dataclass(frozen=True, slots=True)
class Proceedings:
    """The record of one inspection; `replies_sha256` is that of its file of replies.

    `handed_in` tells that a file was judged which the customer had collected.
    """

    product_version: str
    consents: tuple[Consent, ...]
    logins: tuple[Login, ...]
    traffic: tuple[Traffic, ...]
    replies_sha256: str
    handed_in: bool


def record_of_file(
    system: System, answers: Mapping[Ask, Answer], given: Sequence[Authorisation]
) -> Proceedings:
    """Return the record of an inspection that ran on a site file, without a database.

    `given` are the site file's authorisations, in its order. A connection is read off the host's
    first reply over SSH, wherever that was taken.
    """
    pairs = zip(given, system.site.authorisations, strict=True)
    return Proceedings(
        VERSION,
        tuple(_consent(terms, entry) for terms, entry in pairs),
        tuple(_logins(system, answers, given)),
        traffic(answers),
        replies_sha256(answers),
        any(answer.source.startswith("bundle:") for answer in answers.values()),
    )


def _consent(terms: Authorisation, entry: AuthorisationEntry) -> Consent:
    return Consent(terms, entry.given_at, entry.how, entry.purpose, entry.evidence)


def _logins(
    system: System, answers: Mapping[Ask, Answer], given: Sequence[Authorisation]
) -> Iterable[Login]:
    for name, at in _first_replies(answers).items():
        node = system.node(name)
        covering = (one.identity for one in given if one.covers(name, at))
        login = node.ssh.credential.login if node.ssh else ""
        yield Login(name, node.address, login, at, next(covering, ""))


def _first_replies(answers: Mapping[Ask, Answer]) -> dict[str, datetime]:
    taken = sorted(
        (answer.taken_at, ask.node)
        for ask, answer in answers.items()
        if isinstance(answer, Reply) and answer.source.startswith("ssh://")
    )
    first: dict[str, datetime] = {}
    for at, node in taken:
        first.setdefault(node, at)
    return first


def traffic(answers: Mapping[Ask, Answer]) -> tuple[Traffic, ...]:
    """Count the asks and the replies of each channel."""
    asks = Counter(ask.channel for ask in answers)
    replies = Counter(ask.channel for ask, one in answers.items() if isinstance(one, Reply))
    return tuple(
        Traffic(channel, asks[channel], replies[channel]) for channel in Channel if asks[channel]
    )


def replies_sha256(answers: Mapping[Ask, Answer]) -> str:
    """Return the SHA-256 (hex) of the file of replies as `write_replies` writes it."""
    return hashlib.sha256(write_replies(answers)).hexdigest()

"""The types of an inspection: what is asked, what came back, and what it means.

A check is one declarative object. Its `ask` turns a customer's system into questions, a collector
(a channel, or a person) answers them with replies kept verbatim, `parse` reads the replies as a
fact, `judge` holds the fact against the limits. "Could not find out" is a type of its own.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Generic, TypeVar

from mailcare.systems.system import System


class Severity(IntEnum):
    """How bad a finding is; a system is as bad as its worst finding."""

    OK = 0
    NOTICE = 1
    WARNING = 2
    CRITICAL = 3


class Area(StrEnum):
    """The part of the system that a check is about."""

    OS = "os"
    APP = "app"
    SERVICE = "service"
    LOOP = "loop"
    QUEUE = "queue"
    DNS = "dns"
    TLS = "tls"
    WEB = "web"
    SECURITY = "security"
    HARDWARE = "hardware"
    NETWORK = "network"
    STORAGE = "storage"
    BACKUP = "backup"
    CLUSTER = "cluster"
    FUNCTION = "function"


class Channel(StrEnum):
    """The way in which an ask is answered; each has one module in `collect/`, but a person."""

    SSH = "ssh"
    TCP = "tcp"
    SMTP = "smtp"
    IMAP = "imap"
    POP3 = "pop3"
    HTTPS = "https"
    TLS = "tls"
    DNS = "dns"
    LOOP = "loop"
    FUNCTION = "function"
    SERIES = "series"
    PERSON = "person"


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """What one result is about.

    `node` is a host by its name in the site file (empty: the system as a whole), `port` one of its
    TCP ports, `part` what else tells results apart: a mount, a service, a domain.
    """

    node: str = ""
    port: int = 0
    part: str = ""

    def __str__(self) -> str:
        """Write it as a person would: `mx1:993`, `mx1 /var`, `bank.example`."""
        host = f"{self.node}:{self.port}" if self.port else self.node
        return " ".join(word for word in (host, self.part) if word) or "整个系统"


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing to find out, by one channel.

    `words` is the command (ssh: an argument vector, run without a shell of its own and read-only)
    or the probe's verb and its arguments; `node` the host asked, empty when the worker asks the
    network at large. Samples 1, 2, 3 … of the same words are taken one sampling window apart, for
    rates. Equal asks are asked once, however many checks want them.
    """

    channel: Channel
    words: tuple[str, ...]
    timeout_s: float = field(default=10.0, compare=False)
    node: str = ""
    sample: int = 1


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, verbatim, secrets removed by the collector.

    `exit_code` is the command's own, or 0 for a probe that reached the end of its dialogue and 1
    for one that did not. `source` tells where it was taken (`ssh://…`, `smtp://…`, a bundle).
    """

    text: str
    exit_code: int
    taken_at: datetime
    source: str


@dataclass(frozen=True, slots=True)
class NoReply:
    """The attempt that brought nothing back; `permanent` when another try cannot help."""

    reason: str
    taken_at: datetime
    source: str
    permanent: bool = False


Answer = Reply | NoReply
NEVER_AT = datetime.fromtimestamp(0, UTC)  # the moment of an answer that nobody ever took


class ReplyError(Exception):
    """The reply does not hold the fact; its text becomes the reason of an `Unmeasured`."""


class DoesNotApply(Exception):
    """The reply shows that there is nothing to look at; its text is a `NotApplicable`'s reason."""


class ForPerson(Exception):
    """Only a person on site can find it out; its text is a `Manual`'s line: what to do there."""


@dataclass(frozen=True, slots=True)
class Question:
    """The asks, in the order in which `parse` wants their replies, about one target.

    `asides` add to the picture: what came back for them follows the replies, and one that brought
    nothing is left out. An output that was cut at the collector's limit answers nothing, but where
    `may_be_cut`.
    """

    target: Target
    asks: tuple[Ask, ...]
    asides: tuple[Ask, ...] = ()
    may_be_cut: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """What `judge` may know besides the fact: the system, the target, and the moment of reply."""

    system: System
    target: Target
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """One statement of a judge; `summary` names the value and the limit it was held against.

    `part` narrows the target (a mount, an interface). `evidence` are verbatim lines; where it is
    empty the head of the replies stands in. `metrics` are numbers with the unit in their name.
    """

    severity: Severity
    summary: str
    advice: str = ""
    evidence: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    part: str = ""


FactT = TypeVar("FactT")
LimitsT = TypeVar("LimitsT")


@dataclass(frozen=True, slots=True)
class Check(Generic[FactT, LimitsT]):
    """One check, from the question to the verdict.

    `ask` yields no question where the check does not apply, and raises `ProfileGap` where the
    profile lacks what it needs. `parse` raises `ReplyError` where the replies do not hold the fact,
    `DoesNotApply` where they show that there is nothing to look at, `ForPerson` where only a person
    can find out; and so does `judge` where only the system can tell that. `judge` yields at least
    one verdict; any other exception in it is our own error. `question` says in a sentence what the
    customer learns from it, `limits` is the only home of its numbers and `source` where they come
    from. `after` names the checks whose failure explains a failure of this one, `blind_after` those
    whose failure explains only that this one could not be measured.
    """

    name: str
    area: Area
    title: str
    question: str
    ask: Callable[[System], Iterable[Question]]
    parse: Callable[[tuple[Reply, ...]], FactT]
    judge: Callable[[FactT, LimitsT, Subject], Iterable[Verdict]]
    limits: LimitsT
    source: str
    after: tuple[str, ...] = ()
    blind_after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A measured result; `caused_by` names the check whose failure explains this one."""

    check: str
    target: Target
    severity: Severity
    summary: str
    advice: str = ""
    evidence: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    caused_by: str | None = None


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """What could not be found out, and why: neither good nor bad."""

    check: str
    target: Target
    reason: str
    caused_by: str | None = None


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """A check that has nothing to look at in this system."""

    check: str
    target: Target
    reason: str


@dataclass(frozen=True, slots=True)
class Manual:
    """What only a person can find out; it becomes a line on the engineer's sheet."""

    check: str
    target: Target
    reason: str


Result = Finding | Unmeasured | NotApplicable | Manual

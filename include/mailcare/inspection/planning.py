"""Turn checks and a system into questions, and the questions into the asks of each channel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mailcare.inspection.check import (
    Ask,
    Channel,
    Check,
    NotApplicable,
    Question,
    Result,
    Target,
    Unmeasured,
)
from mailcare.systems.profile import ProfileGap
from mailcare.systems.site import Role
from mailcare.systems.system import System

AnyCheck = Check[Any, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an inspection will ask; `settled` are results known without asking."""

    system: System
    questions: tuple[tuple[AnyCheck, Question], ...]
    settled: tuple[Result, ...]

    def asks(self) -> tuple[Ask, ...]:
        """Return the distinct asks, in order; a person's are left out: nobody collects them."""
        asks = (ask for _, one in self.questions for ask in (*one.asks, *one.asides))
        return tuple(dict.fromkeys(ask for ask in asks if ask.channel is not Channel.PERSON))


def plan_inspection(system: System, checks: Sequence[AnyCheck]) -> Plan:
    """Ask each check for its questions; a check without any is settled."""
    questions: list[tuple[AnyCheck, Question]] = []
    settled: list[Result] = []
    known: dict[Ask, Ask] = {}
    for check in checks:
        try:
            asked = list(check.ask(system))
        except ProfileGap as gap:
            settled.append(Unmeasured(check.name, Target(), str(gap)))
            continue
        questions.extend((check, _sharing(question, known)) for question in asked)
        if not asked:
            settled.append(NotApplicable(check.name, Target(), "本系统不涉及此项"))
    return Plan(system, tuple(questions), tuple(settled))


def _sharing(question: Question, known: dict[Ask, Ask]) -> Question:
    """Let equal asks be one object: a fleet's plan grows by each ask once, not once a check."""
    return replace(
        question,
        asks=tuple(known.setdefault(ask, ask) for ask in question.asks),
        asides=tuple(known.setdefault(ask, ask) for ask in question.asides),
    )


def hosts_touched(ask: Ask, system: System) -> tuple[str, ...]:
    """Return the hosts, by name, whose customer's permission an ask needs.

    What is asked of no single host (a loop, a lookup) concerns the mail system as a whole.
    """
    if ask.node:
        return (ask.node,)
    nodes = system.nodes_of(Role.MAIL) or system.site.nodes
    return tuple(node.name for node in nodes)


def by_node(asks: Iterable[Ask]) -> dict[str, tuple[Ask, ...]]:
    """Group SSH asks by host; all others form the group "" that the worker answers."""
    groups: dict[str, list[Ask]] = {}
    for ask in asks:
        groups.setdefault(ask.node if ask.channel is Channel.SSH else "", []).append(ask)
    return {key: tuple(group) for key, group in groups.items()}

"""Explain failures by the failures they hang on, so that one fault raises one alarm."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, TypeGuard

from mailcare.inspection.check import (
    Check,
    Finding,
    Result,
    Severity,
    Target,
    Unmeasured,
)
from mailcare.systems.profile import ProfileGap
from mailcare.systems.site import Role
from mailcare.systems.system import System

Checks = Mapping[str, Check[Any, Any]]
Failure = Finding | Unmeasured
Seen = frozenset[tuple[str, Target]]
Behind = Mapping[tuple[str, int], frozenset[str]]  # the services behind each host's port


def link_causes(
    results: Sequence[Result],
    checks: Checks,
    system: System,
    *,
    heard: Set[tuple[str, Target]],
) -> tuple[Result, ...]:
    """Return the results with `caused_by` set to the root cause among their prerequisites.

    A failure is explained by a failed prerequisite (`Check.after`) that covers its target; the
    chain is followed to its end. An unmeasured prerequisite explains only what is unmeasured too,
    and only where something was heard of it (`heard`: check and target): what was never asked
    explains nothing.
    """
    links = _Links(results, checks, system, heard)

    def explained(result: Result) -> Result:
        if not _failed(result):
            return result
        return replace(result, caused_by=links.root(result))

    return tuple(explained(result) for result in results)


class _Links:
    """The failures that may explain others, by check and host, so that each looks at few."""

    def __init__(
        self,
        results: Sequence[Result],
        checks: Checks,
        system: System,
        heard: Set[tuple[str, Target]],
    ) -> None:
        self._checks = checks
        self._ground = _Ground(system)
        self._upstream = {name: _upstream(one.blind_after, checks) for name, one in checks.items()}
        self._possible: dict[tuple[str, str], list[Failure]] = defaultdict(list)
        for one in results:
            if _may_explain(one, heard):
                self._possible[one.check, one.target.node].append(one)

    def root(self, failure: Failure, seen: Seen = frozenset()) -> str | None:
        """Return the check at the end of the chain, none of it in `seen`; None without a chain."""
        seen |= {(failure.check, failure.target)}
        causes = (
            one
            for one in self._candidates(failure)
            if (one.check, one.target) not in seen and self._explains(one, failure)
        )
        nearest = max(causes, key=_weight, default=None)
        return self.root(nearest, seen) or nearest.check if nearest else None

    def _candidates(self, failure: Failure) -> Iterator[Failure]:
        hosts = self._ground.hosts_behind(failure.target)
        for name in _prerequisites(failure, self._checks):
            for host in hosts:
                yield from self._possible.get((name, host), ())

    def _explains(self, cause: Failure, effect: Failure) -> bool:
        if isinstance(effect, Finding) and _weight(cause) < effect.severity:
            return False
        if isinstance(cause, Unmeasured) and effect.check in self._upstream[cause.check]:
            return False
        return _is_near(cause.target, effect.target, self._ground)


class _Ground:
    """What a system's hosts, services and domains have to do with each other, reckoned once."""

    def __init__(self, system: System) -> None:
        names = [node.name for node in system.site.nodes]
        self._behind = {
            name: (name, *(one for one in names if one != name and system.rests_on(name, one)))
            for name in names
        }
        mail = [one for node in system.nodes_of(Role.MAIL) for one in self._behind[node.name]]
        self._behind_all = ("", *dict.fromkeys(mail))
        self._domains = tuple(one.name.lower() for one in system.site.domains)
        self._named: dict[str, frozenset[str]] = {}
        self.services = _services(system)
        self.service_names = frozenset[str]().union(*self.services.values())

    def hosts_behind(self, target: Target) -> tuple[str, ...]:
        """Return the hosts whose trouble can show there, the host itself first; "" is the system.

        What shows in the whole system may come from any mail host or what that one depends on.
        """
        if not target.node:
            return self._behind_all
        return (*self._behind.get(target.node, (target.node,)), "")

    def domains_in(self, part: str) -> frozenset[str]:
        """Return the customer's mail domains that a target's words name, the narrowest for each."""
        if part not in self._named:
            found = (self._domain_of(word) for word in part.lower().split())
            self._named[part] = frozenset(filter(None, found))
        return self._named[part]

    def _domain_of(self, word: str) -> str:
        fits = (name for name in self._domains if f".{word}".endswith(f".{name}"))
        return max(fits, key=len, default="")


def _is_near(cause: Target, effect: Target, ground: _Ground) -> bool:
    """Tell whether something wrong with `cause`, on a host behind `effect`, can show there.

    What is wrong with the whole system may show anywhere, but two domains have nothing to do with
    each other. On one host a port or a service explains only what hangs on that very one.
    """
    if not cause.node:
        named, shown = ground.domains_in(cause.part), ground.domains_in(effect.part)
        return not named or not shown or not named.isdisjoint(shown)
    if cause.node != effect.node:
        return True
    if cause.port:
        return cause.port == effect.port or not effect.port
    behind = ground.services.get((effect.node, effect.port), frozenset())
    return cause.part not in ground.service_names or not effect.port or cause.part in behind


def _prerequisites(failure: Failure, checks: Checks) -> tuple[str, ...]:
    check = checks.get(failure.check)  # a settled result has no question, and so no check here
    if check is None:
        return ()
    return check.after + (check.blind_after if isinstance(failure, Unmeasured) else ())


def _upstream(names: Sequence[str], checks: Checks) -> frozenset[str]:
    """Return the named checks and all that their failures may hang on.

    What blinds a check, or stands behind that, is not explained by its being blind.
    """
    seen, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name in checks and name not in seen:
            seen.add(name)
            waiting.extend(checks[name].after)
    return frozenset(seen)


def _failed(result: Result) -> TypeGuard[Failure]:
    if isinstance(result, Finding):
        return result.severity >= Severity.NOTICE
    return isinstance(result, Unmeasured)


def _may_explain(result: Result, heard: Set[tuple[str, Target]]) -> TypeGuard[Failure]:
    if isinstance(result, Finding):
        return result.severity >= Severity.WARNING
    return isinstance(result, Unmeasured) and (result.check, result.target) in heard


def _weight(cause: Failure) -> int:
    return cause.severity if isinstance(cause, Finding) else Severity.OK


def _services(system: System) -> Behind:
    try:
        endpoints = list(system.endpoints())
    except ProfileGap:
        return {}
    return {
        (one.node.name, one.listener.port): frozenset({one.listener.service, *one.listener.needs})
        for one in endpoints
    }

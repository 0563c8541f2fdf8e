"""Explain failures by the failures they hang on, so that one fault raises one alarm."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

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

Failure = Finding | Unmeasured
Behind = Mapping[tuple[str, int], frozenset[str]]  # the services behind each host's port


def link_causes(
    results: Sequence[Result],
    checks: Mapping[str, Check[Any, Any]],
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
    failures = [one for one in results if isinstance(one, Finding | Unmeasured) and _failed(one)]
    possible = [
        one for one in failures if isinstance(one, Finding) or (one.check, one.target) in heard
    ]
    services = _services(system)

    def root(failure: Failure, seen: frozenset[str]) -> str | None:
        causes = [
            cause
            for name in _prerequisites(failure, checks)
            if name not in seen
            for cause in possible
            if cause.check == name and _explains(cause, failure, system, services)
        ]
        if not causes:
            return None
        nearest = max(causes, key=_weight)
        return root(nearest, seen | {failure.check}) or nearest.check

    def explained(result: Result) -> Result:
        if result not in failures or not isinstance(result, Finding | Unmeasured):
            return result
        return replace(result, caused_by=root(result, frozenset({result.check})))

    return tuple(explained(result) for result in results)


def _is_near(cause: Target, effect: Target, system: System, services: Behind) -> bool:
    """Tell whether something wrong with `cause` can show at `effect`.

    What shows in the whole system may come from any mail host, what is wrong with the whole system
    may show anywhere; two domains have nothing to do with each other. Otherwise the host must be
    one that the other depends on, or the same; then a port or a service explains only what hangs
    on that very one.
    """
    if not cause.node:
        return _same_domain(cause, effect, system)
    if not effect.node:
        return any(system.rests_on(one.name, cause.node) for one in system.nodes_of(Role.MAIL))
    if cause.node != effect.node:
        return system.rests_on(effect.node, cause.node)
    if cause.port:
        return cause.port == effect.port or not effect.port
    is_service = any(cause.part in names for names in services.values())
    behind = services.get((effect.node, effect.port), frozenset())
    return not is_service or not effect.port or cause.part in behind


def _same_domain(cause: Target, effect: Target, system: System) -> bool:
    named, shown = _domains(cause, system), _domains(effect, system)
    return not named or not shown or not named.isdisjoint(shown)


def _domains(target: Target, system: System) -> set[str]:
    names = {one.name.lower() for one in system.site.domains}
    words = target.part.lower().split()
    return {name for name in names for word in words if f".{word}".endswith(f".{name}")}


def _prerequisites(failure: Failure, checks: Mapping[str, Check[Any, Any]]) -> tuple[str, ...]:
    check = checks.get(failure.check)  # a settled result has no question, and so no check here
    return check.after if check else ()


def _failed(result: Failure) -> bool:
    return isinstance(result, Unmeasured) or result.severity >= Severity.NOTICE


def _weight(cause: Failure) -> int:
    return cause.severity if isinstance(cause, Finding) else Severity.OK


def _explains(cause: Failure, effect: Failure, system: System, services: Behind) -> bool:
    if isinstance(cause, Finding) and cause.severity < Severity.WARNING:
        return False
    if isinstance(effect, Finding) and _weight(cause) < effect.severity:
        return False
    return _is_near(cause.target, effect.target, system, services)


def _services(system: System) -> Behind:
    try:
        endpoints = list(system.endpoints())
    except ProfileGap:
        return {}
    return {
        (one.node.name, one.listener.port): frozenset({one.listener.service, *one.listener.needs})
        for one in endpoints
    }

"""Hold an inspection against earlier ones: what changed, and how its numbers went on.

What nobody measured is never taken for gone, nor for the same; a check that was not there the last
time has nothing to be compared with.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mailcare.inspection.check import Finding, Result, Severity, Target, Unmeasured

PAST_MAX = 5  # as many earlier inspections as a trend goes back

Key = tuple[str, Target]
Places = Mapping[tuple[str, str, int], Sequence[Result]]


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier inspection of the same system: when it began, and its results."""

    started_at: datetime
    results: tuple[Result, ...]


class Kind(StrEnum):
    """What became of a result since the last inspection."""

    NEW = "new"
    WORSE = "worse"
    FIRST = "first"  # bad, and not looked at the last time
    AGAIN = "again"  # measured now, not measured the last time
    LOST = "lost"  # measured the last time, not measured now
    SAME = "same"
    BETTER = "better"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Change:
    """One result beside its predecessor; either may be missing."""

    kind: Kind
    check: str
    target: Target
    before: Result | None
    after: Result | None


@dataclass(frozen=True, slots=True)
class Series:
    """A number over the inspections, oldest first, this one's last; None where not measured."""

    check: str
    target: Target
    metric: str
    values: tuple[float | None, ...]


def compare(before: Iterable[Result], after: Iterable[Result]) -> tuple[Change, ...]:
    """Return what became of each result that is worth a word, by kind and name.

    Results are known by check and target. What was and is good, what was and is unmeasured, and
    what does not apply or waits for a person both times is left out.
    """
    old, new = _by_key(before), _by_key(after)
    old_places, new_places = _by_place(old.values()), _by_place(new.values())
    changes = [_appeared(result, old.get(key), old_places) for key, result in new.items()]
    changes += [_vanished(old[key], new_places) for key in old.keys() - new.keys()]
    found = [change for change in changes if change is not None]
    order = list(Kind)
    return tuple(sorted(found, key=lambda one: (order.index(one.kind), one.check, one.target)))


def series(past: Sequence[Past], now: Iterable[Result]) -> tuple[Series, ...]:
    """Return each number that was measured now and at least once before; `past` oldest first."""
    earlier = [_by_key(one.results) for one in past]
    found = (
        Series(check, target, metric, (*_values(earlier, (check, target), metric), value))
        for (check, target), result in _by_key(now).items()
        if isinstance(result, Finding)
        for metric, value in result.metrics.items()
    )
    return tuple(one for one in found if any(value is not None for value in one.values[:-1]))


def _values(
    earlier: Iterable[Mapping[Key, Result]], key: Key, metric: str
) -> Iterable[float | None]:
    for results in earlier:
        result = results.get(key)
        yield result.metrics.get(metric) if isinstance(result, Finding) else None


def _by_key(results: Iterable[Result]) -> dict[Key, Result]:
    found: dict[Key, Result] = {}
    for result in results:
        key = (result.check, result.target)
        if key not in found or _severity(result) > _severity(found[key]):
            found[key] = result
    return found


def _severity(result: Result | None) -> Severity:
    return result.severity if isinstance(result, Finding) else Severity.OK


def _by_place(results: Iterable[Result]) -> Places:
    """Group by check and host port: a verdict on a mount or a service may come and go there."""
    places: dict[tuple[str, str, int], list[Result]] = {}
    for result in results:
        places.setdefault(_place(result), []).append(result)
    return places


def _place(result: Result) -> tuple[str, str, int]:
    return (result.check, result.target.node, result.target.port)


def _appeared(result: Result, before: Result | None, old_places: Places) -> Change | None:
    if isinstance(result, Finding):
        kind = _kind(result, before) if before else _kind_alone(result, old_places)
    else:
        kind = _kind_unmeasured(result, before)
    if kind is None:
        return None
    return Change(kind, result.check, result.target, before, result)


def _kind(result: Finding, before: Result) -> Kind | None:
    now, then = result.severity, _severity(before)
    if isinstance(before, Unmeasured):
        return Kind.AGAIN
    if not isinstance(before, Finding):
        return Kind.FIRST if now > Severity.OK else None
    if now == then:
        return Kind.SAME if now > Severity.OK else None
    if now > then:
        return Kind.NEW if then is Severity.OK else Kind.WORSE
    return Kind.GONE if now is Severity.OK else Kind.BETTER


def _kind_alone(result: Finding, old_places: Places) -> Kind | None:
    if result.severity is Severity.OK:
        return None
    there = old_places.get(_place(result), ())
    if any(isinstance(one, Finding) for one in there):
        return Kind.NEW
    return Kind.AGAIN if any(isinstance(one, Unmeasured) for one in there) else Kind.FIRST


def _kind_unmeasured(result: Result, before: Result | None) -> Kind | None:
    was_bad = _severity(before) > Severity.OK
    is_lost = isinstance(before, Finding) and isinstance(result, Unmeasured)
    return Kind.LOST if was_bad or is_lost else None


def _vanished(before: Result, new_places: Places) -> Change | None:
    if _severity(before) is Severity.OK:
        return None
    there = new_places.get(_place(before), ())
    measured = [one for one in there if isinstance(one, Finding)]
    kind = Kind.GONE if measured else Kind.LOST
    after = None if measured else next(iter(there), None)
    return Change(kind, before.check, before.target, before, after)

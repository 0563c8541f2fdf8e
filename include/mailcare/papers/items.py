"""Results beside the checks that they belong to, in the order in which a paper tells them."""

from collections.abc import Iterable
from dataclasses import dataclass

from mailcare.inspection.check import Finding, Result, Severity, Unmeasured
from mailcare.inspection.outcome import by_urgency, state_of
from mailcare.inspection.planning import AnyCheck


@dataclass(frozen=True, slots=True)
class Item:
    """One result and its check."""

    result: Result
    check: AnyCheck

    @property
    def state(self) -> str:
        """Return the severity in lower case where measured, the state where not."""
        if isinstance(self.result, Finding):
            return self.result.severity.name.lower()
        return state_of(self.result)

    @property
    def says(self) -> str:
        """Return the summary, or the reason why there is none."""
        return self.result.summary if isinstance(self.result, Finding) else self.result.reason

    @property
    def target(self) -> str:
        """Return what the result is about, as a person would write it."""
        return str(self.result.target)

    @property
    def cause(self) -> str | None:
        """Return the name of the check whose failure explains this result."""
        return self.result.caused_by if isinstance(self.result, Finding | Unmeasured) else None

    @property
    def is_bad(self) -> bool:
        """Tell whether somebody should do something about it, however small."""
        return isinstance(self.result, Finding) and self.result.severity > Severity.OK


def read_items(results: Iterable[Result], checks: Iterable[AnyCheck]) -> tuple[Item, ...]:
    """Return an item for each result, the most urgent first.

    A result whose check is not among `checks` is our own error (`KeyError`).
    """
    known = {check.name: check for check in checks}
    return tuple(Item(result, known[result.check]) for result in by_urgency(results))


def in_state(items: Iterable[Item], *states: str) -> list[Item]:
    """Return the items in any of the states, in order."""
    return [item for item in items if item.state in states]

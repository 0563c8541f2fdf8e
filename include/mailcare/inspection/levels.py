"""Hold a number against a pair of limits, or a fact against none."""

from dataclasses import dataclass

from mailcare.inspection.check import Severity


@dataclass(frozen=True, slots=True)
class NoLimits:
    """The rule is a fact, not a number."""


@dataclass(frozen=True, slots=True)
class FactOnly:
    """The check states a fact and never warns; `judged_by` is the title of what judges it."""

    judged_by: str


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Limits that a value must stay below; `unit` as a paper writes it behind the number."""

    warning: float
    critical: float
    unit: str = ""

    def severity(self, value: float) -> Severity:
        """Return how bad `value` is; a limit that is reached counts."""
        if value >= self.critical:
            return Severity.CRITICAL
        return Severity.WARNING if value >= self.warning else Severity.OK


@dataclass(frozen=True, slots=True)
class Floor:
    """Limits that a value must stay above; `unit` as a paper writes it behind the number."""

    warning: float
    critical: float
    unit: str = ""

    def severity(self, value: float) -> Severity:
        """Return how bad `value` is; a limit that is reached counts."""
        if value <= self.critical:
            return Severity.CRITICAL
        return Severity.WARNING if value <= self.warning else Severity.OK

"""Hold a number against a pair of limits."""

from dataclasses import dataclass

from mailcare.inspection.check import Severity


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Limits that a value must stay below, in the value's own unit."""

    warning: float
    critical: float

    def severity(self, value: float) -> Severity:
        """Return how bad `value` is; a limit that is reached counts."""
        if value >= self.critical:
            return Severity.CRITICAL
        return Severity.WARNING if value >= self.warning else Severity.OK


@dataclass(frozen=True, slots=True)
class Floor:
    """Limits that a value must stay above, in the value's own unit."""

    warning: float
    critical: float

    def severity(self, value: float) -> Severity:
        """Return how bad `value` is; a limit that is reached counts."""
        if value <= self.critical:
            return Severity.CRITICAL
        return Severity.WARNING if value <= self.warning else Severity.OK

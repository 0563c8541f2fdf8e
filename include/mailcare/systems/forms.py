"""What a person enters about an authorisation, checked field by field."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from mailcare.clock import BEIJING
from mailcare.systems.complaints import PRINTABLE
from mailcare.systems.profile import Strict
from mailcare.systems.site import AuthorisationEntry, Consent, Name

Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=PRINTABLE),
]


def _beijing(value: object) -> object:
    """Read a moment as a form sends it; without a zone it is Beijing time."""
    if not isinstance(value, str):
        return value
    try:
        at = datetime.fromisoformat(value.strip())
        aware = at if at.tzinfo else at.replace(tzinfo=BEIJING)
        return aware.astimezone(UTC).astimezone(
            BEIJING
        )  # it is kept as the one, shown as the other
    except (ValueError, OverflowError):
        raise ValueError("应为日期和时间，例如 2026-11-23 09:00") from None


Moment = Annotated[datetime, BeforeValidator(_beijing)]


class AuthorisationForm(Strict):
    """The customer's consent to remote login as it is entered; `system` is a site name."""

    system: Name
    given_by: Line
    given_at: Moment
    how: Consent
    purpose: Line
    nodes: tuple[Name, ...] = Field(min_length=1)
    valid_from: Moment
    valid_to: Moment
    evidence: Line

    def entry(self) -> AuthorisationEntry:
        """Return the same consent as a site file states it."""
        return AuthorisationEntry.model_validate(self.model_dump(exclude={"system"}))

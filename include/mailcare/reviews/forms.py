"""What a person asks for: the review of a contract's year, or of the desk's."""

from typing import Annotated

from pydantic import Field

from mailcare.contracts.forms import Line
from mailcare.systems.profile import Strict

YEARS = (1, 9998)  # of the calendar, as far as dates go; a contract's are counted from 1


class ReviewForm(Strict):
    """Without a contract it is the desk's calendar year; without a year that of today."""

    contract: Line | None = None
    year: Annotated[int, Field(ge=YEARS[0], le=YEARS[1])] | None = None

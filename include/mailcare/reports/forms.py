"""What people enter about a report on a fault, checked field by field."""

from typing import Annotated, Self

from pydantic import StringConstraints, model_validator

from mailcare.contracts.forms import Line, Remark
from mailcare.faults.declaration import Text
from mailcare.systems.complaints import WRITTEN
from mailcare.systems.forms import Moment
from mailcare.systems.profile import Strict

DRAFT_CHARACTERS_MOST = 4000
Loose = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=DRAFT_CHARACTERS_MOST, pattern=WRITTEN),
]


class DraftForm(Strict):
    """A report that is not ready yet: any field may be empty."""

    occurred_at: Moment | None = None
    method: Loose = ""
    degree: Loose = ""
    lessons: Loose = ""
    opinions: Loose = ""


class ReportForm(Strict):
    """A report that the reviewer may have: what was done and how far must stand there."""

    occurred_at: Moment | None = None
    method: Text
    degree: Text
    lessons: Loose = ""
    opinions: Loose = ""


class HandOverForm(Strict):
    """A report that was handed over 当面送达: to whom, when, and what proves it."""

    received_by: Line
    handed_at: Moment
    remark: Remark = ""
    has_file: bool = False

    @model_validator(mode="after")
    def _is_proven(self) -> Self:
        if not self.remark and not self.has_file:
            raise ValueError("须写明依据，或附上签收凭证")
        return self

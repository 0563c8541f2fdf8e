"""The numbers of papers: what they are about, the year, and the case that they tell of."""

from datetime import datetime
from enum import StrEnum

from mailcare.clock import BEIJING


class Series(StrEnum):
    """What a paper's number begins with."""

    INSPECTION = "XJ"
    FAULT = "GZ"
    BACKUP = "BF"
    VISIT = "XC"
    SURVEY = "DC"
    REVIEW = "ND"


def paper_number(series: Series, identity: int, *, at: datetime) -> str:
    """Return a number such as `GZ-2026-00001`.

    `identity` is the case's own, unique in its series; `at` is when the case began, its year is
    that of Beijing.
    """
    return f"{series}-{at.astimezone(BEIJING):%Y}-{identity:05d}"

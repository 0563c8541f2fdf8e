"""The figures of surveys 满意度统计: how many, how good, by whom and when. Pure.

A mean counts the scores that were given; a question left open counts nowhere. The response rate is
that of the surveys that have ended: answered / (answered + refused + expired).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import pandas as pd

from mailcare.papers.document import Json
from mailcare.surveys.scores import QUESTIONS, SCORE_WORDS, Scores

ALL = "全部"
NOBODY = "（无工程师）"
OVERALL = "overall"  # all four questions together
OPEN_STATES = ("asked", "reminded")
MONTHS_A_QUARTER = 3


class Grouping(StrEnum):
    """What surveys are told apart by."""

    ENGINEER = "engineer"
    CUSTOMER = "customer"
    SERVICE = "service"
    QUARTER = "quarter"


@dataclass(frozen=True, slots=True)
class Asked:
    """A survey as the figures need it; `state` is its word, `scores` there if it was answered."""

    survey: int
    subject: str
    service: str
    customer: str
    engineers: tuple[str, ...]
    asked_on: date
    state: str
    scores: Scores | None = None
    comments: str = ""

    @property
    def quarter(self) -> str:
        """Return the quarter in which the customer was asked, such as 2026 年第 1 季度."""
        return f"{self.asked_on.year} 年第 {(self.asked_on.month - 1) // MONTHS_A_QUARTER + 1} 季度"


@dataclass(frozen=True, slots=True)
class Tally:
    """The scores of one question; `mean` is None where nobody gave one."""

    count: int
    mean: float | None
    counts: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one group; `rate_pct` is None while no survey of it has ended."""

    name: str
    asked: int
    answered: int
    refused: int
    expired: int
    rate_pct: float | None
    tallies: Mapping[str, Tally]

    @property
    def open(self) -> int:
        """Return how many are still being asked."""
        return self.asked - self.answered - self.refused - self.expired


def figures_of_all(asked: Iterable[Asked]) -> Figures:
    """Return the figures of all surveys together; none at all is a group of nothing."""
    [all_of_them] = _figures({ALL: tuple(asked)})
    return all_of_them


def figures_by(asked: Iterable[Asked], grouping: Grouping) -> tuple[Figures, ...]:
    """Return the figures of each group, by name; a survey counts for each of its engineers."""
    groups: dict[str, list[Asked]] = {}
    for one in asked:
        for name in _groups_of(one, grouping):
            groups.setdefault(name, []).append(one)
    return tuple(_figures(dict(sorted(groups.items()))))


def _groups_of(one: Asked, grouping: Grouping) -> Sequence[str]:
    if grouping is Grouping.ENGINEER:
        return sorted(set(one.engineers)) or [NOBODY]
    names = {
        Grouping.CUSTOMER: one.customer,
        Grouping.SERVICE: one.service,
        Grouping.QUARTER: one.quarter,
    }
    return [names[grouping]]


def _scores(groups: Mapping[str, Sequence[Asked]]) -> pd.DataFrame:
    """Return a row for each score that was given, once for its question and once over all."""
    rows = [
        (name, question, score)
        for name, surveys in groups.items()
        for one in surveys
        if one.scores
        for asked, score in one.scores.given().items()
        for question in (asked, OVERALL)
    ]
    return pd.DataFrame(rows, columns=["group", "question", "score"])


def _figures(groups: Mapping[str, Sequence[Asked]]) -> Iterator[Figures]:
    scores = _scores(groups)
    for name, surveys in groups.items():
        states = Counter(one.state for one in surveys)
        ended = len(surveys) - sum(states[one] for one in OPEN_STATES)
        own = scores[scores["group"] == name]
        yield Figures(
            name=name,
            asked=len(surveys),
            answered=states["answered"],
            refused=states["refused"],
            expired=states["expired"],
            rate_pct=100 * states["answered"] / ended if ended else None,
            tallies={
                one: _tally(own.loc[own["question"] == one, "score"])
                for one in (*QUESTIONS, OVERALL)
            },
        )


def _tally(scores: "pd.Series[int]") -> Tally:
    counts = scores.value_counts()
    mean = float(scores.mean()) if len(scores) else None
    return Tally(len(scores), mean, {score: int(counts.get(score, 0)) for score in SCORE_WORDS})


def trend(asked: Iterable[Asked]) -> dict[str, Json] | None:
    """Return the means of the quarters as a chart of lines, or None where nobody answered."""
    quarters = figures_by(asked, Grouping.QUARTER)
    means = {
        title: [one.tallies[name].mean for one in quarters] for name, title in QUESTIONS.items()
    }
    lines: list[Json] = [
        {"label": title, "values": values}
        for title, values in means.items()
        if any(value is not None for value in values)
    ]
    if not lines:
        return None
    return {
        "kind": "lines",
        "title": "各季度平均分",
        "unit": "分",
        "lines": lines,
        "dates": [one.name for one in quarters],
        "more": 0,
    }

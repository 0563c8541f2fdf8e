from collections import Counter
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailcare.papers.figures import draw_chart
from mailcare.surveys.scores import QUESTIONS, Scores
from mailcare.surveys.statistics import (
    NOBODY,
    OVERALL,
    Asked,
    Grouping,
    figures_by,
    figures_of_all,
    trend,
)

score = st.none() | st.integers(0, 5)
scores = st.builds(Scores, score, score, score, score)
names = st.sampled_from(["li", "zhang", "wu"])


@st.composite
def surveys(draw) -> list[Asked]:
    return [
        Asked(
            number,
            f"GZ-{number}",
            draw(st.sampled_from(["visit", "fault"])),
            draw(st.sampled_from(["甲客户", "乙客户"])),
            tuple(draw(st.lists(names, max_size=2, unique=True))),
            draw(st.dates(date(2026, 1, 1), date(2026, 12, 31))),
            state := draw(st.sampled_from(["asked", "answered", "refused", "expired"])),
            draw(scores) if state == "answered" else None,
        )
        for number in range(draw(st.integers(0, 12)))
    ]


def recomputed(chosen: list[Asked], question: str) -> tuple[int, Fraction | None, Counter]:
    found = [
        value
        for one in chosen
        if one.scores
        for name, value in one.scores.given().items()
        if question in (name, OVERALL)
    ]
    return len(found), Fraction(sum(found), len(found)) if found else None, Counter(found)


def holds(figures, chosen: list[Asked]) -> None:
    states = Counter(one.state for one in chosen)
    assert figures.asked == len(chosen)
    assert (figures.answered, figures.refused) == (states["answered"], states["refused"])
    assert (figures.expired, figures.open) == (states["expired"], states["asked"])
    ended = len(chosen) - states["asked"]
    rate = 100 * states["answered"] / ended if ended else None
    assert figures.rate_pct == (None if rate is None else pytest.approx(rate))
    for question in (*QUESTIONS, OVERALL):
        count, mean, counts = recomputed(chosen, question)
        tally = figures.tallies[question]
        assert tally.count == count
        assert tally.mean == (None if mean is None else pytest.approx(float(mean)))
        assert {one: n for one, n in tally.counts.items() if n} == dict(counts)


@settings(max_examples=40)
@given(surveys())
def test_the_figures_are_those_of_a_plain_count(asked):
    holds(figures_of_all(asked), asked)
    for grouping, of in {
        Grouping.CUSTOMER: lambda one: {one.customer},
        Grouping.SERVICE: lambda one: {one.service},
        Grouping.QUARTER: lambda one: {one.quarter},
        Grouping.ENGINEER: lambda one: set(one.engineers) or {NOBODY},
    }.items():
        found = figures_by(asked, grouping)
        assert [one.name for one in found] == sorted(set().union(*map(of, asked)))
        for one in found:
            holds(one, [survey for survey in asked if one.name in of(survey)])


def test_the_figures_are_those_that_a_person_counts_on_paper():
    def one(number, service, customer, engineers, on, state, *scores):
        given = Scores(*scores) if scores else None
        on = date.fromisoformat(f"2026-{on}")
        return Asked(number, "", service, customer, engineers, on, state, given)

    asked = [
        one(1, "visit", "甲", ("li",), "01-10", "answered", 5, 4, 3, None),
        one(2, "fault", "甲", ("li", "wu"), "03-31", "answered", 0, None, 2, 4),
        one(3, "fault", "乙", ("wu",), "04-01", "expired"),
        one(4, "fault", "乙", (), "05-05", "refused"),
        one(5, "visit", "乙", ("wu",), "12-31", "asked"),
    ]
    # Group: asked, answered, rate of those that ended, mean of all scores given.
    told = {
        Grouping.ENGINEER: {"li": (2, 2, 100, 3), "wu": (3, 1, 50, 2), NOBODY: (1, 0, 0, None)},
        Grouping.CUSTOMER: {"甲": (2, 2, 100, 3), "乙": (3, 0, 0, None)},
        Grouping.SERVICE: {"visit": (2, 1, 100, 4), "fault": (3, 1, 100 / 3, 2)},
        Grouping.QUARTER: {
            "2026 年第 1 季度": (2, 2, 100, 3),
            "2026 年第 2 季度": (2, 0, 0, None),
            "2026 年第 4 季度": (1, 0, None, None),
        },
    }
    for grouping, groups in told.items():
        found = {
            one.name: (one.asked, one.answered, one.rate_pct, one.tallies[OVERALL].mean)
            for one in figures_by(asked, grouping)
        }
        assert found == {name: pytest.approx(row) for name, row in groups.items()}


def test_without_an_answer_there_is_no_mean_no_rate_and_no_chart():
    none = figures_of_all([])
    assert (none.asked, none.rate_pct, none.tallies[OVERALL].mean) == (0, None, None)
    assert sum(none.tallies[OVERALL].counts.values()) == 0
    assert figures_by([], Grouping.CUSTOMER) == ()
    assert trend([]) is None

    silent = [Asked(1, "GZ-1", "fault", "甲客户", (), date(2026, 1, 5), "expired")]
    assert figures_of_all(silent).rate_pct == 0
    assert trend(silent) is None


def test_nought_is_counted_and_blank_is_not():
    given_nought = Asked(
        1, "GZ-1", "fault", "甲客户", ("li",), date(2026, 1, 5), "answered", Scores(0, 4)
    )
    figures = figures_of_all([given_nought])

    assert figures.tallies["satisfaction"].mean == 0
    assert figures.tallies["skill"].mean is None
    assert figures.tallies[OVERALL].mean == 2
    assert figures.tallies[OVERALL].counts[0] == 1


def test_the_trend_can_be_drawn_with_a_quarter_that_nobody_answered_in():
    asked = [
        Asked(1, "a", "fault", "甲", (), date(2026, 2, 1), "answered", Scores(5, 4, 5, None)),
        Asked(2, "b", "fault", "甲", (), date(2026, 5, 1), "expired"),
        Asked(3, "c", "fault", "甲", (), date(2026, 8, 1), "answered", Scores(3, 4, 5, None)),
    ]
    chart = trend(asked)

    assert chart is not None
    assert chart["dates"] == ["2026 年第 1 季度", "2026 年第 2 季度", "2026 年第 3 季度"]
    svg = draw_chart(chart)
    assert "服务满意度" in svg
    assert "服务效果" not in svg


def test_the_trend_of_noughts_and_of_one_quarter_can_be_drawn():
    worst = Asked(1, "a", "fault", "甲", (), date(2026, 2, 1), "answered", Scores(0, 0, 0, 0))
    chart = trend([worst])
    assert chart is not None
    assert "2026 年第 1 季度" in draw_chart(chart)

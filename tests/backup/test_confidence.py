"""The bounds against textbook values and against counting in whole numbers."""

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailcare.backup.confidence import (
    Draw,
    bad_at_most,
    clopper_pearson_upper,
    finite_upper,
    statement,
)


def counted(bad: int, drawn: int, population: int) -> int:
    """Find the bound by trying every number of bad ones, in exact arithmetic."""
    for damaged in range(population - (drawn - bad), bad - 1, -1):
        ways = sum(
            math.comb(damaged, k) * math.comb(population - damaged, drawn - k)
            for k in range(bad + 1)
        )
        if 20 * ways >= math.comb(population, drawn):
            return damaged
    raise AssertionError("no number of bad ones explains the sample")


@pytest.mark.parametrize(
    ("drawn", "upper_pct"),
    [(59, 4.950), (299, 0.9969), (598, 0.4997), (2995, 0.09997), (29_956, 0.01000)],
)
def test_none_bad_is_the_rule_of_three_exactly(drawn, upper_pct):
    assert clopper_pearson_upper(0, drawn) * 100 == pytest.approx(upper_pct, rel=1e-3)


# One-sided 95 % bounds are the upper ends of two-sided 90 % intervals, as tables print them.
@pytest.mark.parametrize(("bad", "drawn", "upper"), [(1, 10, 0.3942), (3, 100, 0.0757)])
def test_failures_give_the_bound_of_the_tables(bad, drawn, upper):
    assert clopper_pearson_upper(bad, drawn) == pytest.approx(upper, abs=5e-5)


@pytest.mark.parametrize(("bad", "drawn"), [(1, 10), (5, 50), (10, 1000), (290, 299)])
def test_the_bound_leaves_exactly_the_stated_doubt(bad, drawn):
    share = Fraction(clopper_pearson_upper(bad, drawn))
    doubt = sum(math.comb(drawn, k) * share**k * (1 - share) ** (drawn - k) for k in range(bad + 1))
    assert float(doubt) == pytest.approx(0.05, rel=1e-6)


def test_all_bad_leaves_nothing_to_hope_for():
    assert clopper_pearson_upper(7, 7) == 1.0


def test_nothing_drawn_proves_nothing():
    assert clopper_pearson_upper(0, 0) == 1.0
    assert finite_upper(0, 0, 40) == 40


@settings(max_examples=60)
@given(st.data())
def test_a_finite_population_is_counted_exactly(data):
    population = data.draw(st.integers(1, 120))
    drawn = data.draw(st.integers(0, population))
    bad = data.draw(st.integers(0, drawn))
    assert finite_upper(bad, drawn, population) == counted(bad, drawn, population)


def test_the_whole_population_leaves_what_was_found():
    assert finite_upper(0, 10, 10) == 0
    assert finite_upper(3, 10, 10) == 3


def test_a_large_population_is_close_to_an_endless_one():
    bound = finite_upper(2, 299, 10_000_000)
    assert bound / 10_000_000 == pytest.approx(clopper_pearson_upper(2, 299), rel=1e-3)


def test_more_drawn_never_weakens_the_bound():
    bounds = [finite_upper(0, drawn, 5000) for drawn in range(0, 5001, 250)]
    assert all(later <= earlier for earlier, later in pairwise(bounds))


def test_what_was_chosen_on_purpose_tells_only_of_itself():
    assert bad_at_most(Draw(1000, chosen=700, chosen_bad=0, drawn=0, drawn_bad=0)) == 300
    assert bad_at_most(Draw(1000, chosen=700, chosen_bad=2, drawn=300, drawn_bad=0)) == 2


def test_the_sentence_names_population_sample_failures_and_bound():
    text = statement(Draw(1_204_311, chosen=1600, chosen_bad=0, drawn=299, drawn_bad=0))
    assert text == (
        "1,204,311 封中抽取 1,899 封恢复并解析，全部合格："
        "以 95% 的置信度，不能恢复的邮件不超过 11,988 封（1.00%）。"
    )
    assert "3 封不合格" in statement(Draw(5000, chosen=100, chosen_bad=1, drawn=299, drawn_bad=2))


def test_a_sentence_about_everything_states_no_confidence():
    text = statement(Draw(300, chosen=20, chosen_bad=0, drawn=280, drawn_bad=0))
    assert text == "300 封中抽取 300 封恢复并解析（全部检查），全部合格。"


def test_a_sentence_about_nothing_draws_no_conclusion():
    assert "不能作出结论" in statement(Draw(300, chosen=0, chosen_bad=0, drawn=0, drawn_bad=0))


@pytest.mark.parametrize("counts", [(10, 8, 0, 3, 0), (10, 1, 2, 3, 0), (10, 1, 0, 3, -1)])
def test_counts_that_contradict_each_other_are_refused(counts):
    with pytest.raises(ValueError, match="contradict"):
        Draw(*counts)

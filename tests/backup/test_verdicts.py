from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailcare.backup.verdicts import (
    Coverage,
    Judgement,
    Level,
    Remark,
    Verdict,
    Weight,
    aged,
    judged,
    not_run,
    worst,
)

NOW = datetime(2026, 11, 28, 10, tzinfo=UTC)
WHOLE = Coverage(expected=3, examined=3, ok=3)
NOTE = Remark("note", "备注", Weight.NOTE)


def test_whole_and_clean_is_passed():
    judgement = judged(Level.L2, WHOLE, [NOTE])
    assert judgement.verdict is Verdict.PASS
    assert judgement.reason == ""


@pytest.mark.parametrize(
    ("coverage", "verdict"),
    [
        (Coverage(3, 2, 2), Verdict.DEGRADED),
        (Coverage(3, 3, 2, unreadable=1), Verdict.DEGRADED),
        (Coverage(3, 3, 2, bad=1), Verdict.FAIL),
        (Coverage(3, 3, 2, changed=1), Verdict.DEGRADED),
        (Coverage(), Verdict.DEGRADED),
    ],
)
def test_nothing_unfinished_unreadable_or_bad_passes(coverage, verdict):
    judgement = judged(Level.L3, coverage, [])
    assert judgement.verdict is verdict
    assert judgement.reason
    with pytest.raises(ValueError, match="PASS"):
        Judgement(Level.L3, Verdict.PASS, coverage)


counts = st.integers(0, 4)


@settings(max_examples=60)
@given(counts, counts, counts, counts, counts, st.sampled_from(Weight))
def test_a_pass_is_only_ever_given_to_whole_coverage(
    expected, ok, bad, unreadable, changed, weight
):
    coverage = Coverage(expected, ok + bad + unreadable + changed, ok, bad, unreadable, changed)
    judgement = judged(Level.L3, coverage, [Remark("x", "某事", weight)])
    if judgement.verdict is Verdict.PASS:
        assert coverage.ok == coverage.examined >= coverage.expected > 0
        assert not bad
        assert weight is Weight.NOTE


def test_counts_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="examined"):
        Coverage(3, 3, 2)


@pytest.mark.parametrize("last_run_days", [None, 8])
def test_a_level_not_run_for_longer_than_its_policy_is_degraded(last_run_days):
    last = None if last_run_days is None else NOW - timedelta(days=last_run_days)
    waiting, known = not_run(Level.L4, "未轮到"), NOW - timedelta(days=9)
    judgement = aged(waiting, policy_days=7, last_run_at=last, known_since=known, now=NOW)
    assert judgement.verdict is Verdict.DEGRADED
    assert "7 天" in judgement.reason
    assert ("从未完成" in judgement.reason) == (last is None)


def test_a_level_that_is_not_due_or_not_promised_stays_not_run():
    waiting = not_run(Level.L4, "未轮到")
    long_ago, lately = NOW - timedelta(days=99), NOW - timedelta(days=6)
    for days, last, known in ((7, lately, long_ago), (7, None, None), (None, long_ago, long_ago)):
        kept = aged(waiting, policy_days=days, last_run_at=last, known_since=known, now=NOW)
        assert kept is waiting


def test_the_worst_verdict_speaks_for_all():
    assert worst([Verdict.PASS, Verdict.NOT_RUN]) is Verdict.NOT_RUN
    assert worst([Verdict.NOT_RUN, Verdict.DEGRADED, Verdict.FAIL]) is Verdict.FAIL
    assert worst([]) is Verdict.NOT_RUN

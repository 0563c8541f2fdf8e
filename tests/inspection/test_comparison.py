from datetime import UTC, datetime

import pytest

from mailcare.inspection.check import (
    Finding,
    Manual,
    NotApplicable,
    Result,
    Severity,
    Target,
    Unmeasured,
)
from mailcare.inspection.comparison import Kind, Past, compare, series

HOST = Target("mx1")
OK, NOTICE, WARNING, CRITICAL = Severity


def found(severity: Severity, target: Target = HOST, **metrics: float) -> Finding:
    return Finding("storage.space", target, severity, "说明", metrics=metrics)


def unmeasured(target: Target = HOST) -> Unmeasured:
    return Unmeasured("storage.space", target, "没有回复")


def kinds(before: list[Result], after: list[Result]) -> list[Kind]:
    return [change.kind for change in compare(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (found(OK), found(WARNING), Kind.NEW),
        (found(WARNING), found(CRITICAL), Kind.WORSE),
        (found(CRITICAL), found(WARNING), Kind.BETTER),
        (found(WARNING), found(OK), Kind.GONE),
        (found(WARNING), found(WARNING), Kind.SAME),
        (found(WARNING), unmeasured(), Kind.LOST),
        (found(OK), unmeasured(), Kind.LOST),
        (unmeasured(), found(WARNING), Kind.AGAIN),
        (unmeasured(), found(OK), Kind.AGAIN),
        (found(WARNING), NotApplicable("storage.space", HOST, "无"), Kind.LOST),
        (found(WARNING), Manual("storage.space", HOST, "请查看"), Kind.LOST),
        (Manual("storage.space", HOST, "请查看"), found(NOTICE), Kind.FIRST),
    ],
)
def test_a_result_is_held_against_its_predecessor(before, after, kind):
    assert kinds([before], [after]) == [kind]


@pytest.mark.parametrize(
    "result",
    [found(OK), unmeasured(), Manual("storage.space", HOST, "x")],
    ids=["good", "unmeasured", "manual"],
)
def test_what_is_as_it_should_be_or_as_unknown_as_before_is_not_told(result):
    assert kinds([result], [result]) == []


def test_what_nobody_looked_at_the_last_time_is_not_new():
    assert kinds([], [found(CRITICAL)]) == [Kind.FIRST]
    assert kinds([found(OK, Target("mx2"))], [found(CRITICAL)]) == [Kind.FIRST]


def test_a_problem_that_appears_where_the_check_was_good_is_new():
    at_mount = found(WARNING, Target("mx1", part="/var"))
    assert kinds([found(OK)], [at_mount]) == [Kind.NEW]
    assert kinds([unmeasured()], [at_mount]) == [Kind.AGAIN]


def test_a_problem_that_vanished_is_gone_only_where_the_check_measured():
    at_mount = found(WARNING, Target("mx1", part="/var"))
    assert kinds([at_mount], [found(OK)]) == [Kind.GONE]
    assert kinds([at_mount], [unmeasured()]) == [Kind.LOST]
    assert kinds([at_mount], []) == [Kind.LOST]
    assert kinds([at_mount], [found(OK, Target("mx2"))]) == [Kind.LOST]


def test_a_good_thing_that_vanished_is_no_change():
    assert kinds([found(OK)], []) == []


def test_of_two_results_of_one_target_the_worse_one_counts():
    assert kinds([found(OK)], [found(OK), found(CRITICAL)]) == [Kind.NEW]


def test_the_worst_news_come_first():
    before = [found(OK), found(CRITICAL, Target("mx2")), found(WARNING, Target("mx3"))]
    after = [found(WARNING), found(OK, Target("mx2")), found(CRITICAL, Target("mx3"))]
    assert kinds(before, after) == [Kind.NEW, Kind.WORSE, Kind.GONE]


def past(year: int, *results: Result) -> Past:
    return Past(datetime(year, 3, 1, tzinfo=UTC), results)


def test_a_number_is_followed_through_the_inspections_with_gaps_where_it_was_not_measured():
    earlier = [
        past(2023, found(OK, used_pct=40.0)),
        past(2024, unmeasured()),
        past(2025, found(OK, used_pct=60.0)),
    ]
    [one] = series(earlier, [found(WARNING, used_pct=85.0)])
    assert (one.metric, one.values) == ("used_pct", (40.0, None, 60.0, 85.0))


def test_a_number_without_a_history_is_no_series():
    now = [found(OK, used_pct=1.0)]
    assert series([], now) == ()
    assert series([past(2025, found(OK, other_pct=1.0))], now) == ()
    assert series([past(2025, found(OK, used_pct=1.0))], [unmeasured()]) == ()

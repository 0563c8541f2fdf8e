"""What a listing that broke off may say of a copy's freshness."""

from datetime import timedelta

import pytest

from mailcare.backup.freshness import FreshFacts, judge_freshness
from mailcare.backup.verdicts import Verdict
from tests.backup.stores import NOW

OLD = NOW - timedelta(days=3)


@pytest.mark.parametrize(
    ("live", "listed", "is_damaged", "verdict"),
    [
        (NOW, NOW, True, Verdict.PASS),
        (NOW, OLD, True, Verdict.FAIL),
        (NOW, OLD, False, Verdict.DEGRADED),
        (NOW, None, True, Verdict.FAIL),
        (None, NOW, True, Verdict.DEGRADED),
        (None, None, True, Verdict.DEGRADED),
    ],
)
def test_a_listing_that_broke_off_passes_only_where_it_had_proved_enough(
    live, listed, is_damaged, verdict
):
    messages = 1 if listed else 0
    facts = FreshFacts(
        NOW, 26, "a.tar.gz", NOW, True, 4, messages, listed, live, gap="断", is_damaged=is_damaged
    )
    assert judge_freshness(facts).verdict is verdict

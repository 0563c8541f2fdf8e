"""The figures of faults equal what is counted from the events one by one."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailcare.deadlines import Level
from mailcare.faults.clocks import Kind, clocks
from mailcare.faults.events import (
    Cancelled,
    Channel,
    Declared,
    FirstContact,
    Handled,
    Merged,
    Paused,
    PauseReason,
    Remedy,
    Resumed,
)
from mailcare.reports.statistics import (
    Grouping,
    Told,
    breaches,
    figures_by,
    figures_of_all,
    trend,
)
from mailcare.reports.tables import figure_head, figure_texts, figures_xlsx
from mailcare.workdays import Calendar
from tests.faults.story import STANDARD

MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 6, 30, tzinfo=UTC)
CALENDAR = Calendar()
HOURS = {Level.P1: 24, Level.P2: 48}


@dataclass(frozen=True)
class Story:
    """A fault: minutes from the declaration to contact and to the fix, and paused in between."""

    level: Level
    declared_at: datetime
    contact_min: int
    handled_min: int
    paused_min: int
    customer: str
    engineer: str

    def told(self, number: int) -> Told:
        events = [Declared(at=self.declared_at, level=self.level)]
        contact = self.declared_at + self.contact_min * MINUTE
        events.append(FirstContact(at=contact, channel=Channel.PHONE))
        if self.paused_min:
            events.append(Paused(at=contact, reason=PauseReason.THIRD_PARTY))
            events.append(Resumed(at=contact + self.paused_min * MINUTE))
        handled = self.declared_at + self.handled_min * MINUTE
        events.append(Handled(at=handled, kind=Remedy.FIX))
        derived = clocks(events, STANDARD, CALENDAR, NOW)
        return Told(
            f"GZ-{number}", self.customer, self.engineer, str(self.level), self.declared_at,
            derived, {},
        )  # fmt: skip


@st.composite
def stories(draw: st.DrawFn) -> Story:
    contact, paused = draw(st.integers(0, 40)), draw(st.sampled_from([0, 0, 30, 600]))
    longer = draw(st.integers(1, 4000))
    return Story(
        draw(st.sampled_from([Level.P1, Level.P2])),
        datetime(2026, 1, 1, tzinfo=UTC) + draw(st.integers(0, 120 * 1440)) * MINUTE,
        contact,
        contact + paused + longer,
        paused,
        draw(st.sampled_from(["甲银行", "乙银行"])),
        draw(st.sampled_from(["", "周", "李"])),
    )


@settings(max_examples=60)
@given(st.lists(stories(), max_size=8))
def test_figures_equal_a_recount_of_the_events(told_of: list[Story]) -> None:
    told = [one.told(number) for number, one in enumerate(told_of)]
    found = figures_of_all(told)
    net = [one.handled_min - one.paused_min for one in told_of]
    kept = [one <= HOURS[story.level] * 60 for one, story in zip(net, told_of, strict=True)]
    response, resolution = found.kept[Kind.RESPONSE], found.kept[Kind.RESOLUTION]

    assert found.faults == len(told_of)
    assert response.met == sum(one.contact_min <= 15 for one in told_of)
    assert (resolution.met, resolution.breached) == (sum(kept), len(kept) - sum(kept))
    assert resolution.net_median_s == (median(net) * 60 if net else None)
    gross = [one.handled_min for one in told_of]
    assert resolution.gross_median_s == (median(gross) * 60 if gross else None)
    for grouping in Grouping:
        groups = figures_by(told, grouping)
        assert sum(one.faults for one in groups) == len(told_of)
        assert sum(one.kept[Kind.RESOLUTION].met for one in groups) == resolution.met
    late = [one for one in breaches(told) if one.clock is Kind.RESOLUTION]
    assert len(late) == resolution.breached


def test_no_faults_give_strokes_and_no_noughts() -> None:
    found = figures_of_all(())

    assert found.kept[Kind.RESPONSE].rate_pct is None
    assert figures_by((), Grouping.LEVEL) == ()
    assert trend(()) is None
    assert len(figure_texts(found)) == len(figure_head())
    assert figures_xlsx((), since=NOW.date(), until=NOW.date()).startswith(b"PK")


def test_a_month_is_that_of_beijing() -> None:
    new_year = datetime(2026, 1, 31, 16, 30, tzinfo=UTC)
    told = Story(Level.P1, new_year, 1, 10, 0, "甲银行", "周").told(1)

    assert [one.name for one in figures_by((told,), Grouping.MONTH)] == ["2026-02"]
    assert trend((told,))["dates"] == ["2026-02"]


def test_the_ninetieth_percentile_lies_between_the_slowest_two() -> None:
    told = [
        Story(Level.P1, NOW - timedelta(days=30), 1, minutes, 0, "甲银行", "周").told(minutes)
        for minutes in (10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110)
    ]
    assert figures_of_all(told).kept[Kind.RESOLUTION].net_p90_s == 100 * 60


@pytest.mark.parametrize("ending", [Cancelled, partial(Merged, into="GZ-2")])
def test_what_had_broken_counts_whatever_became_of_the_fault(ending) -> None:
    declared_at = NOW - timedelta(days=30)
    kept = [Declared(at=declared_at, level=Level.P1)]
    broken = [Declared(at=declared_at - timedelta(days=2), level=Level.P1)]
    end = ending(at=declared_at + MINUTE)
    told = [
        Told("GZ-1", "甲银行", "周", "P1", declared_at, derived, {})
        for events in (kept, broken)
        for derived in [clocks([*events, end], STANDARD, CALENDAR, NOW)]
    ]
    found = figures_of_all(told).kept[Kind.RESOLUTION]

    assert (found.count, found.met, found.breached, found.open) == (1, 0, 1, 0)
    assert found.net_median_s is None
    assert [one.clock for one in breaches(told)].count(Kind.RESOLUTION) == found.breached


def test_a_missed_target_is_no_breach_but_not_kept_either() -> None:
    story = Story(Level.P4, NOW - timedelta(days=60), 1, 20 * 1440, 0, "甲银行", "周")
    kept = figures_of_all((story.told(1),)).kept[Kind.RESOLUTION]

    assert (kept.met, kept.breached, kept.missed_target, kept.rate_pct) == (0, 0, 1, 0.0)

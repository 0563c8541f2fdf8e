from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from mailcare.clock import BEIJING
from mailcare.deadlines import Level, Promise, Unit
from mailcare.faults.clocks import Kind, State, clocks
from mailcare.faults.events import Refused
from mailcare.workdays import Calendar, YearTable
from tests.faults.story import CALENDAR, STANDARD, at, event, hours, row, rows, tell

P1 = "2026-03-02 09:00 declared P1"
P3 = "2026-03-02 09:00 declared P3"
LATER = "2026-06-01 00:00"


def seen(clock):
    """Return what a test compares: due moment, state, breach."""
    return clock.due_at, clock.state, clock.breached_at


# Worked cases of itsm.md D


@pytest.mark.parametrize(
    ("level", "declared", "due"),
    [
        pytest.param("P1", "2026-09-30 18:20", "2026-10-01 18:20", id="D18"),
        pytest.param("P2", "2026-02-14 09:00", "2026-02-16 09:00", id="D20"),
        pytest.param("P1", "2026-12-31 23:30", "2027-01-01 23:30", id="D21"),
        pytest.param("P3", "2026-09-28 11:00", "2026-10-04 00:00", id="D22"),
        pytest.param("P3", "2026-10-05 22:00", "2026-10-11 00:00", id="D23"),
        pytest.param("P4", "2026-09-30 08:00", "2026-10-08 00:00", id="D24"),
        pytest.param("P4", "2026-02-09 09:00", "2026-02-17 00:00", id="D25"),
    ],
)
def test_the_resolution_clock_of_a_level_is_due(level, declared, due):
    clock = row("resolution", f"{declared} declared {level}", now=declared)
    assert seen(clock) == (at(due), State.RUNNING, None)
    assert clock.is_soft is (level in {"P3", "P4"})
    assert not clock.is_provisional


def test_d19_a_pause_of_twelve_hours_moves_the_due_moment_by_twelve():
    clock = row(
        "resolution",
        "2026-09-30 18:20 declared P1",
        "2026-09-30 20:00 paused",
        "2026-10-01 08:00 resumed",
        now="2026-10-02 06:20",
    )
    assert seen(clock) == (at("2026-10-02 06:20"), State.RUNNING, None)
    assert (clock.gross_s, clock.net_s) == (36 * 3600, 24 * 3600)


def test_d26_worsened_runs_from_the_change():
    story = ("2026-09-28 15:00 declared P3", "2026-09-29 10:00 level P1 worsened")
    first, second = [
        one for one in rows(*story, now="2026-09-29 12:00") if one.clock is Kind.RESOLUTION
    ]
    assert first.state is State.SUPERSEDED
    assert first.stopped_at == at("2026-09-29 10:00")
    assert first.due_at == at("2026-10-04 00:00")
    assert (second.epoch, second.level, second.is_soft) == (2, Level.P1, False)
    assert second.due_at == at("2026-09-30 10:00")


def test_d26_misclassified_runs_from_the_declaration():
    story = ("2026-09-28 15:00 declared P3", "2026-09-29 10:00 level P1 misclassified")
    clock = row("resolution", *story, now="2026-09-29 12:00")
    assert (clock.epoch, clock.level) == (1, Level.P1)
    assert clock.due_at == at("2026-09-29 15:00")


def test_d27_the_response_is_due_after_fifteen_minutes_over_midnight():
    clock = row("response", "2026-02-16 23:52 declared P1", now="2026-02-17 00:07")
    assert seen(clock) == (at("2026-02-17 00:07"), State.RUNNING, None)


@pytest.mark.parametrize(
    ("handled", "due"),
    [
        ("2026-02-11 16:00", "2026-02-15 00:00"),
        ("2026-02-12 09:00", "2026-02-25 00:00"),
        ("2026-02-23 23:59", "2026-02-27 00:00"),
        ("2026-02-24 00:10", "2026-02-28 00:00"),
        ("2026-09-18 17:00", "2026-09-23 00:00"),
        ("2026-09-30 23:50", "2026-10-11 00:00"),
    ],
)
def test_the_report_clock_starts_when_the_fault_is_handled(handled, due):
    clock = row("report", f"{handled} declared P1", f"{handled} handled", now=handled)
    assert seen(clock) == (at(due), State.RUNNING, None)
    assert not clock.is_provisional


def test_d17_a_report_over_an_unpublished_new_year_is_provisional():
    story = ("2026-12-30 14:00 declared P1", "2026-12-30 15:00 handled")
    clock = row("report", *story, now="2026-12-30 16:00")
    assert (clock.due_at, clock.is_provisional) == (at("2027-01-06 00:00"), True)
    assert clock.earliest_due_at < clock.due_at
    derived = rows(*story, now="2026-12-30 16:00")
    others = [one for one in derived if one.clock is not Kind.REPORT]
    assert others
    assert not any(one.is_provisional for one in others)


def test_d29_loading_the_year_moves_the_report_and_settles_it():
    holiday, makeup = at("2027-01-01 12:00").date(), at("2027-01-03 12:00").date()
    table = YearTable(2027, "虚构", frozenset({holiday}), frozenset({makeup}))
    story = tell("2026-12-30 14:00 declared P1", "2026-12-30 15:00 handled")
    *_, report = clocks(story, STANDARD, Calendar((table,)), at("2026-12-31 09:00"))
    assert (report.due_at, report.is_provisional) == (at("2027-01-05 00:00"), False)


def test_d30_with_summer_time_days_end_at_local_midnight_and_hours_are_elapsed():
    berlin = ZoneInfo("Europe/Berlin")
    start = at("2026-03-29 06:30")  # 28 March 23:30 in Berlin, the night the clock goes forward
    day, hour = (
        clocks(
            (event(f"declared {level}", start),), replace(STANDARD, zone=berlin), CALENDAR, start
        )[1]
        for level in ("P3", "P1")
    )
    assert day.due_at.astimezone(berlin).isoformat() == "2026-04-03T00:00:00+02:00"
    assert hour.due_at - start == hours(24)


# Edge cases of itsm.md B


@pytest.mark.parametrize("why", ["worsened", "misclassified"])
def test_b1_a_pause_survives_a_change_of_level(why):
    story = (
        "2026-03-02 09:00 declared P2",
        "2026-03-02 10:00 paused",
        f"2026-03-02 12:00 level P1 {why}",
        "2026-03-02 20:00 resumed",
    )
    epoch = 2 if why == "worsened" else 1
    clock = row("resolution", *story, epoch=epoch, now="2026-03-02 21:00")
    started, held = ("12:00", 8) if why == "worsened" else ("09:00", 10)
    assert clock.due_at == at(f"2026-03-02 {started}") + hours(24 + held)
    assert clock.gross_s - clock.net_s == held * 3600


def test_b1_a_new_epoch_that_begins_in_a_pause_is_held():
    story = (P3, "2026-03-02 10:00 paused", "2026-03-02 12:00 level P1 worsened")
    first, second = [
        one for one in rows(*story, now="2026-03-02 13:00") if one.clock is Kind.RESOLUTION
    ]
    assert (first.due_at, first.state) == (None, State.SUPERSEDED)
    assert (second.due_at, second.state, second.net_s) == (None, State.HELD, 0)


def test_b2_a_pause_over_night_and_weekend_counts_once_in_elapsed_time():
    story = (
        "2026-03-06 17:00 declared P1",
        "2026-03-06 18:00 paused",
        "2026-03-09 09:00 resumed",
    )
    clock = row("resolution", *story, now="2026-03-09 10:00")
    assert clock.due_at == at("2026-03-10 08:00")
    assert (clock.gross_s, clock.net_s) == (65 * 3600, 2 * 3600)


def test_b3_handling_closes_an_open_pause_first():
    story = (P1, "2026-03-02 19:00 paused", "2026-09-02 19:00 handled")
    clock = row("resolution", *story, now="2026-09-03 09:00")
    assert (clock.state, clock.breached_at) == (State.MET, None)
    assert clock.net_s == 10 * 3600
    assert clock.due_at == at("2026-09-02 19:00") + hours(14)


def test_b4_a_paused_clock_has_no_due_moment_and_does_not_break():
    clock = row("resolution", P1, "2026-03-02 19:00 paused", now=LATER)
    assert seen(clock) == (None, State.HELD, None)
    assert clock.net_s == 10 * 3600


def test_b5_the_time_between_handled_and_reopened_is_left_out():
    story = (P1, "2026-03-02 15:00 handled", "2026-03-05 15:00 reopened")
    clock = row("resolution", *story, now="2026-03-05 16:00")
    assert seen(clock) == (at("2026-03-06 09:00"), State.RUNNING, None)
    assert (clock.gross_s, clock.net_s, clock.stopped_at) == (79 * 3600, 7 * 3600, None)


def test_b6_a_reopening_keeps_the_breach_and_asks_for_a_second_report():
    story = (
        P1,
        "2026-03-03 15:00 handled",
        "2026-03-03 16:00 reopened",
        "2026-03-03 17:00 handled",
    )
    clock = row("resolution", *story, now=LATER)
    assert seen(clock)[1:] == (State.LATE, at("2026-03-03 09:00"))
    assert row("report", *story, now="2026-03-03 18:00").state is State.SUPERSEDED
    assert row("report", *story, epoch=2, now="2026-03-03 18:00").state is State.RUNNING


def test_b8_worsened_and_misclassified_differ():
    worse = row("resolution", P3, "2026-03-02 15:00 level P2 worsened", epoch=2, now=LATER)
    wrong = row("resolution", P3, "2026-03-02 15:00 level P2 misclassified", now=LATER)
    assert worse.due_at == at("2026-03-04 15:00")
    assert wrong.due_at == at("2026-03-04 09:00")


def test_b9_a_retroactive_level_breaks_with_the_moment_at_which_the_promise_broke():
    clock = row("resolution", P3, "2026-03-05 15:00 level P1 misclassified", now="2026-03-05 15:00")
    assert seen(clock) == (at("2026-03-03 09:00"), State.LATE, at("2026-03-03 09:00"))


def test_b10_no_minute_is_lost_at_midnight():
    story = ("2026-03-02 23:59 declared P1", "2026-03-02 23:59 paused", "2026-03-03 00:01 resumed")
    clock = row("resolution", *story, now="2026-03-03 00:02")
    assert (clock.gross_s, clock.net_s) == (180, 60)


@pytest.mark.parametrize("word", ["accepted", "contact auto", "level P2 worsened", "paused"])
def test_b15_only_a_persons_contact_stops_the_response(word):
    clock = row("response", P3, f"2026-03-02 09:05 {word}", now="2026-03-02 09:16")
    assert seen(clock) == (at("2026-03-02 09:15"), State.LATE, at("2026-03-02 09:15"))


@pytest.mark.parametrize("channel", ["phone", "chat", "email", "onsite"])
def test_b15_a_contact_stops_the_response_even_in_the_same_instant_as_a_change(channel):
    story = (P3, "2026-03-02 09:10 level P2 worsened", f"2026-03-02 09:10 contact {channel}")
    clock = row("response", *story, now=LATER)
    assert (clock.state, clock.stopped_at) == (State.MET, at("2026-03-02 09:10"))
    assert clock.level is Level.P3


def test_b17_the_terms_pinned_to_the_fault_decide():
    terms = replace(STANDARD, resolution=(Promise(4, Unit.HOURS), *STANDARD.resolution[1:]))
    assert row("resolution", P1, now="2026-03-02 14:00", terms=terms).state is State.LATE
    assert row("resolution", P1, now="2026-03-02 14:00").state is State.RUNNING


@pytest.mark.parametrize("word", ["cancelled", "merged"])
def test_b18_cancelling_and_merging_stop_every_open_clock(word):
    story = (P1, "2026-03-02 09:05 paused", f"2026-03-02 09:10 {word}")
    states = [(one.state, one.stopped_at) for one in rows(*story, now=LATER)]
    assert states == [(State.CANCELLED, at("2026-03-02 09:10"))] * 2


def test_b18_what_had_stopped_before_stays_as_it_was():
    story = (P1, "2026-03-02 09:10 handled", "2026-03-02 09:20 cancelled")
    states = [one.state for one in rows(*story, now=LATER)]
    assert states == [State.MET, State.MET, State.CANCELLED]


# Boundaries


@pytest.mark.parametrize(
    ("level", "handled", "state"),
    [
        ("P1", "2026-03-03 09:00", State.MET),
        ("P1", "2026-03-03 09:01", State.LATE),
        ("P3", "2026-03-07 23:59", State.MET),
        ("P3", "2026-03-08 00:00", State.LATE),
    ],
)
def test_hours_are_met_at_the_due_moment_and_days_only_before_midnight(level, handled, state):
    story = (f"2026-03-02 09:00 declared {level}", f"{handled} handled")
    clock = row("resolution", *story, now=LATER)
    assert clock.state is state
    assert clock.breached_at == (clock.due_at if state is State.LATE else None)


def test_an_open_hour_clock_breaks_after_its_due_moment_and_a_day_clock_at_it():
    assert row("resolution", P1, now="2026-03-03 09:00").state is State.RUNNING
    assert row("resolution", P1, now="2026-03-03 09:01").state is State.LATE
    assert row("resolution", P3, now="2026-03-07 23:59").state is State.RUNNING
    late = row("resolution", P3, now="2026-03-08 00:00")
    assert (late.state, late.is_soft, late.breached_at) == (State.LATE, True, late.due_at)


def test_a_report_sent_at_midnight_is_late():
    story = (P1, "2026-03-02 10:00 handled")
    assert row("report", *story, "2026-03-05 23:59 sent", now=LATER).state is State.MET
    assert row("report", *story, "2026-03-06 00:00 sent", now=LATER).state is State.LATE


def test_an_hour_clock_paused_at_its_due_moment_is_held_and_then_late():
    story = (P1, "2026-03-03 09:00 paused")
    clock = row("resolution", *story, now="2026-03-03 09:00")
    assert seen(clock) == (at("2026-03-03 09:00"), State.HELD, None)
    clock = row("resolution", *story, now="2026-03-03 09:01")
    assert seen(clock)[1:] == (State.LATE, at("2026-03-03 09:00"))


def test_a_pause_before_the_due_moment_comes_in_time():
    story = (P1, "2026-03-03 08:59 paused", "2026-03-03 10:59 resumed")
    clock = row("resolution", *story, now="2026-03-03 11:00")
    assert seen(clock) == (at("2026-03-03 11:00"), State.RUNNING, None)


def test_a_held_day_clock_is_rounded_up_to_the_next_midnight():
    story = (P3, "2026-03-03 10:00 paused", "2026-03-03 10:01 resumed")
    clock = row("resolution", *story, now="2026-03-03 11:00")
    assert clock.due_at == at("2026-03-09 00:00")


def test_a_day_clock_held_for_whole_days_stays_at_midnight():
    story = (P3, "2026-03-03 10:00 paused", "2026-03-05 10:00 resumed")
    assert row("resolution", *story, now="2026-03-05 11:00").due_at == at("2026-03-10 00:00")


def test_a_pause_between_a_days_allowance_and_its_midnight_comes_too_late():
    story = (
        P3,
        "2026-03-03 10:00 paused",
        "2026-03-03 16:00 resumed",  # the allowance ends on 8 March at 06:00
        "2026-03-08 07:00 paused",
    )
    held = row("resolution", *story, now="2026-03-08 23:59")
    assert seen(held) == (at("2026-03-09 00:00"), State.HELD, None)
    late = row("resolution", *story, now="2026-03-09 00:00")
    assert seen(late) == (at("2026-03-09 00:00"), State.LATE, at("2026-03-09 00:00"))


def test_a_pause_before_a_days_allowance_ends_comes_in_time():
    story = (
        P3,
        "2026-03-03 10:00 paused",
        "2026-03-03 16:00 resumed",
        "2026-03-08 05:59 paused",
    )
    assert seen(row("resolution", *story, now=LATER)) == (None, State.HELD, None)


def test_a_reopening_after_being_handled_at_the_very_due_moment_breaks():
    story = (P1, "2026-03-03 09:00 handled")
    assert row("resolution", *story, now=LATER).state is State.MET
    clock = row("resolution", *story, "2026-03-04 09:00 reopened", now="2026-03-04 09:00")
    assert seen(clock) == (at("2026-03-03 09:00"), State.LATE, at("2026-03-03 09:00"))


# Changes of level and caps


def test_the_old_due_moment_caps_a_worsened_clock():
    story = ("2026-03-02 09:00 declared P2", "2026-03-04 08:00 level P1 worsened")
    clock = row("resolution", *story, epoch=2, now="2026-03-04 09:01")
    assert seen(clock) == (at("2026-03-04 09:00"), State.LATE, at("2026-03-04 09:00"))


def test_a_cap_moves_with_later_pauses():
    story = (
        "2026-03-02 09:00 declared P2",
        "2026-03-04 08:00 level P1 worsened",
        "2026-03-04 08:30 paused",
        "2026-03-04 09:30 resumed",
    )
    assert row("resolution", *story, epoch=2, now=LATER).due_at == at("2026-03-04 10:00")
    assert row("resolution", *story, epoch=1, now=LATER).due_at == at("2026-03-04 09:00")


def test_a_cap_that_had_passed_unmet_does_not_bind():
    story = ("2026-03-02 09:00 declared P2", "2026-03-04 10:00 level P1 worsened")
    old = row("resolution", *story, epoch=1, now="2026-03-04 11:00")
    new = row("resolution", *story, epoch=2, now="2026-03-04 11:00")
    assert seen(old)[1:] == (State.SUPERSEDED, at("2026-03-04 09:00"))
    assert seen(new) == (at("2026-03-05 10:00"), State.RUNNING, None)


def test_a_day_cap_decides_by_the_days_rule_when_it_is_the_earlier():
    story = (P3, "2026-03-07 20:00 level P1 worsened")
    clock = row("resolution", *story, epoch=2, now="2026-03-08 00:00")
    assert seen(clock) == (at("2026-03-08 00:00"), State.LATE, at("2026-03-08 00:00"))
    assert not clock.is_soft


def test_a_day_cap_decides_when_both_fall_on_one_moment():
    story = (P3, "2026-03-07 00:00 level P1 worsened")
    clock = row("resolution", *story, epoch=2, now="2026-03-08 00:00")
    assert (clock.due_at, clock.state) == (at("2026-03-08 00:00"), State.LATE)


def test_a_lighter_level_without_agreement_keeps_the_deadline_and_its_boundary():
    story = (P1, "2026-03-02 12:00 level P3 misclassified")
    clock = row("resolution", *story, now="2026-03-03 09:00")
    assert seen(clock) == (at("2026-03-03 09:00"), State.RUNNING, None)
    assert (clock.level, clock.is_soft) == (Level.P3, True)


def test_a_lighter_level_with_agreement_moves_the_deadline():
    story = (P1, "2026-03-02 12:00 level P3 misclassified agreed")
    assert row("resolution", *story, now="2026-03-03 09:00").due_at == at("2026-03-08 00:00")


def test_agreement_to_a_graver_level_drops_no_cap():
    story = (
        "2026-03-02 09:00 declared P2",
        "2026-03-02 10:00 level P4 misclassified",
        "2026-03-02 11:00 level P3 misclassified agreed",
    )
    assert row("resolution", *story, now="2026-03-03 09:00").due_at == at("2026-03-04 09:00")


def test_a_cap_carries_its_own_caps():
    story = (
        P1,
        "2026-03-02 10:00 level P4 misclassified",
        "2026-03-02 11:00 level P2 worsened",
    )
    clock = row("resolution", *story, epoch=2, now="2026-03-02 12:00")
    assert clock.due_at == at("2026-03-03 09:00")


def test_an_agreed_lighter_level_drops_all_caps_together():
    story = (
        P1,
        "2026-03-02 10:00 level P2 misclassified",
        "2026-03-02 11:00 level P3 misclassified agreed",
    )
    assert row("resolution", *story, now="2026-03-03 12:00").due_at == at("2026-03-08 00:00")


def test_a_passed_due_moment_is_dropped_though_an_older_breach_stays():
    story = (P1, "2026-03-04 09:00 level P3 misclassified")
    clock = row("resolution", *story, now="2026-03-04 10:00")
    assert seen(clock) == (at("2026-03-08 00:00"), State.LATE, at("2026-03-03 09:00"))


def test_an_older_breach_does_not_free_a_later_clock_from_a_cap_that_has_not_passed():
    story = (
        P1,
        "2026-03-04 09:00 level P3 misclassified",  # broken, and due on 8 March at 00:00 now
        "2026-03-07 20:00 level P1 worsened",
    )
    clock = row("resolution", *story, epoch=2, now="2026-03-07 21:00")
    assert seen(clock) == (at("2026-03-08 00:00"), State.RUNNING, None)


def test_a_fault_is_reckoned_anew_while_handled():
    story = (P3, "2026-03-03 10:00 handled", "2026-03-05 10:00 level P1 misclassified")
    clock = row("resolution", *story, now="2026-03-05 10:00")
    assert seen(clock) == (at("2026-03-03 09:00"), State.LATE, at("2026-03-03 09:00"))
    assert (clock.level, clock.stopped_at) == (Level.P1, at("2026-03-03 10:00"))
    assert row("report", *story, now="2026-03-05 10:00").level is Level.P3


def test_a_met_due_moment_has_not_passed_unmet_and_stays_a_cap_while_handled():
    story = (
        P1,
        "2026-03-03 08:00 handled",
        "2026-03-05 08:00 level P2 misclassified",
        "2026-03-05 08:00 reopened",
    )
    clock = row("resolution", *story, now="2026-03-05 08:30")
    assert seen(clock) == (at("2026-03-05 09:00"), State.RUNNING, None)


def test_a_breach_within_one_instant_is_not_lost():
    story = (
        "2026-03-02 09:00 declared P4",
        "2026-03-05 09:00 level P1 misclassified",
        "2026-03-05 09:00 level P4 misclassified agreed",
    )
    clock = row("resolution", *story, now="2026-03-05 09:00")
    assert seen(clock) == (at("2026-03-10 00:00"), State.LATE, at("2026-03-03 09:00"))


def test_a_breach_between_two_events_is_not_lost():
    story = (P1, "2026-03-04 09:00 level P3 misclassified agreed", "2026-03-04 10:00 handled")
    clock = row("resolution", *story, now=LATER)
    assert seen(clock)[1:] == (State.LATE, at("2026-03-03 09:00"))


def test_the_first_breach_stays_when_an_earlier_one_appears():
    story = (P3, "2026-03-09 09:00 level P1 misclassified")
    clock = row("resolution", *story, now=LATER)
    assert (clock.due_at, clock.breached_at) == (at("2026-03-03 09:00"), at("2026-03-08 00:00"))


# Response, report, rows


def test_the_response_stops_when_the_fault_is_handled_without_a_contact():
    story = (P1, "2026-03-02 09:10 handled", "2026-03-02 09:12 contact")
    clock = row("response", *story, now=LATER)
    assert (clock.state, clock.stopped_at) == (State.MET, at("2026-03-02 09:10"))


def test_a_second_contact_or_acceptance_changes_nothing():
    story = (P1, "2026-03-02 09:10 contact", "2026-03-02 09:11 accepted")
    more = (*story, "2026-03-02 10:10 contact", "2026-03-02 10:11 accepted")
    assert rows(*more, now=LATER) == rows(*story, now=LATER)


def test_a_fix_after_a_workaround_owes_a_supplement_and_changes_the_resolution_not():
    story = (P1, "2026-03-02 12:00 handled workaround")
    more = (*story, "2026-03-04 12:00 handled fix")
    now = "2026-03-04 13:00"
    assert row("resolution", *more, now=now) == row("resolution", *story, now=now)
    assert row("report", *more, now=now) == row("report", *story, now=now)
    assert row("report", *more, epoch=2, now=now).due_at == at("2026-03-10 00:00")


def test_a_reopening_after_a_later_fix_leaves_out_the_time_since_the_workaround():
    story = (
        P1,
        "2026-03-02 12:00 handled workaround",
        "2026-03-04 12:00 handled fix",
        "2026-03-11 12:00 reopened",
    )
    clock = row("resolution", *story, now="2026-03-11 13:00")
    assert clock.net_s == 4 * 3600
    assert clock.due_at == at("2026-03-12 09:00")


def test_one_report_stops_every_open_report_clock():
    story = (
        P1,
        "2026-03-02 12:00 handled workaround",
        "2026-03-03 12:00 handled fix",
        "2026-03-04 12:00 sent",
    )
    reports = [one for one in rows(*story, now=LATER) if one.clock is Kind.REPORT]
    assert [one.state for one in reports] == [State.MET, State.MET]
    assert [one.stopped_at for one in reports] == [at("2026-03-04 12:00")] * 2


def test_a_delivered_report_stays_met_when_the_fault_is_reopened():
    story = (P1, "2026-03-02 12:00 handled", "2026-03-02 13:00 sent", "2026-03-02 14:00 reopened")
    assert row("report", *story, now=LATER).state is State.MET


def test_a_superseded_or_cancelled_clock_keeps_its_breach():
    story = (P1, "2026-03-02 12:00 handled", "2026-03-07 12:00 reopened")
    report = row("report", *story, now=LATER)
    assert seen(report)[1:] == (State.SUPERSEDED, at("2026-03-06 00:00"))
    response = row("response", P1, "2026-03-02 10:00 cancelled", now=LATER)
    assert seen(response)[1:] == (State.CANCELLED, at("2026-03-02 09:15"))


def test_a_cancelled_clock_shows_the_due_moment_with_its_pause_closed():
    story = (P1, "2026-03-02 10:00 paused", "2026-03-02 12:00 cancelled")
    clock = row("resolution", *story, now=LATER)
    assert (clock.due_at, clock.net_s) == (at("2026-03-03 11:00"), 3600)


def test_a_broken_clock_stays_late_when_it_is_paused_and_when_it_is_handled():
    story = (P1, "2026-03-03 12:00 paused")
    assert row("resolution", *story, now=LATER).state is State.LATE
    assert row("resolution", *story, "2026-03-03 13:00 handled", now=LATER).state is State.LATE


def test_rows_stand_in_order_of_start_and_of_kind():
    story = (P3, "2026-03-02 09:00 level P2 worsened", "2026-03-02 09:00 handled")
    shown = [(one.clock.value, one.epoch) for one in rows(*story, now=LATER)]
    assert shown == [("response", 1), ("resolution", 1), ("resolution", 2), ("report", 1)]


def test_seconds_are_whole_and_cut_off():
    start = at("2026-03-02 09:00")
    now = start + timedelta(seconds=59, microseconds=999_999)
    response, _ = clocks((event("declared P1", start),), STANDARD, CALENDAR, now)
    assert (response.gross_s, response.net_s) == (59, 59)


def test_events_after_now_are_left_out_and_one_at_now_counts():
    story = (P1, "2026-03-02 09:10 contact")
    assert row("response", *story, now="2026-03-02 09:09").state is State.RUNNING
    assert row("response", *story, now="2026-03-02 09:10").state is State.MET


def test_events_may_be_given_in_any_order():
    story = (P1, "2026-03-02 10:00 paused", "2026-03-02 11:00 resumed")
    assert rows(*reversed(story), now=LATER) == rows(*story, now=LATER)


def test_a_now_without_zone_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="zone"):
        clocks(tell(P1), STANDARD, CALENDAR, at(LATER).replace(tzinfo=None))


def test_the_answer_has_the_keys_of_the_design_and_names_the_zone():
    answer = row("resolution", P1, now="2026-03-02 10:00").as_json(BEIJING)
    assert answer == {
        "clock": "resolution",
        "epoch": 1,
        "level": "P1",
        "started_at": "2026-03-02T09:00:00+08:00",
        "due_at": "2026-03-03T09:00:00+08:00",
        "soft": False,
        "stopped_at": None,
        "state": "running",
        "breached_at": None,
        "gross_s": 3600,
        "net_s": 3600,
        "provisional": False,
    }


# Refused sequences

H = "2026-03-02 10:00 handled"
W = "2026-03-02 10:00 handled workaround"
S = "2026-03-02 11:00 sent"


@pytest.mark.parametrize(
    ("story", "index", "said"),
    [
        ([], None, "没有任何事件"),
        (["2026-06-02 09:00 declared P1"], None, "没有任何事件"),
        (["2026-03-02 09:00 accepted", P1], 0, "第一个事件必须是申报"),
        ([P1, "2026-03-02 08:00 accepted"], 1, "第一个事件必须是申报"),
        ([P1, "2026-03-02 10:00 declared P2"], 1, "不能再次申报"),
        ([P1, "2026-03-02 10:00 paused", "2026-03-02 11:00 paused"], 2, "已在暂停中"),
        ([P1, H, "2026-03-02 11:00 paused"], 2, "已处理完成，不能暂停"),
        ([P1, "2026-03-02 11:00 resumed"], 1, "不在暂停中"),
        ([P1, "2026-03-02 09:30 paused", H, "2026-03-02 11:00 resumed"], 3, "不在暂停中"),
        ([P1, "2026-03-02 11:00 level P1 misclassified"], 1, "级别已经是 P1"),
        ([P1, "2026-03-02 11:00 level P1 worsened"], 1, "级别已经是 P1"),
        ([P1, "2026-03-02 11:00 level P2 worsened"], 1, "情况恶化不能把级别由 P1 降为 P2"),
        ([P3, H, "2026-03-02 11:00 level P1 worsened"], 2, "不能再恶化"),
        ([P1, H, "2026-03-02 11:00 handled fix"], 2, "已处理完成"),
        ([P1, H, "2026-03-02 11:00 handled workaround"], 2, "已处理完成"),
        ([P1, W, "2026-03-02 11:00 handled workaround"], 2, "已处理完成"),
        (
            [P1, W, "2026-03-02 11:00 handled fix", "2026-03-02 12:00 handled fix"],
            3,
            "已处理完成",
        ),
        ([P1, "2026-03-02 11:00 reopened"], 1, "未处理完成"),
        ([P1, H, "2026-03-02 11:00 reopened", "2026-03-02 12:00 reopened"], 3, "未处理完成"),
        ([P1, H, "2026-03-09 10:01 reopened"], 2, "超过 168 小时"),
        ([P1, "2026-03-02 11:00 sent"], 1, "尚未处理完成"),
        ([P1, H, "2026-03-02 11:00 signed"], 2, "报告尚未送达"),
        ([P1, H, S, "2026-03-02 12:00 returned 2026-03-02T10:59"], 3, "没有报告送达"),
        (
            [P1, H, S, *[f"2026-03-02 {hour}:00 returned 2026-03-02T11:00" for hour in (12, 13)]],
            4,
            "没有报告送达",
        ),
        ([P1, "2026-03-02 10:00 cancelled", "2026-03-02 11:00 contact"], 2, "已撤销或合并"),
        ([P1, "2026-03-02 10:00 merged", "2026-03-02 11:00 accepted"], 2, "已撤销或合并"),
        ([P1, "2026-03-02 10:00 merged", "2026-03-02 11:00 cancelled"], 2, "已撤销或合并"),
        ([P1, H, "2026-03-02 11:00 cancelled", "2026-03-02 12:00 reopened"], 3, "已撤销或合并"),
        ([P1, "2026-03-02 10:00 cancelled", "2026-03-02 11:00 sent"], 2, "尚未处理完成"),
    ],
)
def test_what_cannot_have_happened_is_refused_with_its_place(story, index, said):
    with pytest.raises(Refused, match=said) as caught:
        rows(*story, now=LATER)
    assert caught.value.index == index


@pytest.mark.parametrize(
    "story",
    [
        [P1, H, "2026-03-09 10:00 reopened"],
        [P1, W, "2026-03-08 10:00 handled fix", "2026-03-15 10:00 reopened"],
        [P1, W, "2026-03-02 11:00 handled fix"],
        [P1, W, "2026-03-02 11:00 reopened", W.replace("10:00", "12:00")],
        [P1, H, "2026-03-02 11:00 reopened", "2026-03-02 12:00 sent"],
        [
            P1,
            H,
            "2026-03-02 11:00 sent",
            "2026-03-02 12:00 cancelled",
            "2026-03-02 13:00 returned 2026-03-02T11:00",
        ],
        [P1, H, "2026-03-02 11:00 cancelled", "2026-03-02 12:00 sent", "2026-03-02 13:00 signed"],
        [P1, "2026-03-02 10:00 paused", "2026-03-02 11:00 level P2 misclassified"],
        [P1, H, "2026-03-02 11:00 level P2 misclassified"],
    ],
)
def test_what_may_happen_is_not_refused(story):
    assert rows(*story, now=LATER)


RETURNED = (
    P1,
    "2026-03-02 12:00 handled",
    "2026-03-03 10:00 sent",
    "2026-03-04 09:00 returned 2026-03-03T10:00",
)
REPORT_DUE = at("2026-03-06 00:00")


def test_a_report_that_came_back_counts_as_not_sent():
    before = row("report", *RETURNED, now="2026-03-03 12:00")
    assert (before.state, before.stopped_at) == (State.MET, at("2026-03-03 10:00"))
    after = row("report", *RETURNED, now="2026-03-05 00:00")
    assert (seen(after), after.stopped_at) == ((REPORT_DUE, State.RUNNING, None), None)
    assert after.gross_s == hours(60).total_seconds()  # from its own start, nothing left out
    again = row("report", *RETURNED, "2026-03-05 10:00 sent", now=LATER)
    assert seen(again) == (REPORT_DUE, State.MET, None)


def test_a_report_that_came_back_breaks_when_it_was_due_also_where_that_is_past():
    late = "2026-03-09 09:00 returned 2026-03-03T10:00"
    for story in (RETURNED, (*RETURNED[:3], late), (*RETURNED[:3], late, "2026-03-09 10:00 sent")):
        assert seen(row("report", *story, now=LATER)) == (REPORT_DUE, State.LATE, REPORT_DUE)


@pytest.mark.parametrize(("returned", "stands"), [("10:00", "11:00"), ("11:00", "10:00")])
def test_of_two_sendings_the_one_that_was_named_is_taken_back(returned, stands):
    back = f"2026-03-04 09:00 returned 2026-03-03T{returned}"
    report = row("report", *RETURNED[:3], "2026-03-03 11:00 sent", back, now=LATER)
    assert report.stopped_at == at(f"2026-03-03 {stands}")


def test_the_return_of_a_first_report_leaves_the_second_one_sent():
    again = ("2026-03-03 11:00 reopened", "2026-03-03 12:00 handled", "2026-03-03 13:00 sent")
    story = (*RETURNED[:3], *again, RETURNED[3])
    first, second = (row("report", *story, now=LATER, epoch=epoch) for epoch in (1, 2))
    assert (first.state, first.stopped_at) == (State.SUPERSEDED, at("2026-03-03 11:00"))
    assert (second.state, second.stopped_at) == (State.MET, at("2026-03-03 13:00"))


@pytest.mark.parametrize(
    ("line", "state"), [("reopened", State.SUPERSEDED), ("cancelled", State.CANCELLED)]
)
def test_a_report_that_came_back_too_late_ends_as_it_would_have_ended(line, state):
    report = row("report", *RETURNED[:3], f"2026-03-03 15:00 {line}", RETURNED[3], now=LATER)
    assert (report.state, report.stopped_at) == (state, at("2026-03-03 15:00"))


def test_the_place_is_that_of_the_given_order_when_events_come_out_of_order():
    story = ("2026-03-02 12:00 paused", "2026-03-02 11:00 paused", P1)
    with pytest.raises(Refused) as caught:
        rows(*story, now=LATER)
    assert caught.value.index == 0


def test_an_impossible_event_after_now_is_not_looked_at():
    assert rows(P1, "2026-03-05 10:00 resumed", now="2026-03-02 10:00")


def test_a_time_without_zone_is_refused_before_the_sequence_even_after_now():
    naive = event("accepted", at("2027-03-02 12:00").replace(tzinfo=None))
    story = (*tell("2026-03-02 12:00 resumed"), naive)
    with pytest.raises(Refused, match="时区") as caught:
        clocks(story, STANDARD, CALENDAR, at(LATER))
    assert caught.value.index == 1

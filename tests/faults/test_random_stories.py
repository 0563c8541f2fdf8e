import json
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mailcare.faults.clocks import Kind, State, clocks
from mailcare.faults.events import LevelChanged, Refused, ReportReturned, ReportSent, read_events
from mailcare.workdays import Calendar
from tests.faults.replay import ORIGIN, TERMS, TICK, replay
from tests.faults.story import event

CALENDAR = Calendar()
LEVELS = ("P1", "P2", "P3", "P4")
WORDS = (
    *("accepted", "contact", "contact auto", "paused", "resumed", "handled fix"),
    *("handled workaround", "reopened", "sent", "signed", "cancelled", "merged"),
    *("paused", "resumed", "handled workaround", "reopened", "sent", "returned", "returned"),
    *(f"level {level} worsened" for level in LEVELS),
    *(f"level {level} misclassified" for level in LEVELS),
    *(f"level {level} misclassified agreed" for level in LEVELS),
)
# Distances that meet the allowances of 2, 8 and 20 ticks and the midnights exactly, and any others.
STEPS = st.one_of(
    st.sampled_from([0, 0, 1, 2, 3, 4, 6, 8, 10, 12, 20, 96]),
    st.integers(0, 40),
    st.integers(0, 230),
)


def moment(tick):
    return ORIGIN + tick * TICK


def may_happen(events):
    try:
        clocks(events, TERMS, CALENDAR, events[-1].at)
    except Refused:
        return False
    return True


@st.composite
def stories(draw):
    """A story that may happen: of the drawn events, those that fit what went before."""
    tick = draw(st.integers(0, 200))
    told = (event(f"declared {draw(st.sampled_from(LEVELS))}", moment(tick)),)
    for word, step in draw(st.lists(st.tuples(st.sampled_from(WORDS), STEPS), max_size=25)):
        if word == "returned":
            sent = [one.at for one in told if isinstance(one, ReportSent)]
            when = draw(st.sampled_from(sent or [moment(tick)]))
            longer = (*told, ReportReturned(at=moment(tick + step), sent_at=when))
        else:
            longer = (*told, event(word, moment(tick + step)))
        if may_happen(longer):
            told, tick = longer, tick + step
    return told


def ticks(at):
    return None if at is None else (at - ORIGIN) // TICK


def derived(events, now):
    return [
        (
            *(row.clock.value, row.epoch, row.level, ticks(row.started_at), ticks(row.due_at)),
            *(ticks(row.stopped_at), row.state.value, ticks(row.breached_at)),
            *(row.gross_s // 900, row.net_s // 900, row.is_soft),
        )
        for row in clocks(events, TERMS, CALENDAR, moment(now))
    ]


def last_tick(events):
    return ticks(events[-1].at)


@settings(max_examples=600)
@given(stories(), STEPS)
def test_the_closed_form_agrees_with_a_replay_tick_by_tick(events, later):
    now = last_tick(events) + later
    assert derived(events, now) == replay(events, now)


@settings(max_examples=150)
@given(stories(), st.data())
def test_it_agrees_in_the_middle_of_a_story_too(events, data):
    now = data.draw(st.integers(ticks(events[0].at), last_tick(events)))
    assert derived(events, now) == replay(events, now)


@settings(max_examples=150)
@given(stories(), STEPS)
def test_times_are_never_negative_and_net_never_exceeds_gross(events, later):
    rows = clocks(events, TERMS, CALENDAR, moment(last_tick(events) + later))
    assert rows
    for row in rows:
        assert 0 <= row.net_s <= row.gross_s
        assert isinstance(row.gross_s, int)
        assert row.clock is Kind.RESOLUTION or row.net_s == row.gross_s
        assert row.due_at is None or row.due_at > row.started_at or row.epoch > 1


@settings(max_examples=150)
@given(stories(), STEPS)
def test_a_breach_never_vanishes_nor_moves_as_time_goes_on(events, later):
    known = {}
    moments = sorted({ticks(one.at) + more for one in events for more in (0, 1)})
    for now in [*moments, last_tick(events) + later + 1]:
        rows = {(r.clock, r.epoch): r for r in clocks(events, TERMS, CALENDAR, moment(now))}
        for key, broken_at in known.items():
            assert rows[key].breached_at == broken_at
        known = {key: row.breached_at for key, row in rows.items() if row.breached_at}


@settings(max_examples=150)
@given(stories(), STEPS)
def test_a_breach_never_vanishes_as_later_events_are_appended(events, later):
    known = {}
    for count in range(1, len(events) + 1):
        so_far = events[:count]
        rows = {(r.clock, r.epoch): r for r in clocks(so_far, TERMS, CALENDAR, so_far[-1].at)}
        for key, broken_at in known.items():
            assert rows[key].breached_at == broken_at
        known = {key: row.breached_at for key, row in rows.items() if row.breached_at}


@settings(max_examples=150)
@given(stories(), STEPS)
def test_a_broken_clock_is_never_met_running_or_held(events, later):
    for row in clocks(events, TERMS, CALENDAR, moment(last_tick(events) + later)):
        broken = row.breached_at is not None
        assert broken or row.state is not State.LATE
        assert not broken or row.state in {State.LATE, State.SUPERSEDED, State.CANCELLED}


@settings(max_examples=150)
@given(stories())
def test_a_change_of_level_never_moves_a_deadline_later_unless_the_customer_agreed(events):
    changes = [place for place, one in enumerate(events) if isinstance(one, LevelChanged)]
    assume(changes)
    for place in changes:
        change = events[place]
        before = clocks(events[:place], TERMS, CALENDAR, change.at)
        after = clocks(events[: place + 1], TERMS, CALENDAR, change.at)
        old = [row for row in before if row.clock is Kind.RESOLUTION][-1]
        new = [row for row in after if row.clock is Kind.RESOLUTION][-1]
        passed = old.due_at is not None and old.due_at <= (old.stopped_at or change.at)
        if not change.customer_agreed and old.due_at and not passed:
            assert new.due_at is not None
            assert new.due_at <= old.due_at


@settings(max_examples=150)
@given(stories(), st.randoms(), STEPS)
def test_the_order_in_which_events_are_given_changes_nothing(events, random, later):
    now = moment(last_tick(events) + later)
    one_each = tuple({one.at: one for one in reversed(events)}.values())
    assume(len(one_each) == len(events))
    shuffled = list(events)
    random.shuffle(shuffled)
    assert clocks(shuffled, TERMS, CALENDAR, now) == clocks(events, TERMS, CALENDAR, now)


@settings(max_examples=150)
@given(stories(), st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"]))
def test_the_zone_in_which_times_are_given_changes_nothing(events, zone):
    moved = tuple(replace(one, at=one.at.astimezone(ZoneInfo(zone))) for one in events)
    now = events[-1].at + timedelta(hours=5)
    expected = clocks(events, TERMS, CALENDAR, now)
    assert clocks(moved, TERMS, CALENDAR, now.astimezone(ZoneInfo(zone))) == expected


@settings(max_examples=150)
@given(stories(), STEPS)
def test_events_after_now_are_as_if_they_were_not_there(events, later):
    now = events[-1].at
    future = event("cancelled", now + TICK)
    assert clocks((*events, future), TERMS, CALENDAR, now) == clocks(events, TERMS, CALENDAR, now)


@settings(max_examples=150)
@given(stories(), STEPS)
def test_a_response_or_report_is_the_same_without_the_pauses(events, later):
    now = moment(last_tick(events) + later)
    pauseless = tuple(one for one in events if type(one).__name__ not in {"Paused", "Resumed"})
    for kind in (Kind.RESPONSE, Kind.REPORT):
        expected = [r for r in clocks(pauseless, TERMS, CALENDAR, now) if r.clock is kind]
        assert [r for r in clocks(events, TERMS, CALENDAR, now) if r.clock is kind] == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["events", "type", "at", "level", "channel", "why", "into", "x"]),
            inner
            | st.sampled_from(["declared", "level_changed", "2026-03-02T09:00Z", "P1", "handled"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


def answer(content):
    """Return the clocks, or the refusal."""
    try:
        return clocks(read_events(content), TERMS, CALENDAR, moment(10))
    except Refused as refusal:
        return refusal


@settings(max_examples=150)
@given(JSON)
def test_whatever_a_stranger_writes_is_read_or_refused_in_a_sentence_that_can_be_printed(data):
    said = answer(json.dumps(data))
    assert not isinstance(said, Refused) or said.sentence.encode("utf-8")


@settings(max_examples=150)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_events_are_refused_as_a_whole(content):
    said = answer(content)
    assert isinstance(said, Refused)
    assert said.index is None

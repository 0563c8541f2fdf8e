"""Whatever happens to visits, the ledger is never negative and nothing is lost or made."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mailcare.contracts.ledger import Balance, Line, balances
from mailcare.visits.appointment import NEXT, OVER, Act, State
from mailcare.visits.entitlement import turns

acts = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(Act)), max_size=40)


def replay(bought: int, story: list[tuple[int, Act]]) -> tuple[Balance, list[State], list[str]]:
    """Let two planned visits live through a story; what is refused does not happen."""
    lines = [Line(1, "visit", "bought", bought), *[Line(1, "visit", "planned", 1)] * 2]
    states, keys = [State.OPEN, State.OPEN], []
    for event, (visit, act) in enumerate(story):
        if (states[visit], act) not in NEXT:
            continue
        for turn in turns(states[visit], act, f"HT-1/1/1/visit/{visit}", event=event):
            lines.append(Line(1, "visit", turn.reason, 1))
            keys.append(turn.key)
        states[visit] = NEXT[states[visit], act][0]
    return balances(lines)[0], states, keys


@given(bought=st.integers(0, 2), story=acts)
@settings(max_examples=300)
def test_the_ledger_is_never_negative_and_conserved(bought, story):
    left, states, keys = replay(bought, story)
    alive = sum(state not in OVER and state is not State.COMPLETED for state in states)
    assert left.planned == alive
    assert left.used == states.count(State.COMPLETED)
    assert min(left.left, left.planned, left.used, left.over) >= 0
    assert left.bought + left.over == left.left + left.planned + left.used
    assert len(keys) == len(set(keys))


def test_a_completed_visit_is_used_once_for_ever():
    [turn] = turns(State.STARTED, Act.COMPLETE, "HT-1/1/1/visit/1", event=9)
    assert (turn.reason, turn.key) == ("used", "HT-1/1/1/visit/1/used")


def test_a_moved_visit_gives_back_and_takes_anew():
    found = turns(State.CONFIRMED, Act.MOVE, "HT-1/1/1/visit/1", event=4)
    assert [one.reason for one in found] == ["given_back", "planned"]


def test_a_cancelled_visit_that_is_proposed_anew_takes_one_again():
    assert [one.reason for one in turns(State.CANCELLED, Act.PROPOSE, "k", event=5)] == ["planned"]
    assert turns(State.COUNTERED, Act.PROPOSE, "k", event=5) == ()

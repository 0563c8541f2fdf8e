"""When a visit uses up what the contract entitles to, and when it gives it back. Pure.

Only a completed visit is used; one that was moved, cancelled or missed gives its entitlement back,
and takes one again when it is arranged anew. So the ledger keeps every turn, and never less than
nothing is planned.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mailcare.visits.appointment import OVER, Act, State

PLANNED, USED, GIVEN_BACK = "planned", "used", "given_back"
_BY_ACT: Mapping[Act, tuple[str, ...]] = {
    Act.MOVE: (GIVEN_BACK, PLANNED),
    Act.CANCEL: (GIVEN_BACK,),
    Act.MISS: (GIVEN_BACK,),
    Act.COMPLETE: (USED,),
}


@dataclass(frozen=True, slots=True)
class Turn:
    """A line to be written: its reason, and the key that makes it one however often written."""

    reason: str
    key: str


def turns(state: State, act: Act, service_key: str, *, event: int) -> tuple[Turn, ...]:
    """Return the ledger's lines of an act, in order; `event` is the act's number in the history.

    The planning wrote the first line `planned` of the service; `used` has one key for ever.
    """
    reasons = (PLANNED,) if takes_again(state, act) else _BY_ACT.get(act, ())
    return tuple(Turn(reason, _key(reason, service_key, event)) for reason in reasons)


def takes_again(state: State, act: Act) -> bool:
    """Tell whether an act takes an entitlement that was given back before."""
    return act is Act.PROPOSE and state in OVER


def _key(reason: str, service_key: str, event: int) -> str:
    return f"{service_key}/{reason}" if reason == USED else f"{service_key}/{reason}/visit/{event}"

"""What a fault is."""

from collections.abc import Callable
from dataclasses import dataclass

from lab.topology import MX1, Host


@dataclass(frozen=True, slots=True)
class Fault:
    """Describe something that can be broken, how it shows, and how it is mended.

    `apply` is called with the names of all faults that shall be at work: with this one to
    inject it, without it to heal it. It must be repeatable. `is_visible` looks from outside and
    raises one of `probes.UNSEEN` when it cannot tell. Two faults with one `slot` would undo each
    other and are never injected together.
    """

    name: str
    title: str
    effect: str
    host: Host
    slot: str
    apply: Callable[[frozenset[str]], None]
    is_visible: Callable[[], bool]


def switch(
    name: str, inject: Callable[[], None], heal: Callable[[], None]
) -> Callable[[frozenset[str]], None]:
    """Make an `apply` of two actions for a fault that depends on no other."""

    def apply(active: frozenset[str]) -> None:
        if name in active:
            inject()
        else:
            heal()

    return apply


def on_mx1(
    name: str,
    title: str,
    *,
    effect: str,
    actions: tuple[Callable[[], None], Callable[[], None]],
    is_visible: Callable[[], bool],
    slot: str = "",
) -> Fault:
    """Describe a fault of mx1 that depends on no other; without `slot` it undoes none either."""
    return Fault(
        name, title, effect, MX1, f"mx1 {slot or name}", switch(name, *actions), is_visible
    )

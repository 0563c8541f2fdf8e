"""Choose which messages are restored: every mailbox, its newest and oldest, the largest, the rest.

The choice is by rank: SHA-256 of the seed and the message's key. The same seed over the same
population gives the same sample in whatever order the population comes, and nobody can choose the
seed: it is derived from the manifest's root, the day and the customer.
"""

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

UNIFORM = 299  # none bad of so many: fewer than 1 % at 95 %
LARGEST_PCT = 1
LARGEST_AT_MOST = 50


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that may be drawn; `key` names it within its generation, for ever the same."""

    key: bytes
    mailbox: str
    size_bytes: int
    dated_s: float


@dataclass(frozen=True, slots=True)
class Sample:
    """The chosen and the drawn messages, of a population in so many mailboxes."""

    seed: str
    chosen: tuple[Candidate, ...]
    drawn: tuple[Candidate, ...]
    population: int
    mailboxes: int

    def __iter__(self) -> Iterator[Candidate]:
        """Go through all messages of the sample."""
        yield from self.chosen
        yield from self.drawn

    def __len__(self) -> int:
        return len(self.chosen) + len(self.drawn)


def seed_of(root: str, day: date, customer: str) -> str:
    """Return the seed: SHA-256 over manifest root, day and customer, in hex."""
    return hashlib.sha256("\0".join((root, day.isoformat(), customer)).encode()).hexdigest()


def draw(
    population: Iterable[Candidate], *, seed: str, mailboxes: int, uniform: int = UNIFORM
) -> Sample:
    """Draw the sample; the population is gone through once and never held in memory.

    Chosen are the newest and the oldest message of each of so many `mailboxes`, and the largest 1 %
    of all, at most `LARGEST_AT_MOST`; `uniform` more are drawn from the rest.
    """
    marks = _Marks()
    enough = uniform + 2 * mailboxes + LARGEST_AT_MOST  # as many of them may be chosen
    first = heapq.nsmallest(enough, marks.looked_at(population), lambda one: _rank(seed, one.key))
    chosen = marks.chosen()
    known = {one.key for one in chosen}
    drawn = [one for one in first if one.key not in known][:uniform]
    return Sample(seed, chosen, tuple(drawn), marks.seen, len(marks.newest))


@dataclass(slots=True)
class _Marks:
    """The extremes of each mailbox and the largest of all, while the population goes by."""

    seen: int = 0
    newest: dict[str, Candidate] = field(default_factory=dict)
    oldest: dict[str, Candidate] = field(default_factory=dict)
    largest: list[tuple[int, bytes, Candidate]] = field(default_factory=list)

    def looked_at(self, population: Iterable[Candidate]) -> Iterator[Candidate]:
        for one in population:
            self.look(one)
            yield one

    def look(self, one: Candidate) -> None:
        self.seen += 1
        age = (one.dated_s, one.key)
        newest, oldest = self.newest.get(one.mailbox), self.oldest.get(one.mailbox)
        if newest is None or age > (newest.dated_s, newest.key):
            self.newest[one.mailbox] = one
        if oldest is None or age < (oldest.dated_s, oldest.key):
            self.oldest[one.mailbox] = one
        entry = (one.size_bytes, one.key, one)
        if len(self.largest) < LARGEST_AT_MOST:
            heapq.heappush(self.largest, entry)
        elif entry[:2] > self.largest[0][:2]:
            heapq.heapreplace(self.largest, entry)

    def chosen(self) -> tuple[Candidate, ...]:
        wanted = min(-(-self.seen * LARGEST_PCT // 100), LARGEST_AT_MOST)
        largest = [one for _, _, one in heapq.nlargest(wanted, self.largest)]
        every = (*self.newest.values(), *self.oldest.values(), *largest)
        return tuple(sorted({one.key: one for one in every}.values(), key=lambda one: one.key))


def _rank(seed: str, key: bytes) -> bytes:
    return hashlib.sha256(seed.encode() + b"\0" + key).digest()

"""Archives on a customer's host, read where they lie; only the messages of a drill travel."""

import os
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailcare.backup.agent.packed import Broken
from mailcare.backup.agent.protocol import Ended, MemberRow
from mailcare.backup.agent.running import chosen_members, members
from mailcare.backup.agent.seats import Seat
from mailcare.backup.agent.tar import Member, MemberDamage
from mailcare.backup.archives import ArchiveStore, HashSink, Pass, Sink, Walk
from mailcare.backup.repository import written
from mailcare.backup.source import Restored


class RemoteWalk:
    """The members of an archive as its host tells of them; see `archives.Walk`."""

    def __init__(self, told: Iterator[MemberRow | Ended]) -> None:
        self.oddities: list[tuple[bytes, str]] = []
        self.method = ""
        self._told = told
        self._current: MemberRow | None = None

    def __iter__(self) -> Iterator[Member]:
        """Go through the members; raise what stopped the reader over there."""
        for one in self._told:
            if isinstance(one, Ended):
                self._end(one)
            else:
                self._current = one
                yield one.member

    def _end(self, ended: Ended) -> None:
        self.method = ended.method
        self.oddities.extend(ended.oddities)
        if ended.errno:
            raise OSError(ended.errno, os.strerror(ended.errno))
        if ended.text:
            raise Broken(ended.text)

    def take(self, member: Member, sink: Sink) -> None:
        """Tell what the content of the current member was; raise `MemberDamage`."""
        row = self._current
        assert isinstance(sink, HashSink)
        assert row
        assert row.member is member
        assert row.content
        sink.told(row.content)
        if row.problem:
            raise MemberDamage(row.problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteArchiveStore(ArchiveStore):
    """A mail store in an archive on a host."""

    seat: Seat

    @contextmanager
    def open_walk(self, done: Pass) -> Iterator[Walk]:
        """Open the archive for one pass over there."""
        told = members(self.seat, self.path, self.kind, is_hashed=not done.is_listing)
        with closing(told):
            walk = RemoteWalk(told)
            try:
                yield walk
            finally:
                done.ended(walk.method, walk.oddities)

    def restore(self, keys: Collection[bytes], scratch: Path) -> Iterator[Restored]:
        """Bring messages here alone, under our own numbers."""
        if keys:
            inside = os.fsencode(self.inside)
            wanted = {inside + b"/" + key if inside else key: key for key in keys}
            sent = chosen_members(self.seat, self.path, self.kind, wanted)
            yield from written(sent, keys, scratch)

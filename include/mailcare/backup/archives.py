"""Messages in a tar, packed or not, and in a zip: one pass over the archive, nothing unpacked.

An mbox in an archive is taken apart while it passes by. Hard links (rsnapshot packed by tar) are
resolved to the member that they name in a second pass, which happens only where there are any.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mailcare.backup.agent.archive import NOT_THERE, Content
from mailcare.backup.agent.packed import Broken, TooMuch
from mailcare.backup.agent.tar import Kind, Member, MemberDamage, TarDamage
from mailcare.backup.files import explained, problem_of
from mailcare.backup.mailstore import Place, StoreMap, Tally, is_in
from mailcare.backup.mbox import Piece, Splitter, cut, mbox_digest, mbox_message
from mailcare.backup.names import shown
from mailcare.backup.source import (
    Census,
    Digest,
    Fate,
    Message,
    NotReached,
    Restored,
    Shard,
    Soundness,
)
from mailcare.backup.streams import opened, walk_of
from mailcare.backup.verdicts import Coverage
from mailcare.systems.copies import CopyKind

if TYPE_CHECKING:
    from mailcare.backup.agent.protocol import Hashed


class Walk(Protocol):
    """The members of an archive, each with its content while it is the current one."""

    oddities: list[tuple[bytes, str]]

    def __iter__(self) -> Iterator[Member]:
        """Go through the members; after the last one the archive was read to its end."""
        ...

    def take(self, member: Member, sink: "Sink") -> None:
        """Hand the content of the current member to a sink; raise `MemberDamage`."""
        ...


class Sink(Protocol):
    """Where the content of a member goes; `problem` says why it is not whole."""

    problem: str

    def take(self, piece: memoryview) -> None:
        """Take a piece of the content."""
        ...


_FILE = Kind.FILE
_HARD_LINK = Kind.HARD_LINK
_OK, _BAD = Fate.OK, Fate.BAD
_NO_NAMES = frozenset((b"", b".", b".."))
FOLDERS_KEPT = 50_000
Choose = Callable[[Member, bytes], Sink | None]


@dataclass(slots=True)
class Pass:
    """What became of one pass over an archive; a listing looks at no content.

    `problems` are damages of the archive itself, `unreadable` what only kept it from being read.
    """

    is_listing: bool = False
    method: str = ""
    problems: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    oddities: list[str] = field(default_factory=list)
    is_finished: bool = False
    members: int = 0

    def ended(self, method: str, oddities: Iterable[tuple[bytes, str]]) -> None:
        """Note the archive's checksum, and what was odd about which path."""
        self.method = method
        self.oddities.extend(f"{shown(path)}：{what}" if path else what for path, what in oddities)

    def failed(self, error: Exception) -> None:
        """Note why the pass could not go on."""
        if isinstance(error, OSError):
            told, fate = explained(error)
            (self.alarms if fate is Fate.ALARM else self.unreadable).append(told)
        else:
            self.problems.append(str(error))

    def told(self) -> str:
        """Return all that stopped or disturbed the pass; empty where nothing did."""
        return "；".join([*self.alarms, *self.problems, *self.unreadable])

    def dangling(self, path: bytes, again: "Pass") -> None:
        """Note a hard link to nothing; only a pass that was gone through can tell."""
        if self.is_finished and again.is_finished:
            self.problems.append(f"{shown(path)}：硬链接指向归档中没有的文件")
        else:
            self.unreadable.append(f"{shown(path)}：硬链接所指的文件没有读到")


class HashSink(Content):
    """Hashes a file; where that was done elsewhere, it is told of it."""

    problem = ""
    _sha256 = ""
    _is_packed = False
    _is_sealed = False

    def told(self, content: "Hashed") -> None:
        """Take what another has read."""
        self.size_bytes, self._sha256 = content.size_bytes, content.sha256
        self.is_mail, self.is_zeros = content.is_mail, content.is_zeros
        self._is_packed, self._is_sealed = content.is_packed, content.is_sealed

    def digest(self, path: bytes, place: Place, identity: bytes) -> Digest:
        """Return how a message was read."""
        is_packed = not self.is_mail and (self._is_packed or self.is_packed)
        is_sealed = not self.is_mail and (self._is_sealed or self.is_sealed)
        # Of one compressed or encrypted its name tells the size of the text; a drill unpacks it.
        name = b"" if is_packed or is_sealed else path.rpartition(b"/")[2]
        problem = self.problem or problem_of(name, self.size_bytes, is_zeros=self.is_zeros)
        return Digest(
            path,
            place.mailbox,
            identity,
            self.size_bytes,
            self._sha256 or self.sha256(),
            self.is_mail or is_packed,
            problem,
            _BAD if problem else _OK,
            is_sealed,
        )


class MessageSink(HashSink):
    """Hashes a message; `place` and `identity` are its own."""

    def __init__(self, place: Place, identity: bytes) -> None:
        self.place, self.identity = place, identity


@dataclass(slots=True)
class MboxSink:
    """Takes an mbox apart while it passes by."""

    problem: str = ""
    pieces: list[Piece] = field(default_factory=list)
    _splitter: Splitter = field(default_factory=Splitter)

    def take(self, piece: memoryview) -> None:
        """Take a piece of the content."""
        self.pieces.extend(self._splitter.add(bytes(piece)))

    def end(self) -> list[Piece]:
        """Return all messages, the last one too."""
        self.pieces.extend(self._splitter.end())
        return self.pieces

    def oddity(self) -> str:
        """Say what is odd about the mbox."""
        return self._splitter.oddity()


class FileSink:
    """Writes content into a file of scratch."""

    def __init__(self, path: Path) -> None:
        self.path, self.problem = path, ""
        self._file = path.open("xb")

    def take(self, piece: memoryview) -> None:
        """Take a piece of the content."""
        self._file.write(piece)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class ArchiveStore:
    """A mail store below the folder `inside` of an archive."""

    path: Path
    kind: CopyKind
    map: StoreMap
    inside: str
    _starts: dict[bytes, bytes | None] = field(default_factory=dict, repr=False, compare=False)

    def census(self) -> Census:
        """Count every mailbox in one pass over the archive."""
        tally, done = Tally(), Pass()
        for message, place in self._messages(done):
            tally.note(place)
            if message:
                tally.add(message)
        damages = (*done.alarms, *done.problems)
        return Census(
            tally.rows(),
            tuple(done.unreadable),
            tuple(done.oddities),
            damages=damages,
            is_finished=done.is_finished,
        )

    def messages(self, mailboxes: Collection[str]) -> Iterator[Message]:
        """List the messages of some mailboxes in one pass; a damage is for the census to tell."""
        done = Pass()
        for message, _ in self._messages(done):
            if message and message.mailbox in mailboxes:
                yield message
        if done.unreadable:
            raise NotReached("unreadable", done.told(), subject=str(self.path))

    def _messages(self, done: Pass) -> Iterator[tuple[Message | None, Place]]:
        if self.map.is_read_to_count:
            for path, place, piece in self.mbox_pieces(done):
                yield mbox_message(path, place, piece), place
            return
        links: list[tuple[Member, bytes, Place]] = []
        for member, path, _ in self.contents(None, done):
            place = self.place(member, path)
            if place is None or not place.holds_mail:
                continue
            if member.kind is Kind.HARD_LINK:
                links.append((member, path, place))
            else:
                yield self.message(member, path, place), place
        again = Pass()
        sizes = self._sizes(links, again)
        for member, path, place in links:
            size = sizes.get(member.link)
            if size is None:
                done.dangling(path, again)
            else:
                yield self.map.message(place, path, size_bytes=size, mtime_s=member.mtime_s), place

    def place(self, member: Member, path: bytes) -> Place | None:
        """Return where a member lies; None for what is no part of the mail store."""
        if member.kind is Kind.FOLDER:
            return self.map.place(path.rstrip(b"/"))
        return None if member.kind is Kind.OTHER else self.map.file_place(path)

    def message(self, member: Member, path: bytes, place: Place | None) -> Message | None:
        """Return the message that a member is; None for what is none."""
        if place is None or member.kind is not _FILE:
            return None
        return self.map.message(place, path, size_bytes=member.size_bytes, mtime_s=member.mtime_s)

    def _sizes(self, links: list[tuple[Member, bytes, Place]], done: Pass) -> dict[bytes, int]:
        wanted = {member.link for member, _, _ in links}
        if not wanted:
            return {}
        every = self.contents(None, done, everything=True)
        return {one.path: one.size_bytes for one, _, _ in every if one.path in wanted}

    def mbox_pieces(self, done: Pass) -> Iterator[tuple[bytes, Place, Piece]]:
        """Take every mbox of the archive apart."""

        def choose(member: Member, path: bytes) -> Sink | None:
            is_mbox = member.kind is Kind.FILE and self.map.file_place(path)
            return MboxSink() if is_mbox else None

        for _, path, sink in self.contents(choose, done):
            place = self.map.file_place(path)
            if isinstance(sink, MboxSink) and place:
                for piece in sink.end():
                    yield path, place, piece
                if told := sink.problem or sink.oddity():
                    done.oddities.append(f"{shown(path)}：{told}")

    def contents(
        self, choose: Choose | None, done: Pass, *, everything: bool = False
    ) -> Iterator[tuple[Member, bytes, Sink | None]]:
        """Go through the archive to its end; what `choose` returns takes a member's content.

        Without `choose` it is a listing only. Members that lie outside of `inside` are read, but
        yielded only with `everything`. What stops the pass is in `done`; nothing is raised.
        """
        done.is_listing = choose is None
        try:
            with self.open_walk(done) as walk:
                for member in walk:
                    done.members += 1
                    path = self._inner(member.path)
                    sink = choose(member, path) if choose and path is not None else None
                    if sink is not None:
                        try:
                            walk.take(member, sink)
                        except MemberDamage as error:
                            sink.problem = str(error)
                    if path is not None or everything:
                        yield member, path or b"", sink
                done.is_finished = True
        except (Broken, TooMuch, TarDamage, OSError) as error:
            done.failed(error)

    @contextmanager
    def open_walk(self, done: Pass) -> Iterator[Walk]:
        """Open the archive for one pass; its checksum's name and oddities go into `done`."""
        with opened(self.path) as file, closing(walk_of(file, self.kind)) as walk:
            try:
                yield walk
            finally:
                done.ended(walk.method, walk.oddities)

    def _inner(self, path: bytes) -> bytes | None:
        """Return a path below `inside`, None for one outside; folders come again and again."""
        folder, _, name = path.rpartition(b"/")
        try:
            start = self._starts[folder]
        except KeyError:
            start = self._start(folder)
        return self._within(path) if start is None or name in _NO_NAMES else start + name

    def _start(self, folder: bytes) -> bytes | None:
        """Return what paths below `inside` begin with in a folder, None outside of it."""
        if len(self._starts) > FOLDERS_KEPT:
            self._starts.clear()  # it is a cache only
        inner = self._within(folder)
        start = self._starts[folder] = inner + b"/" if inner else inner
        return start

    def _within(self, path: bytes) -> bytes | None:
        steps = [step for step in path.split(b"/") if step not in (b"", b".")]
        within = [step.encode() for step in self.inside.split("/") if step]
        if b".." in steps or steps[: len(within)] != within:
            return None
        return b"/".join(steps[len(within) :])

    def read(self, shard: Shard) -> "ArchiveReading":
        """Read the archive to its end, and hash the messages of a shard."""
        return ArchiveReading(self, shard)

    def restore(self, keys: Collection[bytes], scratch: Path) -> Iterator[Restored]:
        """Write messages into `scratch`, numbered, in one pass."""
        is_mbox = self.map.is_read_to_count
        wanted: dict[bytes, list[bytes]] = {}
        for key in keys:
            wanted.setdefault(key.rpartition(b"#")[0] if is_mbox else key, []).append(key)
        done = Pass()
        for path, sink in self._written(wanted, scratch, done):
            found = wanted.pop(path, [])
            if is_mbox:
                yield from _cut_out(sink, found)
            else:
                yield from (Restored(key, sink.path, sink.problem) for key in found)
        told = done.told() or NOT_THERE
        yield from (Restored(key, None, told) for found in wanted.values() for key in found)

    def _written(
        self, wanted: Collection[bytes], scratch: Path, done: Pass
    ) -> Iterator[tuple[bytes, FileSink]]:
        with ExitStack() as last:  # the archive may break off within a member

            def choose(member: Member, path: bytes) -> Sink | None:
                if member.kind is not Kind.FILE or path not in wanted:
                    return None
                sink = FileSink(scratch / str(done.members))
                last.callback(sink.close)
                return sink

            for _, path, sink in self.contents(choose, done):
                if isinstance(sink, FileSink):
                    last.close()
                    yield path, sink


def _cut_out(sink: FileSink, keys: list[bytes]) -> Iterator[Restored]:
    splitter, left = Splitter(), {int(key.rpartition(b"#")[2]): key for key in keys}
    with sink.path.open("rb") as file:
        found = [*splitter.add(file.read()), *splitter.end()]
    for piece in found:
        if piece.number in left:
            target = sink.path.with_name(f"{sink.path.name}-{piece.number}")
            target.write_bytes(cut(sink.path, piece))
            yield Restored(left.pop(piece.number), target)
    yield from (Restored(key, None, NOT_THERE) for key in left.values())


class ArchiveReading:
    """A pass over an archive that hashes the messages of a shard."""

    def __init__(self, store: ArchiveStore, shard: Shard) -> None:
        self._store, self._shard = store, shard
        self._done = Pass()

    def __iter__(self) -> Iterator[Digest]:
        """Read the archive to its end."""
        return self._mboxes() if self._store.map.is_read_to_count else self._files()

    def _mboxes(self) -> Iterator[Digest]:
        for path, place, piece in self._store.mbox_pieces(self._done):
            if is_in(self._shard, place.mailbox, piece.identity):
                yield mbox_digest(path, place, piece)

    def _files(self) -> Iterator[Digest]:
        links: list[tuple[Member, bytes, Place]] = []
        for member, path, sink in self._store.contents(self._choose, self._done):
            if isinstance(sink, MessageSink):
                yield sink.digest(path, sink.place, sink.identity)
            elif sink is not None and sink.problem:
                self._done.problems.append(f"{shown(path)}：{sink.problem}")
            elif member.kind is _HARD_LINK:
                place = self._store.place(member, path)
                if place and place.holds_mail:
                    links.append((member, path, place))
        yield from self._linked(links)

    def _choose(self, member: Member, path: bytes) -> Sink | None:
        if member.kind is not _FILE:
            return None
        found = self._store.map.identified(path, member.size_bytes)
        if found and is_in(self._shard, found[0].mailbox, found[1]):
            return MessageSink(*found)
        # A zip is checked member by member; a tar's stream is read anyway.
        return HashSink() if self._store.kind is CopyKind.ZIP else None

    def _linked(self, links: list[tuple[Member, bytes, Place]]) -> Iterator[Digest]:
        if not links:
            return
        wanted = {member.link for member, _, _ in links}

        def choose(member: Member, _path: bytes) -> Sink | None:
            return HashSink() if member.path in wanted and member.kind is Kind.FILE else None

        found: dict[bytes, HashSink] = {}
        again = Pass()
        for member, _, sink in self._store.contents(choose, again):
            if isinstance(sink, HashSink):
                found[member.path] = sink
        for member, path, place in links:
            sink = found.get(member.link)
            if sink is None:
                self._done.dangling(path, again)
                continue
            identified = self._store.map.identified(path, sink.size_bytes)
            if identified and is_in(self._shard, place.mailbox, identified[1]):
                yield sink.digest(path, *identified)

    def soundness(self) -> Soundness:
        """Return what the archive's own checksums said."""
        done = self._done
        return Soundness(
            done.method,
            Coverage(),
            tuple(done.problems),
            tuple(done.alarms),
            tuple(done.oddities),
            done.is_finished,
            tuple(done.unreadable),
        )

"""Copies and live stores on a customer's host: listed and read there, by the agent over SSH.

A tree is read where it lies, and so is an archive. Brought here once, into scratch, and read here
is what the host cannot read: see `RemoteSource.store`.
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from mailcare.backup.agent.protocol import (
    Entry,
    Exit,
    FileDigest,
    Folder,
    Piece,
    Problem,
    Special,
)
from mailcare.backup.agent.protocol import Place as Seen
from mailcare.backup.agent.running import LIMITS, contents, digests, listing, look, once
from mailcare.backup.agent.seats import Job, Seat
from mailcare.backup.archives import ArchiveStore
from mailcare.backup.files import problem_of
from mailcare.backup.mailstore import StoreMap, Tally, is_in
from mailcare.backup.mbox import Piece as MboxPiece
from mailcare.backup.mbox import Splitter, mbox_digest, mbox_message
from mailcare.backup.remote_archives import RemoteArchiveStore
from mailcare.backup.repository import written
from mailcare.backup.source import (
    Census,
    Digest,
    Fate,
    Generation,
    Message,
    NotReached,
    Reach,
    Restored,
    Shard,
    Soundness,
)
from mailcare.backup.stored import Found, StoredCopy
from mailcare.backup.trees import TreeStore
from mailcare.backup.verdicts import Coverage
from mailcare.backup.walking import NOT_FOLLOWED, Trouble, census_of
from mailcare.systems.copies import CopyKind

_FATES = {"gone": Fate.CHANGED, "unreadable": Fate.UNREADABLE, "alarm": Fate.ALARM}


def _note(record: Problem | Special, trouble: Trouble) -> None:
    """Note a record that is no file."""
    if isinstance(record, Special):
        trouble.odd(record.path, NOT_FOLLOWED)
    else:
        trouble.unread(record.path, record.told, _FATES[record.what])


@dataclass(frozen=True, slots=True)
class RemoteStore:
    """A mail store below `root` on a host."""

    seat: Seat
    root: str
    map: StoreMap

    def census(self) -> Census:
        """Count every mailbox by a listing; an mbox is read for it."""
        tally, trouble = Tally(), Trouble()
        for message in self._listed(trouble, tally):
            tally.add(message)
        return census_of(tally, trouble)

    def messages(self, mailboxes: Collection[str]) -> Iterator[Message]:
        """List the messages of some mailboxes."""
        wanted = set(mailboxes)
        yield from (one for one in self._listed(Trouble(), Tally()) if one.mailbox in wanted)

    def _listed(self, trouble: Trouble, tally: Tally) -> Iterator[Message]:
        if self.map.is_read_to_count:
            for path, piece in self._pieces(trouble):
                place = self.map.file_place(path)
                assert place
                yield mbox_message(path, place, piece)
            return
        for folder in self.folders(trouble):
            place = self.map.place(folder.path)
            if place is None or not place.holds_mail:
                continue
            tally.note(place)
            for entry in folder.files:
                found = self.map.message(
                    place,
                    _below(folder.path, entry),
                    size_bytes=entry.size_bytes,
                    mtime_s=float(entry.time),
                )
                if found is not None:
                    yield found

    def folders(self, trouble: Trouble) -> Iterator[Folder]:
        """Walk the tree."""
        for record in listing(self.seat, self.root, LIMITS):
            if isinstance(record, Folder):
                yield record
            elif isinstance(record, Problem | Special):
                _note(record, trouble)

    def _pieces(self, trouble: Trouble) -> Iterator[tuple[bytes, MboxPiece]]:
        """Yield the messages of all mbox files."""
        paths = [
            path
            for folder in self.folders(trouble)
            for entry in folder.files
            if self.map.file_place(path := _below(folder.path, entry))
        ]
        for path in paths:
            splitter = Splitter()
            for block in self._content(path, trouble):
                yield from ((path, piece) for piece in splitter.add(block))
            yield from ((path, piece) for piece in splitter.end())
            if odd := splitter.oddity():
                trouble.odd(path, odd)

    def _content(self, path: bytes, trouble: Trouble) -> Iterator[bytes]:
        for record in contents(self.seat, self.root, [path], LIMITS):
            if isinstance(record, Piece):
                yield record.data
            elif isinstance(record, Problem):
                _note(record, trouble)

    def read(self, shard: Shard) -> "RemoteReading":
        """Read the messages of a shard to their ends, over there."""
        return RemoteReading(self, shard)

    def digests(self, shard: Shard, trouble: Trouble) -> Iterator[Digest]:
        """Yield how each message of a shard was read."""
        if self.map.is_read_to_count:
            for path, piece in self._pieces(trouble):
                place = self.map.file_place(path)
                if place and is_in(shard, place.mailbox, piece.identity):
                    yield mbox_digest(path, place, piece)
            return
        listed = self._listed(trouble, Tally())
        wanted = {one.key: one for one in listed if is_in(shard, one.mailbox, one.identity)}
        for record in digests(self.seat, self.root, wanted, LIMITS):
            yield _digest(wanted[record.path], record)

    def restore(self, keys: Collection[bytes], scratch: Path) -> Iterator[Restored]:
        """Bring messages here, under our own numbers."""
        if self.map.is_read_to_count:
            yield from self._cut_out(keys, scratch)
        elif keys:
            yield from written(contents(self.seat, self.root, keys, LIMITS), keys, scratch)

    def _cut_out(self, keys: Collection[bytes], scratch: Path) -> Iterator[Restored]:
        """Bring whole mbox files here, one after the other, and cut the messages out."""
        by_file: dict[bytes, dict[bytes, bytes]] = defaultdict(dict)
        for key in keys:
            path, _, number = key.rpartition(b"#")
            by_file[path][b"0#" + number] = key
        for at, (path, wanted) in enumerate(sorted(by_file.items())):
            whole, cut = scratch / f"mbox{at}", scratch / f"cut{at}"
            whole.mkdir()
            cut.mkdir()
            [brought] = written(contents(self.seat, self.root, [path], LIMITS), [path], whole)
            if brought.path is None:
                yield from (Restored(key, None, brought.problem) for key in wanted.values())
                continue
            for one in TreeStore(os.fsencode(whole), self.map).restore(wanted, cut):
                yield replace(one, key=wanted[one.key])
            shutil.rmtree(whole)


def _below(folder: bytes, entry: Entry) -> bytes:
    return folder + b"/" + entry.name if folder else entry.name


def _digest(one: Message, record: FileDigest | Problem) -> Digest:
    if isinstance(record, Problem):
        fate = _FATES[record.what]
        return Digest(one.key, one.mailbox, one.identity, 0, "", False, record.told, fate)
    if record.has_changed:
        fate, problem = Fate.CHANGED, "读取期间发生变化"
    else:
        # Of one compressed or encrypted its name tells the size of the text; a drill unpacks it.
        name = b"" if record.is_packed or record.is_sealed else one.key.rpartition(b"/")[2]
        problem = problem_of(name, record.size_bytes, is_zeros=False)
        fate = Fate.BAD if problem else Fate.OK
    return Digest(
        one.key,
        one.mailbox,
        one.identity,
        record.size_bytes,
        record.sha256,
        record.looks_like_mail or record.is_packed,
        problem,
        fate,
        record.is_sealed,
    )


class RemoteReading:
    """A pass over the messages of a tree on a host; a tree has no checksums of its own."""

    def __init__(self, store: RemoteStore, shard: Shard) -> None:
        self._store, self._shard = store, shard
        self._trouble = Trouble()
        self._is_finished = False

    def __iter__(self) -> Iterator[Digest]:
        """Read the messages of the shard."""
        yield from self._store.digests(self._shard, self._trouble)
        self._is_finished = True

    def soundness(self) -> Soundness:
        """Return what went wrong beside the messages themselves."""
        return Soundness(
            "",
            Coverage(),
            alarms=tuple(self._trouble.alarms),
            unreadable=tuple(self._trouble.unreadable),
            oddities=tuple(self._trouble.oddities),
            is_finished=self._is_finished,
        )


@dataclass(frozen=True)
class RemoteSource(StoredCopy):
    """A copy on a host that is a tree, rsnapshot's trees or files; see `source.Source`."""

    seat: Seat
    scratch: Path
    _brought: dict[str, Path] = field(default_factory=dict)
    _why: list[str] = field(default_factory=list)

    def reach(self) -> Reach:
        """Look at the copy."""
        root, ahead_s = look(self.seat, str(self.copy.path))
        places = {"": root}

        def below() -> Iterator[Found]:
            job = Job("names", {"root": str(self.copy.path)})
            for one in once(self.seat, job):
                if isinstance(one, Seen):
                    places[_name(one)] = one
                    yield _found(one)

        generations = self.generations(_found(root), below)
        newest = places.get(generations[-1].name, root) if generations else root
        is_immutable = newest.is_read_only or "immutable" in (newest.flags or ())
        told = (
            "只读挂载或不可变属性" if is_immutable else "可以修改（没有 chattr +i，不是只读挂载）"
        )
        known = is_immutable if newest.flags is not None or is_immutable else None
        why = self._why_brought() if self.copy.kind.is_archive else ""
        remarks = (f"归档整份取回后校验：{why}",) if why else ()
        return Reach(generations, None, known, told, remarks, ahead_s)

    def place(self, generation: Generation) -> str:
        """Return where a generation is; of a tree, where its mail store begins."""
        is_file = self.copy.kind.is_one_file
        return self._path(generation.name) if is_file else self._tree(generation.name).root

    def stamped_at(self) -> datetime:
        """Return when the file was changed that the backup job touches."""
        return datetime.fromtimestamp(look(self.seat, str(self.copy.stamp))[0].changed_s, UTC)

    def written_at(self, found: Found) -> datetime | None:
        """Return when the newest file of a tree was written there, whatever time it carries."""
        folders = self._tree(found.name).folders(Trouble())
        newest = max((one.written_s for one in folders), default=0)
        return datetime.fromtimestamp(newest, UTC) if newest else None

    def store(self, generation: Generation) -> RemoteStore | ArchiveStore:
        """Return the mail store of a generation."""
        copy = self.copy
        if not copy.kind.is_archive:
            return self._tree(generation.name)
        if self._why_brought():
            return ArchiveStore(self.file(generation), copy.kind, self.map, copy.inside)
        path = Path(self._path(generation.name))
        return RemoteArchiveStore(path, copy.kind, self.map, copy.inside, seat=self.seat)

    def _why_brought(self) -> str:
        """Say why an archive cannot be read where it lies; empty where it can."""
        if self.map.is_read_to_count:
            return "mbox 须整份解析"  # the packed archive is the least that can travel
        if not self._why:
            self._why.append(self._tried())
        return self._why[0]

    def _tried(self) -> str:
        tool = "zstd" if self.copy.kind is CopyKind.TAR_ZST else "true"
        words = {"words": [tool, "--version"], "env": {}, "output": "lines"}
        try:
            told = list(once(self.seat, Job("tool", words)))
        except NotReached as refused:
            if refused.code != "tool":
                raise
            told = []
        missing = "Python 3.6 以上版本" if tool == "true" else "Python 3.6 以上版本或 zstd"
        return "" if Exit(0) in told else f"主机没有 {missing}"

    def _tree(self, name: str) -> RemoteStore:
        path = PurePosixPath(self._path(name)) / self.copy.inside
        return RemoteStore(self.seat, str(path), self.map)

    def _path(self, name: str) -> str:
        # The name of a copy that is its own only generation is that of its path.
        path = PurePosixPath(self.copy.path)
        is_one = name == path.name and self.copy.pattern is None
        return str(path if is_one else path / name)

    def file(self, generation: Generation) -> Path:
        """Bring a generation that is one file here, once; it goes with the run's scratch.

        Raise `NotReached` where scratch has no room for it.
        """
        if generation.name not in self._brought:
            self._need_room(generation.size_bytes or 0)
            path = self.scratch / f"brought-{len(self._brought)}"
            self._bring(os.fsencode(self._path(generation.name)), path)
            self._brought[generation.name] = path
        return self._brought[generation.name]

    def _need_room(self, size_bytes: int) -> None:
        free_bytes = shutil.disk_usage(self.scratch).free
        if free_bytes < size_bytes:
            text = f"暂存空间不足：需要 {size_bytes >> 20} MiB，只剩 {free_bytes >> 20} MiB"
            raise NotReached("scratch", text)

    def _bring(self, path: bytes, to: Path) -> None:
        with to.open("wb") as file:
            for record in contents(self.seat, "/", [path.lstrip(b"/")], LIMITS):
                if isinstance(record, Piece):
                    file.write(record.data)
                elif isinstance(record, Problem):
                    code = "alarm" if record.what == "alarm" else "unreadable"
                    raise NotReached(code, f"归档{record.told}", subject=self.seat.name)
                else:
                    return
        # Only a `Whole` says that nothing is missing: what ends without one was cut.
        raise NotReached("unreadable", "归档没有传完")


def _found(place: Seen) -> Found:
    changed_at = datetime.fromtimestamp(place.changed_s, UTC)
    return Found(_name(place), place.is_folder, place.size_bytes, changed_at)


def _name(place: Seen) -> str:
    return os.fsdecode(place.path.rpartition(b"/")[2])

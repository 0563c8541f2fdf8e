"""A mail store in a folder of this machine: the live one, or a copy by rsync or rsnapshot.

No link is followed. rsnapshot's generations share their files by hard links: one rotten block rots
all generations at once, so that reading one of them reads them all.
"""

import os
import shutil
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mailcare.backup.agent.script import leads_out
from mailcare.backup.files import BUFFER_BYTES, explained, open_quietly
from mailcare.backup.mailstore import Counted, Place, StoreMap, Tally, arrival_s, is_in
from mailcare.backup.mbox import Piece, Splitter, settled
from mailcare.backup.names import shown
from mailcare.backup.pool import BATCH_FILES, Batch, read_all
from mailcare.backup.source import (
    Census,
    Digest,
    Fate,
    Message,
    Restored,
    Shard,
    Soundness,
)
from mailcare.backup.verdicts import Coverage

ODDITIES_MOST = 50


@dataclass(slots=True)
class Trouble:
    """What went wrong while a tree was walked; the lists are cut, the numbers are not."""

    unreadable: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    oddities: list[str] = field(default_factory=list)
    vanished: int = 0

    def failed(self, path: bytes, error: OSError) -> None:
        """Note a folder or file that could not be read."""
        told, fate = explained(error)
        if fate is Fate.CHANGED:
            self.vanished += 1
        elif fate is Fate.ALARM:
            self.alarms.append(f"{shown(path)}：{told}")
        else:
            self.unreadable.append(f"{shown(path)}：{told}")

    def odd(self, path: bytes, what: str) -> None:
        """Note something that does not belong there."""
        if len(self.oddities) < ODDITIES_MOST:
            self.oddities.append(f"{shown(path)}：{what}")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with its files, as they were listed; `path` is below the root."""

    path: bytes
    place: Place | None
    files: list[os.DirEntry[bytes]]


@dataclass(frozen=True, slots=True)
class TreeStore:
    """A mail store below `root` on this machine."""

    root: bytes
    map: StoreMap

    def census(self) -> Census:
        """Count every mailbox by a listing; an mbox is read for it."""
        tally, trouble = Tally(), Trouble()
        for folder in self.folders(trouble):
            if self.map.is_read_to_count:
                for message in self.listed(folder, trouble):
                    tally.add(message)
            elif folder.place and folder.place.holds_mail:
                tally.add_all(folder.place, self._counted(folder, folder.place, trouble))
        unreadable = (*trouble.alarms, *trouble.unreadable)
        return Census(tally.rows(), unreadable, tuple(trouble.oddities), trouble.vanished)

    def _counted(self, folder: Folder, place: Place, trouble: Trouble) -> Iterator[Counted]:
        """Return what is counted of one folder; as `listed`, with less of each message."""
        identity_of = self.map.identity
        for entry in folder.files:
            name = entry.name
            try:
                facts = entry.stat(follow_symlinks=False)
            except OSError as error:
                trouble.failed(_join(folder.path, name), error)
                continue
            size = facts.st_size
            if identity := identity_of(place, name, size):
                yield identity, size, arrival_s(name, facts.st_mtime)

    def messages(self, mailboxes: Collection[str]) -> Iterator[Message]:
        """List the messages of some mailboxes."""
        trouble = Trouble()
        for folder in self.folders(trouble):
            wanted = folder.place is None or folder.place.mailbox in mailboxes
            if wanted or self.map.is_read_to_count:
                for message in self.listed(folder, trouble):
                    if message.mailbox in mailboxes:
                        yield message

    def folders(self, trouble: Trouble) -> Iterator[Folder]:
        """Walk the tree from the top."""
        waiting = [b""]
        while waiting:
            path = waiting.pop()
            place = self.map.place(path)
            below, files = self._entries(path, trouble)
            yield Folder(path, place, files)
            if not (place and place.holds_mail and self.map.is_flat):
                waiting.extend(below)

    def _entries(
        self, path: bytes, trouble: Trouble
    ) -> tuple[list[bytes], list[os.DirEntry[bytes]]]:
        below: list[bytes] = []
        files: list[os.DirEntry[bytes]] = []
        try:
            with os.scandir(_join(self.root, path)) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        files.append(entry)
                    elif entry.is_dir(follow_symlinks=False):
                        below.append(_join(path, entry.name))
                    elif leads_out(self.root, below_root := _join(path, entry.name)):
                        told = "指向此目录之外的链接，未跟随，其中的邮件没有读取"
                        trouble.unreadable.append(f"{shown(below_root)}：{told}")
                    else:
                        trouble.odd(_join(path, entry.name), "链接或设备文件，未跟随")
        except OSError as error:
            trouble.failed(path, error)
        return sorted(below, reverse=True), files

    def listed(self, folder: Folder, trouble: Trouble) -> Iterator[Message]:
        """Return the messages of one folder."""
        if self.map.is_read_to_count:
            for entry in folder.files:
                yield from self._in_mbox(_join(folder.path, entry.name), trouble)
            return
        if not (folder.place and folder.place.holds_mail):
            return
        for entry in folder.files:
            try:
                facts = entry.stat(follow_symlinks=False)
            except OSError as error:
                trouble.failed(_join(folder.path, entry.name), error)
                continue
            message = self.map.message(
                folder.place,
                _join(folder.path, entry.name),
                size_bytes=facts.st_size,
                mtime_s=facts.st_mtime,
            )
            if message:
                yield message

    def _in_mbox(self, path: bytes, trouble: Trouble) -> Iterator[Message]:
        place = self.map.file_place(path)
        if place is None:
            return
        for piece in self.pieces_of(path, trouble):
            yield mbox_message(path, place, piece)

    def pieces_of(self, path: bytes, trouble: Trouble) -> Iterator[Piece]:
        """Return the messages of one mbox file."""
        splitter = Splitter()
        try:
            with os.fdopen(open_quietly(_join(self.root, path)), "rb", buffering=0) as file:
                while block := file.read(BUFFER_BYTES):
                    yield from splitter.add(block)
        except OSError as error:
            trouble.failed(path, error)
        yield from splitter.end()
        if odd := splitter.oddity():
            trouble.odd(path, odd)

    def read(self, shard: Shard) -> "TreeReading":
        """Read the messages of a shard to their ends."""
        return TreeReading(self, shard)

    def restore(self, keys: Collection[bytes], scratch: Path) -> Iterator[Restored]:
        """Copy messages into `scratch`, numbered."""
        by_file: dict[bytes, list[bytes]] = {}
        for key in keys:
            by_file.setdefault(self._file_of(key), []).append(key)
        for number, (path, wanted) in enumerate(sorted(by_file.items())):
            if self.map.is_read_to_count:
                yield from self._cut_out(path, wanted, scratch / str(number))
            else:
                yield self._copied(path, scratch / str(number))

    def _file_of(self, key: bytes) -> bytes:
        return key.rpartition(b"#")[0] if self.map.is_read_to_count else key

    def _copied(self, path: bytes, to: Path) -> Restored:
        try:
            with (
                os.fdopen(open_quietly(_join(self.root, path)), "rb") as file,
                to.open("xb") as copy,
            ):
                shutil.copyfileobj(file, copy, BUFFER_BYTES)
        except OSError as error:
            return Restored(path, None, explained(error)[0])
        return Restored(path, to)

    def _cut_out(self, path: bytes, keys: Collection[bytes], to: Path) -> Iterator[Restored]:
        trouble, left = Trouble(), set(keys)
        for piece in self.pieces_of(path, trouble):
            key = b"%s#%d" % (path, piece.number)
            if key in left:
                left.remove(key)
                target = to.with_name(f"{to.name}-{piece.number}")
                target.write_bytes(cut(Path(os.fsdecode(_join(self.root, path))), piece))
                yield Restored(key, target)
        told = next(iter([*trouble.alarms, *trouble.unreadable]), "备份中没有这封邮件")
        yield from (Restored(key, None, told) for key in sorted(left))


def cut(path: Path, piece: Piece) -> bytes:
    """Return the text of a message of an mbox file, as its identity is the digest of."""
    with path.open("rb") as file:
        file.seek(piece.starts)
        text = file.read(piece.ends - piece.starts)
    bare = text.rstrip(b"\r\n")
    return settled(bare + b"\n" if len(bare) < len(text) else bare)


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name


def mbox_message(path: bytes, place: Place, piece: Piece) -> Message:
    """Return the message that a piece of an mbox is."""
    key = b"%s#%d" % (path, piece.number)
    return Message(
        key, place.mailbox, place.folder, piece.identity, piece.size_bytes, piece.dated_s or 0
    )


class TreeReading:
    """A pass over the messages of a tree; a tree has no checksums of its own."""

    def __init__(self, store: TreeStore, shard: Shard) -> None:
        self._store, self._shard = store, shard
        self._trouble = Trouble()
        self._is_finished = False

    def __iter__(self) -> Iterator[Digest]:
        """Read the messages of the shard."""
        yield from self._mboxes() if self._store.map.is_read_to_count else self._files()
        self._is_finished = True

    def _files(self) -> Iterator[Digest]:
        waiting: deque[list[Message]] = deque()  # what each batch under way is of, in order
        for _, found in read_all(self._batches(waiting)):
            for one, (_, size, sha256, is_mail, problem, fate) in zip(
                waiting.popleft(), found, strict=True
            ):
                yield Digest(
                    one.key, one.mailbox, one.identity, size, sha256, is_mail, problem, fate
                )

    def _batches(self, waiting: deque[list[Message]]) -> Iterator[Batch]:
        for folder in self._store.folders(self._trouble):
            inodes = {entry.name: entry.inode() for entry in folder.files}
            found = [
                (inodes[(name := one.key.rpartition(b"/")[2])], name, one)
                for one in self._store.listed(folder, self._trouble)
                if is_in(self._shard, one.mailbox, one.identity)
            ]
            found.sort()  # the order on the disk
            whole = _join(self._store.root, folder.path)
            for start in range(0, len(found), BATCH_FILES):
                part = found[start : start + BATCH_FILES]
                waiting.append([one for _, _, one in part])
                yield whole, [name for _, name, _ in part]

    def _mboxes(self) -> Iterator[Digest]:
        for folder in self._store.folders(self._trouble):
            for entry in folder.files:
                path = _join(folder.path, entry.name)
                place = self._store.map.file_place(path)
                if place:
                    yield from self._mbox(path, place)

    def _mbox(self, path: bytes, place: Place) -> Iterator[Digest]:
        for piece in self._store.pieces_of(path, self._trouble):
            if is_in(self._shard, place.mailbox, piece.identity):
                yield mbox_digest(path, place, piece)

    def soundness(self) -> Soundness:
        """Return what went wrong beside the messages themselves."""
        return Soundness(
            "",
            Coverage(),
            unreadable=tuple(self._trouble.unreadable),
            alarms=tuple(self._trouble.alarms),
            oddities=tuple(self._trouble.oddities),
            is_finished=self._is_finished,
        )


def mbox_digest(path: bytes, place: Place, piece: Piece) -> Digest:
    """Return how a message of an mbox was read."""
    problem = "" if piece.size_bytes else "空邮件"
    return Digest(
        b"%s#%d" % (path, piece.number),
        place.mailbox,
        piece.identity,
        piece.size_bytes,
        piece.identity.hex(),
        piece.looks_like_mail,
        problem,
        Fate.BAD if problem else Fate.OK,
    )

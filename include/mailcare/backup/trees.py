"""A mail store in a folder of this machine: the live one, or a copy by rsync or rsnapshot.

No link is followed. rsnapshot's generations share their files by hard links: one rotten block rots
all generations at once, so that reading one of them reads them all.
"""

import os
import shutil
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from mailcare.backup.files import BUFFER_BYTES, explained, open_quietly
from mailcare.backup.mailstore import Place, StoreMap, Tally, is_in
from mailcare.backup.mbox import Piece, Splitter, cut, mbox_digest, mbox_message
from mailcare.backup.pool import Pool, in_order
from mailcare.backup.reading import read_batch
from mailcare.backup.source import (
    Census,
    Digest,
    Message,
    Restored,
    Shard,
    Soundness,
)
from mailcare.backup.verdicts import Coverage
from mailcare.backup.walking import Counted, Folder, Trouble, Walk, census_of, join

BATCH_FILES = 256
BATCH_FOLDERS = 16


@dataclass(frozen=True, slots=True)
class TreeStore:
    """A mail store below `root` on this machine."""

    root: bytes
    map: StoreMap

    @property
    def walk(self) -> Walk:
        """Return the ways through the tree."""
        return Walk(self.root, self.map)

    def census(self) -> Census:
        """Count every mailbox by a listing; an mbox is read for it."""
        tally, trouble = Tally(), Trouble()
        if self.map.is_read_to_count:
            for folder in self.walk.folders(trouble):
                for message in self.listed(folder, trouble):
                    tally.add(message)
        else:
            self._count(tally, trouble)
        return census_of(tally, trouble)

    def _count(self, tally: Tally, trouble: Trouble) -> None:
        waiting, under_way = [b""], deque[Future[Counted]]()
        with Pool() as pool:
            while waiting or under_way:
                while waiting and len(under_way) < pool.most:
                    under_way.append(pool.submit(self.walk.counted, waiting[-BATCH_FOLDERS:]))
                    del waiting[-BATCH_FOLDERS:]
                found = under_way.popleft().result()
                tally.add_all(found.tally)
                trouble.add(found.trouble)
                waiting += found.below

    def messages(self, mailboxes: Collection[str]) -> Iterator[Message]:
        """List the messages of some mailboxes."""
        trouble = Trouble()
        for folder in self.walk.folders(trouble):
            wanted = folder.place is None or folder.place.mailbox in mailboxes
            if wanted or self.map.is_read_to_count:
                for message in self.listed(folder, trouble):
                    if message.mailbox in mailboxes:
                        yield message

    def listed(self, folder: Folder, trouble: Trouble) -> Iterator[Message]:
        """Return the messages of one folder."""
        if self.map.is_read_to_count:
            for entry in folder.files:
                yield from self._in_mbox(join(folder.path, entry.name), trouble)
            return
        if not (folder.place and folder.place.holds_mail):
            return
        for entry in folder.files:
            try:
                facts = entry.stat(follow_symlinks=False)
            except OSError as error:
                trouble.failed(join(folder.path, entry.name), error)
                continue
            message = self.map.message(
                folder.place,
                join(folder.path, entry.name),
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
            with os.fdopen(open_quietly(join(self.root, path)), "rb", buffering=0) as file:
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
                os.fdopen(open_quietly(join(self.root, path)), "rb") as file,
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
                target.write_bytes(cut(Path(os.fsdecode(join(self.root, path))), piece))
                yield Restored(key, target)
        told = next(iter([*trouble.alarms, *trouble.unreadable]), "备份中没有这封邮件")
        yield from (Restored(key, None, told) for key in sorted(left))


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
        for found in in_order(read_batch, self._batches(waiting)):
            for one, read in zip(waiting.popleft(), found, strict=True):
                yield Digest(one.key, one.mailbox, one.identity, *read[1:])

    def _batches(self, waiting: deque[list[Message]]) -> Iterator[tuple[bytes, list[bytes]]]:
        for folder in self._store.walk.folders(self._trouble):
            inodes = {entry.name: entry.inode() for entry in folder.files}
            found = [
                (inodes[(name := one.key.rpartition(b"/")[2])], name, one)
                for one in self._store.listed(folder, self._trouble)
                if is_in(self._shard, one.mailbox, one.identity)
            ]
            found.sort()  # the order on the disk
            whole = join(self._store.root, folder.path)
            for start in range(0, len(found), BATCH_FILES):
                part = found[start : start + BATCH_FILES]
                waiting.append([one for _, _, one in part])
                yield whole, [name for _, name, _ in part]

    def _mboxes(self) -> Iterator[Digest]:
        for folder in self._store.walk.folders(self._trouble):
            for entry in folder.files:
                path = join(folder.path, entry.name)
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

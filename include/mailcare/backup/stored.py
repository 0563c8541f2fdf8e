"""What copies made of files have in common, here and on a host: what there is a generation."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

from mailcare.backup.generations import started_at
from mailcare.backup.mailstore import StoreMap
from mailcare.backup.source import (
    Census,
    Generation,
    Live,
    Message,
    NotReached,
    Reading,
    Restored,
    Shard,
)
from mailcare.systems.backups import BackupCopy
from mailcare.systems.copies import CopyKind

PATTERNS = {
    CopyKind.RSNAPSHOT: ("*.[0-9]", "*.[0-9][0-9]", "*.[0-9][0-9][0-9]"),
    CopyKind.TAR: ("*.tar",),
    CopyKind.TAR_GZ: ("*.tar.gz", "*.tgz"),
    CopyKind.TAR_ZST: ("*.tar.zst", "*.tzst"),
    CopyKind.ZIP: ("*.zip",),
    CopyKind.SQL: ("*.sql", "*.sql.gz", "*.sql.zst", "*.dump"),
    CopyKind.LDIF: ("*.ldif", "*.ldif.gz", "*.ldif.zst"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A file or folder that may be a generation."""

    name: str
    is_folder: bool
    size_bytes: int
    changed_at: datetime


@dataclass(frozen=True)
class StoredCopy(ABC):
    """A copy whose generations are files or folders; a mail store is in each."""

    copy: BackupCopy
    map: StoreMap

    @abstractmethod
    def store(self, generation: Generation) -> Live:
        """Return the mail store of a generation."""

    @abstractmethod
    def file(self, generation: Generation) -> Path:
        """Return a generation that is one file, on this machine; may raise `NotReached`."""

    @abstractmethod
    def stamped_at(self) -> datetime:
        """Return when the file was changed that the backup job touches."""

    @abstractmethod
    def written_at(self, found: Found) -> datetime | None:
        """Return when the newest file of a tree was written there, whatever time it carries."""

    def generations(
        self, root: Found, below: Callable[[], Iterable[Found]]
    ) -> tuple[Generation, ...]:
        """Return the generations in order: the copy's path itself, or what lies below it.

        Raise `NotReached` where a file is in the place of a folder.
        """
        if not (root.is_folder or self.copy.kind.is_one_file):
            raise NotReached("missing", "备份位置不是目录", subject=str(self.copy.path))
        if self.is_itself_one(root):
            if self.copy.stamp:
                return (Generation(root.name, self.stamped_at()),)
            return (self._generation(root),)
        found = [self._generation(one) for one in below() if self._is_one(one)]
        return tuple(sorted(found, key=lambda one: (one.started_at, one.name)))

    def is_itself_one(self, root: Found) -> bool:
        """Tell whether the copy's own path is its only generation."""
        if self.copy.kind.is_one_file:
            return not root.is_folder
        return self.copy.kind is CopyKind.TREE and self.copy.pattern is None

    def _is_one(self, found: Found) -> bool:
        given = (self.copy.pattern,) if self.copy.pattern else PATTERNS.get(self.copy.kind, ("*",))
        is_kind = found.is_folder != self.copy.kind.is_one_file
        return is_kind and any(fnmatchcase(found.name, pattern) for pattern in given)

    def _generation(self, found: Found) -> Generation:
        begun_at, is_dated = started_at(found.name, found.changed_at)
        if self.copy.kind.is_one_file:
            return Generation(found.name, begun_at, found.size_bytes, is_dated)
        if self.copy.kind is CopyKind.TREE and not is_dated:
            return Generation(found.name, self.written_at(found) or begun_at, is_dated=False)
        return Generation(found.name, begun_at, is_dated=is_dated)

    def census(self, generation: Generation) -> Census:
        """Count every mailbox."""
        return self.store(generation).census()

    def messages(self, generation: Generation, mailboxes: Collection[str]) -> Iterator[Message]:
        """List the messages of some mailboxes."""
        return self.store(generation).messages(mailboxes)

    def read(self, generation: Generation, shard: Shard) -> Reading:
        """Read the messages of a shard to their ends."""
        return self.store(generation).read(shard)

    def restore(
        self, generation: Generation, keys: Collection[bytes], scratch: Path
    ) -> Iterator[Restored]:
        """Bring messages back into `scratch`."""
        return self.store(generation).restore(keys, scratch)

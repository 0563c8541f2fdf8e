"""Copies on this machine, or mounted here: trees, rsnapshot, archives."""

import fcntl
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from mailcare.backup.archives import ArchiveStore
from mailcare.backup.generations import started_at
from mailcare.backup.mailstore import StoreMap
from mailcare.backup.names import moment_of, shown
from mailcare.backup.source import (
    Census,
    Generation,
    Message,
    NotReached,
    Reach,
    Reading,
    Restored,
    Shard,
)
from mailcare.backup.trees import TreeStore, Trouble
from mailcare.systems.backups import BackupCopy, CopyKind

PATTERNS = {
    CopyKind.RSNAPSHOT: ("*.[0-9]", "*.[0-9][0-9]", "*.[0-9][0-9][0-9]"),
    CopyKind.TAR: ("*.tar",),
    CopyKind.TAR_GZ: ("*.tar.gz", "*.tgz"),
    CopyKind.TAR_ZST: ("*.tar.zst", "*.tzst"),
    CopyKind.ZIP: ("*.zip",),
    CopyKind.SQL: ("*.sql", "*.sql.gz", "*.sql.zst", "*.dump"),
    CopyKind.LDIF: ("*.ldif", "*.ldif.gz", "*.ldif.zst"),
}
_IMMUTABLE_FLAG = 0x10
_GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS of linux/fs.h on 64-bit machines
Store = TreeStore | ArchiveStore


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A copy on this machine; see `source.Source`."""

    copy: BackupCopy

    def reach(self) -> Reach:
        """Look at the copy."""
        generations = self._generations()
        newest = Path(self._path(generations[-1].name)) if generations else self.copy.path
        is_immutable, told = immutability(newest)
        return Reach(generations, is_immutable=is_immutable, immutability=told)

    def _generations(self) -> tuple[Generation, ...]:
        if not self.copy.path.exists():
            raise NotReached("missing", "备份位置不存在", subject=str(self.copy.path))
        try:
            if self._is_itself_one():
                return (self._generation(self.copy.path.name, self.copy.path),)
            ones = [path for path in self.copy.path.iterdir() if self._is_one(path)]
            found = [self._generation(path.name, path) for path in ones]
        except OSError as error:
            raise NotReached(
                "unreadable", f"备份位置无法读取（{error.strerror}）", subject=str(self.copy.path)
            ) from None
        return tuple(sorted(found, key=lambda one: (one.started_at, one.name)))

    def _is_itself_one(self) -> bool:
        if self.copy.kind.is_one_file:
            return self.copy.path.is_file()
        return self.copy.kind is CopyKind.TREE and self.copy.pattern is None

    def _is_one(self, path: Path) -> bool:
        given = (self.copy.pattern,) if self.copy.pattern else PATTERNS.get(self.copy.kind, ("*",))
        is_kind = path.is_file() if self.copy.kind.is_one_file else path.is_dir()
        return is_kind and any(fnmatchcase(path.name, pattern) for pattern in given)

    def _generation(self, name: str, path: Path) -> Generation:
        facts = path.stat()
        if self.copy.stamp and self._is_itself_one():
            return Generation(name, _changed_at(self.copy.stamp.stat()))
        begun_at, is_dated = started_at(name, _changed_at(facts))
        if self.copy.kind.is_one_file:
            return Generation(name, begun_at, facts.st_size, is_dated)
        if self.copy.kind is CopyKind.TREE and not is_dated:
            return Generation(name, self._written_at(path) or begun_at, is_dated=False)
        return Generation(name, begun_at, is_dated=is_dated)

    def _written_at(self, path: Path) -> datetime | None:
        """Return when the newest file of a tree was written here, whatever time it carries."""
        newest, trouble = 0.0, Trouble()
        for folder in self._tree(path).folders(trouble):
            for entry in folder.files:
                try:
                    newest = max(newest, entry.stat(follow_symlinks=False).st_ctime)
                except OSError as error:
                    trouble.failed(folder.path, error)
        return moment_of(newest) if newest else None

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

    def store(self, generation: Generation) -> Store:
        """Return the mail store of a generation."""
        path = self._path(generation.name)
        if self.copy.kind.is_archive:
            return ArchiveStore(path, self.copy.kind, self._map(), self.copy.inside)
        return self._tree(path)

    def _path(self, name: str) -> Path:
        return self.copy.path if self._is_itself_one() else self.copy.path / name

    def _tree(self, path: Path) -> TreeStore:
        return TreeStore(os.fsencode(path / self.copy.inside), self._map())

    def _map(self) -> StoreMap:
        return StoreMap(self.copy.format, self.copy.layout)


def _changed_at(facts: os.stat_result) -> datetime:
    return datetime.fromtimestamp(facts.st_mtime, UTC)


def immutability(path: Path) -> tuple[bool | None, str]:
    """Return whether a file or folder can be changed by its owner, and how that was told.

    Looked at are the attribute of `lsattr` and the mount; an object lock of the storage behind is
    not seen from here. Nothing is ever tried by writing.
    """
    try:
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return True, "所在文件系统以只读方式挂载"
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return None, f"无法判断（{error.strerror}）"
    try:
        flags = int.from_bytes(fcntl.ioctl(handle, _GET_FLAGS, bytes(8)), "little")
    except OSError:
        return None, "文件系统没有不可变属性"
    finally:
        os.close(handle)
    if flags & _IMMUTABLE_FLAG:
        return True, "具有不可变属性（chattr +i）"
    mode = stat.S_IMODE(path.stat().st_mode)
    return (
        False,
        f"可以修改（没有 chattr +i，不是只读挂载，权限 {mode:04o}）：{shown(os.fsencode(path))}",
    )


@dataclass(frozen=True, slots=True)
class LiveSource:
    """The live mail store on this machine; it has one generation, now."""

    path: Path
    map: StoreMap

    def census(self) -> Census:
        """Count every mailbox."""
        return self._store().census()

    def messages(self, mailboxes: Collection[str]) -> Iterator[Message]:
        """List the messages of some mailboxes."""
        return self._store().messages(mailboxes)

    def read(self, shard: Shard) -> Reading:
        """Read the messages of a shard."""
        return self._store().read(shard)

    def restore(self, keys: Collection[bytes], scratch: Path) -> Iterator[Restored]:
        """Copy messages into `scratch`."""
        return self._store().restore(keys, scratch)

    def _store(self) -> TreeStore:
        if not self.path.is_dir():
            raise NotReached("missing", "现网邮件存储不存在或无法访问", subject=str(self.path))
        return TreeStore(os.fsencode(self.path), self.map)

"""Copies on this machine, or mounted here: trees, rsnapshot, archives."""

import fcntl
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mailcare.backup.archives import ArchiveStore
from mailcare.backup.files import not_reached
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
from mailcare.backup.stored import Found, StoredCopy
from mailcare.backup.trees import TreeStore
from mailcare.backup.walking import Trouble

_IMMUTABLE_FLAG = 0x10
_GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS of linux/fs.h on 64-bit machines
Store = TreeStore | ArchiveStore


@dataclass(frozen=True)
class LocalSource(StoredCopy):
    """A copy on this machine; see `source.Source`."""

    def reach(self) -> Reach:
        """Look at the copy."""
        try:
            found = self.generations(_found(self.copy.path), self._below)
        except FileNotFoundError:
            raise NotReached("missing", "备份位置不存在", subject=str(self.copy.path)) from None
        except OSError as error:
            raise not_reached(error, self.copy.path) from None
        newest = self._path(found[-1].name) if found else self.copy.path
        is_immutable, told = immutability(newest)
        return Reach(found, is_immutable=is_immutable, immutability=told)

    def place(self, generation: Generation) -> str:
        """Return where a generation is; of a tree, where its mail store begins."""
        path = self._path(generation.name)
        return str(path if self.copy.kind.is_one_file else path / self.copy.inside)

    def _below(self) -> Iterator[Found]:
        return map(_found, self.copy.path.iterdir())

    def stamped_at(self) -> datetime:
        """Return when the file was changed that the backup job touches."""
        assert self.copy.stamp
        return _changed_at(self.copy.stamp.stat())

    def written_at(self, found: Found) -> datetime | None:
        """Return when the newest file of a tree was written here, whatever time it carries."""
        newest, trouble = 0.0, Trouble()
        for folder in self._tree(self._path(found.name)).walk.folders(trouble):
            for entry in folder.files:
                try:
                    newest = max(newest, entry.stat(follow_symlinks=False).st_ctime)
                except OSError as error:
                    trouble.failed(folder.path, error)
        return moment_of(newest) if newest else None

    def store(self, generation: Generation) -> Store:
        """Return the mail store of a generation."""
        path = self._path(generation.name)
        if self.copy.kind.is_archive:
            return ArchiveStore(path, self.copy.kind, self.map, self.copy.inside)
        return self._tree(path)

    def file(self, generation: Generation) -> Path:
        """Return where a generation is that is one file."""
        return self._path(generation.name)

    def _path(self, name: str) -> Path:
        is_one = self.is_itself_one(_found(self.copy.path))
        return self.copy.path if is_one else self.copy.path / name

    def _tree(self, path: Path) -> TreeStore:
        return TreeStore(os.fsencode(path / self.copy.inside), self.map)


def _found(path: Path) -> Found:
    facts = path.stat()
    is_folder = stat.S_ISDIR(facts.st_mode)
    return Found(path.name, is_folder, facts.st_size, _changed_at(facts))


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

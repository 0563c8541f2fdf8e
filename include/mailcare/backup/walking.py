"""Walk the folders of a tree and count what they hold, by listings alone; no link is followed.

This is what the processes of `pool` load, and little else: they start for each count anew.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mailcare.backup.agent.script import leads_out
from mailcare.backup.files import explained
from mailcare.backup.mailstore import NamedFile, Place, StoreMap, Tally
from mailcare.backup.names import shown
from mailcare.backup.source import Census, Fate

ODDITIES_MOST = 50
BATCH_COUNTED = 1000
NOT_FOLLOWED = "链接或设备文件，未跟随"


@dataclass(slots=True)
class Trouble:
    """What went wrong while a tree was walked; the lists are cut, the numbers are not."""

    unreadable: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    oddities: list[str] = field(default_factory=list)
    vanished: int = 0

    def failed(self, path: bytes, error: OSError) -> None:
        """Note a folder or file that could not be read."""
        self.unread(path, *explained(error))

    def unread(self, path: bytes, told: str, fate: Fate) -> None:
        """Note a folder or file that was not read, and why."""
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

    def add(self, other: "Trouble") -> None:
        """Take in what went wrong in another part of the tree."""
        self.unreadable += other.unreadable
        self.alarms += other.alarms
        self.oddities = [*self.oddities, *other.oddities][:ODDITIES_MOST]
        self.vanished += other.vanished


def census_of(tally: Tally, trouble: Trouble) -> Census:
    """Return what a walk counted and met with, in an order that is the same each time."""
    unreadable = (*sorted(trouble.alarms), *sorted(trouble.unreadable))
    return Census(tally.rows(), unreadable, tuple(sorted(trouble.oddities)), trouble.vanished)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with its files, as they were listed; `path` is below the root."""

    path: bytes
    place: Place | None
    files: list[os.DirEntry[bytes]]


@dataclass(slots=True)
class Counted:
    """What some folders hold: the sums of their messages, and the folders below them."""

    tally: Tally = field(default_factory=Tally)
    trouble: Trouble = field(default_factory=Trouble)
    below: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Walk:
    """The ways through the tree below `root`."""

    root: bytes
    map: StoreMap

    def folders(self, trouble: Trouble) -> Iterator[Folder]:
        """Walk the tree from the top."""
        waiting = [b""]
        while waiting:
            yield self._folder(waiting.pop(), waiting, trouble)

    def _folder(self, path: bytes, waiting: list[bytes], trouble: Trouble) -> Folder:
        """Return a folder; those below it that have to be looked at are put to what waits."""
        place = self.map.place(path)
        below, files = self._entries(path, trouble)
        if not (place and place.holds_mail and self.map.is_flat):
            waiting += below
        return Folder(path, place, files)

    def _entries(
        self, path: bytes, trouble: Trouble
    ) -> tuple[list[bytes], list[os.DirEntry[bytes]]]:
        below: list[bytes] = []
        files: list[os.DirEntry[bytes]] = []
        try:
            with os.scandir(join(self.root, path)) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        files.append(entry)
                    elif entry.is_dir(follow_symlinks=False):
                        below.append(join(path, entry.name))
                    elif leads_out(self.root, inside := join(path, entry.name)):
                        told = "指向此目录之外的链接，未跟随，其中的邮件没有读取"
                        trouble.unread(inside, told, Fate.UNREADABLE)
                    else:
                        trouble.odd(inside, NOT_FOLLOWED)
        except OSError as error:
            trouble.failed(path, error)
        return sorted(below, reverse=True), files

    def counted(self, paths: Iterable[bytes]) -> Counted:
        """Count the messages of some folders by their listings, without those below them."""
        found = Counted()
        for path in paths:
            folder = self._folder(path, found.below, found.trouble)
            if folder.place and folder.place.holds_mail:
                self._count(folder, folder.place, found)
        return found

    def _count(self, folder: Folder, place: Place, found: Counted) -> None:
        found.tally.note(place)
        for start in range(0, len(folder.files), BATCH_COUNTED):
            entries = folder.files[start : start + BATCH_COUNTED]
            files = self._stated(folder.path, entries, found.trouble)
            found.tally.add_sized(place, self.map.sized(place, files))

    def _stated(
        self, path: bytes, entries: Iterable[os.DirEntry[bytes]], trouble: Trouble
    ) -> list[NamedFile]:
        """Return files of one folder with their facts; from its handle, the way to each spared."""
        found: list[NamedFile] = []
        try:
            handle = os.open(join(self.root, path), os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            trouble.failed(path, error)
            return found
        for entry in entries:
            name = entry.name
            try:
                found.append((name, os.stat(name, dir_fd=handle, follow_symlinks=False)))
            except OSError as error:
                trouble.failed(join(path, name), error)
        os.close(handle)
        return found


def join(folder: bytes, name: bytes) -> bytes:
    """Return the path of a name in a folder; either may be empty."""
    return folder + b"/" + name if folder and name else folder or name

"""Look at where a copy and the live store lie, through the machines that they are seen from."""

from dataclasses import dataclass, replace

from mailcare.backup.agent.protocol import Inode, Inodes
from mailcare.backup.agent.running import look, once
from mailcare.backup.agent.seats import Job, Seat
from mailcare.backup.names import shown
from mailcare.backup.separation import (
    Distance,
    NotTold,
    Seen,
    Separation,
    has_one_kernel,
    separation_of,
)
from mailcare.backup.source import NotReached


@dataclass(frozen=True, slots=True)
class Spot:
    """A place as it is seen from a machine; `names` are those that the machine is known by."""

    seat: Seat
    path: str
    names: frozenset[str] = frozenset()

    def seen(self) -> Seen:
        """Look at it; may raise `NotReached`."""
        return Seen(look(self.seat, self.path)[0], self.names)

    def sample(self) -> list[Inode]:
        """Return some files of every folder below."""
        return self._inodes(Job("sample", {"root": self.path}))

    def held(self, files: list[Inode]) -> list[Inode]:
        """Return which of these files lie below, too."""
        wanted = [[one.device, one.number] for one in files]
        return self._inodes(Job("held", {"root": self.path, "wanted": wanted}))

    def _inodes(self, job: Job) -> list[Inode]:
        said = once(self.seat, job)
        return [row for one in said if isinstance(one, Inodes) for row in one.rows]


def separated(copy: Spot, live: Spot, *, holds_files: bool) -> Separation | NotTold:
    """Measure how far a copy lies apart from the live store.

    `holds_files` tells that the copy's files are those of the store, so that they may be the same.
    """
    try:
        seen, live_seen = copy.seen(), live.seen()
    except NotReached as error:
        return NotTold(str(error))
    found = separation_of(seen, live_seen)
    if not isinstance(found, Separation) or found.distance is Distance.SAME_FOLDER:
        return found
    if not (holds_files and has_one_kernel(seen.place, live_seen.place)):
        return found
    try:
        return _by_files(copy, live) or found
    except NotReached as error:
        return replace(found, unchecked=str(error))


def _by_files(copy: Spot, live: Spot) -> Separation | None:
    """Say that files of the copy are the live ones; None where none of a sample is."""
    files = copy.sample()
    same = {(one.device, one.number) for one in live.held(files)} if files else set()
    both = [one for one in files if (one.device, one.number) in same]
    if not both:
        return None
    told = f"抽查 {len(files)} 个文件，{len(both)} 个与现网是同一份：{shown(both[0].path)}"
    return Separation(Distance.SAME_FILES, told)

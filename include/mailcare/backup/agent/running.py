"""Run a job to its end: records in, cuts mended where the job can go on from where it was."""

import base64
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mailcare.backup.agent.protocol import (
    CutOff,
    Ended,
    FileDigest,
    FileState,
    Folder,
    Header,
    MemberRow,
    Members,
    Piece,
    Place,
    Problem,
    Reader,
    Record,
    Refusal,
    Special,
    Whole,
)
from mailcare.backup.agent.seats import Job, Seat
from mailcare.backup.names import shown
from mailcare.backup.source import NotReached
from mailcare.clock import utc_now

TRIES = 3
LIMITS: Mapping[str, float] = {"bytes_per_s": 50_000_000.0}
PATHS_A_JOB = 20_000
ToldT = TypeVar("ToldT")
_CODES = {"gone": "missing", "alarm": "alarm", "unreadable": "unreadable"}


def records(seat: Seat, job: Job) -> Generator[Record, None, None]:
    """Yield the records of one run of a job; raise `CutOff` where its trailer is missing.

    Raise `NotReached` where the agent refused the job.
    """
    reader = Reader()
    with closing(_bytes_of(seat, job)) as stream:
        for data in stream:
            for record in reader.feed(data):
                if isinstance(record, Refusal):
                    raise NotReached(record.code, record.text, subject=seat.name)
                yield record
    reader.finish()


def _bytes_of(seat: Seat, job: Job) -> Generator[bytes, None, None]:
    yield from seat.stream(job)


def once(seat: Seat, job: Job) -> Iterator[Record]:
    """Yield the records of a job that cannot go on after a cut; a cut is `NotReached`."""
    try:
        yield from records(seat, job)
    except CutOff as cut:
        raise NotReached("unreachable", f"输出不完整：{cut}", subject=seat.name) from None


def look(seat: Seat, path: str) -> tuple[Place, float]:
    """Look at a path; return it with how far the host's clock is ahead of ours, in seconds.

    Raise `NotReached` where it is not there or cannot be looked at.
    """
    ahead_s = 0.0
    for record in once(seat, Job("look", {"paths": [path]})):
        if isinstance(record, Header):
            ahead_s = record.at_s - utc_now().timestamp()
        elif isinstance(record, Place):
            return record, ahead_s
        elif isinstance(record, Problem):
            raise NotReached(_CODES[record.what], f"{path}：{record.told}", subject=seat.name)
    raise NotReached("unreadable", f"{path} 没有应答", subject=seat.name)


def in_tries(
    seat: Seat, attempt: Callable[[], Iterator[ToldT]], come: Callable[[], int]
) -> Generator[ToldT, None, None]:
    """Yield what one attempt after the other brings until one is not cut.

    It is given up after `TRIES` cuts in a row between which what has `come` did not grow.
    """
    tries = TRIES
    while True:
        before = come()
        try:
            yield from attempt()
        except CutOff as cut:
            tries = TRIES if come() > before else tries - 1
            if not tries:
                raise NotReached("unreachable", f"反复中断：{cut}", subject=seat.name) from None
        else:
            return


def listing(seat: Seat, root: str, limits: Mapping[str, float]) -> Iterator[Record]:
    """Yield the folders below a root, each whole and once, with what is odd about them.

    After a cut the walk goes on behind the last folder that came whole.
    """
    cursor: str | None = None
    come = 0

    def attempt() -> Iterator[Record]:
        nonlocal cursor, come
        for part in _whole_folders(records(seat, _list_job(root, limits, cursor))):
            yield from part
            cursor, come = text_of(_folder(part).path), come + 1

    yield from in_tries(seat, attempt, lambda: come)


def _list_job(root: str, limits: Mapping[str, float], cursor: str | None) -> Job:
    return Job("list", {"root": root, "cursor": cursor, **limits})


def _whole_folders(stream: Iterator[Record]) -> Iterator[list[Record]]:
    """Yield what was said of each folder, the folder itself last and in one piece."""
    said: list[Record] = []
    files: list = []
    for record in stream:
        if isinstance(record, Folder):
            files.extend(record.files)
            if record.is_last:
                yield [*said, Folder(record.path, tuple(files), written_s=record.written_s)]
                said, files = [], []
        elif isinstance(record, Problem | Special):
            said.append(record)


def _folder(part: list[Record]) -> Folder:
    last = part[-1]
    assert isinstance(last, Folder)
    return last


def digests(
    seat: Seat, root: str, paths: Collection[bytes], limits: Mapping[str, float]
) -> Iterator[FileDigest | Problem]:
    """Yield a digest or a problem for each path; after a cut those that are missing are read."""
    left = dict.fromkeys(paths)

    def attempt() -> Iterator[FileDigest | Problem]:
        part = [path for path, _ in zip(left, range(PATHS_A_JOB), strict=False)]
        job = Job("digest", {"root": root, "paths": [text_of(path) for path in part], **limits})
        for record in records(seat, job):
            if isinstance(record, FileDigest | Problem) and record.path in left:
                del left[record.path]
                yield record
        if untold := [path for path in part if path in left]:
            text = f"主机没有说明 {len(untold)} 个文件是否读完：{shown(untold[0])}"
            raise NotReached("unreadable", text, subject=seat.name)

    while left:
        yield from in_tries(seat, attempt, lambda: -len(left))


def contents(
    seat: Seat, root: str, paths: Collection[bytes], limits: Mapping[str, float]
) -> Iterator[Piece | Whole | Problem]:
    """Yield the content of files, one after the other, each byte once.

    After a cut it goes on behind the last byte that came. A file that changed meanwhile is
    `NotReached`.
    """
    sent = _Sent(seat, dict.fromkeys(paths))

    def attempt() -> Iterator[Piece | Whole | Problem]:
        left = [text_of(path) for path in sent.left]
        job = Job("fetch", {"root": root, "paths": left, "first": sent.first, **limits})
        return sent.taken(records(seat, job))

    yield from in_tries(seat, attempt, lambda: sent.come)


def chosen_members(
    seat: Seat, path: Path, kind: str, wanted: Mapping[bytes, bytes]
) -> Iterator[Piece | Whole | Problem]:
    """Yield the content of members of an archive, by their paths, under the names given for them.

    After a cut the archive is read anew over there, and what came is passed by. An archive that
    changed meanwhile is `NotReached`.
    """
    sent = _Sent(seat, dict.fromkeys(wanted.values()))

    def attempt() -> Iterator[Piece | Whole | Problem]:
        left = ((member, name) for member, name in wanted.items() if name in sent.left)
        keys = {text_of(member): text_of(name) for member, name in left}
        given = {"path": str(path), "kind": kind, "keys": keys, "first": sent.first, **LIMITS}
        return sent.taken(records(seat, Job("members", given)))

    yield from in_tries(seat, attempt, lambda: sent.come)


@dataclass(slots=True)
class _Sent:
    """Files that are being sent: those left, and how much came of the first of them.

    `come` grows with everything that comes.
    """

    seat: Seat
    left: dict[bytes, None]
    first: int = 0
    come: int = 0
    state: FileState | None = None

    def taken(self, told: Iterator[Record]) -> Iterator[Piece | Whole | Problem]:
        """Take what one attempt brings, and pass it on."""
        for record in told:
            if isinstance(record, FileState):
                self.state = _unchanged(self.seat, self.state, record)
            elif isinstance(record, Piece):
                self.first += len(record.data)
                self.come += len(record.data)
                yield record
            elif isinstance(record, Whole | Problem):
                self.left.pop(record.path, None)
                self.first, self.come = 0, self.come + 1
                yield record


def _unchanged(seat: Seat, before: FileState | None, now: FileState) -> FileState:
    """Return the state of a file; raise `NotReached` where it is another than before a cut."""
    if before is not None and before.path == now.path and before != now:
        text = "文件在传输中断前后不一样，备份可能正在进行"
        raise NotReached("unreadable", text, subject=seat.name)
    return now


def members(
    seat: Seat, path: Path, kind: str, *, is_hashed: bool
) -> Generator[MemberRow | Ended, None, None]:
    """Yield the members of an archive, each once, then how the pass ended.

    After a cut the same archive is read anew over there, and told behind the last member that
    came. An archive that changed meanwhile is `NotReached`.
    """
    given = {"path": str(path), "kind": kind, "hashed": is_hashed, **LIMITS}
    at = _Pass()
    yield from in_tries(seat, lambda: _members(seat, given, at), lambda: at.after)


@dataclass(slots=True)
class _Pass:
    """How far a pass over an archive has come, and over which."""

    after: int = 0
    state: FileState | None = None


def _members(
    seat: Seat, given: Mapping[str, Any], at: _Pass
) -> Generator[MemberRow | Ended, None, None]:
    """Yield the members behind those that came before, and in the end how the pass ended."""
    ended = None
    for record in records(seat, Job("archive", {**given, "after": at.after})):
        if isinstance(record, FileState):
            at.state = _unchanged(seat, at.state, record)
        elif isinstance(record, Members):
            at.after += len(record.rows)
            yield from record.rows
        elif isinstance(record, Ended):
            ended = record
    if ended is None:
        raise NotReached("unreadable", "主机没有说明归档是否读完", subject=seat.name)
    yield ended


def text_of(data: bytes) -> str:
    """Return bytes as the text that stands for them in a job."""
    return base64.b64encode(data).decode()

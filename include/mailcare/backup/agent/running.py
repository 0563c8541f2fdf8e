"""Run a job to its end: records in, cuts mended where the job can go on from where it was."""

import base64
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailcare.backup.agent.protocol import (
    ArchiveState,
    CutOff,
    Ended,
    FileDigest,
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
from mailcare.backup.source import NotReached
from mailcare.clock import utc_now

TRIES = 3
LIMITS: Mapping[str, float] = {"bytes_per_s": 50_000_000.0}
PATHS_A_JOB = 20_000


def records(seat: Seat, job: Job) -> Iterator[Record]:
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
            code = "missing" if record.what == "gone" else "unreadable"
            raise NotReached(code, f"{path}：{record.text}", subject=seat.name)
    raise NotReached("unreadable", f"{path} 没有应答", subject=seat.name)


def listing(seat: Seat, root: str, limits: Mapping[str, float]) -> Iterator[Record]:
    """Yield the folders below a root, each whole and once, with what is odd about them.

    After a cut the walk goes on behind the last folder that came whole; it is given up after
    `TRIES` cuts without progress.
    """
    cursor: str | None = None
    tries = TRIES
    while True:
        try:
            for part in _whole_folders(records(seat, _list_job(root, limits, cursor))):
                yield from part
                cursor, tries = text_of(_folder(part).path), TRIES
        except CutOff as cut:
            tries -= 1
            if not tries:
                raise NotReached("unreachable", f"反复中断：{cut}", subject=seat.name) from None
        else:
            return


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
    tries = TRIES
    while left:
        part = [path for path, _ in zip(left, range(PATHS_A_JOB), strict=False)]
        job = Job("digest", {"root": root, "paths": [text_of(path) for path in part], **limits})
        before = len(left)
        try:
            for record in records(seat, job):
                if isinstance(record, FileDigest | Problem):
                    left.pop(record.path, None)
                    yield record
        except CutOff as cut:
            tries = TRIES if len(left) < before else tries - 1
            if not tries:
                raise NotReached("unreachable", f"反复中断：{cut}", subject=seat.name) from None


def contents(
    seat: Seat, root: str, paths: Collection[bytes], limits: Mapping[str, float]
) -> Iterator[Piece | Whole | Problem]:
    """Yield the content of files, one after the other; a cut is `NotReached`."""
    job = Job("fetch", {"root": root, "paths": [text_of(path) for path in paths], **limits})
    for record in once(seat, job):
        if isinstance(record, Piece | Whole | Problem):
            yield record


def members(
    seat: Seat, path: Path, kind: str, *, is_hashed: bool
) -> Generator[MemberRow | Ended, None, None]:
    """Yield the members of an archive, each once, then how the pass ended.

    After a cut the same archive is read anew over there, and told behind the last member that
    came; it is given up after `TRIES` cuts without progress. An archive that changed meanwhile is
    `NotReached`.
    """
    given = {"path": str(path), "kind": kind, "hashed": is_hashed, **LIMITS}
    so_far, tries = _Pass(), TRIES
    while True:
        before = so_far.after
        try:
            yield from _members(seat, given, so_far)
        except CutOff as cut:
            tries = TRIES if so_far.after > before else tries - 1
            if not tries:
                raise NotReached("unreachable", f"反复中断：{cut}", subject=seat.name) from None
        else:
            return


@dataclass(slots=True)
class _Pass:
    """How far a pass over an archive has come, and over which."""

    after: int = 0
    state: tuple[int, ...] | None = None


def _members(
    seat: Seat, given: Mapping[str, Any], at: _Pass
) -> Generator[MemberRow | Ended, None, None]:
    """Yield the members behind those that came before, and in the end how the pass ended."""
    ended = None
    for record in records(seat, Job("archive", {**given, "after": at.after, "state": at.state})):
        if isinstance(record, ArchiveState):
            at.state = record.values
        elif isinstance(record, Members):
            at.after += len(record.rows)
            yield from record.rows
        elif isinstance(record, Ended):
            ended = record
    if ended is None:
        raise NotReached("unreadable", "主机没有说明归档是否读完", subject=seat.name)
    yield ended


def chosen_members(
    seat: Seat, path: Path, kind: str, wanted: Mapping[bytes, bytes]
) -> Iterator[Record]:
    """Yield the content of members of an archive, by their paths, under the names given for them.

    A cut is `NotReached`.
    """
    keys = {text_of(member): text_of(name) for member, name in wanted.items()}
    yield from once(seat, Job("members", {"path": str(path), "kind": kind, "keys": keys, **LIMITS}))


def text_of(data: bytes) -> str:
    """Return bytes as the text that stands for them in a job."""
    return base64.b64encode(data).decode()

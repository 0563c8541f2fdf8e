"""What restic and borg repositories have in common: a tool of their own opens them, read-only.

The tool runs where the repository lies, started by the agent, with its caches in scratch. The
password reaches it by its environment; it is in no argument, no record and no message.
"""

import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mailcare.backup.agent.protocol import (
    Entry,
    ErrorLine,
    Exit,
    Folder,
    Header,
    Line,
    Link,
    Piece,
    Place,
    Problem,
    Record,
    Whole,
)
from mailcare.backup.agent.running import in_tries, look, records
from mailcare.backup.agent.script import SHORTAGE, shortage_of
from mailcare.backup.agent.seats import Job, Seat
from mailcare.backup.mailstore import Place as StorePlace
from mailcare.backup.mailstore import StoreMap, Tally
from mailcare.backup.names import shown
from mailcare.backup.source import (
    Census,
    Digest,
    Generation,
    Message,
    NotReached,
    Restored,
    Soundness,
)

_HIDDEN = "***"
_LOST_NAME = "\ufffd".encode()  # restic tells no bytes that are not UTF-8
_SAID_LINES = 20
_TRACE = re.compile(r"\s|(github\.com|main|runtime)[./]")  # where in a tool it was, not what
ALARM = re.compile(r"input/output error|structure needs cleaning|stale (nfs )?file handle", re.I)
# What stops any tool, in the words of the system, of Go and of Python.
_SURROUNDINGS = (
    ("scratch", re.compile(r"no space left on device|disk quota exceeded", re.I)),
    ("shortage", SHORTAGE),
    ("alarm", ALARM),
    ("unreadable", re.compile(r"permission denied", re.I)),
    (
        "tool",
        re.compile(
            r"(Import|ModuleNotFound)Error|unknown (shorthand )?(flag|command)"
            r"|unrecognized arguments|unsupported repository version|not supported by this borg",
            re.I,
        ),
    ),
)
_UNTOLD = "untold"
_NOT_THE_COPYS = frozenset(
    {"locked", "password", "scratch", "shortage", "tool", "unreadable", _UNTOLD}
)
_ALONE = "，而它在同一环境可以新建仓库：不是环境的问题"
_NOWHERE = "，它在同一环境也不能新建仓库：不能断定仓库损坏"

Listed = Callable[[], Iterator[Folder]]
Check = Callable[[], Soundness]
Heed = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Repository:
    """Where a repository is and what its password is; `inside` is the store's folder in it.

    `tell` is told how far its tool is with what takes long.
    """

    seat: Seat = field(repr=False)
    path: str
    password: str = field(repr=False)
    store: StoreMap
    inside: str = ""
    scratch: str | None = None
    tell: Callable[[str], None] = field(default=lambda _line: None, repr=False)

    def place(self) -> tuple[Place, float]:
        """Look at the repository's folder and its host's clock; see `running.look`."""
        return look(self.seat, self.path)

    def key(self, path: bytes) -> bytes | None:
        """Return a path within the mail store, None for one outside of it."""
        steps = path.lstrip(b"/")
        inside = self.inside.encode()
        if not inside or steps == inside:
            return steps if not inside else b""
        return steps[len(inside) + 1 :] if steps.startswith(inside + b"/") else None

    def path_of(self, key: bytes) -> bytes:
        """Return the path within a generation, without a slash before it."""
        return self.inside.encode() + b"/" + key if self.inside else key

    def hidden(self, text: str) -> str:
        """Return what a tool said, without the password."""
        return text.replace(self.password, _HIDDEN) if self.password else text


@dataclass(slots=True)
class Said:
    """What a tool said, verbatim, and how it ended; what a person sees of it goes by `hidden`."""

    code: int | None = None
    lines: list[str] = field(default_factory=list, repr=False)
    errors: list[str] = field(default_factory=list, repr=False)

    def begin(self) -> None:
        """Forget what was said before a cut."""
        self.code = None
        self.lines.clear()
        self.errors.clear()

    @property
    def text(self) -> str:
        """Return all of it, for a search."""
        return "\n".join((*self.lines, *self.errors))

    def excerpt(self) -> str:
        """Return the last lines of standard error, for a person."""
        told = [line.strip() for line in self.errors if line.strip() and not _TRACE.match(line)]
        return "；".join(told[-_SAID_LINES:])[:600]


def heard(
    repository: Repository, job: Mapping[str, Any], said: Said, heed: Heed = lambda _line: None
) -> Iterator[Record]:
    """Run a tool; yield what is neither a line nor its end, and write these into `said`.

    `heed` is told every line. After a cut the tool is run anew, and what came is passed by: a tool
    tells of the same repository the same again.
    """
    given = {**job, "scratch": repository.scratch}
    come = 0

    def attempt() -> Iterator[Record]:
        nonlocal come
        said.begin()
        with closing(records(repository.seat, Job("tool", given))) as told:
            for number, record in enumerate(_but_lines(told, said, heed)):
                if number >= come:
                    come += 1
                    yield record

    yield from in_tries(repository.seat, attempt, lambda: come)


def _but_lines(told: Iterator[Record], said: Said, heed: Heed) -> Iterator[Record]:
    for record in told:
        if isinstance(record, Line | ErrorLine):
            kept = said.lines if isinstance(record, Line) else said.errors
            kept.append(record.text)
            heed(record.text)
        elif isinstance(record, Exit):
            said.code = record.code
        elif not isinstance(record, Header):
            yield record


def census_of(repository: Repository, listed: Listed) -> Census:
    """Count the mailboxes of a listing."""
    tally = Tally()
    oddities: list[str] = []
    for place, key, entry in _files(repository, listed(), tally.note):
        if _LOST_NAME in key:
            oddities.append(f"文件名在仓库清单中已失真：{key.decode(errors='replace')}")
        message = _message(repository, place, key, entry)
        if message is not None and entry.link is None:
            tally.add(message)
    for message in _linked(repository, listed):
        tally.add(message)
    return Census(tally.rows(), oddities=tuple(oddities))


def messages_of(
    repository: Repository, listed: Listed, mailboxes: Collection[str]
) -> Iterator[Message]:
    """Yield the messages of some mailboxes of a listing."""
    wanted = set(mailboxes)
    for place, key, entry in _files(repository, listed(), _unnoted):
        message = _message(repository, place, key, entry)
        if message is not None and entry.link is None and message.mailbox in wanted:
            yield message
    yield from (one for one in _linked(repository, listed) if one.mailbox in wanted)


def _unnoted(_place: StorePlace) -> None:
    """Let a mailbox without a wanted message go by."""


def _files(
    repository: Repository, folders: Iterable[Folder], note: Callable[[StorePlace], None]
) -> Iterator[tuple[StorePlace, bytes, Entry]]:
    """Yield the files of the mail store with their places; `note` is told of every folder."""
    if repository.store.is_read_to_count:
        raise NotReached("tool", "仓库中的 mbox 不能清点，请另设以目录或归档保存的副本")
    for folder in folders:
        path = repository.key(folder.path)
        place = None if path is None else repository.store.place(path)
        if path is None or place is None:
            continue
        note(place)
        for entry in folder.files:
            yield place, path + b"/" + entry.name if path else entry.name, entry


def _message(repository: Repository, place: StorePlace, key: bytes, entry: Entry) -> Message | None:
    return repository.store.message(
        place, key, size_bytes=entry.size_bytes, mtime_s=seconds_of(entry.time)
    )


def _linked(repository: Repository, listed: Listed) -> Iterator[Message]:
    """Yield the messages that are second names of a file, with the size of the first.

    A listing tells the size with the first name only. Links are few: a second pass finds the sizes
    without keeping those of all files.
    """
    found = _files(repository, listed(), _unnoted)
    links = [(place, key, entry) for place, key, entry in found if entry.link is not None]
    if not links:
        return
    targets = {entry.link for _, _, entry in links}
    sizes = {
        target: entry.size_bytes
        for folder in listed()
        for entry in folder.files
        if (target := folder.path + b"/" + entry.name) in targets
    }
    for place, key, entry in links:
        size_bytes = sizes.get(entry.link or b"", 0)
        message = _message(repository, place, key, replace(entry, size_bytes=size_bytes))
        if message is not None:
            yield message


def seconds_of(time: float | str) -> float:
    """Return the moment in a tool's listing; borg's has no zone and was told to be in UTC."""
    if not isinstance(time, str):
        return time
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def written(told: Iterator[Record], keys: Collection[bytes], scratch: Path) -> Iterator[Restored]:
    """Write the content that comes under our own numbers; say of each key what became of it.

    Raise `NotReached` for what was never asked for.
    """
    numbers = {key: number for number, key in enumerate(keys)}
    missing = dict.fromkeys(keys, "没有恢复出来")
    for record in told:
        if isinstance(record, Piece) and record.path in numbers:
            with (scratch / str(numbers[record.path])).open("ab") as file:
                file.write(record.data)
        elif isinstance(record, Whole) and record.path in missing:
            path = scratch / str(numbers[record.path])
            path.touch()
            del missing[record.path]
            yield Restored(record.path, path)
        elif isinstance(record, Link) and _is_known(record, missing, numbers):
            path = scratch / str(numbers[record.path])
            shutil.copyfile(scratch / str(numbers[record.to]), path)
            del missing[record.path]
            yield Restored(record.path, path)
        elif isinstance(record, Problem):
            _note(record, missing)
    for key, problem in missing.items():
        (scratch / str(numbers[key])).unlink(missing_ok=True)
        yield Restored(key, None, problem)


def _is_known(link: Link, missing: Mapping[bytes, str], numbers: Mapping[bytes, int]) -> bool:
    """Tell whether a wanted file is another name of one that has come already."""
    return link.path in missing and link.to in numbers and link.to not in missing


def _note(problem: Problem, missing: dict[bytes, str]) -> None:
    if problem.path not in missing:
        text = f"主机报告了没有要求的文件：{shown(problem.path)}（{problem.text}）"
        raise NotReached("unreadable", text)
    if problem.what != "gone":  # what the tool did not write did not come back: that is said
        missing[problem.path] = problem.told if problem.what == "alarm" else problem.text


@dataclass(slots=True)
class CheckedByTool:
    """A reading that the repository's own tool does: no message comes out of it."""

    check: Check
    _found: Soundness | None = None

    def __iter__(self) -> Iterator[Digest]:
        """Run the check; a repository keeps no message apart."""
        self._found = self.check()
        return iter(())

    def soundness(self) -> Soundness:
        """Return what the tool found."""
        if self._found is None:
            self._found = self.check()
        return self._found


@dataclass(frozen=True)
class RepositorySource(ABC):
    """A repository as a copy; how its tool is called and understood is its own.

    A tool that fails on a repository and names no reason blames it where the same tool can make a
    repository of its own beside it: program, memory and room are there.
    """

    repository: Repository

    @abstractmethod
    def job(self, *words: str) -> dict[str, Any]:
        """Return the job that runs the tool with these words."""

    @abstractmethod
    def proof(self) -> dict[str, Any]:
        """Return the job that makes a repository in scratch."""

    @abstractmethod
    def has_run(self, said: Said) -> bool:
        """Tell whether the tool did what it was told."""

    @abstractmethod
    def complaints(self, said: Said) -> list[str]:
        """Return what the tool said of damage, each once."""

    @abstractmethod
    def reason(self, said: Said) -> str:
        """Return the code of `NotReached` for what the tool itself names; empty for nothing."""

    @abstractmethod
    def listed(self, generation: Generation) -> Iterator[Folder]:
        """Yield the folders of the tool's own listing."""

    @abstractmethod
    def restored(self, generation: Generation, keys: list[bytes]) -> Iterator[Record]:
        """Yield what the tool sends of the wanted files."""

    @abstractmethod
    def size_bytes(self, generation: Generation) -> int:
        """Return the size of what would be restored of a generation."""

    def sized(self, generation: Generation) -> Generation:
        """Return a generation with its size, if its listing can be read; it may be damaged."""
        try:
            return replace(generation, size_bytes=self.size_bytes(generation))
        except NotReached as error:
            if error.code != "damaged":
                raise
            return generation

    def blames_copy(self, said: Said) -> bool:
        """Tell whether what the tool names lies in the repository."""
        return self._failure(said) not in _NOT_THE_COPYS

    def _failure(self, said: Said) -> str:
        """Return the code of `NotReached` for a failure: by the machine's words, then the tool's.

        A tool that was killed and had named nothing had no memory, or no time.
        """
        told = (code for code, sign in _SURROUNDINGS if sign.search(said.text))
        is_killed = (said.code or 0) < 0
        return next(told, "") or self.reason(said) or ("shortage" if is_killed else _UNTOLD)

    def need_success(self, said: Said) -> None:
        """Raise `NotReached` where the tool failed."""
        if self.has_run(said):
            return
        code, why = self._failure(said), ""
        if code == "password":
            code, why = self.without_key(said)
        if code == _UNTOLD:
            code, why = ("damaged", _ALONE) if self._works_elsewhere() else ("tool", _NOWHERE)
        short = shortage_of(said.code or 0, said.text) if code == "shortage" else ""
        text = short or "；".join(self.complaints(said))[:600] or said.excerpt() or str(said.code)
        tool = self.job()["words"][0]
        told = f"{tool}：{self.repository.hidden(text)}{why}"
        raise NotReached(code, told, subject=self.repository.seat.name)

    @abstractmethod
    def without_key(self, said: Said) -> tuple[str, str]:
        """Return the code of `NotReached`, and why, where our password opens no key."""

    def _works_elsewhere(self) -> bool:
        said = Said()
        for _ in heard(self.repository, self.proof(), said):
            pass
        return said.code == 0

    def run(self, *words: str) -> Said:
        """Run the tool to its end and return what it said."""
        said = Said()
        for _ in heard(self.repository, self.job(*words), said):
            pass
        self.need_success(said)
        return said

    def place(self, generation: Generation) -> str:  # noqa: ARG002 - one for all
        """Return where the repository is."""
        return self.repository.path

    def census(self, generation: Generation) -> Census:
        """Count every mailbox by the tool's own listing."""
        return census_of(self.repository, lambda: self.listed(generation))

    def messages(self, generation: Generation, mailboxes: Collection[str]) -> Iterator[Message]:
        """List the messages of some mailboxes."""
        return messages_of(self.repository, lambda: self.listed(generation), mailboxes)

    def restore(
        self, generation: Generation, keys: Collection[bytes], scratch: Path
    ) -> Iterator[Restored]:
        """Let the tool bring files back and take them over under our own numbers."""
        yield from written(self.restored(generation, list(keys)), keys, scratch)

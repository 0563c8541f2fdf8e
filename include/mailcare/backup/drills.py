"""Carry out the drills of a copy's newest generation: L4 in scratch, L5 before a real server."""

import fnmatch
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from mailcare.backup.databases import blocks, judge_dump, load_dump
from mailcare.backup.drill import candidates, judge_drill, run_drill, scratch_folder
from mailcare.backup.ground import Ground
from mailcare.backup.judging import Facts, stated
from mailcare.backup.ldif import judge_ldif, lines_of
from mailcare.backup.manifest import manifest_of
from mailcare.backup.sampling import Sample, draw, seed_of
from mailcare.backup.service import Served, judge_service, serve
from mailcare.backup.source import Generation, Message, NotReached, Restored, Source
from mailcare.clock import BEIJING
from mailcare.systems.backups import CopyKind, StoreFormat

HOMES_SERVED = 5  # of a dbox store, whose homes are restored whole
SERVED_UNIFORM = 300
ROOM_FACTOR = 3  # what came back, what the server is given, and its indexes
Found = Iterator[tuple[str, Facts]]


@dataclass(frozen=True, slots=True)
class _Newest:
    """The newest generation of a copy, as something that keeps messages."""

    source: Source
    generation: Generation

    def messages(self, mailboxes: Collection[str]) -> Iterator[Message]:
        return self.source.messages(self.generation, mailboxes)

    def restore(self, keys: Collection[bytes], scratch: Path) -> Iterator[Restored]:
        return self.source.restore(self.generation, keys, scratch)


def restore(ground: Ground) -> Found:
    """L4: a sample comes back, is opened and held against the original."""
    if not ground.reach.generations:
        return
    newest = ground.newest
    copy = _Newest(ground.source, newest)
    with manifest_of(ground.manifest) as manifest:
        done = run_drill(
            copy,
            ground.live,
            _sample(ground),
            recorded=manifest.recorded,
            base=ground.scratch,
            opens_mail=ground.copy.format is not StoreFormat.DBOX,
        )
    total_bytes = newest.size_bytes or sum(row.size_bytes for row in ground.census.rows)
    yield newest.name, stated(judge_drill(done, total_bytes=total_bytes))


def _sample(ground: Ground, **how: int) -> Sample:
    mailboxes = [row.mailbox for row in ground.census.rows]
    root = "".join(f"{row.mailbox}\0{row.digest}\0" for row in ground.census.rows)
    day = ground.now.astimezone(BEIJING).date()
    seed = seed_of(root, day, ground.site.customer.name)
    newest = ground.newest
    return draw(lambda: candidates(ground.source.messages(newest, mailboxes)), seed=seed, **how)


def serve_sample(ground: Ground) -> Found:
    """L5: what comes back is served by a real IMAP server and read by a real client."""
    if not ground.reach.generations:
        return
    sample = _sample(ground, uniform=SERVED_UNIFORM)
    is_dbox = ground.copy.format is StoreFormat.DBOX
    size_bytes = sum(one.size_bytes for one in sample)
    with scratch_folder(ground.scratch, ROOM_FACTOR * size_bytes) as folder:
        served = list(_homes(ground, folder) if is_dbox else _messages(ground, sample, folder))
        tally = serve(served, folder, location=_location(served) if is_dbox else "maildir:~")
        yield ground.newest.name, stated(judge_service(served, tally))


def _messages(ground: Ground, sample: Sample, folder: Path) -> Iterator[Served]:
    """Restore a sample and put it in order by mailbox and folder."""
    keys = {one.key for one in sample}
    copy = _Newest(ground.source, ground.newest)
    listed = copy.messages({one.mailbox for one in sample})
    wanted = {one.key: one for one in listed if one.key in keys}
    (folder / "copy").mkdir()
    by_mailbox: dict[str, dict[str, list[Path]]] = {one.mailbox: {} for one in sample}
    lost = Counter[str]()
    for one in copy.restore(list(wanted), folder / "copy"):
        message = wanted[one.key]
        if one.path:
            by_mailbox[message.mailbox].setdefault(message.folder, []).append(one.path)
        else:
            lost[message.mailbox] += 1
    for mailbox, folders in sorted(by_mailbox.items()):
        files = {name: tuple(paths) for name, paths in folders.items()}
        yield Served(mailbox, files, lost=lost[mailbox])


def _homes(ground: Ground, folder: Path) -> Iterator[Served]:
    """Restore whole homes of a dbox store: only its server knows what is in them."""
    rows = [row for row in ground.census.rows if row.messages][:HOMES_SERVED]
    copy = _Newest(ground.source, ground.newest)
    for number, row in enumerate(rows):
        home, numbered = folder / f"home{number}", folder / f"copy{number}"
        numbered.mkdir()
        wanted = {one.key: one for one in copy.messages({row.mailbox})}
        for one in copy.restore(list(wanted), numbered):
            if one.path:
                _put_back(one.path, home / _below_home(ground.copy.layout, one.key))
        yield Served(row.mailbox, {}, home=home, expected=row.messages)


def _below_home(layout: str, key: bytes) -> Path:
    steps = Path(key.decode("utf-8", "surrogateescape")).parts[len(layout.split("/")) :]
    if ".." in steps or not steps:
        raise NotReached("unreadable", "备份中的路径不能放入演练目录")
    return Path(*steps)


def _put_back(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    path.rename(place)


def _location(served: list[Served]) -> str:
    """Return Dovecot's word for the store, by the names of its files."""
    names = {path.name for one in served if one.home for path in one.home.rglob("*")}
    kind = "mdbox" if fnmatch.filter(names, "m.*") else "sdbox"
    return f"{kind}:~"


def load(ground: Ground) -> Found:
    """L4 of an account store: the newest dump is loaded, or the export held against the list."""
    if not ground.reach.generations:
        return
    newest = ground.newest
    path = ground.copy.path if ground.copy.path.is_file() else ground.copy.path / newest.name
    if ground.copy.kind is CopyKind.LDIF:
        lines = lines_of(blocks(path))
        yield newest.name, stated(judge_ldif(lines, ground.listed))
        return
    assert ground.copy.dialect
    room = ROOM_FACTOR * path.stat().st_size
    with scratch_folder(ground.scratch, room) as folder:
        yield newest.name, stated(judge_dump(load_dump(path, ground.copy.dialect, folder)))

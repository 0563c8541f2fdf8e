"""Carry out the drills of a copy's newest generation: L4 in scratch, L5 before a real server."""

import fnmatch
import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mailcare.backup import dbox
from mailcare.backup.agent.script import HEAD_BYTES, is_packed, is_sealed
from mailcare.backup.databases import judge_dump, load_dump
from mailcare.backup.drill import candidates, judge_drill, run_drill, scratch_folder
from mailcare.backup.dumps import blocks
from mailcare.backup.ground import Ground
from mailcare.backup.judging import Found, StatedFacts, stated
from mailcare.backup.ldif import judge_ldif, lines_of
from mailcare.backup.manifest import manifest_of
from mailcare.backup.names import stated_bytes
from mailcare.backup.opening import normal_digest, text_of
from mailcare.backup.packing import BadPacking
from mailcare.backup.sampling import Sample, draw, seed_of
from mailcare.backup.service import MAILDIR, Served, judge_service, serve
from mailcare.backup.source import (
    SEALED,
    Generation,
    MailboxRow,
    Message,
    NotReached,
    Restored,
    Source,
)
from mailcare.backup.stored import StoredCopy
from mailcare.backup.verdicts import Judgement, Remark, Weight
from mailcare.clock import BEIJING
from mailcare.systems.copies import CopyKind, StoreFormat

HOMES_SERVED = 5  # of a dbox store, whose homes are restored whole
SERVED_UNIFORM = 300
ROOM_FACTOR = 3  # what came back, what the server is given, and its indexes


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
    yield newest.name, _on_sample(ground, judge_drill(done, total_bytes=total_bytes))


def _on_sample(ground: Ground, judgement: Judgement) -> StatedFacts:
    """Return what a drill found; a sample out of an incomplete listing proves no more than that."""
    facts, gaps = stated(judgement), ground.census.gaps
    if not gaps:
        return facts
    text = f"备份清单不完整，样本只取自能列出的部分：{gaps[0]}"
    remark = Remark("listing", text, Weight.DEGRADES)
    return replace(facts, remarks=(*facts.remarks, remark))


def _sample(ground: Ground, **how: int) -> Sample:
    mailboxes = [row.mailbox for row in ground.census.rows]
    root = "".join(f"{row.mailbox}\0{row.digest}\0" for row in ground.census.rows)
    day = ground.now.astimezone(BEIJING).date()
    seed = seed_of(root, day, ground.site.customer.name)
    newest = ground.newest
    listed = candidates(ground.source.messages(newest, mailboxes))
    return draw(listed, seed=seed, mailboxes=len(mailboxes), **how)


def serve_sample(ground: Ground) -> Found:
    """L5: what comes back is served by a real IMAP server and read by a real client."""
    if not ground.reach.generations:
        return
    sample = _sample(ground, uniform=SERVED_UNIFORM)
    is_dbox = ground.copy.format is StoreFormat.DBOX
    homes = _drawn_homes(ground, sample.seed) if is_dbox else ()
    size_bytes = sum(one.size_bytes for one in homes or sample)
    with scratch_folder(ground.scratch, ROOM_FACTOR * size_bytes) as folder:
        served = list(
            _homes(ground, homes, folder) if is_dbox else _messages(ground, sample, folder)
        )
        _need_readable(served)
        tally = serve(served, folder, location=_location(served) if is_dbox else MAILDIR)
        yield ground.newest.name, _on_sample(ground, judge_service(served, tally))


def _messages(ground: Ground, sample: Sample, folder: Path) -> Iterator[Served]:
    """Restore a sample and put it in order by mailbox and folder."""
    keys = {one.key for one in sample}
    copy = _Newest(ground.source, ground.newest)
    listed = copy.messages({one.mailbox for one in sample})
    wanted = {one.key: one for one in listed if one.key in keys}
    (folder / "copy").mkdir()
    by_mailbox: dict[str, dict[str, list[Path]]] = {one.mailbox: {} for one in sample}
    lost, sealed = Counter[str](), Counter[str]()
    for one in copy.restore(list(wanted), folder / "copy"):
        message = wanted[one.key]
        if one.path and _is_sealed(one.path):
            sealed[message.mailbox] += 1
        elif one.path and _unpack(one.path, stated_bytes(one.key.rpartition(b"/")[2])):
            by_mailbox[message.mailbox].setdefault(message.folder, []).append(one.path)
        else:
            lost[message.mailbox] += 1
    for mailbox, folders in sorted(by_mailbox.items()):
        files = {name: tuple(paths) for name, paths in folders.items()}
        yield Served(mailbox, files, lost=lost[mailbox], sealed=sealed[mailbox])


def _need_readable(served: Iterable[Served]) -> None:
    """Raise `NotReached` where nobody but its own server opens any of the mail."""
    told = list(served)
    if any(one.sealed for one in told) and not any(one.folders or one.lost for one in told):
        raise NotReached("tool", f"邮件{SEALED}，演练用的服务不能读取")


def _is_sealed(path: Path) -> bool:
    with path.open("rb") as file:
        return is_sealed(file.read(HEAD_BYTES))


def _unpack(path: Path, stated: int | None) -> bool:
    """Put the text of a compressed message in its place; return whether there is one.

    The throw-away server does not unpack: whether it can is another matter than the backup.
    """
    data = path.read_bytes()
    try:
        text = text_of(data, stated)
    except BadPacking:
        return False
    if text is not data:
        path.write_bytes(text)
    return True


def _drawn_homes(ground: Ground, seed: str) -> Sequence[MailboxRow]:
    """Draw whole homes of a dbox store, as messages are drawn of others."""
    rows = [row for row in ground.census.rows if row.messages]
    rows.sort(key=lambda row: hashlib.sha256(f"{seed}\0{row.mailbox}".encode()).digest())
    return rows[:HOMES_SERVED]


def _homes(ground: Ground, rows: Iterable[MailboxRow], folder: Path) -> Iterator[Served]:
    for number, row in enumerate(rows):
        yield _home(ground, row.mailbox, folder / f"home{number}", folder / f"copy{number}")


def _home(ground: Ground, mailbox: str, home: Path, numbered: Path) -> Served:
    """Restore the messages of one home; a file that is no dbox file is lost."""
    copy = _Newest(ground.source, ground.newest)
    home.mkdir()
    numbered.mkdir()
    stored, lost = Counter[str](), 0
    for one in copy.restore([one.key for one in copy.messages({mailbox})], numbered):
        try:
            stored += _digests(one.path)
        except dbox.Broken:
            lost += 1
        if one.path:
            _put_back(one.path, home / _below_home(ground.copy.layout, one.key))
    return Served(mailbox, {}, home=home, stored=stored, lost=lost)


def _digests(path: Path | None) -> Counter[str]:
    if path is None:
        raise dbox.Broken("not restored")
    messages = list(dbox.messages_of(path.read_bytes()))
    if any(map(is_sealed, messages)):
        raise NotReached("tool", f"邮件{SEALED}，演练用的服务不能读取")
    if any(map(is_packed, messages)):
        raise NotReached("tool", "邮件在存储中经 Dovecot 压缩，演练用的服务不能解开")
    return Counter(map(normal_digest, messages))


def _below_home(layout: str, key: bytes) -> Path:
    """Return where a file lies below the store's own folder, which need not be the home itself."""
    steps = Path(key.decode("utf-8", "surrogateescape")).parts[len(layout.split("/")) :]
    begins = next((at for at, step in enumerate(steps) if step in ("mailboxes", "storage")), None)
    if begins is None or ".." in steps:
        raise NotReached("unreadable", "备份中的路径不是 Dovecot 的 dbox 目录结构")
    return Path(*steps[begins:])


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
    assert isinstance(ground.source, StoredCopy)
    path = ground.source.file(newest)
    if ground.copy.kind is CopyKind.LDIF:
        lines = lines_of(blocks(path))
        yield newest.name, stated(judge_ldif(lines, ground.listed))
        return
    assert ground.copy.dialect
    room = ROOM_FACTOR * path.stat().st_size
    with scratch_folder(ground.scratch, room) as folder:
        loaded = load_dump(path, ground.copy.dialect, folder, accounts=ground.listed)
    with manifest_of(ground.manifest) as manifest:
        gone = () if loaded.problem else manifest.note_parts(loaded.filled)
    yield newest.name, stated(judge_dump(loaded, gone=gone))

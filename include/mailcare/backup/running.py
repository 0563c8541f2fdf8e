"""Carry out the levels on one copy; each brings facts, and a rule elsewhere judges them."""

import errno
import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from mailcare.backup import drills
from mailcare.backup.agent.script import SHORT, shortage_of
from mailcare.backup.chain import chain_facts, unreached
from mailcare.backup.evidence import Finding
from mailcare.backup.freshness import HISTORY_LONG, FreshFacts, Size
from mailcare.backup.ground import Ground, messages_in, newest_at
from mailcare.backup.integrity import SHOWN, Damage, IntegrityFacts
from mailcare.backup.inventory import Difference, differing, inventory_facts
from mailcare.backup.inventory import difference as difference_of
from mailcare.backup.judging import Facts, withheld
from mailcare.backup.kept import Kept
from mailcare.backup.manifest import AsLive, Known, Manifest, manifest_of
from mailcare.backup.moves import ALIKE_MOST, PROOF_MOST, Moves, content
from mailcare.backup.names import moment_of, shown
from mailcare.backup.separation import NotTold, Separation
from mailcare.backup.source import (
    SEALED,
    Digest,
    Fate,
    Generation,
    Live,
    NotReached,
    Shard,
    Soundness,
)
from mailcare.backup.spool import Spool, spooled
from mailcare.backup.spots import separated
from mailcare.backup.verdicts import Coverage, Level, not_run
from mailcare.clock import BEIJING
from mailcare.progress import going_on
from mailcare.systems.copies import StoreFormat

_PRIMARY_CODE = 0xFF  # of SQLite's extended ones
_UNUSABLE = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)
_LIVE, _COPY = 0, 1
Found = Iterator[tuple[str, Facts]]


def findings_of(ground: Ground, *, through: Level, kept: Kept | None = None) -> Iterator[Finding]:
    """Carry out the levels up to `through`, in order, and yield what each found.

    A level that the policy does not promise is left out; one that is `kept` is not run again.
    """
    for level in Level:
        if not level.is_within(through) or getattr(ground.copy.promised, level.value) is None:
            continue
        found = kept.of(level) if kept else ()
        if not found:
            with going_on(ground.progress, f"{level} 进行中"):
                told = _attempt(ground, level)
            found = [Finding(level, generation, facts) for generation, facts in told]
            if kept:
                kept.keep(found)
        yield from found
        ground.progress.step(f"{ground.copy.label} {level}")


def _attempt(ground: Ground, level: Level) -> Sequence[tuple[str, Facts]]:
    levels = LEVELS if ground.copy.kind.holds_mail else STORE_LEVELS
    try:
        with _room(ground.manifest):
            if level is not Level.L0:
                _need_no_lock(ground)
            return list(levels[level](ground))
    except NotReached as error:
        return [("", withheld(unreached(level, error)))]


@contextmanager
def _room(manifest: Path) -> Iterator[None]:
    """Raise `NotReached` where we have no room, memory or manifest: no fault of the copy."""
    try:
        yield
    except MemoryError:
        raise NotReached("shortage", shortage_of(1, "MemoryError")) from None
    except OSError as error:
        if error.errno in SHORT:
            raise NotReached("shortage", shortage_of(1, os.strerror(error.errno))) from None
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NotReached("scratch", f"暂存空间不足（{error.strerror}）") from None
    except sqlite3.Error as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
            raise NotReached("scratch", f"暂存空间不足（{error}）") from None
        if error.sqlite_errorcode & _PRIMARY_CODE not in _UNUSABLE:
            raise
        told = f"以前读取的记录无法使用（{error}），移走这个文件后重新建立"
        raise NotReached("unreadable", told, subject=str(manifest)) from None


def _need_no_lock(ground: Ground) -> None:
    """Raise `NotReached` while somebody writes the copy: what is read now is no generation."""
    since = ground.reach.locked_since
    if since is not None:
        at = since.astimezone(BEIJING)
        raise NotReached("locked", f"备份正在进行（仓库自 {at:%m-%d %H:%M} 起被锁定），稍后再验证")


def look(ground: Ground) -> Found:
    """L0: the copies, generations, locks, immutability, and how far apart from the live store."""
    separation = _separation(ground) if ground.reach.generations else None
    yield "", chain_facts(ground.copy, ground.reach, separation, now=ground.now)


def _separation(ground: Ground) -> Separation | NotTold | None:
    kind = ground.copy.kind
    if ground.live_spot is None:
        return NotTold("站点文件没有声明现网邮件存储（live）") if kind.holds_mail else None
    spot = replace(ground.spot, path=ground.source.place(ground.newest))
    holds_files = not (kind.is_one_file or kind.is_repository)
    return separated(spot, ground.live_spot, holds_files=holds_files)


def date(ground: Ground) -> Found:
    """L1: time, content and size of the newest generation."""
    if not ground.reach.generations:
        return
    newest, census = ground.newest, ground.census
    size = newest.size_bytes
    yield (
        newest.name,
        replace(
            _dated(ground),
            size_bytes=sum(row.size_bytes for row in census.rows) if size is None else size,
            messages=messages_in(census),
            newest_message_at=(inside := newest_at(census, until=ground.now)),
            live_newest_at=_live_newest(ground, inside),
            gap="" if census.is_finished else census.gaps[0],
            is_damaged=not census.is_finished and bool(census.damages),
        ),
    )


def date_store(ground: Ground) -> Found:
    """L1 of an account store: time and size of the newest dump."""
    if ground.reach.generations:
        yield ground.newest.name, _dated(ground)


def _dated(ground: Ground) -> FreshFacts:
    """Return the newest generation in time and size, without a look into it."""
    newest = ground.newest
    history = tuple(one for one in ground.history.sizes if one.generation != newest.name)
    return FreshFacts(
        ground.now,
        ground.copy.rpo_h,
        newest.name,
        newest.started_at,
        newest.is_dated,
        newest.size_bytes,
        None,
        None,
        None,
        (_listed_sizes(ground) or history)[-HISTORY_LONG:],
        ground.reach.ahead_s,
        gone=_gone_since(ground) if newest.is_dated else None,
    )


def _gone_since(ground: Ground) -> Size | None:
    """Return the newest generation that an earlier run saw, where it is newer than what is left."""
    began_at = ground.newest.started_at
    seen = (one for one in ground.history.sizes if began_at < one.started_at <= ground.now)
    return max(seen, key=lambda one: one.started_at, default=None)


def _listed_sizes(ground: Ground) -> tuple[Size, ...]:
    """Return the sizes of earlier generations that the copy itself still shows."""
    return tuple(
        Size(one.name, one.started_at, one.size_bytes)
        for one in sorted(ground.reach.generations, key=lambda one: one.started_at)
        if one.size_bytes is not None and one.name != ground.newest.name
    )


def _live_newest(ground: Ground, inside: datetime | None) -> datetime | None:
    """Return when the newest live message arrived that had to be in the newest generation.

    Where no mail came for days, the first one after them says nothing of a generation before it:
    only for such a distance are the messages themselves looked at.
    """
    begun_at = ground.newest.started_at
    try:
        newest = newest_at(ground.live_census, until=ground.now)
        if newest and newest > begun_at and newest - (inside or begun_at) > _rpo(ground):
            return _newest_until(ground, begun_at - timedelta(minutes=ground.copy.slack_min))
    except NotReached as error:
        ground.notes.append(f"现网邮件存储无法读取：{error.message}")
        return None
    return newest


def _rpo(ground: Ground) -> timedelta:
    return timedelta(hours=ground.copy.rpo_h)


def _newest_until(ground: Ground, until: datetime) -> datetime | None:
    if ground.live is None or ground.live_census is None:
        return None
    listed = ground.live.messages([row.mailbox for row in ground.live_census.rows])
    limit_s = until.timestamp()
    newest_s = max((one.arrived_s for one in listed if one.arrived_s <= limit_s), default=0)
    return moment_of(newest_s) if newest_s else None


def count(ground: Ground) -> Found:
    """L2: the live mailboxes against those of the newest generation."""
    if not ground.reach.generations:
        return
    newest, live = ground.newest, ground.live_census
    if live is None or ground.live is None:
        yield newest.name, withheld(not_run(Level.L2, "站点文件没有声明现网邮件存储（live）"))
        return
    yield newest.name, inventory_facts(
        live,
        ground.census,
        _differences(ground, ground.live, differing(live, ground.census)),
        generation=newest.name,
        started_at=newest.started_at,
        slack_min=ground.copy.slack_min,
        listed=ground.listed,
        notes=ground.notes,
    )  # fmt: skip


def _differences(ground: Ground, live: Live, mailboxes: Sequence[str]) -> Iterator[Difference]:
    if not mailboxes:
        return
    wanted = frozenset(mailboxes)
    absent, orphans = _without_counterpart(ground, wanted)
    with spooled(ground.scratch) as spool:
        spool.keep(_LIVE, live.messages(wanted))
        spool.keep(_COPY, ground.source.messages(ground.newest, wanted | orphans))
        names = _names_before(ground, live, spool, absent, orphans)
        for mailbox in sorted(wanted):
            kept = spool.messages(_COPY, names.get(mailbox, mailbox))
            yield difference_of(
                mailbox,
                spool.messages(_LIVE, mailbox),
                kept,
                was=names.get(mailbox, ""),
                started_s=ground.newest.started_at.timestamp(),
                slack_s=ground.copy.slack_min * 60,
                now_s=ground.now.timestamp(),
                same_content=Moves(ground, live, kept).of,
            )


def _without_counterpart(
    ground: Ground, wanted: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the live mailboxes that the backup has not, and those of it that are not live."""
    there = {row.mailbox for row in ground.census.rows if row.messages}
    known = {row.mailbox for row in ground.live_census.rows} if ground.live_census else set()
    absent = wanted - there
    return absent, frozenset(there - known) if absent else frozenset()


def _names_before(
    ground: Ground, live: Live, spool: Spool, absent: frozenset[str], orphans: frozenset[str]
) -> Mapping[str, str]:
    """Return under which name the backup has each mailbox that was renamed.

    One in which several are mixed up is none of them.
    """
    found = {one: _renamed(ground, live, spool, one, orphans) for one in sorted(absent)}
    times = Counter(found.values())
    return {one: was for one, was in found.items() if was and times[was] == 1}


def _renamed(
    ground: Ground, live: Live, spool: Spool, mailbox: str, orphans: frozenset[str]
) -> str:
    """Return the name under which the backup has a live mailbox; empty where it has it not.

    It has the messages of the same names, and some of them are the same to the byte.
    """
    was = next((one for one in spool.sharing(_LIVE, _COPY, mailbox) if one in orphans), "")
    if not was:
        return ""
    kept = {one.identity: one for one in spool.messages(_COPY, was)}
    both = [one for one in spool.messages(_LIVE, mailbox) if one.identity in kept][:PROOF_MOST]
    same = Moves(ground, live).moved(both, [kept[one.identity] for one in both])
    return was if len(same) == len(both) else ""


def read(ground: Ground) -> Found:
    """L3: every message of a shard, or of every archive in full."""
    if not ground.reach.generations:
        return
    with manifest_of(ground.manifest) as manifest:
        newest = ground.newest
        found = _read_one(ground, newest, manifest)
        yield newest.name, replace(found, gone=_gone(ground, manifest))
    if ground.copy.kind.is_archive and ground.shard == Shard():
        for generation in ground.reach.generations:
            if generation.name != newest.name:
                with manifest_of(ground.manifest) as manifest:
                    yield generation.name, _read_one(ground, generation, manifest)


def _gone(ground: Ground, manifest: Manifest) -> tuple[str, ...]:
    """Return the mailboxes that the run before knew and this one does not.

    Those that the live store no longer has are none of them, unless the account list still has
    them. A listing with gaps tells nothing of them, and is not kept.
    """
    try:
        census = ground.census
    except NotReached:
        return ()
    if census.gaps:
        return ()
    gone = manifest.note_parts([row.mailbox for row in census.rows if row.messages])
    listed = {one.casefold() for one in ground.listed}
    return tuple(one for one in gone if not ground.live or one.casefold() in listed)[:SHOWN]


def _read_one(ground: Ground, generation: Generation, manifest: Manifest) -> IntegrityFacts:
    reading = ground.source.read(generation, ground.shard)
    tally = _Tally(manifest, ground.copy.format is StoreFormat.MAILDIR)
    checks_itself, odd = ground.copy.kind.checks_itself, list[Digest]()
    if not checks_itself and ground.live:
        _note_live(ground, ground.live, manifest)
    for number, digest in enumerate(reading, start=1):
        if checks_itself and _is_odd(digest) and len(odd) < ALIKE_MOST:
            odd.append(digest)
        else:
            tally.take(digest)
        if number % 10_000 == 0:
            ground.progress.note(f"L3 已读 {number:,} 封")
    if odd and ground.live:
        _note_originals(ground, ground.live, odd, manifest)
    for digest in odd:
        tally.take(digest)
    sound = reading.soundness()
    if sound.problems:
        manifest.forget()  # what a damaged stream gave may be none of what was stored
    return tally.facts(ground, generation, sound)


def _note_live(ground: Ground, live: Live, manifest: Manifest) -> None:
    try:
        for digest in live.read(ground.shard):
            if digest.sha256:
                manifest.note_live(digest)
    except NotReached as error:
        ground.notes.append(f"现网邮件存储无法读取：{error.message}")


def _is_odd(digest: Digest) -> bool:
    """Tell whether a message was read and is no whole mail, as some are from the beginning."""
    return bool(digest.sha256 and (digest.problem or not digest.looks_like_mail))


def _note_originals(ground: Ground, live: Live, odd: Sequence[Digest], manifest: Manifest) -> None:
    """Read the live ones of a few messages: a copy with checksums needs no other comparison."""
    names = {(one.mailbox, one.identity) for one in odd}
    try:
        listed = live.messages({mailbox for mailbox, _ in names})
        found = {one.key: one for one in listed if (one.mailbox, one.identity) in names}
        with tempfile.TemporaryDirectory(prefix="mailcare-", dir=ground.scratch) as folder:
            for one in live.restore(list(found), Path(folder)):
                key, mailbox, _, identity, size_bytes, _ = found[one.key]
                if sha256 := content(one):
                    told = Digest(key, mailbox, identity, size_bytes, sha256, looks_like_mail=False)
                    manifest.note_live(told)
    except NotReached as error:
        ground.notes.append(f"现网邮件存储无法读取：{error.message}")


@dataclass(slots=True)
class _Tally:
    """Counts what was read and holds each message against what is known of it."""

    manifest: Manifest
    keeps_names: bool  # no message is changed under its name
    fates: dict[Fate, int] = field(default_factory=lambda: dict.fromkeys(Fate, 0))
    by_manifest: int = 0
    by_live: int = 0
    without: int = 0
    not_mail: int = 0
    size_bytes: int = 0
    twice: int = 0
    as_before: int = 0
    sealed: int = 0
    live_spoiled: int = 0
    damages: list[Damage] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def take(self, digest: Digest) -> None:
        """Count one message."""
        self.size_bytes += digest.size_bytes
        problem, fate = digest.problem, digest.fate
        if digest.sha256 and fate in (Fate.OK, Fate.BAD):
            problem, fate = self._held(digest)
        if fate is Fate.ALARM:
            self.alarms.append(f"{digest.mailbox} {shown(digest.key)}：{problem}")
        self.fates[fate] += 1
        if fate is Fate.UNREADABLE and not digest.is_sealed:
            self.unreadable.append(f"{digest.mailbox} {shown(digest.key)}：{problem}")
        if fate is Fate.BAD and len(self.damages) < SHOWN:
            self.damages.append(Damage(digest.mailbox, shown(digest.key), problem))

    def _held(self, digest: Digest) -> tuple[str, Fate]:
        """Say how a message that was read differs from what it should be, and what that means."""
        is_whole = digest.looks_like_mail and not digest.problem
        live = self.manifest.live(digest)
        known = self._known(digest, live, is_whole=is_whole)
        is_referred = live is AsLive.SAME or known is Known.SAME
        self._count(digest, live, known)
        self.live_spoiled += live is AsLive.SPOILED and is_whole
        if digest.problem and not is_referred:
            return digest.problem, Fate.BAD
        if told := _otherwise(live, known):
            return told, Fate.BAD
        if is_referred:
            self.as_before += not (is_whole or digest.is_sealed)
            return "", Fate.OK
        if digest.is_sealed:
            return SEALED, Fate.UNREADABLE
        return ("", Fate.OK) if is_whole else ("不再是邮件（没有邮件头）", Fate.BAD)

    def _known(self, digest: Digest, live: AsLive, *, is_whole: bool) -> Known:
        """Hold a message against what was read before."""
        if self.keeps_names and not is_whole and self.manifest.knows_otherwise(digest):
            self.manifest.know(digest, is_trusted=False)
            return Known.DIFFERS
        is_trusted = is_whole or digest.is_sealed or live is AsLive.SAME
        return self.manifest.know(digest, is_trusted=is_trusted)

    def _count(self, digest: Digest, live: AsLive, known: Known) -> None:
        self.twice += known in (Known.TWICE, Known.TWICE_OTHERWISE)
        self.by_live += live is AsLive.SAME
        self.by_manifest += known is Known.SAME
        self.without += live is not AsLive.SAME and known is not Known.SAME
        self.sealed += digest.is_sealed
        self.not_mail += not (digest.looks_like_mail or digest.is_sealed)

    def facts(self, ground: Ground, generation: Generation, sound: Soundness) -> IntegrityFacts:
        """Return what was found."""
        coverage = self._coverage(ground, generation, sound)
        twice = (f"{self.twice} 封在本代中不止一份",) if self.twice else ()
        return IntegrityFacts(
            generation.name,
            ground.shard.number,
            ground.shard.of,
            sound.method,
            coverage,
            self.by_manifest,
            self.by_live,
            self.without,
            self.not_mail,
            self.size_bytes,
            self.manifest.root(),
            tuple(self.damages),
            sound.problems[:SHOWN],
            (*self.alarms, *sound.alarms)[:SHOWN],
            (*self.unreadable, *sound.unreadable)[:SHOWN],
            (*sound.oddities, *twice)[:SHOWN],
            sound.is_finished,
            ground.history.overdue(
                ground.shard.of, policy_days=ground.copy.policy.L3, now=ground.now
            ),
            as_before=self.as_before,
            sealed=self.sealed,
            live_spoiled=self.live_spoiled,
            sealed_before=ground.history.sealed_pct.get((ground.shard.number, ground.shard.of)),
        )

    def _coverage(self, ground: Ground, generation: Generation, sound: Soundness) -> Coverage:
        examined = sum(self.fates.values())
        if not examined and sound.coverage.expected:
            return sound.coverage  # the copy checks itself, and shows no messages
        whole = ground.shard == Shard() and generation.name == ground.newest.name
        expected = messages_in(ground.census) if whole else examined
        return Coverage(
            max(expected, examined) if sound.is_finished else max(expected, examined + 1),
            examined,
            self.fates[Fate.OK],
            self.fates[Fate.BAD] + self.fates[Fate.ALARM],
            self.fates[Fate.UNREADABLE],
            self.fates[Fate.CHANGED],
        )


def _otherwise(live: AsLive, known: Known) -> str:
    """Say against what a message is another; empty where against nothing."""
    if known in (Known.DIFFERS, Known.TWICE_OTHERWISE):
        return "与以前读到的内容不同"
    is_other = live is AsLive.DIFFERS and known is not Known.SAME
    return "与现网邮件内容不同" if is_other else ""


CarryOut = Callable[[Ground], Found]
LEVELS: Mapping[Level, CarryOut] = {
    Level.L0: look,
    Level.L1: date,
    Level.L2: count,
    Level.L3: read,
    Level.L4: drills.restore,
    Level.L5: drills.serve_sample,
}
# A dump of the accounts holds no mail: see `BackupCopy.promised`.
STORE_LEVELS: Mapping[Level, CarryOut] = {
    Level.L0: look,
    Level.L1: date_store,
    Level.L4: drills.load,
}

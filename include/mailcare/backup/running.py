"""Carry out the levels on one copy; each brings facts, and a rule elsewhere judges them."""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from mailcare.backup import drills, readthrough, stocktaking
from mailcare.backup.agent.script import SHORT, shortage_of
from mailcare.backup.chain import chain_facts, unreached
from mailcare.backup.evidence import Finding
from mailcare.backup.freshness import HISTORY_LONG, FreshFacts, Size
from mailcare.backup.ground import Ground, messages_in, newest_at
from mailcare.backup.judging import Facts, Found, withheld
from mailcare.backup.kept import Kept
from mailcare.backup.names import moment_of
from mailcare.backup.separation import NotTold, Separation
from mailcare.backup.source import (
    NotReached,
)
from mailcare.backup.spots import separated
from mailcare.backup.verdicts import Level
from mailcare.clock import BEIJING
from mailcare.progress import going_on

_PRIMARY_CODE = 0xFF  # of SQLite's extended ones
_UNUSABLE = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)


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


CarryOut = Callable[[Ground], Found]
LEVELS: Mapping[Level, CarryOut] = {
    Level.L0: look,
    Level.L1: date,
    Level.L2: stocktaking.count,
    Level.L3: readthrough.read,
    Level.L4: drills.restore,
    Level.L5: drills.serve_sample,
}
# A dump of the accounts holds no mail: see `BackupCopy.promised`.
STORE_LEVELS: Mapping[Level, CarryOut] = {
    Level.L0: look,
    Level.L1: date_store,
    Level.L4: drills.load,
}

"""L3: messages are read to their ends, and held against all that is known of them."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mailcare.backup.ground import Ground, messages_in
from mailcare.backup.integrity import SHOWN, Damage, IntegrityFacts
from mailcare.backup.judging import Found
from mailcare.backup.manifest import AsLive, Known, Manifest, manifest_of
from mailcare.backup.moves import ALIKE_MOST, content
from mailcare.backup.names import shown
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
from mailcare.backup.verdicts import Coverage
from mailcare.systems.copies import StoreFormat


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

"""L2: the live mailboxes against those of a backup, and where they differ, the messages."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from mailcare.backup.ground import Ground
from mailcare.backup.inventory import Difference, differing, inventory_facts
from mailcare.backup.inventory import difference as difference_of
from mailcare.backup.judging import Found, withheld
from mailcare.backup.moves import PROOF_MOST, Moves
from mailcare.backup.source import Live
from mailcare.backup.spool import Spool, spooled
from mailcare.backup.verdicts import Level, not_run

_LIVE, _COPY = 0, 1


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

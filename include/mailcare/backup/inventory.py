"""L2: is every live mailbox, and every message in it, in the backup? Pure.

Lost is what is live, was there before the generation began, and is absent from it. What is in the
backup and no longer live was deleted by its owner; what lies in another folder was moved.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailcare.backup.source import Census, MailboxRow, Message
from mailcare.backup.verdicts import Coverage, Judgement, Level, Remark, Weight, judged

SHOWN = 200
EXAMPLES = 3
DAY_S = 24 * 3600
FLAT_LEAST = 3
MASS_DELETION_PCT = 30
MASS_DELETION_LEAST = 100
SameContent = Callable[[Sequence[Message], Sequence[Message]], frozenset[bytes]]


@dataclass(frozen=True, slots=True)
class MailboxLoss:
    """A mailbox with messages that are lost; `is_absent` where nothing of it is in the backup."""

    mailbox: str
    live: int
    backup: int
    lost: int
    is_absent: bool
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """How one mailbox differs between the live store and the backup.

    Of what is lost some examples are kept: of all mailboxes it may be more than memory holds.
    `was` is the name under which the backup has the mailbox, where that is another. `undated` are
    absent, too, but bear a time in the future, which does not tell when they came.
    """

    mailbox: str
    lost: int
    examples: tuple[str, ...]
    young: int
    moved: int
    deleted: int
    was: str = ""
    undated: int = 0


@dataclass(frozen=True, slots=True)
class InventoryFacts:
    """The live store against the backup, in sum and where they differ.

    `mailboxes` are those that had to be there, `unlisted` those of the account list without a
    folder anywhere, `young` messages that came too late for this generation, `undated` those that
    are absent and bear a time in the future. Of the mailboxes that
    are `foldered`, with more than one folder live, the `flattened` have but one in the backup.
    `renamed` are those that the backup has under another name: the live one, and that.
    `damages` are the backup's own. Where its listing is not `is_finished`, nothing proves that what
    it does not show is lost.
    """

    generation: str
    started_at: datetime
    slack_min: int
    mailboxes: int
    live_messages: int
    backup_mailboxes: int
    backup_messages: int
    losses: tuple[MailboxLoss, ...]
    losses_count: int
    lost: int
    young: int
    moved: int
    deleted: int
    unlisted: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()
    vanished: int = 0
    notes: tuple[str, ...] = ()
    foldered: int = 0
    flattened: int = 0
    renamed: tuple[tuple[str, str], ...] = ()
    damages: tuple[str, ...] = ()
    is_finished: bool = True
    undated: int = 0


def differing(live: Census, backup: Census) -> tuple[str, ...]:
    """Return the live mailboxes whose messages are not the same in the backup."""
    there = {row.mailbox: row for row in backup.rows}
    return tuple(row.mailbox for row in live.rows if not _is_same(row, there.get(row.mailbox)))


def _is_same(live: MailboxRow, backup: MailboxRow | None) -> bool:
    if backup is None:
        return not live.messages
    return (live.messages, live.digest) == (backup.messages, backup.digest)


def difference(
    mailbox: str,
    live: Sequence[Message],
    backup: Sequence[Message],
    *,
    started_s: float,
    slack_s: float,
    now_s: float,
    same_content: SameContent,
    was: str = "",
) -> Difference:
    """Tell what of one mailbox is lost, too young, moved or deleted.

    One that the backup has is not lost where the mailbox has it once more: it was copied under its
    own name, as Dovecot can. A message may be absent when it came less than `slack_s` before the
    generation began; not, when a younger one of its folder is there, or when its whole folder is
    absent. A time that is more than a day after `now_s` neither excuses it nor proves a loss.
    """
    there = {one.identity for one in backup}
    missing = _minus(live, backup)
    absent = [one for one in missing if one.identity not in there]
    gone = _minus(backup, live)
    limits = _limits(live, backup, started_s=started_s, slack_s=slack_s)
    old = [
        one
        for one in absent
        if one.arrived_s <= limits.get(one.folder, started_s) or one.arrived_s > now_s + DAY_S
    ]
    young = len(absent) - len(old)
    moved = same_content(old, gone) if old else frozenset()
    left = [one for one in old if one.key not in moved]
    lost = [one.identity for one in left if one.arrived_s <= now_s + DAY_S]
    examples = tuple(one.decode("utf-8", "replace") for one in lost[:EXAMPLES])
    deleted = max(len(gone) - len(moved), 0)
    elsewhere = len(moved) + len(missing) - len(absent)
    undated = len(left) - len(lost)
    return Difference(mailbox, len(lost), examples, young, elsewhere, deleted, was, undated)


def _minus(these: Iterable[Message], those: Iterable[Message]) -> list[Message]:
    left = Counter(one.identity for one in those)
    rest = []
    for one in these:
        if left[one.identity] > 0:
            left[one.identity] -= 1
        else:
            rest.append(one)
    return rest


def _limits(
    live: Iterable[Message], backup: Sequence[Message], *, started_s: float, slack_s: float
) -> dict[str, float]:
    """Return for each folder of the backup up to when its messages must be there."""
    kept = {one.identity for one in backup}
    limits = {one.folder: started_s - slack_s for one in backup}
    for one in live:
        if one.identity in kept and one.folder in limits:
            limits[one.folder] = max(limits[one.folder], min(one.arrived_s, started_s))
    return limits


def inventory_facts(
    live: Census,
    backup: Census,
    differences: Iterable[Difference],
    *,
    generation: str,
    started_at: datetime,
    slack_min: int,
    listed: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> InventoryFacts:
    """Sum up what differs."""
    told = list(differences)
    there = {row.mailbox: row for row in backup.rows}
    wanted = {row.mailbox: row for row in live.rows}
    known = {one.casefold() for one in (*wanted, *there)}
    losses = [_loss(one, wanted, there) for one in told if one.lost]
    renamed = tuple((one.mailbox, one.was) for one in told if one.was)
    orphans = there.keys() - wanted.keys() - {was for _, was in renamed}
    return InventoryFacts(
        generation,
        started_at,
        slack_min,
        len(wanted),
        sum(row.messages for row in live.rows),
        len(there),
        sum(row.messages for row in backup.rows),
        tuple(losses[:SHOWN]),
        len(losses),
        sum(one.lost for one in losses),
        sum(one.young for one in told),
        sum(one.moved for one in told),
        sum(one.deleted for one in told) + sum(there[name].messages for name in orphans),
        tuple(one for one in listed if one.casefold() not in known)[:SHOWN],
        (
            *(f"现网 {one}" for one in live.unreadable),
            *(f"备份 {one}" for one in backup.unreadable),
        ),
        (*live.oddities, *backup.oddities)[:SHOWN],
        live.vanished + backup.vanished,
        tuple(notes),
        *_flattened(wanted, there),
        renamed[:SHOWN],
        backup.damages,
        backup.is_finished,
        sum(one.undated for one in told),
    )


def _flattened(live: Mapping[str, MailboxRow], backup: Mapping[str, MailboxRow]) -> tuple[int, int]:
    folders = [
        one.folders for name, one in backup.items() if name in live and live[name].folders > 1
    ]
    return len(folders), folders.count(1)


def _loss(
    one: Difference, live: Mapping[str, MailboxRow], backup: Mapping[str, MailboxRow]
) -> MailboxLoss:
    row = backup.get(one.was or one.mailbox)
    return MailboxLoss(
        one.mailbox,
        live[one.mailbox].messages,
        row.messages if row else 0,
        one.lost,
        not (row and row.messages),
        one.examples,
    )


def judge_inventory(facts: InventoryFacts) -> Judgement:
    """Judge whether everything live is in the backup; the coverage counts mailboxes."""
    bad = min(facts.losses_count, facts.mailboxes)
    lost, untold = (bad, 0) if facts.is_finished else (0, bad)
    found = facts.mailboxes - bad
    coverage = Coverage(facts.mailboxes, facts.mailboxes, found, lost, untold)
    return judged(Level.L2, coverage, _inventory_remarks(facts))


def _inventory_remarks(facts: InventoryFacts) -> Iterator[Remark]:
    if not facts.mailboxes:
        text = "现网邮件存储中没有任何邮箱：请检查它是否已挂载、site 文件中的 layout 是否正确"
        yield Remark("no_live_mailbox", text, Weight.DEGRADES)
    yield from _damage(facts)
    yield from _absences(facts) if facts.is_finished else _not_listed(facts)
    if facts.unreadable:
        text = f"{len(facts.unreadable)} 处无法读取：{'、'.join(facts.unreadable[:3])}"
        yield Remark("unreadable", text, Weight.DEGRADES)
    yield from _changes(facts)
    for one in facts.notes:
        yield Remark("note", one, Weight.NOTE)


def _damage(facts: InventoryFacts) -> Iterator[Remark]:
    if facts.damages and facts.is_finished:
        yield Remark("damaged", f"清单已读完，但备份有损坏：{facts.damages[0]}", Weight.DEGRADES)
    elif facts.damages:
        yield Remark("damaged", f"清单在损坏处中断：{facts.damages[0]}", Weight.FAILS)


def _not_listed(facts: InventoryFacts) -> Iterator[Remark]:
    """Tell what a listing that broke off did not come to: that is not yet lost."""
    text = f"清单没有读完，只列出 {facts.backup_messages} 封"
    if facts.losses:
        told = "、".join(f"{one.mailbox} {one.lost} 封" for one in facts.losses[:5])
        text = f"{text}；尚未见到 {facts.losses_count} 个邮箱的 {facts.lost} 封：{told}"
    yield Remark("listing", text, Weight.DEGRADES)


def _absences(facts: InventoryFacts) -> Iterator[Remark]:
    absent = [one.mailbox for one in facts.losses if one.is_absent]
    if absent:
        text = f"{len(absent)} 个现网邮箱不在备份中：{'、'.join(absent[:5])}"
        yield Remark("mailbox_missing", text, Weight.FAILS)
    partly = [one for one in facts.losses if not one.is_absent]
    if partly:
        told = "、".join(f"{one.mailbox} 缺 {one.lost} 封" for one in partly[:5])
        yield Remark("message_missing", f"备份缺少应有的邮件：{told}", Weight.FAILS)
    if facts.undated:
        text = (
            f"{facts.undated} 封现网邮件不在备份中，其时间在未来，不能判断是否早于本代："
            "下一代仍没有即为缺失"
        )
        yield Remark("undated", text, Weight.DEGRADES)
    if facts.flattened >= FLAT_LEAST and 2 * facts.flattened > facts.foldered:
        told = f"{facts.flattened} / {facts.foldered} 个邮箱在备份中只有一个文件夹"
        text = f"{told}，目录结构没有备份"
        yield Remark("flattened", text, Weight.DEGRADES)


def _changes(facts: InventoryFacts) -> Iterator[Remark]:
    share_pct = 100 * facts.deleted / max(facts.backup_messages, 1)
    if share_pct > MASS_DELETION_PCT and facts.deleted >= MASS_DELETION_LEAST:
        text = f"备份中 {facts.deleted} 封（{share_pct:.0f}%）现网已没有，疑为大量删除或加密"
        yield Remark("mass_deletion", text, Weight.DEGRADES)
    elif facts.deleted and facts.mailboxes:
        yield Remark("deleted", f"{facts.deleted} 封已由用户删除，备份中仍有", Weight.NOTE)
    if facts.renamed:
        told = "、".join(f"{name}（备份中为 {was}）" for name, was in facts.renamed[:5])
        text = f"{len(facts.renamed)} 个邮箱在备份中是另一个名字，恢复时须改名：{told}"
        yield Remark("renamed", text, Weight.NOTE)
    if facts.moved:
        yield Remark("moved", f"{facts.moved} 封在备份后被移动", Weight.NOTE)
    if facts.young:
        yield Remark("young", f"{facts.young} 封晚于本代开始，下一代应包含", Weight.NOTE)
    if facts.unlisted:
        text = f"账号列表中 {len(facts.unlisted)} 个账号在现网和备份中都没有邮箱目录"
        yield Remark("unlisted", text, Weight.NOTE)
    for one in facts.oddities[:5]:
        yield Remark("oddity", one, Weight.NOTE)

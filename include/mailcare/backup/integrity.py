"""L3: are the bits still those that were stored? Pure.

A message is held against the copy's own checksum, against what an earlier run read of it, and
against the live one. What has none of the three was only readable, and that is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mailcare.backup.source import SEALED
from mailcare.backup.verdicts import Coverage, Judgement, Level, Remark, Weight, judged

SHOWN = 50
NOT_MAIL_PCT = 5  # encrypted stores have none that looks like mail, healthy ones all
NOT_MAIL_LEAST = 5  # what a few odd messages of a small store do not reach, unless it has no others
SEALED_JUMP_PCT = 30  # new mail alone, as mail_crypt is turned on, changes no store as fast


@dataclass(frozen=True, slots=True)
class Damage:
    """A message that is not as it was, and how that was seen."""

    mailbox: str
    key: str
    problem: str


@dataclass(frozen=True, slots=True)
class IntegrityFacts:
    """What reading a generation, or a shard of it, brought out.

    `by_manifest` and `by_live` count messages that were the same as before and as the live ones,
    `without` those with no reference at all; `method` names the copy's own checksum.
    `shards_overdue` were not read within the policy; `gone` are mailboxes that the run before had.
    `as_before` are no whole mail, and to the byte as live or as before; of the `sealed`, which
    nobody but their server opens, the run before had `sealed_before` in a hundred. `live_spoiled`
    are mail here and no longer in the live store.
    """

    generation: str
    shard: int
    shards: int
    method: str
    coverage: Coverage
    by_manifest: int
    by_live: int
    without: int
    not_mail: int
    size_bytes: int
    manifest: str
    damages: tuple[Damage, ...] = ()
    problems: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()
    is_finished: bool = True
    shards_overdue: tuple[int, ...] = ()
    gone: tuple[str, ...] = ()
    as_before: int = 0
    sealed: int = 0
    sealed_before: int | None = None
    live_spoiled: int = 0


def is_mass(odd: int, read: int) -> bool:
    """Tell whether so many of what was read are no mail that it is a sign of encryption."""
    is_many = odd >= NOT_MAIL_LEAST or 2 * odd > read
    return is_many and 100 * odd > NOT_MAIL_PCT * read


def judge_integrity(facts: IntegrityFacts) -> Judgement:
    """Judge whether the bits are those that were stored."""
    return judged(Level.L3, facts.coverage, _remarks(facts))


def _remarks(facts: IntegrityFacts) -> Iterator[Remark]:
    if facts.alarms:
        text = f"输入/输出错误 {len(facts.alarms)} 处，磁盘可能正在损坏：{facts.alarms[0]}"
        yield Remark("disk", text, Weight.FAILS)
    if facts.problems:
        more = f" 等 {len(facts.problems)} 处" if len(facts.problems) > 1 else ""
        yield Remark("damaged", f"{facts.problems[0]}{more}", Weight.FAILS)
    if facts.damages:
        first = facts.damages[0]
        text = f"{facts.coverage.bad} 封与应有内容不符：{first.mailbox} {first.problem}"
        yield Remark("rotten", text, Weight.FAILS)
    yield from _signs(facts)
    yield from _gaps(facts)
    for one in facts.oddities[:5]:
        yield Remark("oddity", one, Weight.NOTE)


def _signs(facts: IntegrityFacts) -> Iterator[Remark]:
    read = facts.coverage.examined
    if is_mass(facts.not_mail, read):
        text = f"{facts.not_mail} / {read} 个文件不再是邮件，疑遭加密或覆盖"
        yield Remark("ransomware", text, Weight.FAILS)
    elif facts.not_mail:
        yield Remark("not_mail", f"{facts.not_mail} 个文件没有邮件头", Weight.NOTE)
    if facts.as_before:
        text = f"{facts.as_before} 封不是完整的邮件，但与现网或以前读到的逐字节相同：不是备份的损坏"
        yield Remark("as_before", text, Weight.NOTE)
    if facts.live_spoiled:
        text = (
            f"{facts.live_spoiled} 封在备份中完好，在现网已不是邮件：现网疑遭加密，勿让备份轮换掉"
        )
        weight = Weight.DEGRADES if is_mass(facts.live_spoiled, read) else Weight.NOTE
        yield Remark("live_spoiled", text, weight)
    if facts.sealed:
        yield from _sealed(facts, facts.sealed * 100 // max(read, 1))


def _sealed(facts: IntegrityFacts, share_pct: int) -> Iterator[Remark]:
    """Tell what cannot be looked into; that it became so much at once may be no mail server's."""
    before = facts.sealed_before
    if before is not None and share_pct - before > SEALED_JUMP_PCT:
        text = f"打不开的邮件上次占 {before}%，这次占 {share_pct}%：若没有转换过存储，疑遭加密"
        yield Remark("sealed_at_once", text, Weight.FAILS)
    text = f"无法衡量：{facts.sealed} 封{SEALED}，只核对了字节，不能证明其中是邮件"
    yield Remark("sealed", text, Weight.DEGRADES)


def _gaps(facts: IntegrityFacts) -> Iterator[Remark]:
    if facts.gone:
        text = f"{len(facts.gone)} 个邮箱上次还在备份中，这次没有：{'、'.join(facts.gone[:5])}"
        why = "没有现网可比，或账号列表中仍有：请核对是否已销户"
        yield Remark("mailbox_gone", f"{text}；{why}", Weight.DEGRADES)
    if not facts.is_finished:
        yield Remark("unfinished_reading", "没有读到结尾", Weight.DEGRADES)
    if facts.unreadable:
        text = f"{len(facts.unreadable)} 处无法读取：{facts.unreadable[0]}"
        yield Remark("unreadable", text, Weight.DEGRADES)
    is_referred = facts.by_manifest or facts.by_live
    if not facts.method and not is_referred and facts.coverage.examined:
        text = "没有完整性数据：无校验和，也没有上次的清单或现网邮件可比，只证明可以读出"
        yield Remark("no_integrity_data", text, Weight.DEGRADES)
    elif not facts.method:
        same = f"{facts.by_manifest} 封与上次的清单一致，{facts.by_live} 封与现网一致"
        text = f"副本自身没有校验和；{same}，{facts.without} 封无可比对"
        yield Remark("no_checksum", text, Weight.NOTE)
    if facts.shards_overdue:
        told = "、".join(map(str, facts.shards_overdue[:10]))
        yield Remark("shards_overdue", f"分片 {told} 超过约定期限未读", Weight.DEGRADES)

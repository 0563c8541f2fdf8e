"""The advanced functions 高级功能: archive, approval and query, each tried with a marked mail.

Where the product offers no way to try one by IMAP, it becomes a line on the engineer's sheet.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailcare.inspection.check import (
    Area,
    Ask,
    Channel,
    Check,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.dialogues import distrust, last_line, silence
from mailcare.inspection.levels import Ceiling
from mailcare.inspection.probes import inside_mailbox
from mailcare.inspection.transcript import Transcript, read_transcript
from mailcare.systems.profile import Approval, Archive, ProfileGap, Query, Way
from mailcare.systems.site import Mailbox
from mailcare.systems.system import System

TALK_S = 60.0  # for the dialogues with up to three mailboxes, beside the waits for the mail
EVIDENCE_LINES = 60
_MARKS = {">": "C: ", "<": "S: ", "#": "# "}


@dataclass(frozen=True, slots=True)
class TrialLimits:
    """Seconds until the function has done its part."""

    effect_s: Ceiling


@dataclass(frozen=True, slots=True)
class Archiving:
    """What became of the archive's copy: found after `delay_s`, or not within `waited_s`."""

    delay_s: float | None
    waited_s: str
    record: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reviewing:
    """Whether the mail was held, let through before its time, and let go `delay_s` after."""

    is_held: bool
    has_leaked: bool
    delay_s: float | None
    waited_s: str
    record: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Searching:
    """Whether the search found what was there (after `delay_s`), and only that."""

    delay_s: float | None
    waited_s: str
    is_false: bool
    refusal: str
    record: tuple[str, ...]


Known = Archive | Approval | Query | None


def _by_hand(known: Known, sentence: str) -> Iterator[Question]:
    if known is None or known.how is Way.MANUAL:
        yield Question(Target(), (Ask(Channel.PERSON, (sentence,)),))


def _trial(system: System, verb: str, *words: str) -> Iterator[Question]:
    wait_s = system.site.probing.mail_wait_s
    asked = (verb, inside_mailbox(system).address, *words, str(wait_s))
    yield Question(Target(), (Ask(Channel.FUNCTION, asked, 2 * wait_s + TALK_S),))


def _declared(mailbox: Mailbox | None, field: str, what: str) -> Mailbox:
    if mailbox is None:
        raise ProfileGap(f"站点文件未填写 mailboxes.{field}（{what}）")
    return mailbox


def _ask_archive(system: System) -> Iterator[Question]:
    known = system.profile.archive.value
    if known is None or known.how is not Way.IMAP:
        return _by_hand(
            known,
            "归档：登录管理界面，任选一封当日邮件按发件人和主题检索，确认归档中有原文与附件，"
            "并记录归档容量与保留期限。",
        )
    mailbox = _declared(system.site.mailboxes.archive, "archive", "归档邮箱")
    return _trial(system, "archive", mailbox.address, known.folder)


def _ask_approval(system: System) -> Iterator[Question]:
    known = system.profile.approval.value
    if known is None or known.how is not Way.IMAP:
        return _by_hand(
            known,
            "审核：发一封应审核的邮件，确认收件人没有收到、审批人能看到；放行后确认收件人收到，"
            "并确认驳回时发件人有通知。",
        )
    mailbox = _declared(system.site.mailboxes.approver, "approver", "审批人邮箱")
    if not known.mark or not known.released_folder:
        raise ProfileGap(
            "产品档案 approval 未填写 mark（送审标记）或 released_folder（放行文件夹）"
        )
    return _trial(
        system, "approval", mailbox.address, known.mark, known.folder, known.released_folder
    )


def _ask_query(system: System) -> Iterator[Question]:
    known = system.profile.query.value
    if known is None or known.how is not Way.IMAP:
        return _by_hand(
            known,
            "查询：登录网页邮箱，用一封已知邮件正文中的词检索，确认能找到；再用一个没有的词检索，"
            "确认没有结果。",
        )
    return _trial(system, "query", known.folder)


def _sent(replies: tuple[Reply, ...]) -> Transcript:
    """Return the record of a trial whose mail was taken in; raise `ReplyError` otherwise."""
    transcript = read_transcript(replies[0])
    if transcript.event("token") is None:
        raise ReplyError("回复不是高级功能的测试记录")
    if ("#", "stage sent") not in transcript.lines:
        raise ReplyError(f"探测邮件没有发出：{_stopped_by(transcript)}")
    return transcript


def _stopped_by(transcript: Transcript) -> str:
    for event, text in (("refused", "连接被拒绝"), ("unreachable", "网络不可达")):
        if transcript.event(event) is not None:
            return text
    return distrust(transcript) or silence(transcript) or last_line(transcript.said()) or "没有应答"


def _has(transcript: Transcript, event: str) -> bool:
    return transcript.event(event) is not None


def _delay_until(transcript: Transcript, done: str) -> float | None:
    """Return the seconds until an event, None where it did not come."""
    if not _has(transcript, done):
        return None
    try:
        delay_s = float(transcript.event("delay_s") or "")
    except ValueError:
        raise ReplyError("回复中的用时无法读取") from None
    if not math.isfinite(delay_s):
        raise ReplyError("回复中的用时无法读取")
    return max(delay_s, 0.0)


def _record(transcript: Transcript) -> tuple[str, ...]:
    rows = (f"{_MARKS[mark]}{text}" for mark, text in transcript.lines if len(text) < 200)
    return tuple(rows)[-EVIDENCE_LINES:]


def _parse_archive(replies: tuple[Reply, ...]) -> Archiving:
    transcript = _sent(replies)
    if not _has(transcript, "archived") and not _has(transcript, "not-archived"):
        raise ReplyError(f"无法查看归档邮箱：{_stopped_by(transcript)}")
    if not _has(transcript, "archived") and not _has(transcript, "arrived"):
        raise ReplyError("探测邮件没有到达收件箱，无法判断是否归档")
    waited_s = transcript.event("not-archived") or ""
    return Archiving(_delay_until(transcript, "archived"), waited_s, _record(transcript))


def _parse_approval(replies: tuple[Reply, ...]) -> Reviewing:
    transcript = _sent(replies)
    is_held, has_leaked = _has(transcript, "held"), _has(transcript, "leaked")
    if _has(transcript, "not-released"):
        raise ReplyError("邮件已被送审，但无法移入放行文件夹，请核对产品档案 approval")
    if not is_held and not has_leaked:
        raise ReplyError(_neither(transcript))
    waited_s = transcript.event("not-arrived") or ""
    delay_s = None if has_leaked else _delay_until(transcript, "arrived")
    if not has_leaked and delay_s is None and not waited_s:
        raise ReplyError(f"邮件已被送审，但放行没有做完：{_stopped_by(transcript)}")
    return Reviewing(is_held, has_leaked, delay_s, waited_s, _record(transcript))


def _neither(transcript: Transcript) -> str:
    waited_s = transcript.event("not-held")
    if waited_s is None:
        return f"无法查看审批人或收件人的邮箱：{_stopped_by(transcript)}"
    return f"探测邮件 {waited_s} 秒内既没有被送审，也没有到达"


def _parse_query(replies: tuple[Reply, ...]) -> Searching:
    transcript = _sent(replies)
    if not _has(transcript, "arrived"):
        raise ReplyError(_not_come(transcript))
    delay_s, waited_s = _delay_until(transcript, "hit"), transcript.event("no-hit")
    refusal = _refusal(transcript, "uid")
    if delay_s is None and waited_s is None and not refusal:
        reason = _refusal(transcript, "select") or _stopped_by(transcript)
        raise ReplyError(f"检索没有做完：{reason}")
    is_false = _has(transcript, "false-hit")
    return Searching(delay_s, waited_s or "", is_false, refusal, _record(transcript))


def _not_come(transcript: Transcript) -> str:
    waited_s = transcript.event("not-arrived")
    if waited_s is None:
        return f"无法查看收件箱：{_stopped_by(transcript)}"
    return f"探测邮件 {waited_s} 秒内没有到达，无法判断查询"


def _refusal(transcript: Transcript, command: str) -> str:
    """Return how the server refused such a command, empty where it never did."""
    answers = (text.partition(" ") for text in transcript.said() if text.startswith(command))
    return next((rest for _, _, rest in answers if rest.upper().startswith(("NO", "BAD"))), "")


def _judge_archive(fact: Archiving, limits: TrialLimits, _subject: Subject) -> Iterator[Verdict]:
    if fact.delay_s is not None:
        yield _in_time("副本", "进入归档邮箱", fact.delay_s, limits, record=fact.record)
        return
    summary = f"归档未生效：邮件已到达收件人，{fact.waited_s} 秒内归档邮箱中没有副本，应有"
    advice = "请检查归档功能是否启用、归档邮箱的空间和投递规则；查明自何时起缺失，并补归档。"
    yield Verdict(Severity.CRITICAL, summary, advice, fact.record)


def _judge_approval(fact: Reviewing, limits: TrialLimits, _subject: Subject) -> Iterator[Verdict]:
    if fact.has_leaked:
        how = "审批人收到了送审副本，但" if fact.is_held else "没有送审，"
        summary = f"审核未生效：应审核的邮件{how}未经放行就到达了收件人"
        advice = "请检查审核规则是否启用、送审标记与审批人设置；查明自何时起未审核放出了邮件。"
        yield Verdict(Severity.CRITICAL, summary, advice, fact.record)
    elif fact.delay_s is None:
        summary = f"审核放行无效：邮件已送审，放行后 {fact.waited_s} 秒内收件人没有收到，应收到"
        advice = "请检查放行服务是否运行、放行后的邮件是否滞留在队列或被再次送审。"
        yield Verdict(Severity.CRITICAL, summary, advice, fact.record)
    else:
        yield _in_time("邮件被送审，放行后", "到达收件人", fact.delay_s, limits, record=fact.record)


def _judge_query(fact: Searching, limits: TrialLimits, _subject: Subject) -> Iterator[Verdict]:
    advice = "请检查全文检索服务是否运行，并重建该邮箱的索引。"
    if fact.refusal:
        summary = f"查询不可用：服务器拒绝按正文检索（{fact.refusal}），应有结果"
        yield Verdict(Severity.WARNING, summary, advice, fact.record)
    elif fact.delay_s is None:
        summary = f"查询无结果：邮件已到达，{fact.waited_s} 秒内按正文检索不到，应能找到"
        yield Verdict(Severity.WARNING, summary, advice, fact.record)
    elif fact.is_false:
        summary = "查询结果不可信：检索一个从未出现过的词也有结果，应没有"
        yield Verdict(Severity.WARNING, summary, advice, fact.record)
    else:
        yield _in_time("按正文检索", "找到邮件", fact.delay_s, limits, record=fact.record)


def _in_time(
    what: str, done: str, delay_s: float, limits: TrialLimits, *, record: tuple[str, ...]
) -> Verdict:
    severity = limits.effect_s.severity(delay_s)
    summary = f"{what} {delay_s:.1f} 秒{done}（上限 {limits.effect_s.warning:g} 秒）"
    advice = "" if severity is Severity.OK else "请检查主机负载、邮件队列和该功能的后台服务。"
    return Verdict(severity, summary, advice, record, {"effect_s": delay_s})


_AFTER = (
    "loop.internal",
    "network.reach",
    "service.ports",
    "service.steadiness",
    "service.processes",
    "storage.space",
    "storage.mounts",
    "storage.inodes",
    "submission.login",
    "imap.login",
    "tls.handshake",
    "tls.certificate",
    "queue.depth",
)


def _check(
    name: str,
    title: str,
    question: str,
    *,
    ask: Callable[[System], Iterator[Question]],
    parse: Callable[[tuple[Reply, ...]], object],
    judge: Callable[..., Iterator[Verdict]],
) -> Check[object, TrialLimits]:
    return Check(
        name=name,
        area=Area.FUNCTION,
        title=title,
        question=question,
        ask=ask,
        parse=parse,
        judge=judge,
        limits=TrialLimits(Ceiling(warning=15, critical=60)),
        source="服务方案附件二「高级功能如归档、审核、查询」；15 秒与 60 秒为本产品经验值",
        after=_AFTER,
    )


CHECKS = (
    _check(
        "function.archive",
        "归档",
        "内部邮件是否都有归档副本，多久进入归档？",
        ask=_ask_archive,
        parse=_parse_archive,
        judge=_judge_archive,
    ),
    _check(
        "function.approval",
        "审核",
        "应审核的邮件是否被拦下送审，放行后能否到达收件人？",
        ask=_ask_approval,
        parse=_parse_approval,
        judge=_judge_approval,
    ),
    _check(
        "function.query",
        "查询",
        "按正文检索能否找到邮件，且只找到应有的？",
        ask=_ask_query,
        parse=_parse_query,
        judge=_judge_query,
    ),
)

"""What the mail providers outside make of the customer's mail: each for itself, and all together.

A marked mail goes to every declared address. It is looked for in the mailbox there, as a bounce at
home, and in the mail logs of the mail hosts, whose words are kept verbatim and put into a class.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

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
from mailcare.inspection.checks.loops import DELIVERY, TALK_S
from mailcare.inspection.dialogues import distrust, last_line, silence, smtp_code
from mailcare.inspection.hosts import host_ask, lines_of
from mailcare.inspection.mails import bounce_lines, decode_mail, diagnosis, headers_of
from mailcare.inspection.probes import inside_mailbox
from mailcare.inspection.refusals import Classified, Refusal, classify
from mailcare.inspection.snapshot import SAMPLES
from mailcare.inspection.transcript import Transcript, read_transcript
from mailcare.systems.site import Provider, Region, Role
from mailcare.systems.system import System

LOG_S = 10.0
ALL = "国内外邮箱"
_AFTER_THE_MAILS = SAMPLES  # the last sample is taken when the mails had the most time to leave
_MAIL_TALK_S = 5.0  # for each further mail, and for each look into a mailbox

# The last deliveries to each domain, as Postfix logs them. Whose mail it was stays on the host.
_LOG_TAIL = (
    'log=$1; shift; as=; [ -r "$log" ] || as="sudo -n"; '
    "for domain; do "
    '$as tail -c 20000000 "$log" | grep -i -F "@$domain>, " | grep -F " status=" | '
    "tail -n 20 | sed 's/[^][ <>()\"=:;,][^][ <>()\"=:;,]*@/***@/g'; done"
)
_DELIVERY_LINE = re.compile(
    r"\b([0-9A-Za-z]{5,20}): to=<[^<>@]{0,99}@([^<>@]{1,255})>, (?:orig_to=<[^<>]{0,255}>, )?"
    r"relay=([^,]{1,255}), [^(]{0,255}\bstatus=([a-z]{1,20}) \((.{0,2000})"
)
_QUEUED_AS = re.compile(r"queued as ([0-9A-Za-z]{5,20})\b")
_OWN_FILTERS = ("127.0.0.1", "localhost", "[::1]", "none,")
_SERVICE_ENDS = 421
_REGIONS = {Region.DOMESTIC: "国内", Region.FOREIGN: "国外"}
_NOT_THEIR_FAULT = frozenset({Refusal.UNKNOWN_USER, Refusal.MAILBOX_FULL})


@dataclass(slots=True)
class Trace:
    """What the transcript tells of one mail: the talk that handed it over, and what happened."""

    talk: list[str] = field(default_factory=list)
    events: dict[str, str] = field(default_factory=dict)
    message: list[str] = field(default_factory=list)
    is_complete: bool = False

    @property
    def queue_id(self) -> str:
        """Return the queue id that the customer's server told, empty where it told none."""
        match = _QUEUED_AS.search(last_line(self.talk))
        return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One delivery in a mail log: whither, with what result, in the words of the other side."""

    queue_id: str
    domain: str
    relay: str
    status: str
    text: str
    line: str

    @property
    def is_refused(self) -> bool:
        """Tell whether the other side did not take the mail, for now or for good."""
        return self.status != "sent"


@dataclass(frozen=True, slots=True)
class Outbound:
    """What was heard of all mails; `stopped` is why some were not even sent."""

    traces: Mapping[str, Trace]
    stopped: str
    entries: tuple[LogEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of the mail to one provider, in words that follow its name."""

    severity: Severity
    says: str
    evidence: tuple[str, ...]
    refusal: Classified | None = None
    advice: str = ""

    @property
    def is_failed(self) -> bool:
        """Tell whether a user's mail would not have been read."""
        return self.severity >= Severity.WARNING


@dataclass(frozen=True, slots=True)
class ProviderLimits:
    """From which share of how many logged deliveries refusals of other mail are mentioned."""

    refused_pct: float
    deliveries_count: int


@dataclass(frozen=True, slots=True)
class MatrixLimits:
    """How many providers must fail for it to be the customer's own trouble."""

    failed_count: int


def _ask_each(system: System) -> Iterator[Question]:
    for provider in system.site.providers:
        asides = tuple(_log_asks(system))
        yield Question(Target(part=provider.title), (_mails_ask(system),), asides)


def _ask_all(system: System) -> Iterator[Question]:
    if system.site.providers:
        yield Question(Target(part=ALL), (_mails_ask(system),), tuple(_log_asks(system)))


def _mails_ask(system: System) -> Ask:
    addresses = tuple(one.address for one in system.site.providers)
    wait_s = system.site.probing.mail_wait_s
    words = ("providers", inside_mailbox(system).address, str(wait_s), *addresses)
    return Ask(Channel.LOOP, words, wait_s + TALK_S + _MAIL_TALK_S * len(addresses))


def _log_asks(system: System) -> Iterator[Ask]:
    path = system.profile.mail_log.value
    domains = dict.fromkeys(_domain(one) for one in system.site.providers)
    if path:
        words = ("sh", "-c", _LOG_TAIL, "log", path, *domains)
        for node in system.nodes_of(Role.MAIL):
            yield host_ask(node, *words, timeout_s=LOG_S, sample=_AFTER_THE_MAILS)


def _domain(provider: Provider) -> str:
    return provider.address.rpartition("@")[2].lower()


def _parse(replies: tuple[Reply, ...]) -> Outbound:
    transcript = read_transcript(replies[0])
    if transcript.event("stage") is None:
        raise ReplyError("回复不是外发测试记录")
    logs = (line for reply in replies[1:] for line in lines_of(reply.text))
    entries = tuple(entry for line in logs if (entry := _entry(line)))
    return Outbound(_traces(transcript), _why_stopped(transcript), entries)


def _traces(transcript: Transcript) -> dict[str, Trace]:
    traces: dict[str, Trace] = {}
    current, listener = Trace(), _nobody
    for mark, text in transcript.lines:
        name, _, rest = text.partition(" ")
        if mark != "#":
            listener(current, mark, text)
        elif name in _EVENTS:
            address, _, detail = rest.partition(" ")
            current = traces.setdefault(address, Trace())
            current.events[name] = detail
            listener = _hear_talk if name == "mail" else _nobody
        else:
            listener = _hear_message if name == "message" else _nobody
    return traces


def _nobody(_trace: Trace, _mark: str, _text: str) -> None:
    """Leave what is about no single mail."""


def _hear_talk(trace: Trace, mark: str, text: str) -> None:
    trace.talk.append(f"{_SPEAKERS[mark]}{text}")


def _hear_message(trace: Trace, mark: str, text: str) -> None:
    trace.is_complete |= mark != "<"
    if not trace.is_complete:
        trace.message.append(text)


_EVENTS = frozenset({"mail", "sent", "turned-away", "found", "bounced", "unreadable", "not-found"})
_SPEAKERS = {">": "C: ", "<": "S: "}


def _why_stopped(transcript: Transcript) -> str:
    for event, text in (("refused", "连接被拒绝"), ("unreachable", "网络不可达")):
        if transcript.event(event) is not None:
            return text
    return distrust(transcript) or silence(transcript) or last_line(transcript.said()) or "没有应答"


def _entry(line: str) -> LogEntry | None:
    match = _DELIVERY_LINE.search(line)
    if match is None or match[3].startswith(_OWN_FILTERS):
        return None
    text = match[5].removesuffix(")")
    return LogEntry(match[1], match[2].lower(), match[3], match[4], text, line)


def _fate(provider: Provider, outbound: Outbound) -> Fate:
    """Return what became of the mail; raise `ReplyError` where nobody can tell."""
    trace = outbound.traces.get(provider.address)
    if trace is None:
        raise ReplyError(f"探测邮件没有发出：{outbound.stopped}")
    if "found" in trace.events:
        return _arrived(trace)
    if "bounced" in trace.events:
        return _bounced(trace)
    if "turned-away" in trace.events:
        return _turned_away(trace)
    if "not-found" not in trace.events:
        raise ReplyError(f"探测邮件的发送中断：{outbound.stopped}")
    return _unheard_of(provider, trace, outbound)


def _arrived(trace: Trace) -> Fate:
    folder = trace.events["found"]
    headers = headers_of(decode_mail(trace.message)) or tuple(trace.talk)
    if folder.strip('"').upper() == "INBOX":
        return Fate(Severity.OK, "送达收件箱", headers)
    says = f"被放入垃圾箱（{folder}）"
    return Fate(Severity.WARNING, says, headers, advice=_JUNK_ADVICE)


def _bounced(trace: Trace) -> Fate:
    lines = bounce_lines(decode_mail(trace.message))
    return _refused("被退信", diagnosis(lines), (*lines, *trace.talk))


def _turned_away(trace: Trace) -> Fate:
    line = next((one[3:] for one in reversed(trace.talk) if one.startswith("S: ")), "")
    code = smtp_code(line)
    if code is None or code == _SERVICE_ENDS:
        raise ReplyError(f"探测邮件没有发出：{line or '没有应答'}")
    return _refused("被本方服务器拒绝提交", line, tuple(trace.talk))


def _unheard_of(provider: Provider, trace: Trace, outbound: Outbound) -> Fate:
    """Ask the logs: for this very mail, and where its mailbox is closed to us for any other."""
    waited = f"{trace.events['not-found']} 秒内"
    is_readable = provider.mailbox is not None and "unreadable" not in trace.events
    if own := [one for one in outbound.entries if one.queue_id == trace.queue_id]:
        return _logged(own[-1], waited, is_readable=is_readable)
    if is_readable:
        says = f"{waited}没有到达，也没有退信"
        return Fate(Severity.WARNING, says, tuple(trace.talk), advice=_LOST_ADVICE)
    others = [one for one in outbound.entries if one.domain == _domain(provider)]
    telling = [one for one in others if not one.is_refused or _is_worth_telling(one)]
    if not telling:
        raise ReplyError(f"{waited}没有退信，{_BLIND}")
    fate = _logged(telling[-1], waited, is_readable=False)
    return replace(fate, says=f"{_ANOTHER}{fate.says}")


def _logged(entry: LogEntry, waited: str, *, is_readable: bool) -> Fate:
    if entry.status == "deferred":
        return _refused("暂缓，仍在队列中", entry.text, (entry.line,))
    if entry.is_refused:
        return _refused("被拒收", entry.text, (entry.line,))
    if is_readable:
        says = f"已由对方接收，但{waited}没有出现在收件箱或垃圾箱"
        return Fate(Severity.WARNING, says, (entry.line,), advice=_SWALLOWED_ADVICE)
    says = "已由对方接收（见日志）；对方邮箱无法查看，落在哪个文件夹未知"
    return Fate(Severity.OK, says, (entry.line,))


def _refused(how: str, reply: str, evidence: tuple[str, ...]) -> Fate:
    refusal = classify(reply)
    says = f"{how}：{refusal.refusal.label}（{reply[:200]}）"
    return Fate(Severity.WARNING, says, evidence, refusal, refusal.refusal.remedy)


_ANOTHER = "日志中没有这封邮件，最近一次发往该域的投递"
_BLIND = (
    "对方邮箱无法查看，日志中也没有投递记录，无法判断；请在站点文件填写该邮箱的 mailbox，"
    "或授权巡检账号读取邮件日志（mail_log）"
)
_JUNK_ADVICE = "由客户处理：请核对 SPF、DKIM、DMARC 与反向解析，再按对方的发信规范申诉或加白。"
_LOST_ADVICE = "由拓波处理：请在邮件日志和队列中查找这封邮件，看它停在哪一步。"
_SWALLOWED_ADVICE = "由拓波处理：请凭日志中对方的应答编号向对方客服查询；多为信誉不足而被静默丢弃。"


def _judge_each(outbound: Outbound, limits: ProviderLimits, subject: Subject) -> Iterator[Verdict]:
    providers = subject.system.site.providers
    provider = next(one for one in providers if one.title == subject.target.part)
    fate = _fate(provider, outbound)
    recent = [one for one in outbound.entries if one.domain == _domain(provider)]
    refused = [one for one in recent if _is_worth_telling(one)]
    name = f"{provider.title}（{_REGIONS[provider.region]}）"
    metrics = {"logged_count": float(len(recent)), "refused_count": float(len(refused))}
    share_pct = 100 * len(refused) / max(len(recent), 1)
    if fate.is_failed:
        summary = f"{name}：{fate.says}，应送达收件箱"
        yield Verdict(fate.severity, summary, fate.advice, fate.evidence, metrics)
    elif len(recent) < limits.deliveries_count or share_pct < limits.refused_pct:
        yield Verdict(fate.severity, f"{name}：{fate.says}", "", fate.evidence, metrics)
    else:
        why = classify(refused[-1].text).refusal
        summary = (
            f"{name}：{fate.says}；但日志中最近 {len(recent)} 次投递有 {len(refused)} 次未被接受"
            f"（提示 ≥ {limits.refused_pct:g}%），最近一次：{why.label}"
        )
        lines = tuple(one.line for one in refused)
        yield Verdict(Severity.NOTICE, summary, why.remedy, lines, metrics)


def _is_worth_telling(entry: LogEntry) -> bool:
    return entry.is_refused and classify(entry.text).refusal not in _NOT_THEIR_FAULT


def _judge_all(outbound: Outbound, limits: MatrixLimits, subject: Subject) -> Iterator[Verdict]:
    providers = subject.system.site.providers
    fates = {one: _fate_or_none(one, outbound) for one in providers}
    known = [fate for fate in fates.values() if fate is not None]
    if not known:
        _fate(providers[0], outbound)
    failed = [fate for fate in known if fate.is_failed]
    listed = any(one.refusal and one.refusal.refusal is Refusal.REPUTATION for one in failed)
    are_many = len(failed) >= limits.failed_count or (1 < len(failed) == len(known))
    severity = Severity.CRITICAL if listed or are_many else Severity.OK
    yield Verdict(
        severity,
        f"{len(fates)} 家外部邮箱中 {len(failed)} 家未正常送达（严重 ≥ {limits.failed_count} 家、"
        f"全部，或称本方地址信誉差）：{_by_region(fates)}",
        _advice_for(failed) if severity else "",
        tuple(f"{one.title}：{fate.says}" for one, fate in fates.items() if fate),
        {"providers_count": float(len(fates)), "failed_count": float(len(failed))},
    )


def _fate_or_none(provider: Provider, outbound: Outbound) -> Fate | None:
    try:
        return _fate(provider, outbound)
    except ReplyError:
        return None


def _by_region(fates: Mapping[Provider, Fate | None]) -> str:
    parts = []
    for region, name in _REGIONS.items():
        here = {one.title: fate for one, fate in fates.items() if one.region is region}
        told = "、".join(f"{title}{_in_a_word(fate)}" for title, fate in here.items())
        parts.append(f"{name} {len(here)} 家：{told or '未登记'}")
    return "；".join(parts)


def _in_a_word(fate: Fate | None) -> str:
    if fate is None:
        return "未测得"
    if not fate.is_failed:
        return "送达"
    return f"未送达（{fate.refusal.refusal.label}）" if fate.refusal else "未正常送达"


def _advice_for(failed: list[Fate]) -> str:
    remedies = "".join(dict.fromkeys(one.advice for one in failed if one.advice))
    return remedies if len(failed) == 1 else f"{_MANY_ADVICE}{remedies}"


_MANY_ADVICE = "多家同时失败，原因多在本方：先核对发信地址是否被列入黑名单、SPF 与反向解析。"
_SOURCE = "服务方案「外发邮件被拒」；RFC 3463 增强状态码；各家退信说明见 refusals.yaml"

CHECKS = (
    Check(
        name="loop.matrix",
        area=Area.LOOP,
        title="外发国内外邮箱总览",
        question="发往国内外主要邮箱的邮件是否普遍能送达？",
        ask=_ask_all,
        parse=_parse,
        judge=_judge_all,
        limits=MatrixLimits(failed_count=3),
        source=f"{_SOURCE}；3 家为本产品经验值：一两家失败多在对方，三家起多在本方",
        after=(
            "dns.resolver",
            *DELIVERY,
            "loop.outbound",
            "dns.blocklist",
            "dns.spf",
            "dns.ptr",
        ),
    ),
    Check(
        name="loop.providers",
        area=Area.LOOP,
        title="外发国内外邮箱",
        question="发往各家邮箱的邮件能否送达收件箱，不能时对方怎么说？",
        ask=_ask_each,
        parse=_parse,
        judge=_judge_each,
        limits=ProviderLimits(refused_pct=20, deliveries_count=5),
        source=f"{_SOURCE}；日志中被拒 20% 为本产品经验值",
        after=(
            "loop.matrix",
            "dns.resolver",
            *DELIVERY,
            "dns.blocklist",
            "dns.spf",
            "dns.ptr",
        ),
    ),
)

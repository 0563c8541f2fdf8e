"""Whether a mail really arrives: inside to inside, outside to inside, inside to outside.

The one check that sees the whole chain; the others explain where it broke. The mail that arrived
outside also tells whether the customer's DKIM signature holds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dkim

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
from mailcare.inspection.dialogues import distrust, last_line, silence, smtp_code
from mailcare.inspection.levels import Ceiling
from mailcare.inspection.lookups import Lookups, read_lookups
from mailcare.inspection.mails import bounce_lines, decode_mail, headers_of
from mailcare.inspection.probes import (
    dkim_key_ask,
    dkim_key_names,
    inside_mailbox,
    outside_mailbox,
    server_words,
)
from mailcare.inspection.transcript import Transcript, read_transcript
from mailcare.systems.profile import Protocol
from mailcare.systems.site import Mailbox, Role
from mailcare.systems.system import Endpoint, System

TALK_S = 30.0  # for both dialogues, beside the wait for the mail
INTERNAL, INBOUND, OUTBOUND = "内部→内部", "外部→内部", "内部→外部"
SIGNING = "外发签名"


@dataclass(frozen=True, slots=True)
class Passage:
    """What became of a probe mail: refused at once, found after `delay_s`, or neither."""

    token: str
    folder: str | None = None
    delay_s: float | None = None
    refusal: str | None = None
    waited_s: str = ""
    bounce: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PassageLimits:
    """Seconds from the server's acceptance to the mail's being found."""

    delay_s: Ceiling


def _round_trip(
    system: System, sender: Mailbox, recipient: Mailbox, *, by: Endpoint | None = None
) -> Ask:
    wait_s = system.site.probing.mail_wait_s
    words = ("round-trip", sender.address, recipient.address, str(wait_s))
    if by is None:
        return Ask(Channel.LOOP, words, wait_s + TALK_S)
    return Ask(Channel.LOOP, (*words, *server_words(by)), wait_s + TALK_S, by.node.name)


def _ask_internal(system: System) -> Iterator[Question]:
    inside = inside_mailbox(system)
    yield Question(Target(part=INTERNAL), (_round_trip(system, inside, inside),))
    for endpoint in _submissions_of_cluster(system):
        ask = _round_trip(system, inside, inside, by=endpoint)
        yield Question(Target(endpoint.node.name, part=INTERNAL), (ask,))


def _submissions_of_cluster(system: System) -> Iterator[Endpoint]:
    """Yield one submission port of each mail host where there are several of them."""
    if len(system.nodes_of(Role.MAIL)) < 2:
        return
    endpoints = {one.node.name: one for one in system.endpoints(Protocol.SUBMISSION)}
    yield from endpoints.values()


def _ask_inbound(system: System) -> Iterator[Question]:
    ask = _round_trip(system, outside_mailbox(system), inside_mailbox(system))
    yield Question(_between_domains(system, INBOUND), (ask,))


def _ask_outbound(system: System) -> Iterator[Question]:
    yield Question(_between_domains(system, OUTBOUND), (_outbound(system),))


def _between_domains(system: System, way: str) -> Target:
    """Name the probe mailbox's domain where there are several: another's DNS does no harm to it."""
    if len(system.site.domains) < 2:
        return Target(part=way)
    return Target(part=f"{_inside_domain(system)} {way}")


def _inside_domain(system: System) -> str:
    return inside_mailbox(system).address.rpartition("@")[2].lower()


def _outbound(system: System) -> Ask:
    return _round_trip(system, inside_mailbox(system), outside_mailbox(system))


def _parse_ours(replies: tuple[Reply, ...]) -> Passage:
    """Read a mail that the customer's own server took in: its refusal is a fault of the system."""
    transcript = read_transcript(replies[0])
    if transcript.event("stage") is None:
        raise ReplyError("回复不是往返测试记录")
    if _reached(transcript, "send") and not _reached(transcript, "sent"):
        return _refused(transcript)
    return _parse_passage(transcript)


def _parse_theirs(replies: tuple[Reply, ...]) -> Passage:
    """Read a mail that the outside server took in: its refusal says nothing of the customer's."""
    return _parse_passage(read_transcript(replies[0]))


def _refused(transcript: Transcript) -> Passage:
    line = last_line(transcript.said())
    code = smtp_code(line)
    if code is None or code < 400 or code == 421:
        raise ReplyError(f"发信中断：{silence(transcript) or line}")
    return Passage(_token(transcript), refusal=line, evidence=_talk(transcript))


def _parse_passage(transcript: Transcript) -> Passage:
    if not _reached(transcript, "sent"):
        raise ReplyError(f"探测邮件没有发出：{_stopped_by(transcript)}")
    folder, delay = transcript.event("found"), transcript.event("delay_s")
    evidence = _talk(transcript)
    if folder is not None and delay is not None:
        headers = headers_of(_message_bytes(transcript))
        return Passage(_token(transcript), folder, _seconds(delay), evidence=headers or evidence)
    waited = transcript.event("not-found")
    if waited is None:
        raise ReplyError(f"邮件已发出，但无法查看收件箱：{_stopped_by(transcript)}")
    bounced = transcript.event("bounced") is not None
    bounce = bounce_lines(_message_bytes(transcript)) if bounced else ()
    return Passage(_token(transcript), waited_s=waited, bounce=bounce, evidence=evidence)


def _reached(transcript: Transcript, stage: str) -> bool:
    return ("#", f"stage {stage}") in transcript.lines


def _token(transcript: Transcript) -> str:
    return transcript.event("token") or ""


def _stopped_by(transcript: Transcript) -> str:
    for event, text in (("refused", "连接被拒绝"), ("unreachable", "网络不可达")):
        if transcript.event(event) is not None:
            return text
    return distrust(transcript) or silence(transcript) or last_line(transcript.said()) or "没有应答"


def _seconds(text: str) -> float:
    try:
        return max(float(text), 0.0)
    except ValueError:
        raise ReplyError("回复中的到达时间无法读取") from None


def _talk(transcript: Transcript) -> tuple[str, ...]:
    """Return the sending dialogue and the events, without the mail itself."""
    marks = {">": "C: ", "<": "S: ", "#": "# "}
    rows = (f"{marks[mark]}{text}" for mark, text in transcript.lines if len(text) < 200)
    return tuple(rows)[:60]


def _message_bytes(transcript: Transcript) -> bytes:
    """Return the first mail that was written down, empty where there is none."""
    encoded: list[str] = []
    in_message = False
    for mark, text in transcript.lines:
        if (mark, text) == ("#", "message"):
            in_message = True
        elif in_message and mark == "<":
            encoded.append(text)
        elif in_message:
            break
    return decode_mail(encoded)


def _judge(passage: Passage, limits: PassageLimits, subject: Subject) -> Iterator[Verdict]:
    way = str(subject.target)
    limit = f"上限 {limits.delay_s.warning:g} 秒"
    if passage.refusal is not None:
        summary = f"{way}：发信被本方服务器拒绝（{passage.refusal}），应接受"
        advice = "请按应答文字处理：磁盘空间、邮箱配额、队列与发信策略。"
        yield Verdict(Severity.CRITICAL, summary, advice, passage.evidence)
    elif passage.delay_s is None:
        yield _lost(passage, way)
    else:
        severity = limits.delay_s.severity(passage.delay_s)
        metrics = {"delay_s": passage.delay_s}
        late = f"{way}：邮件 {passage.delay_s:.1f} 秒到达（{limit}）"
        if passage.folder != "INBOX":
            summary = f"{late}，但被放入 {passage.folder}，应进收件箱"
            advice = "请检查反垃圾规则，以及发信域的 SPF、DKIM、反向解析。"
            yield Verdict(
                max(severity, Severity.WARNING), summary, advice, passage.evidence, metrics
            )
            return
        advice = "" if severity is Severity.OK else "请检查邮件队列、对端灰名单和主机负载。"
        yield Verdict(severity, late, advice, passage.evidence, metrics)


def _lost(passage: Passage, way: str) -> Verdict:
    steps = _INBOUND_STEPS if way.endswith(INBOUND) else _STEPS
    advice = f"{steps}邮件日志中可查找 {passage.token}。"
    summary = f"{way}：邮件 {passage.waited_s} 秒内没有到达"
    if passage.bounce:
        summary += f"，已被退信（{passage.bounce[-1]}）"
    return Verdict(Severity.CRITICAL, summary, advice, (*passage.bounce, *passage.evidence))


_STEPS = "请依次检查：队列中是否积压、投递规则与配额、出口防火墙 25 端口、对端服务器、收件地址。"
# The order in which TurboMail's vendor looks for mail that does not come in:
# turbomail.org/user_help/hpb03.html; the checks of this inspection that answer a step are named.
_INBOUND_STEPS = (
    "请按厂商的顺序排查：(1) 用 dig 或 nslookup 查本域 MX（见 dns.mx、dns.addresses）；"
    "(2) 从外网 telnet 本机 25 端口，查防火墙（见 network.vantage、smtp.greeting）；"
    "(3) 请对方管理员查看其服务器的发信记录与退信；(4) 核对收件地址有无写错；"
    "(5) 查本方的拒收规则、黑名单与配额，读退信原文；(6) 查收件人是否设了转发而不留副本；"
    "(7) 查收件人是否被限制只收内部邮件；(8) 仍未查明请联系拓波技术支持。"
)


@dataclass(frozen=True, slots=True)
class Signature:
    """The customer's signature on a mail that arrived outside; `holds` None where there is none."""

    holds: bool | None
    reason: str
    header: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignatureLimits:
    """The shortest key that a verifier accepts, in bits."""

    key_bits: int


def _ask_signature(system: System) -> Iterator[Question]:
    domain = _inside_domain(system)
    for one in system.site.domains:
        if one.name.lower() == domain:
            keys = tuple(dkim_key_ask(name) for name in dkim_key_names(one))
            yield Question(Target(part=f"{one.name} {SIGNING}"), (_outbound(system), *keys))


def _parse_signature(replies: tuple[Reply, ...]) -> Signature:
    transcript = read_transcript(replies[0])
    message = _message_bytes(transcript)
    if transcript.event("found") is None or not message:
        raise ReplyError("外发邮件没有到达外部邮箱，无法核对签名")
    lookups = read_lookups(*replies[1:]) if replies[1:] else Lookups()
    header = _signature_header(message)
    if not header:
        return Signature(None, "", ())
    return _verify(message, header, lookups)


def _signature_header(message: bytes) -> tuple[str, ...]:
    rows: list[str] = []
    for line in headers_of(message):
        if line.lower().startswith("dkim-signature:"):
            rows = [line]
        elif rows and line[:1] in " \t":
            rows.append(line)
        elif rows:
            break
    return tuple(rows)


def _verify(message: bytes, header: tuple[str, ...], lookups: Lookups) -> Signature:
    def published(name: bytes, timeout: float = 5) -> bytes | None:  # noqa: ARG001 - dkimpy's shape
        texts = lookups.texts(name.decode("ascii", "replace"))
        return texts[0].encode() if texts else None

    try:
        holds = dkim.DKIM(message).verify(dnsfunc=published)
    except (dkim.DKIMException, ValueError, LookupError) as error:  # a stranger's malformed tags
        return Signature(False, str(error), header)
    return Signature(holds, "" if holds else "签名与公布的公钥不符", header)


def _judge_signature(
    signature: Signature, limits: SignatureLimits, _subject: Subject
) -> Iterator[Verdict]:
    if signature.holds:
        summary = f"外发邮件的 DKIM 签名有效（密钥不短于 {limits.key_bits} 位）"
        yield Verdict(Severity.OK, summary, evidence=signature.header)
    elif signature.holds is None:
        advice = "请检查签名服务是否运行、邮件服务是否经过它。"
        yield Verdict(Severity.WARNING, "外发邮件没有 DKIM 签名，应有", advice)
    else:
        summary = f"外发邮件的 DKIM 签名验证失败（{signature.reason}），应有效"
        advice = "请核对 DNS 中的公钥与签名服务的私钥是否成对、选择器是否一致。"
        yield Verdict(Severity.WARNING, summary, advice, signature.header)


DELIVERY = (
    "network.reach",
    "service.ports",
    "service.steadiness",
    "service.processes",
    "storage.space",
    "storage.mounts",
    "storage.inodes",
    "submission.login",
    "imap.login",
    "smtp.greeting",
    "tls.handshake",
    "tls.certificate",
    "queue.depth",
)


def _loop_check(
    name: str,
    title: str,
    question: str,
    ask: Callable[[System], Iterator[Question]],
    parse: Callable[[tuple[Reply, ...]], Passage],
    after: tuple[str, ...],
) -> Check[Passage, PassageLimits]:
    return Check(
        name=name,
        area=Area.LOOP,
        title=title,
        question=question,
        ask=ask,
        parse=parse,
        judge=_judge,
        limits=PassageLimits(Ceiling(warning=15, critical=60)),
        source="服务方案「邮件收发」；RFC 5321 §4.5.4 不限投递时间，15 秒与 60 秒为本产品经验值",
        after=after,
    )


CHECKS = (
    _loop_check(
        "loop.internal",
        "内部收发",
        "内部用户之间能否收发邮件，用时多久？",
        _ask_internal,
        _parse_ours,
        DELIVERY,
    ),
    _loop_check(
        "loop.inbound",
        "接收外部邮件",
        "外部邮件能否收到，用时多久，落在收件箱还是垃圾箱？",
        _ask_inbound,
        _parse_theirs,
        ("dns.resolver", "dns.mx", "dns.addresses", *DELIVERY),
    ),
    _loop_check(
        "loop.outbound",
        "发往外部",
        "发往外部的邮件能否送达，用时多久，落在收件箱还是垃圾箱？",
        _ask_outbound,
        _parse_ours,
        ("dns.resolver", *DELIVERY, "dns.blocklist", "dns.spf", "dns.ptr"),
    ),
    Check(
        name="loop.dkim",
        area=Area.DNS,
        title="外发邮件的 DKIM 签名",
        question="外发邮件的 DKIM 签名能否通过验证？",
        ask=_ask_signature,
        parse=_parse_signature,
        judge=_judge_signature,
        limits=SignatureLimits(key_bits=1024),
        source="RFC 6376 §6.1；RFC 8301 §3.2",
        after=("dns.resolver", "dns.dkim", "loop.outbound", "service.processes"),
    ),
)

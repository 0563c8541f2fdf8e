"""What a domain promises of the encryption of its incoming mail: MTA-STS, TLS-RPT, DANE.

None of them is a duty: a domain without is advised, one whose promise does not hold is warned,
since servers that believe the promise then refuse to deliver.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256, sha512

from checkdmarc.mta_sts import MTASTSError, parse_mta_sts_policy, parse_mta_sts_record
from checkdmarc.smtp_tls_reporting import SMTPTLSReportingError, parse_smtp_tls_reporting_record
from dns.rdtypes.ANY.TLSA import TLSA

from mailcare.inspection.certificate import Certificate, Link, read_certificate
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
from mailcare.inspection.dialogues import CONNECTION_TEXT, Connection, read_attempt, silence
from mailcare.inspection.levels import NoLimits
from mailcare.inspection.lookups import exchangers_in, normal_name, read_lookups
from mailcare.inspection.probes import TALK_S, dns_ask, endpoint_target, tls_ask
from mailcare.inspection.transcript import Transcript, read_transcript
from mailcare.systems.profile import Protocol, TlsMode
from mailcare.systems.system import System

POLICY_PATH = "/.well-known/mta-sts.txt"
DAY_S = 86_400
_OK_STATUS = "HTTP 200"


@dataclass(frozen=True, slots=True)
class PolicyLimits:
    """Days for which senders should remember the policy."""

    max_age_days: float


@dataclass(frozen=True, slots=True)
class StrictTransport:
    """A domain's MTA-STS record, the policy behind it and the exchangers it must cover.

    `trouble` says why senders cannot use it.
    """

    record: str | None
    trouble: str = ""
    mode: str = ""
    max_age_s: int = 0
    patterns: tuple[str, ...] = ()
    exchangers: tuple[str, ...] = ()

    def uncovered(self) -> tuple[str, ...]:
        """Return the exchangers that no pattern of the policy covers (RFC 8461 §4.1)."""
        wanted = {pattern.lower() for pattern in self.patterns}
        return tuple(
            name
            for name in self.exchangers
            if wanted.isdisjoint({name, f"*.{name.partition('.')[2]}"})
        )


def _ask_mta_sts(system: System) -> Iterator[Question]:
    for domain in system.site.domains:
        words = ("policy", f"mta-sts.{domain.name}", "443", POLICY_PATH)
        asks = (
            dns_ask("lookup", "TXT", f"_mta-sts.{domain.name}"),
            dns_ask("mx", domain.name),
            Ask(Channel.HTTPS, words, TALK_S),
        )
        yield Question(Target(part=domain.name), asks)


def _parse_mta_sts(replies: tuple[Reply, ...]) -> StrictTransport:
    published = read_lookups(replies[0])
    texts = published.texts(next(published.all()).name)
    records = [text for text in texts if text.startswith("v=STSv1")]
    if not records:
        return StrictTransport(None)
    exchangers = tuple(name for name, _ in exchangers_in(read_lookups(replies[1])))
    if trouble := _record_trouble(records):
        return StrictTransport(records[0], trouble, exchangers=exchangers)
    transcript = read_transcript(replies[2])
    if trouble := _fetch_trouble(transcript, replies[2]):
        return StrictTransport(records[0], trouble, exchangers=exchangers)
    return _with_policy(records[0], _body(transcript), exchangers)


def _record_trouble(records: list[str]) -> str:
    if len(records) > 1:
        return f"有 {len(records)} 条 MTA-STS 记录，应只有一条"
    try:
        parse_mta_sts_record(records[0])
    except MTASTSError as error:
        return f"记录无效：{error}"
    return ""


def _fetch_trouble(transcript: Transcript, reply: Reply) -> str:
    """Say why the policy could not be had; raise `ReplyError` where it may not be their fault."""
    if (reason := transcript.event("unresolved")) is not None:
        raise ReplyError(f"查询策略主机的地址失败：{reason}")
    name = transcript.event("server-name") or "策略主机"
    if transcript.event("no-address") is not None:
        return f"策略主机 {name} 没有地址记录"
    attempt = read_attempt(reply)
    if attempt.connection is not Connection.MADE:
        return f"策略主机 {name} {CONNECTION_TEXT[attempt.connection]}"
    if (detail := transcript.event("verify-failed")) is not None:
        return f"策略主机 {name} 的证书未通过验证：{detail.partition(' ')[2]}"
    status = next((line for line in transcript.said() if line.startswith("HTTP ")), "")
    if not status:
        return f"未能取得策略：{silence(transcript) or '应答不是 HTTP'}"
    return "" if status.startswith(_OK_STATUS) else f"取策略时得到 {status}，应为 {_OK_STATUS}"


def _body(transcript: Transcript) -> str:
    lines = iter(transcript.lines)
    for mark, text in lines:
        if (mark, text) == ("#", "body"):
            break
    return "\n".join(text.strip() for mark, text in lines if mark == "<")


def _with_policy(record: str, body: str, exchangers: tuple[str, ...]) -> StrictTransport:
    try:
        policy = parse_mta_sts_policy(body)["policy"]
    except MTASTSError as error:
        return StrictTransport(record, f"策略文件无效：{error}", exchangers=exchangers)
    return StrictTransport(
        record,
        mode=policy["mode"],
        max_age_s=policy["max_age"],
        patterns=tuple(policy["mx"]),
        exchangers=exchangers,
    )


def _judge_mta_sts(
    fact: StrictTransport, limits: PolicyLimits, subject: Subject
) -> Iterator[Verdict]:
    severity, problem, advice = _transport_meaning(fact, limits)
    rows = (f"TXT {fact.record}",) if fact.record else ()
    if fact.mode:
        rows += (f"策略 mode={fact.mode} max_age={fact.max_age_s} mx={'、'.join(fact.patterns)}",)
    yield Verdict(severity, f"{subject.target.part} {problem}", advice, rows)


def _transport_meaning(fact: StrictTransport, limits: PolicyLimits) -> tuple[Severity, str, str]:
    if fact.record is None:
        advice = "建议发布 MTA-STS，防止来信在传输中被降级为明文；可先用 testing 模式。"
        return Severity.NOTICE, "没有 MTA-STS 记录，建议发布", advice
    if fact.trouble:
        advice = f"请更正 MTA-STS 记录或 {POLICY_PATH}，或撤下该记录。"
        return Severity.WARNING, f"MTA-STS 不可用：{fact.trouble}", advice
    if fact.mode == "none":
        advice = "请改为 testing 或 enforce；不再使用时请连同记录一起撤下。"
        return Severity.WARNING, "MTA-STS 策略为 none，等于没有，应为 enforce", advice
    if missing := fact.uncovered():
        return _not_covered(fact, missing)
    return _weak_policy(fact, limits)


def _not_covered(fact: StrictTransport, missing: tuple[str, ...]) -> tuple[Severity, str, str]:
    is_enforced = fact.mode == "enforce"
    effect = "遵守该策略的外域将拒绝投递" if is_enforced else "改为 enforce 后外域将拒绝投递"
    text = (
        f"MTA-STS 策略（{fact.mode}）的 mx（{'、'.join(fact.patterns)}）"
        f"不含 MX 主机 {'、'.join(missing)}，应全部包含；{effect}"
    )
    advice = "请把全部 MX 主机名写入策略文件的 mx 行，并更新 _mta-sts 记录的 id。"
    return Severity.CRITICAL if is_enforced else Severity.WARNING, text, advice


def _weak_policy(fact: StrictTransport, limits: PolicyLimits) -> tuple[Severity, str, str]:
    age_days = fact.max_age_s / DAY_S
    if fact.mode == "testing":
        advice = "确认 TLS-RPT 报告中没有失败后，请改为 enforce。"
        return Severity.NOTICE, "MTA-STS 策略为 testing，只报告不执行，建议 enforce", advice
    if age_days < limits.max_age_days:
        text = f"MTA-STS 策略的 max_age 为 {age_days:g} 天，建议不少于 {limits.max_age_days:g} 天"
        return Severity.NOTICE, text, "请加大策略文件中的 max_age。"
    text = f"MTA-STS 策略为 enforce，包含全部 MX 主机，有效期 {age_days:g} 天"
    return Severity.OK, f"{text}（下限 {limits.max_age_days:g} 天）", ""


@dataclass(frozen=True, slots=True)
class Reporting:
    """A domain's TLS-RPT record; `trouble` says why senders cannot use it."""

    record: str | None
    trouble: str = ""


def _ask_tls_rpt(system: System) -> Iterator[Question]:
    for domain in system.site.domains:
        ask = dns_ask("lookup", "TXT", f"_smtp._tls.{domain.name}")
        yield Question(Target(part=domain.name), (ask,))


def _parse_tls_rpt(replies: tuple[Reply, ...]) -> Reporting:
    lookups = read_lookups(*replies)
    texts = lookups.texts(next(lookups.all()).name)
    records = [text for text in texts if text.startswith("v=TLSRPTv1")]
    if not records:
        return Reporting(None)
    if len(records) > 1:
        return Reporting(records[0], f"有 {len(records)} 条记录，应只有一条")
    try:
        parse_smtp_tls_reporting_record(records[0])
    except SMTPTLSReportingError as error:
        return Reporting(records[0], str(error))
    return Reporting(records[0])


def _judge_tls_rpt(fact: Reporting, _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    domain = subject.target.part
    rows = (f"TXT {fact.record}",) if fact.record else ()
    if fact.record is None:
        advice = "建议发布 TLS-RPT 记录，收集外域加密投递失败的报告。"
        yield Verdict(Severity.NOTICE, f"{domain} 没有 TLS-RPT 记录，建议发布", advice, rows)
    elif fact.trouble:
        summary = f"{domain} TLS-RPT 记录无效，收不到报告：{fact.trouble}"
        yield Verdict(Severity.WARNING, summary, "请按提示更正 TLS-RPT 记录。", rows)
    else:
        yield Verdict(Severity.OK, f"{domain} 已发布 TLS-RPT 记录（应有一条）", "", rows)


@dataclass(frozen=True, slots=True)
class Pinning:
    """The TLSA records for one host's port 25 and the certificate shown there."""

    records: tuple[TLSA, ...]
    certificate: Certificate | None


def _ask_dane(system: System) -> Iterator[Question]:
    lookups = tuple(dns_ask("tlsa", domain.name) for domain in system.site.domains)
    for endpoint in system.endpoints(Protocol.SMTP):
        if endpoint.listener.tls is TlsMode.STARTTLS:
            yield Question(endpoint_target(endpoint), (tls_ask(endpoint), *lookups))


def _parse_dane(replies: tuple[Reply, ...]) -> Pinning:
    lookups = read_lookups(*replies[1:])
    name = normal_name(read_transcript(replies[0]).event("server-name") or "")
    address = (read_transcript(replies[0]).event("connecting") or "").partition(" ")[0]
    own = [
        exchanger
        for exchanger, addresses in exchangers_in(lookups)
        if exchanger == name or address in addresses
    ]
    records = tuple(
        rdata
        for exchanger in own
        for rdata in lookups.records("TLSA", f"_25._tcp.{exchanger}")
        if isinstance(rdata, TLSA)
    )
    return Pinning(records, read_certificate(replies[0]) if records else None)


def _judge_dane(fact: Pinning, _limits: NoLimits, _subject: Subject) -> Iterator[Verdict]:
    rows = tuple(f"TLSA {record}" for record in fact.records)
    if fact.certificate is None:
        yield Verdict(Severity.OK, "没有发布 TLSA 记录（DANE 为可选项）", evidence=rows)
    elif any(_is_pinned(record, fact.certificate) for record in fact.records):
        summary = f"{len(fact.records)} 条 TLSA 记录中有与证书相符的（应至少一条）"
        yield Verdict(Severity.OK, summary, evidence=rows)
    else:
        yield Verdict(
            Severity.CRITICAL,
            f"{len(fact.records)} 条 TLSA 记录均与端口 25 的证书不符（应至少一条相符），"
            "验证 DANE 的外域将拒绝投递",
            "请立即按现用证书更新 TLSA 记录；以后更换证书前先发布新记录。",
            (*rows, f"证书 SHA-256 {fact.certificate.fingerprint}"),
        )


_END_ENTITY = (1, 3)
_DIGESTS = {0: bytes, 1: lambda data: sha256(data).digest(), 2: lambda data: sha512(data).digest()}


def _is_pinned(record: TLSA, certificate: Certificate) -> bool:
    """Tell whether a record names the certificate, or one of its issuers (RFC 6698 §2.1)."""
    links = certificate.chain[:1] if record.usage in _END_ENTITY else certificate.chain[1:]
    return any(_digest(record, link) == record.cert for link in links)


def _digest(record: TLSA, link: Link) -> bytes | None:
    data = link.public_key_der if record.selector == 1 else link.der
    hashed = _DIGESTS.get(record.mtype)
    return hashed(data) if hashed else None


_RESOLVER = ("dns.resolver",)
_SERVERS = (
    "network.reach",
    "service.processes",
    "service.ports",
    "service.steadiness",
    "tls.handshake",
)

CHECKS = (
    Check(
        name="dns.mta_sts",
        area=Area.DNS,
        title="MTA-STS",
        question="MTA-STS 策略能否取得，并与 MX 一致？",
        ask=_ask_mta_sts,
        parse=_parse_mta_sts,
        judge=_judge_mta_sts,
        limits=PolicyLimits(max_age_days=7),
        source="RFC 8461 §3、§4.1、§5；max_age 下限 7 天为本公司经验值（RFC 8461 §3.2 只规定上限）",
        after=(*_RESOLVER, "dns.mx", *_SERVERS, "tls.certificate"),
    ),
    Check(
        name="dns.tls_rpt",
        area=Area.DNS,
        title="TLS-RPT",
        question="是否接收外域的加密投递报告？",
        ask=_ask_tls_rpt,
        parse=_parse_tls_rpt,
        judge=_judge_tls_rpt,
        limits=NoLimits(),
        source="RFC 8460 §3",
        after=_RESOLVER,
    ),
    Check(
        name="dns.dane",
        area=Area.DNS,
        title="DANE（TLSA）",
        question="已发布的 TLSA 记录是否与证书相符？",
        ask=_ask_dane,
        parse=_parse_dane,
        judge=_judge_dane,
        limits=NoLimits(),
        source="RFC 6698 §2.1；RFC 7672 §3（SMTP 的 DANE）",
        after=(*_RESOLVER, "dns.mx", *_SERVERS, "tls.certificate"),
    ),
)

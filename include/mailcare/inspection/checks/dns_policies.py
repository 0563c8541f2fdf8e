"""What a domain publishes so that its mail is believed: SPF, DKIM keys, DMARC."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailcare.inspection.check import (
    Area,
    Check,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.levels import NoLimits
from mailcare.inspection.lookups import Replay, normal_name, read_lookups
from mailcare.inspection.probes import (
    dkim_key_ask,
    dkim_key_names,
    dns_ask,
    dns_questions,
    mail_hosts,
    unseen,
)
from mailcare.inspection.sender_policy import (
    PolicyResult,
    ReportPolicy,
    SenderPolicy,
    read_report_policy,
    read_sender_policy,
)
from mailcare.inspection.transcript import Transcript, read_transcript
from mailcare.systems.profile import ProfileGap
from mailcare.systems.system import System

_RESOLVER = ("dns.resolver",)


def _ask_spf(system: System) -> Iterator[Question]:
    nodes = mail_hosts(system)
    if reason := unseen(*nodes):
        raise ProfileGap(reason)
    addresses = tuple(node.seen_address for node in nodes)
    for domain in system.site.domains:
        yield Question(Target(part=domain.name), (dns_ask("spf", domain.name, *addresses),))


def _parse_spf(replies: tuple[Reply, ...]) -> SenderPolicy:
    lookups = read_lookups(*replies)
    lookups.need_answers()
    transcript = read_transcript(replies[0])
    policy = read_sender_policy(_domain(transcript), _senders(transcript), (Replay(lookups),))
    unknown = [one for one, result in policy.results if result is PolicyResult.UNKNOWN]
    if unknown:
        raise ReplyError(f"SPF 含 exists、ptr 或宏，无法静态判断 {'、'.join(unknown)}")
    return policy


def _domain(transcript: Transcript) -> str:
    if domain := transcript.event("domain"):
        return domain
    raise ReplyError("回复中没有域名")


def _senders(transcript: Transcript) -> tuple[str, ...]:
    try:
        return tuple(str(ip_address(one)) for one in (transcript.event("senders") or "").split())
    except ValueError:
        raise ReplyError("回复中的发信地址无法读取") from None


def _judge_spf(policy: SenderPolicy, _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    severity, problem, advice = _spf_meaning(policy)
    rows = (f"TXT {policy.record}",) if policy.record else ()
    rows += tuple(f"{address}：{result}" for address, result in policy.results)
    yield Verdict(severity, f"{subject.target.part} {problem}", advice, rows)


def _spf_meaning(policy: SenderPolicy) -> tuple[Severity, str, str]:
    failed = [(one, result) for one, result in policy.results if result is not PolicyResult.PASS]
    listed = "、".join(f"{one}（{result}）" for one, result in failed)
    fix = "请在 SPF 记录中加入全部发信主机的地址，例如使用 mx 机制。"
    if policy.record is None:
        return Severity.WARNING, "没有 SPF 记录，应有一条", "请发布 SPF 记录，例如 v=spf1 mx -all。"
    if policy.error:
        text = f"SPF 记录无效，收件方按 permerror 处理：{policy.error}"
        return Severity.WARNING, text, "请按提示更正 SPF 记录。"
    if any(result is PolicyResult.FAIL for _, result in failed):
        return Severity.CRITICAL, f"SPF 拒绝本方邮件主机 {listed}，应为 pass", fix
    if failed:
        return Severity.WARNING, f"SPF 未授权本方邮件主机 {listed}，应为 pass", fix
    if policy.everyone:
        text = "SPF 以 +all 结尾，任何主机都可冒用本域，应为 -all 或 ~all"
        return Severity.WARNING, text, "请把记录末尾改为 -all。"
    return Severity.OK, "SPF 授权了全部登记的邮件主机（应为 pass）", ""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A published DKIM key; `trouble` says why it cannot be used. `bits` is 0 for Ed25519."""

    name: str
    record: str | None
    kind: str = ""
    bits: int = 0
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """RSA bits below which receivers must refuse a key, and those that signers should use."""

    refused_below_bits: int
    advised_bits: int


def _ask_dkim(system: System) -> Iterator[Question]:
    for domain in system.site.domains:
        for name in dkim_key_names(domain) or (f"_domainkey.{domain.name}",):
            yield Question(Target(part=name), (dkim_key_ask(name),))


def _parse_dkim(replies: tuple[Reply, ...]) -> SigningKey:
    lookups = read_lookups(*replies)
    name = normal_name(next(lookups.all()).name)
    lookup = lookups.find("TXT", name)
    if name.startswith("_domainkey.") and lookup.exists():
        # RFC 8020: the name exists because keys stand below it; which, only the customer knows.
        raise ReplyError("站点文件未填写 dkim_selectors，无法查询密钥")
    records = lookups.texts(name)
    if not records:
        return SigningKey(name, None)
    if len(records) > 1:
        return SigningKey(name, records[0], trouble=f"有 {len(records)} 条记录，应只有一条")
    return _read_key(name, records[0])


def _read_key(name: str, record: str) -> SigningKey:
    pairs = (part.partition("=") for part in record.split(";"))
    tags = {key.strip(): re.sub(r"\s", "", value) for key, _, value in pairs}
    kind = tags.get("k", "rsa").lower()
    if tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags:
        return SigningKey(name, record, trouble="不是 DKIM 密钥记录")
    if not tags["p"]:
        return SigningKey(name, record, kind, trouble="密钥已撤销（p= 为空）")
    if kind not in _KEY_BITS:
        return SigningKey(name, record, kind, trouble=f"密钥类型 {kind} 不是 rsa 或 ed25519")
    try:
        bits = _KEY_BITS[kind](base64.b64decode(tags["p"], validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        return SigningKey(name, record, kind, trouble="公钥无法解析")
    return SigningKey(name, record, kind, bits)


def _rsa_bits(der: bytes) -> int:
    key = load_der_public_key(der)
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")  # noqa: TRY004 - what stands there is no key for us
    return key.key_size


def _ed25519_bits(raw: bytes) -> int:
    ed25519.Ed25519PublicKey.from_public_bytes(raw)
    return 0


_KEY_BITS = {"rsa": _rsa_bits, "ed25519": _ed25519_bits}  # RFC 6376 §3.6.1, RFC 8463 §4


def _judge_dkim(key: SigningKey, limits: KeyLimits, _subject: Subject) -> Iterator[Verdict]:
    severity, problem, advice = _key_meaning(key, limits)
    rows = (f"{key.name} TXT {key.record}",) if key.record else (f"{key.name} 无 TXT 记录",)
    yield Verdict(severity, f"{key.name} {problem}", advice, rows)


def _key_meaning(key: SigningKey, limits: KeyLimits) -> tuple[Severity, str, str]:
    republish = "请从签名服务导出公钥并重新发布该记录。"
    if key.record is None:
        return Severity.WARNING, "没有 DKIM 公钥，外发签名无法验证，应有一条", republish
    if key.trouble:
        return Severity.WARNING, f"DKIM 公钥不可用：{key.trouble}", republish
    if key.kind != "rsa":
        return Severity.OK, f"DKIM 公钥已发布（{key.kind}）", ""
    found = f"DKIM 公钥 RSA {key.bits} 位"
    renew = f"请换用 RSA {limits.advised_bits} 位密钥并同时更新签名服务与 DNS。"
    if key.bits < limits.refused_below_bits:
        return (
            Severity.WARNING,
            f"{found}，短于 {limits.refused_below_bits} 位，收件方不予采信",
            renew,
        )
    if key.bits < limits.advised_bits:
        return Severity.NOTICE, f"{found}，建议 {limits.advised_bits} 位", renew
    return Severity.OK, f"{found}（下限 {limits.advised_bits} 位）", ""


def _parse_dmarc(replies: tuple[Reply, ...]) -> ReportPolicy:
    lookups = read_lookups(*replies)
    lookups.need_answers()
    domain = _domain(read_transcript(replies[0]))
    return read_report_policy(domain, (Replay(lookups),))


def _judge_dmarc(policy: ReportPolicy, _limits: NoLimits, subject: Subject) -> Iterator[Verdict]:
    severity, problem, advice = _dmarc_meaning(policy)
    rows = (f"TXT {policy.record}",) if policy.record else ()
    yield Verdict(severity, f"{subject.target.part} {problem}", advice, rows)


def _dmarc_meaning(policy: ReportPolicy) -> tuple[Severity, str, str]:
    if policy.record is None:
        advice = "请发布 DMARC 记录，可先用 p=none 收集报告，再逐步收紧。"
        return Severity.WARNING, "没有 DMARC 记录，应有一条", advice
    if policy.error:
        return Severity.WARNING, f"DMARC 记录无效：{policy.error}", "请按提示更正 DMARC 记录。"
    if policy.policy == "none":
        advice = "确认正常邮件均通过验证后，请改为 p=quarantine 或 p=reject。"
        return Severity.NOTICE, "DMARC 策略为 none，只观察不处置，建议 quarantine 或 reject", advice
    if policy.is_testing:
        text = f"DMARC 策略为 {policy.policy}，但处于测试方式（t=y 或 pct 小于 100），应全面执行"
        return Severity.NOTICE, text, "确认正常邮件均通过验证后，请去掉 t=y 与 pct。"
    return Severity.OK, f"DMARC 策略为 {policy.policy}（应为 quarantine 或 reject）", ""


CHECKS = (
    Check(
        name="dns.spf",
        area=Area.DNS,
        title="SPF 记录",
        question="SPF 是否授权了全部发信主机？",
        ask=_ask_spf,
        parse=_parse_spf,
        judge=_judge_spf,
        limits=NoLimits(),
        source="RFC 7208 §2.6、§4.6.4",
        after=(*_RESOLVER, "dns.mx", "dns.addresses"),
    ),
    Check(
        name="dns.dkim",
        area=Area.DNS,
        title="DKIM 公钥",
        question="DKIM 公钥是否已发布且强度足够？",
        ask=_ask_dkim,
        parse=_parse_dkim,
        judge=_judge_dkim,
        limits=KeyLimits(refused_below_bits=1024, advised_bits=2048),
        source="RFC 6376 §3.6.1；RFC 8301 §3.2（1024 与 2048 位）",
        after=_RESOLVER,
    ),
    Check(
        name="dns.dmarc",
        area=Area.DNS,
        title="DMARC 记录",
        question="DMARC 策略是否已发布并执行？",
        ask=partial(dns_questions, "dmarc"),
        parse=_parse_dmarc,
        judge=_judge_dmarc,
        limits=NoLimits(),
        source="RFC 9989 §4.7（p 标记）",
        after=_RESOLVER,
    ),
)

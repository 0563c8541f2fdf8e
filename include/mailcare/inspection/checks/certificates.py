"""TLS on every declared port: whether it can be negotiated, how well, and with what certificate.

Handshake and offers are judged port by port, the certificate and its chain once for all the ports
of a host that show the same one: a certificate that runs out is one fault, not eight.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from mailcare.inspection.certificate import (
    Certificate,
    Handshake,
    Offers,
    read_certificate,
    read_handshake,
    read_offers,
)
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
from mailcare.inspection.levels import Floor
from mailcare.inspection.lookups import exchangers_in, normal_name, read_lookups
from mailcare.inspection.probes import ask_each, dns_ask, endpoint_at, offers_ask, tls_ask
from mailcare.inspection.transcript import read_transcript
from mailcare.systems.profile import Protocol
from mailcare.systems.site import Role
from mailcare.systems.system import System

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class HandshakeLimits:
    """The versions that are no longer to be used."""

    outdated: frozenset[str] = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})


@dataclass(frozen=True, slots=True)
class CertificateLimits:
    """Days left before the end; the shortest RSA key in bits; hashes that sign no more."""

    days_left: Floor
    rsa_bits: int
    broken_digests: frozenset[str] = frozenset({"md5", "sha1"})


@dataclass(frozen=True, slots=True)
class OfferLimits:
    """The versions and the groups of ciphers that are no longer to be offered."""

    outdated: frozenset[str] = frozenset({"TLSv1", "TLSv1.1"})
    broken: frozenset[str] = frozenset({"NULL", "ANON", "EXPORT", "RC4", "3DES"})


@dataclass(frozen=True, slots=True)
class NamesLimits:
    """No number: every name in use stands in the certificate."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong with a certificate."""

    severity: Severity
    text: str
    advice: str


def _ask_handshake(system: System) -> Iterator[Question]:
    return ask_each(tls_ask, system.tls_endpoints())


def _parse_handshake(replies: tuple[Reply, ...]) -> Handshake:
    return read_handshake(replies[0])


def _judge_handshake(
    handshake: Handshake, limits: HandshakeLimits, subject: Subject
) -> Iterator[Verdict]:
    negotiated = f"{handshake.version} {handshake.cipher}"
    if handshake.failure is not None:
        yield _no_tls(handshake.failure, subject)
    elif handshake.version in limits.outdated:
        yield Verdict(
            Severity.WARNING,
            f"只能协商 {negotiated}，应为 TLSv1.2 以上",
            "请升级 TLS 组件或修改配置，停用 TLSv1.2 以下版本。",
            (negotiated,),
        )
    else:
        summary = f"TLS 正常：{negotiated}（应为 TLSv1.2 以上）"
        yield Verdict(Severity.OK, summary, evidence=(negotiated,))


def _no_tls(failure: str, subject: Subject) -> Verdict:
    protocol = endpoint_at(subject.system, subject.target).listener.protocol
    # RFC 3207: between servers TLS is an offer; users' passwords depend on it.
    severity = Severity.WARNING if protocol is Protocol.SMTP else Severity.CRITICAL
    return Verdict(
        severity,
        f"无法建立加密连接：{failure}",
        "请检查证书与私钥文件能否读取、是否配对，以及服务的 TLS 配置。",
    )


def _ask_certificates(system: System) -> Iterator[Question]:
    for node in system.nodes_of(Role.MAIL):
        asks = tuple(tls_ask(one) for one in system.tls_endpoints() if one.node == node)
        if asks:
            yield Question(Target(node.name), asks)


def _parse_certificates(replies: tuple[Reply, ...]) -> tuple[Certificate, ...]:
    """Read the certificates of the ports that showed one.

    A port without TLS is left out: `tls.handshake` tells of it. A certificate that was shown and
    cannot be read is told of nowhere else, so nothing is claimed then.
    """
    certificates: list[Certificate] = []
    reasons: list[str] = []
    for reply in replies:
        try:
            certificates.append(read_certificate(reply))
        except ReplyError as error:
            if read_transcript(reply).event("tls") is not None:
                raise
            reasons.append(str(error))
    if not certificates:
        raise ReplyError("；".join(dict.fromkeys(reasons)) or "没有取得证书")
    return tuple(certificates)


def _judge_certificates(
    certificates: tuple[Certificate, ...], limits: CertificateLimits, subject: Subject
) -> Iterator[Verdict]:
    for _, group in groupby(sorted(certificates, key=_identity), key=_identity):
        yield _judge_certificate(tuple(group), limits, subject.taken_at)


def _identity(certificate: Certificate) -> str:
    return certificate.fingerprint


def _judge_certificate(
    shown: tuple[Certificate, ...], limits: CertificateLimits, now: datetime
) -> Verdict:
    ports = "、".join(str(one.port) for one in shown)
    days_left = (shown[0].not_after_at - now).total_seconds() / DAY_S
    metrics = {"days_left": round(days_left, 1)}
    flaws = [
        *_date_flaws(shown[0], limits, now),
        *_trust_flaws(shown),
        *_chain_flaws(shown),
        *_key_flaws(shown, limits),
    ]
    until = f"{shown[0].not_after_at:%Y-%m-%d}（UTC）到期，剩余 {days_left:.0f} 天"
    if not flaws:
        summary = f"证书有效：{until}（下限 {limits.days_left.warning:g} 天），端口 {ports}"
        return Verdict(Severity.OK, summary, "", _rows(shown), metrics, ports)
    return Verdict(
        max(flaw.severity for flaw in flaws),
        f"{'；'.join(flaw.text for flaw in flaws)}；端口 {ports}",
        "".join(dict.fromkeys(flaw.advice for flaw in flaws)),
        _rows(shown),
        metrics,
        ports,
    )


def _date_flaws(
    certificate: Certificate, limits: CertificateLimits, now: datetime
) -> Iterator[Flaw]:
    renew = "请申请新证书，更换后重新加载各邮件与 Web 服务。"
    day = f"{certificate.not_after_at:%Y-%m-%d}（UTC）"
    days_left = (certificate.not_after_at - now).total_seconds() / DAY_S
    severity = limits.days_left.severity(days_left)
    if days_left <= 0:
        yield Flaw(Severity.CRITICAL, f"证书已于 {day}过期（{-days_left:.0f} 天前）", renew)
    elif severity is not Severity.OK:
        floor = limits.days_left
        limit = floor.critical if severity is Severity.CRITICAL else floor.warning
        yield Flaw(
            severity, f"证书将于 {day}到期，剩余 {days_left:.1f} 天（下限 {limit:g} 天）", renew
        )
    if certificate.not_before_at > now:
        start = f"{certificate.not_before_at:%Y-%m-%d %H:%M}（UTC）"
        advice = "请核对证书的生效时间与主机时钟。"
        yield Flaw(Severity.CRITICAL, f"证书尚未生效，{start}起有效", advice)


def _trust_flaws(shown: tuple[Certificate, ...]) -> Iterator[Flaw]:
    names = dict.fromkeys(one.server_name for one in shown if not one.covers(one.server_name))
    if names:
        covered = "、".join(shown[0].names) or "无"
        text = f"证书不含主机名 {'、'.join(names)}（证书内名称：{covered}）"
        yield Flaw(Severity.CRITICAL, text, "请申请包含用户所用全部主机名的证书。")
    if distrust := next((one.distrust for one in shown if one.distrust), None):
        advice = (
            "请安装受信任机构签发的证书及完整的中间证书；使用内部 CA 时请在站点文件填写 ca_file。"
        )
        text = f"证书不受信任（{distrust}）"
        if incomplete := [one for one in shown if one.distrust and one.lacks_issuer]:
            text = f"没有发送中间证书「{incomplete[0].issuer}」，部分客户端不信任（{distrust}）"
        yield Flaw(Severity.WARNING, text, advice)


def _chain_flaws(shown: tuple[Certificate, ...]) -> Iterator[Flaw]:
    if ports := [str(one.port) for one in shown if not _is_in_order(one)]:
        text = f"端口 {'、'.join(ports)} 的证书链顺序有误或含无关证书"
        advice = "请按「服务器证书、中间证书」的顺序重新拼接证书文件，去掉多余的证书。"
        yield Flaw(Severity.NOTICE, text, advice)


def _is_in_order(certificate: Certificate) -> bool:
    """Tell whether each certificate is followed by that of its issuer (RFC 5246 §7.4.2)."""
    pairs = zip(certificate.chain, certificate.chain[1:], strict=False)
    return all(one.issuer == other.subject for one, other in pairs)


def _key_flaws(shown: tuple[Certificate, ...], limits: CertificateLimits) -> Iterator[Flaw]:
    links = {link.der: link for one in shown for link in one.chain}.values()
    for link in links:
        if link.key_type == "RSA" and link.key_bits < limits.rsa_bits:
            text = f"密钥过短：{link.subject} RSA {link.key_bits} 位（下限 {limits.rsa_bits} 位）"
            advice = f"请用不短于 {limits.rsa_bits} 位的密钥重新申请证书。"
            yield Flaw(Severity.WARNING, text, advice)
        # Nobody checks how a root signed itself.
        if link.digest in limits.broken_digests and link.issuer != link.subject:
            text = (
                f"签名算法过时：{link.subject} 由 {link.digest.upper()} 签名（应为 SHA-256 以上）"
            )
            yield Flaw(Severity.WARNING, text, "请重新申请以 SHA-256 签名的证书及中间证书。")


def _rows(shown: tuple[Certificate, ...]) -> tuple[str, ...]:
    one = shown[0]
    return (
        f"主体 {one.subject}",
        f"签发者 {one.issuer}",
        f"名称 {'、'.join(one.names)}",
        f"有效期 {one.not_before_at:%Y-%m-%d %H:%M} 至 {one.not_after_at:%Y-%m-%d %H:%M}（UTC）",
        f"密钥 {one.key_type} {one.key_bits}",
        f"SHA-256 {one.fingerprint}",
        *(f"{each.port} 端口，以 {each.server_name} 访问" for each in shown),
    )


_PORT_25_ONLY = "端口 25 为机会加密，停用后老旧的外域服务器将改用明文"
_CIPHER_TEXT = {
    "NULL": "不加密（NULL）",
    "ANON": "不验证身份（匿名）",
    "EXPORT": "出口级（EXPORT）",
    "RC4": "RC4",
    "3DES": "3DES",
    "NOFS": "无前向保密（RSA 密钥交换）",
}


def _ask_offers(system: System) -> Iterator[Question]:
    return ask_each(offers_ask, system.tls_endpoints())


def _parse_offers(replies: tuple[Reply, ...]) -> Offers:
    return read_offers(replies[0])


def _judge_offers(offers: Offers, limits: OfferLimits, subject: Subject) -> Iterator[Verdict]:
    protocol = endpoint_at(subject.system, subject.target).listener.protocol
    old = [name for name in offers.versions if name in limits.outdated]
    broken = [_CIPHER_TEXT[name] for name in offers.weak if name in limits.broken]
    rows = tuple(_offer_rows(offers))
    accepted = "、".join(offers.versions)
    problems = _offered("过时协议", old) + _offered("弱算法", broken)
    if problems:
        # RFC 7435: between servers the alternative to weak encryption is none.
        is_relay = protocol is Protocol.SMTP
        severity = Severity.NOTICE if is_relay else Severity.WARNING
        note = f"（{_PORT_25_ONLY}）" if is_relay else ""
        advice = "请在服务的 TLS 配置中只保留 TLSv1.2、TLSv1.3 与 ECDHE 算法。"
        summary = f"仍接受{'，'.join(problems)}；应只提供 TLSv1.2 以上与强算法{note}"
        yield Verdict(severity, summary, advice, rows)
    elif "NOFS" in offers.weak:
        advice = "请在服务的 TLS 配置中只保留 ECDHE 与 DHE 算法。"
        summary = f"协议 {accepted} 符合要求；仍接受无前向保密的算法，建议停用"
        yield Verdict(Severity.NOTICE, summary, advice, rows)
    else:
        summary = f"只提供 {accepted}（应为 TLSv1.2 以上），未发现弱算法{_untried(offers)}"
        yield Verdict(Severity.OK, summary, evidence=rows)


def _offered(what: str, names: list[str]) -> list[str]:
    return [f"{what} {'、'.join(names)}"] if names else []


def _untried(offers: Offers) -> str:
    names = [_CIPHER_TEXT.get(name, name) for name in offers.untried]
    return f"；巡检机无法测试 {'、'.join(names)}" if names else ""


def _offer_rows(offers: Offers) -> Iterator[str]:
    yield f"接受的版本：{'、'.join(offers.versions)}"
    yield f"拒绝的版本：{'、'.join(offers.refused) or '无'}"
    if offers.cipher_names:
        yield f"接受的弱算法：{'、'.join(offers.cipher_names)}"
    if offers.untried:
        yield f"未测：{'、'.join(_CIPHER_TEXT.get(name, name) for name in offers.untried)}"


@dataclass(frozen=True, slots=True)
class Presented:
    """A host's certificates, and the names of the mail exchangers with their addresses."""

    certificates: tuple[Certificate, ...]
    exchangers: tuple[tuple[str, tuple[str, ...]], ...]


def _ask_names(system: System) -> Iterator[Question]:
    lookups = tuple(dns_ask("mx", domain.name) for domain in system.site.domains)
    for node in system.nodes_of(Role.MAIL):
        asks = tuple(tls_ask(one) for one in system.tls_endpoints() if one.node == node)
        if asks:
            yield Question(Target(node.name), (*lookups, *asks))


def _parse_names(replies: tuple[Reply, ...]) -> Presented:
    is_lookup = [read_transcript(one).event("resolver") is not None for one in replies]
    lookups = read_lookups(*(one for one, is_dns in zip(replies, is_lookup, strict=True) if is_dns))
    shown = tuple(one for one, is_dns in zip(replies, is_lookup, strict=True) if not is_dns)
    return Presented(_parse_certificates(shown), exchangers_in(lookups))


def _judge_names(fact: Presented, _limits: NamesLimits, subject: Subject) -> Iterator[Verdict]:
    virtual, relayed = _virtual_names(subject), _exchanger_names(fact, subject)
    missing = {**_uncovered(virtual, fact), **_uncovered(relayed, fact)}
    rows = tuple(f"{one.port} 端口：{'、'.join(one.names) or '无'}" for one in fact.certificates)
    if not missing:
        names = "、".join({**virtual, **relayed}) or "无"
        yield Verdict(Severity.OK, f"证书包含 MX 与虚拟地址所用的名称（{names}）", evidence=rows)
        return
    # Users' programs refuse the connection, servers seldom look at the name (RFC 7435).
    severity = Severity.CRITICAL if missing.keys() & virtual.keys() else Severity.WARNING
    listed = "；".join(f"{name}（端口 {'、'.join(ports)}）" for name, ports in missing.items())
    yield Verdict(
        severity,
        f"证书不含用户或外域所用的名称 {listed}，应全部包含",
        "请申请包含主机名、网页名、虚拟地址名与 MX 名的证书。",
        rows,
    )


Names = dict[str, frozenset[int]]


def _uncovered(names: Names, fact: Presented) -> dict[str, list[str]]:
    """Return the ports whose certificate lacks a name that leads there, for each such name."""
    found = {
        name: [
            str(one.port) for one in fact.certificates if one.port in ports and not one.covers(name)
        ]
        for name, ports in names.items()
    }
    return {name: ports for name, ports in found.items() if ports}


def _virtual_names(subject: Subject) -> Names:
    """Return the names of the virtual addresses that this host may hold, with their ports."""
    node = subject.system.node(subject.target.node)
    listeners = [one.listener for one in subject.system.tls_endpoints() if one.node == node]
    mail = (one for one in listeners if one.public and one.protocol is not Protocol.HTTPS)
    ports = frozenset(one.port for one in mail)
    addresses = subject.system.site.virtual_addresses
    return {one.hostname.lower(): ports for one in addresses if node.name in one.nodes}


def _exchanger_names(fact: Presented, subject: Subject) -> Names:
    """Return the names of the mail exchangers that lead to this host, with its relay ports."""
    node = subject.system.node(subject.target.node)
    relays = (one for one in subject.system.endpoints(Protocol.SMTP) if one.node == node)
    ports = frozenset(one.listener.port for one in relays)
    own, addresses = normal_name(node.hostname), {node.address, node.seen_address}
    return {
        name: ports
        for name, led_to in fact.exchangers
        if name == own or not addresses.isdisjoint(led_to)
    }


CHECKS = (
    Check(
        name="tls.handshake",
        area=Area.TLS,
        title="加密连接",
        question="加密端口能否以不过时的协议建立连接？",
        ask=_ask_handshake,
        parse=_parse_handshake,
        judge=_judge_handshake,
        limits=HandshakeLimits(),
        source="RFC 8996（停用 TLS 1.0、1.1）；RFC 3207；RFC 8314 §3",
        after=(
            "network.reach",
            "service.ports",
            "service.steadiness",
            "service.processes",
            "smtp.greeting",
        ),
    ),
    Check(
        name="tls.certificate",
        area=Area.TLS,
        title="证书",
        question="证书是否有效、可信、名称相符且未临近到期？",
        ask=_ask_certificates,
        parse=_parse_certificates,
        judge=_judge_certificates,
        limits=CertificateLimits(Floor(warning=30, critical=7), rsa_bits=2048),
        source="RFC 5280 §4.1.2.5、RFC 9525；NIST SP 800-57（RSA 2048 位）；"
        "RFC 9155（停用 SHA-1）；RFC 5246 §7.4.2（证书链顺序）；"
        "到期前 30 天为通行续期期限，7 天取自 mailcow watchdog",
        after=("network.reach", "service.ports", "service.steadiness", "tls.handshake"),
    ),
    Check(
        name="tls.offers",
        area=Area.TLS,
        title="TLS 版本与算法",
        question="加密端口是否还接受过时的协议版本或弱算法？",
        ask=_ask_offers,
        parse=_parse_offers,
        judge=_judge_offers,
        limits=OfferLimits(),
        source="RFC 8996（停用 TLS 1.0、1.1）；RFC 9325 §4.1（禁用 NULL、RC4、匿名与出口级算法，"
        "建议前向保密）；RFC 7435（端口 25 为机会加密，只作提示）",
        after=(
            "network.reach",
            "service.ports",
            "service.steadiness",
            "smtp.greeting",
            "tls.handshake",
        ),
    ),
    Check(
        name="tls.names",
        area=Area.TLS,
        title="证书名称",
        question="证书是否包含 MX 与虚拟地址所用的名称？",
        ask=_ask_names,
        parse=_parse_names,
        judge=_judge_names,
        limits=NamesLimits(),
        source="RFC 9525 §6；RFC 8461 §4.1（发件方按 MX 名验证证书）",
        after=(
            "network.reach",
            "service.ports",
            "service.steadiness",
            "tls.handshake",
            "tls.certificate",
            "dns.resolver",
            "dns.mx",
        ),
    ),
)

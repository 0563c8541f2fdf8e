"""TLS on every declared port: whether it can be negotiated, and what certificate it shows.

The handshake is judged port by port, the certificate once for all the ports of a host that show
the same one: a certificate that runs out is one fault, not eight.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from mailcare.inspection.certificate import (
    Certificate,
    Handshake,
    read_certificate,
    read_handshake,
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
from mailcare.inspection.probes import ask_each, endpoint_at, tls_ask
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
    """Days left before the end; the shortest RSA key in bits."""

    days_left: Floor
    rsa_bits: int


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
    flaws = [*_date_flaws(shown[0], limits, now), *_trust_flaws(shown), *_key_flaws(shown, limits)]
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
        yield Flaw(Severity.WARNING, f"证书不受信任（{distrust}）", advice)


def _key_flaws(shown: tuple[Certificate, ...], limits: CertificateLimits) -> Iterator[Flaw]:
    certificate = shown[0]
    if certificate.key_type == "RSA" and certificate.key_bits < limits.rsa_bits:
        text = f"密钥过短：RSA {certificate.key_bits} 位（下限 {limits.rsa_bits} 位）"
        yield Flaw(Severity.WARNING, text, f"请用不短于 {limits.rsa_bits} 位的密钥重新申请证书。")


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
        after=("network.reach", "service.ports", "service.processes", "smtp.greeting"),
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
        "到期前 30 天为通行续期期限，7 天取自 mailcow watchdog",
        after=("network.reach", "service.ports", "tls.handshake"),
    ),
)

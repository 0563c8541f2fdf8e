"""Read what a TLS probe recorded: the handshake, the certificate and what the verifier said."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailcare.inspection.check import Reply, ReplyError
from mailcare.inspection.dialogues import (
    before_farewell,
    last_line,
    read_attempt,
    read_opened,
    silence,
    smtp_code,
)
from mailcare.inspection.transcript import Transcript

# Expired, not yet valid: what the verifier says of dates is judged from the certificate itself.
_DATE_ERRORS = frozenset({"9", "10"})
CLOSING = 421  # RFC 5321 §4.2.2: the service is going away for now
# Handshakes that this machine's OpenSSL cannot make say nothing about the server.
_OUR_LIMITS = (
    "UNSUPPORTED_PROTOCOL",
    "NO_PROTOCOLS_AVAILABLE",
    "VERSION_TOO_LOW",
    "ALERT_PROTOCOL_VERSION",
    "KEY_TOO_SMALL",
    "LEGACY",
    "HANDSHAKE_FAILURE",
)

_UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion)


@dataclass(frozen=True, slots=True)
class Handshake:
    """One port's TLS as negotiated; `failure` says why there is none."""

    port: int
    version: str = ""
    cipher: str = ""
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A server certificate as one port presented it, under the name that was asked for.

    `distrust` is the verifier's text where no trusted authority vouches for it.
    """

    port: int
    server_name: str
    fingerprint: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before_at: datetime
    not_after_at: datetime
    key_type: str
    key_bits: int
    distrust: str | None

    def covers(self, name: str) -> bool:
        """Tell whether the certificate is for `name` (RFC 9525 §6.3: one leading wildcard)."""
        wanted = name.rstrip(".").lower()
        parent = wanted.partition(".")[2]
        return any(one == wanted or (parent and one == f"*.{parent}") for one in self.names)


def read_handshake(reply: Reply) -> Handshake:
    """Read how TLS was negotiated; raise `ReplyError` where it was our side that could not."""
    transcript = read_opened(reply)
    port = read_attempt(reply).port
    if (tls := transcript.event("tls")) is not None:
        version, _, cipher = tls.partition(" ")
        return Handshake(port, version, cipher)
    failure = transcript.event("tls-failed")
    if failure is not None and any(ours in failure.upper() for ours in _OUR_LIMITS):
        raise ReplyError(f"巡检机的 OpenSSL 不支持该端口的 TLS 版本或算法（{failure}）")
    return Handshake(port, failure=_why(transcript))


def _why(transcript: Transcript) -> str:
    if (why := silence(transcript)) is not None:
        return why
    line = last_line(before_farewell(transcript))
    if not line:
        raise ReplyError("回复中没有 TLS 记录")
    code = smtp_code(line)
    at_greeting = code is not None and 400 <= code < 500 and not transcript.after("STARTTLS")
    if code == CLOSING or at_greeting or line.startswith("* BYE"):
        raise ReplyError(f"服务器暂时拒绝：{line}")
    return f"服务器不接受加密：{line}"


def read_certificate(reply: Reply) -> Certificate:
    """Read the certificate that a port presented; raise `ReplyError` where there is none."""
    transcript = read_opened(reply)
    leaf = _load(transcript)
    try:
        return _describe(leaf, transcript, read_attempt(reply).port)
    except _UNREADABLE as error:
        raise ReplyError(f"证书内容无法解析（{error}）") from None


def _load(transcript: Transcript) -> x509.Certificate:
    lines = transcript.said()
    try:
        start = lines.index("-----BEGIN CERTIFICATE-----")
        end = lines.index("-----END CERTIFICATE-----", start)
        return x509.load_pem_x509_certificate("\n".join(lines[start : end + 1]).encode())
    except _UNREADABLE as error:
        raise ReplyError(silence(transcript) or f"没有取得可读的证书（{error}）") from None


def _describe(leaf: x509.Certificate, transcript: Transcript, port: int) -> Certificate:
    key_type, key_bits = _key(leaf)
    return Certificate(
        port=port,
        server_name=transcript.event("server-name") or "",
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        subject=leaf.subject.rfc4514_string(),
        issuer=leaf.issuer.rfc4514_string(),
        names=_names(leaf),
        not_before_at=leaf.not_valid_before_utc,
        not_after_at=leaf.not_valid_after_utc,
        key_type=key_type,
        key_bits=key_bits,
        distrust=_distrust(transcript),
    )


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower() for name in names.get_values_for_type(x509.DNSName))


def _key(leaf: x509.Certificate) -> tuple[str, int]:
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.key_size
    return type(key).__name__.removesuffix("PublicKey").strip("_"), 0


def _distrust(transcript: Transcript) -> str | None:
    failed = transcript.event("verify-failed")
    if failed is None:
        return None
    code, _, text = failed.partition(" ")
    return None if code in _DATE_ERRORS else text or "verification failed"

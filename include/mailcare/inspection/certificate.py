"""Read what a TLS probe recorded: the handshake, the certificate and what the verifier said."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

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

# The versions that are tried, with the names that Python's ssl module has for them.
VERSIONS = {
    "TLSv1": "TLSv1",
    "TLSv1.1": "TLSv1_1",
    "TLSv1.2": "TLSv1_2",
    "TLSv1.3": "TLSv1_3",
}
# Ciphers that protect badly, as OpenSSL selects them; `kRSA` has no forward secrecy.
WEAK_CIPHERS = {
    "NULL": "eNULL",
    "ANON": "aNULL",
    "EXPORT": "EXPORT",
    "RC4": "RC4",
    "3DES": "3DES",
    "NOFS": "kRSA",
}
_WEAK_MARKS = (("NULL", "NULL"), ("RC4", "RC4"), ("DES-", "3DES"), ("EXP", "EXPORT"))
# What our own OpenSSL says when it has nothing to offer.
_NOT_OFFERED = ("NO_PROTOCOLS_AVAILABLE", "NO_CIPHERS_AVAILABLE", "INTERNAL_ERROR")

_UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion)


@dataclass(frozen=True, slots=True)
class Handshake:
    """One port's TLS as negotiated; `failure` says why there is none."""

    port: int
    version: str = ""
    cipher: str = ""
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """One certificate of the chain that a server sent; `digest` is its signature's hash."""

    subject: str
    issuer: str
    digest: str
    key_type: str
    key_bits: int
    der: bytes
    public_key_der: bytes


@dataclass(frozen=True, slots=True)
class Offers:
    """What one port accepted of what it was offered: versions, weak ciphers.

    `untried` could not be offered or brought no clear answer; `cipher_names` are those taken.
    """

    port: int
    versions: tuple[str, ...]
    refused: tuple[str, ...]
    weak: tuple[str, ...]
    untried: tuple[str, ...]
    cipher_names: tuple[str, ...]


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

    chain: tuple["Link", ...] = ()

    @property
    def lacks_issuer(self) -> bool:
        """Tell whether the server sent its own certificate without that of its issuer."""
        senders = {link.subject for link in self.chain[1:]}
        return self.issuer != self.subject and self.issuer not in senders

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
    try:
        chain = [x509.load_pem_x509_certificate(text) for text in _blocks(transcript)]
        if chain:
            return _describe(chain, transcript, read_attempt(reply).port)
    except _UNREADABLE as error:
        raise ReplyError(silence(transcript) or f"证书内容无法解析（{error}）") from None
    raise ReplyError(silence(transcript) or "没有取得可读的证书")


def _blocks(transcript: Transcript) -> Iterator[bytes]:
    block: list[str] = []
    for line in transcript.said():
        if line == "-----BEGIN CERTIFICATE-----" or block:
            block.append(line)
        if block and line == "-----END CERTIFICATE-----":
            yield "\n".join(block).encode()
            block = []


def _describe(chain: list[x509.Certificate], transcript: Transcript, port: int) -> Certificate:
    leaf = chain[0]
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
        chain=tuple(map(_link, chain)),
    )


def _link(certificate: x509.Certificate) -> Link:
    key_type, key_bits = _key(certificate)
    digest = certificate.signature_hash_algorithm  # None for Ed25519, which needs no other
    return Link(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        digest=digest.name if digest else "",
        key_type=key_type,
        key_bits=key_bits,
        der=certificate.public_bytes(Encoding.DER),
        public_key_der=certificate.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        ),
    )


def read_offers(reply: Reply) -> Offers:
    """Read what a port accepted; raise `ReplyError` where no version is known either way."""
    transcript = read_opened(reply)
    said = {name: _answer(lines) for name, lines in _sections(transcript).items()}
    versions = tuple(name for name in VERSIONS if said.get(name, _UNCLEAR)[0])
    refused = tuple(name for name in VERSIONS if said.get(name, _UNCLEAR)[0] is False)
    if not versions:
        raise ReplyError("没有一个 TLS 版本握手成功，无法判断端口提供的版本与算法")
    taken = [cipher for name, (_, cipher) in said.items() if name not in VERSIONS and cipher]
    weak = tuple(dict.fromkeys(filter(None, map(weakness_of, taken))))
    lacking = (transcript.event("cannot-offer") or "").split()
    if not any(name not in VERSIONS and answer[0] is not None for name, answer in said.items()):
        lacking = list(WEAK_CIPHERS)
    unclear = [name for name in VERSIONS if name not in (*versions, *refused)]
    untried = (*unclear, *(name for name in WEAK_CIPHERS if name in lacking))
    return Offers(read_attempt(reply).port, versions, refused, weak, untried, tuple(taken))


def weakness_of(cipher: str) -> str:
    """Name the weak group that a cipher belongs to, empty where it is none."""
    if cipher.startswith(("ADH-", "AECDH-")) and "NULL" not in cipher:
        return "ANON"
    for mark, name in _WEAK_MARKS:
        if mark in cipher:
            return name
    return "" if cipher.startswith(("ECDHE-", "DHE-", "TLS_")) or not cipher else "NOFS"


_Answer = tuple[bool | None, str]
_UNCLEAR: _Answer = (None, "")


def _sections(transcript: Transcript) -> dict[str, list[tuple[str, str]]]:
    sections: dict[str, list[tuple[str, str]]] = {}
    lines: list[tuple[str, str]] = []
    for mark, text in transcript.lines:
        word, _, rest = text.partition(" ")
        if mark == "#" and word in ("offer", "cannot-offer"):
            lines = []
            if word == "offer":
                sections[rest] = lines
        lines.append((mark, text))
    return sections


def _answer(lines: list[tuple[str, str]]) -> _Answer:
    """Tell whether an offer was taken (and with what cipher), refused, or came to nothing."""
    attempt = Transcript(tuple(lines))
    if (tls := attempt.event("tls")) is not None:
        return True, tls.partition(" ")[2]
    failure = attempt.event("tls-failed")
    if failure is None or any(word in failure.upper() for word in (*_NOT_OFFERED, "TIMEOUT")):
        return _UNCLEAR
    return False, ""


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

"""The certificates that engineers sign papers with: the operator's own one, else a test one.

A test certificate is made at first use, by an authority of this installation that nobody outside
of it knows. It proves that a paper was not changed; who signed it, it proves to us alone.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
from cryptography.x509.oid import NameOID

from mailcare.errors import InputError, Unavailable
from mailcare.files import write_once
from mailcare.settings import data_folder

SETTING = "MAILCARE_SIGNING_CERTIFICATE"
PASSPHRASE_SETTING = "MAILCARE_SIGNING_PASSPHRASE_FILE"  # noqa: S105 - names a file
AUTHORITY = "authority"
TEST_DAYS = 3650
ORGANISATION = "mailcare 测试证书"
DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # RFC 9336
Chain = tuple[x509.Certificate, ...]
Key = ec.EllipticCurvePrivateKey
NAME_CHARACTERS_MOST = 64  # of a common name: RFC 5280, appendix A.1


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its key; `chain` are those above it, `is_test` tells our own from bought.

    `key` is PKCS#8 in DER without a passphrase, in memory only.
    """

    certificate: x509.Certificate
    chain: Chain
    is_test: bool
    key: bytes = field(repr=False)

    @property
    def issued(self) -> str:
        """Say whose certificate it is, as the seal shows it."""
        if self.is_test:
            return "测试证书，仅用于核对文件未被改动"
        return f"证书：{common_name(self.certificate)}"


def signing_identity(login: str, name: str, *, now: datetime) -> Identity:
    """Return what an engineer signs with: the operator's PKCS#12 file, else a test certificate.

    Raise `InputError` for a file that cannot be used, `Unavailable` where none can be written.
    """
    if chosen := os.environ.get(SETTING):
        return _bought(Path(chosen), now)
    folder = data_folder() / "signing"
    authority = _kept(folder, AUTHORITY, lambda: _make_authority(now))
    # One certificate a person: whose login gets another name signs with a new one.
    stem = f"engineer-{sha256(f'{login}/{name}'.encode()).hexdigest()[:16]}"
    own = _kept(folder, stem, lambda: _make_engineer(authority, name, now))
    return Identity(own.certificate, (authority.certificate,), is_test=True, key=own.key)


def trusted_roots() -> Chain:
    """Return whom a signature's certificate may come from: our test authority, the bought chain."""
    test = data_folder() / "signing" / f"{AUTHORITY}.pem"
    roots = tuple(x509.load_pem_x509_certificates(test.read_bytes())) if test.exists() else ()
    if chosen := os.environ.get(SETTING):
        bought = _load(Path(chosen))
        roots += bought.chain or (bought.certificate,)
    return roots


def is_test(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate was made by an installation like this one, not bought."""
    found = certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return any(one.value == ORGANISATION for one in found)


def common_name(certificate: x509.Certificate) -> str:
    """Return whom a certificate names."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else certificate.subject.rfc4514_string()


def _bought(file: Path, now: datetime) -> Identity:
    identity = _load(file)
    certificate = identity.certificate
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        until = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        raise InputError(f"签名证书不在有效期内（至 {until}），请更换", subject=str(file))
    return identity


def _load(file: Path) -> Identity:
    try:
        found = pkcs12.load_key_and_certificates(file.read_bytes(), _passphrase())
    except OSError as error:
        raise InputError(f"签名证书无法读取（{error.strerror}）", subject=SETTING) from None
    except ValueError:
        raise InputError("不是 PKCS#12 文件，或口令不对", subject=SETTING) from None
    key, certificate, more = found
    if key is None or certificate is None:
        raise InputError("文件中没有私钥或证书", subject=SETTING)
    return Identity(certificate, tuple(more), is_test=False, key=_pkcs8(key, Encoding.DER))


def _passphrase() -> bytes | None:
    file = os.environ.get(PASSPHRASE_SETTING)
    return Path(file).read_bytes().strip() if file else None


def _kept(folder: Path, stem: str, make: Callable[[], tuple[Key, x509.Certificate]]) -> Identity:
    """Return a certificate of ours, made where there is none; of two made at once one stays."""
    file = folder / f"{stem}.pem"
    try:
        if not file.exists():
            key, certificate = make()
            written = _pkcs8(key, Encoding.PEM) + certificate.public_bytes(Encoding.PEM)
            write_once(file, written)
        text = file.read_bytes()
    except OSError as error:
        raise Unavailable(f"测试证书写不进去（{error.strerror}）", subject=str(file)) from error
    key = serialization.load_pem_private_key(text, password=None)
    return Identity(
        x509.load_pem_x509_certificate(text), (), is_test=True, key=_pkcs8(key, Encoding.DER)
    )


def _make_authority(now: datetime) -> tuple[Key, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("mailcare 测试证书签发者")
    certificate = (
        _builder(name, name, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _make_engineer(authority: Identity, name: str, now: datetime) -> tuple[Key, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    signing_key = serialization.load_der_private_key(authority.key, password=None)
    assert isinstance(signing_key, ec.EllipticCurvePrivateKey)  # as `_make_authority` made it
    certificate = (
        _builder(authority.certificate.subject, _name(name), key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([DOCUMENT_SIGNING]), critical=False)
        .sign(signing_key, hashes.SHA256())
    )
    return key, certificate


def _builder(
    issuer: x509.Name, subject: x509.Name, key: Key, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=TEST_DAYS))
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=not is_authority,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common[:NAME_CHARACTERS_MOST]),
        ]
    )


def _pkcs8(key: PrivateKeyTypes, encoding: Encoding) -> bytes:
    return key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

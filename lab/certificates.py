"""The lab's certificate authority and the certificates that the mail hosts show."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab import state

_INTERMEDIATE = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mailcare lab intermediate CA")])


@dataclass(frozen=True, slots=True)
class Pair:
    """Hold a certificate and its private key, both as PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Wish:
    """Say what a server certificate is to look like; days count from now."""

    names: Sequence[str]
    from_day: int = -1
    until_day: int = 365
    is_self_signed: bool = False
    is_under_intermediate: bool = False


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write a private key as PEM without a passphrase."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def make_authority() -> Pair:
    """Make the lab's own certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mailcare lab CA")])
    builder = (
        _builder(name, key.public_key(), from_day=-1, until_day=3650)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_authority_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), key_pem(key))


def issue(wish: Wish) -> Pair:
    """Issue a server certificate, signed by the lab's authority or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wish.names[0])])
    signer, issuer = _authority()
    if wish.is_self_signed:
        signer, issuer = key, name
    elif wish.is_under_intermediate:
        # Its certificate is never sent, so none is made: that is the fault.
        signer, issuer = ec.generate_private_key(ec.SECP256R1()), _INTERMEDIATE
    builder = (
        _builder(name, key.public_key(), from_day=wish.from_day, until_day=wish.until_day)
        .issuer_name(issuer)
        .add_extension(_names(wish.names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    certificate = builder.sign(signer, hashes.SHA256())
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), key_pem(key))


def _authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Name]:
    certificate = x509.load_pem_x509_certificate(state.CA_CERTIFICATE.read_bytes())
    key = serialization.load_pem_private_key(state.CA_KEY.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        message = f"{state.CA_KEY} does not hold an EC key"
        raise TypeError(message)
    return key, certificate.subject


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, *, from_day: int, until_day: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=from_day))
        .not_valid_after(now + datetime.timedelta(days=until_day))
    )


def _names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def _authority_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )

"""The lab's other keys: SSH host keys (deterministic), the inspector's key, the DKIM key."""

import base64
import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

_HOST_KEY_SEED = b"mailcare lab host key "


def host_key(short_name: str, *, seed: bytes = _HOST_KEY_SEED) -> ed25519.Ed25519PrivateKey:
    """Derive a host's SSH key from its name, so that a site file can pin its public half."""
    digest = hashlib.sha256(seed + short_name.encode()).digest()
    return ed25519.Ed25519PrivateKey.from_private_bytes(digest)


def changed_host_key(short_name: str) -> ed25519.Ed25519PrivateKey:
    """Derive the key a host shows after somebody else took its place."""
    return host_key(short_name, seed=b"mailcare lab impostor key ")


def random_ssh_key() -> ed25519.Ed25519PrivateKey:
    """Make the inspector's key pair."""
    return ed25519.Ed25519PrivateKey.generate()


def openssh_private(key: ed25519.Ed25519PrivateKey) -> bytes:
    """Write a private key as OpenSSH does."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )


def openssh_public(key: ed25519.Ed25519PrivateKey) -> str:
    """Write the public half on one line, as in known_hosts and authorized_keys."""
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode()
    )


def load_openssh(private: bytes) -> ed25519.Ed25519PrivateKey:
    """Read back a private key that `openssh_private` wrote."""
    key = serialization.load_ssh_private_key(private, password=None)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        message = "not an ed25519 key"
        raise TypeError(message)
    return key


def make_dkim_key() -> bytes:
    """Make an RSA key for signing mail, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def dkim_record(private: bytes) -> str:
    """Write the TXT data that publishes a DKIM key, in quoted pieces of at most 255 characters."""
    key = serialization.load_pem_private_key(private, password=None)
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
    return " ".join(f'"{text[at : at + 250]}"' for at in range(0, len(text), 250))

"""The word of a letter that only its recipient may know, such as the token of a link.

The outbox keeps a mark in its place. The word is put in when the letter goes: reckoned from the
letter's key and a secret of this installation, so that whoever reads the records does not have it.
"""

import base64
import hashlib
import hmac
import secrets
from pathlib import Path

from mailcare.errors import Unavailable
from mailcare.files import write_once
from mailcare.settings import data_folder

MARK = "［发信时填入］"
SECRET_BYTES = 32


def sealed_word(key: str) -> str:
    """Return a letter's word, 256 bits as a URL takes them; the same however often it is asked."""
    said = hmac.digest(_secret(), key.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(said).decode().rstrip("=")


def unsealed(body: str, key: str) -> str:
    """Return a letter's body as it goes out."""
    return body.replace(MARK, sealed_word(key)) if MARK in body else body


def _secret() -> bytes:
    path = data_folder() / "letters.key"
    try:
        return path.read_bytes() if path.exists() else _make_secret(path)
    except OSError as error:
        raise Unavailable(f"密钥文件无法读写（{error.strerror}）", subject=str(path)) from error


def _make_secret(path: Path) -> bytes:
    write_once(path, secrets.token_bytes(SECRET_BYTES))
    return path.read_bytes()

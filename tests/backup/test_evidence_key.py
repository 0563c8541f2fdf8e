from concurrent.futures import ThreadPoolExecutor

import pytest

from mailcare.backup.evidence import public_text, signing_key
from mailcare.errors import InputError


def test_whoever_makes_the_key_first_all_sign_with_the_same(tmp_path):
    path = tmp_path / "keys/evidence.pem"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: public_text(signing_key(path)), range(32)))
    assert len(keys) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["evidence.pem"]


def test_a_key_that_is_none_is_told(tmp_path):
    path = tmp_path / "evidence.pem"
    path.write_text("no key")
    with pytest.raises(InputError, match="签名密钥无法读取"):
        signing_key(path)

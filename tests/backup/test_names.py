"""What the name of a message tells."""

import pytest

from mailcare.backup.names import stated_bytes


@pytest.mark.parametrize(
    ("name", "size_bytes"),
    [
        (b"1700000000.M1P2.mx1,S=1234,W=1260:2,S", 1234),
        (b"1700000000.M1P2.mx1,S=0", 0),
        (b"1700000000.M1P2.mx1:2,RS", None),
    ],
)
def test_the_stated_size_is_read_from_the_name(name, size_bytes):
    assert stated_bytes(name) == size_bytes

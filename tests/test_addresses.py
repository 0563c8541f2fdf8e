import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.addresses import BadAddress, parse_address

CUT_OFF = ["a@[", "b@[ ", "@[1", "a@", '"a', "a@(", "\ud800@b", "a\x00@b"]


@pytest.mark.parametrize("text", CUT_OFF)
def test_what_is_cut_off_is_a_bad_address_and_no_crash(text):
    with pytest.raises(BadAddress):
        parse_address(text)


@given(st.text(st.sampled_from('ab@."\\()[]<>,:; \t\n王\x00=?-\ud800'), max_size=12))
def test_whatever_is_written_is_an_address_or_a_bad_one(text):
    try:
        address = parse_address(text)
    except BadAddress:
        return
    assert address.addr_spec.isascii()
    assert all((address.username, address.domain))

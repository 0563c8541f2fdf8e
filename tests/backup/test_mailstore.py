"""What is counted of a folder is the same, whether its names are looked at together or alone."""

import os

from hypothesis import given
from hypothesis import strategies as st

from mailcare.backup.mailstore import Place, StoreMap, arrival_s
from mailcare.systems.copies import StoreFormat

MAP = StoreMap(StoreFormat.MAILDIR, "{domain}/{user}")
PLACE = Place("wang@bank.example", "INBOX", holds_mail=True)
FACTS = os.stat_result((0o100600, 1, 1, 1, 0, 0, 4711, 1_790_000_000, 1_790_000_000, 0))
USUAL = st.builds(
    lambda moment, size: b"%d.M1P2.mx1,S=%d:2,S" % (moment, size),
    st.integers(631_200_000, 4_102_000_000),
    st.integers(0, 10**9),
)
ODD = st.one_of(
    st.binary(min_size=1, max_size=40).map(lambda raw: raw.translate(None, b"/\0") or b"x"),
    st.sampled_from(
        [
            b".lock",
            b"dovecot.index",
            b"1790000000.M1\nP2:2,S",
            b"1790000000.M1,S=1,S=2,W=3",
            b"1790000000.a:2,S:2,F",
            b"100000000.a",
            b"9999999999.a:2,",
            b"1790000000",
            b"1790000000.",
        ]
    ),
)


def alone(name):
    identity = MAP.identity(PLACE, name, FACTS.st_size)
    return identity and (identity, FACTS.st_size, arrival_s(name, FACTS.st_mtime))


@given(st.lists(USUAL, max_size=4), st.lists(ODD, max_size=2))
def test_a_whole_folder_is_counted_as_its_names_one_by_one(usual, odd):
    names = [*usual, *odd]
    wanted = [one for one in map(alone, names) if one]
    assert MAP.sized(PLACE, [(name, FACTS) for name in names]) == wanted


def test_where_no_mail_is_kept_nothing_is_counted():
    elsewhere = Place("wang@bank.example", "INBOX", holds_mail=False)
    assert MAP.sized(elsewhere, [(b"1790000000.M1P2.mx1:2,S", FACTS)]) == []

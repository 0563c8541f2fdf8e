"""Versions are ordered as dpkg and rpm order them, and every order is total."""

import subprocess
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.inspection.versions import compare_deb, compare_rpm, compare_upstream
from tests.surroundings import need

DEB = [
    ("1.0~~", "1.0~~a", "1.0~", "1.0", "1.0a", "1.0+dfsg", "1.0.0"),
    ("1.0-1~deb12u1", "1.0-1", "1.0-1+deb12u1", "1.0-1.1", "1.0-2", "1.0-10"),
    ("1.9", "1.10", "1:0.1", "2:0.0"),
    ("2.31-13+deb11u7", "2.31-13+deb11u9", "2.31-13+deb11u11"),
    ("3.0.18-1~deb12u2", "3.0.22-1~deb12u2", "3.5.4-1~deb13u2"),
    ("1.5.0+dfsg.1-2", "1.5.0+dfsg.1-2ubuntu0.1~esm4", "1.5.0+dfsg.1-2ubuntu0.1"),
]
RPM = [
    ("1.0~rc1-1", "1.0-1", "1.0^git1-1", "1.0.1-1"),
    ("8.7p1-38.el9", "8.7p1-38.el9_4.1", "8.7p1-38.el9_4.4", "8.7p1-43.el9"),
    ("2.28-225.el8", "2.28-225.el8_8.6", "2.28-236.el8_9.13", "2.28-251.el8_10.1"),
    ("9:9.9-9", "10:1.0-1", "32:9.11.36-11.el8_9.1", "32:9.16.23-1.el8"),
    ("1.0a-1", "1.0.1-1", "1.0.1a-1", "1.0.2-1", "1.0.10-1"),
]
UPSTREAM = [("2.10.1", "3.5.22", "3.5.23", "3.6", "3.6.13", "3.10"), ("5.1.9", "5.2", "5.2.0.1")]
ORDERS = [compare_deb, compare_rpm, compare_upstream]
TEXTS = st.one_of(
    st.text(max_size=12),
    st.text("019az~^.+-:", max_size=10),
    st.from_regex(r"(\d:)?\d{1,3}(\.\d{1,2}){0,2}(~rc\d)?(-\d(\+deb1\du\d)?)?", fullmatch=True),
)


@pytest.mark.parametrize(
    ("order", "chain"),
    [
        *((compare_deb, chain) for chain in DEB),
        *((compare_rpm, chain) for chain in RPM),
        *((compare_upstream, chain) for chain in UPSTREAM),
    ],
)
def test_each_version_of_a_chain_is_older_than_the_next(order, chain):
    assert len(chain) > 1
    for older, newer in pairwise(chain):
        assert order(older, newer) == -1
        assert order(newer, older) == 1


@pytest.mark.parametrize(
    ("order", "one", "other"),
    [
        (compare_deb, "1.0", "1.0-0"),
        (compare_deb, "0:1.0-1", "1.0-01"),
        (compare_rpm, "0:1.0-1", "1.0-1"),
        (compare_rpm, "1.0-1.el9", "1.0-1.el09"),
        (compare_rpm, "1_0-1", "1.0-1"),
        (compare_upstream, "5.2", "5.2.0"),
        (compare_upstream, "v3.7.09", "3.7.9"),
    ],
)
def test_versions_written_in_two_ways_are_the_same(order, one, other):
    assert order(one, other) == 0


@pytest.mark.parametrize("order", ORDERS)
@given(one=TEXTS, two=TEXTS, three=TEXTS)
def test_an_order_is_total(order, one, two, three):
    assert order(one, one) == 0
    assert order(one, two) == -order(two, one)
    if order(one, two) <= 0 and order(two, three) <= 0:
        assert order(one, three) <= 0


@pytest.mark.parametrize("order", ORDERS)
def test_a_number_of_any_length_has_a_place(order):
    assert order("1." + "9" * 9000, "1." + "9" * 9001) == -1


def test_dpkg_agrees():
    dpkg = need("dpkg")
    versions = sorted({version for chain in DEB for version in chain})
    assert len(versions) > 20
    for one in versions:
        for other in versions[::3]:
            relation = {-1: "lt", 0: "eq", 1: "gt"}[compare_deb(one, other)]
            words = [dpkg, "--compare-versions", one, relation, other]
            assert subprocess.run(words, check=False).returncode == 0, (one, relation, other)

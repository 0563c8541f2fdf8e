from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailcare.contracts.authorisation import Authorisation, permission
from mailcare.errors import NotAuthorised

DAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
GIVEN = Authorisation("1", "王示例", frozenset({"mx1"}), DAY, DAY + timedelta(days=1))


def test_a_host_is_covered_from_the_first_instant():
    assert permission([GIVEN], "mx1", DAY) is GIVEN


def test_the_last_instant_is_no_longer_covered():
    with pytest.raises(NotAuthorised, match="mx1"):
        permission([GIVEN], "mx1", DAY + timedelta(days=1))


def test_the_time_before_is_not_covered():
    assert not GIVEN.covers("mx1", DAY - timedelta(microseconds=1))


def test_another_host_is_not_covered():
    with pytest.raises(NotAuthorised):
        permission([GIVEN], "mx2", DAY)


def test_revocation_ends_it_at_once():
    revoked = replace(GIVEN, revoked_at=DAY + timedelta(hours=1))
    assert revoked.covers("mx1", DAY)
    assert not revoked.covers("mx1", DAY + timedelta(hours=1))


def test_revocation_after_its_end_does_not_prolong_it():
    revoked = replace(GIVEN, revoked_at=DAY + timedelta(days=3))
    assert not revoked.covers("mx1", DAY + timedelta(days=2))


def test_without_any_authorisation_nothing_is_permitted():
    with pytest.raises(NotAuthorised):
        permission([], "mx1", DAY)

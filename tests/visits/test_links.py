from datetime import UTC, datetime, timedelta

import pytest

from mailcare.delivery.sealing import sealed_word
from mailcare.visits.links import Link, Refusal, is_well_formed, why_refused

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
NUMBER = "XC-2026-00001"
LINK = Link(NUMBER, NOW + timedelta(days=1), None, is_current=True)


def test_each_letter_has_a_token_of_its_own_that_only_this_installation_can_reckon(
    tmp_path, monkeypatch
):
    words = {}
    for home in ("here", "here", "there"):
        monkeypatch.setenv("MAILCARE_HOME", str(tmp_path / home))
        words.setdefault(home, set()).update(sealed_word(f"{NUMBER}/1/{n}") for n in range(20))
    assert len(words["here"] | words["there"]) == 40
    assert all(is_well_formed(NUMBER, one) for one in words["here"])
    assert (tmp_path / "here" / "letters.key").stat().st_mode & 0o077 == 0


def test_a_good_link_is_not_refused():
    assert why_refused(LINK, NUMBER, at=NOW) is None


@pytest.mark.parametrize(
    ("link", "number", "why"),
    [
        (None, NUMBER, Refusal.UNKNOWN),
        (LINK, "XC-2026-00002", Refusal.OTHER_VISIT),
        (Link(NUMBER, LINK.expires_at, NOW, is_current=True), NUMBER, Refusal.USED),
        (Link(NUMBER, NOW, None, is_current=True), NUMBER, Refusal.EXPIRED),
        (Link(NUMBER, LINK.expires_at, None, is_current=False), NUMBER, Refusal.SUPERSEDED),
    ],
)
def test_a_link_is_refused_for_a_reason(link, number, why):
    assert why_refused(link, number, at=NOW) is why


@pytest.mark.parametrize("token", ["", "a" * 42, "a" * 44, "../" + "a" * 40, "a" * 42 + "\n"])
def test_what_is_no_token_is_not_even_looked_up(token):
    assert not is_well_formed(NUMBER, token)
    assert not is_well_formed("XC-2026-1", "a" * 43)

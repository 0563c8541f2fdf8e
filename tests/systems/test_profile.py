import pytest

from mailcare.errors import InputError
from mailcare.systems.profile import Confidence, ProfileGap, load_profile, profile_names


def test_the_three_products_are_shipped():
    assert profile_names() == ["generic", "postfix-dovecot", "turbomail"]


@pytest.mark.parametrize("name", profile_names())
def test_every_filled_field_of_a_profile_has_a_confidence(name):
    profile = load_profile(name)
    filled = [field for field in type(profile).model_fields if field not in ("name", "title")]
    assert filled
    for field in filled:
        assert getattr(profile, field).confidence in Confidence


def test_a_field_that_is_not_filled_in_is_a_gap_with_its_name():
    with pytest.raises(ProfileGap, match="queue"):
        load_profile("turbomail").need("queue")


def test_an_unknown_product_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="postfix-dovecot"):
        load_profile("exchange")

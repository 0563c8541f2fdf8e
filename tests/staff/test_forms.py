import pytest

from mailcare.contracts.forms import FormError, read_form
from mailcare.staff.forms import MemberForm

MEMBER = {
    "name": "李工",
    "rung": "engineer",
    "email": "li@vendor.example",
    "works_from": "09:00",
    "works_until": "18:00",
}


@pytest.mark.parametrize("said", ["09:00+08:00", "09:00Z", "9", "25:00"])
def test_working_hours_are_times_without_a_zone(said: str) -> None:
    assert read_form(MemberForm, MEMBER)

    with pytest.raises(FormError) as told:
        read_form(MemberForm, MEMBER | {"works_from": said})

    assert [one.path[0] for one in told.value.complaints] == ["works_from"]

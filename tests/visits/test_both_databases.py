"""The appointment from the first offer to a taken-up visit, on both databases."""

import pytest

from mailcare.visits import steps
from mailcare.visits.answering import Knock, LinkRefused
from tests.visits import desk as desk_of


@pytest.mark.usefixtures("desk", "clock")
def test_a_visit_is_agreed_by_link_moved_cancelled_and_taken_up_again():
    number = desk_of.planned_visit()
    desk_of.assign(number)
    desk_of.propose(number)
    knock = Knock(*desk_of.link(), "203.0.113.9")
    steps.answer_by_link(knock, desk_of.answer())
    with pytest.raises(LinkRefused):
        steps.show_offer(knock)
    steps.move_visit(number, desk_of.move(), by="li")
    steps.cancel_visit(number, desk_of.end(), by="li")
    desk_of.propose(number)
    assert desk_of.history(number) == ["propose", "confirm", "move", "cancel", "propose"]
    with pytest.raises(LinkRefused):
        steps.show_offer(Knock("XC\0", "x", "203.0.113.10"))
    assert desk_of.refusals() == [("used", "203.0.113.9"), ("unknown", "203.0.113.10")]
    left = desk_of.balance()
    assert (left.planned, left.left, left.used, left.over) == (1, 0, 0, 0)

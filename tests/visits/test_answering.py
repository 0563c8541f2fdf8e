"""Links in letters: for one visit, once, for a while; whatever else is tried is written down."""

from datetime import date, timedelta
from email import message_from_bytes
from email.policy import default
from secrets import token_urlsafe

import pytest
from sqlalchemy import select

from mailcare.contracts.forms import FormError
from mailcare.delivery.steps import send_due
from mailcare.records.deliveries import Delivery
from mailcare.records.session import reading
from mailcare.records.visits import VisitLink, VisitState
from mailcare.visits import steps
from mailcare.visits.answering import Knock, LinkRefused
from mailcare.visits.links import REFUSALS_MOST, REFUSALS_WINDOW
from mailcare.visits.steps import TooManyRefusals
from tests.delivery.smtp_server import smtp_server
from tests.visits import desk as desk_of

pytestmark = pytest.mark.usefixtures("desk", "clock")
DATABASES = ["sqlite"]
HOME = "203.0.113.9"


@pytest.fixture
def number() -> str:
    number = desk_of.planned_visit()
    desk_of.propose(number)
    return number


def knock(number: str, token: str, address: str = HOME) -> Knock:
    return Knock(number, token, address)


def refused(one: Knock) -> str:
    with pytest.raises(LinkRefused) as refusal:
        steps.show_offer(one)
    with pytest.raises(LinkRefused):
        steps.answer_by_link(one, desk_of.answer())
    return str(refusal.value.refusal)


def test_a_link_shows_the_days_and_takes_one_answer(number):
    one = knock(*desk_of.link())
    assert steps.show_offer(one).choices == (tuple(date(2026, 5, day) for day in (11, 12, 13)),)
    steps.answer_by_link(one, desk_of.answer())
    assert desk_of.visit(number).state is VisitState.CONFIRMED
    assert refused(one) == "used"
    assert desk_of.history(number) == ["propose", "confirm"]


def test_nobody_who_reads_the_records_has_the_token_and_the_customer_does(number, monkeypatch):
    _, token = desk_of.link()
    with reading() as session:
        [kept] = session.scalars(select(VisitLink))
        [letter] = session.scalars(select(Delivery))
    assert token not in f"{kept.token_sha256} {letter.body} {letter.key}"
    with smtp_server() as server:
        monkeypatch.setenv("MAILCARE_RELAY_URL", f"smtp://127.0.0.1:{server.port}")
        send_due()
        [taken] = server.taken
    assert (
        f"/mailcare-visit/{number}/{token}\r\n"
        in message_from_bytes(taken, policy=default).get_content()
    )


def test_a_guessed_link_is_refused_and_logged(number, caplog):
    assert refused(knock(number, token_urlsafe(32))) == "unknown"
    assert desk_of.refusals() == [("unknown", HOME)] * 2
    assert "refused: unknown from 203.0.113.9" in caplog.text


def test_an_expired_link_is_refused_and_logged(number, clock):
    one = knock(*desk_of.link())
    clock.shift(timedelta(days=14))
    assert refused(one) == "expired"
    assert desk_of.visit(number).state is VisitState.PROPOSED


def test_a_link_for_another_visit_is_refused_and_logged():
    desk_of.planned_visit(visits_per_year=2)
    first, second = desk_of.open_visits()
    desk_of.propose(first)
    desk_of.propose(second)
    own, token = desk_of.link(0)
    assert own == first
    assert refused(knock(second, token)) == "other_visit"
    assert {one for one, _ in desk_of.refusals()} == {"other_visit"}
    assert desk_of.visit(second).state is VisitState.PROPOSED


def test_a_link_of_an_earlier_offer_is_refused(number):
    old = knock(*desk_of.link())
    desk_of.propose(number, desk_of.SECOND)
    assert refused(old) == "superseded"
    assert steps.show_offer(knock(*desk_of.link())).choices


def test_a_day_that_cannot_be_leaves_the_link_as_it_was(number):
    one = knock(*desk_of.link())
    with pytest.raises(FormError, match="请从所列日期中选择"):
        steps.answer_by_link(one, desk_of.answer(start=desk_of.SECOND))
    with pytest.raises(FormError, match="不是工作日"):
        steps.answer_by_link(one, desk_of.answer(choice="counter", start="2026-05-10"))
    steps.answer_by_link(one, desk_of.answer(choice="counter", start=desk_of.SECOND))
    assert desk_of.visit(number).state is VisitState.COUNTERED


def test_who_is_refused_too_often_is_not_listened_to_for_a_while(number, clock):
    for _ in range(REFUSALS_MOST):
        with pytest.raises(LinkRefused):
            steps.show_offer(knock(number, token_urlsafe(32)))
    good = desk_of.link()
    with pytest.raises(TooManyRefusals):
        steps.show_offer(knock(*good))
    assert len(desk_of.refusals()) == REFUSALS_MOST
    assert steps.show_offer(knock(*good, address="198.51.100.7")).number == number
    clock.shift(REFUSALS_WINDOW)
    assert steps.show_offer(knock(*good)).number == number


def test_without_an_address_for_customers_the_letter_holds_no_link(monkeypatch):
    monkeypatch.setenv("MAILCARE_PUBLIC_URL", "")
    desk_of.propose(desk_of.planned_visit())
    [offer] = desk_of.letters()
    assert "mailcare-visit" not in offer.body
    assert "电话或回复本邮件" in offer.body

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from mailcare.delivery import progress
from mailcare.delivery.alerts import alert
from mailcare.records.alerts import Alert, Rung
from mailcare.records.deliveries import DeliveryState
from mailcare.records.session import reading, transaction
from tests.delivery.desk import (
    FRIDAY_NIGHT,
    MONDAY_MORNING,
    add_member,
    add_robot,
    letters,
    put_on_duty,
)


@pytest.fixture(autouse=True)
def on_a_database(database):
    pass


def raised(key="GZ-1/response/50", *, is_urgent=True, rung=Rung.ENGINEER):
    with transaction() as session:
        return alert(
            session,
            key=key,
            rung=rung,
            subject="【一级】GZ-2026-00001 示例银行 响应时限已过一半",
            text="联系人 王工，电话见控制台。",
            is_urgent=is_urgent,
            at=FRIDAY_NIGHT,
        )


def lost(letter, state=DeliveryState.REFUSED):
    with transaction() as session:
        assert progress.change(
            session, letter.id, letter.state, state, detail="550", at=FRIDAY_NIGHT
        )


def test_an_alert_raised_twice_is_told_once():
    add_member()
    assert raised()
    assert raised() is None
    [letter] = letters()
    assert letter.next_attempt_at == FRIDAY_NIGHT
    assert "王工" in letter.body


def test_what_may_wait_is_due_on_the_next_working_morning():
    add_member()
    raised(is_urgent=False)
    [letter] = letters()
    assert letter.not_before_at == letter.next_attempt_at == MONDAY_MORNING


def test_without_staff_the_alert_is_kept_and_nobody_is_told():
    assert raised()
    assert letters() == []
    with reading() as session:
        assert session.scalars(select(Alert)).one().rung is Rung.ENGINEER


def test_who_is_on_duty_today_is_told_and_who_left_is_not():
    add_member("甲")
    second = add_member("乙")
    add_member("丙", is_active=False)
    put_on_duty(second, date(2026, 3, 6))
    raised()
    raised("another", rung=Rung.ENGINEER)
    assert {one.member_id for one in letters()} == {second}


def test_a_chat_holds_the_subject_only():
    add_member(robot=add_robot())
    raised()
    [chat] = letters()
    assert (chat.channel, chat.recipient, chat.message_id) == ("wecom", "值班群", None)
    assert "王工" not in chat.subject + chat.body


def test_people_who_share_a_robot_read_one_message_and_both_get_mail_when_it_fails():
    robot = add_robot()
    members = {add_member("甲", robot=robot), add_member("乙", robot=robot)}
    add_member("丙")
    raised()
    chat, other = letters()
    assert other.channel == "smtp"
    lost(chat)
    assert {one.member_id for one in letters()[2:]} == members
    assert {one.channel for one in letters()[1:]} == {"smtp"}


@pytest.mark.parametrize(
    "state", [DeliveryState.REFUSED, DeliveryState.DEAD, DeliveryState.UNCERTAIN]
)
def test_a_lost_alert_goes_by_mail_then_to_the_next_person_until_none_is_left(state):
    first = add_member("甲", robot=add_robot())
    second = add_member("乙")
    manager = add_member("丙", Rung.MANAGER)
    put_on_duty(first, date(2026, 3, 6))
    raised()
    for number in range(4):
        assert len(letters()) == number + 1
        lost(letters()[number], state)
    told = [(one.member_id, str(one.channel)) for one in letters()]
    assert told == [(first, "wecom"), (first, "smtp"), (second, "smtp"), (manager, "smtp")]


def test_a_letter_that_is_no_alert_s_has_no_successor():
    add_member()
    raised()
    [letter] = letters()
    with transaction() as session:
        session.get_one(type(letter), letter.id).alert_id = None
    lost(letter)
    assert len(letters()) == 1


def test_a_person_who_waits_for_monday_keeps_the_moment():
    add_member()
    raised(is_urgent=False)
    assert letters()[0].not_before_at - FRIDAY_NIGHT == timedelta(hours=58, minutes=30)

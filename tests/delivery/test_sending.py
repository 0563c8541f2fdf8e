"""What the outbox sends, on both databases, to a real relay and real robots on loopback."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import event
from sqlalchemy.orm import Session

from mailcare.clock import utc_now
from mailcare.delivery import steps
from mailcare.delivery.alerts import alert
from mailcare.delivery.outbox import Draft, FileReference, post
from mailcare.records.alerts import RobotVendor, Rung, StaffMember
from mailcare.records.deliveries import DeliveryChannel
from mailcare.records.job_runs import JobRun
from mailcare.records.people import EvidenceFile
from mailcare.records.session import reading, transaction
from tests.delivery.desk import add_member, add_robot, events, letters, put_on_duty
from tests.delivery.robot_server import CUT, DINGTALK_OK, FEISHU_OK, WECOM_OK, robot_server
from tests.delivery.smtp_server import CLOSE, smtp_server

NOW = datetime(2026, 3, 3, 2, 15, tzinfo=UTC)
DRAFT = Draft(
    key="letter",
    channel=DeliveryChannel.SMTP,
    recipient="wang@shili-bank.example",
    subject="上门时间确认",
    body="王工：\n时间已确认。\n",
)
CHAT = replace(DRAFT, channel=DeliveryChannel.WECOM, recipient="值班群")


@pytest.fixture(autouse=True)
def clock(database):
    with time_machine.travel(NOW, tick=True) as traveller:
        yield traveller


@pytest.fixture
def relay(monkeypatch):
    def use(server):
        monkeypatch.setenv("MAILCARE_RELAY_URL", f"smtp://127.0.0.1:{server.port}")

    return use


def written(*drafts):
    with transaction() as session:
        for draft in drafts:
            assert post(session, draft, at=utc_now())


def urgent_alert():
    with transaction() as session:
        assert alert(
            session,
            key="GZ-1/response/50",
            rung=Rung.ENGINEER,
            subject="【一级】GZ-2026-00001 示例银行",
            text="联系人 王工",
            is_urgent=True,
            at=utc_now(),
        )


def states():
    return [str(one.state) for one in letters()]


def test_what_is_due_goes_and_the_run_is_written_down(relay):
    written(DRAFT, replace(DRAFT, key="later", not_before=NOW + timedelta(hours=1)))
    with smtp_server() as server:
        relay(server)
        assert steps.send_due().sent == 1
        assert steps.send_due().sent == 0
    assert len(server.taken) == 1
    assert states() == ["sent", "pending"]
    assert events(letters()[0].id) == ["pending", "sending", "sent"]
    with reading() as session:
        [run] = session.query(JobRun).all()
        assert (run.job, run.outcome) == ("deliver_papers", str(steps.SendOutcome()))


def test_without_a_relay_letters_wait_and_nothing_fails():
    written(DRAFT)
    assert steps.send_due() == steps.SendOutcome()
    [letter] = letters()
    assert (letter.state, letter.attempts) == ("pending", 0)


def test_a_greylisted_letter_waits_and_then_goes(relay, clock):
    written(DRAFT)
    with smtp_server(RCPT=["451 4.7.1 greylisted", "250 2.1.5 Ok"]) as server:
        relay(server)
        assert steps.send_due().failed == 1
        assert "greylisted" in letters()[0].last_reply
        assert steps.send_due() == steps.SendOutcome()
        clock.shift(timedelta(minutes=2))
        assert steps.send_due().sent == 1
    assert states() == ["sent"]


def test_one_refused_recipient_holds_up_no_other(relay):
    written(DRAFT, replace(DRAFT, key="other", recipient="li@shili-bank.example"))
    with smtp_server(RCPT=["550 5.1.1 no such user", "250 2.1.5 Ok"]) as server:
        relay(server)
        outcome = steps.send_due()
    assert (outcome.sent, outcome.failed) == (1, 1)
    assert states() == ["refused", "sent"]


def test_a_bad_address_is_a_dead_letter_and_the_others_go(relay):
    written(DRAFT, replace(DRAFT, key="bad", recipient="王工@示例.example"),
            replace(DRAFT, key="other", recipient="li@shili-bank.example"))  # fmt: skip
    with smtp_server() as server:
        relay(server)
        outcome = steps.send_due()
    assert (outcome.sent, outcome.failed, len(server.taken)) == (2, 1, 2)
    assert states() == ["sent", "refused", "sent"]
    assert "邮件地址" in letters()[1].last_reply


def test_an_alert_to_a_bad_address_goes_to_the_next_person(relay):
    first, second = add_member(), add_member("乙")
    with transaction() as session:
        session.get_one(StaffMember, first).email = "王工@示例.example"
    put_on_duty(first, NOW.date())
    urgent_alert()
    with smtp_server() as server:
        relay(server)
        steps.send_due()
        steps.send_due()
    assert [(one.member_id, str(one.state)) for one in letters()] == [
        (first, "refused"), (second, "sent"),
    ]  # fmt: skip


def test_a_relay_that_does_not_answer_is_asked_once_a_run(relay, clock):
    written(DRAFT, replace(DRAFT, key="other"))
    with smtp_server(CONNECT=[CLOSE]) as server:
        relay(server)
        assert steps.send_due().failed == 1
    assert [one.attempts for one in letters()] == [1, 0]


def test_a_letter_whose_fate_is_open_waits_for_a_person(relay, clock):
    written(DRAFT)
    with smtp_server(TEXT=[CLOSE]) as server:
        relay(server)
        for _ in range(3):
            steps.send_due()
            clock.shift(timedelta(days=2))
    assert server.verbs.count("DATA") == 1
    assert states() == ["uncertain"]


def test_a_letter_that_is_refused_for_days_is_dead(relay, clock):
    written(DRAFT)
    with smtp_server(RCPT=["451 4.7.1 later"]) as server:
        relay(server)
        with transaction() as session:
            session.get_one(type(letters()[0]), letters()[0].id).attempts = 104
        steps.send_due()
    assert states() == ["dead"]


def test_what_comes_too_late_is_not_sent(relay, clock):
    written(replace(DRAFT, expires_at=NOW + timedelta(minutes=5)))
    clock.shift(timedelta(minutes=6))
    with smtp_server() as server:
        relay(server)
        assert steps.send_due().expired == 1
    assert server.taken == []
    assert states() == ["expired"]


def test_a_file_that_is_no_longer_what_was_stored_is_not_sent(relay):
    with transaction() as session:
        file = EvidenceFile(
            sha256="0" * 64,
            name="a.txt",
            media_type="text/plain; charset=utf-8",
            size_bytes=1,
            body=b"a",
            handed_in_by="li",
        )
        session.add(file)
        session.flush()
        reference = FileReference("a.txt", evidence_file=file.id)
    written(replace(DRAFT, attachments=(reference,)))
    with smtp_server() as server:
        relay(server)
        assert steps.send_due().failed == 1
    assert server.taken == []
    assert "SHA-256" in letters()[0].last_reply


def test_a_clock_set_back_delays_no_letter(relay, clock):
    written(DRAFT)
    clock.shift(timedelta(hours=-3))
    with smtp_server() as server:
        relay(server)
        assert steps.send_due().sent == 1


def test_a_clock_set_back_brings_no_letter_before_its_time(relay, clock):
    written(replace(DRAFT, not_before=NOW + timedelta(minutes=5)))
    clock.shift(timedelta(hours=-3))
    with smtp_server() as server:
        relay(server)
        assert steps.send_due().sent == 0


def test_two_senders_at_once_send_each_letter_once(relay):
    keys = [f"letter {number}" for number in range(12)]
    written(*(replace(DRAFT, key=key, subject=key) for key in keys))
    with smtp_server() as server, ThreadPoolExecutor(3) as pool:
        relay(server)
        outcomes = [one.result() for one in [pool.submit(steps.send_due) for _ in range(3)]]
    assert sum(one.sent for one in outcomes) == 12
    subjects = sorted(
        line for text in server.taken for line in text.split(b"\r\n") if line.startswith(b"Subject")
    )
    assert subjects == sorted(f"Subject: {key}".encode() for key in keys)


@pytest.mark.parametrize(
    ("vendor", "ok"),
    [
        (RobotVendor.WECOM, WECOM_OK),
        (RobotVendor.DINGTALK, DINGTALK_OK),
        (RobotVendor.FEISHU, FEISHU_OK),
    ],
)
def test_an_alert_is_said_by_its_robot(monkeypatch, vendor, ok):
    add_member(robot=add_robot(vendor=vendor))
    urgent_alert()
    with robot_server(ok) as server:
        monkeypatch.setenv("DUTY_ROBOT", f"{server.url} SECgeheim")
        assert steps.send_due().sent == 1
    assert "GZ-2026-00001" in str(server.asked)
    assert "王工" not in str(server.asked)
    assert states() == ["sent"]
    assert "geheim" not in letters()[0].last_reply


@pytest.mark.parametrize(
    ("answer", "state"),
    [((200, b'{"errcode":310000,"errmsg":"sign not match"}'), "refused"), (CUT, "uncertain")],
)
def test_an_alert_that_a_robot_does_not_surely_take_goes_by_mail(monkeypatch, relay, answer, state):
    add_member(robot=add_robot())
    urgent_alert()
    with robot_server(answer) as robot, smtp_server() as server:
        relay(server)
        monkeypatch.setenv("DUTY_ROBOT", robot.url)
        steps.send_due()
        steps.send_due()
    assert len(robot.asked) == 1
    assert len(server.taken) == 1
    assert states() == [state, "sent"]


def test_a_robot_without_an_address_gives_way_to_mail(monkeypatch):
    monkeypatch.delenv("DUTY_ROBOT", raising=False)
    add_member(robot=add_robot())
    urgent_alert()
    steps.send_due()
    assert states() == ["refused", "pending"]
    assert letters()[1].channel == "smtp"


def test_a_robot_that_keeps_saying_later_gives_way_to_mail_within_minutes(monkeypatch, clock):
    add_member(robot=add_robot())
    urgent_alert()
    with robot_server((429, b"")) as robot:
        monkeypatch.setenv("DUTY_ROBOT", robot.url)
        for _ in range(5):
            steps.send_due()
            clock.shift(timedelta(minutes=1))
    assert len(robot.asked) == 4
    assert states() == ["dead", "pending"]


def test_a_robot_is_never_asked_more_often_than_it_allows(monkeypatch, clock):
    add_robot()
    written(*(replace(CHAT, key=f"chat {number}") for number in range(25)))
    with robot_server(WECOM_OK) as robot:
        monkeypatch.setenv("DUTY_ROBOT", robot.url)
        assert steps.send_due().sent == 20
        waiting = [one for one in letters() if one.state == "pending"]
        assert {one.attempts for one in waiting} == {0}
        clock.shift(timedelta(minutes=1, seconds=5))
        assert steps.send_due().sent == 5
    assert len(robot.asked) == 25


def test_a_letter_about_a_customer_needs_no_robot_nor_relay_of_his(monkeypatch):
    written(replace(CHAT, recipient="没有的群"))
    assert steps.send_due().failed == 1
    assert states() == ["refused"]


COMMITS = 5  # of a run with one letter: clearing, taking, starting, settling, the run itself


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
@pytest.mark.parametrize("number", range(1, COMMITS + 1))
def test_a_sender_killed_between_any_two_steps_loses_and_doubles_nothing(
    relay, clock, moment, number
):
    written(DRAFT)
    with smtp_server() as server:
        relay(server)
        _send_and_die(moment, number)
        clock.shift(timedelta(minutes=20))
        for _ in range(2):
            steps.send_due()
            clock.shift(timedelta(minutes=20))
    has_begun = number > 3 or (number, moment) == (3, "after_commit")
    assert len(server.taken) <= 1
    if states() == ["sent"]:
        assert len(server.taken) == 1
    else:
        assert has_begun
        assert states() == ["uncertain"]


def _send_and_die(moment, number):
    """Run the sender in a child that is killed at its `number`-th commit, and wait for its end."""
    child = os.fork()
    if child:
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        return
    seen = []

    def die(_session):
        seen.append(1)
        if len(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Session, moment, die)
    steps.send_due()
    os._exit(0)

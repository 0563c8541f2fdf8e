"""What people do in 发件箱, over a test client."""

from datetime import UTC, datetime, timedelta
from html import escape
from io import BytesIO

import pytest
from openpyxl import load_workbook
from sqlalchemy import select

from mailcare.clock import utc_now
from mailcare.delivery import progress, steps
from mailcare.delivery.alerts import alert
from mailcare.delivery.outbox import Draft, post
from mailcare.records.alerts import Rung
from mailcare.records.deliveries import Delivery, DeliveryChannel, DeliveryState
from mailcare.records.people import AuditEntry
from mailcare.records.session import reading, transaction
from tests.delivery.desk import events

REASON = "电话 2026-03-02 王工确认"


@pytest.fixture
def letter(records) -> int:
    draft = Draft(
        key="k",
        channel=DeliveryChannel.SMTP,
        recipient="wrong@shili-bank.example",
        subject="=上门时间确认",
        body="王工：\n<b>时间</b>已确认。",
        customer=1,
    )
    with transaction() as session:
        written = post(session, draft, at=utc_now())
    assert written
    return written


def moved(letter, state):
    with transaction() as session:
        assert progress.change(
            session, letter, DeliveryState.PENDING, state, detail="550 no such user", at=utc_now()
        )


def stored(letter):
    with reading() as session:
        return session.get_one(Delivery, letter)


def decisions():
    with reading() as session:
        found = select(AuditEntry).where(AuditEntry.action == "decide")
        return [(one.by, one.subject, one.after) for one in session.scalars(found)]


def test_the_outbox_shows_its_letters_and_that_it_never_ran(login, letter):
    page = login("auditor").get("/outbox").text
    assert "示例银行" in page
    assert "尚未运行" in page
    assert 'role="alert"' in page
    steps.send_due()
    assert 'role="alert"' not in login("auditor").get("/outbox").text


def test_a_subject_stays_as_it_was_written_in_the_english_console_too(login, records):
    subject = "【P1 故障】GZ-2026-00001 示例银行：响应违约"
    with transaction() as session:
        alert(session, key="a", rung=Rung.ENGINEER, subject=subject, text="t", is_urgent=True,
              at=utc_now())  # fmt: skip
        draft = Draft(
            key="k",
            channel=DeliveryChannel.SMTP,
            recipient="a@b.example",
            subject=subject,
            body="b",
        )
        letter = post(session, draft, at=utc_now())
    client = login("engineer")
    outbox = client.get("/outbox", headers={"Accept-Language": "en"}).text
    assert outbox.count(f">{subject}<") == 2  # the letter, and the alert that nobody got
    page = client.get(f"/outbox/{letter}", headers={"Accept-Language": "en"}).text
    assert f"<h1>{subject}</h1>" in page


def test_the_excel_file_holds_every_letter_and_a_subject_is_no_formula(login, letter):
    body = login("engineer").get("/outbox.xlsx").content
    rows = list(load_workbook(BytesIO(body)).active.values)
    assert rows[1][1] == "=上门时间确认"
    assert rows[1][3] == "wrong@shili-bank.example"


def test_a_letter_shows_its_text_as_text_and_its_story(login, letter):
    moved(letter, DeliveryState.REFUSED)
    page = login("engineer").get(f"/outbox/{letter}").text
    assert "&lt;b&gt;时间&lt;/b&gt;" in page
    assert "550 no such user" in page
    assert login("engineer").get("/outbox/4711").status_code == 404


def test_a_refused_letter_goes_again_to_a_corrected_address(login, letter):
    moved(letter, DeliveryState.REFUSED)
    client = login("engineer")
    bad = client.post(f"/outbox/{letter}/again", data={"recipient": "王工", "reason": "更正"})
    assert bad.status_code == 422
    assert 'id="recipient-error"' in bad.text
    assert 'value="王工"' in bad.text
    assert stored(letter).state == "refused"
    right = {"recipient": "wang@shili-bank.example", "reason": "更正"}
    assert client.post(f"/outbox/{letter}/again", data=right).status_code == 303
    row = stored(letter)
    assert (row.state, row.recipient, row.attempts) == (
        "pending", "wang@shili-bank.example", 0
    )  # fmt: skip
    assert decisions() == [
        ("engineer", f"letter/{letter}", {"state": "pending", "recipient": row.recipient})
    ]


def test_an_uncertain_letter_is_settled_once_with_a_reason(login, letter):
    moved(letter, DeliveryState.UNCERTAIN)
    client = login("engineer")
    assert client.post(f"/outbox/{letter}/arrived", data={"reason": " "}).status_code == 422
    assert client.post(f"/outbox/{letter}/arrived", data={"reason": REASON}).status_code == 303
    again = client.post(f"/outbox/{letter}/arrived", data={"reason": REASON})
    assert again.status_code == 422
    assert "不能这样处理" in again.text
    assert events(letter) == ["pending", "uncertain", "settled"]
    assert [one[:2] for one in decisions()] == [("engineer", f"letter/{letter}")]


def test_an_uncertain_letter_says_where_and_when_to_look_it_up(login, letter):
    through = "开始发送正文（邮件中继 mail.vendor.example:25）"
    sent_at = datetime(2026, 3, 2, 1, 2, 3, tzinfo=UTC)
    pending, sending = DeliveryState.PENDING, DeliveryState.SENDING
    with transaction() as session:
        for before, after, said in (
            (pending, sending, through),
            (sending, DeliveryState.UNCERTAIN, progress.ABANDONED),
        ):
            assert progress.change(session, letter, before, after, detail=said, at=sent_at)
    page = login("engineer").get(f"/outbox/{letter}").text
    decides = page[page.index("处理信件") : page.index("</form>")]
    assert f"2026-03-02 09:02:03 {through}" in decides
    assert escape(stored(letter).message_id) in decides
    assert "wrong@shili-bank.example" in decides


def test_an_uncertain_letter_sent_again_keeps_its_message_id(login, letter):
    before = stored(letter).message_id
    moved(letter, DeliveryState.UNCERTAIN)
    data = {"recipient": "wrong@shili-bank.example", "reason": REASON}
    assert login("boss").post(f"/outbox/{letter}/again", data=data).status_code == 303
    assert (stored(letter).state, stored(letter).message_id) == ("pending", before)


def test_a_letter_that_is_on_its_way_cannot_be_sent_again(login, letter):
    answer = login("boss").post(f"/outbox/{letter}/again", data={"reason": REASON})
    assert answer.status_code == 422
    assert stored(letter).state == "pending"


def test_an_auditor_decides_nothing(login, letter):
    moved(letter, DeliveryState.UNCERTAIN)
    client = login("auditor")
    assert "再次发送" not in client.get(f"/outbox/{letter}").text
    assert client.post(f"/outbox/{letter}/arrived", data={"reason": "x"}).status_code == 403


def test_an_alert_that_nobody_got_stands_on_top(login, records):
    with transaction() as session:
        alert(session, key="a", rung=Rung.ENGINEER, subject="【一级】GZ-2026-00001", text="",
              is_urgent=True, at=utc_now() - timedelta(minutes=1))  # fmt: skip
    page = login("engineer").get("/outbox").text
    assert "无人可通知的提醒" in page
    assert "GZ-2026-00001" in page

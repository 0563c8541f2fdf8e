"""What people do with 来信, over a test client."""

from datetime import UTC, datetime

import pytest

from mailcare.records.received import MailState, ReceivedMail
from mailcare.records.session import reading, transaction

RAW = "From: admin@shili-bank.example\r\nSubject: 系统宕机\r\n\r\n<b>急</b>\r\n".encode()
AT = datetime(2026, 3, 3, 2, 10, tzinfo=UTC)
FORM = {
    "customer": "示例银行",
    "site": "shili-bank-lab",
    "level": "P1",
    "description": "系统宕机",
    "contact": "王示例",
    "contact_details": "admin@shili-bank.example",
}


@pytest.fixture
def mail(records) -> int:
    with transaction() as session:
        row = ReceivedMail(
            key="k",
            sender="admin@shili-bank.example",
            subject="系统宕机",
            text="<b>急</b>",
            received_at=AT,
            size_bytes=len(RAW),
            is_cut=False,
            raw=RAW,
            customer_id=1,
            state=MailState.WAITING,
            state_changed_at=AT,
        )
        session.add(row)
        session.flush()
        return row.id


def stored(mail):
    with reading() as session:
        return session.get_one(ReceivedMail, mail)


def test_a_waiting_mail_is_shown_with_what_is_suggested(login, mail):
    page = login("engineer").get(f"/mails/{mail}").text
    assert "&lt;b&gt;急&lt;/b&gt;" in page
    assert '<option value="P1" selected>' in page
    assert "<option selected>示例银行</option>" in page
    assert 'value="shili-bank-lab"' in page
    assert "待分诊" in login("engineer").get("/mails").text


def test_the_original_is_downloaded_and_never_shown(login, mail):
    answer = login("engineer").get(f"/mails/{mail}/source")
    assert answer.content == RAW
    assert answer.headers["content-disposition"].startswith("attachment")


def test_a_mail_becomes_a_fault_and_only_once(login, mail):
    client = login("engineer")
    wrong = client.post(f"/mails/{mail}/declare", data=FORM | {"customer": "", "contact": ""})
    assert wrong.status_code == 422
    assert 'id="contact-error"' in wrong.text
    assert client.post(f"/mails/{mail}/declare", data=FORM).status_code == 303
    assert stored(mail).state == "declared"
    assert client.post(f"/mails/{mail}/declare", data=FORM).status_code == 422
    assert "/faults/" in client.get(f"/mails/{mail}").text


def test_a_mail_goes_on_a_fault_or_is_filed_with_a_reason(login, mail):
    client = login("engineer")
    unknown = client.post(f"/mails/{mail}/note", data={"number": "GZ-2020-99999"})
    assert unknown.status_code == 422
    assert 'id="number-error"' in unknown.text
    for reason in ("", "长" * 501):
        refused = client.post(f"/mails/{mail}/dismiss", data={"reason": reason})
        assert (refused.status_code, 'id="reason-error"' in refused.text) == (422, True)
    assert client.post(f"/mails/{mail}/dismiss", data={"reason": "广告"}).status_code == 303
    assert (stored(mail).state, stored(mail).reason) == ("dismissed", "广告")
    assert login("auditor").post(f"/mails/{mail}/dismiss", data={}).status_code == 403


def test_a_mail_that_is_not_there_is_not_found(login, records):
    for path in ("/mails/4711", "/mails/4711/source"):
        assert login("boss").get(path).status_code == 404

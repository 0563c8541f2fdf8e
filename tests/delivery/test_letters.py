import email
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email import policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.delivery.letters import Attachment, Letter, message_id, to_message
from mailcare.errors import InputError

DATE = datetime(2026, 3, 2, 9, 30, tzinfo=timezone(timedelta(hours=8)))
REPORT = Attachment(
    "巡检报告 XJ-2026-0001.pdf", "application/pdf", b"%PDF-1.7\r\n" + bytes(range(256))
)
LETTER = Letter(
    message_id=message_id("paper:17:wang@shili-bank.example", sender="reports@vendor.example"),
    sender="reports@vendor.example",
    recipient="wang@shili-bank.example",
    subject="示例银行 2026 年度远程巡检报告：共发现需要处理的问题三项，请查收附件并安排处理",
    body="王工：\n\n巡检报告见附件，请查收。\n.\n此致\n",
    attachments=(REPORT,),
)


def _received(letter: Letter = LETTER) -> EmailMessage:
    raw = to_message(letter, date=DATE).as_bytes()
    return email.message_from_bytes(raw, policy=policy.default)


def _text_of(part: EmailMessage) -> str:
    return part.get_content().replace("\r\n", "\n")  # a mail's own line ends


def test_what_was_written_is_what_is_read() -> None:
    mail = _received()

    assert mail["Subject"] == LETTER.subject
    assert mail["From"].addresses[0].addr_spec == LETTER.sender
    assert mail["To"].addresses[0].addr_spec == LETTER.recipient
    assert mail["Date"].datetime == DATE
    assert _text_of(mail.get_body()) == LETTER.body


def test_the_attachment_keeps_its_chinese_name_type_and_bytes() -> None:
    (attachment,) = _received().iter_attachments()

    assert attachment.get_filename() == REPORT.name
    assert attachment.get_content_type() == "application/pdf"
    assert attachment.get_content() == REPORT.body
    raw = to_message(LETTER, date=DATE).as_bytes()
    assert b"filename*=utf-8''%E5%B7%A1%E6%A3%80" in raw


def test_the_mail_says_that_a_machine_wrote_it() -> None:
    assert _received()["Auto-Submitted"] == "auto-generated"


def test_the_same_letter_is_the_same_bytes() -> None:
    assert to_message(LETTER, date=DATE).as_bytes() == to_message(LETTER, date=DATE).as_bytes()


def test_the_message_id_hangs_on_key_and_sender_domain_only() -> None:
    own = message_id("paper:17", sender="reports@vendor.example")

    assert own.endswith("@vendor.example>")
    assert message_id("paper:17", sender="desk@vendor.example") == own
    assert message_id("paper:18", sender="reports@vendor.example") != own
    assert message_id("paper:17", sender="reports@other.example") != own
    assert _received()["Message-ID"] == LETTER.message_id


def test_a_letter_without_attachments_is_plain_text() -> None:
    mail = _received(replace(LETTER, attachments=()))

    assert mail.get_content_type() == "text/plain"
    assert _text_of(mail) == LETTER.body


def test_every_line_is_ascii_and_short_enough_for_any_relay() -> None:
    long_lines = replace(LETTER, body="长" * 5000 + "\nFrom here\n", subject="题" * 400)
    raw = to_message(long_lines, date=DATE).as_bytes()

    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert _received(long_lines)["Subject"] == "题" * 400


def test_a_line_break_cannot_smuggle_a_header_in() -> None:
    name = "报告\r\nBcc: thief@evil.example\r\n.pdf"
    subject = "报告\r\nBcc: thief@evil.example"
    mail = _received(replace(LETTER, subject=subject, attachments=(replace(REPORT, name=name),)))

    assert mail["Subject"] == "报告 Bcc: thief@evil.example"
    assert mail["Bcc"] is None
    assert [part.get_filename() for part in mail.iter_attachments()] == [
        "报告 Bcc: thief@evil.example .pdf"
    ]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "wang",
        "@shili-bank.example",
        "wang@",
        "王工@shili-bank.example",
        "wang@示例.example",
        "wang@shili-bank.example\r\nBcc: thief@evil.example",
        "王工 <wang@shili-bank.example>",
        "a@x.example, b@x.example",
        "a b@x.example",
    ],
)
@pytest.mark.parametrize("side", ["sender", "recipient"])
def test_what_is_no_bare_address_is_refused(side: str, address: str) -> None:
    with pytest.raises(InputError, match="邮件地址"):
        to_message(replace(LETTER, **{side: address}), date=DATE)


def test_a_date_without_a_zone_is_our_own_error() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        to_message(LETTER, date=datetime(2026, 3, 2))  # noqa: DTZ001 - the point


@given(st.text(max_size=200), st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_any_text_makes_a_mail(subject: str, body: str) -> None:
    raw = to_message(
        replace(LETTER, subject=subject, body=body), date=datetime(2026, 1, 1, tzinfo=UTC)
    ).as_bytes()

    assert raw.isascii()

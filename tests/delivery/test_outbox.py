from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from mailcare.delivery.outbox import CHAT_BYTES_MOST, Draft, FileReference, chat_text, post
from mailcare.errors import InputError
from mailcare.records.deliveries import DeliveryChannel
from mailcare.records.session import transaction
from tests.delivery.desk import FRIDAY_NIGHT, events, letters

DRAFT = Draft(
    key="visit/1/confirmed",
    channel=DeliveryChannel.SMTP,
    recipient="wang@shili-bank.example",
    subject="上门时间确认",
    body="王工：\n时间已确认。\n",
)


@pytest.fixture(autouse=True)
def on_a_database(database):
    pass


def posted(draft):
    with transaction() as session:
        return post(session, draft, at=FRIDAY_NIGHT)


def test_a_letter_posted_twice_is_written_down_once():
    first = posted(DRAFT)
    assert first
    assert posted(replace(DRAFT, subject="别的标题")) is None
    [letter] = letters()
    assert (letter.id, letter.subject, letter.state) == (first, DRAFT.subject, "pending")
    assert letter.message_id.endswith("@vendor.example>")
    assert letter.next_attempt_at == FRIDAY_NIGHT
    assert events(first) == ["pending"]


def test_a_letter_goes_down_with_the_transaction_it_belongs_to():
    with suppress(ZeroDivisionError), transaction() as session:
        assert post(session, DRAFT, at=FRIDAY_NIGHT)
        1 / 0  # noqa: B018 - the fault whose letter this is cannot be written down
    assert letters() == []


def test_a_letter_that_may_not_go_yet_is_due_when_it_may():
    posted(replace(DRAFT, not_before=FRIDAY_NIGHT + timedelta(hours=3)))
    posted(replace(DRAFT, key="past", not_before=FRIDAY_NIGHT - timedelta(hours=3)))
    assert [one.next_attempt_at for one in letters()] == [
        FRIDAY_NIGHT + timedelta(hours=3),
        FRIDAY_NIGHT,
    ]


def test_what_is_no_mail_address_is_written_down_all_the_same():
    assert posted(replace(DRAFT, recipient="王工@示例.example"))
    assert [one.state for one in letters()] == ["pending"]


def test_a_long_chat_text_becomes_letters_that_each_fit_and_lose_nothing():
    lines = "\n".join(f"第 {number} 行：磁盘空间不足，请尽快处理" for number in range(200))
    chat = replace(DRAFT, channel=DeliveryChannel.WECOM, recipient="值班群", body=lines)
    assert posted(chat)
    assert posted(chat) is None
    written = letters()
    assert len(written) > 3
    assert [one.key for one in written[:2]] == [chat.key, f"{chat.key}#2"]
    for one in written:
        size = len(chat_text(one.subject, one.body).encode())
        assert size <= CHAT_BYTES_MOST[DeliveryChannel.WECOM]
    assert "\n".join(one.body.partition("\n")[2] for one in written) == lines


def test_a_chat_message_carries_no_files():
    chat = replace(DRAFT, channel=DeliveryChannel.FEISHU, recipient="群")
    with pytest.raises(InputError, match="附件"):
        posted(replace(chat, attachments=(FileReference("a.pdf", paper_file=1),)))


@pytest.mark.parametrize("files", [{}, {"paper_file": 1, "evidence_file": 1}])
def test_a_reference_is_to_one_file(files):
    with pytest.raises(ValueError, match="one file"):
        FileReference("a.pdf", **files)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.inspection.refusals import Refusal, classify

REPLIES = [
    ("550 Domain frequency limited. http://service.mail.qq.com/cgi-bin/help", "rate_limit"),
    ("550 Mailbox unavailable or access denied", "rate_limit"),
    ("550 Mail content denied", "content"),
    ("550 SPF check failed", "authentication"),
    ("421 HL:ICC 163 smtp2,wKgA", "rate_limit"),
    ("554 DT:SPM 163 smtp10", "content"),
    ("554 HL:IPB 163 smtp", "reputation"),
    ("550 MI:SPF 163 smtp", "authentication"),
    ("550 User suspended", "unknown_user"),
    ("552 message rejected by anti-spam engine.", "content"),
    ("550 black ip.", "reputation"),
    ("450 Mail rejected, please try again", "temporary"),
    ("504 the number of RCPT attempts is achieved the maximum threshold", "rate_limit"),
    ("421-4.7.0 [192.0.2.1 15] Our system has detected an unusual rate of", "rate_limit"),
    ("550-5.7.1 [192.0.2.1 12] Our system has detected that this message is likely unsolicited"
     " mail", "content"),
    ("550-5.7.26 This mail is unauthenticated", "authentication"),
    ("452 4.2.2 The recipient's inbox is out of storage space", "mailbox_full"),
    ("550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. part of their network is on"
     " our block list (S3150)", "reputation"),
    ("550 5.7.606 Access denied, banned sending IP [192.0.2.1]", "reputation"),
    ("421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or"
     " user complaints", "rate_limit"),
    ("550 5.1.1 <a@b.example>: Recipient address rejected", "unknown_user"),
    ("552 5.2.2 nothing said", "mailbox_full"),
    ("552 5.3.4 Message size exceeds fixed limit", "too_big"),
    ("550 5.7.23 nothing said", "authentication"),
    ("530 5.7.0 Must issue a STARTTLS command first", "tls"),
    ("451 4.7.1 <a@b.example>: Greylisted for 300 seconds", "temporary"),
    ("450 4.3.0 later", "temporary"),
    ("Host or domain name not found. Name service error for name=x.example type=MX", "name"),
    ("connect to mx.x.example[192.0.2.1]:25: Connection timed out", "unreachable"),
    ("554 nothing that anybody knows", "unknown"),
    ("", "unknown"),
    ("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org;"
     " https://www.spamhaus.org/query/ip/192.0.2.1", "reputation"),
    ("552 Message size exceeds fixed maximum message size", "too_big"),
    ("552 Requested mail action aborted: exceeded storage allocation", "mailbox_full"),
    ("450 Requested mail action not taken: mailbox unavailable", "temporary"),
    ("550 Requested action not taken: mailbox unavailable", "unknown_user"),
    ("550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", "unknown_user"),
    ("450 4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1]",
     "authentication"),
    ("host antispam.example[192.0.2.1] refused to talk to me: 450 4.3.2 Service unavailable",
     "temporary"),
    ("550 5.7.1 rejected as spam", "content"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "refusal"), REPLIES)
def test_a_reply_is_put_into_its_class(text, refusal):
    assert classify(text).refusal == refusal


def test_the_name_of_a_server_and_an_address_are_not_its_words():
    text = "host spam-gw.example[192.0.2.1] said: 554 <virus@spam.example> (in reply to RCPT TO)"
    assert classify(text).refusal is Refusal.UNKNOWN


@pytest.mark.parametrize(
    ("text", "is_temporary"),
    [("451 4.7.1 no", True), ("smtp; 450 no", True), ("550 5.1.1 no", False), ("timed out", False)],
)
def test_a_first_digit_of_four_means_another_try(text, is_temporary):
    assert classify(text).is_temporary is is_temporary


@pytest.mark.parametrize("refusal", Refusal)
def test_every_class_has_a_chinese_name_and_says_who_acts(refusal):
    assert any("\u4e00" <= sign <= "\u9fff" for sign in refusal.label)
    assert refusal.remedy.startswith(("由客户处理：", "由拓波处理：", "由运营商处理："))


@given(st.text(max_size=300))
def test_every_text_has_a_class(text):
    assert classify(text).reply == text

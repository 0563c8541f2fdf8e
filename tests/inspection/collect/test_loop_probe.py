import base64

import pytest

from mailcare.inspection.check import Ask, Channel, Reply
from mailcare.inspection.collect import loop
from tests.inspection.collect.loopback import MailHost, Server, hangs
from tests.inspection.collect.probing import (
    INSIDE,
    OUTSIDE,
    PASSWORD,
    mailboxes_at,
    scene,
    site_with,
    trusting_site,
)


def round_trip(host: MailHost, *, site_of=trusting_site) -> Reply:
    with Server(host.submission()) as submission, Server(host.imap()) as imap:
        site = site_of(mailboxes=mailboxes_at(submission, imap))
        asked = Ask(Channel.LOOP, ("round-trip", INSIDE, OUTSIDE, "0.2"), 10.0)
        answer = loop.probe(asked, scene(site))
    assert isinstance(answer, Reply)
    return answer


def test_a_mail_is_sent_found_written_down_and_deleted():
    host = MailHost()
    reply = round_trip(host)
    assert reply.exit_code == 0
    assert "# stage sent\n" in reply.text
    assert "# found INBOX\n" in reply.text
    assert "# delay_s " in reply.text
    assert host.folders["INBOX"] == {1: b"Subject: older\r\n\r\nhello"}


def test_the_mail_stands_in_the_transcript_whole():
    reply = round_trip(MailHost())
    lines = reply.text.partition("# message\n")[2].splitlines()
    encoded = "".join(line[2:] for line in lines if line.startswith("< ") and " " not in line[2:])
    mail = base64.b64decode(encoded)
    assert mail.startswith(b"From: probe@shili-bank.example\r\nTo: probe@outside.example\r\n")
    assert b"Auto-Submitted: auto-generated" in mail


def test_a_mail_in_the_junk_folder_is_found_there():
    host = MailHost(puts_in="Junk")
    reply = round_trip(host)
    assert "# found Junk\n" in reply.text
    assert host.folders["Junk"] == {}


def test_a_server_that_opens_no_mailbox_to_the_nameless_is_told_who_we_are():
    host = MailHost(wants_to_know=True)
    reply = round_trip(host)
    assert "> id" in reply.text
    assert "# found INBOX\n" in reply.text


def test_a_mail_that_does_not_come_is_waited_for_and_given_up():
    reply = round_trip(MailHost(puts_in=None))
    assert reply.exit_code == 1
    assert "# not-found 0.2\n" in reply.text


def test_a_mailbox_that_says_much_at_each_look_is_waited_for_to_the_end():
    reply = round_trip(MailHost(puts_in=None, flags=b"* FLAGS (x)\r\n" * 12_000))
    assert "# not-found 0.2\n" in reply.text


def test_a_bounce_is_looked_for_in_the_senders_mailbox():
    host = MailHost(puts_in=None, bounces=True)
    reply = round_trip(host)
    assert "# bounced\n" in reply.text
    assert list(host.folders["INBOX"]) == [1]


@pytest.mark.parametrize("refusal", [b"452 4.3.1 no space\r\n", b"552 5.2.2 full\r\n"])
def test_a_refused_mail_is_kept_verbatim(refusal):
    reply = round_trip(MailHost(accepts=refusal))
    assert f"< {refusal.decode().strip()}\n" in reply.text
    assert "# stage sent" not in reply.text
    assert reply.exit_code == 1


def test_a_mailbox_that_cannot_be_read_is_told_from_a_mail_that_did_not_come():
    host = MailHost()
    with Server(host.submission()) as submission, Server(hangs) as imap:
        site = trusting_site(mailboxes=mailboxes_at(submission, imap))
        asked = Ask(Channel.LOOP, ("round-trip", INSIDE, OUTSIDE, "0.2"), 1.0)
        reply = loop.probe(asked, scene(site))
    assert isinstance(reply, Reply)
    assert "# stage sent\n" in reply.text
    assert "# not-found" not in reply.text
    assert "# tls-failed timeout\n" in reply.text


def test_a_server_that_nobody_vouches_for_gets_no_mail():
    host = MailHost()
    reply = round_trip(host, site_of=site_with)
    assert reply.exit_code == 1
    assert "# verify-failed 18 self-signed certificate\n" in reply.text
    assert "AUTH" not in reply.text.partition("# verify-failed")[2]
    assert host.folders["INBOX"] == {1: b"Subject: older\r\n\r\nhello"}


def test_no_password_stands_in_the_transcript():
    reply = round_trip(MailHost())
    assert PASSWORD not in reply.text
    assert "AUTH PLAIN ***" in reply.text

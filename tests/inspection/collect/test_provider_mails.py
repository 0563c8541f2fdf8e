import base64

from mailcare.inspection.check import Ask, Channel, Reply
from mailcare.inspection.checks.providers import CHECKS
from mailcare.inspection.collect import loop
from mailcare.systems.site import Provider, Region
from tests.inspection.collect.loopback import MailHost, Server
from tests.inspection.collect.probing import (
    INSIDE,
    PASSWORD,
    mailboxes_at,
    scene,
    site_with,
    trusting_site,
)

FIRST, SECOND = "probe@first.example", "probe@second.example"


def provider(address, mailbox):
    return Provider(
        name=address.split("@")[1],
        title=address,
        region=Region.DOMESTIC,
        address=address,
        mailbox=mailbox,
    )


def send(host, *, readable=(FIRST, SECOND), there=None, wait_s="0.2", site_of=trusting_site):
    """Send to two providers; `there` serves their mailboxes, else the sender's own host does."""
    with (
        Server(host.submission()) as submission,
        Server(host.imap()) as imap,
        Server(there or host.imap()) as far,
    ):
        away = mailboxes_at(submission, far).outside
        providers = tuple(
            provider(one, away if one in readable else None) for one in (FIRST, SECOND)
        )
        site = site_of(mailboxes=mailboxes_at(submission, imap), providers=providers)
        asked = Ask(Channel.LOOP, ("providers", INSIDE, wait_s, FIRST, SECOND), 5.0)
        answer = loop.probe(asked, scene(site))
    assert isinstance(answer, Reply)
    return answer


def traces(answer):
    return CHECKS[0].parse((answer,)).traces


def test_all_mails_go_over_one_connection_and_are_found_and_deleted():
    host = MailHost()
    answer = send(host)
    assert answer.exit_code == 0
    assert answer.text.count("> AUTH PLAIN ***\n") == 1
    assert {one: trace.events["found"] for one, trace in traces(answer).items()} == {
        FIRST: "INBOX",
        SECOND: "INBOX",
    }
    assert host.folders["INBOX"] == {1: b"Subject: older\r\n\r\nhello"}
    assert PASSWORD not in answer.text


def test_only_the_mail_that_is_meant_is_recorded():
    answer = send(MailHost())
    for address, trace in traces(answer).items():
        assert f"To: {address}".encode() in base64.b64decode("".join(trace.message))


def test_a_mail_in_the_junk_folder_is_found_there():
    assert traces(send(MailHost(puts_in="Junk")))[FIRST].events["found"] == "Junk"


def test_one_that_is_turned_away_does_not_keep_the_next_from_going():
    found = traces(send(MailHost(turns_away="first.example")))
    assert "turned-away" in found[FIRST].events
    assert found[FIRST].talk[3] == "S: 550 5.1.1 no such user"
    assert "found" in found[SECOND].events


def test_a_bounce_settles_a_mail_whose_mailbox_is_closed_to_us():
    host = MailHost(puts_in=None, bounces=True, turns_away="second.example")
    answer = send(host, readable=())
    assert "bounced" in traces(answer)[FIRST].events
    assert list(host.folders["INBOX"]) == [1]


def test_what_is_not_heard_of_is_waited_for_and_given_up():
    answer = send(MailHost(puts_in=None))
    assert answer.exit_code == 1
    assert traces(answer)[FIRST].events["not-found"] == "0.2"
    assert answer.text.count("# connecting") == 1, "rounds that found nothing are left out"


def test_a_mailbox_that_cannot_be_opened_is_asked_once():
    host = MailHost(puts_in=None)
    answer = send(host, there=lambda peer: peer.sendall(b"* BYE closed\r\n"))
    found = traces(answer)
    assert "unreadable" in found[FIRST].events
    assert "not-found" in found[FIRST].events
    assert answer.text.count(f"# unreadable {FIRST}\n") == 1


def test_a_server_that_nobody_vouches_for_gets_no_mail():
    host = MailHost()
    answer = send(host, site_of=site_with)
    assert traces(answer) == {}
    assert "# verify-failed 18" in answer.text
    assert answer.exit_code == 1

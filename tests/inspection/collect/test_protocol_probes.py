import base64
from dataclasses import replace

import pytest

from mailcare.errors import InputError
from mailcare.inspection.check import Channel, Reply
from mailcare.inspection.collect import imap, pop3, smtp
from tests.inspection.collect.loopback import (
    HOSTNAME,
    IMAP_ANSWERS,
    IMAP_GREETING,
    POP3_ANSWERS,
    POP3_GREETING,
    SMTP_ANSWERS,
    SMTP_GREETING,
    Server,
    converses,
    self_signed,
    sends,
)
from tests.inspection.collect.probing import (
    INSIDE,
    OUTSIDE,
    PASSWORD,
    ask,
    scene,
    site_with,
    trusting_site,
)


def probe(probes, *words, server, tls="starttls", site=None) -> Reply:
    asked = ask(Channel.SMTP, words[0], server, *words[1:], tls=tls)
    answer = probes.probe(asked, scene(site or trusting_site()))
    assert isinstance(answer, Reply)
    return answer


def smtp_server(answers=None, *, implicit=False):
    tls = self_signed().context()
    return Server(converses(SMTP_GREETING, answers or SMTP_ANSWERS, tls=tls, implicit=implicit))


def imap_server(answers=None, *, implicit=False):
    tls = self_signed().context()
    return Server(converses(IMAP_GREETING, answers or IMAP_ANSWERS, tls=tls, implicit=implicit))


def pop3_server(answers=None, *, implicit=False):
    tls = self_signed().context()
    return Server(converses(POP3_GREETING, answers or POP3_ANSWERS, tls=tls, implicit=implicit))


def test_a_greeting_records_banner_and_extensions_and_says_quit():
    with smtp_server() as server:
        reply = probe(smtp, "greeting", server=server)
    assert reply.exit_code == 0
    assert "> EHLO core.vendor.example\n< 250-mx1.shili-bank.example\n" in reply.text
    assert reply.text.endswith("> QUIT\n< 221 bye\n")


def test_a_421_at_connect_is_kept_verbatim_and_answered_with_quit():
    with Server(sends(b"421 4.3.2 too busy\r\n")) as server:
        reply = probe(smtp, "greeting", server=server)
    assert "< 421 4.3.2 too busy\n" in reply.text
    assert "EHLO" not in reply.text


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    ("probes", "serve", "success"),
    [
        (smtp, smtp_server, "235 2.7.0 ok"),
        (imap, imap_server, "Logged in"),
        (pop3, pop3_server, "+OK logged in"),
    ],
)
def test_a_login_succeeds_over_a_certificate_that_the_site_trusts(probes, serve, success, implicit):
    with serve(implicit=implicit) as server:
        tls = "implicit" if implicit else "starttls"
        reply = probe(probes, "login", INSIDE, server=server, tls=tls)
    assert reply.exit_code == 0
    assert success in reply.text
    assert "# tls TLSv1.3" in reply.text


each_probe = pytest.mark.parametrize(
    ("probes", "serve"), [(smtp, smtp_server), (imap, imap_server), (pop3, pop3_server)]
)


@pytest.mark.parametrize("implicit", [False, True])
@each_probe
def test_no_password_is_sent_to_a_server_that_nobody_vouches_for(probes, serve, implicit):
    with serve(implicit=implicit) as server:
        tls = "implicit" if implicit else "starttls"
        reply = probe(probes, "login", INSIDE, server=server, tls=tls, site=site_with())
    assert reply.exit_code == 1
    assert "# verify-failed 18 self-signed certificate\n" in reply.text
    assert "***" not in reply.text


@each_probe
def test_a_trusted_certificate_for_another_name_gets_no_password(probes, serve):
    with serve() as server:
        asked = ask(Channel.SMTP, "login", server, INSIDE)
        words = tuple("mx2.shili-bank.example" if one == HOSTNAME else one for one in asked.words)
        reply = probes.probe(replace(asked, words=words), scene(trusting_site()))
    assert "# verify-failed 62 " in reply.text
    assert "***" not in reply.text


def echo(text: str) -> bytes:
    decoded = (
        base64.b64decode(text.rsplit(maxsplit=1)[-1]) if text.startswith("AUTH PLAIN ") else b""
    )
    return b"500 unrecognized: %b (%b)\r\n" % (text.encode(), decoded)


@pytest.mark.parametrize(
    ("probes", "serve", "answers"),
    [
        (smtp, smtp_server, SMTP_ANSWERS | {"AUTH PLAIN": echo}),
        (
            imap,
            imap_server,
            IMAP_ANSWERS | {"LOGIN": lambda text: f"* {text}\r\nTAG BAD {text}\r\n".encode()},
        ),
        (
            pop3,
            pop3_server,
            POP3_ANSWERS | {"PASS": lambda text: f"-ERR what? {text.upper()}\r\n".encode()},
        ),
    ],
)
def test_a_password_that_the_server_echoes_stands_in_no_transcript(probes, serve, answers):
    with serve(answers) as server:
        reply = probe(probes, "login", INSIDE, server=server)
    token = base64.b64encode(f"\0{INSIDE}\0{PASSWORD}".encode()).decode()
    assert token not in reply.text
    assert not [word for word in PASSWORD.split() if word in reply.text.lower()]
    assert reply.text.count("***") > 1


@each_probe
def test_no_password_stands_in_a_transcript(probes, serve):
    with serve() as server:
        reply = probe(probes, "login", INSIDE, server=server)
    token = base64.b64encode(f"\0{INSIDE}\0{PASSWORD}".encode()).decode()
    assert "***" in reply.text
    assert PASSWORD not in reply.text
    assert token not in reply.text


def test_auth_login_is_used_where_plain_is_not_offered():
    answers = SMTP_ANSWERS | {
        "EHLO": b"250-x\r\n250-STARTTLS\r\n250 AUTH LOGIN CRAM-MD5\r\n",
        "AUTH LOGIN": b"334 VXNlcm5hbWU6\r\n",
        base64.b64encode(INSIDE.encode()).decode(): b"334 UGFzc3dvcmQ6\r\n",
        base64.b64encode(PASSWORD.encode()).decode(): b"235 ok\r\n",
    }
    with smtp_server(answers) as server:
        reply = probe(smtp, "login", INSIDE, server=server)
    assert "> ***\n< 235 ok\n" in reply.text
    assert base64.b64encode(PASSWORD.encode()).decode() not in reply.text


def test_a_mechanism_that_we_lack_is_said():
    answers = SMTP_ANSWERS | {"EHLO": b"250-x\r\n250-STARTTLS\r\n250 AUTH GSSAPI\r\n"}
    with smtp_server(answers) as server:
        reply = probe(smtp, "login", INSIDE, server=server)
    assert "# no-mechanism\n" in reply.text


def test_a_relay_test_ends_before_data():
    said: list[str] = []

    def remember(text: str) -> bytes:
        said.append(text)
        return b"250 ok\r\n"

    with smtp_server(SMTP_ANSWERS | {"RCPT TO": remember, "DATA": remember}) as server:
        reply = probe(smtp, "relay", OUTSIDE, OUTSIDE, server=server)
    assert said == [f"RCPT TO:<{OUTSIDE}>"]
    assert "> RSET\n< 250 ok\n> QUIT\n" in reply.text


def test_only_the_sites_own_mailboxes_are_used():
    with smtp_server() as server, pytest.raises(InputError, match="stranger"):
        probe(smtp, "login", "stranger@example.org", server=server)


def test_a_second_envelope_is_tried_after_the_first_is_refused():
    def refuse(_text: str) -> bytes:
        return b"554 5.7.1 Relay access denied\r\n"

    with smtp_server(SMTP_ANSWERS | {"RCPT TO": refuse}) as server:
        reply = probe(smtp, "relay", OUTSIDE, OUTSIDE, INSIDE, OUTSIDE, server=server)
    assert reply.text.count("> RSET\n< 250 ok\n") == 2
    assert f"> MAIL FROM:<{INSIDE}>\n" in reply.text

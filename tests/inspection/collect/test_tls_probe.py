import ssl

import pytest

from mailcare.errors import InputError
from mailcare.inspection.certificate import Offers, read_offers
from mailcare.inspection.check import Channel, Reply, ReplyError
from mailcare.inspection.collect import tls
from tests.inspection.collect.loopback import (
    IMAP_ANSWERS,
    IMAP_GREETING,
    POP3_ANSWERS,
    POP3_GREETING,
    SMTP_ANSWERS,
    SMTP_GREETING,
    Pair,
    Server,
    converses,
    hangs,
    self_signed,
    sends,
)
from tests.inspection.collect.probing import ask, scene, site_with


def probe(server, protocol="imap", *, mode="implicit", site=None, timeout_s=5.0) -> Reply:
    asked = ask(Channel.TLS, "certificate", server, protocol, tls=mode, timeout_s=timeout_s)
    answer = tls.probe(asked, scene(site))
    assert isinstance(answer, Reply)
    return answer


def imap_over(pair: Pair) -> Server:
    talk = converses(IMAP_GREETING, IMAP_ANSWERS, tls=pair.context(), implicit=True)
    return Server(talk)


def test_a_certificate_of_a_stranger_is_shown_with_the_verifiers_words():
    with imap_over(self_signed()) as server:
        reply = probe(server)
    assert "# verify-failed 18 self-signed certificate\n" in reply.text
    assert self_signed().certificate.decode().splitlines()[1] in reply.text
    assert reply.exit_code == 0


def test_the_sites_own_authority_is_trusted(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_bytes(self_signed().certificate)
    with imap_over(self_signed()) as server:
        reply = probe(server, site=site_with(ca_file=path))
    assert "# verify ok\n" in reply.text


def test_an_expired_certificate_is_shown_too(tmp_path):
    pair = self_signed(days=-3)
    path = tmp_path / "ca.pem"
    path.write_bytes(pair.certificate)
    with imap_over(pair) as server:
        reply = probe(server, site=site_with(ca_file=path))
    assert "# verify-failed 10 certificate has expired\n" in reply.text
    assert "BEGIN CERTIFICATE" in reply.text


@pytest.mark.parametrize(
    ("protocol", "greeting", "answers"),
    [
        ("smtp", SMTP_GREETING, SMTP_ANSWERS),
        ("submission", SMTP_GREETING, SMTP_ANSWERS),
        ("imap", IMAP_GREETING, IMAP_ANSWERS),
        ("pop3", POP3_GREETING, POP3_ANSWERS),
    ],
)
def test_tls_is_started_as_each_protocol_wants_it(protocol, greeting, answers):
    with Server(converses(greeting, answers, tls=self_signed().context())) as server:
        reply = probe(server, protocol, mode="starttls")
    assert "# tls TLSv1.3" in reply.text
    assert "BEGIN CERTIFICATE" in reply.text


def test_a_refused_starttls_is_the_servers_answer():
    answers = SMTP_ANSWERS | {"STARTTLS": b"454 4.7.0 TLS not available\r\n"}
    with Server(converses(SMTP_GREETING, answers)) as server:
        reply = probe(server, "smtp", mode="starttls")
    assert "> STARTTLS\n< 454 4.7.0 TLS not available\n" in reply.text


def test_a_port_that_speaks_no_tls_fails_the_handshake():
    with Server(sends(b"* OK plain\r\n" * 20)) as server:
        reply = probe(server)
    assert "# tls-failed" in reply.text
    assert reply.exit_code == 1


def test_a_handshake_that_hangs_is_left_at_the_deadline():
    with Server(hangs) as server:
        reply = probe(server, timeout_s=0.3)
    assert reply.text.endswith("# tls-failed timeout\n")


def offers(server: Server, protocol: str = "imap", *, mode: str = "implicit") -> Offers:
    asked = ask(Channel.TLS, "offers", server, protocol, tls=mode)
    answer = tls.probe(asked, scene())
    assert isinstance(answer, Reply)
    return read_offers(answer)


def test_a_modern_server_is_found_to_refuse_what_is_old_and_weak():
    context = self_signed().context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with Server(converses(IMAP_GREETING, IMAP_ANSWERS, tls=context, implicit=True)) as server:
        found = offers(server)
    assert found.versions == ("TLSv1.2", "TLSv1.3")
    assert found.refused == ("TLSv1", "TLSv1.1")
    assert found.weak == ()


def test_weak_ciphers_are_found_one_after_the_other():
    context = self_signed().context()
    context.set_ciphers("eNULL:aNULL:ECDHE+AES:@SECLEVEL=0")
    with Server(converses(SMTP_GREETING, SMTP_ANSWERS, tls=context)) as server:
        found = offers(server, "smtp", mode="starttls")
    assert set(found.weak) >= {"NULL", "ANON"}


def test_a_port_that_is_closed_offers_nothing_that_could_be_judged():
    server = Server(hangs)
    server.__enter__()
    server.__exit__()
    with pytest.raises(ReplyError, match="连接被拒绝"):
        offers(server)


def test_a_missing_ca_file_is_the_site_files_fault(tmp_path):
    with imap_over(self_signed()) as server, pytest.raises(InputError, match="CA"):
        probe(server, site=site_with(ca_file=tmp_path / "none.pem"))

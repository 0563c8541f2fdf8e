import pytest

from mailcare.inspection.check import Ask, Channel, Reply
from mailcare.inspection.collect import imap, pop3, smtp, tcp
from mailcare.inspection.collect.dialogue import SIZE_LIMIT_BYTES
from tests.inspection.collect.loopback import (
    Server,
    closed_port,
    drips,
    floods,
    hangs,
    sends,
)
from tests.inspection.collect.probing import INSIDE, ask, scene

PROBES = {Channel.SMTP: smtp.probe, Channel.IMAP: imap.probe, Channel.POP3: pop3.probe}


def login(channel: Channel, server: Server, *, timeout_s: float = 5.0) -> Reply:
    answer = PROBES[channel](ask(channel, "login", server, INSIDE, timeout_s=timeout_s), scene())
    assert isinstance(answer, Reply)
    return answer


each_protocol = pytest.mark.parametrize("channel", PROBES)


def test_a_port_that_takes_connections_is_connected():
    with Server(hangs) as server:
        words = ("connect", server.address, str(server.port))
        answer = tcp.probe(Ask(Channel.TCP, words, 5.0, "mx1"), scene())
    assert isinstance(answer, Reply)
    assert answer.exit_code == 0
    assert "# connected\n" in answer.text
    assert answer.source == f"tcp://127.0.0.1:{server.port}"


def test_a_closed_port_is_refused():
    words = ("connect", "127.0.0.1", str(closed_port()))
    answer = tcp.probe(Ask(Channel.TCP, words, 5.0, "mx1"), scene())
    assert isinstance(answer, Reply)
    assert answer.exit_code == 1
    assert answer.text.endswith("# refused\n")


@each_protocol
def test_a_server_that_never_speaks_is_left_at_the_deadline(channel):
    with Server(hangs) as server:
        reply = login(channel, server, timeout_s=1.5)
    assert reply.exit_code == 1
    assert reply.text.endswith("# timeout read\n")


@each_protocol
def test_a_server_that_drips_is_left_at_the_deadline(channel):
    with Server(drips) as server:
        reply = login(channel, server, timeout_s=0.3)
    assert reply.exit_code == 1
    assert "# timeout" in reply.text


@each_protocol
def test_a_server_that_closes_in_mid_line_is_closed(channel):
    with Server(sends(b"220 half a li")) as server:
        reply = login(channel, server)
    assert reply.exit_code == 1
    assert reply.text.endswith("< 220 half a li\n# closed\n")


@each_protocol
def test_megabytes_are_cut_at_the_limit(channel):
    with Server(floods) as server:
        reply = login(channel, server)
    assert reply.exit_code == 1
    assert reply.text.endswith("# too-long\n")
    assert len(reply.text) < 2 * SIZE_LIMIT_BYTES


@each_protocol
def test_binary_becomes_printable_lines(channel):
    with Server(sends(b"\x00\xff\xfe\x07\x1c\x85\r\n")) as server:
        reply = login(channel, server)
    assert "\\xff" in reply.text
    assert "\x00" not in reply.text
    assert all(line[:2] in ("> ", "< ", "# ") for line in reply.text.splitlines())


@each_protocol
def test_another_charset_is_kept_as_bytes(channel):
    with Server(sends("220 欢迎\r\n".encode("gb18030"))) as server:
        reply = login(channel, server)
    assert r"\xbb\xb6" in reply.text


@each_protocol
def test_a_password_is_never_sent_without_tls(channel):
    heard: list[bytes] = []

    def listens(connection):
        greeting = {"smtp": b"220 x\r\n", "imap": b"* OK x\r\n", "pop3": b"+OK x\r\n"}[channel]
        connection.sendall(greeting)
        while data := connection.recv(4096):
            heard.append(data)
            tag = data.split()[0]
            bare = {
                "smtp": b"250 x\r\n",
                "imap": tag + b" OK x\r\n",
                "pop3": b"+OK\r\n.\r\n",
            }[channel]
            connection.sendall(bare)

    with Server(listens) as server:
        reply = login(channel, server)
    assert heard
    assert "# no-starttls" in reply.text
    assert b"horse" not in b"".join(heard)
    assert b"AUTH" not in b"".join(heard)

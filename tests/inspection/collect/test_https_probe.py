from pathlib import Path

import pytest

from mailcare.inspection.check import Ask, Channel, Reply
from mailcare.inspection.collect import https
from tests.inspection.collect.loopback import (
    HOSTNAME,
    NameServer,
    Server,
    Zone,
    authority,
    self_signed,
)
from tests.inspection.collect.probing import ask, scene, site_asking


def get(server: Server, path: str = "/") -> Reply:
    answer = https.probe(ask(Channel.HTTPS, "get", server, path, tls="none"), scene())
    assert isinstance(answer, Reply)
    return answer


def answers(data: bytes) -> Server:
    def talk(peer):
        peer.recv(4096)
        peer.sendall(data)

    return Server(talk)


def pages(**by_path: bytes) -> Server:
    at = {f"/{path} ": page for path, page in by_path.items()}

    def talk(peer):
        head = b""
        while b"\r\n\r\n" not in head:
            head += peer.recv(4096)
        path = head.decode().split()[1] + " "
        peer.sendall(at.get(path, b"HTTP/1.1 404 Not Found\r\n\r\n"))

    return Server(talk)


def page(body: bytes, *headers: str) -> bytes:
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers])
    return head.encode() + b"\r\n\r\n" + body


def test_a_page_is_recorded_with_status_headers_and_body():
    with pages(**{"": page(b"<h1>mail</h1>", "X-A: b")}) as server:
        reply = get(server)
    assert f"> Host: {HOSTNAME}:{server.port}\n" in reply.text
    assert "< HTTP 200 OK\n" in reply.text
    assert "< X-A: b\n# body\n< <h1>mail</h1>\n" in reply.text
    assert "# elapsed_ms " in reply.text
    assert reply.exit_code == 0


def test_a_chunked_page_is_put_together():
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
    )
    with pages(**{"": chunked}) as server:
        assert "< abcdef\n" in get(server).text


def test_a_redirect_on_the_same_host_is_followed():
    moved = b"HTTP/1.1 302 Found\r\nLocation: /login?a=1\r\nContent-Length: 0\r\n\r\n"
    with pages(**{"": moved, "login?a=1": page(b"form")}) as server:
        reply = get(server)
    assert "> GET /login?a=1 HTTP/1.1\n" in reply.text
    assert "< form\n" in reply.text


def test_a_redirect_to_another_host_is_not_followed():
    moved = b"HTTP/1.1 302 Found\r\nLocation: https://sso.example/\r\nContent-Length: 0\r\n\r\n"
    with pages(**{"": moved}) as server:
        reply = get(server)
    assert "# redirect-elsewhere https://sso.example/\n" in reply.text


def test_a_circle_of_redirects_is_left():
    moved = b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
    with pages(**{"": moved}) as server:
        reply = get(server)
    assert reply.text.count("> GET ") == 1 + https.REDIRECTS
    assert "# too-many-redirects\n" in reply.text


def test_a_gb18030_page_is_read_in_its_own_charset():
    body = "<title>邮件系统</title>".encode("gb18030")
    with pages(**{"": page(body, "Content-Type: text/html; charset=gb18030")}) as server:
        assert "邮件系统" in get(server).text


def test_a_charset_named_only_in_the_page_is_found():
    body = '<meta charset="gb2312"><title>邮件系统</title>'.encode("gb18030")
    with pages(**{"": page(body)}) as server:
        assert "邮件系统" in get(server).text


def test_an_unknown_charset_keeps_the_bytes():
    with pages(**{"": page(b"\xff\x00ok", "Content-Type: text/html; charset=nonsense")}) as server:
        assert r"\xff\x00ok" in get(server).text


def test_a_session_cookie_is_not_kept():
    with pages(**{"": page(b"", "Set-Cookie: sid=1234; Path=/")}) as server:
        reply = get(server)
    assert "sid=***" in reply.text
    assert "1234" not in reply.text


def test_a_large_page_is_cut():
    with pages(**{"": page(b"x" * 3_000_000)}) as server:
        reply = get(server)
    assert "# cut\n" in reply.text
    assert len(reply.text) < 2 * https.PAGE_BYTES


def test_an_answer_that_is_not_http_is_said():
    with answers(b"220 mail server ready\r\n") as server:
        assert "# not-http" in get(server).text


def test_a_server_that_closes_without_an_answer_is_said():
    with answers(b"") as server:
        assert "# not-http RemoteDisconnected\n" in get(server).text


def policy(server: Server, zone: Zone, *, ca_file: Path | None = None) -> Reply:
    words = ("policy", HOSTNAME, str(server.port), "/.well-known/mta-sts.txt")
    with NameServer(zone) as names:
        site = site_asking(names).model_copy(update={"ca_file": ca_file})
        answer = https.probe(Ask(Channel.HTTPS, words, 8.0), scene(site))
    assert isinstance(answer, Reply)
    return answer


HERE: Zone = {("A", HOSTNAME): ("127.0.0.1",)}


def secured(data: bytes) -> Server:
    def talk(peer):
        peer.start_tls(self_signed().context())
        peer.recv(4096)
        peer.sendall(data)

    return Server(talk)


def test_a_policy_is_taken_from_a_server_that_is_vouched_for():
    with secured(page(b"version: STSv1\n")) as server:
        reply = policy(server, HERE, ca_file=authority())
    assert "# body\n< version: STSv1\n" in reply.text


def test_a_policy_of_a_stranger_is_not_read():
    with secured(page(b"version: STSv1\n")) as server:
        reply = policy(server, HERE)
    assert "# verify-failed 18" in reply.text
    assert "version" not in reply.text.partition("verify-failed")[2]


def test_a_redirect_of_a_policy_is_not_followed():
    moved = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"
    with secured(moved) as server:
        reply = policy(server, HERE, ca_file=authority())
    assert reply.text.count("> GET ") == 1


@pytest.mark.parametrize(
    ("answer", "event"), [("NXDOMAIN", "no-address"), ("SERVFAIL", "unresolved")]
)
def test_a_policy_host_that_has_no_address_is_told_from_one_that_nobody_can_find(answer, event):
    with pages() as server:
        reply = policy(server, {("A", HOSTNAME): answer})
    assert f"# {event} " in reply.text

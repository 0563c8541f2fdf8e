import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailcare.delivery.letters import Attachment, Letter, to_message
from mailcare.delivery.relays import Relay
from mailcare.delivery.smtp_relay import Refused, Uncertain, addresses_of, send
from mailcare.errors import InputError, MailcareError, Unavailable
from mailcare.systems.profile import TlsMode
from tests.delivery.smtp_server import CLOSE, HANG, SmtpServer, smtp_server

EHLO = "reports.vendor.example"
LETTER = Letter(
    message_id="<17@vendor.example>",
    sender="reports@vendor.example",
    recipient="wang@shili-bank.example",
    subject="巡检报告",
    body=".首行以点开头\n.\nQUIT\n",
    attachments=(Attachment("巡检报告.pdf", "application/pdf", b"%PDF" * 50_000),),
)
MAIL = to_message(LETTER, date=datetime(2026, 3, 2, tzinfo=UTC))
AUTHENTICATED = "235 2.7.0 Authentication successful"


def _relay(server: SmtpServer, **changes: object) -> Relay:
    values: dict = {"tls": TlsMode.NONE, "timeout_s": 10, "final_timeout_s": 10}
    return Relay("127.0.0.1", server.port, EHLO, **(values | changes))


def _with_login(server: SmtpServer, ca_file: Path) -> Relay:
    return _relay(server, tls=TlsMode.STARTTLS, login="robot", password="geheim", ca_file=ca_file)


def _nothing() -> None:
    pass


def _never() -> None:
    pytest.fail("before_data was called though the text must not go")


def test_a_letter_arrives_byte_by_byte_and_the_last_reply_comes_back() -> None:
    with smtp_server() as server:
        reply = send(_relay(server), MAIL, before_data=_nothing)

    assert reply == "250 2.0.0 Ok: queued as 4F1A2"
    assert server.lines == [
        f"ehlo {EHLO}",
        "mail FROM:<reports@vendor.example>",
        "rcpt TO:<wang@shili-bank.example>",
        "data",
        "quit",
    ]
    (text,) = server.taken
    assert text == MAIL.as_bytes()
    assert MAIL["Message-ID"].encode() in text


def test_a_line_that_begins_with_a_dot_does_not_end_the_letter() -> None:
    plain = EmailMessage(policy=MAIL.policy)
    plain["From"], plain["To"] = LETTER.sender, LETTER.recipient
    plain.set_content(".\n..\n.end\n", cte="7bit")
    with smtp_server() as server:
        send(_relay(server), plain, before_data=_nothing)

    (text,) = server.taken
    assert text.endswith(b"\r\n\r\n..\r\n...\r\n..end\r\n")  # as it goes over the wire


def test_the_caller_is_told_after_the_recipient_and_before_the_text() -> None:
    seen: list[list[str]] = []
    with smtp_server() as server:
        send(_relay(server), MAIL, before_data=lambda: seen.append(server.verbs))

    assert seen == [["EHLO", "MAIL", "RCPT"]]


def test_nothing_goes_when_the_caller_cannot_note_that_it_goes() -> None:
    def database_locked() -> None:
        raise Unavailable("数据库正被占用")

    with (
        smtp_server() as server,
        pytest.raises(Unavailable, match="数据库"),
    ):
        send(_relay(server), MAIL, before_data=database_locked)

    assert server.verbs == ["EHLO", "MAIL", "RCPT", "QUIT"]
    assert server.taken == []


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("CONNECT", "554 5.7.1 No SMTP service here"),
        ("MAIL", "553 5.7.1 Sender address rejected"),
    ],
)
def test_a_relay_that_turns_us_away_refuses_no_letter(command: str, reply: str) -> None:
    with smtp_server(**{command: [reply]}) as server, pytest.raises(InputError) as caught:
        send(_relay(server), MAIL, before_data=_never)

    assert reply in str(caught.value)
    assert server.taken == []


def test_a_recipient_that_is_refused_for_good_is_refused_verbatim() -> None:
    reply = "550 5.1.1 <wang@shili-bank.example>: 用户不存在"
    with smtp_server(RCPT=[reply]) as server, pytest.raises(Refused) as caught:
        send(_relay(server), MAIL, before_data=_never)

    assert caught.value.permanent
    assert caught.value.reply == reply
    assert reply in str(caught.value)
    assert server.taken == []


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("CONNECT", "421 4.3.2 Service not available"),
        ("MAIL", "452 4.3.1 Insufficient system storage"),
        ("RCPT", "451 4.7.1 Greylisting in action, please come back later"),
        ("RCPT", "250-half an answer\r\n451 4.3.0 and then not"),
    ],
)
def test_a_not_now_before_the_text_can_be_tried_again(command: str, reply: str) -> None:
    with smtp_server(**{command: [reply]}) as server, pytest.raises(Unavailable) as caught:
        send(_relay(server), MAIL, before_data=_never)

    assert not caught.value.permanent
    assert reply.splitlines()[-1][4:] in str(caught.value)
    assert server.taken == []


def test_after_greylisting_the_next_try_sends_the_same_letter_once() -> None:
    with smtp_server(RCPT=["451 4.7.1 Greylisted", "250 2.1.5 Ok"]) as server:
        with pytest.raises(Unavailable):
            send(_relay(server), MAIL, before_data=_never)
        send(_relay(server), MAIL, before_data=_nothing)

    assert [text.count(MAIL["Message-ID"].encode()) for text in server.taken] == [1]


@pytest.mark.parametrize("how", [CLOSE, HANG])
@pytest.mark.parametrize("command", ["CONNECT", "EHLO", "MAIL", "RCPT"])
def test_a_connection_lost_before_the_text_can_be_tried_again(command: str, how: str) -> None:
    with (
        smtp_server(**{command: [how]}) as server,
        pytest.raises(Unavailable, match="未投递") as caught,
    ):
        send(_relay(server, timeout_s=0.3), MAIL, before_data=_never)

    assert not caught.value.permanent
    assert server.taken == []


def test_a_refused_connection_can_be_tried_again() -> None:
    with smtp_server() as server:
        gone = _relay(server)

    with pytest.raises(Unavailable, match="无法连接"):
        send(gone, MAIL, before_data=_never)


@pytest.mark.parametrize(
    ("command", "reply", "error"),
    [
        ("DATA", "554 5.5.1 No valid recipients", Refused),
        ("DATA", "451 4.3.0 Try again", Unavailable),
        ("TEXT", "552 5.3.4 Message size exceeds fixed limit", Refused),
        ("TEXT", "452 4.3.1 Out of memory", Unavailable),
    ],
)
def test_a_clear_no_to_the_text_is_no_open_question(
    command: str, reply: str, error: type[MailcareError]
) -> None:
    told: list[str] = []
    with smtp_server(**{command: [reply]}) as server, pytest.raises(error, match=reply[4:9]):
        send(_relay(server), MAIL, before_data=lambda: told.append("sending"))

    assert told == ["sending"]
    assert server.taken == []
    assert server.verbs.count("DATA") == 1


@pytest.mark.parametrize("reply", [CLOSE, HANG, "what?", "354 Go on"])
def test_without_a_clear_answer_to_the_text_nobody_knows(reply: str) -> None:
    with (
        smtp_server(TEXT=[reply]) as server,
        pytest.raises(Uncertain, match="无法确定") as caught,
    ):
        send(_relay(server, timeout_s=0.3, final_timeout_s=0.3), MAIL, before_data=_nothing)

    assert caught.value.permanent
    assert server.verbs.count("DATA") == 1


def test_a_connection_that_breaks_in_mid_text_leaves_it_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read_a_little(_server: SmtpServer, stream: object) -> bool:
        stream.read(10)
        return False

    monkeypatch.setattr(SmtpServer, "_take", read_a_little)
    with smtp_server() as server, pytest.raises(Uncertain):
        send(_relay(server), MAIL, before_data=_nothing)

    assert server.verbs.count("DATA") == 1


@pytest.mark.parametrize("farewell", [CLOSE, HANG, "421 4.4.2 Error", "nonsense"])
def test_a_failing_farewell_does_not_unsend_the_letter(farewell: str) -> None:
    with smtp_server(QUIT=[farewell]) as server:
        reply = send(_relay(server, timeout_s=0.3), MAIL, before_data=_nothing)

    assert reply.startswith("250 ")
    assert len(server.taken) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and its own certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay.vendor.example")])
    now = datetime.now(UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("relay") / "relay.pem"
    pem = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(pem)
    )
    return file


@pytest.fixture
def secured(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def starttls(secured: ssl.SSLContext) -> Iterator[Callable[..., object]]:
    def serve(**changes: list[str]) -> object:
        offers = ["250-relay\r\n250 STARTTLS", "250-relay\r\n250 AUTH PLAIN LOGIN"]
        usual = {"EHLO": offers, "STARTTLS": ["220 Ready"], "AUTH": [AUTHENTICATED]}
        return smtp_server(secured, **(usual | changes))

    return serve


def test_the_login_goes_after_starttls_only(
    certificate: Path, starttls: Callable[..., object]
) -> None:
    with starttls() as server:
        send(_with_login(server, certificate), MAIL, before_data=_nothing)

    assert server.verbs == ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]
    assert len(server.taken) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("535 5.7.8 Error: authentication failed", InputError),
        ("454 4.7.0 Temporary authentication failure", Unavailable),
    ],
)
def test_a_failing_login_says_whether_another_try_helps(
    certificate: Path,
    starttls: Callable[..., object],
    reply: str,
    error: type[MailcareError],
) -> None:
    with starttls(AUTH=[reply]) as server, pytest.raises(error, match=reply[4:9]) as caught:
        send(_with_login(server, certificate), MAIL, before_data=_never)

    assert "geheim" not in str(caught.value)
    assert server.taken == []


def test_nothing_goes_in_clear_where_starttls_is_not_offered() -> None:
    with smtp_server() as server, pytest.raises(InputError, match="加密"):
        send(_relay(server, tls=TlsMode.STARTTLS), MAIL, before_data=_never)

    assert "MAIL" not in server.verbs


def test_nothing_goes_in_clear_where_starttls_is_declined(
    starttls: Callable[..., object],
) -> None:
    with starttls(STARTTLS=["454 4.7.0 TLS not available"]) as server, pytest.raises(Unavailable):
        send(_relay(server, tls=TlsMode.STARTTLS), MAIL, before_data=_never)

    assert "MAIL" not in server.verbs


def test_a_login_without_a_common_method_is_a_wrong_setting(
    certificate: Path, starttls: Callable[..., object]
) -> None:
    offers = ["250-relay\r\n250 STARTTLS", "250-relay\r\n250 AUTH GSSAPI"]
    with starttls(EHLO=offers) as server, pytest.raises(InputError, match="登录方式"):
        send(_with_login(server, certificate), MAIL, before_data=_never)


@pytest.mark.parametrize("mode", [TlsMode.STARTTLS, TlsMode.IMPLICIT])
def test_an_unknown_certificate_is_refused(
    starttls: Callable[..., object], mode: TlsMode, secured: ssl.SSLContext
) -> None:
    with smtp_server(secured, implicit=True) if mode is TlsMode.IMPLICIT else starttls() as server:
        relay = _relay(server, tls=mode)
        with pytest.raises(InputError, match="证书无法验证"):
            send(relay, MAIL, before_data=_never)

    assert "MAIL" not in server.verbs


def test_implicit_tls_carries_a_letter(certificate: Path, secured: ssl.SSLContext) -> None:
    with smtp_server(secured, implicit=True) as server:
        relay = _relay(server, tls=TlsMode.IMPLICIT, ca_file=certificate)
        send(relay, MAIL, before_data=_nothing)

    assert len(server.taken) == 1


def test_a_missing_authority_file_is_named(tmp_path: Path) -> None:
    with smtp_server() as server, pytest.raises(InputError, match=r"none\.pem"):
        send(
            _relay(server, tls=TlsMode.IMPLICIT, ca_file=tmp_path / "none.pem"),
            MAIL,
            before_data=_never,
        )


def test_a_relay_stands_for_its_addresses() -> None:
    assert addresses_of(Relay("127.0.0.1", 25, EHLO)) == ("127.0.0.1",)
    assert set(addresses_of(Relay("localhost", 25, EHLO))) & {"127.0.0.1", "::1"}


def test_a_name_that_stands_for_nothing_can_be_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_such_name(*_words: object, **_more: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    with pytest.raises(Unavailable, match="无法解析"):
        addresses_of(Relay("relay.vendor.example", 25, EHLO))

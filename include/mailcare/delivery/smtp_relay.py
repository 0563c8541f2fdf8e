"""Hand a letter to the vendor's own mail relay, and know afterwards whether it was taken.

A relay that says no for good raises `Refused`, one that says later or does not answer
`Unavailable`: the letter has surely not gone. Once the text is on its way a lost connection leaves
the fate of the letter open; that raises `Uncertain`, and nothing is sent again by itself.
"""

import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage

from mailcare.delivery.relays import Relay
from mailcare.errors import InputError, MailcareError, Unavailable
from mailcare.systems.profile import TlsMode

ACCEPTED = 2  # the first digit of a reply: RFC 5321, 4.2.1
DECLINED = (4, 5)
PERMANENT_FROM = 500


class Refused(MailcareError):
    """The relay will not take this letter; `reply` is what it said, verbatim."""

    def __init__(self, reply: str, *, subject: str) -> None:
        super().__init__(f"对方拒收（{reply}），请更正后重新投递", subject=subject)
        self.reply = reply


class NoAnswer(Unavailable):
    """The relay cannot be reached or went away before any text: no other letter would go either."""


class Uncertain(MailcareError):
    """The connection was lost after the text had begun to go: taken or not, nobody knows."""


def addresses_of(relay: Relay) -> tuple[str, ...]:
    """Return the addresses that the relay's name stands for now; raise `Unavailable` for none."""
    try:
        found = socket.getaddrinfo(relay.host, relay.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NoAnswer(f"中继的主机名无法解析（{error}）", subject=str(relay)) from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def send(relay: Relay, message: EmailMessage, *, before_data: Callable[[], None]) -> str:
    """Hand in a mail with one sender and one recipient; return the relay's final reply.

    `before_data` is called when the recipient was accepted and nothing of the text has gone; where
    it raises, nothing goes. Raise `Refused`, `Unavailable` or `Uncertain` (see the module), and
    `InputError` where the relay cannot be used as it is set up.
    """
    with _conversation(relay) as smtp:
        with _explained(relay):
            _prepare(smtp, relay)
            _address_envelope(smtp, relay, message)
        before_data()
        return _hand_over(smtp, relay, message.as_bytes())


@contextmanager
def _conversation(relay: Relay) -> Iterator[smtplib.SMTP]:
    with _explained(relay):
        smtp = _connect(relay)
    try:
        yield smtp
    finally:
        # What the relay said before counts; a failing farewell changes nothing.
        with suppress(OSError):
            _wait(smtp, relay.timeout_s)
            smtp.quit()
        smtp.close()


def _connect(relay: Relay) -> smtplib.SMTP:
    if relay.tls is TlsMode.IMPLICIT:
        return smtplib.SMTP_SSL(
            relay.host,
            relay.port,
            local_hostname=relay.ehlo_name,
            timeout=relay.timeout_s,
            context=_trust(relay),
        )
    return smtplib.SMTP(
        relay.host, relay.port, local_hostname=relay.ehlo_name, timeout=relay.timeout_s
    )


def _prepare(smtp: smtplib.SMTP, relay: Relay) -> None:
    smtp.ehlo_or_helo_if_needed()
    if relay.tls is TlsMode.STARTTLS:
        smtp.starttls(context=_trust(relay))
        smtp.ehlo_or_helo_if_needed()
    if relay.login:
        smtp.login(relay.login, relay.password or "")


def _address_envelope(smtp: smtplib.SMTP, relay: Relay, message: EmailMessage) -> None:
    _accept(*smtp.mail(message["From"].addresses[0].addr_spec))
    code, reply = smtp.rcpt(message["To"].addresses[0].addr_spec)
    if code // 100 != ACCEPTED:
        raise _refusal(relay, code, reply)


def _hand_over(smtp: smtplib.SMTP, relay: Relay, text: bytes) -> str:
    _wait(smtp, relay.final_timeout_s)
    try:
        code, reply = smtp.data(text)
    except smtplib.SMTPDataError as error:  # said to DATA itself: nothing of the text has gone
        raise _refusal(relay, error.smtp_code, error.smtp_error) from error
    except OSError as error:
        raise _uncertain(relay, str(error)) from error
    if code // 100 == ACCEPTED:
        return _text(code, reply)
    if code // 100 in DECLINED:
        raise _refusal(relay, code, reply)
    raise _uncertain(relay, _text(code, reply))


def _wait(smtp: smtplib.SMTP, timeout_s: float) -> None:
    if smtp.sock:
        smtp.sock.settimeout(timeout_s)


@contextmanager
def _explained(relay: Relay) -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise _rejection(relay, error) from error
    except ssl.SSLCertVerificationError as error:
        raise InputError(
            f"证书无法验证（{error.verify_message}），请更换证书或用 ca 指定签发机构",
            subject=str(relay),
        ) from error
    except smtplib.SMTPServerDisconnected as error:
        raise _no_answer(relay, error) from error
    except smtplib.SMTPException as error:
        # What is left of smtplib's own: STARTTLS, AUTH or every method of it is not on offer.
        raise InputError(f"不支持所设的加密或登录方式（{error}）", subject=str(relay)) from error
    except OSError as error:
        raise _no_answer(relay, error) from error


def _rejection(relay: Relay, error: smtplib.SMTPResponseException) -> MailcareError:
    """Say that the relay turns us away before any recipient was named: the letter can wait."""
    if error.smtp_code < PERMANENT_FROM:
        return _refusal(relay, error.smtp_code, error.smtp_error)
    said = _text(error.smtp_code, error.smtp_error)
    return InputError(f"中继不接受我们（{said}），请检查中继与发件人的设置", subject=str(relay))


def _refusal(relay: Relay, code: int, reply: bytes | str) -> MailcareError:
    said = _text(code, reply)
    if code >= PERMANENT_FROM:
        return Refused(said, subject=str(relay))
    return Unavailable(f"对方要求稍后再试（{said}），邮件未投递", subject=str(relay))


def _uncertain(relay: Relay, reason: str) -> Uncertain:
    return Uncertain(
        f"正文已开始发送，但没有得到明确答复（{reason}），无法确定对方是否已收下；"
        "不会自动重发，请先向收件人核实，再决定是否重新投递",
        subject=str(relay),
    )


def _no_answer(relay: Relay, error: OSError) -> NoAnswer:
    return NoAnswer(f"无法连接或连接中断（{error}），邮件未投递", subject=str(relay))


def _accept(code: int, reply: bytes) -> None:
    if code // 100 != ACCEPTED:
        raise smtplib.SMTPResponseException(code, reply)


def _text(code: int, reply: bytes | str) -> str:
    words = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return f"{code} {words}"


def _trust(relay: Relay) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=relay.ca_file)
    except OSError as error:
        raise InputError(f"签发机构证书无法读取（{error}）", subject=str(relay.ca_file)) from error

"""Look at the lab from outside, as a client would: what the faults' symptoms are made of.

A probe answers what it saw. When it cannot see at all it raises OSError, SMTPException or
DNSException, so that "unreachable" is never taken for "healthy" or "broken".
"""

import datetime
import imaplib
import smtplib
import socket
import ssl
import urllib.error
import urllib.request

import dns.exception
import dns.message
import dns.query
import dns.rdatatype
from cryptography import x509

from lab import state
from lab.commands import Outcome, attempt
from lab.topology import MX1, RESOLVER_ADDRESS

UNSEEN = (OSError, smtplib.SMTPException, imaplib.IMAP4.error, dns.exception.DNSException)
_TIMEOUT_S = 4.0
_SMTP_OK = 250
_SSH_FAILED = 255


def ask_dns(name: str, kind: str, *, timeout_s: float = 1.0) -> list[str]:
    """Ask dns1 and return the answers as text; an empty list when there are none."""
    question = dns.message.make_query(name, kind)
    reply = dns.query.udp(question, RESOLVER_ADDRESS, timeout=timeout_s)
    wanted = dns.rdatatype.from_text(kind)
    return [item.to_text() for group in reply.answer if group.rdtype == wanted for item in group]


def answers_dns(name: str = "shili-bank.example") -> bool:
    """Tell whether dns1 answers for a zone."""
    try:
        return bool(ask_dns(name, "SOA", timeout_s=0.5))
    except (dns.exception.DNSException, OSError):
        return False


def can_connect(address: str, port: int, *, timeout_s: float = 1.0) -> bool:
    """Tell whether a TCP connection comes about."""
    try:
        with socket.create_connection((address, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def first_words(address: str, port: int, *, timeout_s: float = 1.0) -> str:
    """Read what a server says first; empty when it is silent until the timeout."""
    with socket.create_connection((address, port), timeout=timeout_s) as connection:
        try:
            return connection.recv(512).decode(errors="replace")
        except TimeoutError:
            return ""


def smtp_capabilities(address: str) -> set[str]:
    """List what a server on port 25 offers after EHLO, in lower case."""
    with smtplib.SMTP(address, 25, timeout=_TIMEOUT_S) as client:
        client.ehlo()
        return set(client.esmtp_features)


def smtp_envelope(
    address: str, sender: str, recipient: str, *, timeout_s: float = _TIMEOUT_S
) -> tuple[int, int]:
    """Offer an envelope without sending mail; return the codes for sender and recipient."""
    with smtplib.SMTP(address, 25, timeout=timeout_s) as client:
        client.ehlo()
        return client.mail(sender)[0], client.rcpt(recipient)[0]


def send_mail(address: str, sender: str, recipient: str) -> str:
    """Hand a small mail to a server on port 25; return the queue id it answers with."""
    text = f"From: {sender}\r\nTo: {recipient}\r\nSubject: lab probe\r\n\r\nlab\r\n"
    with smtplib.SMTP(address, 25, timeout=_TIMEOUT_S) as client:
        client.ehlo()
        client.mail(sender)
        client.rcpt(recipient)
        code, answer = client.data(text)
    if code != _SMTP_OK:
        raise smtplib.SMTPDataError(code, answer)
    return answer.decode().rpartition(" ")[2]


def can_log_in(address: str, user: str, *, password: str) -> bool:
    """Tell whether IMAP over TLS takes a password."""
    context = _blind_context()
    with imaplib.IMAP4_SSL(address, 993, ssl_context=context, timeout=_TIMEOUT_S) as client:
        try:
            client.login(user, password)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:
            return False
    return True


def certificate(address: str, port: int) -> x509.Certificate:
    """Fetch the certificate a TLS port shows, whatever it is worth."""
    with (
        socket.create_connection((address, port), timeout=_TIMEOUT_S) as plain,
        _blind_context().wrap_socket(plain) as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
    if shown is None:
        message = f"no certificate from {address}:{port}"
        raise OSError(message)
    return x509.load_der_x509_certificate(shown)


def days_left(shown: x509.Certificate) -> float:
    """Count the days until a certificate ends; negative when it has ended."""
    left = shown.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return left.total_seconds() / 86400


def names_of(shown: x509.Certificate) -> list[str]:
    """List the DNS names a certificate is for."""
    extension = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.DNSName)


def https_status(address: str) -> int:
    """Fetch the web mail's login page and return the status code."""
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=_blind_context())
    )
    request = urllib.request.Request(
        f"https://{address}/", headers={"Host": "webmail.shili-bank.example"}
    )
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def over_ssh(command: str, *, address: str = MX1.address) -> Outcome:
    """Run a command as the inspector, host key pinned, as the product would."""
    options = ["-F", "none", "-i", str(state.INSPECTOR_KEY)]
    for option in (
        "BatchMode=yes",
        "ConnectTimeout=3",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={state.KNOWN_HOSTS}",
        "GlobalKnownHostsFile=none",
    ):
        options += ["-o", option]
    return attempt(["ssh", *options, f"inspector@{address}", command], timeout_s=8.0)


def read_over_ssh(command: str) -> str:
    """Run a command on mx1 as the inspector and return its output; OSError when SSH fails."""
    outcome = over_ssh(command)
    if outcome.exit_code == _SSH_FAILED:
        raise OSError(outcome.text)
    return outcome.text


def _blind_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

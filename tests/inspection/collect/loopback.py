"""Tiny servers on loopback: each does one thing right or one thing wrong."""

import atexit
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Self

import dns.message
import dns.query
import dns.rcode
import dns.rrset
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTNAME = "mx1.shili-bank.example"


class Peer:
    """The other side of one connection; it may start TLS."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.sendall = connection.sendall
        self.recv = connection.recv
        self.reader = connection.makefile("rb")

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.reader.close()
        self._socket = context.wrap_socket(self._socket, server_side=True)
        self.sendall = self._socket.sendall
        self.recv = self._socket.recv
        self.reader = self._socket.makefile("rb")

    def leave(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.reader.close()
        self._socket.close()


Talk = Callable[[Peer], None]


class Server:
    """Serve each connection by `talk`; every connection is closed at the end."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._peers: list[Peer] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.address, self.port = self._listener.getsockname()

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self._peers:
            peer.leave()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                peer = Peer(connection)
                self._peers.append(peer)
                thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, peer: Peer) -> None:
        with suppress(OSError, ValueError):
            self._talk(peer)
        with suppress(OSError):
            peer.close()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def sends(data: bytes) -> Talk:
    """Send the bytes and close."""
    return lambda peer: peer.sendall(data)


def hangs(peer: Peer) -> None:
    """Take the connection and say nothing until the other side leaves."""
    while peer.recv(65536):
        pass


def floods(peer: Peer) -> None:
    """Send without end and without a line end."""
    while True:
        peer.sendall(b"x" * 65536)


def drips(peer: Peer) -> None:
    """Send a byte now and then: no single read is ever late."""
    while not peer.sendall(b"2"):
        threading.Event().wait(0.05)


Answer = bytes | Callable[[str], bytes]


def converses(
    greeting: bytes,
    answers: Mapping[str, Answer],
    *,
    tls: ssl.SSLContext | None = None,
    implicit: bool = False,
) -> Talk:
    """Answer each line by the longest matching key; STARTTLS and STLS start TLS when answered."""

    def talk(peer: Peer) -> None:
        if tls and implicit:
            peer.start_tls(tls)
        peer.sendall(greeting)
        while line := peer.reader.readline():
            text = line.decode("utf-8", "replace").strip()
            peer.sendall(_answer(text, answers))
            if tls and re.search(r"STARTTLS|STLS", text):
                peer.start_tls(tls)

    return talk


def _answer(text: str, answers: Mapping[str, Answer]) -> bytes:
    tag, _, command = text.partition(" ")
    for key in sorted(answers, key=len, reverse=True):
        if text.startswith(key) or command.startswith(key):
            answer = answers[key]
            made = answer(text) if callable(answer) else answer
            return made.replace(b"TAG", tag.encode())
    return b"500 5.5.2 what?\r\n"


SMTP_ANSWERS: dict[str, Answer] = {
    "EHLO": b"250-mx1.shili-bank.example\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250 DSN\r\n",
    "STARTTLS": b"220 go\r\n",
    "AUTH PLAIN": b"235 2.7.0 ok\r\n",
    "MAIL FROM": b"250 ok\r\n",
    "RCPT TO": b"554 5.7.1 Relay access denied\r\n",
    "RSET": b"250 ok\r\n",
    "QUIT": b"221 bye\r\n",
}
SMTP_GREETING = b"220 mx1.shili-bank.example ESMTP\r\n"
IMAP_ANSWERS: dict[str, Answer] = {
    "CAPABILITY": b"* CAPABILITY IMAP4rev1 STARTTLS UIDPLUS\r\nTAG OK done\r\n",
    "STARTTLS": b"TAG OK begin\r\n",
    "LOGIN": b"TAG OK [CAPABILITY IMAP4rev1 UIDPLUS] Logged in\r\n",
    "EXAMINE": b"* 3 EXISTS\r\nTAG OK [READ-ONLY] done\r\n",
    "LOGOUT": b"* BYE\r\nTAG OK bye\r\n",
}
IMAP_GREETING = b"* OK ready\r\n"
POP3_ANSWERS: dict[str, Answer] = {
    "CAPA": b"+OK\r\nSTLS\r\nUSER\r\n.\r\n",
    "STLS": b"+OK begin\r\n",
    "USER": b"+OK\r\n",
    "PASS": b"+OK logged in\r\n",
    "STAT": b"+OK 3 4096\r\n",
    "QUIT": b"+OK bye\r\n",
}
POP3_GREETING = b"+OK ready\r\n"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "pair.pem"
            path.write_bytes(self.certificate + self.key)
            context.load_cert_chain(path)
        return context


@cache
def authority() -> Path:
    """Return the file of the one certificate that the servers here show."""
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "ca.pem"
    path.write_bytes(self_signed().certificate)
    return path


@cache
def self_signed(name: str = HOSTNAME, *, days: int = 90) -> Pair:
    """Issue a certificate by itself; negative `days` ended that long ago."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


Zone = Mapping[tuple[str, str], tuple[str, ...] | str]


class NameServer:
    """Answer from a table: records, an rcode's name, or "silent"; NXDOMAIN for unknown names."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.address, self.port = self._socket.getsockname()
        self.asked: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", (self.address, self.port))
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(4096)
            if not data:
                return
            if answer := self._answer(dns.message.from_wire(data)):
                self._socket.sendto(answer.to_wire(), peer)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        [question] = query.question
        name = question.name.to_text().rstrip(".").lower()
        rdtype = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((rdtype, name))
        found = self._zone.get((rdtype, name))
        response = dns.message.make_response(query)
        if found == "silent":
            return None
        if isinstance(found, str):
            response.set_rcode(dns.rcode.from_text(found))
        elif found:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", rdtype, *found))
        elif not any(one == name for _, one in self._zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response


@dataclass
class MailHost:
    """A submission and an IMAP server over one set of folders."""

    accepts: bytes = b"250 2.0.0 queued\r\n"
    puts_in: str | None = "INBOX"
    bounces: bool = False
    turns_away: str = "nobody"
    wants_to_know: bool = False
    flags: bytes = b""
    folders: dict[str, dict[int, bytes]] = field(
        default_factory=lambda: {"INBOX": {1: b"Subject: older\r\n\r\nhello"}, "Junk": {}}
    )

    def submission(self) -> Talk:
        """Take mails after a login over TLS."""
        tls = self_signed().context()

        def talk(peer: Peer) -> None:
            peer.sendall(SMTP_GREETING)
            while line := peer.reader.readline():
                word = line.split()[0].upper().decode()
                if word == "DATA":
                    peer.sendall(b"354 go\r\n")
                    peer.sendall(self._take(_until_dot(peer.reader)))
                    continue
                answers = SMTP_ANSWERS | {"RCPT TO": self._recipient}
                peer.sendall(_answer(line.decode().strip(), answers))
                if word == "STARTTLS":
                    peer.start_tls(tls)

        return talk

    def imap(self) -> Talk:
        """Show the folders, over TLS from the start."""
        folder = ["INBOX"]
        answers: dict[str, Answer] = IMAP_ANSWERS | {
            "LIST": b'* LIST (\\HasNoChildren) "/" INBOX\r\n'
            b'* LIST (\\HasNoChildren \\Junk) "/" Junk\r\nTAG OK done\r\n',
            "SELECT": lambda text: self._select(text, folder),
            "CAPABILITY": b"* CAPABILITY IMAP4rev1 ID UIDPLUS\r\nTAG OK done\r\n",
            "ID": self._meet,
            "UID SEARCH": lambda text: self._search(text, folder[0]),
            "UID FETCH": lambda text: self._fetch(text, folder[0]),
            "UID STORE": b"TAG OK done\r\n",
            "UID EXPUNGE": lambda text: self._expunge(text, folder[0]),
        }
        return converses(IMAP_GREETING, answers, tls=self_signed().context(), implicit=True)

    def _recipient(self, text: str) -> bytes:
        return b"550 5.1.1 no such user\r\n" if self.turns_away in text else b"250 ok\r\n"

    def _take(self, mail: bytes) -> bytes:
        if self.accepts.startswith(b"2") and self.puts_in:
            self.folders[self.puts_in][len(self.folders[self.puts_in]) + 10] = mail
        if self.bounces:
            bounce = b"Subject: Undelivered\r\n\r\nDiagnostic-Code: smtp; 550 no\r\n" + mail
            self.folders["INBOX"][99] = bounce
        return self.accepts

    def _meet(self, _text: str) -> bytes:
        self.wants_to_know = False
        return b"* ID NIL\r\nTAG OK done\r\n"

    def _select(self, text: str, folder: list[str]) -> bytes:
        if self.wants_to_know:
            return b"TAG NO SELECT Unsafe Login\r\n"
        folder[0] = text.rsplit(maxsplit=1)[-1]
        return self.flags + b"TAG OK done\r\n"

    def _search(self, text: str, folder: str) -> bytes:
        token = text.split('"')[1].encode()
        whole = "TEXT" in text
        uids = [
            str(uid)
            for uid, mail in self.folders[folder].items()
            if token in (mail if whole else _subject(mail))
        ]
        return f"* SEARCH{''.join(f' {uid}' for uid in uids)}\r\nTAG OK done\r\n".encode()

    def _fetch(self, text: str, folder: str) -> bytes:
        mail = self.folders[folder][int(text.split()[3])]
        return b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\nTAG OK done\r\n" % (len(mail), mail)

    def _expunge(self, text: str, folder: str) -> bytes:
        del self.folders[folder][int(text.rsplit(maxsplit=1)[-1])]
        return b"TAG OK done\r\n"


def _subject(mail: bytes) -> bytes:
    return next((line for line in mail.splitlines() if line.startswith(b"Subject:")), b"")


def _until_dot(reader: BinaryIO) -> bytes:
    lines = []
    while (line := reader.readline()) not in (b".\r\n", b""):
        lines.append(line)
    return b"".join(lines)

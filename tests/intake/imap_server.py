"""A real IMAP server on loopback over TLS that serves given mails, and remembers what was asked."""

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO


@dataclass
class ImapServer:
    port: int
    tls: ssl.SSLContext
    mails: list[tuple[str, bytes]]  # INTERNALDATE and the mail; the UIDs count from 1
    uid_validity: int = 7
    cut_after: int | None = None  # close the connection after so many mails were given out
    asked: list[str] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError, ssl.SSLError):
                self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        given = 0
        with (
            connection,
            self.tls.wrap_socket(connection, server_side=True) as safe,
            safe.makefile("rwb") as stream,
        ):
            self._say(stream, b"* OK ready")
            while line := stream.readline():
                tag, _, words = line.decode().strip().partition(" ")
                self.asked.append(words)
                verb = words.upper()
                if verb.startswith("LOGIN") and "geheim" not in words:
                    self._say(stream, f"{tag} NO [AUTHENTICATIONFAILED] no".encode())
                    continue
                if "BODY.PEEK" in verb:
                    given += 1
                    if self.cut_after is not None and given > self.cut_after:
                        return
                self._answer(stream, words)
                self._say(stream, f"{tag} OK done".encode())
                if verb.startswith("LOGOUT"):
                    return

    def _answer(self, stream: BinaryIO, words: str) -> None:
        verb = words.upper()
        if verb.startswith("CAPABILITY"):
            self._say(stream, b"* CAPABILITY IMAP4rev1")
        elif verb.startswith(("EXAMINE", "SELECT")):
            self._say(stream, f"* {len(self.mails)} EXISTS".encode())
            self._say(stream, f"* OK [UIDVALIDITY {self.uid_validity}] valid".encode())
        elif "SEARCH" in verb:
            uids = " ".join(str(number) for number in self._since(words))
            self._say(stream, f"* SEARCH {uids}".encode())
        elif "FETCH" in verb:
            self._fetch(stream, words)

    def _since(self, words: str) -> list[int]:
        since = re.search(r"SINCE (\S+)", words)
        if since is None:
            return list(range(1, len(self.mails) + 1))
        days = [datetime.strptime(received[:11], "%d-%b-%Y") for received, _ in self.mails]  # noqa: DTZ007
        first = datetime.strptime(since[1], "%d-%b-%Y")  # noqa: DTZ007 - a day of the server's
        return [uid for uid, day in enumerate(days, 1) if day >= first]

    def _fetch(self, stream: BinaryIO, words: str) -> None:
        uid = int(words.split()[2])
        received, raw = self.mails[uid - 1]
        if "INTERNALDATE" in words:
            about = f'UID {uid} INTERNALDATE "{received}" RFC822.SIZE {len(raw)}'
            self._say(stream, f"* {uid} FETCH ({about})".encode())
            return
        part = re.search(r"<0\.(\d+)>", words)
        body = raw[: int(part[1])] if part else raw
        head = f"* {uid} FETCH (UID {uid} BODY[] {{{len(body)}}}\r\n".encode()
        stream.write(head + body)
        self._say(stream, b")")

    def _say(self, stream: BinaryIO, line: bytes) -> None:
        stream.write(line + b"\r\n")
        stream.flush()


@contextmanager
def imap_server(tls: ssl.SSLContext, *mails: tuple[str, bytes]) -> Iterator[ImapServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = ImapServer(listener.getsockname()[1], tls, list(mails))
        thread = threading.Thread(target=server.serve, args=(listener,))
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(30)

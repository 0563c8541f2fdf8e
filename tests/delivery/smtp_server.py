"""A real SMTP server on loopback that answers as it is told, and remembers what it got.

Its script maps a command (`CONNECT`, `EHLO`, `MAIL`, `RCPT`, `DATA`, `TEXT`, `QUIT`, …) to one or
more answers, one a time the command comes; the last one stays. `TEXT` is the end of a message. An
answer is a reply line, or `CLOSE` or `HANG`.
"""

import socket
import ssl
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

CLOSE = "close the connection"
HANG = "say nothing"

USUAL = {
    "CONNECT": ["220 relay.vendor.example ESMTP"],
    "EHLO": ["250-relay.vendor.example\r\n250 SIZE 20000000"],
    "MAIL": ["250 2.1.0 Ok"],
    "RCPT": ["250 2.1.5 Ok"],
    "DATA": ["354 End data with <CR><LF>.<CR><LF>"],
    "TEXT": ["250 2.0.0 Ok: queued as 4F1A2"],
    "QUIT": ["221 2.0.0 Bye"],
}


@dataclass
class SmtpServer:
    port: int
    script: Mapping[str, Sequence[str]]
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    lines: list[str] = field(default_factory=list)  # every command, in order
    taken: list[bytes] = field(default_factory=list)  # every text answered with 250
    _asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _done: threading.Event = field(default_factory=threading.Event)

    @property
    def verbs(self) -> list[str]:
        return [line.split(":")[0].split(" ")[0].upper() for line in self.lines]

    def answer(self, verb: str) -> str:
        answers = self.script.get(verb, ["502 5.5.2 Error: command not recognized"])
        self._asked[verb] += 1
        return answers[min(self._asked[verb], len(answers)) - 1]

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            # A client that goes away is within its rights.
            with suppress(OSError), ExitStack() as opened:
                self._converse(opened.enter_context(connection), opened)

    def stop(self) -> None:
        self._done.set()

    def _converse(self, connection: socket.socket, opened: ExitStack) -> None:
        if self.implicit:
            connection = self._secure(connection, opened)
        stream = opened.enter_context(connection.makefile("rwb"))
        if not self._say(stream, self.answer("CONNECT")):
            return
        while line := stream.readline():
            self.lines.append(line.decode().rstrip("\r\n"))
            verb = self.verbs[-1]
            said = self.answer(verb)
            if not self._say(stream, said) or verb == "QUIT":
                return
            if verb == "STARTTLS" and said.startswith("220"):
                connection = self._secure(connection, opened)
                stream = opened.enter_context(connection.makefile("rwb"))
            if verb == "DATA" and said.startswith("354") and not self._take(stream):
                return

    def _secure(self, connection: socket.socket, opened: ExitStack) -> socket.socket:
        assert self.tls
        return opened.enter_context(self.tls.wrap_socket(connection, server_side=True))

    def _take(self, stream: BinaryIO) -> bool:
        text = b""
        while (line := stream.readline()) != b".\r\n":
            if not line:
                return False
            text += line
        said = self.answer("TEXT")
        if said.startswith("250"):
            self.taken.append(text)
        return self._say(stream, said)

    def _say(self, stream: BinaryIO, said: str) -> bool:
        if said == HANG:
            self._done.wait(30)
        if said in (CLOSE, HANG):
            return False
        stream.write(said.encode() + b"\r\n")
        stream.flush()
        return True


@contextmanager
def smtp_server(
    tls: ssl.SSLContext | None = None, *, implicit: bool = False, **changes: Sequence[str]
) -> Iterator[SmtpServer]:
    """Run a server that answers as usual, but for `changes`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = SmtpServer(listener.getsockname()[1], USUAL | changes, tls, implicit)
        thread = threading.Thread(target=server.serve, args=(listener,))
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            listener.shutdown(socket.SHUT_RDWR)  # close alone does not wake accept()
            thread.join(30)

"""A real HTTP server on loopback that answers as a chat vendor does, and remembers what it got.

An answer is `(status, body)`, or `CLOSE` (take the request, say nothing), `HANG`, or `CUT` (break
off in mid-answer); the last one of a list stays.
"""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

CLOSE = "close the connection"
HANG = "say nothing"
CUT = "break off"
Answer = str | tuple[int, bytes]

# As the vendors document them.
DINGTALK_OK = (200, b'{"errcode":0,"errmsg":"ok"}')
FEISHU_OK = (200, b'{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}')
WECOM_OK = (200, b'{"errcode":0,"errmsg":"ok"}')


@dataclass
class RobotServer:
    port: int
    answers: Sequence[Answer]
    paths: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/robot/send?access_token=geheim-token"

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def stop(self) -> None:
        self._done.set()

    def _converse(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rwb") as stream:
            self.paths.append(stream.readline().split(b" ")[1].decode())
            length = _content_length(stream)
            self.asked.append(json.loads(stream.read(length)))
            self._say(stream, self.answers[min(len(self.asked), len(self.answers)) - 1])

    def _say(self, stream: BinaryIO, answer: Answer) -> None:
        if answer == HANG:
            self._done.wait(30)
        if isinstance(answer, str) and answer != CUT:
            return
        status, body = answer if isinstance(answer, tuple) else (200, b'{"errcode"')
        length = len(body) + (30 if answer == CUT else 0)
        head = f"HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        stream.write(head.encode() + body)


def _content_length(stream: BinaryIO) -> int:
    length = 0
    while (line := stream.readline().strip().lower()) != b"":
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return length


@contextmanager
def robot_server(*answers: Answer) -> Iterator[RobotServer]:
    """Run a server that gives the answers one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = RobotServer(listener.getsockname()[1], answers)
        thread = threading.Thread(target=server.serve, args=(listener,))
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(30)

"""What an SSH server offers, asked of small real servers on loopback."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import asyncssh
import pytest

from mailcare.inspection.check import Ask, Channel, Reply
from mailcare.inspection.collect import tcp
from tests.inspection.collect.loopback import Server
from tests.inspection.collect.probing import scene

KEY = asyncssh.generate_private_key("ssh-ed25519")
TRIED: list[str] = []


class Gate(asyncssh.SSHServer):
    """Offer keys, and passwords where `by_password`; remember what was tried."""

    by_password = False

    def begin_auth(self, username: str) -> bool:
        return username == "inspector"

    def public_key_auth_supported(self) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return self.by_password

    def validate_password(self, username: str, password: str) -> bool:
        TRIED.append(f"{username} {password}")
        return False


class OpenGate(Gate):
    by_password = True


@contextmanager
def ssh_server(gate: type[Gate]) -> Iterator[int]:
    """Serve SSH in a thread of its own: the probe runs a loop of its own, too."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(_listen(gate), loop).result(10)
    try:
        yield server.get_port()
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _listen(gate: type[Gate]) -> asyncssh.SSHAcceptor:
    return await asyncssh.listen(
        "127.0.0.1", 0, server_factory=gate, server_host_keys=[KEY], config=None
    )


async def _close(server: asyncssh.SSHAcceptor) -> None:
    server.close()
    await server.wait_closed()


def methods(port: int, *, timeout_s: float = 10.0) -> Reply:
    words = ("ssh-methods", "127.0.0.1", str(port), "inspector")
    answer = tcp.probe(Ask(Channel.TCP, words, timeout_s, "mx1"), scene())
    assert isinstance(answer, Reply)
    return answer


@pytest.mark.parametrize(
    ("gate", "offered"), [(Gate, "publickey"), (OpenGate, "publickey password")]
)
def test_the_offered_methods_are_told_and_none_is_tried(gate, offered):
    with ssh_server(gate) as port:
        reply = methods(port)
    said = next(line for line in reply.text.splitlines() if line.startswith("< "))
    assert set(said[2:].split()) >= set(offered.split())
    assert ("password" in said.split()) is gate.by_password
    assert "> none inspector\n" in reply.text
    assert reply.exit_code == 0
    assert TRIED == []


def test_a_closed_port_is_told():
    with Server(lambda _peer: None) as server:
        port = server.port
    reply = methods(port)
    assert reply.text.endswith("# refused\n")
    assert reply.exit_code == 1


def test_a_server_that_speaks_no_ssh_is_told():
    with Server(lambda peer: peer.sendall(b"220 mx1 ESMTP\r\n" * 400)) as server:
        reply = methods(server.port)
    assert "# connected\n# closed " in reply.text
    assert reply.exit_code == 1


def test_a_silent_server_is_not_waited_for_longer_than_allowed():
    with Server(lambda peer: peer.recv(4096) and peer.recv(4096)) as server:
        reply = methods(server.port, timeout_s=0.5)
    assert "# timeout read\n" in reply.text

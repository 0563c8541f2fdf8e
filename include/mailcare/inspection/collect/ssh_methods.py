"""Which ways to log in an SSH server offers to an account; none of them is tried.

Words: `ssh-methods ADDRESS PORT ACCOUNT`. The request is "none" (RFC 4252 5.2): a server answers it
with the methods that can go on. No credential is sent, and any host key will do: who the server is
makes no difference to what it offers, and `ssh.login` judges the key.
"""

import asyncio
import socket

import asyncssh

from mailcare.inspection.check import Answer, Ask, Reply
from mailcare.inspection.collect.dialogue import CONNECT_S, source_of
from mailcare.inspection.collect.scene import Scene


def probe(ask: Ask, scene: Scene) -> Answer:
    """Ask for the methods and hang up; network trouble is an event of the transcript."""
    _, address, port, account = ask.words
    lines = [f"# connecting {address} {port}"]
    try:
        lines += _exchange(address, int(port), account, timeout_s=ask.timeout_s)
        exit_code = 0
    except _Ended as end:
        lines += end.args
        exit_code = 1
    return Reply("".join(f"{line}\n" for line in lines), exit_code, scene.now(), source_of(ask))


class _Ended(Exception):
    """The exchange broke off; the arguments are the lines that say how."""


def _exchange(address: str, port: int, account: str, *, timeout_s: float) -> list[str]:
    connection = _connect(address, port)
    try:
        methods = asyncio.run(_methods(connection, account, timeout_s))
    except TimeoutError:
        raise _Ended("# connected", "# timeout read") from None
    except (asyncssh.Error, OSError, ValueError) as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise _Ended("# connected", f"# closed {detail}") from None
    finally:
        connection.close()
    return ["# connected", f"> none {account}", f"< {' '.join(methods)}"]


def _connect(address: str, port: int) -> socket.socket:
    try:
        return socket.create_connection((address, port), timeout=CONNECT_S)
    except ConnectionRefusedError:
        raise _Ended("# refused") from None
    except TimeoutError:
        raise _Ended("# timeout connect") from None
    except OSError as error:
        raise _Ended(f"# unreachable {error.strerror or error}") from None


async def _methods(connection: socket.socket, account: str, timeout_s: float) -> list[str]:
    connection.setblocking(False)
    async with asyncio.timeout(timeout_s):
        methods = await asyncssh.get_server_auth_methods(
            sock=connection, username=account, config=None
        )
    return [method for method in methods if method.isascii() and method.isprintable()]

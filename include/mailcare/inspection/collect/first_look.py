"""What a worker finds out about an unknown host without logging in.

Its address, the SSH key that it shows, and the first line that its mail ports say.
"""

import asyncio
import socket
from collections.abc import Callable

import asyncssh

from mailcare.errors import Unavailable
from mailcare.inspection.check import Ask, Channel
from mailcare.inspection.collect.dialogue import Dialogue, converse
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.transcript import read_transcript

KEY_S = 15.0
GREETING_S = 12.0
# What is said before leaving, by the ports that greet in clear.
FAREWELLS = {25: "QUIT", 587: "QUIT", 110: "QUIT", 143: "a LOGOUT"}


def address_of(host: str) -> str:
    """Return the first address of a host; raise `Unavailable` where its name is not known."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unavailable("域名没有解析到地址", subject=host) from None
    return str(found[0][4][0])


def is_public_key(text: str) -> bool:
    """Tell whether a text is an SSH public key as `TYPE BASE64`."""
    try:
        asyncssh.import_public_key(text)
    except ValueError:  # KeyImportError is one; the numbers within a key bring others
        return False
    return True


def shown_host_key(address: str, port: int) -> tuple[str, str]:
    """Return the host's public key (`TYPE BASE64`) and its SHA256 fingerprint, without a login.

    Raise `Unavailable` where no SSH server shows one.
    """
    try:
        key = asyncio.run(_shown_key(address, port))
    except TimeoutError:
        raise Unavailable(f"SSH 端口 {port} 没有应答", subject=address) from None
    except (asyncssh.Error, OSError, ValueError) as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise Unavailable(f"没有读到 SSH 主机密钥（{detail}）", subject=address) from None
    if key is None:
        raise Unavailable("SSH 服务没有出示主机密钥", subject=address)
    words = key.export_public_key().decode("ascii", "replace").split()
    return " ".join(words[:2]), key.get_fingerprint()


async def _shown_key(address: str, port: int) -> asyncssh.SSHKey | None:
    async with asyncio.timeout(KEY_S):
        return await asyncssh.get_server_host_key(address, port, config=None)


def greeting_of(node: str, address: str, port: int, *, goodbye: str, scene: Scene) -> str:
    """Return the first line that a mail port says, empty where it says none.

    Raise `NotAuthorised` where nobody permits the connection.
    """
    scene.permit(node)
    ask = Ask(Channel.TCP, ("greeting", address, str(port)), GREETING_S, node)
    reply = converse(ask, scene, _listening_at(address, port), farewell=_saying(goodbye))
    said = read_transcript(reply).said()
    return said[0] if said else ""


def _listening_at(address: str, port: int) -> Callable[[Dialogue], None]:
    def script(dialogue: Dialogue) -> None:
        dialogue.connect(address, port)
        dialogue.hear()

    return script


def _saying(goodbye: str) -> Callable[[Dialogue], None]:
    def farewell(dialogue: Dialogue) -> None:
        dialogue.say(goodbye)
        dialogue.hear()

    return farewell

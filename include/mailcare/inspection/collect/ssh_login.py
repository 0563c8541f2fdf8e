"""Log in to a host: its key is the registered one, and somebody permits the connection.

The host key is the one in the site file, nothing else: no known_hosts, no agent, no configuration
of whoever runs this. `note` is told what happened on the way, one event a line.
"""

import asyncio
import socket
from collections.abc import Callable

import asyncssh
from asyncssh.public_key import get_default_public_key_algs

from mailcare.errors import InputError
from mailcare.inspection.collect.scene import Scene
from mailcare.secrets import Secret
from mailcare.systems.site import Node, Ssh

CONNECT_S = 10.0
LOGIN_S = 15.0
CLOSE_S = 3.0

Note = Callable[[str], None]

asyncssh.set_log_level("ERROR")


class NoLogin(Exception):
    """The login failed; the event for the record, the reason, and whether trying again helps."""

    def __init__(self, event: str, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.event = event
        self.permanent = permanent


class _Witness(asyncssh.SSHClient):
    """Compare the host's key with the registered one and remember what was shown."""

    def __init__(self, pinned: asyncssh.SSHKey) -> None:
        self.pinned = pinned
        self.shown: asyncssh.SSHKey | None = None
        self.connection: asyncssh.SSHClientConnection | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.connection = conn

    def validate_host_public_key(  # asyncssh's own signature
        self,
        host: str,  # noqa: ARG002
        addr: str,  # noqa: ARG002
        port: int,  # noqa: ARG002
        key: asyncssh.SSHKey,
    ) -> bool:
        self.shown = key
        return key.public_data == self.pinned.public_data

    def server(self) -> str:
        """Return the version line of the server, empty before it came."""
        return self.connection.get_extra_info("server_version", "") if self.connection else ""


async def log_in(node: Node, ssh: Ssh, *, scene: Scene, note: Note) -> asyncssh.SSHClientConnection:
    """Return a connection to the host; raise `NoLogin` where there is none.

    Raise `InputError` where the credential or the registered host key is of no use, and
    `NotAuthorised` where nobody permits the connection.
    """
    witness = _Witness(_pinned(node, ssh))
    options = _options(node, scene.find_secret(ssh.credential), witness)
    scene.permit(node.name)
    sock = await _connect(node.address, ssh.port, note)
    try:
        async with asyncio.timeout(LOGIN_S):
            connection = await asyncssh.connect(node.address, ssh.port, sock=sock, options=options)
    except TimeoutError:
        phase = "login" if witness.server() else "banner"
        raise NoLogin(f"timeout {phase}", f"SSH 服务在 {LOGIN_S:g} 秒内没有应答") from None
    except (asyncssh.Error, OSError, ValueError) as error:
        raise _refusal(witness, error) from None
    finally:
        _note_server(note, witness)
    note("logged-in")
    return connection


async def _connect(address: str, port: int, note: Note) -> socket.socket:
    note(f"connecting {address} {port}")
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    sock.setblocking(False)
    try:
        async with asyncio.timeout(CONNECT_S):
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except OSError as error:
        sock.close()
        raise _unconnected(error, port) from None
    note("connected")
    return sock


def _unconnected(error: OSError, port: int) -> NoLogin:
    if isinstance(error, ConnectionRefusedError):
        return NoLogin("refused", f"SSH 端口 {port} 拒绝连接")
    if isinstance(error, TimeoutError):
        return NoLogin("timeout connect", f"连接 SSH 端口 {port} 超过 {CONNECT_S:g} 秒")
    detail = error.strerror or str(error)
    return NoLogin(f"unreachable {detail}", f"无法连接 SSH 端口 {port}（{detail}）")


def _refusal(witness: _Witness, error: Exception) -> NoLogin:
    if isinstance(error, asyncssh.HostKeyNotVerifiable) and witness.shown:
        expected, got = _named(witness.pinned), _named(witness.shown)
        event = f"host-key-mismatch expected {expected} got {got}"
        return NoLogin(event, "SSH 主机密钥与登记的不符，未登录", permanent=True)
    if isinstance(error, asyncssh.PermissionDenied):
        return NoLogin("auth-failed", "SSH 拒绝了巡检账号的登录", permanent=True)
    detail = " ".join(str(error).split()) or type(error).__name__
    return NoLogin(f"closed {detail}", f"SSH 握手中断（{detail}）")


def _note_server(note: Note, witness: _Witness) -> None:
    if version := witness.server():
        note(f"server {version}")
    if witness.shown and witness.shown.public_data == witness.pinned.public_data:
        note(f"host-key {_named(witness.shown)}")


def _named(key: asyncssh.SSHKey) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"


def _pinned(node: Node, ssh: Ssh) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_public_key(ssh.host_key)
    except ValueError:  # KeyImportError is one; the numbers within a key bring others
        raise InputError("登记的 SSH 主机密钥（host_key）无法识别", subject=node.name) from None


def _options(node: Node, secret: Secret, witness: _Witness) -> asyncssh.SSHClientConnectionOptions:
    # The registered kind of key first; the others too, so that a changed key can be shown.
    algorithms = [*witness.pinned.sig_algorithms, *get_default_public_key_algs()]
    return asyncssh.SSHClientConnectionOptions(
        client_factory=lambda: witness,
        config=None,
        known_hosts=([], [], []),
        server_host_key_algs=[name.decode() for name in dict.fromkeys(algorithms)],
        x509_trusted_certs=None,
        username=secret.login,
        password=secret.password,
        client_keys=[_private_key(node, secret.private_key)] if secret.private_key else None,
        agent_path=None,
        gss_host=None,
        host_based_auth=False,
    )


def _private_key(node: Node, text: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(text)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        message = "巡检账号的私钥无法使用：不是 OpenSSH 私钥，或设有口令"
        raise InputError(message, subject=node.name) from None


async def hang_up(connection: asyncssh.SSHClientConnection) -> None:
    """Close a connection; one that does not close in time is cut."""
    connection.close()
    try:
        async with asyncio.timeout(CLOSE_S):
            await connection.wait_closed()
    except TimeoutError:
        connection.abort()

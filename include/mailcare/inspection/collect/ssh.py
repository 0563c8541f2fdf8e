"""Ask one host everything in one round trip: log in, run the collector, read what it streams.

The host key is the one in the site file, nothing else: no known_hosts, no agent, no configuration
of whoever runs this. The ask without words is answered by the record of the login itself
(`# connecting`, `# connected`, `# server`, `# host-key`, then `# logged-in`, or what prevented it).
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import asyncssh
from asyncssh.public_key import get_default_public_key_algs

from mailcare.errors import InputError
from mailcare.inspection.check import Answer, Ask, NoReply, Reply
from mailcare.inspection.collect.frames import (
    NO_OUTPUT,
    FrameStream,
    keyed,
    to_reply,
    why_missing,
)
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.collect.script import SAMPLE_WINDOW_S, collector_script, windows_of
from mailcare.secrets import Secret
from mailcare.systems.site import Node, Ssh

CONNECT_S = 10.0
LOGIN_S = 15.0
ANSWERS_S = 120.0
CLOSE_S = 3.0
REPLY_LIMIT_BYTES = 16 * 1024 * 1024
CHUNK_BYTES = 256 * 1024

Take = Callable[[Ask, Answer], None]

asyncssh.set_log_level("ERROR")


class _NoLogin(Exception):
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


@dataclass(slots=True)
class _Visit:
    """One host, what is asked of it, and the record of the login so far."""

    node: Node
    asks: tuple[Ask, ...]
    scene: Scene
    take: Take
    record: list[str] = field(default_factory=list)

    @property
    def source(self) -> str:
        return f"ssh://{self.node.name}"

    def note(self, event: str) -> None:
        self.record.append(f"# {event}\n")

    def tell_login(self, *, exit_code: int) -> None:
        for ask in self.asks:
            if not ask.words:
                text = "".join(self.record)
                self.take(ask, Reply(text, exit_code, self.scene.now(), self.source))

    def give_up(self, asks: Sequence[Ask], reason: str, *, permanent: bool = False) -> None:
        for ask in asks:
            answer = NoReply(reason, self.scene.now(), self.source, permanent=permanent)
            self.take(ask, answer)

    def commands(self) -> list[Ask]:
        return [ask for ask in self.asks if ask.words]


async def ask_host(node: Node, asks: tuple[Ask, ...], scene: Scene, take: Take) -> None:
    """Give `take` an answer to every ask; what goes wrong on the way is a `NoReply`.

    Raise `InputError` where the credential or the registered host key is of no use, and
    `NotAuthorised` where nobody permits the connection.
    """
    visit = _Visit(node, asks, scene, take)
    if node.ssh is None:
        visit.give_up(asks, "站点文件未填写该主机的 ssh，未登录", permanent=True)
        return
    try:
        connection = await _log_in(visit, node.ssh)
    except _NoLogin as failure:
        visit.note(failure.event)
        visit.tell_login(exit_code=1)
        visit.give_up(visit.commands(), str(failure), permanent=failure.permanent)
        return
    visit.tell_login(exit_code=0)
    try:
        await _collect(visit, connection)
    finally:
        await _close(connection)


async def _log_in(visit: _Visit, ssh: Ssh) -> asyncssh.SSHClientConnection:
    witness = _Witness(_pinned(visit.node, ssh))
    options = _options(visit.node, visit.scene.find_secret(ssh.credential), witness)
    visit.scene.permit(visit.node.name)
    sock = await _connect(visit, ssh)
    try:
        async with asyncio.timeout(LOGIN_S):
            connection = await asyncssh.connect(
                visit.node.address, ssh.port, sock=sock, options=options
            )
    except TimeoutError:
        phase = "login" if witness.server() else "banner"
        raise _NoLogin(f"timeout {phase}", f"SSH 服务在 {LOGIN_S:g} 秒内没有应答") from None
    except (asyncssh.Error, OSError, ValueError) as error:
        raise _refusal(witness, error) from None
    finally:
        _note_server(visit, witness)
    visit.note("logged-in")
    return connection


async def _connect(visit: _Visit, ssh: Ssh) -> socket.socket:
    address = visit.node.address
    visit.note(f"connecting {address} {ssh.port}")
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    sock.setblocking(False)
    try:
        async with asyncio.timeout(CONNECT_S):
            await asyncio.get_running_loop().sock_connect(sock, (address, ssh.port))
    except OSError as error:
        sock.close()
        raise _unconnected(error, ssh.port) from None
    visit.note("connected")
    return sock


def _unconnected(error: OSError, port: int) -> _NoLogin:
    if isinstance(error, ConnectionRefusedError):
        return _NoLogin("refused", f"SSH 端口 {port} 拒绝连接")
    if isinstance(error, TimeoutError):
        return _NoLogin("timeout connect", f"连接 SSH 端口 {port} 超过 {CONNECT_S:g} 秒")
    detail = error.strerror or str(error)
    return _NoLogin(f"unreachable {detail}", f"无法连接 SSH 端口 {port}（{detail}）")


def _refusal(witness: _Witness, error: Exception) -> _NoLogin:
    if isinstance(error, asyncssh.HostKeyNotVerifiable) and witness.shown:
        expected, got = _named(witness.pinned), _named(witness.shown)
        event = f"host-key-mismatch expected {expected} got {got}"
        return _NoLogin(event, "SSH 主机密钥与登记的不符，未登录", permanent=True)
    if isinstance(error, asyncssh.PermissionDenied):
        return _NoLogin("auth-failed", "SSH 拒绝了巡检账号的登录", permanent=True)
    detail = " ".join(str(error).split()) or type(error).__name__
    return _NoLogin(f"closed {detail}", f"SSH 握手中断（{detail}）")


def _note_server(visit: _Visit, witness: _Witness) -> None:
    if version := witness.server():
        visit.note(f"server {version}")
    if witness.shown and witness.shown.public_data == witness.pinned.public_data:
        visit.note(f"host-key {_named(witness.shown)}")


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


async def _collect(visit: _Visit, connection: asyncssh.SSHClientConnection) -> None:
    waiting = keyed(visit.asks)
    stream = FrameStream()
    allowed_s = _allowed_s(visit.commands())
    reason = ""
    try:
        async with asyncio.timeout(allowed_s):
            reason = await _listen(visit, connection, stream, waiting)
    except TimeoutError:
        reason = f"主机在 {allowed_s:g} 秒内没有答完"
    except (asyncssh.Error, OSError) as error:
        reason = f"连接中断，回复不完整（{' '.join(str(error).split()) or type(error).__name__}）"
    for key, asks in waiting.items():
        visit.give_up(asks, reason or why_missing(stream, key))


def _allowed_s(asks: Sequence[Ask]) -> float:
    # Each command's limit, a second for its end, the sampling windows, and a margin for the link.
    windows_s = windows_of(asks) * SAMPLE_WINDOW_S
    return min(ANSWERS_S, sum(ask.timeout_s + 1 for ask in asks) + windows_s + 10)


async def _listen(
    visit: _Visit,
    connection: asyncssh.SSHClientConnection,
    stream: FrameStream,
    waiting: dict[str, list[Ask]],
) -> str:
    """Take the answers as they come; return why the rest is missing, empty where frames tell."""
    process = await connection.create_process("sh -s", stderr=asyncssh.DEVNULL, encoding=None)
    process.stdin.write(collector_script(visit.asks).encode())
    process.stdin.write_eof()
    received_bytes = 0
    first = b""
    while data := await process.stdout.read(CHUNK_BYTES):
        first = first or data
        for frame in stream.feed(data):
            reply = to_reply(frame, source=visit.source, taken_at=visit.scene.now())
            for ask in waiting.pop(frame.key, ()):
                visit.take(ask, reply)
        received_bytes += len(data)
        if received_bytes > REPLY_LIMIT_BYTES:
            return f"回复超过上限 {REPLY_LIMIT_BYTES // 1024 // 1024} MiB，已停止接收"
    return "" if stream.has_begun else _not_run(first)


def _not_run(output: bytes) -> str:
    line = output.decode("utf-8", "backslashreplace").strip().partition("\n")[0][:100]
    said = f"，主机回答：{line}" if line.isprintable() and line else ""
    return f"登录后{NO_OUTPUT}{said}"


async def _close(connection: asyncssh.SSHClientConnection) -> None:
    connection.close()
    try:
        async with asyncio.timeout(CLOSE_S):
            await connection.wait_closed()
    except TimeoutError:
        connection.abort()

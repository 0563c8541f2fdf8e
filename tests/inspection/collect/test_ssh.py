"""One host over SSH, against small real servers on loopback that misbehave in every way."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import asyncssh
import pytest

from mailcare.errors import InputError
from mailcare.inspection.check import (
    Answer,
    Ask,
    Channel,
    Finding,
    NoReply,
    Reply,
    Result,
    Severity,
)
from mailcare.inspection.checks.login import CHECKS as LOGIN_CHECKS
from mailcare.inspection.collect import ssh, ssh_login
from mailcare.inspection.collect.frames import BROKEN_OFF
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.collect.script import ask_key, collector_script
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.planning import Plan, plan_inspection
from mailcare.inspection.run import choose_checks, open_bundle
from mailcare.secrets import Secret
from mailcare.systems.site import Credential, Node, Ssh
from mailcare.systems.system import System
from tests.inspection.samples import lab_system

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER_KEY = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
USER_KEY = asyncssh.generate_private_key("ssh-ed25519")
PASSWORD = "correct horse"
LOGIN = Ask(Channel.SSH, (), node="mx1")
ONE, TWO = (Ask(Channel.SSH, ("echo", word), 1, node="mx1") for word in ("one", "two"))
ASKS = (LOGIN, ONE, TWO)

Session = Callable[[asyncssh.SSHServerProcess[bytes]], Awaitable[None]]


@dataclass
class Gate(asyncssh.SSHServer):
    """Let the inspector in by key or password."""

    seen: list[str] = field(default_factory=list)

    def begin_auth(self, username: str) -> bool:
        self.seen.append(username)
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("inspector", PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == "inspector" and key.public_data == USER_KEY.public_data


@contextlib.asynccontextmanager
async def host(session: Session, key: asyncssh.SSHKey = HOST_KEY) -> AsyncIterator[int]:
    """Serve SSH on a port of loopback; every command becomes a `session`."""
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Gate,
        server_host_keys=[key],
        process_factory=session,
        encoding=None,
        config=None,
    )
    try:
        yield server.get_port()
    finally:
        server.close()
        await server.wait_closed()


def real_shell(command: str = "sh -s") -> Session:
    async def session(process: asyncssh.SSHServerProcess[bytes]) -> None:
        assert process.command == "sh -s"
        child = await asyncio.create_subprocess_shell(
            command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await child.communicate(await process.stdin.read())
        process.stdout.write(out)
        process.exit(child.returncode or 0)

    return session


def saying(*chunks: bytes, then: Session | None = None) -> Session:
    async def session(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await process.stdin.read()
        for chunk in chunks:
            process.stdout.write(chunk)
            await process.stdout.drain()
        if then is not None:
            await then(process)
        process.exit(0)

    return session


async def hang(process: asyncssh.SSHServerProcess[bytes]) -> None:
    await process.wait_closed()


async def vanish(process: asyncssh.SSHServerProcess[bytes]) -> None:
    process.channel.get_connection().abort()


def frame(ask: Ask, body: bytes) -> bytes:
    return b"==mailcare:1:reply== %s 0 %d\n%s\n" % (ask_key(ask).encode(), len(body), body)


BEGIN = b"==mailcare:1:begin== 1795441013 2 mx1\n"
END = b"==mailcare:1:end== - 2 -\n"


def node_at(port: int, *, pinned: asyncssh.SSHKey = HOST_KEY) -> Node:
    login = Ssh(
        port=port,
        credential=Credential(login="inspector", password_env="UNUSED"),
        host_key=pinned.export_public_key().decode().strip(),
    )
    return lab_system().site.nodes[0].model_copy(update={"address": "127.0.0.1", "ssh": login})


def by_key(text: str | None = None) -> Secret:
    key = text or USER_KEY.export_private_key().decode()
    return Secret("inspector", private_key=key)


def ask(node: Node, secret: Secret | None = None, asks: tuple[Ask, ...] = ASKS) -> Awaitable:
    """Return the coroutine that asks; its result is what each ask was answered."""
    answers: dict[Ask, Answer] = {}
    scene = Scene(lab_system(), lambda _credential: secret or by_key(), lambda _node: None)

    async def asking() -> dict[Ask, Answer]:
        await ssh.ask_host(node, asks, scene, answers.__setitem__)
        assert set(answers) == set(asks)
        return answers

    return asking()


def ask_host_that(session: Session, **how: object) -> dict[Ask, Answer]:
    async def asking() -> dict[Ask, Answer]:
        async with host(session) as port:
            return await ask(node_at(port), **how)

    return asyncio.run(asking())


def told(answers: dict[Ask, Answer], *asks: Ask) -> list[str]:
    found = (answers[one] for one in asks)
    return [one.text if isinstance(one, Reply) else one.reason for one in found]


def login_verdict(answers: dict[Ask, Answer]) -> tuple[Severity, str]:
    system = lab_system()
    only = System(system.site.model_copy(update={"nodes": system.site.nodes[:1]}), system.profile)
    plan = plan_inspection(only, LOGIN_CHECKS)
    [result] = judge_answers(plan, {plan.asks()[0]: answers[LOGIN]})
    return result.severity, result.summary


STEADY = (
    *("os.release", "os.eol", "os.uptime", "os.boots", "storage.inodes", "storage.mounts"),
    *("storage.network", "hardware.raid", "hardware.memory_errors", "service.processes"),
    *("security.ssh_root", "app.version"),
)


def test_a_bundle_is_judged_as_the_same_host_over_ssh(tmp_path):
    bundle = tmp_path / "reply.txt"
    online: dict[Ask, Answer] = {}

    async def both() -> Plan:
        async with host(real_shell()) as port:
            only = lab_system().site.model_copy(update={"nodes": (node_at(port),)})
            plan = plan_inspection(System(only, lab_system().profile), choose_checks(STEADY))
            asks = [ask for ask in plan.asks() if ask.channel is Channel.SSH]
            online.update(await ask(node_at(port), asks=tuple(asks)))
        child = await asyncio.create_subprocess_exec(
            "sh", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await child.communicate(collector_script(asks).encode())
        bundle.write_bytes(out)
        return plan

    plan = asyncio.run(both())
    offline = open_bundle(bundle, plan)
    said = [
        [(type(one), one.check, one.target, getattr(one, "severity", None), how(one)) for one in
         judge_answers(plan, answers)]
        for answers in (online, offline)
    ]  # fmt: skip
    assert len({check for kind, check, *_ in said[0] if kind is Finding}) > 5
    assert said[0] == said[1]


def how(result: Result) -> str:
    """Return the result's words without the numbers, which go on while it is asked twice."""
    text = result.summary if isinstance(result, Finding) else getattr(result, "reason", "")
    return re.sub(r"[\d.]+", "0", text)


@pytest.fixture
def in_a_hurry(monkeypatch):
    """Shorten the patience with hosts that never answer."""
    monkeypatch.setattr(ssh_login, "CONNECT_S", 0.5)
    monkeypatch.setattr(ssh_login, "LOGIN_S", 0.5)
    monkeypatch.setattr(ssh, "ANSWERS_S", 0.5)


@pytest.mark.parametrize("secret", [by_key(), Secret("inspector", password=PASSWORD)])
def test_a_host_answers_everything_in_one_round_trip(secret):
    answers = ask_host_that(real_shell(), secret=secret)
    assert told(answers, ONE, TWO) == ["one\n", "two\n"]
    assert answers[ONE].source == "ssh://mx1"
    assert login_verdict(answers)[0] is Severity.OK
    fingerprint = HOST_KEY.get_fingerprint()
    assert f"# host-key ssh-ed25519 {fingerprint}\n# logged-in\n" in told(answers, LOGIN)[0]


def test_no_secret_is_in_any_answer():
    answers = ask_host_that(real_shell("cat; env"), secret=Secret("inspector", password=PASSWORD))
    assert PASSWORD not in repr(answers)


def test_a_login_that_nobody_asks_about_is_not_told():
    answers = ask_host_that(real_shell(), asks=(ONE,))
    assert told(answers, ONE) == ["one\n"]


def test_each_answer_is_taken_as_soon_as_it_is_there():
    taken: list[Ask] = []

    async def asking() -> None:
        first = asyncio.Event()

        async def wait_for_first(process: asyncssh.SSHServerProcess[bytes]) -> None:
            await first.wait()
            process.stdout.write(frame(TWO, b"2") + END)

        def take(one: Ask, _answer: Answer) -> None:
            taken.append(one)
            if one == ONE:
                first.set()

        scene = Scene(lab_system(), lambda _credential: by_key(), lambda _node: None)
        async with host(saying(BEGIN, frame(ONE, b"1"), then=wait_for_first)) as port:
            await ssh.ask_host(node_at(port), ASKS, scene, take)

    asyncio.run(asking())
    assert taken == [LOGIN, ONE, TWO]


def test_a_changed_host_key_stops_before_the_login():
    seen = Gate()

    async def asking() -> dict[Ask, Answer]:
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=lambda: seen, server_host_keys=[OTHER_KEY], config=None
        )
        try:
            return await ask(node_at(server.get_port()))
        finally:
            server.close()
            await server.wait_closed()

    answers = asyncio.run(asking())
    assert seen.seen == []
    assert answers[ONE] == NoReply(
        "SSH 主机密钥与登记的不符，未登录", answers[ONE].taken_at, "ssh://mx1", permanent=True
    )
    severity, summary = login_verdict(answers)
    assert severity is Severity.CRITICAL
    assert HOST_KEY.get_fingerprint() in summary
    assert OTHER_KEY.get_fingerprint() in summary


@pytest.mark.parametrize(
    "secret",
    [
        Secret("inspector", password="wrong"),
        Secret("somebody", password=PASSWORD),
        by_key(OTHER_KEY.export_private_key().decode()),
    ],
    ids=["password", "account", "key"],
)
def test_a_refused_account_is_permanent(secret):
    answers = ask_host_that(real_shell(), secret=secret)
    assert answers[ONE].permanent
    assert "拒绝了巡检账号" in told(answers, ONE)[0]
    assert login_verdict(answers)[0] is Severity.WARNING


@pytest.mark.parametrize("text", ["not a key", "-----BEGIN OPENSSH PRIVATE KEY-----\nxx\n"])
def test_a_key_file_that_holds_no_key_is_our_own_input(text):
    with pytest.raises(InputError, match="私钥"):
        ask_host_that(real_shell(), secret=by_key(text))


def test_a_key_with_a_passphrase_is_our_own_input():
    locked = USER_KEY.export_private_key(passphrase="secret").decode()
    with pytest.raises(InputError, match="口令"):
        ask_host_that(real_shell(), secret=by_key(locked))


@pytest.mark.parametrize(
    "host_key", ["ssh-ed25519 AAAA", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQA="]
)
def test_a_registered_host_key_that_is_none_is_our_own_input(host_key):
    node = node_at(1)
    assert node.ssh
    broken = node.ssh.model_copy(update={"host_key": host_key})
    with pytest.raises(InputError, match="host_key"):
        asyncio.run(ask(node.model_copy(update={"ssh": broken})))


def test_a_host_without_ssh_is_not_logged_in_to():
    answers = asyncio.run(ask(node_at(1).model_copy(update={"ssh": None})))
    assert set(told(answers, *ASKS)) == {"站点文件未填写该主机的 ssh，未登录"}
    assert all(answer.permanent for answer in answers.values() if isinstance(answer, NoReply))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_a_refused_connection_may_be_tried_again():
    answers = asyncio.run(ask(node_at(free_port())))
    assert not answers[ONE].permanent
    assert "拒绝连接" in told(answers, ONE)[0]
    assert "拒绝连接" in login_verdict(answers)[1]


def test_a_connection_that_is_never_made_is_given_up(in_a_hurry):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            answers = asyncio.run(ask(node_at(port)))
    assert "# timeout connect" in told(answers, LOGIN)[0]
    assert not answers[ONE].permanent


def raw_host(greeting: bytes, *, is_closing: bool) -> dict[Ask, Answer]:
    finished = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(greeting)
            await writer.drain()
            if not is_closing:
                await reader.read()
            writer.close()
            await writer.wait_closed()
        finished.set()

    async def asking() -> dict[Ask, Answer]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            answers = await ask(node_at(server.sockets[0].getsockname()[1]))
            await finished.wait()
            return answers

    return asyncio.run(asking())


@pytest.mark.parametrize(
    ("greeting", "phase"), [(b"", "banner"), (b"SSH-2.0-Sleeper\r\n", "login")]
)
def test_a_host_that_accepts_and_falls_silent_is_given_up(in_a_hurry, greeting, phase):
    answers = raw_host(greeting, is_closing=False)
    assert f"# timeout {phase}" in told(answers, LOGIN)[0]
    assert "没有应答" in told(answers, ONE)[0]
    assert login_verdict(answers)[0] is Severity.WARNING


@pytest.mark.parametrize("greeting", [b"", b"220 mx1 ESMTP\r\n", b"\x00\xff" * 5000])
def test_a_host_that_speaks_something_else_or_hangs_up_is_told(greeting):
    answers = raw_host(greeting, is_closing=True)
    assert "# closed" in told(answers, LOGIN)[0]
    assert "握手中断" in told(answers, ONE)[0]
    assert not answers[ONE].permanent


def test_a_host_that_hangs_in_mid_reply_keeps_what_it_said(in_a_hurry):
    answers = ask_host_that(saying(BEGIN, frame(ONE, b"1"), frame(TWO, b"2")[:-2], then=hang))
    assert told(answers, ONE, TWO) == ["1", "主机在 0.5 秒内没有答完"]


@pytest.mark.parametrize("end", [vanish, None], ids=["connection", "channel"])
def test_a_host_that_closes_in_mid_reply_keeps_what_it_said(end):
    answers = ask_host_that(saying(BEGIN, frame(ONE, b"1"), frame(TWO, b"2")[:-2], then=end))
    assert told(answers, ONE)[0] == "1"
    assert "回复不完整" in told(answers, TWO)[0]
    assert not answers[TWO].permanent


def test_an_account_without_a_shell_is_named():
    answers = ask_host_that(saying(b"This account is currently not available.\n"))
    assert "This account is currently not available." in told(answers, ONE)[0]


def test_megabytes_are_cut_and_what_came_before_is_kept(monkeypatch):
    monkeypatch.setattr(ssh, "REPLY_LIMIT_BYTES", 2 * 1024 * 1024)
    endless = b"==mailcare:1:reply== %s 0 99999999\n" % ask_key(TWO).encode()
    chunks = [endless, *[b"x" * 65536] * 64]
    answers = ask_host_that(saying(BEGIN, frame(ONE, b"1"), *chunks, then=hang))
    assert told(answers, ONE, TWO) == ["1", "回复超过上限 2 MiB，已停止接收"]


def test_a_collector_that_ended_without_a_frame_is_told():
    answers = ask_host_that(saying(BEGIN, frame(ONE, b"1")))
    assert told(answers, ONE, TWO) == ["1", BROKEN_OFF]


@pytest.mark.parametrize(
    ("body", "text"),
    [("磁盘".encode("gb18030"), "磁盘"), (bytes(range(128, 140)), None), (b"\xff\x00", None)],
)
def test_other_charsets_and_binary_become_text(body, text):
    answers = ask_host_that(saying(b"motd\n", BEGIN, frame(ONE, body), frame(TWO, b"2"), END))
    assert told(answers, TWO) == ["2"]
    assert text in (None, told(answers, ONE)[0])
    assert told(answers, ONE)[0].encode("utf-8")


def test_a_session_that_the_host_does_not_grant_is_told():
    async def asking() -> dict[Ask, Answer]:
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=Gate, server_host_keys=[HOST_KEY], config=None
        )
        try:
            return await ask(node_at(server.get_port()))
        finally:
            server.close()
            await server.wait_closed()

    answers = asyncio.run(asking())
    assert "连接中断" in told(answers, ONE)[0]
    assert login_verdict(answers)[0] is Severity.OK

"""`mailcare discover` against small SSH servers on loopback."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncssh
import pytest

from mailcare import cli
from mailcare.inspection.check import Ask, Channel
from mailcare.inspection.collect.first_look import greeting_of
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.collect.script import ask_key
from mailcare.secrets import find_secret
from mailcare.systems.discovery import Output, Told
from mailcare.systems.discovery_commands import AT_FIRST, at_home
from mailcare.systems.site import load_site
from tests.inspection.collect.loopback import SMTP_ANSWERS, Server, closed_port, converses, sends
from tests.inspection.samples import lab_system
from tests.systems.discovered_hosts import HOST_KEY, told_by

KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519")
USER_KEY = asyncssh.generate_private_key("ssh-ed25519")
PASSWORD_VAR = "MAILCARE_TEST_PASSWORD"
NAMED = ("--authorised-by", "王示例", "--login", "inspector")
LAB_SITE = Path(__file__).resolve().parents[1] / "lab" / "site.yaml"


def public(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


def told_without_greeting_ports() -> dict[str, Told]:
    """Return a TurboMail host that listens on 993 and 8081: no port of this machine is tried."""
    row = "0: 00000000:{} 00000000:0000 0A 0:0 0:0 0 0 0 {} 1 0\n"
    sockets = Output(row.format("03E1", 21003) + row.format("1F91", 21010))
    return told_by("turbomail-java") | {"sockets": sockets, "ss": Output("", 127)}


def frames(told: dict[str, Told]) -> bytes:
    out = [b"==mailcare:1:begin== 1795000000 1 mail\n"]
    for command in (*AT_FIRST, *at_home("/data/turbomail")):
        key = ask_key(Ask(Channel.SSH, command.words))
        answer = told[command.name]
        assert isinstance(answer, Output)
        body = answer.text.encode()
        out.append(f"==mailcare:1:reply== {key} {answer.exit_code} {len(body)}\n".encode())
        out.append(body + b"\n")
    return b"".join([*out, b"==mailcare:1:end== - 1 -\n"])


class Gate(asyncssh.SSHServer):
    logins: list[str]

    def begin_auth(self, username: str) -> bool:
        self.logins.append(username)
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == "inspector" and key.public_data == USER_KEY.public_data


@contextmanager
def ssh_host(output: bytes = b"") -> Iterator[tuple[int, list[str]]]:
    """Serve SSH from a thread; yield its port and the names that tried to log in."""
    logins: list[str] = []
    loop = asyncio.new_event_loop()
    gate = type("LoopbackGate", (Gate,), {"logins": logins})

    async def session(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await process.stdin.read()
        process.stdout.write(output)
        process.exit(0)

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=gate,
            server_host_keys=[KEY],
            process_factory=session,
            encoding=None,
            config=None,
        )

    server = loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.get_port(), logins
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(server: asyncssh.SSHAcceptor) -> None:
    server.close()
    with suppress(TimeoutError):
        await asyncio.wait_for(server.wait_closed(), 5)


@pytest.fixture
def run(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Run `mailcare discover`; return its exit code, standard output and standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mailcare", "discover", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return int(ended.value.code or 0), said.out, said.err

    return call


@pytest.fixture
def key_file(tmp_path) -> Path:
    path = tmp_path / "inspector_key"
    path.write_bytes(USER_KEY.export_private_key())
    return path


def test_a_host_is_looked_at_and_the_draft_passes_the_check(run, key_file, tmp_path):
    out = tmp_path / "drafts" / "site.yaml"
    with ssh_host(frames(told_without_greeting_ports())) as (port, logins):
        words = ("--port", port, "--key-file", key_file, "--host-key", public(KEY), "--out", out)
        code, said, err = run("127.0.0.1", *NAMED, *words)
    assert (code, logins) == (0, ["inspector", "inspector"])
    assert str(out) in said
    assert "登录并查看" in err
    site = load_site(out)
    assert site.system.profile == "turbomail"
    assert site.nodes[0].ssh.port == port
    assert site.nodes[0].ssh.credential.key_file == key_file
    assert [one.port for one in site.profile().need("listeners")] == [993]
    assert "8081：java" in out.read_text("utf-8")


def test_without_a_file_the_draft_is_printed(run, key_file):
    with ssh_host(frames(told_without_greeting_ports())) as (port, _):
        words = ("--port", port, "--key-file", key_file, "--host-key", f"{public(KEY)} a comment")
        code, said, _ = run("127.0.0.1", *NAMED, *words)
    assert code == 0
    assert said.startswith("# 由 mailcare discover 起草")
    assert "profile: turbomail" in said


def test_without_the_key_it_is_shown_with_its_fingerprint_and_nobody_logs_in(run, key_file):
    with ssh_host() as (port, logins):
        code, said, err = run("127.0.0.1", *NAMED, "--port", port, "--key-file", key_file)
    assert (code, logins) == (2, [])
    assert public(KEY) in said
    assert KEY.get_fingerprint() in said
    assert "没有登录" in err
    assert f"--host-key '{public(KEY)}'" in err


def test_another_key_than_the_one_given_ends_before_the_login(run, key_file):
    with ssh_host() as (port, logins):
        words = ("--port", port, "--key-file", key_file, "--host-key", public(OTHER_KEY))
        code, said, err = run("127.0.0.1", *NAMED, *words)
    assert (code, logins, said) == (1, [], "")
    assert "主机密钥与登记的不符" in err


def test_a_refused_login_is_said(run, tmp_path):
    path = tmp_path / "key"
    path.write_bytes(OTHER_KEY.export_private_key())
    with ssh_host() as (port, _):
        words = ("--port", port, "--key-file", path, "--host-key", public(KEY))
        code, _, err = run("127.0.0.1", *NAMED, *words)
    assert code == 1
    assert "拒绝了巡检账号的登录" in err


def test_a_host_without_a_shell_is_said(run, key_file):
    with ssh_host(b"This account is currently not available.\n") as (port, _):
        words = ("--port", port, "--key-file", key_file, "--host-key", public(KEY))
        code, _, err = run("127.0.0.1", *NAMED, *words)
    assert code == 1
    assert "This account is currently not available." in err


@pytest.mark.parametrize("host_key", [(), ("--host-key", HOST_KEY)], ids=["first", "again"])
def test_a_closed_port_is_said(run, key_file, host_key):
    words = ("--port", closed_port(), "--key-file", key_file, *host_key)
    code, said, err = run("127.0.0.1", *NAMED, *words)
    assert (code, said) == (1, "")
    assert "127.0.0.1" in err


@pytest.mark.parametrize("host_key", [(), ("--host-key", HOST_KEY)], ids=["first", "again"])
def test_what_is_no_ssh_server_is_said(run, key_file, host_key):
    with Server(sends(b"220 mx1 ESMTP\r\n")) as server:
        words = ("--port", server.port, "--key-file", key_file, *host_key)
        code, said, err = run("127.0.0.1", *NAMED, *words)
    assert (code, said) == (1, "")
    assert "127.0.0.1" in err


def test_a_name_that_is_nowhere_is_said(run, key_file):
    code, _, err = run("nothing.invalid", *NAMED, "--key-file", key_file)
    assert code == 1
    assert "nothing.invalid：域名没有解析到地址" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--login", "x", "--key-file", "KEY"), "--authorised-by"),
        (("--authorised-by", " ", "--login", "x", "--key-file", "KEY"), "--authorised-by"),
        (("--authorised-by", "王", "--key-file", "KEY"), "--login"),
        (NAMED, "必须且只能给出一个"),
        ((*NAMED, "--key-file", "KEY", "--password-env", "VAR"), "必须且只能给出一个"),
        ((*NAMED, "--key-file", "/nowhere/key"), "/nowhere/key"),
        ((*NAMED, "--password-env", PASSWORD_VAR), PASSWORD_VAR),
        ((*NAMED, "--password-env", "my password"), "--password-env"),
        ((*NAMED, "--key-file", "KEY", "--port", "often"), "--port：应为整数"),
        ((*NAMED, "--key-file", "KEY", "--port", "0"), "--port：不能小于 1"),
        ((*NAMED, "--key-file", "KEY", "--host-key", "AAAA"), "--host-key"),
        (
            (*NAMED, "--key-file", "KEY", "--host-key", "ssh-ed25519 AAAABBBBCCCCDDDDEEEE"),
            "--host-key：应为",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(run, key_file, words, said):
    code, out, err = run("127.0.0.1", *(key_file if word == "KEY" else word for word in words))
    assert (code, out) == (2, "")
    assert said in err
    assert [line for line in err.splitlines() if line.startswith("错误：")]


@pytest.mark.parametrize("host", ["mail server", "mail/../x", "-", "邮件", "user@mail", ""])
def test_a_host_that_is_no_name_is_refused(run, key_file, host):
    code, _, err = run(*NAMED, "--key-file", key_file, "--", host)
    assert code == 2
    assert "应为主机名或 IP 地址" in err


def test_a_private_key_that_is_none_is_refused(run, tmp_path):
    path = tmp_path / "key"
    path.write_text("not a key")
    with ssh_host() as (port, _):
        words = ("--port", port, "--key-file", path, "--host-key", public(KEY))
        code, _, err = run("127.0.0.1", *NAMED, *words)
    assert code == 2
    assert "私钥无法使用" in err


def test_a_file_that_a_person_may_have_edited_is_not_overwritten(run, key_file, tmp_path):
    out = tmp_path / "site.yaml"
    out.write_text("mine")
    with ssh_host() as (port, logins):
        words = ("--port", port, "--key-file", key_file, "--host-key", public(KEY), "--out", out)
        code, _, err = run("127.0.0.1", *NAMED, *words)
    assert (code, logins, out.read_text()) == (2, [], "mine")
    assert "不会覆盖" in err


def test_a_mail_port_is_listened_to_and_left_politely():
    asked: list[str] = []

    def goodbye(line: str) -> bytes:
        asked.append(line)
        return b"221 bye\r\n"

    scene = Scene(lab_system(), find_secret, lambda _node: None)
    with Server(converses(b"220 mx ESMTP TurboMail\r\n", SMTP_ANSWERS | {"QUIT": goodbye})) as one:
        line = greeting_of("mx1", one.address, one.port, goodbye="QUIT", scene=scene)
    assert (line, asked) == ("220 mx ESMTP TurboMail", ["QUIT"])


def test_a_silent_port_has_no_greeting():
    scene = Scene(lab_system(), find_secret, lambda _node: None)
    line = greeting_of("mx1", "127.0.0.1", closed_port(), goodbye="QUIT", scene=scene)
    assert line == ""

"""Doors that stay shut: SSH to the host, IMAP to the mailbox, ports nobody should see."""

from lab import hosts, keys, layers, probes, state
from lab.faults.fault import on_mx1
from lab.topology import MX1
from lab.waiting import wait_until

_PROBE = "probe@shili-bank.example"
_HOST_KEY = "etc/ssh/ssh_host_ed25519_key"
_AUTHORIZED = "home/inspector/.ssh/authorized_keys"
_DOVECOT = "etc/dovecot/dovecot.conf"
_SSH = MX1.service("ssh")
_LISTENER = "/usr/local/sbin/silent-listener"
_EXTRA_PORT = 2375


def _stop_ssh() -> None:
    hosts.get_running(MX1).stop(_SSH)


def _start_ssh() -> None:
    hosts.get_running(MX1).start(_SSH)


def _restart_ssh(key: bytes) -> None:
    running = hosts.get_running(MX1)
    running.write(_HOST_KEY, key)
    running.stop(_SSH)
    running.start(_SSH)


def _listen(port: int) -> None:
    running = hosts.get_running(MX1)
    running.run("setsid", "-f", _LISTENER, str(port))
    wait_until(lambda: port in running.listening_ports(), f"listener on port {port}")


def _stop_listening(port: int) -> None:
    running = hosts.get_running(MX1)
    running.attempt("pkill", "-f", f"{_LISTENER} {port}")
    wait_until(lambda: port not in running.listening_ports(), f"end of listener on port {port}")


def _hang_ssh() -> None:
    _stop_ssh()
    _listen(_SSH.ports[0])


def _unhang_ssh() -> None:
    _stop_listening(_SSH.ports[0])
    _start_ssh()


def _authorize(line: str) -> None:
    hosts.get_running(MX1).write(_AUTHORIZED, line)


def _serve(protocols: str) -> None:
    """Let Dovecot serve some protocols only."""
    running = hosts.get_running(MX1)
    text = (layers.FILES / MX1.name / _DOVECOT).read_text()
    running.write(_DOVECOT, text.replace("protocols = imap pop3", f"protocols = {protocols}"))
    running.run("doveadm", "reload")


def _end_pop3_unseen() -> None:
    _serve("imap")
    _authorize("")


def _offer_pop3() -> None:
    _authorize(_inspector_line())
    _serve("imap pop3")


def _inspector_line() -> str:
    inspector = keys.load_openssh(state.INSPECTOR_KEY.read_bytes())
    return layers.authorized_line(inspector)


def _set_passwords(passwords: dict[str, str]) -> None:
    hosts.get_running(MX1).write("etc/dovecot/users", layers.dovecot_users(MX1, passwords))


def _is_silent() -> bool:
    return not probes.first_words(MX1.address, 22)


def _is_refused_login() -> bool:
    return not probes.can_log_in(MX1.address, _PROBE, password=state.probe_password())


FAULTS = (
    on_mx1(
        "imap-login-refused",
        "探测邮箱无法登录",
        effect="the password of probe@shili-bank.example was changed on mx1",
        # Another length: Dovecot rereads the file by size and by a time stamp of whole seconds.
        actions=(lambda: _set_passwords({_PROBE: "changed"}), lambda: _set_passwords({})),
        is_visible=_is_refused_login,
        slot="passwords",
    ),
    on_mx1(
        "ssh-down",
        "SSH 服务停止",
        effect="sshd on mx1 is stopped",
        actions=(_stop_ssh, _start_ssh),
        is_visible=lambda: not probes.can_connect(MX1.address, 22),
        slot="ssh",
    ),
    on_mx1(
        "ssh-hang",
        "SSH 连接后无响应",
        effect="port 22 of mx1 takes connections and never answers",
        actions=(_hang_ssh, _unhang_ssh),
        is_visible=_is_silent,
        slot="ssh",
    ),
    on_mx1(
        "hostkey-changed",
        "SSH 主机密钥改变",
        effect="mx1 shows another host key",
        actions=(
            lambda: _restart_ssh(keys.openssh_private(keys.changed_host_key(MX1.name))),
            lambda: _restart_ssh(keys.openssh_private(keys.host_key(MX1.name))),
        ),
        is_visible=lambda: "IDENTIFICATION HAS CHANGED" in probes.over_ssh("true").text,
        slot="ssh",
    ),
    on_mx1(
        "ssh-auth-refused",
        "SSH 密钥被拒绝",
        effect="the inspector's key is no longer accepted on mx1",
        actions=(lambda: _authorize(""), lambda: _authorize(_inspector_line())),
        is_visible=lambda: "Permission denied" in probes.over_ssh("true").text,
        slot="ssh",
    ),
    on_mx1(
        "pop3-unseen",
        "POP3 端口无应答，且无法登录查看原因",
        effect="Dovecot on mx1 serves no POP3, and the inspector's key is no longer accepted",
        actions=(_end_pop3_unseen, _offer_pop3),
        is_visible=lambda: not probes.can_connect(MX1.address, 995),
        slot="ssh",
    ),
    on_mx1(
        "port-exposed",
        "多余端口对外开放",
        effect=f"something listens on port {_EXTRA_PORT} of mx1 for everybody",
        actions=(lambda: _listen(_EXTRA_PORT), lambda: _stop_listening(_EXTRA_PORT)),
        is_visible=lambda: probes.can_connect(MX1.address, _EXTRA_PORT),
        slot="extra port",
    ),
)

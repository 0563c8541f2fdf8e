"""What attackers leave behind: lines in the logs, forwards to the outside, doors left open."""

import contextlib
import http.client
import ssl
import time
from collections.abc import Callable, Iterable

from lab import hosts, layers, probes, state
from lab.faults.fault import Fault, switch
from lab.faults.nginx import CONF, write_nginx
from lab.topology import MX1
from lab.waiting import wait_until

_WEB_LOG = "var/log/nginx/access.log"
_MAIL_LOG = "var/log/mail.log"
_DOVECOT_LOG = "var/log/dovecot.log"
_ALIASES = "etc/postfix/aliases"
_SSHD = "etc/ssh/sshd_config"
_SSH = MX1.service("ssh")
_USER = "zhangsan@shili-bank.example"
_FORWARD = f"{_USER} {_USER}, collector@outside.example\n"
_PAGE = "<title>Postfix Admin</title><form><input name=fUsername><input name=fPassword></form>"
_LOCATION = f"    location /postfixadmin/ {{ default_type text/html; return 200 '{_PAGE}'; }}\n"
_BEFORE = "    location / {"
# Each attacker has an address (RFC 5737) of its own, by which its lines are found again.
_NET = "203.0.113."


def _web_line(address: str, request: str, status: int) -> str:
    at = time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime())
    return f'{address} - - [{at}] "{request} HTTP/1.1" {status} 1843 "-" "python-requests/2.31"\n'


def _traversals(address: str, status: int) -> list[str]:
    paths = ("/index.php?_file=../../../../etc/passwd", "/..%2f..%2fconf/config.inc.php")
    return [_web_line(address, f"GET {path}", status) for path in paths]


def _dovecot_failure(address: str, account: str) -> str:
    return (
        f"{_syslog_time()} imap-login: Info: Disconnected: Connection closed (auth failed, 1 "
        f"attempts in 2 secs): user=<{account}>, method=PLAIN, rip={address}, lip={MX1.address}, "
        "TLS, session=<bGFiZmF1bHQ>\n"
    )


def _dovecot_login(address: str, account: str) -> str:
    return (
        f"{_syslog_time()} imap-login: Info: Login: user=<{account}>, method=PLAIN, rip={address}, "
        f"lip={MX1.address}, mpid=4711, TLS, session=<bGFiZmF1bHQ>\n"
    )


def _postfix_failure(address: str, account: str) -> str:
    return (
        f"{_syslog_time()} mx1 postfix/submission/smtpd[4711]: warning: unknown[{address}]: SASL "
        f"LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username={account}\n"
    )


def _submission(address: str, number: int) -> str:
    return (
        f"{_syslog_time()} mx1 postfix/submission/smtpd[4711]: {0xA0000 + number:X}: "
        f"client=unknown[{address}], sasl_method=LOGIN, sasl_username={_USER}\n"
    )


def _syslog_time() -> str:
    now = time.localtime()
    return f"{time.strftime('%b', now)} {now.tm_mday:2d} {time.strftime('%H:%M:%S', now)}"


def _append(log: str, lines: Iterable[str]) -> None:
    with (hosts.get_running(MX1).root / log).open("a") as file:
        file.writelines(lines)


def _remove(log: str, attacker: str) -> None:
    running = hosts.get_running(MX1)
    lines = (running.root / log).read_text().splitlines(keepends=True)
    running.write(log, "".join(line for line in lines if attacker not in line))


def _log_fault(
    name: str, title: str, effect: str, *, log: str, attacker: str, lines: Callable[[], list[str]]
) -> Fault:
    def is_visible() -> bool:
        return int(probes.read_over_ssh(f"grep -cF '{attacker}' /{log}")) > 0

    return _fault(
        name,
        title,
        effect,
        actions=(lambda: _append(log, lines()), lambda: _remove(log, attacker)),
        is_visible=is_visible,
    )


def _fault(
    name: str,
    title: str,
    effect: str,
    *,
    actions: tuple[Callable[[], None], Callable[[], None]],
    is_visible: Callable[[], bool],
    slot: str = "",
) -> Fault:
    return Fault(
        name=name,
        title=title,
        effect=effect,
        host=MX1,
        slot=slot or f"mx1 {name}",
        apply=switch(name, *actions),
        is_visible=is_visible,
    )


def _write_aliases(more: str) -> None:
    running = hosts.get_running(MX1)
    running.write(_ALIASES, (layers.FILES / "mx1" / _ALIASES).read_text() + more)
    running.attempt("postfix", "reload")


def _serve_admin_page() -> None:
    conf = _nginx_conf()
    write_nginx(conf.replace(_BEFORE, _LOCATION + _BEFORE, 1))


def _hide_admin_page() -> None:
    write_nginx(_nginx_conf().replace(_LOCATION, ""))


def _nginx_conf() -> str:
    return (hosts.get_running(MX1).root / CONF).read_text()


def _shows_admin_page() -> bool:
    trusting = ssl.create_default_context(cafile=str(state.CA_CERTIFICATE))
    trusting.check_hostname = False
    web = http.client.HTTPSConnection(MX1.address, 443, context=trusting, timeout=4)
    with contextlib.closing(web):
        web.request("GET", "/postfixadmin/", headers={"Host": "webmail.shili-bank.example"})
        return b"Postfix Admin" in web.getresponse().read()


def _set_sshd(**settings: str) -> None:
    healthy = (layers.FILES / "all" / _SSHD).read_text()
    lines = [line for line in healthy.splitlines() if line.split()[0] not in settings]
    lines += [f"{name} {value}" for name, value in settings.items()]
    running = hosts.get_running(MX1)
    running.write(_SSHD, "\n".join(lines) + "\n")
    running.stop(_SSH)
    running.start(_SSH)
    wait_until(lambda: probes.can_connect(MX1.address, 22), "sshd on mx1")


def _has_setting(setting: str) -> Callable[[], bool]:
    return lambda: setting in probes.read_over_ssh(f"cat /{_SSHD}").splitlines()


FAULTS = (
    _log_fault(
        "attack-traversal",
        "网页遭路径穿越攻击(未得手)",
        "the access log of mx1 tells of path traversals that were answered with 404",
        log=_WEB_LOG,
        attacker=f"{_NET}11 ",
        lines=lambda: _traversals(f"{_NET}11", 404),
    ),
    _log_fault(
        "attack-succeeded",
        "网页遭路径穿越攻击(可能得手)",
        "the access log of mx1 tells of path traversals that were answered with 200",
        log=_WEB_LOG,
        attacker=f"{_NET}12 ",
        lines=lambda: _traversals(f"{_NET}12", 200),
    ),
    _log_fault(
        "web-guessing",
        "网页邮箱遭口令猜测",
        "the access log of mx1 tells of 80 refused logins from one address",
        log=_WEB_LOG,
        attacker=f"{_NET}13 ",
        lines=lambda: [_web_line(f"{_NET}13", "POST /?_task=login", 401)] * 80,
    ),
    _log_fault(
        "password-guessing",
        "IMAP 口令遭猜测",
        "Dovecot's log on mx1 tells of 60 failed logins from one address",
        log=_DOVECOT_LOG,
        attacker=f"rip={_NET}14,",
        lines=lambda: [_dovecot_failure(f"{_NET}14", "admin@shili-bank.example")] * 60,
    ),
    _log_fault(
        "password-guessed",
        "IMAP 口令疑被猜中",
        "Dovecot's log on mx1 tells of 40 failed logins and then a successful one",
        log=_DOVECOT_LOG,
        attacker=f"rip={_NET}15,",
        lines=lambda: [
            *[_dovecot_failure(f"{_NET}15", _USER)] * 40,
            _dovecot_login(f"{_NET}15", _USER),
        ],
    ),
    _log_fault(
        "password-spraying",
        "逐个账号试探口令",
        "Postfix's log on mx1 tells of failed logins to 25 accounts from one address",
        log=_MAIL_LOG,
        attacker=f"unknown[{_NET}16]",
        lines=lambda: [
            _postfix_failure(f"{_NET}16", f"user{number}@shili-bank.example")
            for number in range(25)
        ],
    ),
    _log_fault(
        "account-besieged",
        "一个账号遭多地址猜口令",
        "Postfix's log on mx1 tells of failed logins to one account from 12 addresses",
        log=_MAIL_LOG,
        attacker="unknown[198.51.100.",
        lines=lambda: [
            _postfix_failure(f"198.51.100.{number}", _USER) for number in range(12) for _ in "12345"
        ],
    ),
    _log_fault(
        "account-spamming",
        "账号被盗用大量发信",
        "Postfix's log on mx1 tells of 1200 mails that one account submitted within an hour",
        log=_MAIL_LOG,
        attacker=f"unknown[{_NET}17]",
        lines=lambda: [_submission(f"{_NET}17", number) for number in range(1200)],
    ),
    _fault(
        "forward-outside",
        "用户邮件被转发到外部",
        f"mail for {_USER} is copied to a mailbox outside",
        actions=(lambda: _write_aliases(_FORWARD), lambda: _write_aliases("")),
        is_visible=lambda: _FORWARD.strip() in probes.read_over_ssh(f"cat /{_ALIASES}"),
    ),
    _fault(
        "admin-exposed",
        "管理后台对外开放",
        "the web server of mx1 shows an administration page to everybody",
        actions=(_serve_admin_page, _hide_admin_page),
        is_visible=_shows_admin_page,
        slot="mx1 nginx.conf",
    ),
    _fault(
        "ssh-password",
        "SSH 允许口令登录",
        "sshd on mx1 offers logins by password",
        actions=(lambda: _set_sshd(PasswordAuthentication="yes"), _set_sshd),
        is_visible=_has_setting("PasswordAuthentication yes"),
        slot="mx1 ssh",
    ),
    _fault(
        "ssh-root",
        "SSH 允许 root 用口令登录",
        "sshd on mx1 lets root in by password",
        actions=(
            lambda: _set_sshd(PermitRootLogin="yes", PasswordAuthentication="yes"),
            _set_sshd,
        ),
        is_visible=_has_setting("PermitRootLogin yes"),
        slot="mx1 ssh",
    ),
)

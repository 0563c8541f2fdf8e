"""Providers that turn the customer's mail away or put it aside, and walls against the outside."""

from collections.abc import Callable, Mapping
from pathlib import Path

from lab import hosts, layers, probes
from lab.faults.fault import Fault, switch
from lab.topology import MX1, OUT1
from lab.waiting import wait_until

_REFUSALS = "etc/postfix/refusals"
_MAILBOXES = "etc/postfix/mailboxes"
_TABLE = "inet mailcare_lab"
_SENDER = "zhangsan@shili-bank.example"
_DOMAINS = ("mailjia", "mailyi", "mailbing", "mailding")
_CONTENT = "550 5.7.1 Mail content denied. http://service.mail.jia.example/help"

# Fault: what out1 answers to whom. The words are those of QQ and NetEase.
_ANSWERS: Mapping[str, Mapping[str, str]] = {
    "provider-refuses-content": {"mailjia": _CONTENT},
    "provider-rate-limit": {"mailyi": "550 5.7.0 Domain frequency limited"},
    "provider-defers": {"mailbing": "451 4.7.1 Greylisted, please try again later"},
    "provider-blocklists": {"mailding": "550 5.7.1 part of their network is on our block list"},
    "providers-refuse-many": {
        "mailjia": _CONTENT,
        "mailyi": "554 5.7.1 DT:SPM mailyi",
        "mailbing": "550 5.7.1 Sender frequency limited",
    },
}
_JUNKED: Mapping[str, str] = {
    "mail-to-junk": "probe@outside.example",
    "provider-junks": "probe@mailyi.example",
}


def _refuse(active: frozenset[str]) -> None:
    answers: dict[str, str] = {}
    for name in sorted(active & _ANSWERS.keys()):
        answers |= _ANSWERS[name]
    lines = [f"probe@{name}.example {answer}\n" for name, answer in answers.items()]
    _rewrite(_REFUSALS, _healthy(_REFUSALS) + "".join(lines))


def _junk(active: frozenset[str]) -> None:
    text = _healthy(_MAILBOXES)
    for address in (_JUNKED[name] for name in active & _JUNKED.keys()):
        folder = _folder(address)
        text = text.replace(f"{address} {folder}/\n", f"{address} {folder}/.Junk/\n")
    _rewrite(_MAILBOXES, text)


def _folder(address: str) -> str:
    user, _, domain = address.partition("@")
    return f"{domain}/{user}/Maildir"


def _healthy(path: str) -> str:
    return (layers.FILES / OUT1.name / path).read_text()


def _rewrite(path: str, text: str) -> None:
    running = hosts.get_running(OUT1)
    running.write(path, text)
    running.attempt("postfix", "reload")


def _answers_as_told(name: str) -> bool:
    expected = {
        f"probe@{domain}.example": int(answer[:3]) for domain, answer in _ANSWERS[name].items()
    }
    answers = {one: probes.smtp_envelope(OUT1.address, _SENDER, one)[1] for one in expected}
    return answers == expected


def _lands_in_junk(address: str) -> bool:
    """Send a mail and look where it is put; remove it."""
    queue_id = probes.send_mail(OUT1.address, _SENDER, address)
    running = hosts.get_running(OUT1)
    log = running.root / "var/log/mail.log"
    wait_until(lambda: f"{queue_id}: removed" in log.read_text(), f"end of mail {queue_id}")
    maildir = running.root / "var/vmail" / _folder(address)
    junked = _remove_probe_mail(maildir / ".Junk/new")
    return bool(junked) and not _remove_probe_mail(maildir / "new")


def _remove_probe_mail(folder: Path) -> int:
    mails = [one for one in folder.glob("*") if "Subject: lab probe" in one.read_text()]
    for mail in mails:
        mail.unlink()
    return len(mails)


def _wall(port: int) -> None:
    running = hosts.get_running(MX1)
    running.run("nft", "add", "table", *_TABLE.split())
    chain = "{ type filter hook input priority 0 ; policy accept ; }"
    running.run("nft", "add", "chain", *_TABLE.split(), "input", chain)
    rule = ("iifname", "eth0", "tcp", "dport", str(port), "drop")
    running.run("nft", "add", "rule", *_TABLE.split(), "input", *rule)


def _unwall() -> None:
    hosts.get_running(MX1).attempt("nft", "delete", "table", *_TABLE.split())


def _is_walled(port: int) -> bool:
    return (
        not probes.can_connect(MX1.address, port)
        and port in hosts.get_running(MX1).listening_ports()
    )


def _refusing(name: str, title: str, effect: str) -> Fault:
    return Fault(
        name=name,
        title=title,
        effect=effect,
        host=OUT1,
        slot=f"out1 refuses {sorted(_ANSWERS[name])[0]}",
        apply=_refuse,
        is_visible=lambda: _answers_as_told(name),
    )


def _junking(name: str, title: str, effect: str) -> Fault:
    return Fault(
        name=name,
        title=title,
        effect=effect,
        host=OUT1,
        slot=f"out1 mailbox {_JUNKED[name]}",
        apply=_junk,
        is_visible=lambda: _lands_in_junk(_JUNKED[name]),
    )


def _walled(name: str, title: str, effect: str, *, port: int) -> Fault:
    actions: tuple[Callable[[], None], Callable[[], None]] = (lambda: _wall(port), _unwall)
    return Fault(
        name=name,
        title=title,
        effect=effect,
        host=MX1,
        slot="mx1 nftables",
        apply=switch(name, *actions),
        is_visible=lambda: _is_walled(port),
    )


FAULTS = (
    _refusing(
        "provider-refuses-content",
        "一家邮箱以内容为由拒收",
        "mailjia.example answers 550 Mail content denied to mail for its probe",
    ),
    _refusing(
        "provider-rate-limit",
        "一家邮箱限制发信频率",
        "mailyi.example answers 550 Domain frequency limited",
    ),
    _refusing(
        "provider-defers",
        "一家邮箱暂缓接收(灰名单)",
        "mailbing.example answers 451 Greylisted for ever",
    ),
    _refusing(
        "provider-blocklists",
        "一家邮箱称本方地址在黑名单中",
        "mailding.example answers 550 block list",
    ),
    _refusing(
        "providers-refuse-many",
        "三家邮箱同时拒收",
        "mailjia, mailyi and mailbing refuse, each in its own words",
    ),
    _junking(
        "mail-to-junk",
        "外发邮件落入垃圾箱",
        "out1 puts mail for probe@outside.example into the junk folder",
    ),
    _junking(
        "provider-junks",
        "一家邮箱把外发邮件放入垃圾箱",
        "out1 puts mail for probe@mailyi.example into the junk folder",
    ),
    _walled(
        "firewall-imaps",
        "防火墙拦住 IMAPS(993)",
        "mx1 drops what comes to port 993 over the network; the service listens",
        port=993,
    ),
    _walled(
        "firewall-smtp",
        "防火墙拦住 SMTP(25)",
        "mx1 drops what comes to port 25 over the network; the service listens",
        port=25,
    ),
)

"""Wrong settings of the mail servers, and mail that is lost or late because of them."""

import os
import smtplib
import time
from collections.abc import Callable

from lab import hosts, layers, probes
from lab.faults.fault import Fault, switch
from lab.settings import override
from lab.topology import MX1, OUT1, Host
from lab.waiting import wait_until

_MASTER = "etc/postfix/master.cf"
_SENDER = "service@vendor.example"
_PROBE = "probe@shili-bank.example"
_TAKEN = 250
_SLOW_S = 1.5

# host, setting, value; a fault may change several settings
_VALUES: dict[str, tuple[Host, dict[str, str]]] = {
    "open-relay": (MX1, {"mynetworks": "0.0.0.0/0"}),
    "relay-own-sender": (
        MX1,
        {
            "smtpd_relay_restrictions": (
                "permit_mynetworks, permit_sasl_authenticated, "
                "check_sender_access inline:{ { shili-bank.example = OK } }, "
                "reject_unauth_destination"
            )
        },
    ),
    "smtp-421": (
        MX1,
        {
            "smtpd_delay_reject": "no",
            "smtpd_client_restrictions": "check_client_access static:{421 4.3.2 Too busy}",
        },
    ),
    "smtp-banner-wrong": (MX1, {"myhostname": "mailgw.localdomain"}),
    "starttls-off": (MX1, {"smtpd_tls_security_level": "none"}),
    "mail-blackhole": (MX1, {"transport_maps": f"inline:{{ {{ {_PROBE} = discard: }} }}"}),
    "archive-off": (MX1, {"recipient_bcc_maps": ""}),
    "approval-off": (MX1, {"approval_checks": ""}),
    "loop-slow": (
        OUT1,
        {
            # An access table takes no `sleep 20`, but it takes a class that says so.
            "smtpd_restriction_classes": "tardy",
            "tardy": "sleep 20",
            "smtpd_recipient_restrictions": (
                "check_recipient_access inline:{ { probe@outside.example = tardy } }"
            ),
        },
    ),
}


def _apply_on(host: Host) -> Callable[[frozenset[str]], None]:
    def apply(active: frozenset[str]) -> None:
        values: dict[str, str] = {}
        for name in sorted(active & _VALUES.keys()):
            if _VALUES[name][0] is host:
                values |= _VALUES[name][1]
        text = (layers.FILES / host.name / "etc/postfix/main.cf").read_text()
        healthy = layers.replace_tokens(text, layers.tokens_for(host))
        running = hosts.get_running(host)
        running.write("etc/postfix/main.cf", override(healthy, values))
        # Postfix waits two seconds before it trusts a file that has only just changed.
        os.utime(running.root / "etc/postfix/main.cf", (time.time() - 60,) * 2)
        running.attempt("postfix", "reload")

    return apply


def _postfix_fault(name: str, title: str, effect: str, *, is_visible: Callable[[], bool]) -> Fault:
    host = _VALUES[name][0]
    return Fault(
        name=name,
        title=title,
        effect=effect,
        host=host,
        slot=f"{host.name} {name}",
        apply=_apply_on(host),
        is_visible=is_visible,
    )


def _relays(sender: str) -> bool:
    _, code = probes.smtp_envelope(MX1.address, sender, "stranger@partner.example")
    return code == _TAKEN


def _swallows_mail() -> bool:
    """Send a mail to the probe, wait until the queue is rid of it, and look how it ended."""
    queue_id = probes.send_mail(MX1.address, _SENDER, _PROBE)
    log = hosts.get_running(MX1).root / "var/log/mail.log"
    is_over = f"{queue_id}: removed"
    wait_until(lambda: is_over in log.read_text(), f"end of mail {queue_id}", timeout_s=60.0)
    to_probe = f"{queue_id}: to=<{_PROBE}>"  # the archive gets its copy all the same
    ends = [line for line in log.read_text().splitlines() if to_probe in line]
    _remove_probe_mail()
    return "delivered to maildir" not in ends[-1]


def _remove_probe_mail() -> None:
    folder = hosts.get_running(MX1).root / "var/vmail/shili-bank.example/probe/Maildir/new"
    for mail in folder.glob("*"):
        if "Subject: lab probe" in mail.read_text(errors="replace"):
            mail.unlink()


def _write_master(text: str) -> None:
    running = hosts.get_running(MX1)
    running.write(_MASTER, text)
    running.attempt("postfix", "reload")


def _healthy_master() -> str:
    return (layers.FILES / MX1.name / _MASTER).read_text()


def _without_submission() -> str:
    """Switch one entry off the way an administrator does: its lines become comments."""
    before, entry, after = _healthy_master().partition("submission inet ")
    own, following, rest = after.partition("submissions inet ")
    lines = "".join(f"#{line}" for line in (entry + own).splitlines(keepends=True))
    return before + lines + following + rest


def _setting(name: str) -> str:
    return probes.read_over_ssh(f"/usr/sbin/postconf -h {name}").strip()


def _hesitates() -> bool:
    sender, recipient = "admin@shili-bank.example", "probe@outside.example"
    start = time.monotonic()
    try:
        probes.smtp_envelope(OUT1.address, sender, recipient, timeout_s=_SLOW_S)
    except smtplib.SMTPServerDisconnected:
        # smtplib reports its own timeout as a lost connection.
        return time.monotonic() - start >= _SLOW_S
    return False


FAULTS = (
    _postfix_fault(
        "open-relay",
        "开放转发(任何人可借道发信)",
        "mx1 relays mail from anybody to anybody",
        is_visible=lambda: _relays(_SENDER),
    ),
    _postfix_fault(
        "relay-own-sender",
        "冒用本单位发件人即可借道发信",
        "mx1 relays mail for anybody who names a sender of its own domain",
        is_visible=lambda: _relays("postmaster@shili-bank.example"),
    ),
    _postfix_fault(
        "smtp-421",
        "SMTP 25 端口返回 421 拒绝连接",
        "mx1 greets on port 25 with 421 and hangs up",
        is_visible=lambda: probes.first_words(MX1.address, 25).startswith("421"),
    ),
    _postfix_fault(
        "smtp-banner-wrong",
        "SMTP 主机名与反向解析不一致",
        "mx1 names itself mailgw.localdomain on port 25",
        is_visible=lambda: "mailgw.localdomain" in probes.first_words(MX1.address, 25),
    ),
    _postfix_fault(
        "starttls-off",
        "SMTP 25 端口未启用 STARTTLS",
        "mx1 offers no STARTTLS on port 25",
        is_visible=lambda: "starttls" not in probes.smtp_capabilities(MX1.address),
    ),
    _postfix_fault(
        "mail-blackhole",
        "邮件被接收后丢失",
        "mx1 takes mail for the probe and throws it away",
        is_visible=_swallows_mail,
    ),
    _postfix_fault(
        "archive-off",
        "邮件归档停用",
        "mx1 keeps no copy of mail for the probe",
        is_visible=lambda: not _setting("recipient_bcc_maps"),
    ),
    _postfix_fault(
        "approval-off",
        "邮件审核停用",
        "mx1 holds no submitted mail for approval",
        is_visible=lambda: not _setting("approval_checks"),
    ),
    Fault(
        name="submission-off",
        title="提交端口 587 未启用",
        effect="Postfix on mx1 listens on 25 and 465 only: master.cf has no submission any more",
        host=MX1,
        slot="mx1 master.cf",
        apply=switch(
            "submission-off",
            lambda: _write_master(_without_submission()),
            lambda: _write_master(_healthy_master()),
        ),
        is_visible=lambda: not probes.can_connect(MX1.address, 587),
    ),
    _postfix_fault(
        "loop-slow",
        "外发邮件投递缓慢",
        "out1 takes 20 s over each mail for probe@outside.example",
        is_visible=_hesitates,
    ),
)

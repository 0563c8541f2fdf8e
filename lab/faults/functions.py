"""Advanced functions that do nothing, and a service that answers only now and then."""

from lab import hosts, layers, probes
from lab.faults.fault import on_mx1
from lab.topology import MX1

_DESK = MX1.service("approval-desk")
_VIEW = "etc/dovecot/virtual/All/dovecot-virtual"
_TABLE = "flaky"
_TRIES = 6


def _show_view(text: str) -> None:
    hosts.get_running(MX1).write(_VIEW, text)


def _healthy_view() -> str:
    return (layers.FILES / MX1.name / _VIEW).read_text()


def _refuse_every_other() -> None:
    """Reset every other new connection to port 993, as a half-dead balancer does."""
    running = hosts.get_running(MX1)
    running.run("nft", "add", "table", "inet", _TABLE)
    chain = ("inet", _TABLE, "input")
    running.run("nft", "add", "chain", *chain, "{ type filter hook input priority 0; }")
    rule = "tcp dport 993 tcp flags & (syn|ack) == syn numgen inc mod 2 0 reject with tcp reset"
    running.run("nft", "add", "rule", *chain, rule)


def _accept_all() -> None:
    hosts.get_running(MX1).attempt("nft", "delete", "table", "inet", _TABLE)


def _comes_and_goes() -> bool:
    made = {probes.can_connect(MX1.address, 993) for _ in range(_TRIES)}
    return made == {True, False}


FAULTS = (
    on_mx1(
        "approval-stuck",
        "审核放行服务停止",
        effect="what the approver releases on mx1 stays where it is",
        actions=(
            lambda: hosts.get_running(MX1).stop(_DESK),
            lambda: hosts.get_running(MX1).start(_DESK),
        ),
        is_visible=lambda: not probes.read_over_ssh("pgrep -f '[s]bin/approval-desk'").strip(),
    ),
    on_mx1(
        "search-broken",
        "邮件查询不再收录新邮件",
        effect="the folder that users of mx1 search in leaves out every new mail",
        actions=(
            lambda: _show_view("INBOX\n  before 1-Jan-2000\n"),
            lambda: _show_view(_healthy_view()),
        ),
        is_visible=lambda: "before" in probes.read_over_ssh(f"cat /{_VIEW}"),
    ),
    on_mx1(
        "service-flaky",
        "IMAP 服务时好时坏",
        effect="mx1 resets every other new connection to port 993",
        actions=(_refuse_every_other, _accept_all),
        is_visible=_comes_and_goes,
    ),
)

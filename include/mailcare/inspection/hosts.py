"""What all checks of a host share: which hosts are asked, in which words, and who can answer."""

from collections.abc import Iterator

from mailcare.inspection.check import Ask, Channel, Question, Reply, ReplyError, Target
from mailcare.systems.site import Node, Role
from mailcare.systems.system import System

LOGIN_FIRST = ("ssh.login", "network.reach")
COMMAND_S = 5.0

# Exit codes that the collector gives a meaning of their own, as shells do.
NOT_FOUND = 127
CUT = 141  # the answer was cut at the collector's limit: 128 + SIGPIPE


def asked_hosts(system: System) -> tuple[Node, ...]:
    """Return the hosts that are looked into: mail and backup hosts, and any that has `ssh`.

    A host without `ssh` is asked all the same: what a customer sent back may hold its answers.
    """
    looked_into = {Role.MAIL, Role.BACKUP}
    return tuple(
        node for node in system.site.nodes if node.ssh or looked_into.intersection(node.roles)
    )


def host_ask(node: Node, *words: str, timeout_s: float = COMMAND_S, sample: int = 1) -> Ask:
    """Ask a host to run a command."""
    return Ask(Channel.SSH, words, timeout_s, node.name, sample)


def ask_hosts(system: System, *commands: tuple[str, ...]) -> Iterator[Question]:
    """Yield the same commands as one question for each host that is looked into."""
    for node in asked_hosts(system):
        yield Question(Target(node.name), tuple(host_ask(node, *words) for words in commands))


def ask_mail_hosts(system: System, *commands: tuple[str, ...]) -> Iterator[Question]:
    """Yield the same commands as one question for each mail host."""
    for node in system.nodes_of(Role.MAIL):
        yield Question(Target(node.name), tuple(host_ask(node, *words) for words in commands))


def output_of(reply: Reply, command: str) -> str:
    """Return what a command printed; raise `ReplyError` where it is missing or printed nothing."""
    if reply.exit_code == NOT_FOUND:
        raise ReplyError(f"主机上没有命令 {command}")
    if not reply.text.strip():
        raise ReplyError(f"命令 {command} 没有输出（退出码 {reply.exit_code}）")
    return reply.text


def whole_output_of(reply: Reply, command: str) -> str:
    """Return the output of a command that ended well; raise `ReplyError` with its first line."""
    text = output_of(reply, command)
    if reply.exit_code != 0:
        raise ReplyError(f"命令 {command} 失败（退出码 {reply.exit_code}）：{first_line(text)}")
    return text


def lines_of(text: str, *, width: int = 4096) -> list[str]:
    """Return the lines, each cut at `width`: no pattern is tried on a line of megabytes."""
    return [line[:width] for line in text.splitlines()]


def first_line(text: str) -> str:
    """Return the first line that says something, at most 120 characters of it."""
    return next((line.strip()[:120] for line in text.splitlines() if line.strip()), "")

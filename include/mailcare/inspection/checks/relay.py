"""Whether a stranger may send through the customer's server to a stranger: an open relay.

Asked up to RCPT only: nothing is ever sent. On the port for mail from outside it is asked again
with a sender of the customer's own domain, which some servers take for one of their users; more
forms would look like an attack to a server that bans whoever is refused a few times. The worker
must not be inside the server's trusted networks, or an honest server looks open.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mailcare.inspection.check import (
    Area,
    Channel,
    Check,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Verdict,
)
from mailcare.inspection.dialogues import last_line, read_opened, silence, smtp_code
from mailcare.inspection.probes import endpoint_ask, endpoint_target, outside_mailbox
from mailcare.inspection.transcript import Transcript
from mailcare.systems.profile import Protocol
from mailcare.systems.system import System

_LOGIN_FIRST = 530  # RFC 4954, RFC 3207: log in, or start TLS, before anything else
_RELAY = re.compile(r"relay|rcpthosts|not local")
_DENIALS = re.compile(r"not permitted|access denied")
_FIRM_DENIALS = re.compile(r"^(530|551)|^5\d\d[ -]5\.7\.[01]\b|denied|authenticat")
_BLOCKS = re.compile(r"blocked|blacklist|blocklist|greylist")
# RFC 3463 and RFC 7372: the sender's address or domain, SPF, DKIM, DMARC, the reverse name.
_ABOUT_SENDER = re.compile(
    r"\b5\.1\.[78]\b|\b5\.7\.2\d\b|sender|\bspf\b|dkim|dmarc|client|helo|reverse|hostname|spam"
)
_ADDRESS = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Relaying:
    """The server's answer to a foreign recipient from a foreign sender."""

    accepted: bool
    line: str
    evidence: tuple[str, ...]
    sender: str = ""


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """A foreign recipient must not be accepted."""

    accepted: bool = False


def _ask(system: System) -> Iterator[Question]:
    for endpoint in system.endpoints(Protocol.SMTP, Protocol.SUBMISSION):
        stranger = outside_mailbox(system).address
        envelopes = [stranger, stranger]
        if endpoint.listener.protocol is Protocol.SMTP:
            envelopes += [f"postmaster@{system.site.domains[0].name}", stranger]
        ask = endpoint_ask(Channel.SMTP, "relay", endpoint, *envelopes)
        yield Question(endpoint_target(endpoint), (ask,))


def _parse(replies: tuple[Reply, ...]) -> Relaying:
    transcript = read_opened(replies[0])
    for sender, line in _accepted(transcript):
        return Relaying(True, line, _envelope(transcript), sender)
    rcpt = last_line(transcript.after("RCPT TO"))
    line = rcpt or last_line(transcript.after("MAIL FROM"))
    code = smtp_code(line)
    if code is None or (code < 300 and not rcpt):
        why = silence(transcript) or last_line(transcript.said()) or "没有应答"
        raise ReplyError(f"对话没有进行到收件人一步：{why}")
    if not rcpt and code != _LOGIN_FIRST:
        raise ReplyError(f"发件人一步即被拒绝，未能测试转发：{line}")
    if code >= 300 and not _denies_relaying(code, _ADDRESS.sub("", line.lower())):
        raise ReplyError(f"服务器拒绝的不是转发（而是巡检机或发件人等），未能测试转发：{line}")
    return Relaying(False, line, _envelope(transcript))


def _accepted(transcript: Transcript) -> Iterator[tuple[str, str]]:
    """Yield the sender and the answer of each envelope whose recipient was accepted."""
    sender = said = ""
    for mark, text in transcript.lines:
        if mark == ">":
            said = text.upper()
            sender = text.partition(":")[2].strip("<>") if said.startswith("MAIL FROM") else sender
        elif mark == "<" and said.startswith("RCPT TO") and (smtp_code(text) or 500) < 300:
            yield sender, text


def _denies_relaying(code: int, line: str) -> bool:
    if _BLOCKS.search(line):
        return False
    if _RELAY.search(line):
        return True
    if _ABOUT_SENDER.search(line):
        return False
    return bool(_DENIALS.search(line) or (code >= 500 and _FIRM_DENIALS.search(line)))


def _envelope(transcript: Transcript) -> tuple[str, ...]:
    marks = {">": "C: ", "<": "S: "}
    return tuple(f"{marks[mark]}{text}" for mark, text in transcript.lines if mark in marks)


def _judge(relaying: Relaying, _limits: RelayLimits, _subject: Subject) -> Iterator[Verdict]:
    if relaying.accepted:
        yield Verdict(
            Severity.CRITICAL,
            f"开放转发：未登录、以 {relaying.sender} 为发件人即接受外部收件人"
            f"（{relaying.line}），应拒绝",
            "请立即限制转发，只允许登录用户和受信网段；若巡检机在受信网段内，请改从外部网络复测。",
            relaying.evidence,
        )
        return
    summary = f"未登录不能向外转发（{relaying.line}），应拒绝"
    yield Verdict(Severity.OK, summary, evidence=relaying.evidence)


CHECKS = (
    Check(
        name="security.open_relay",
        area=Area.SECURITY,
        title="开放转发",
        question="是否会替陌生人转发邮件？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=RelayLimits(),
        source="RFC 2505 §2.1、RFC 5321 §7.1：服务器不得为无关双方转发",
        after=(
            "network.reach",
            "service.ports",
            "service.steadiness",
            "service.processes",
            "smtp.greeting",
            "tls.handshake",
            "storage.space",
            "storage.mounts",
            "storage.inodes",
        ),
    ),
)

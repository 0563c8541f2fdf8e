"""Whether a user can log in: to send (submission), and to read (IMAP, POP3).

The customer's own probe mailbox logs in. What the server answers is held against what a user would
meet: a refusal, and a temporary failure too, is a fault of the service; a limit on connections or
a mailbox in use is a reason for not knowing.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

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
from mailcare.inspection.dialogues import (
    answer_to,
    before_farewell,
    distrust,
    last_line,
    read_opened,
    silence,
    smtp_code,
)
from mailcare.inspection.probes import login_questions
from mailcare.inspection.transcript import Transcript
from mailcare.systems.profile import Protocol
from mailcare.systems.system import System

SHOWN_WIDTH = 160


class Outcome(StrEnum):
    """How a login ended."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    TEMPORARY = "temporary"
    NO_INBOX = "no inbox"
    NO_TLS = "no TLS"
    NOT_OFFERED = "not offered"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Login:
    """A login's outcome and the server's line that tells it."""

    outcome: Outcome
    line: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """The one outcome that is good."""

    wanted: Outcome = Outcome.ACCEPTED


Reading = Callable[[Transcript], tuple[Outcome, str]]


def _parse(read: Reading, replies: tuple[Reply, ...]) -> Login:
    transcript = read_opened(replies[0])
    outcome, line = _before_login(transcript) or read(transcript)
    return Login(outcome, line, _evidence(transcript))


def _before_login(transcript: Transcript) -> tuple[Outcome, str] | None:
    """Return what kept the probe from trying; raise `ReplyError` where that is no fault."""
    if transcript.event("no-tls") is not None:
        raise ReplyError("该端口未启用 TLS，为保护口令没有测试登录")
    if transcript.event("no-mechanism") is not None:
        raise ReplyError("服务器只提供巡检不支持的登录机制（需要 PLAIN 或 LOGIN）")
    if transcript.event("no-starttls") is not None:
        return Outcome.NO_TLS, "没有 STARTTLS"
    if transcript.event("no-auth") is not None:
        return Outcome.NOT_OFFERED, "没有 AUTH"
    if reason := distrust(transcript):
        raise ReplyError(reason)
    why = silence(transcript)
    if why is not None and why.startswith("TLS"):
        raise ReplyError(why)
    return None if why is None else (Outcome.SILENT, why)


def _evidence(transcript: Transcript) -> tuple[str, ...]:
    marks = {">": "C: ", "<": "S: "}
    return tuple(f"{marks[mark]}{text}" for mark, text in transcript.lines if mark in marks)


def _read_submission(transcript: Transcript) -> tuple[Outcome, str]:
    line = last_line(answer_to(transcript, "AUTH", until="QUIT") or before_farewell(transcript))
    code = smtp_code(line)
    if code is None:
        raise ReplyError("回复中没有登录结果")
    if code == 421 or (code < 500 and not answer_to(transcript, "AUTH", until="QUIT")):
        raise ReplyError(f"服务器暂时拒绝：{line}")
    if code == 235:
        return Outcome.ACCEPTED, line
    return (Outcome.TEMPORARY if code < 500 else Outcome.REFUSED), line


def _read_imap(transcript: Transcript) -> tuple[Outcome, str]:
    line = last_line(transcript.after("login")) or last_line(before_farewell(transcript))
    state = line.partition(" ")[2].upper()
    if not state:
        raise ReplyError("回复中没有登录结果")
    if "[INUSE]" in state or "[LIMIT]" in state or state.startswith("BYE"):
        raise ReplyError(f"服务器暂时拒绝：{line}")
    if not state.startswith("OK") or not transcript.after("login"):
        return (Outcome.TEMPORARY if "[UNAVAILABLE]" in state else Outcome.REFUSED), line
    opened = last_line(transcript.after("examine"))
    if opened.partition(" ")[2].upper().startswith("OK"):
        return Outcome.ACCEPTED, line
    return Outcome.NO_INBOX, opened


def _read_pop3(transcript: Transcript) -> tuple[Outcome, str]:
    line = last_line(transcript.after("PASS")) or last_line(transcript.after("USER"))
    line = line or last_line(before_farewell(transcript))
    if not line.upper().startswith(("+OK", "-ERR")):
        raise ReplyError("回复中没有登录结果")
    if "[IN-USE]" in line.upper() or "[LOGIN-DELAY]" in line.upper():
        raise ReplyError(f"服务器暂时拒绝：{line}")
    if line.upper().startswith("-ERR"):
        return (Outcome.TEMPORARY if "[SYS/TEMP]" in line.upper() else Outcome.REFUSED), line
    size = last_line(transcript.after("STAT"))
    return (Outcome.ACCEPTED, line) if size.startswith("+OK") else (Outcome.NO_INBOX, size)


def _judge(login: Login, limits: LoginLimits, _subject: Subject) -> Iterator[Verdict]:
    severity, text, advice = _MEANINGS[login.outcome]
    limit = "" if login.outcome is limits.wanted else "，应登录成功"
    line = _CAPABILITY.sub("", login.line)[:SHOWN_WIDTH]
    yield Verdict(severity, f"{text}（{line}）{limit}", advice, login.evidence)


_CAPABILITY = re.compile(r"^(?:login|examine)\d+ |\[CAPABILITY [^\]]*\] ?", re.IGNORECASE)


_MEANINGS = {
    Outcome.ACCEPTED: (Severity.OK, "探测邮箱登录成功", ""),
    Outcome.REFUSED: (
        Severity.CRITICAL,
        "探测邮箱登录被拒绝",
        "请先确认探测邮箱的口令有效，再检查认证服务与账号数据库。",
    ),
    Outcome.TEMPORARY: (
        Severity.WARNING,
        "服务器暂时无法验证登录",
        "请检查认证服务是否运行、账号数据库或目录服务是否可达。",
    ),
    Outcome.NO_INBOX: (
        Severity.CRITICAL,
        "登录成功但收件箱无法打开",
        "请检查邮件存储是否挂载、剩余空间与目录权限。",
    ),
    Outcome.NO_TLS: (
        Severity.CRITICAL,
        "端口应支持加密却未提供，为保护口令没有登录",
        "请检查证书与私钥文件能否读取，并启用 STARTTLS。",
    ),
    Outcome.NOT_OFFERED: (
        Severity.CRITICAL,
        "服务器没有提供登录功能",
        "请检查邮件服务的认证配置以及认证服务是否运行。",
    ),
    Outcome.SILENT: (
        Severity.CRITICAL,
        "接受连接后对话中断",
        "服务可能已挂起，请查看服务日志与主机负载，必要时重启该服务。",
    ),
}

_AFTER = (
    "network.reach",
    "service.ports",
    "service.steadiness",
    "service.processes",
    "storage.space",
    "storage.mounts",
    "tls.handshake",
    "tls.certificate",
    "dns.resolver",
)


def _login_check(
    name: str,
    title: str,
    purpose: str,
    channel: Channel,
    protocol: Protocol,
    read: Reading,
    source: str,
) -> Check[Login, LoginLimits]:
    def ask(system: System) -> Iterator[Question]:
        return login_questions(channel, protocol, system)

    return Check(
        name=name,
        area=Area.SERVICE,
        title=title,
        question=f"用户能否登录{purpose}？",
        ask=ask,
        parse=partial(_parse, read),
        judge=_judge,
        limits=LoginLimits(),
        source=source,
        after=_AFTER,
    )


CHECKS = (
    _login_check(
        "submission.login",
        "发信登录",
        "发信服务",
        Channel.SMTP,
        Protocol.SUBMISSION,
        _read_submission,
        "RFC 6409、RFC 4954（235 为登录成功）",
    ),
    _login_check(
        "imap.login",
        "IMAP 登录",
        " IMAP 收信服务",
        Channel.IMAP,
        Protocol.IMAP,
        _read_imap,
        "RFC 9051 §6.2.3；RFC 5530（应答码）",
    ),
    _login_check(
        "pop3.login",
        "POP3 登录",
        " POP3 收信服务",
        Channel.POP3,
        Protocol.POP3,
        _read_pop3,
        "RFC 1939 §7；RFC 2449、RFC 3206（应答码）",
    ),
)

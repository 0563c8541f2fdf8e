"""What every recorded dialogue with a port tells, whatever the protocol."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from mailcare.inspection.check import Reply, ReplyError
from mailcare.inspection.transcript import Transcript, read_transcript

_CODE = re.compile(r"^([2-5]\d\d)(?:[ -]|$)")
_PORT = re.compile(r"[0-9]{1,5}")


class Connection(StrEnum):
    """How an attempt to connect ended."""

    MADE = "made"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"


CONNECTION_TEXT = {
    Connection.MADE: "连接成功",
    Connection.REFUSED: "连接被拒绝",
    Connection.TIMEOUT: "连接超时",
    Connection.UNREACHABLE: "网络不可达",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to connect; `connect_ms` is there when it was made."""

    port: int
    connection: Connection
    connect_ms: float | None = None


def read_attempt(reply: Reply) -> Attempt:
    """Read how the (last) connection of a dialogue was made; raise `ReplyError` otherwise."""
    transcript = read_transcript(reply)
    to = (transcript.event("connecting") or "").split()
    if len(to) != 2 or not _PORT.fullmatch(to[1]):
        raise ReplyError("回复中没有连接记录")
    return Attempt(int(to[1]), _connection(transcript), _number(transcript.event("connect_ms")))


def read_opened(reply: Reply) -> Transcript:
    """Return the transcript of a dialogue that was connected; raise `ReplyError` otherwise."""
    attempt = read_attempt(reply)
    if attempt.connection is not Connection.MADE:
        raise ReplyError(f"端口 {attempt.port} {CONNECTION_TEXT[attempt.connection]}，无法测试")
    return read_transcript(reply)


_BREAKS = {
    "tls-failed": "TLS 握手失败",
    "timeout": "等待应答超时",
    "too-long": "应答过长，已中止",
    "closed": "连接被对方中断",
}


def silence(transcript: Transcript) -> str | None:
    """Say how a dialogue broke off, or None where it came to its end."""
    for event, text in _BREAKS.items():
        if (detail := transcript.event(event)) is not None:
            return f"{text}（{detail}）" if detail and event == "tls-failed" else text
    return None


def distrust(transcript: Transcript) -> str | None:
    """Say why a login was not tried: nobody vouches for the server; None where that is not so."""
    detail = transcript.event("verify-failed")
    return None if detail is None else f"证书未通过验证，未发送口令：{detail.partition(' ')[2]}"


def smtp_code(line: str) -> int | None:
    """Return the code of an SMTP reply line, None where it has none."""
    match = _CODE.match(line)
    return int(match[1]) if match else None


def last_line(lines: Iterable[str]) -> str:
    """Return the last line, empty where there is none."""
    return next(reversed(tuple(lines)), "")


def before_farewell(transcript: Transcript) -> tuple[str, ...]:
    """Return what the server said before we took our leave."""
    lines: list[str] = []
    for mark, text in transcript.lines:
        if mark == ">" and text.startswith(("QUIT", "logout")):
            break
        if mark == "<":
            lines.append(text)
    return tuple(lines)


def answer_to(transcript: Transcript, words: str, *, until: str) -> tuple[str, ...]:
    """Return what the server said from our line that begins with `words` up to our `until`.

    Lines of ours in between (the steps of an authentication) do not end it.
    """
    answer: list[str] = []
    listening = False
    for mark, text in transcript.lines:
        if mark == ">":
            listening = (listening or text.startswith(words)) and not text.startswith(until)
        elif mark == "<" and listening:
            answer.append(text)
    return tuple(answer)


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one address that were tried, and those that accepted."""

    tried: tuple[int, ...]
    accepting: tuple[int, ...]


def ports_of(attempts: Iterable[Reply]) -> dict[str, Ports]:
    """Return what each address that was tried accepts, by the address."""
    tried: dict[str, Ports] = {}
    for reply in attempts:
        attempt = read_attempt(reply)
        address = (read_transcript(reply).event("connecting") or "").partition(" ")[0]
        before = tried.get(address, Ports((), ()))
        made = (attempt.port,) if attempt.connection is Connection.MADE else ()
        tried[address] = Ports((*before.tried, attempt.port), (*before.accepting, *made))
    return tried


def _connection(transcript: Transcript) -> Connection:
    if transcript.event("connected") is not None:
        return Connection.MADE
    if transcript.event("refused") is not None:
        return Connection.REFUSED
    if transcript.event("timeout") is not None:
        return Connection.TIMEOUT
    reason = transcript.event("unreachable")
    if reason is None:
        raise ReplyError("回复中没有连接结果")
    if "Network is unreachable" in reason:
        raise ReplyError("巡检机没有到达该网络的路由")
    return Connection.UNREACHABLE


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None

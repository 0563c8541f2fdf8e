"""How a mail server greets: its banner, its name, its extensions."""

from collections.abc import Iterator
from dataclasses import dataclass

from mailcare.inspection.check import (
    Area,
    Ask,
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
from mailcare.inspection.probes import ask_each, endpoint_ask, endpoint_at
from mailcare.inspection.transcript import Transcript
from mailcare.systems.profile import Protocol, TlsMode
from mailcare.systems.system import Endpoint, System

_ADVICE = "请对照邮件服务日志处理，处理后重新测试。"


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the server said; `trouble` says why it did not get as far as its extensions."""

    banner: str
    names: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    trouble: str | None = None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GreetingLimits:
    """The reply codes that a greeting and an EHLO must bring."""

    greeting_code: int = 220
    ehlo_code: int = 250


def _ask(system: System) -> Iterator[Question]:
    return ask_each(_greeting_ask, system.endpoints(Protocol.SMTP))


def _greeting_ask(endpoint: Endpoint) -> Ask:
    return endpoint_ask(Channel.SMTP, "greeting", endpoint)


def _parse(replies: tuple[Reply, ...]) -> Greeting:
    transcript = read_opened(replies[0])
    said = transcript.said()
    ehlo = transcript.after("EHLO")
    if not said:
        if (why := silence(transcript)) is None or why.startswith("TLS"):
            raise ReplyError(why or "回复中没有问候语")
        return Greeting("", trouble=f"接受连接后没有问候：{why}")
    if temporary := _temporary(transcript):
        raise ReplyError(f"服务器暂时拒绝：{temporary}")
    if smtp_code(last_line(ehlo)) != GreetingLimits().ehlo_code:
        refusal = last_line(ehlo or said) if silence(transcript) is None else silence(transcript)
        return Greeting(said[0], trouble=f"问候未完成：{refusal}", evidence=said)
    extensions = tuple(line[4:].partition(" ")[0].upper() for line in ehlo[1:])
    return Greeting(said[0], _names(said[0], ehlo[0]), extensions, evidence=said)


def _temporary(transcript: Transcript) -> str | None:
    lines = (line for line in transcript.said() if 400 <= (smtp_code(line) or 0) < 500)
    return next(lines, None)


def _names(*lines: str) -> tuple[str, ...]:
    words = (line[4:].split() for line in lines)
    return tuple(word[0].rstrip(".").lower() if word else "" for word in words)


def _judge(greeting: Greeting, limits: GreetingLimits, subject: Subject) -> Iterator[Verdict]:
    if greeting.trouble:
        summary = f"{greeting.trouble}（应为 {limits.greeting_code} 与 {limits.ehlo_code}）"
        yield Verdict(Severity.CRITICAL, summary, _ADVICE, greeting.evidence)
        return
    endpoint = endpoint_at(subject.system, subject.target)
    own = _own_names(endpoint, subject.system)
    flaws = tuple(_flaws(greeting, endpoint, own))
    if not flaws:
        summary = f"问候正常：{greeting.banner}"
        yield Verdict(Severity.OK, summary, evidence=greeting.evidence)
        return
    summary = "；".join(text for text, _ in flaws)
    advice = "".join(advice for _, advice in flaws)
    yield Verdict(Severity.WARNING, summary, advice, greeting.evidence)


def _own_names(endpoint: Endpoint, system: System) -> tuple[str, ...]:
    """Return the host's name and those of the virtual addresses that it may hold."""
    node = endpoint.node
    virtual = (one for one in system.site.virtual_addresses if node.name in one.nodes)
    names = (node.hostname, *(one.hostname for one in virtual))
    return tuple(dict.fromkeys(name.rstrip(".").lower() for name in names))


def _is_own(name: str, own: tuple[str, ...]) -> bool:
    # A host that is registered without a domain greets with the whole name, as it must.
    return name in own or name.partition(".")[0] in own


def _flaws(
    greeting: Greeting, endpoint: Endpoint, own: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    others = [name for name in dict.fromkeys(greeting.names) if not _is_own(name, own)]
    if others:
        yield (
            f"问候自称 {'、'.join(others)}，应为主机名 {'或 '.join(own)}",
            "请把邮件服务的主机名改为与 DNS 反向解析一致的名字。",
        )
    if endpoint.listener.tls is TlsMode.STARTTLS and "STARTTLS" not in greeting.extensions:
        yield (
            "未提供 STARTTLS，应提供",
            "请检查证书与私钥文件能否读取，并在邮件服务中启用 TLS。",
        )


CHECKS = (
    Check(
        name="smtp.greeting",
        area=Area.SERVICE,
        title="SMTP 问候与扩展",
        question="SMTP 服务应答是否正常，是否提供加密？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=GreetingLimits(),
        source="RFC 5321 §4.2、§4.3.1（220 问候与主机名）；RFC 3207（STARTTLS）",
        after=(
            "network.reach",
            "service.ports",
            "service.steadiness",
            "service.processes",
            "storage.space",
            "storage.mounts",
            "dns.resolver",
        ),
    ),
)

"""Whether the functions developed for this customer work: process, port or page of each."""

import re
from collections.abc import Iterable, Iterator
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
    Target,
    Verdict,
)
from mailcare.inspection.checks.processes import PROCESS_LIST, Process, read_processes
from mailcare.inspection.dialogues import (
    CONNECTION_TEXT,
    Attempt,
    Connection,
    read_attempt,
    read_opened,
    silence,
)
from mailcare.inspection.hosts import LOGIN_FIRST, host_ask
from mailcare.inspection.probes import endpoint_ask, port_ask
from mailcare.systems.profile import Extension, ProfileGap, Protocol
from mailcare.systems.site import Node, Role
from mailcare.systems.system import System

_STATUS = re.compile(r"^HTTP (\d{3})\b")
_FOUND = "200"


@dataclass(frozen=True, slots=True)
class Page:
    """What the webmail answered: the last page's HTTP status, or how the dialogue broke off."""

    answer: str


Sign = tuple[Process, ...] | Attempt | Page


@dataclass(frozen=True, slots=True)
class ExtensionLimits:
    """No number: the process runs, the port accepts, the page is found."""


def _ask(system: System) -> Iterator[Question]:
    known: tuple[Extension, ...] | None = system.profile.secondary_development.value
    if known is None:
        yield _person("（档案未填写，请先向客户核实有无）")
    for extension in known or ():
        if extension.process or extension.port or extension.page:
            yield from _measured(system, extension)
        else:
            yield _person(extension.name, part=extension.name)


def _person(functions: str, *, part: str = "") -> Question:
    sentence = f"逐项确认二次开发后的功能运行正常：{functions}。"
    return Question(Target(part=part), (Ask(Channel.PERSON, (sentence,)),))


def _measured(system: System, extension: Extension) -> Iterator[Question]:
    _compiled(extension)
    for node in system.nodes_of(Role.MAIL):
        yield Question(Target(node.name, part=extension.name), _asks(system, extension, node))


def _asks(system: System, extension: Extension, node: Node) -> tuple[Ask, ...]:
    asks: tuple[Ask, ...] = ()
    if extension.process:
        asks += (host_ask(node, *PROCESS_LIST),)
    if extension.port:
        asks += (port_ask(node.name, node.address, extension.port),)
    if extension.page:
        asks += (_page_ask(system, node, extension.page),)
    return asks


def _page_ask(system: System, node: Node, page: str) -> Ask:
    own = (one for one in system.endpoints(Protocol.HTTPS) if one.node == node)
    endpoint = next(own, None)
    if endpoint is None:
        raise ProfileGap("产品档案 listeners 中没有网页端口，无法检查二次开发的页面")
    return endpoint_ask(Channel.HTTPS, "get", endpoint, page)


def _compiled(extension: Extension) -> re.Pattern[str]:
    try:
        return re.compile(extension.process or "")
    except re.error as error:
        raise ProfileGap(
            f"secondary_development 中 {extension.name} 的 process 不是正则表达式：{error}"
        ) from None


def _parse(replies: tuple[Reply, ...]) -> tuple[Sign, ...]:
    return tuple(map(_sign, replies))


def _sign(reply: Reply) -> Sign:
    # An extension has one, two or three signs; where a reply comes from tells which it is.
    if reply.source.startswith("https:"):
        return _read_page(reply)
    if reply.source.startswith("tcp:"):
        return read_attempt(reply)
    return read_processes((reply,))


def _read_page(reply: Reply) -> Page:
    transcript = read_opened(reply)
    if why := silence(transcript):
        if why.startswith("TLS"):
            raise ReplyError(why)
        return Page(why)
    statuses = [match[1] for line in transcript.said() if (match := _STATUS.match(line))]
    if not statuses:
        raise ReplyError("回复中没有 HTTP 状态")
    return Page(statuses[-1])


def _judge(
    signs: tuple[Sign, ...], _limits: ExtensionLimits, subject: Subject
) -> Iterator[Verdict]:
    extension = _extension(subject)
    troubles = [text for sign in signs if (text := _trouble(sign, extension))]
    seen = tuple(_evidence(signs, extension))
    if not troubles:
        yield Verdict(
            Severity.OK, f"二次开发功能「{extension.name}」正常：{_seen(extension)}", "", seen
        )
        return
    yield Verdict(
        Severity.CRITICAL,
        f"二次开发功能「{extension.name}」不正常：{'；'.join(troubles)}",
        "请查看该功能的日志并恢复运行，确认其已设为开机自启；属定制代码的，请通知开发方处理。",
        seen or tuple(troubles),
    )


def _extension(subject: Subject) -> Extension:
    known: Iterable[Extension] = subject.system.profile.secondary_development.value or ()
    return next(one for one in known if one.name == subject.target.part)


def _trouble(sign: Sign, extension: Extension) -> str:
    if isinstance(sign, Page):
        return (
            "" if sign.answer == _FOUND else f"页面 {extension.page} 返回 {sign.answer}，应为 200"
        )
    if isinstance(sign, Attempt):
        made = sign.connection is Connection.MADE
        return "" if made else f"{sign.port} 端口{CONNECTION_TEXT[sign.connection]}"
    found = any(_compiled(extension).search(one.command) for one in sign)
    return "" if found else f"没有与「{extension.process}」相符的进程"


def _evidence(signs: tuple[Sign, ...], extension: Extension) -> Iterator[str]:
    for sign in signs:
        if isinstance(sign, Page):
            yield f"GET {extension.page}：{sign.answer}"
        elif isinstance(sign, Attempt):
            yield f"TCP {sign.port}：{CONNECTION_TEXT[sign.connection]}"
        else:
            pattern = _compiled(extension)
            lines = [one.line.strip()[:300] for one in sign if pattern.search(one.command)]
            yield from lines[:4] or [f"共查看 {len(sign)} 个进程，无一相符"]


def _seen(extension: Extension) -> str:
    signs = (
        "进程在运行" if extension.process else "",
        f"{extension.port} 端口接受连接" if extension.port else "",
        f"页面 {extension.page} 可打开" if extension.page else "",
    )
    return "、".join(sign for sign in signs if sign)


CHECKS = (
    Check(
        name="app.secondary_development",
        area=Area.APP,
        title="二次开发功能",
        question="二次开发后的功能是否正常？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=ExtensionLimits(),
        source="产品档案 secondary_development；服务方案附件二「是否运行着二次开发后的功能」",
        after=("service.processes", "service.ports", *LOGIN_FIRST),
    ),
)

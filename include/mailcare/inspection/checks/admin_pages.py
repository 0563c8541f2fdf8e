"""Whether pages that are for administrators alone can be opened from where the inspector sits."""

import re
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
    Target,
    Verdict,
)
from mailcare.inspection.dialogues import CONNECTION_TEXT, Connection, read_attempt, silence
from mailcare.inspection.probes import TALK_S, unseen
from mailcare.inspection.transcript import Transcript, read_transcript
from mailcare.systems.profile import ProfileGap, Protocol, TlsMode
from mailcare.systems.site import Node
from mailcare.systems.system import System

HTTP_PORT = 80
# What a server that answers every path with the same page gives for one that nobody has.
_NOWHERE = "/mailcare-no-such-page/"
_STATUS = re.compile(r"^HTTP (\d{3})\b")
_GET = re.compile(r"^GET (/\S*)")
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,300})", re.IGNORECASE)
_FIELD = re.compile(r"<input\b[^>]{0,500}?\bname\s?=\s?[\"']?([^\"'\s>]{1,100})", re.IGNORECASE)
_OPEN, _UNKNOWN = "可以打开", "无法判断"
_SHUT = frozenset({403, 404, 410})
_LOGIN_WANTED = 401


@dataclass(frozen=True, slots=True)
class Page:
    """How the server answered a path: the last status, and what tells its page from others.

    `status` is None where nothing listens or nothing gets through: `closed` says which.
    """

    path: str
    status: int | None
    closed: str = ""
    elsewhere: str | None = None
    title: str = ""
    fields: frozenset[str] = frozenset()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exposure:
    """The answers to the administrators' paths, and to a path that nobody has."""

    nowhere: Page
    pages: tuple[Page, ...]


@dataclass(frozen=True, slots=True)
class PageLimits:
    """An administrators' page must not be reachable."""

    reachable: bool = False


def _ask(system: System) -> Iterator[Question]:
    pages: tuple[str, ...] = system.profile.need("admin_pages")
    doors = list(_doors(system))
    if pages and not doors:
        raise ProfileGap(f"产品档案「{system.profile.title}」的 listeners 未登记网页端口")
    for node, port, tls in doors if pages else ():
        asks = tuple(_page_ask(node, port, tls, path=path) for path in (_NOWHERE, *pages))
        yield Question(Target(node.name, port), asks)


def _doors(system: System) -> Iterator[tuple[Node, int, TlsMode]]:
    """Yield the web ports: those of the product, and plain HTTP where the site declares it."""
    for endpoint in system.endpoints(Protocol.HTTPS):
        yield endpoint.node, endpoint.listener.port, endpoint.listener.tls
        if HTTP_PORT in endpoint.node.expected_ports:
            yield endpoint.node, HTTP_PORT, TlsMode.NONE


def _page_ask(node: Node, port: int, tls: TlsMode, *, path: str) -> Ask:
    server = (node.seen_address, str(port), tls.value, node.web_name or node.hostname)
    return Ask(Channel.HTTPS, ("get", *server, path), TALK_S, node.name)


def _parse(replies: tuple[Reply, ...]) -> Exposure:
    nowhere, *pages = map(_page, replies)
    return Exposure(nowhere, tuple(pages))


def _page(reply: Reply) -> Page:
    attempt = read_attempt(reply)
    if attempt.connection is Connection.REFUSED:
        return Page("", None, closed=CONNECTION_TEXT[attempt.connection])
    if attempt.connection is not Connection.MADE:
        raise ReplyError(f"端口 {attempt.port} {CONNECTION_TEXT[attempt.connection]}，无法测试")
    transcript = read_transcript(reply)
    statuses = [match[1] for line in transcript.said() if (match := _STATUS.match(line))]
    paths = [
        match[1] for mark, text in transcript.lines if mark == ">" and (match := _GET.match(text))
    ]
    if not statuses or not paths:
        raise ReplyError(silence(transcript) or "应答不是 HTTP")
    return _answered(paths[0], int(statuses[-1]), transcript)


def _answered(path: str, status: int, transcript: Transcript) -> Page:
    text = "\n".join(transcript.said())
    title = _TITLE.search(text)
    return Page(
        path,
        status,
        elsewhere=transcript.event("redirect-elsewhere"),
        title=" ".join(title[1].split()) if title else "",
        fields=frozenset(_FIELD.findall(text)),
        lines=tuple(line for line in transcript.said() if _STATUS.match(line)),
    )


def _judge(exposure: Exposure, _limits: PageLimits, subject: Subject) -> Iterator[Verdict]:
    node = subject.system.node(subject.target.node)
    states = [(page, _state(page, exposure.nowhere)) for page in exposure.pages]
    found = [page for page, why in states if why == _OPEN]
    unknown = [f"{page.path} {why}" for page, why in states if why.startswith(_UNKNOWN)]
    if found and (hidden := unseen(node)):
        raise ReplyError(f"从内网测得 {found[0].path} 可以打开，外网能否打开未测：{hidden}")
    for page in found:
        yield _open(page, node)
    if not found and unknown:
        raise ReplyError(unknown[0])
    if not found:
        told = "；".join(f"{page.path or '端口'} {why}" for page, why in states)
        summary = f"从巡检机经 {node.seen_address} 打不开管理页面（应无法打开）：{told}"
        yield Verdict(Severity.OK, summary)


def _open(page: Page, node: Node) -> Verdict:
    title = f"，页面标题「{page.title}」" if page.title else ""
    return Verdict(
        Severity.WARNING,
        f"管理页面 {page.path} 可从巡检机经 {node.seen_address} 打开：状态码 {page.status}{title}"
        "（应无法打开）",
        _ADVICE,
        evidence=(f"GET {page.path}", *page.lines, page.title),
        part=page.path,
    )


def _state(page: Page, nowhere: Page) -> str:
    """Say why a page is not open, `_OPEN` where it is, `_UNKNOWN` and why where that is unknown."""
    if page.status is None:
        return page.closed
    if page.status in _SHUT:
        return f"状态码 {page.status}"
    if page.status >= 400 and page.status != _LOGIN_WANTED:
        return f"{_UNKNOWN}：状态码 {page.status}"
    if page.status == nowhere.status and _look(page) == _look(nowhere):
        return f"不存在（与不存在的路径同样应答 {page.status}）"
    if page.elsewhere is not None:
        return f"跳转到 {page.elsewhere[:120]}"
    return _OPEN


def _look(page: Page) -> tuple[str, frozenset[str], bool]:
    return page.title, page.fields, page.elsewhere is not None


_ADVICE = (
    "请在 Web 服务或防火墙上限制该路径，只允许管理网段或经 VPN 访问；"
    "不用的管理程序请卸载。管理页面暴露在外网会被持续猜口令和利用漏洞。"
)

CHECKS = (
    Check(
        name="security.admin_pages",
        area=Area.SECURITY,
        title="管理页面对外开放",
        question="管理后台能否从外网打开？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=PageLimits(),
        source="OWASP WSTG-CONF-05：管理界面不应对外开放；路径见产品档案 admin_pages",
        blind_after=(
            "network.reach",
            "service.ports",
            "service.processes",
            "tls.handshake",
            "web.login_page",
            "storage.space",
        ),
    ),
)

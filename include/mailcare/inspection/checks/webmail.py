"""Whether the webmail's login page comes up, is the right page, and how fast."""

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
from mailcare.inspection.dialogues import read_opened, silence
from mailcare.inspection.levels import Ceiling
from mailcare.inspection.probes import endpoint_ask, endpoint_target
from mailcare.inspection.transcript import Transcript
from mailcare.systems.profile import Protocol, WebPage
from mailcare.systems.system import System

_STATUS = re.compile(r"^HTTP (\d{3})\b")
# Bounded, and no further than the next tag: the page is a stranger's.
_FIELD = re.compile(
    r"<(?:input|button|select)\b[^<>]{0,2000}?\sname\s{0,9}=\s{0,9}[\"']?([^\"'\s>]{1,200})", re.I
)


@dataclass(frozen=True, slots=True)
class Page:
    """The last page of the redirects; `trouble` says why there is none."""

    status: int | None
    text: str = ""
    fields: frozenset[str] = frozenset()
    elapsed_ms: float | None = None
    elsewhere: str | None = None
    trouble: str | None = None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PageLimits:
    """What a page may take, in milliseconds, redirects included."""

    elapsed_ms: Ceiling


def _ask(system: System) -> Iterator[Question]:
    for endpoint in system.endpoints(Protocol.HTTPS):
        page: WebPage = system.profile.need("web_page")
        ask = endpoint_ask(Channel.HTTPS, "get", endpoint, page.path)
        yield Question(endpoint_target(endpoint), (ask,))


def _parse(replies: tuple[Reply, ...]) -> Page:
    transcript = read_opened(replies[0])
    why = silence(transcript)
    if why is not None and why.startswith("TLS"):
        raise ReplyError(why)
    if why is not None or transcript.event("not-http") is not None:
        return Page(None, trouble=why or "应答不是 HTTP", evidence=_head(transcript))
    statuses = [match[1] for line in transcript.said() if (match := _STATUS.match(line))]
    if not statuses:
        raise ReplyError("回复中没有 HTTP 状态")
    text = _last_body(transcript)
    return Page(
        int(statuses[-1]),
        text,
        frozenset(_FIELD.findall(text)),
        _milliseconds(transcript.event("elapsed_ms")),
        transcript.event("redirect-elsewhere"),
        evidence=_head(transcript),
    )


def _head(transcript: Transcript) -> tuple[str, ...]:
    """Return what was asked and the headers that came, without the pages."""
    rows: list[str] = []
    in_body = False
    for mark, text in transcript.lines:
        in_body = mark != ">" and (in_body or (mark, text) == ("#", "body"))
        if mark in "><" and not in_body:
            rows.append(text)
    return tuple(rows[:40])


def _last_body(transcript: Transcript) -> str:
    body: list[str] = []
    in_body = False
    for mark, text in transcript.lines:
        if (mark, text) == ("#", "body"):
            in_body, body = True, []
        elif mark == ">":
            in_body = False
        elif mark == "<" and in_body:
            body.append(text)
    return "\n".join(body)


def _milliseconds(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() and text.isascii() else None


def _judge(page: Page, limits: PageLimits, subject: Subject) -> Iterator[Verdict]:
    if page.status is None or page.status >= 500:
        yield _no_page(page)
        return
    wanted: WebPage = subject.system.profile.need("web_page")
    metrics = {} if page.elapsed_ms is None else {"elapsed_ms": page.elapsed_ms}
    if flaw := _flaw(page, wanted):
        advice = "请用浏览器打开该页面核对；若页面已改版，请更新产品档案 web_page。"
        yield Verdict(Severity.WARNING, flaw, advice, page.evidence, metrics)
        return
    yield _speed(page, limits, metrics)


def _no_page(page: Page) -> Verdict:
    answer = page.trouble if page.status is None else f"状态码 {page.status}"
    return Verdict(
        Severity.CRITICAL,
        f"网页邮箱无法打开：{answer}（应为 200）",
        "请检查 Web 服务与其后端应用是否运行，并查看其错误日志。",
        page.evidence,
    )


def _flaw(page: Page, wanted: WebPage) -> str | None:
    if page.elsewhere is not None:
        return f"登录页跳转到其他站点 {page.elsewhere}，未能核对"
    if page.status != 200:
        return f"登录页返回状态码 {page.status}，应为 200"
    missing = [f"「{mark}」" for mark in wanted.marks if mark not in page.text]
    missing += [f"输入框 {name}" for name in wanted.login_fields if name not in page.fields]
    return f"登录页缺少{'、'.join(missing)}" if missing else None


def _speed(page: Page, limits: PageLimits, metrics: dict[str, float]) -> Verdict:
    elapsed_ms = page.elapsed_ms or 0.0
    severity = limits.elapsed_ms.severity(elapsed_ms)
    summary = f"登录页正常，用时 {elapsed_ms:.0f} 毫秒（上限 {limits.elapsed_ms.warning:.0f} 毫秒）"
    advice = "" if severity is Severity.OK else "请检查 Web 服务与数据库的负载。"
    return Verdict(severity, summary, advice, page.evidence, metrics)


CHECKS = (
    Check(
        name="web.login_page",
        area=Area.WEB,
        title="网页邮箱登录页",
        question="网页邮箱的登录页能否正常打开？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=PageLimits(Ceiling(warning=5_000, critical=15_000)),
        source="RFC 9110 §15（状态码）；页面标识取自产品档案；用时上限为本产品经验值",
        after=(
            "network.reach",
            "service.ports",
            "service.steadiness",
            "service.processes",
            "storage.space",
            "storage.mounts",
            "tls.handshake",
        ),
    ),
)

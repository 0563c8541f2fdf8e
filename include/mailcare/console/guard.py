"""What every request and answer of the console is held to, whatever page it is for."""

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_METHODS = frozenset({"GET", "HEAD"})
FORM_BYTES_MOST = 512 * 1024
UPLOAD_BYTES_MOST = 32 * 1024 * 1024  # so that a photo too large is told beside its field
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'none'; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Cache-Control": "no-store",
    # Not "no-referrer": browsers then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class TooLarge(Exception):
    """The body is longer than a request of its kind may be."""


class Guard:
    """Refuse foreign and oversized requests; put the protecting headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a refusal."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        outward = _protecting(send)
        if scope["method"] not in SAFE_METHODS and not _is_ours(headers):
            refusal = _said("请求不是从本控制台的页面发出的，已拒绝。", HTTPStatus.FORBIDDEN)
            return await refusal(scope, receive, outward)
        try:
            return await self._app(scope, _bounded(receive, _most_bytes(headers)), outward)
        except TooLarge:
            refusal = _said("提交的内容过大，没有保存。", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return await refusal(scope, receive, outward)


def _is_ours(headers: Headers) -> bool:
    """Tell whether a request that changes something comes from our own pages, or from a program.

    Airflow checks neither; its cookie goes along with what other pages send. A program has a
    Bearer token, which no foreign page can know.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if origin is not None:
        return urlsplit(origin).netloc == headers.get("host")
    is_program = headers.get("authorization", "").lower().startswith("bearer ")
    return site is not None or is_program


def _most_bytes(headers: Headers) -> int:
    is_upload = headers.get("content-type", "").startswith("multipart/form-data")
    return UPLOAD_BYTES_MOST if is_upload else FORM_BYTES_MOST


def _bounded(receive: Receive, most: int) -> Receive:
    seen = 0

    async def read() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise TooLarge
        return message

    return read


def _protecting(send: Send) -> Send:
    async def write(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return write


def _said(sentence: str, code: HTTPStatus) -> PlainTextResponse:
    return PlainTextResponse(sentence, code)

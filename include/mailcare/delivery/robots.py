"""Say a text through a chat robot of DingTalk, Feishu or WeCom, and know whether it was taken.

All three answer HTTP 200 with an error in the body: the vendor's own code decides. None knows a key
by which a repeated message would be recognised, so what may have arrived raises `Uncertain`.
"""

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlsplit

import httpx

from mailcare.delivery.smtp_relay import Refused, Uncertain
from mailcare.errors import InputError, Unavailable
from mailcare.records.alerts import RobotVendor

# Its lines at INFO hold the whole address, token included.
logging.getLogger("httpx").setLevel(logging.WARNING)

TIMEOUT_S = 10.0
ANSWER_S = 20.0  # for a whole answer, however slowly its bytes come
ANSWER_BYTES_MOST = 65_536
SECRET_LEAST = 7  # characters: "send" in a path is none
LOOPBACK = ("127.0.0.1", "::1", "localhost")
TOO_MANY, NOT_NOW = 429, 503
REFUSED_FROM, UNSURE_FROM = 300, 500


@dataclass(frozen=True, slots=True)
class Address:
    """Where a robot is spoken to; both parts are secrets and show in no repr."""

    url: str = field(repr=False)
    signing_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Protocol:
    """What a vendor's documentation says of its robots.

    `code` names the field of the answer that decides, 0 is success; the codes in `later` mean that
    the same message may be sent again.
    """

    title: str
    code: str
    said: str
    later: frozenset[int]


PROTOCOLS: Mapping[RobotVendor, Protocol] = {
    # -1 busy; 130101, 410100, 90030: sent too fast
    RobotVendor.DINGTALK: Protocol(
        "钉钉", "errcode", "errmsg", frozenset({-1, 130101, 410100, 90030})
    ),
    # 9499, 11232: too many requests
    RobotVendor.FEISHU: Protocol("飞书", "code", "msg", frozenset({9499, 11232})),
    # -1 busy; 45009, 45033: too many requests, too many at once
    RobotVendor.WECOM: Protocol("企业微信", "errcode", "errmsg", frozenset({-1, 45009, 45033})),
}


def parse_address(secret: str) -> Address:
    """Read `URL` or `URL SIGNING-SECRET`, as an operator keeps it in one place.

    Raise `InputError` without repeating it: both hold tokens.
    """
    url, _, signing_secret = secret.strip().partition(" ")
    try:
        parts = urlsplit(url)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    except ValueError:
        is_safe = False
    if not is_safe:
        raise InputError("机器人地址须形如 https://…（加签密钥以空格隔开写在后面）")
    return Address(url, signing_secret.strip() or None)


def say(
    vendor: RobotVendor,
    address: Address,
    text: str,
    *,
    at: datetime,
    before_post: Callable[[], None],
) -> str:
    """Send a text and return the vendor's answer; `at` goes into the signature.

    `before_post` is called when nothing has gone yet; where it raises, nothing goes. Raise
    `Refused` where the same message will never do, `Unavailable` where it surely was not taken and
    may be sent again, `Uncertain` where nobody knows.
    """
    request = _request(vendor, address, text, at=at)
    before_post()
    try:
        status, body = _exchange(request)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        raise Unavailable(
            f"无法连接（{type(error).__name__}），消息未发出", subject=_subject(vendor)
        ) from None
    except httpx.HTTPError as error:
        raise _uncertain(vendor, type(error).__name__) from None
    return _judged(vendor, status, body, secrets=_secrets(address))


def _secrets(address: Address) -> tuple[str, ...]:
    parts = urlsplit(address.url)
    words = [value for _, value in parse_qsl(parts.query)]
    return tuple(
        one
        for one in (*words, parts.path.rpartition("/")[2], address.signing_secret)
        if one and len(one) > SECRET_LEAST
    )


def _request(vendor: RobotVendor, address: Address, text: str, *, at: datetime) -> httpx.Request:
    url, content = address.url, _content(vendor, text)
    if address.signing_secret and vendor is RobotVendor.DINGTALK:
        url = _signed_url(url, address.signing_secret, at)
    if address.signing_secret and vendor is RobotVendor.FEISHU:
        content |= _feishu_signature(address.signing_secret, at)
    try:
        return httpx.Request("POST", url, json=content)
    except httpx.InvalidURL:
        raise InputError("机器人地址不是有效的 URL", subject=_subject(vendor)) from None


def _content(vendor: RobotVendor, text: str) -> dict[str, Any]:
    if vendor is RobotVendor.FEISHU:
        return {"msg_type": "text", "content": {"text": text}}
    return {"msgtype": "text", "text": {"content": text}}


def _signed_url(url: str, secret: str, at: datetime) -> str:
    """Sign as DingTalk does: the secret is the key, milliseconds and secret the message."""
    stamp = str(int(at.timestamp() * 1000))
    signature = _digest(secret.encode(), f"{stamp}\n{secret}".encode())
    joint = "&" if urlsplit(url).query else "?"
    return f"{url}{joint}timestamp={stamp}&sign={quote_plus(signature)}"


def _feishu_signature(secret: str, at: datetime) -> dict[str, str]:
    """Sign as Feishu does: seconds and secret are the key, the message is empty."""
    stamp = str(int(at.timestamp()))
    return {"timestamp": stamp, "sign": _digest(f"{stamp}\n{secret}".encode(), b"")}


def _digest(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def _exchange(request: httpx.Request) -> tuple[int, bytes]:
    begun_s = time.monotonic()
    body = b""
    with httpx.Client(timeout=TIMEOUT_S) as client:
        response = client.send(request, stream=True)
        try:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > ANSWER_BYTES_MOST or time.monotonic() - begun_s > ANSWER_S:
                    raise httpx.ReadTimeout("the answer does not end")
        finally:
            response.close()
    return response.status_code, body


def _judged(vendor: RobotVendor, status: int, body: bytes, *, secrets: Sequence[str]) -> str:
    protocol = PROTOCOLS[vendor]
    code, said = _answer(protocol, body)
    for secret in secrets:
        said = said.replace(secret, "…")
    if code is None:
        raise _by_status(vendor, status)
    reply = f"{protocol.code} {code} {said}".strip()
    if code == 0:
        return reply
    if code in protocol.later or status == TOO_MANY:
        raise Unavailable(f"对方要求稍后再试（{reply}），消息未发出", subject=_subject(vendor))
    raise Refused(reply, subject=_subject(vendor))


def _answer(protocol: Protocol, body: bytes) -> tuple[int | None, str]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None, ""
    if not isinstance(answer, dict):
        return None, ""
    code = answer.get(protocol.code, answer.get("StatusCode"))  # Feishu's first form
    is_number = isinstance(code, int) and not isinstance(code, bool)
    return (code if is_number else None), str(answer.get(protocol.said, ""))[:500]


def _by_status(vendor: RobotVendor, status: int) -> Refused | Unavailable | Uncertain:
    """Judge an answer that is not the vendor's own: a proxy's, or one that was cut off."""
    if status in (TOO_MANY, NOT_NOW):
        return Unavailable(f"对方要求稍后再试（HTTP {status}）", subject=_subject(vendor))
    if REFUSED_FROM <= status < UNSURE_FROM:
        return Refused(f"HTTP {status}", subject=_subject(vendor))
    return _uncertain(vendor, f"HTTP {status}，答复无法识别")


def _uncertain(vendor: RobotVendor, reason: str) -> Uncertain:
    return Uncertain(
        f"消息已发出，但没有得到明确答复（{reason}），无法确定群里是否已出现；不会自动重发",
        subject=_subject(vendor),
    )


def _subject(vendor: RobotVendor) -> str:
    return f"{PROTOCOLS[vendor].title}机器人"

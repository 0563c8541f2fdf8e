import base64
import hashlib
import hmac
import json
import logging
import socket
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from mailcare.delivery import robots
from mailcare.delivery.robots import Address, parse_address, say
from mailcare.delivery.smtp_relay import Refused, Uncertain
from mailcare.errors import InputError, Unavailable
from mailcare.records.alerts import RobotVendor
from tests.delivery.robot_server import (
    CLOSE,
    CUT,
    DINGTALK_OK,
    FEISHU_OK,
    HANG,
    WECOM_OK,
    Answer,
    robot_server,
)

AT = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
DINGTALK, FEISHU, WECOM = RobotVendor.DINGTALK, RobotVendor.FEISHU, RobotVendor.WECOM
SECRET = "SEC-geheim"
TEXT = "【一级】GZ-2026-00001 示例银行\n详情请见控制台。"


def _nothing() -> None:
    pass


def said(vendor: RobotVendor, *answers: Answer, secret: str | None = None) -> str:
    with robot_server(*answers) as server:
        address = Address(server.url, secret)
        return say(vendor, address, TEXT, at=AT, before_post=_nothing)


def _sign(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


@pytest.mark.parametrize(
    ("vendor", "ok"), [(DINGTALK, DINGTALK_OK), (FEISHU, FEISHU_OK), (WECOM, WECOM_OK)]
)
def test_a_text_is_said_in_the_vendor_s_form(vendor: RobotVendor, ok: Answer) -> None:
    with robot_server(ok) as server:
        reply = say(vendor, Address(server.url), TEXT, at=AT, before_post=_nothing)

    forms = {FEISHU: {"msg_type": "text", "content": {"text": TEXT}}}
    assert server.asked == [forms.get(vendor, {"msgtype": "text", "text": {"content": TEXT}})]
    assert server.paths == ["/robot/send?access_token=geheim-token"]
    assert reply.endswith(("ok", "success"))


def test_dingtalk_signs_in_the_query_once_encoded() -> None:
    with robot_server(DINGTALK_OK) as server:
        say(DINGTALK, Address(server.url, SECRET), TEXT, at=AT, before_post=_nothing)

    query = parse_qs(urlsplit(server.paths[0]).query)
    stamp = str(int(AT.timestamp() * 1000))
    assert query["timestamp"] == [stamp]
    assert query["sign"] == [_sign(SECRET.encode(), f"{stamp}\n{SECRET}".encode())]
    assert query["access_token"] == ["geheim-token"]
    assert "%25" not in server.paths[0]


def test_feishu_signs_in_the_body_with_an_empty_message() -> None:
    with robot_server(FEISHU_OK) as server:
        say(FEISHU, Address(server.url, SECRET), TEXT, at=AT, before_post=_nothing)

    stamp = str(int(AT.timestamp()))
    assert server.asked[0]["timestamp"] == stamp
    assert server.asked[0]["sign"] == _sign(f"{stamp}\n{SECRET}".encode(), b"")
    assert "sign" not in server.paths[0]


@pytest.mark.parametrize(
    ("vendor", "body"),
    [
        (DINGTALK, {"errcode": 310000, "errmsg": "sign not match"}),
        (DINGTALK, {"errcode": 300001, "errmsg": "token is not exist"}),
        (FEISHU, {"code": 19021, "msg": "sign match fail or timestamp is not within one hour"}),
        (FEISHU, {"code": 19024, "msg": "Key Words Not Found"}),
        (WECOM, {"errcode": 93000, "errmsg": "invalid webhook url"}),
        (WECOM, {"errcode": 40058, "errmsg": "text.content exceed max length 2048"}),
    ],
)
def test_http_200_with_an_error_is_a_refusal(vendor: RobotVendor, body: dict) -> None:
    with pytest.raises(Refused, match=str(next(iter(body.values())))):
        said(vendor, (200, json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("vendor", "status", "body"),
    [
        (DINGTALK, 200, b'{"errcode":130101,"errmsg":"send too fast"}'),
        (DINGTALK, 200, b'{"errcode":410100,"errmsg":"too fast"}'),
        (DINGTALK, 200, b'{"errcode":-1,"errmsg":"system busy"}'),
        (FEISHU, 200, b'{"code":11232,"msg":"frequency limited"}'),
        (FEISHU, 400, b'{"code":9499,"msg":"too many request"}'),
        (WECOM, 200, b'{"errcode":45009,"errmsg":"api freq out of limit"}'),
        (WECOM, 429, b"slow down"),
        (FEISHU, 503, b"<html>"),
    ],
)
def test_too_many_and_busy_may_be_tried_again(
    vendor: RobotVendor, status: int, body: bytes
) -> None:
    with pytest.raises(Unavailable, match="稍后再试") as caught:
        said(vendor, (status, body))

    assert not caught.value.permanent


@pytest.mark.parametrize(
    "answer",
    [
        CLOSE,
        CUT,
        (200, b""),
        (200, b"<html>welcome to the hotel's network</html>"),
        (200, b"[]"),
        (200, b'{"errcode":"0"}'),
        (200, b'{"errcode":true}'),
        (200, b'{"ok":1}'),
        (200, b"[" * 50_000),
        (200, b"x" * 200_000),
        (500, b"oops"),
        (502, b"<html>"),
        (504, b""),
    ],
)
def test_without_the_vendor_s_word_nobody_knows(answer: Answer) -> None:
    with pytest.raises(Uncertain, match="无法确定"):
        said(WECOM, answer)


def test_a_vendor_that_hangs_leaves_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robots, "TIMEOUT_S", 0.3)
    with pytest.raises(Uncertain, match="ReadTimeout"):
        said(WECOM, HANG)


@pytest.mark.parametrize("status", [301, 403, 404])
def test_a_page_that_is_not_the_robot_s_refuses(status: int) -> None:
    with pytest.raises(Refused, match=str(status)):
        said(DINGTALK, (status, b"<html>"))


def test_a_vendor_out_of_reach_surely_got_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    begun = []
    with pytest.raises(Unavailable, match="无法连接"):
        say(
            WECOM,
            Address(f"http://127.0.0.1:{port}/?key=geheim"),
            TEXT,
            at=AT,
            before_post=lambda: begun.append(1),
        )
    assert begun == [1]


def test_what_stops_the_start_stops_the_text() -> None:
    def stop() -> None:
        raise Unavailable("not now")

    with robot_server(WECOM_OK) as server, pytest.raises(Unavailable, match="not now"):
        say(WECOM, Address(server.url), TEXT, at=AT, before_post=stop)

    assert server.asked == []


def test_no_token_shows_in_logs_errors_or_reprs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    echo = b'{"errcode":93000,"errmsg":"invalid key geheim-token SEC-geheim"}'
    with pytest.raises(Refused) as caught:
        said(WECOM, (200, echo), secret=SECRET)

    assert "93000" in str(caught.value)
    assert "geheim" not in str(caught.value) + caught.value.reply + caplog.text
    assert "geheim" not in repr(Address("https://x.example/?key=geheim", "geheim"))


def test_an_address_is_read_with_its_signing_secret() -> None:
    address = parse_address(" https://oapi.vendor.example/robot?access_token=t  SECabc\n")

    assert address == Address("https://oapi.vendor.example/robot?access_token=t", "SECabc")
    assert parse_address("https://x.example/k").signing_secret is None


@pytest.mark.parametrize(
    "secret",
    ["", "geheim", "http://oapi.vendor.example/?t=geheim", "ftp://geheim", "https://[geheim"],
)
def test_an_address_that_would_go_in_clear_or_is_none_is_refused_unsaid(secret: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_address(secret)

    assert "geheim" not in str(caught.value)

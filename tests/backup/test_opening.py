"""The test of being mail, on everything that comes out of a backup under a mail's name."""

import pytest

from mailcare.backup.opening import (
    Outcome,
    looks_like_mail,
    normal_digest,
    open_message,
)

PLAIN = b"From: a@shili-bank.example\nMessage-ID: <1@x>\nSubject: hi\n\nbody\n"


def nested(depth: int) -> bytes:
    parts = (
        b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (number, number)
        for number in range(depth)
    )
    return b"From: a@b\nMIME-Version: 1.0\n" + b"".join(parts) + b"\nhi\n"


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        PLAIN.replace(b"\n", b"\r\n"),
        b"From: \xb2\xe2\xca\xd4 <a@b>\nSubject: \xd6\xd0\xce\xc4\n\n\xc4\xe3\n",
        b"From a@b Mon Nov  2 10:00:00 2026\nFrom: a@b\n\nbody\n",
        b"Message-ID:\n <folded@x>\nDate: x\n\n",
        b"Message-ID: <@@@[[>\n\nbody",
        b"RECEIVED: from x\rFrom: a@b\r\rbare CR\r",
        b"From: a@b\n\nno end of line",
        PLAIN + b"one\0 in a long text" * 1 + b" and more of it" * 100,
    ],
    ids=["LF", "CRLF", "GB18030", "mbox", "folded", "odd id", "bare CR", "no line end", "a zero"],
)
def test_what_people_really_send_is_mail(data):
    assert open_message(data).outcome is Outcome.MAIL


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "空文件"),
        (b"\0" * 4096, "零字节"),
        (bytes(range(256)) * 40, "没有 From"),
        (b"Subject: only\n\nbody", "没有 From"),
        (b"no header at all\n\nFrom: in the body", "没有 From"),
        (b"From: a@b\nMessage-ID: <cut", "没有正常结束"),
        (b"From: a@b\nthis is no field\n\nbody", "没有正常结束"),
        (PLAIN + bytes(range(256)) * 3, "大量零字节"),
    ],
)
def test_what_no_mail_looks_like_is_not_mail(data, reason):
    opened = open_message(data)
    assert opened.outcome is Outcome.NOT_MAIL
    assert reason in opened.reason


def test_a_size_in_the_name_that_does_not_fit_is_a_truncation():
    assert open_message(PLAIN, stated=len(PLAIN)).outcome is Outcome.MAIL
    opened = open_message(PLAIN[:-3], stated=len(PLAIN))
    assert opened.outcome is Outcome.CUT
    assert str(len(PLAIN)) in opened.reason


@pytest.mark.parametrize(
    "data",
    [
        nested(1500),
        b"From: a@b\n" + b"X: y\n" * 20_000 + b"\nbody",
        b"From: a@b\nX: " + b"y" * 2**21,
    ],
    ids=["1500 levels", "20000 lines", "2 MiB head"],
)
def test_what_only_hurts_the_parser_is_intact(data):
    assert open_message(data).outcome is Outcome.INTACT


def test_line_ends_do_not_change_the_normal_digest():
    assert normal_digest(PLAIN) == normal_digest(PLAIN.replace(b"\n", b"\r\n"))
    assert normal_digest(PLAIN) != normal_digest(PLAIN + b"x")


def test_ciphertext_does_not_look_like_mail():
    assert looks_like_mail(PLAIN[:64])
    assert not looks_like_mail(bytes(byte ^ 0x5A for byte in PLAIN))

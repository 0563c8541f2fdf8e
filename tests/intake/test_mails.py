from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailcare.intake.levels import suggested_level
from mailcare.intake.mails import FILES_MOST, read_mail

PLAIN = (
    b"From: Wang <Wang@Shili-Bank.example>\r\nSubject: down\r\nMessage-ID: <1@x>\r\n\r\nhelp\r\n"
)


def test_a_plain_mail_is_read() -> None:
    mail = read_mail(PLAIN)

    assert (mail.sender, mail.subject, mail.text) == ("wang@shili-bank.example", "down", "help")
    assert mail.message_id == "<1@x>"
    assert not mail.is_automatic
    assert mail.files == ()


@pytest.mark.parametrize(
    "raw",
    [
        "From: a@b.example\r\nSubject: =?gb2312?B?{subject}?=\r\nContent-Type: text/plain; "
        "charset=gb2312\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        "From: a@b.example\r\nSubject: =?GBK?B?{subject}?=\r\n\r\n",
    ],
)
def test_gb18030_is_read_whatever_it_calls_itself(raw: str) -> None:
    import base64

    subject = base64.b64encode("邮件系统宕机㐀".encode("gb18030")).decode()
    mail = read_mail(raw.format(subject=subject).encode() + "无法收发㐀".encode("gb18030"))

    assert mail.subject == "邮件系统宕机㐀"
    assert mail.text == "无法收发㐀"


def test_bytes_without_a_charset_in_a_header_are_read() -> None:
    raw = "From: a@b.example\r\nSubject: 邮件宕机\r\n\r\n".encode("gb18030")

    assert read_mail(raw).subject == "邮件宕机"
    assert read_mail("Subject: 邮件宕机\r\n\r\n".encode()).subject == "邮件宕机"


def test_a_page_is_read_as_its_words() -> None:
    raw = (
        b"Content-Type: text/html; charset=utf-8\r\n\r\n"
        b"<style>p{}</style><p>one</p><script>alert(1)</script><div>two<br>three</div>"
    )

    assert read_mail(raw).text == "one\ntwo\nthree"


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated; x=y",
        "X-Autoreply: yes",
        "X-Autorespond: away",
        "X-Failed-Recipients: a@b.example",
        "Precedence: bulk",
        "Return-Path: <>",
        "Content-Type: multipart/report; boundary=x",
    ],
)
def test_what_a_program_wrote_is_known(header: str) -> None:
    assert read_mail(header.encode() + b"\r\n" + PLAIN).is_automatic
    assert not read_mail(b"Auto-Submitted: no\r\n" + PLAIN).is_automatic


def test_what_a_mail_answers_and_names_is_found() -> None:
    raw = (
        b"Subject: Re: [GZ-2026-00012] again\r\nIn-Reply-To: <a@v>\r\n"
        b"References: <b@v>\r\n <a@v>\r\n\r\n"
    )
    mail = read_mail(raw)

    assert mail.references == ("<a@v>", "<b@v>")
    assert mail.fault_number == "GZ-2026-00012"


def test_files_come_with_their_names_however_bad() -> None:
    message = EmailMessage()
    message["Subject"] = "files"
    message.set_content("see files")
    for name in ("截图.png", "../../etc/passwd", "a\x00b.pdf", "x" * 300):
        message.add_attachment(b"body", maintype="application", subtype="x", filename=name)
    raw = message.as_bytes() + b""
    files = read_mail(raw).files

    assert len(files) == 4
    assert files[0].name == "截图.png"
    assert {one.body for one in files} == {b"body"}
    for _ in range(FILES_MOST):
        message.add_attachment(b"b", maintype="application", subtype="x", filename="n")
    assert len(read_mail(message.as_bytes()).files) == FILES_MOST


def test_a_mail_is_one_by_its_message_id_and_what_a_copy_shares() -> None:
    copy = b"Received: by another way\r\n" + PLAIN

    assert read_mail(copy).key == read_mail(PLAIN).key
    other = PLAIN.replace(b"Subject: down", b"Subject: up")
    assert read_mail(other).key != read_mail(PLAIN).key
    nameless = PLAIN.replace(b"Message-ID: <1@x>\r\n", b"")
    assert read_mail(nameless).key != read_mail(nameless + b"more").key
    assert read_mail(nameless).message_id is None


def test_a_report_names_the_letters_that_were_not_delivered() -> None:
    report = (
        "Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\n\r\nsorry\r\n"
        "--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
        "Final-Recipient: rfc822; a@b.example\r\nAction: {action}\r\nStatus: 5.1.1\r\n"
        "--x\r\nContent-Type: {kind}\r\n\r\nSubject: s\r\nMessage-ID: <1@v>\r\n\r\n--x--\r\n"
    )

    for kind in ("text/rfc822-headers", "message/rfc822"):
        assert read_mail(report.format(action="failed", kind=kind).encode()).bounced == ("<1@v>",)
        assert read_mail(report.format(action="delayed", kind=kind).encode()).bounced == ()
    assert read_mail(PLAIN).bounced == ()


def test_a_report_tells_what_the_server_that_refused_the_letter_said() -> None:
    report = (
        "Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\n\r\nsorry\r\n"
        "--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
        "Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n{code}\r\n"
        "--x--\r\n"
    )
    code = "Diagnostic-Code: smtp; 550 5.1.1 <a@b.example>:\r\n    User unknown; see x\r\n"

    said = read_mail(report.format(code=code).encode()).diagnosis
    assert said == "550 5.1.1 <a@b.example>: User unknown; see x"
    assert read_mail(report.format(code="").encode()).diagnosis == "5.1.1"
    assert read_mail(PLAIN).diagnosis == ""


BROKEN = (
    b"",
    b"\x00\xff\xfe",
    b"Subject: =?utf-8?B?%%%?=\r\nFrom: <<>>@\r\n\r\n",
    b"Subject: =?no-such-charset?Q?x?=\r\n\r\n",
    b"Content-Type: multipart/mixed\r\n\r\n--x",
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n" * 50,
    b"Content-Type: text/plain; charset=\xff\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
    b"Content-Type: text/plain; charset=idna\r\n\r\n\xff",
    b"Content-Type: text/plain; charset=hex\r\n\r\nzz",
    b"Content-Disposition: attachment; filename*=x'y'%ff%zz\r\n\r\nx",
    b"Content-Disposition: attachment; filename*0*=bad''%ff; filename*2=z\r\n\r\nx",
    b"Content-Type: text/html\r\n\r\n<!DOCTYPE [<!ENTITY <<![CDATA[",
    b"From: " + b"(" * 5000 + b"\r\n\r\n",
    b"Content-Transfer-Encoding: uuencode\r\n\r\nbegin 666 x\r\nM",
    b"Subject: =?utf-8?b?a?=\r\n\r\n",
    b'Content-Disposition: attachment; filename="=?utf-8?b?a?="\r\n\r\nx',
    b"Content-Type: text/plain; name*=a\0b'en'x\r\n\r\nx",
    b"Content-Type: text/plain; charset*=a\0b'en'utf-8\r\n\r\nx",
    b"Content-Type: text/html\r\n\r\n<p>x</p><![foo[",
    b"Content-Type: message/rfc822\r\n\r\n" * 2000,
)


@pytest.mark.parametrize("raw", BROKEN, ids=range(len(BROKEN)))
def test_nothing_that_is_sent_raises_an_error(raw: bytes) -> None:
    assert read_mail(raw).subject


def test_a_page_that_the_parser_gives_up_is_read_all_the_same() -> None:
    page = b"Content-Type: text/html\r\n\r\n<p>mail is down</p><![foo["

    assert "mail is down" in read_mail(page).text


def test_nothing_is_read_that_a_database_cannot_keep_or_look_for() -> None:
    half, tail = "=?unicode_escape?q?=5Cud800", "x.example?="
    mail = read_mail(
        f"From: {half}\0@{tail}\r\nSubject: a\0 {half}?=\r\nMessage-ID: <a\0@b>\r\n"
        "References: <c\0@d>\r\nContent-Type: text/plain; charset=unicode_escape\r\n\r\n"
        "\\ud800 \0".encode()
    )
    read = (mail.sender, mail.subject, mail.text, mail.message_id or "", *mail.references)

    assert all(one and "\0" not in one for one in read)
    assert all(one.encode() for one in read)


HEADERS = st.sampled_from(
    [b"Subject: ", b"From: ", b"Content-Type: ", b"Message-ID: ", b"Content-Disposition: ",
     b"References: ", b"Content-Transfer-Encoding: base64",
     b"Content-Type: multipart/mixed; boundary=",
     b"\r\n", b"\r\n\r\n", b"=?utf-8?Q?", b"?=", b"--"]
)  # fmt: skip


@given(st.lists(HEADERS | st.binary(max_size=12), max_size=30).map(b"".join))
@example(b"Content-Disposition: attachment; filename==?utf-8?Q?")
def test_whatever_the_bytes_something_readable_comes_out(raw: bytes) -> None:
    mail = read_mail(raw)

    assert mail.subject
    assert mail.key == read_mail(raw).key


@pytest.mark.parametrize(
    ("text", "level"),
    [("系统宕机了", "P1"), ("部分用户无法登录", "P2"), ("网页慢", "P3"), ("请教一个设置", "P4")],
)
def test_a_level_is_suggested_from_the_words(text: str, level: str) -> None:
    assert suggested_level(text) == level

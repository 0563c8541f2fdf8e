"""The log reader on real files with real tools, and the times that log lines name."""

import gzip
import os
import subprocess
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from mailcare.inspection import logs
from mailcare.inspection.check import Ask, Reply, ReplyError
from mailcare.inspection.logs import LogReading, lines_ask, moment_in, names_ask, read_logs
from mailcare.systems.profile import AttackSign, LogPattern, load_profile
from tests.inspection.samples import AT, lab_system
from tests.surroundings import need

NODE = lab_system().node("mx1")
SIGN = AttackSign(name="dots", title="穿越", regex=r'"GET [^"]*\.\.[^"]*"')
FAILED = LogPattern(
    path="",
    regex=r"auth failed.*user=<(?P<account>[^>]*)>.* rip=(?P<address>[0-9.]+)",
)
SHELLS = [("dash",), ("bash",)]
BEIJING = timezone(timedelta(hours=8))


def beijing(*numbers: int) -> datetime:
    year, month, day, *clock = numbers
    hour, minute, second = (*clock, 0, 0, 0)[:3]
    return datetime(year, month, day, hour, minute, second, tzinfo=BEIJING)


NOW = datetime(2026, 3, 1, 8, 0, tzinfo=BEIJING)


def run(ask: Ask, *shell: str, **environment: str) -> Reply:
    words = [*(shell or ask.words[:1]), *ask.words[1:]]
    need(words[0])
    done = subprocess.run(
        words,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", **environment},
    )
    return Reply(done.stdout + done.stderr, done.returncode, AT, "ssh://mx1")


def web_line(address: str, request: str, status: int, at: str = "24/Nov/2026:03:00:01") -> str:
    return f'{address} - - [{at} +0800] "{request} HTTP/1.1" {status} 12 "-" "x"\n'


def signs_in(path: Path, *shell: str) -> LogReading:
    return read_logs([run(lines_ask(NODE, str(path), [SIGN], days=7), *shell)])


def names_in(paths: str, *shell: str, **environment: str) -> LogReading:
    pattern = FAILED.model_copy(update={"path": paths})
    asks = names_ask(NODE, {"login_failures": [pattern]}, days=1)
    return read_logs([run(ask, *shell, **environment) for ask in asks])


def failure(address: str, account: str, at: str = "Nov 24 03:00:01") -> str:
    return f"{at} imap-login: Info: x (auth failed): user=<{account}>, rip={address}, TLS\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_lines_of_one_address_and_status_come_back_as_one_row(tmp_path, shell):
    log = tmp_path / "access.log"
    lines = [web_line("192.0.2.1", "GET /", 200), *[web_line("203.0.113.9", "GET /../a", 404)] * 5]
    log.write_text("".join([*lines, web_line("203.0.113.9", "GET /../b", 200)]))
    reading = signs_in(log, *shell)
    assert sorted(row.count for row in reading.rows) == [1, 5]
    assert all("203.0.113.9" in row.fields[1] for row in reading.rows)
    assert reading.from_at.astimezone(BEIJING).hour == 3


def test_what_looks_like_a_credential_stays_on_the_host(tmp_path):
    log = tmp_path / "access.log"
    request = "GET /../a?user=bob&password=hunter2&sessionid=abc;x"
    log.write_text(web_line("203.0.113.9", request, 404))
    reply = run(lines_ask(NODE, str(log), [SIGN], days=7))
    assert "hunter2" not in reply.text
    assert "abc" not in reply.text
    assert "user=bob&password=***&sessionid=***" in reply.text


def test_rotated_and_packed_neighbours_are_read_and_strangers_are_not(tmp_path):
    log = tmp_path / "access.log"
    log.write_text(web_line("203.0.113.1", "GET /../a", 404))
    (tmp_path / "access.log.1").write_text(web_line("203.0.113.2", "GET /../a", 404))
    with gzip.open(tmp_path / "access.log.2.gz", "wt") as file:
        file.write(web_line("203.0.113.3", "GET /../a", 404, "20/Nov/2026:01:00:00"))
    (tmp_path / "access.log.copy").write_text(web_line("203.0.113.5", "GET /../a", 404))
    (tmp_path / "other_access.log").write_text(web_line("203.0.113.4", "GET /../a", 404))
    reading = signs_in(log)
    assert sorted(row.fields[1].split()[0][-1] for row in reading.rows) == ["1", "2", "3"]
    assert reading.from_at.astimezone(UTC).day == 19


def test_a_neighbour_that_is_too_old_is_not_read(tmp_path):
    log, old = tmp_path / "access.log", tmp_path / "access.log.5"
    log.write_text(web_line("203.0.113.1", "GET /", 200))
    old.write_text(web_line("203.0.113.2", "GET /../a", 404))
    os.utime(old, (time.time() - 30 * 86400,) * 2)
    assert signs_in(log).rows == ()


def test_only_the_end_of_a_long_log_is_read_and_the_reading_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "READ_LIMIT_BYTES", 1024 * 1024)
    log = tmp_path / "access.log"
    early = web_line("203.0.113.1", "GET /../a", 404, "01/Nov/2026:00:00:00")
    filling = web_line("192.0.2.1", "GET /", 200, "24/Nov/2026:02:00:00") * 20_000
    log.write_text(early + filling + web_line("203.0.113.2", "GET /../a", 404))
    older = tmp_path / "access.log.1"
    older.write_text(early)
    os.utime(older, (time.time() - 3600,) * 2)
    reading = signs_in(log)
    assert [row.fields[1].split()[0] for row in reading.rows] == ["203.0.113.2"]
    assert f"{log} 只读了最后 1 MiB" in reading.span
    assert reading.files == (str(log),)


def test_nul_bytes_after_a_crash_hide_nothing(tmp_path):
    log = tmp_path / "access.log"
    line = web_line("203.0.113.1", "GET /../a", 404).encode()
    log.write_bytes(line + b"\0" * 5000 + line)
    assert sum(row.count for row in signs_in(log).rows) == 2


@pytest.mark.parametrize("shell", SHELLS)
def test_failures_are_counted_by_hour_address_and_account(tmp_path, shell):
    log = tmp_path / "mail.log"
    lines = [failure("203.0.113.9", "bob")] * 3 + [failure("203.0.113.9", "bob", "Nov 24 04:00:01")]
    log.write_text("".join([*lines, failure("198.51.100.1", "amy", "2026-11-24T04:00:01+08:00")]))
    reading = names_in(f"{tmp_path}/absent.log {log}", *shell, SSH_CLIENT="192.0.2.7 1 22")
    assert reading.worker == "192.0.2.7"
    assert {(row.count, *row.fields[2:]) for row in reading.rows} == {
        (3, "203.0.113.9", "bob"),
        (1, "203.0.113.9", "bob"),
        (1, "198.51.100.1", "amy"),
    }


def test_rows_beyond_the_limit_are_counted_as_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "ROWS_LIMIT", 10)
    log = tmp_path / "mail.log"
    log.write_text("".join(failure("203.0.113.9", f"user{number}") for number in range(25)))
    reading = names_in(str(log))
    assert len(reading.rows) == 10
    assert reading.left_out == {"login_failures": 15}
    assert reading.at_least == "至少 "


def test_a_log_that_is_not_there_is_not_measured(tmp_path):
    with pytest.raises(ReplyError, match="没有产品档案所写的日志"):
        names_in(str(tmp_path / "mail.log"))


def test_a_log_that_nobody_wrote_to_for_days_is_not_measured(tmp_path):
    log = tmp_path / "mail.log"
    log.write_text(failure("203.0.113.9", "bob"))
    os.utime(log, (time.time() - 9 * 86400,) * 2)
    with pytest.raises(ReplyError, match="多日没有写入"):
        names_in(str(log))


def journal_with(folder: Path, *lines: str) -> dict[str, str]:
    """Put a journalctl of these lines first on the path."""
    text = "\n".join(lines)
    (folder / "journalctl").write_text(f"#!/bin/sh\ncat <<'END' | sed '/^$/d'\n{text}\nEND\n")
    (folder / "journalctl").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_journal_is_read_where_no_mail_log_is(tmp_path, shell):
    line = failure("203.0.113.9", "bob", "2026-11-24T03:00:01+0800")
    path = journal_with(tmp_path, line.strip(), line.strip())
    reading = names_in(f"{tmp_path}/mail.log journald", *shell, **path)
    assert reading.files == ("journald",)
    assert [(row.count, *row.fields[2:]) for row in reading.rows] == [(2, "203.0.113.9", "bob")]


def test_the_journal_is_not_read_beside_the_log_that_it_is_copied_to(tmp_path):
    log = tmp_path / "mail.log"
    log.write_text(failure("203.0.113.9", "bob"))
    path = journal_with(tmp_path, failure("203.0.113.9", "bob").strip())
    assert [row.count for row in names_in(f"{log} journald", **path).rows] == [1]


def test_a_journal_that_shows_nothing_is_not_measured(tmp_path):
    with pytest.raises(ReplyError, match="systemd-journal"):
        names_in(f"{tmp_path}/mail.log journald", **journal_with(tmp_path))


def test_a_journal_that_shows_nothing_is_a_gap_beside_another_log(tmp_path):
    log = tmp_path / "dovecot.log"
    log.write_text(failure("203.0.113.9", "bob"))
    reading = names_in(f"{tmp_path}/mail.log journald {log}", **journal_with(tmp_path))
    assert "journald 中没有可读的邮件日志" in reading.span


def test_a_name_with_a_foreign_line_end_breaks_no_row(tmp_path):
    log = tmp_path / "mail.log"
    log.write_text(failure("203.0.113.9", "a\u2028mailcare: denied /x"), "utf-8")
    [row] = names_in(str(log)).rows
    assert row.fields[2] == "203.0.113.9"


def test_the_lengths_of_the_front_page_are_told(tmp_path):
    log = tmp_path / "access.log"
    log.write_text(web_line("192.0.2.1", "GET /", 200) + web_line("192.0.2.1", "GET /a", 200))
    assert signs_in(log).front_page_bytes == frozenset({12})


PROFILE = load_profile("postfix-dovecot")
SASL = "client=unknown[203.0.113.9], sasl_method=LOGIN, sasl_username=bob"
LOGIN_FAILED = (
    "Disconnected (auth failed, 1 attempts): user=<bob>, method=PLAIN, rip=203.0.113.9, lip"
)


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("submissions", f"Nov 24 03:00:01 mx1 postfix/submission/smtpd[1]: 4F2A: {SASL}"),
        ("submissions", f"2026-11-24T03:00:01.123456+08:00 mx1 postfix/smtpd[1]: 4F2A: {SASL}"),
        ("submissions", f"2026-11-24T03:00:01+0800 mx1 postfix/smtpd[1]: 4F2A: {SASL}"),
        ("logins", f"Nov 24 03:00:01 mx1 postfix/smtps/smtpd[1]: 4F2A: {SASL}"),
        ("login_failures", f"Nov 24 03:00:01 mx1 dovecot: imap-login: {LOGIN_FAILED}"),
        (
            "login_failures",
            f"2026-11-24T03:00:01.123456+08:00 mx1 dovecot: pop3-login: {LOGIN_FAILED}",
        ),
        (
            "login_failures",
            "Nov 24 03:00:01 mx1 postfix/smtpd[1]: warning: unknown[203.0.113.9]: SASL LOGIN "
            "authentication failed: (reason unavailable), sasl_username=bob",
        ),
    ],
)
def test_the_shipped_patterns_find_who_it_was_in_each_form_of_the_mail_log(tmp_path, field, line):
    log = tmp_path / "maillog"
    log.write_text(f"{line}\n")
    known = getattr(PROFILE, field).value
    several = known if isinstance(known, tuple) else (known,)
    patterns = {field: [one.model_copy(update={"path": str(log)}) for one in several]}
    [row] = read_logs([run(ask) for ask in names_ask(NODE, patterns, days=1)]).rows
    assert row.fields[2:] == ("203.0.113.9", "bob")
    assert moment_in(row.fields[0], NOW)


@pytest.mark.parametrize(
    ("request_line", "is_guess"),
    [
        ("POST /?_task=login", True),
        ("POST /webmail/index.php", True),
        ("POST /mail/?_task=login&_action=login", True),
        ("POST /Microsoft-Server-ActiveSync?Cmd=Ping", False),
        ("POST /EWS/Exchange.asmx", False),
        ("POST /autodiscover/autodiscover.xml", False),
    ],
)
def test_a_phone_that_is_asked_for_its_password_guesses_none(tmp_path, request_line, is_guess):
    log = tmp_path / "access.log"
    log.write_text(web_line("203.0.113.9", request_line, 401))
    rows = read_logs([run(lines_ask(NODE, str(log), PROFILE.attack_signs.value, days=7))]).rows
    assert bool(rows) is is_guess


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Mar  1 07:59:58 mx1 postfix/smtpd[1]: x", beijing(2026, 3, 1, 7, 59, 58)),
        ("Dec 31 23:59:59 mx1 dovecot: x", beijing(2025, 12, 31, 23, 59, 59)),
        ("Mar  1 20:00:00 a clock a little ahead", beijing(2026, 3, 1, 20)),
        ("2026-02-28T10:00:00.123456+08:00 mx1 x", beijing(2026, 2, 28, 10)),
        ("2026-02-28T02:00:00Z mx1 x", beijing(2026, 2, 28, 10)),
        ("2026-02-28T10:00:00+0800 mx1 from the journal", beijing(2026, 2, 28, 10)),
        ("2026-02-28 10:00:00 imap-login: Info", beijing(2026, 2, 28, 10)),
        ('1.2.3.4 - - [28/Feb/2026:02:00:00 +0000] "GET', beijing(2026, 2, 28, 10)),
        ("Feb 30 10:00:00 no such day", None),
        ("3月 01 07:59:58 mx1 x", None),
        ("9999-12-31T23:59:59Z x", None),
        ("Mär  1 07:59:58 x", None),
        ("", None),
    ],
)
def test_a_line_names_its_moment(line, expected):
    moment = moment_in(line, NOW)
    assert moment == expected

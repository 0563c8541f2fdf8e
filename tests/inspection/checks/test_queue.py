import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.inspection.causes import link_causes
from mailcare.inspection.check import Finding, ReplyError, Severity, Target
from mailcare.inspection.queues import COUNT_FILES
from mailcare.systems.profile import Known, QueueKind, QueueQuery
from mailcare.systems.system import System
from tests.inspection.checks.reply_files import check_named, verdicts
from tests.inspection.samples import lab_system, reply

OK, NOTICE, WARNING, CRITICAL = Severity
NOW = reply("1795478400.000000000\n")


@pytest.mark.parametrize(
    ("check", "file", "severity", "words"),
    [
        ("queue.reasons", "ok", OK, "没有投递失败而等待重试的邮件"),
        ("queue.reasons", "ok-few", OK, "2 封邮件在等待重试"),
        ("queue.reasons", "ok-active-only", OK, "没有投递失败"),
        ("queue.reasons", "ok-old-postfix-empty", OK, "没有投递失败"),
        ("queue.reasons", "bad", WARNING, "连接不上对方服务器 55 封、发信频率受限 4 封；"),
        ("queue.reasons", "bad", WARNING, "目的域：partner.example 55 封、qq.com 4 封"),
        ("queue.reasons", "bad-many", WARNING, "120 封邮件在等待重试"),
        ("queue.reasons", "bad-old", WARNING, "1 封邮件在等待重试"),
        ("queue.reasons", "bad-old-postfix", WARNING, "连接不上对方服务器 60 封"),
        ("queue.depth", "old-postfix-text", OK, "60 封邮件"),
        ("queue.age", "old-postfix-text", WARNING, "等待 4.0 小时"),
        ("queue.age", "old-postfix-new-year", OK, "等待 3.0 小时"),
    ],
)
def test_a_queue_is_judged_by_what_its_mails_wait_for(check, file, severity, words):
    [verdict] = verdicts(check, file)
    assert verdict.severity is severity
    assert words in verdict.summary
    assert bool(verdict.advice) == (severity > OK)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("unmeasured", "mail system is down"),
        ("unmeasured-old-postfix-down", "mail system is down"),
        ("unmeasured-short", "无法识别"),
        ("unmeasured-missing", "没有读取队列的命令"),
    ],
)
def test_a_listing_that_is_not_whole_is_unmeasured(file, reason):
    with pytest.raises(ReplyError, match=reason):
        verdicts("queue.reasons", file)


def test_the_reasons_are_counted_by_class():
    [verdict] = verdicts("queue.reasons", "bad")
    assert verdict.metrics == {"unreachable_count": 55.0, "rate_limit_count": 4.0}
    assert "由运营商处理" in verdict.advice


def test_a_directory_does_not_say_why():
    system = lab_system()
    query = Known(value=QueueQuery(kind=QueueKind.DIRECTORY, path="/opt/queue"))
    profile = system.profile.model_copy(update={"queue": query})
    assert not list(check_named("queue.reasons").ask(System(system.site, profile)))


def test_one_queue_raises_one_alarm():
    names = ("queue.reasons", "queue.depth", "queue.age")
    checks = {name: check_named(name) for name in names}
    found = [Finding(name, Target("mx1"), WARNING, "") for name in names]
    linked = link_causes(found, checks, lab_system(), heard=set())
    assert [one.caused_by for one in linked] == [None, "queue.reasons", "queue.reasons"]


@given(st.binary(max_size=400))
def test_no_listing_breaks_the_reading(data):
    read(data.decode("utf-8", "backslashreplace"))


_LINES = st.sampled_from(
    [
        "-Queue ID- --Size-- ----Arrival Time---- -Sender/Recipient-------",
        "0123456789      512 Thu Feb 29 22:00:00  a@b.example",
        "0123456789*     512 Mon Jan 33 22:00:00  a@b.example",
        "0123456789      512 Mon Jan  1 22:00:00  a@b.example",
        "   (why)",
        "        d@c.example",
        "-- 0 Kbytes in 1 Request.",
        "-- 0 Kbytes in 2 Requests.",
        "Mail queue is empty",
        "",
    ]
)


@given(st.lists(_LINES, max_size=8), st.sampled_from(["+0800", "-0930", "+9999", "UTC"]))
def test_no_text_listing_breaks_the_reading(lines, zone):
    read("\n".join([f"mailcare: zone {zone}", *lines]))


def read(text):
    check = check_named("queue.reasons")
    try:
        check.parse((reply(text), NOW))
    except ReplyError:
        return


@pytest.mark.parametrize(
    ("ages_s", "told"), [((), "mailcare: 0 \n"), ((50, 900, 7), "mailcare: 3 1000000100")]
)
def test_the_files_of_a_directory_are_counted_and_the_oldest_is_told(tmp_path, ages_s, told):
    for age_s in ages_s:
        path = tmp_path / f"mail {age_s}"
        path.touch()
        os.utime(path, (1000001000 - age_s,) * 2)
    done = subprocess.run(
        ["sh", "-c", COUNT_FILES, "queue", tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(told)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.inspection.check import Channel, ReplyError, Severity, Subject, Target
from mailcare.inspection.snapshot import SAMPLES
from mailcare.systems.site import Mailboxes
from mailcare.systems.system import System
from tests.inspection.checks.reply_files import RECORDED_AT, check_named, replies_in, verdicts
from tests.inspection.samples import lab_system, reply

OK, NOTICE, WARNING, CRITICAL = Severity
FIRST = Target(part="示例邮箱甲")
SYSTEM = lab_system()

EACH = [
    ("ok", OK, "示例邮箱甲（国内）：送达收件箱"),
    ("ok-without-log", OK, "送达收件箱"),
    ("ok-log-closed", OK, "送达收件箱"),
    ("ok-only-logged", OK, "已由对方接收（见日志）；对方邮箱无法查看"),
    ("filtered-inside", OK, "已由对方接收（见日志）"),
    ("notice-others-refused", NOTICE, "最近 7 次投递有 3 次未被接受（提示 ≥ 20%），最近一次：内容"),
    ("bad-content", WARNING, "被退信：内容被判为垃圾邮件（smtp; 550 5.7.1 Mail content denied."),
    ("bad-listed", WARNING, "发信地址信誉差或被列入黑名单"),
    ("bad-many", WARNING, "发信频率受限（smtp; 550 Domain frequency limited）"),
    ("bad-junk", WARNING, "被放入垃圾箱（Junk），应送达收件箱"),
    ("bad-deferred", WARNING, "暂缓，仍在队列中：对方暂缓接收（灰名单或繁忙）"),
    ("bad-swallowed", WARNING, "已由对方接收，但25 秒内没有出现"),
    ("bad-lost", WARNING, "25 秒内没有到达，也没有退信"),
    ("bad-turned-away", WARNING, "被本方服务器拒绝提交：收件人不存在或已停用（550 5.1.1"),
    ("bad-only-logged", WARNING, "日志中没有这封邮件，最近一次发往该域的投递被拒收：发信域认证"),
]


@pytest.mark.parametrize(("file", "severity", "words"), EACH)
def test_a_mail_to_a_provider_is_judged_by_where_it_ended(file, severity, words):
    [verdict] = verdicts("loop.providers", file, target=FIRST)
    assert verdict.severity is severity
    assert words in verdict.summary
    assert bool(verdict.advice) == (severity > OK)
    assert verdict.evidence


def test_a_delivery_to_the_hosts_own_filter_is_not_taken_for_the_other_side():
    [verdict] = verdicts("loop.providers", "filtered-inside", target=FIRST)
    assert verdict.severity is OK
    assert "10024" not in "".join(verdict.evidence)


def test_the_bounce_stands_in_the_evidence_verbatim_in_one_line_a_field():
    [verdict] = verdicts("loop.providers", "bad-content", target=FIRST)
    assert verdict.evidence[:4] == (
        "Action: failed",
        "Status: 5.7.1",
        "Remote-MTA: dns; out1.outside.example",
        "Diagnostic-Code: smtp; 550 5.7.1 Mail content denied. "
        "http://service.mail.qq.com/cgi-bin/help?id=20022",
    )


def test_the_header_of_a_junked_mail_is_its_evidence():
    [verdict] = verdicts("loop.providers", "bad-junk", target=FIRST)
    assert "Received: from mx1.shili-bank.example" in verdict.evidence


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("unmeasured", "请在站点文件填写该邮箱的 mailbox"),
        ("unmeasured-421", "421 4.3.2 Service shutting down"),
        ("unmeasured-refused", "连接被拒绝"),
        ("unmeasured-garbage", "回复不是探测记录"),
    ],
)
def test_what_nobody_can_tell_of_a_provider_says_why(file, reason):
    with pytest.raises(ReplyError, match=reason.replace("?", ".")):
        verdicts("loop.providers", file, target=FIRST)


def test_a_wrong_address_in_another_users_mail_says_nothing_of_the_provider():
    mails, log = replies_in("loop.providers", "bad-only-logged")
    refused = log.text.replace("5.7.23 SPF check failed", "5.1.1 User unknown")
    check = check_named("loop.providers")
    fact = check.parse((mails, reply(refused)))
    with pytest.raises(ReplyError, match="无法判断"):
        [*check.judge(fact, check.limits, Subject(SYSTEM, FIRST, RECORDED_AT))]


ALL = [
    ("ok", OK, "4 家外部邮箱中 0 家未正常送达"),
    ("bad-content", OK, "示例邮箱甲未送达（内容被判为垃圾邮件）、示例邮箱乙送达"),
    ("bad-junk", OK, "示例邮箱甲未正常送达"),
    ("bad-listed", CRITICAL, "1 家未正常送达（严重 ≥ 3 家、全部，或称本方地址信誉差）"),
    ("bad-many", CRITICAL, "3 家未正常送达"),
]


@pytest.mark.parametrize(("file", "severity", "words"), ALL)
def test_all_providers_together_are_critical_from_the_third_or_when_we_are_listed(
    file, severity, words
):
    [verdict] = verdicts("loop.matrix", file)
    assert verdict.severity is severity
    assert words in verdict.summary
    assert bool(verdict.advice) == (severity > OK)


def test_the_summary_groups_domestic_and_foreign():
    [verdict] = verdicts("loop.matrix", "ok")
    assert verdict.summary.endswith(
        "国内 3 家：示例邮箱甲送达、示例邮箱乙送达、示例邮箱丙送达；国外 1 家：示例邮箱丁送达"
    )
    assert verdict.metrics == {"providers_count": 4.0, "failed_count": 0.0}


@pytest.mark.parametrize("file", ["unmeasured-refused", "unmeasured-garbage"])
def test_nothing_sent_at_all_is_unmeasured_for_all(file):
    with pytest.raises(ReplyError):
        verdicts("loop.matrix", file)


def system_with(**changes):
    system = lab_system()
    return System(system.site.model_copy(update=changes), system.profile)


@pytest.mark.parametrize("check", ["loop.matrix", "loop.providers"])
def test_a_site_without_providers_is_not_asked(check):
    assert not list(check_named(check).ask(system_with(providers=(), mailboxes=Mailboxes())))


def test_all_mails_go_in_one_ask_and_the_log_is_an_aside_taken_later():
    questions = [*check_named("loop.providers").ask(lab_system())]
    assert next(one.target.part for one in questions) == "示例邮箱甲"
    assert len({one.asks for one in questions}) == 1
    [[aside]] = {one.asides for one in questions}
    assert (aside.channel, aside.node, aside.sample) == (Channel.SSH, "mx1", SAMPLES)
    assert aside.words[-4:] == (
        "mailjia.example",
        "mailyi.example",
        "mailbing.example",
        "mailding.example",
    )


def test_two_providers_that_both_fail_are_the_systems_own_trouble():
    providers = lab_system().site.providers[:2]
    system = system_with(providers=providers)
    check = check_named("loop.matrix")
    fact = check.parse(replies_in("loop.matrix", "bad-many"))
    [verdict] = check.judge(fact, check.limits, Subject(system, Target(), RECORDED_AT))
    assert verdict.severity is CRITICAL


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_no_reply_breaks_the_reading(texts):
    replies = tuple(reply(one.decode("utf-8", "backslashreplace")) for one in texts)
    parse_and_judge(replies)


_WORDS = st.sampled_from(
    [
        "# stage submission",
        "# mail probe@mailjia.example t",
        "# sent probe@mailjia.example",
        "# found probe@mailjia.example",
        "# found probe@mailjia.example INBOX",
        "# bounced probe@mailjia.example",
        "# turned-away probe@mailjia.example",
        "# not-found probe@mailjia.example 25",
        "# unreadable probe@mailjia.example",
        "# message",
        "< Zm9v",
        "< 550 no",
        "> QUIT",
        "# mail",
        "# closed",
    ]
)


@given(st.lists(_WORDS, max_size=12), st.text(max_size=200))
def test_no_order_of_events_breaks_the_reading(lines, log):
    parse_and_judge((reply("\n".join(lines)), reply(log)))


def parse_and_judge(replies):
    for name, target in (("loop.providers", FIRST), ("loop.matrix", Target())):
        check = check_named(name)
        try:
            fact = check.parse(replies)
            found = [*check.judge(fact, check.limits, Subject(SYSTEM, target, RECORDED_AT))]
        except ReplyError:
            continue
        assert found

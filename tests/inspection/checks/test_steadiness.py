"""How often a service failed is judged by many rounds, never by one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.inspection.check import Reply, ReplyError, Severity, Subject, Target, Unmeasured
from mailcare.inspection.checks.steadiness import percentile
from mailcare.inspection.planning import plan_inspection
from mailcare.systems.system import System
from tests.inspection.checks.reply_files import RECORDED_AT, REPLIES, check_named, verdicts
from tests.inspection.samples import lab_system

NAME = "service.steadiness"
OK, NOTICE, WARNING, CRITICAL = Severity
SYSTEM = lab_system()

JUDGED = [
    ("ok", OK, "smtp 10 次探测均成功"),
    ("ok-some-declined", OK, "8 次探测均成功，另有 2 次被要求稍后再来"),
    ("bad-one", WARNING, "10 次探测失败 1 次（10%，连接超时）"),
    ("bad-one-of-two", WARNING, "2 次探测失败 1 次（50%，连接被对方中断）"),
    ("bad-one-in-ten", WARNING, "30 次探测失败 2 次（7%，连接被对方中断、TLS 握手失败）"),
    ("bad-flaky", CRITICAL, "10 次探测失败 5 次（50%，连接被拒绝），应为 0 次"),
    ("bad-503", CRITICAL, "10 次探测失败 4 次（40%，HTTP/1.1 503 Service Unavailable）"),
    ("slow", WARNING, "95% 在 4124 毫秒内（上限 3000 毫秒）"),
    ("bad-slow", CRITICAL, "95% 在 12024 毫秒内（上限 3000 毫秒）"),
]
UNMEASURED = [
    ("unmeasured", "不是连续探测的记录"),
    ("unmeasured-421", "10 次探测均被服务器要求稍后再来：421 4.3.2"),
    ("unmeasured-dead", "3 次探测均失败（连接被拒绝），是持续故障"),
    ("unmeasured-mostly-declined", "只有 1 次有效探测"),
    ("unmeasured-odd", "用时无法读取"),
    ("unmeasured-odd-kind", "记录无法读取"),
]


@pytest.mark.parametrize(("file", "severity", "words"), JUDGED)
def test_recorded_rounds_are_judged_as_the_table_says(file, severity, words):
    [verdict] = verdicts(NAME, file)
    assert verdict.severity is severity
    assert words in verdict.summary
    assert bool(verdict.advice) == (severity > OK)
    assert verdict.evidence


@pytest.mark.parametrize(("file", "words"), UNMEASURED)
def test_rounds_that_tell_nothing_are_unmeasured_with_their_reason(file, words):
    with pytest.raises(ReplyError) as caught:
        verdicts(NAME, file)
    assert words in str(caught.value)


def test_every_reply_file_stands_in_a_table():
    tabled = {file for file, *_ in [*JUDGED, *UNMEASURED]}
    assert {path.stem for path in (REPLIES / NAME).iterdir()} == tabled


def test_the_numbers_go_into_the_report():
    [verdict] = verdicts(NAME, "bad-flaky")
    assert verdict.metrics["failures_pct"] == 50
    assert verdict.metrics["rounds_count"] == 10
    assert verdict.metrics["p50_ms"] <= verdict.metrics["p95_ms"]


def test_every_listener_is_tried_as_often_as_the_site_file_says():
    check = check_named(NAME)
    questions = list(check.ask(SYSTEM))
    assert {question.target.port for question in questions} >= {25, 143, 443, 587, 993, 995}
    probing = SYSTEM.site.probing
    for question in questions:
        [ask] = question.asks
        assert ask.words[6:8] == (str(probing.rounds), str(probing.over_s))
        assert ask.node == question.target.node


def test_one_round_alone_is_not_tried():
    site = SYSTEM.site
    probing = site.probing.model_copy(update={"rounds": 1})
    system = System(site.model_copy(update={"probing": probing}), SYSTEM.profile)
    plan = plan_inspection(system, [check_named(NAME)])
    [result] = plan.settled
    assert isinstance(result, Unmeasured)
    assert "probing.rounds" in result.reason
    assert plan.asks() == ()


@pytest.mark.parametrize(
    ("values", "share_pct", "expected"),
    [
        ((1.0,), 95, 1.0),
        ((3.0, 1.0, 2.0), 50, 2.0),
        (tuple(float(number) for number in range(1, 21)), 95, 19.0),
        ((1.0, 9.0), 95, 9.0),
    ],
)
def test_a_percentile_is_one_of_the_values(values, share_pct, expected):
    assert percentile(values, share_pct) == expected


ROWS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["# round 1 ok", "# round 2 failed", "# round 3 declined", "# series"]),
            st.one_of(st.text(max_size=20), st.floats().map(str)),
        ).map(" ".join),
        st.text(max_size=30),
    ),
    max_size=12,
).map("\n".join)


@given(st.one_of(ROWS, st.binary().map(lambda data: data.decode("utf-8", "backslashreplace"))))
def test_any_bytes_are_a_fact_or_a_reason(text):
    check = check_named(NAME)
    try:
        fact = check.parse((Reply(f"# series smtp 2 1\n{text}", 0, RECORDED_AT, "test"),))
    except ReplyError:
        return
    subject = Subject(SYSTEM, Target("mx1", 25), RECORDED_AT)
    assert list(check.judge(fact, check.limits, subject))


def test_a_contract_may_set_other_limits():
    check = check_named(NAME)
    limits = replace(check.limits, p95_ms=replace(check.limits.p95_ms, warning=1))
    reply = Reply("# series smtp 2 1\n# round 1 ok 2\n# round 2 ok 2\n", 0, RECORDED_AT, "test")
    subject = Subject(SYSTEM, Target("mx1", 25), RECORDED_AT)
    [verdict] = check.judge(check.parse((reply,)), limits, subject)
    assert verdict.severity is WARNING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.inspection.check import Channel, ReplyError, Severity, Subject, Target
from mailcare.systems.profile import Known
from mailcare.systems.system import System
from tests.inspection.checks.reply_files import RECORDED_AT, check_named, replies_in, verdicts
from tests.inspection.samples import lab_system, reply

OK, NOTICE, WARNING, CRITICAL = Severity
CHECK = check_named("network.vantage")
SMTP = Target("mx1", 25)


@pytest.mark.parametrize(
    ("file", "severity", "words"),
    [
        ("ok", OK, "从外部也能连接"),
        ("ok-ipv6-socket", OK, "从外部也能连接"),
        ("bad-dropped", CRITICAL, "smtp（25 端口）在主机上正在监听，从巡检机连接超时"),
        ("bad-rejected", CRITICAL, "从巡检机连接被拒绝"),
    ],
)
def test_what_listens_must_answer_from_outside(file, severity, words):
    [verdict] = verdicts("network.vantage", file, target=SMTP)
    assert verdict.severity is severity
    assert words in verdict.summary
    assert ("防火墙" in verdict.advice) == (severity > OK)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("unmeasured", "Permission denied"),
        ("unmeasured-not-listening", "没有对外监听"),
        ("unmeasured-loopback", "没有对外监听"),
        ("unmeasured-no-route", "没有到达该网络的路由"),
    ],
)
def test_without_both_views_there_is_nothing_to_join(file, reason):
    with pytest.raises(ReplyError, match=reason):
        verdicts("network.vantage", file, target=SMTP)


def behind_nat():
    system = lab_system()
    [mx1, *others] = system.site.nodes
    nodes = (mx1.model_copy(update={"public_address": "203.0.113.5"}), *others)
    return System(system.site.model_copy(update={"nodes": nodes}), system.profile)


MADE = "# connecting 10.66.0.11 25\n# connected\n# connect_ms 0.3\n"
REFUSED = "# connecting 10.66.0.11 25\n# refused\n"
TIMEOUT = "# connecting 203.0.113.5 25\n# timeout connect\n"
NO_ROUTE = "# connecting 10.66.0.11 25\n# unreachable Network is unreachable\n"


def judged(inside, outside, *, bound_to="00000000"):
    [found, _] = replies_in("network.vantage", "ok")
    sockets = reply(found.text.replace("00000000:0019", f"{bound_to}:0019"))
    fact = CHECK.parse((sockets, reply(inside), reply(outside)))
    [verdict] = CHECK.judge(fact, CHECK.limits, Subject(behind_nat(), SMTP, RECORDED_AT))
    return verdict


def test_a_host_behind_nat_is_tried_at_both_addresses():
    question = next(one for one in CHECK.ask(behind_nat()) if one.target == SMTP)
    assert [ask.channel for ask in question.asks] == [Channel.SSH, Channel.TCP, Channel.TCP]
    assert [ask.words[1] for ask in question.asks[1:]] == ["10.66.0.11", "203.0.113.5"]


def test_a_port_that_answers_inside_only_points_at_nat_firewall_or_operator():
    verdict = judged(MADE, TIMEOUT)
    assert verdict.severity is CRITICAL
    assert "在公网地址 203.0.113.5 连接超时" in verdict.summary
    assert "NAT" in verdict.advice
    assert "运营商" in verdict.advice


def test_a_worker_without_a_way_to_the_outside_cannot_tell():
    with pytest.raises(ReplyError, match=r"没有到达 203\.0\.113\.5 的路由"):
        judged(MADE, "# connecting 203.0.113.5 25\n# unreachable Network is unreachable\n")


def test_a_worker_without_a_way_to_the_inside_judges_the_outside_alone():
    assert judged(NO_ROUTE, MADE).severity is OK
    assert judged(NO_ROUTE, TIMEOUT).severity is CRITICAL


@pytest.mark.parametrize("bound_to", ["0B00420A", "0000000000000000FFFF00000B00420A"])
def test_a_wall_before_a_socket_of_this_very_address_is_seen(bound_to):
    assert judged(REFUSED, TIMEOUT, bound_to=bound_to).severity is CRITICAL


def test_a_service_on_another_address_of_the_host_is_no_wall():
    with pytest.raises(ReplyError, match="只在其他地址上"):
        judged(REFUSED, TIMEOUT, bound_to="0C00420A")
    assert judged(MADE, MADE, bound_to="0C00420A").severity is OK


def test_a_port_that_is_not_public_need_not_answer():
    system = lab_system()
    [first, *others] = system.profile.need("listeners")
    hidden = (first.model_copy(update={"public": False}), *others)
    profile = system.profile.model_copy(update={"listeners": Known(value=hidden)})
    for name in ("network.vantage", "service.ports"):
        targets = {one.target for one in check_named(name).ask(System(system.site, profile))}
        assert SMTP not in targets
        assert Target("mx1", others[0].port) in targets


@given(st.lists(st.binary(max_size=200), min_size=2, max_size=2))
def test_no_reply_breaks_the_reading(texts):
    replies = tuple(reply(one.decode("utf-8", "backslashreplace")) for one in texts)
    with pytest.raises(ReplyError):
        CHECK.parse(replies)

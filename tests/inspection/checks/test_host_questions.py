"""Which hosts are asked what, and what becomes of a host that cannot be logged in to."""

from dataclasses import replace

import pytest

from mailcare.inspection.check import (
    Answer,
    Ask,
    Channel,
    Finding,
    NoReply,
    NotApplicable,
    Reply,
    Severity,
    Target,
    Unmeasured,
)
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.planning import Plan, plan_inspection
from mailcare.systems.profile import (
    Confidence,
    Known,
    QueueKind,
    QueueQuery,
    VersionQuery,
)
from mailcare.systems.site import Role
from mailcare.systems.system import System
from tests.inspection.checks.reply_files import RECORDED_AT, check_named, replies_in
from tests.inspection.checks.test_host_replies import CHECKS
from tests.inspection.samples import lab_system


def plan(*checks: str, system: System | None = None) -> Plan:
    return plan_inspection(system or lab_system(), [check_named(name) for name in checks])


def with_profile(**fields: object) -> System:
    system = lab_system()
    return replace(system, profile=system.profile.model_copy(update=fields))


def with_nodes(**changes: object) -> System:
    system = lab_system()
    nodes = tuple(node.model_copy(update=changes) for node in system.site.nodes)
    return System(system.site.model_copy(update={"nodes": nodes}), system.profile)


def login_record(*events: str) -> Reply:
    text = "".join(f"# {event}\n" for event in ("connecting 10.66.0.11 22", *events))
    return Reply(text, 0, RECORDED_AT, "ssh://mx1")


def test_mail_and_backup_hosts_are_looked_into():
    asked = plan("hardware.memory")
    assert [question.target.node for _, question in asked.questions] == ["mx1", "bak1"]


def test_a_host_without_ssh_is_asked_too_because_a_bundle_may_answer_for_it():
    asked = plan("hardware.memory", system=with_nodes(ssh=None))
    assert [question.target.node for _, question in asked.questions] == ["mx1", "bak1"]


def test_a_host_of_another_role_is_looked_into_where_it_has_ssh():
    other = (Role.OTHER,)
    assert len(plan("hardware.memory", system=with_nodes(roles=other)).questions) == 2
    assert plan("hardware.memory", system=with_nodes(roles=other, ssh=None)).questions == ()


def test_what_several_checks_want_is_asked_once():
    alone = plan("storage.space").asks()
    assert len(plan("storage.space", "storage.mounts").asks()) == len(alone) + 2
    assert len(plan("service.listeners").asks()) == 1
    assert plan("queue.depth", "queue.age").asks() == plan("queue.depth").asks()


def test_every_command_of_a_host_is_short():
    asks = [ask for ask in plan(*CHECKS).asks() if ask.words]
    assert asks
    assert all(0 < ask.timeout_s <= 10 for ask in asks)
    assert {ask.channel for ask in asks} == {Channel.SSH}


@pytest.mark.parametrize(
    ("check", "field"),
    [
        ("service.processes", "services"),
        ("service.listeners", "listeners"),
        ("queue.depth", "queue"),
        ("app.version", "version"),
    ],
)
def test_what_the_profile_lacks_is_unmeasured(check, field):
    [settled] = plan(check, system=with_profile(**{field: Known()})).settled
    assert isinstance(settled, Unmeasured)
    assert field in settled.reason


def test_a_profile_with_no_services_has_no_processes_to_look_for():
    [settled] = plan("service.processes", system=with_profile(services=Known(value=()))).settled
    assert isinstance(settled, NotApplicable)


def test_a_queue_directory_without_a_path_is_unmeasured():
    query = Known(value=QueueQuery(kind=QueueKind.DIRECTORY), confidence=Confidence.ASSUMED)
    [settled] = plan("queue.depth", system=with_profile(queue=query)).settled
    assert isinstance(settled, Unmeasured)
    assert "queue.path" in settled.reason


def test_a_queue_directory_is_counted_on_the_host():
    query = Known(value=QueueQuery(kind=QueueKind.DIRECTORY, path="/opt/mail queue"))
    ask = plan("queue.depth", system=with_profile(queue=query)).asks()[0]
    assert ask.words[0] == "sh"
    assert ask.words[-1] == "/opt/mail queue"


@pytest.mark.parametrize("check", ["app.version", "service.processes"])
def test_a_pattern_that_is_none_is_named_as_the_profile_s_fault(check):
    system = lab_system()
    service = system.profile.need("services")[0].model_copy(update={"process": "("})
    broken = with_profile(
        services=Known(value=(service,)),
        version=Known(value=VersionQuery(words=("true",), regex="(")),
    )
    [settled] = plan(check, system=broken).settled
    assert isinstance(settled, Unmeasured)
    assert "正则表达式" in settled.reason


def test_an_output_without_the_version_is_unmeasured():
    asked = plan("app.version")
    [ask] = asked.asks()
    [result] = judge_answers(asked, {ask: Reply("unknown", 0, RECORDED_AT, "ssh://mx1")})
    assert isinstance(result, Unmeasured)


def test_the_whole_match_is_the_version_where_the_pattern_has_no_group():
    system = with_profile(version=Known(value=VersionQuery(words=("v",), regex=r"[\d.]+")))
    asked = plan("app.version", system=system)
    [ask] = asked.asks()
    [result] = judge_answers(asked, {ask: Reply("TurboMail 5.2.0", 0, RECORDED_AT, "ssh://mx1")})
    assert isinstance(result, Finding)
    assert "5.2.0" in result.summary


def test_a_hanging_command_is_unmeasured():
    asked = plan("storage.space")
    answers = {ask: Reply("", 124, RECORDED_AT, "ssh://mx1") for ask in asked.asks()}
    results = judge_answers(asked, answers)
    assert [type(result) for result in results] == [Unmeasured, Unmeasured]


def test_a_refused_login_explains_all_that_could_not_be_measured_on_that_host():
    asked = plan(*CHECKS)
    answers: dict[Ask, Answer] = {}
    for ask in asked.asks():
        lost = NoReply("SSH 拒绝了巡检账号的登录", RECORDED_AT, "ssh", permanent=True)
        answers[ask] = login_record("connected", "auth-failed") if not ask.words else lost
    results = judge_answers(asked, answers)
    login = [result for result in results if result.check == "ssh.login"]
    rest = [result for result in results if result.check != "ssh.login"]
    assert [result.severity for result in login if isinstance(result, Finding)] == [2, 2]
    assert rest
    assert {type(result) for result in rest} == {Unmeasured}
    assert {result.caused_by for result in rest if isinstance(result, Unmeasured)} == {"ssh.login"}


def test_a_stopped_service_explains_its_silent_ports_and_no_others():
    asked = plan("service.processes", "service.listeners")
    answers = {}
    for ask in asked.asks():
        check = "service.processes" if ask.words[0] == "sh" else "service.listeners"
        [answers[ask]] = replies_in(check, "bad")
    found = [one for one in judge_answers(asked, answers) if isinstance(one, Finding)]
    causes = {one.target.port: one.caused_by for one in found if one.target.port}
    assert causes[25] == causes[465] == causes[587] == "service.processes"
    assert causes[143] is None
    assert [
        one.target for one in found if one.severity is Severity.CRITICAL and one.target.part
    ] == [Target("mx1", 0, "postfix")]

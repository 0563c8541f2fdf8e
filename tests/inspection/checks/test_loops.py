import pytest

from mailcare.inspection.causes import link_causes
from mailcare.inspection.check import Channel, Finding, Severity, Subject, Target
from mailcare.systems.system import System
from tests.inspection.checks.reply_files import RECORDED_AT, check_named, replies_in, verdicts
from tests.inspection.samples import lab_system

INTERNAL = "内部→内部"


def with_second_host():
    system = lab_system()
    [mx1, *others] = system.site.nodes
    changes = {"name": "mx2", "hostname": "mx2.shili-bank.example", "address": "10.66.0.12"}
    nodes = (mx1, mx1.model_copy(update=changes), *others)
    return System(system.site.model_copy(update={"nodes": nodes}), system.profile)


def test_a_single_mail_host_is_tried_by_the_probe_mailbox_alone():
    [question] = check_named("loop.internal").ask(lab_system())
    assert question.target == Target(part=INTERNAL)


def test_each_of_several_mail_hosts_hands_a_mail_over_itself():
    questions = list(check_named("loop.internal").ask(with_second_host()))
    assert [one.target.node for one in questions] == ["", "mx1", "mx2"]
    [ask] = questions[-1].asks
    assert (ask.channel, ask.node) == (Channel.LOOP, "mx2")
    assert ask.words[4] == "10.66.0.12"
    assert ask.words[6:] in (
        ("implicit", "mx2.shili-bank.example"),
        ("starttls", "mx2.shili-bank.example"),
    )


def test_another_domains_dns_is_no_cause_of_a_mail_that_does_not_come_in():
    system = lab_system()
    other = system.site.domains[0].model_copy(update={"name": "other.example"})
    domains = (*system.site.domains, other)
    system = System(system.site.model_copy(update={"domains": domains}), system.profile)
    inbound = check_named("loop.inbound")
    [question] = inbound.ask(system)
    assert str(question.target) == "shili-bank.example 外部→内部"
    checks = {one.name: one for one in (inbound, check_named("dns.mx"))}
    for name, cause in (("other.example", None), ("shili-bank.example", "dns.mx")):
        found = [
            Finding("dns.mx", Target(part=name), Severity.CRITICAL, ""),
            Finding("loop.inbound", question.target, Severity.CRITICAL, ""),
        ]
        assert link_causes(found, checks, system, heard=set())[1].caused_by == cause


def test_mail_that_does_not_come_in_is_looked_for_in_the_vendors_order():
    [verdict] = verdicts("loop.inbound", "bad-lost")
    places = [verdict.advice.index(f"({step})") for step in range(1, 9)]
    assert places == sorted(places)


@pytest.mark.parametrize("name", ["loop.internal", "loop.inbound", "loop.outbound"])
def test_mail_in_the_junk_folder_is_a_warning_in_every_direction(name):
    check = check_named(name)
    fact = check.parse(replies_in("loop.inbound", "bad-junk"))
    target = next(iter(check.ask(lab_system()))).target
    [verdict] = check.judge(fact, check.limits, Subject(lab_system(), target, RECORDED_AT))
    assert verdict.severity is Severity.WARNING
    assert "被放入 Junk" in verdict.summary

from dataclasses import replace

import pytest

from mailcare.inspection.check import (
    Ask,
    Channel,
    Finding,
    NotApplicable,
    Reply,
    Severity,
    Target,
    Unmeasured,
)
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.planning import Plan, plan_inspection
from mailcare.systems.profile import Known
from mailcare.systems.site import Domain, Mailboxes, Role
from mailcare.systems.system import System
from tests.inspection.checks.reply_files import RECORDED_AT, check_named, replies_in
from tests.inspection.samples import lab_system


def plan(*checks: str, system: System | None = None) -> Plan:
    return plan_inspection(system or lab_system(), [check_named(name) for name in checks])


def system_with(**changes: object) -> System:
    system = lab_system()
    return System(system.site.model_copy(update=changes), system.profile)


def without_listeners() -> System:
    system = lab_system()
    return replace(system, profile=system.profile.model_copy(update={"listeners": Known()}))


def down(ask: Ask) -> Reply:
    text = f"# connecting {ask.words[1]} {ask.words[2]}\n# timeout connect\n"
    return Reply(text, 1, RECORDED_AT, "test")


def test_every_host_with_a_port_is_asked_whether_it_is_there():
    asked = plan("network.reach")
    assert [question.target for _, question in asked.questions] == [Target("mx1"), Target("bak1")]


def test_reach_and_ports_share_their_asks():
    both = plan("network.reach", "service.ports").asks()
    assert len(both) == len(plan("network.reach").asks())


def test_a_host_is_reached_by_ssh_where_no_listener_is_known():
    asked = plan("network.reach", system=without_listeners())
    assert [ask.words[2] for ask in asked.asks()] == ["22", "22"]


def test_handshakes_and_certificates_share_their_asks():
    both = plan("tls.handshake", "tls.certificate").asks()
    assert len(both) == len(plan("tls.handshake").asks()) == 8


def test_the_dkim_signature_shares_the_outbound_mail_and_the_key():
    shared = plan("loop.outbound", "dns.dkim").asks()
    assert plan("loop.outbound", "dns.dkim", "loop.dkim").asks() == shared


def test_every_ask_of_a_host_names_it_so_that_its_authorisation_is_checked():
    hosts = ("network.reach", "service.ports", "smtp.greeting", "submission.login", "imap.login")
    more = ("pop3.login", "web.login_page", "tls.handshake", "security.open_relay")
    asks = plan(*hosts, *more).asks()
    assert asks
    assert {ask.node for ask in asks} == {"mx1", "bak1"}


@pytest.mark.parametrize("check", ["submission.login", "imap.login", "pop3.login"])
def test_a_login_without_a_mailbox_is_unmeasured_not_inapplicable(check):
    [settled] = plan(check, system=system_with(mailboxes=Mailboxes())).settled
    assert isinstance(settled, Unmeasured)
    assert "mailboxes.inside" in settled.reason


@pytest.mark.parametrize("check", ["security.open_relay", "loop.inbound", "loop.outbound"])
def test_what_needs_the_outside_mailbox_says_so(check):
    boxes = lab_system().site.mailboxes.model_copy(update={"outside": None})
    [settled] = plan(check, system=system_with(mailboxes=boxes)).settled
    assert isinstance(settled, Unmeasured)
    assert "mailboxes.outside" in settled.reason


def test_no_blocklist_in_the_site_file_is_unmeasured():
    [settled] = plan("dns.blocklist", system=system_with(dnsbl_zones=())).settled
    assert isinstance(settled, Unmeasured)


def test_a_product_without_pop3_has_no_pop3_login():
    system = lab_system()
    listeners = [one for one in system.profile.need("listeners") if one.protocol != "pop3"]
    profile = system.profile.model_copy(update={"listeners": Known(value=tuple(listeners))})
    [settled] = plan("pop3.login", system=replace(system, profile=profile)).settled
    assert isinstance(settled, NotApplicable)


def test_a_domain_without_selectors_is_asked_whether_it_has_any_key():
    system = system_with(domains=(Domain(name="bank.example"),))
    [ask] = plan("dns.dkim", system=system).asks()
    assert ask == Ask(Channel.DNS, ("lookup", "TXT", "_domainkey.bank.example"), ask.timeout_s)


def test_a_host_that_is_down_is_one_alarm_that_explains_the_others():
    asked = plan("network.reach", "service.ports", "smtp.greeting", "imap.login", "tls.certificate")
    results = judge_answers(asked, {ask: down(ask) for ask in asked.asks()})
    roots = [one for one in results if isinstance(one, Finding) and one.caused_by is None]
    assert [(one.check, one.severity) for one in roots if one.target.node == "mx1"] == [
        ("network.reach", Severity.CRITICAL)
    ]
    rest = [one for one in results if one.check != "network.reach"]
    assert rest
    assert {getattr(one, "caused_by", None) for one in rest} == {"network.reach"}


ADDRESSED = ("dns.mx", "dns.addresses", "dns.ptr", "dns.spf", "dns.blocklist")


def with_nodes(**changes: object) -> System:
    nodes = tuple(node.model_copy(update=changes) for node in lab_system().site.nodes)
    return system_with(nodes=nodes)


@pytest.mark.parametrize("check", ADDRESSED)
def test_without_a_mail_host_no_record_is_right_or_wrong(check):
    [settled] = plan(check, system=with_nodes(roles=(Role.BACKUP,))).settled
    assert isinstance(settled, Unmeasured)
    assert settled.reason == "站点文件没有 mail 角色的主机"


@pytest.mark.parametrize("check", ["dns.ptr", "dns.spf", "dns.blocklist"])
def test_what_the_outside_sees_is_unmeasured_for_a_host_whose_outside_address_is_unknown(check):
    asked = plan(check, system=with_nodes(public_address=None))
    answers = {ask: replies_in(check, "ok")[0] for ask in asked.asks()}
    [result] = judge_answers(asked, answers)
    assert isinstance(result, Unmeasured)
    assert "mx1（10.66.0.11）" in result.reason
    assert "public_address" in result.reason


@pytest.mark.parametrize("check", ["dns.ptr", "dns.spf", "dns.blocklist"])
def test_a_host_behind_nat_is_asked_for_by_its_public_address(check):
    [ask] = plan(check, system=with_nodes(address="192.168.1.5", public_address="8.8.8.8")).asks()
    assert ask.words[-1] == "8.8.8.8"


@pytest.mark.parametrize("own", ["address", "public_address"])
def test_a_host_name_may_lead_to_either_address_of_its_host(own):
    addresses = {"address": "192.168.1.5", "public_address": "8.8.8.8", own: "10.66.0.11"}
    asked = plan("dns.addresses", system=with_nodes(web_name=None, **addresses))
    [reply] = replies_in("dns.addresses", "ok")
    [result] = judge_answers(asked, dict.fromkeys(asked.asks(), reply))
    assert isinstance(result, Finding)
    assert result.severity is Severity.OK


def test_a_public_record_of_a_host_known_by_its_private_address_is_a_notice():
    asked = plan("dns.addresses", system=with_nodes(web_name=None, public_address=None))
    [reply] = replies_in("dns.addresses", "other-public")
    [result] = judge_answers(asked, dict.fromkeys(asked.asks(), reply))
    assert isinstance(result, Finding)
    assert result.severity is Severity.NOTICE
    assert "公网地址 8.8.8.8" in result.summary


@pytest.mark.parametrize(
    "check", ["submission.login", "imap.login", "pop3.login", "loop.internal", "loop.inbound"]
)
def test_a_certificate_that_fails_explains_a_login_that_was_not_tried(check):
    assert "tls.certificate" in check_named(check).after

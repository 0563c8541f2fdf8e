from dataclasses import replace
from random import Random

from mailcare.inspection.causes import link_causes
from mailcare.inspection.check import Finding, Severity, Target, Unmeasured
from mailcare.inspection.checks import all_checks
from mailcare.systems.system import System
from tests.inspection.samples import lab_system, number_check

MX1 = Target("mx1")


def bad(check, target=MX1, severity=Severity.CRITICAL):
    return Finding(check, target, severity, "坏")


def linked(results, after, heard=None):
    checks = {name: number_check(name, after=before) for name, before in after.items()}
    if heard is None:
        heard = {(one.check, one.target) for one in results}
    causes = link_causes(results, checks, lab_system(), heard=heard)
    return [getattr(result, "caused_by", None) for result in causes]


def test_a_failed_prerequisite_on_the_same_host_explains_a_failure():
    assert linked([bad("a"), bad("b")], {"a": (), "b": ("a",)}) == [None, "a"]


def test_the_chain_is_followed_to_its_root():
    after = {"a": (), "b": ("a",), "c": ("b",)}
    assert linked([bad("c"), bad("b"), bad("a")], after) == ["a", "a", None]


def test_a_chain_that_runs_in_a_circle_ends():
    causes = linked([bad("a"), bad("b")], {"a": ("b",), "b": ("a",)})
    assert causes == ["b", "a"]


def test_a_good_prerequisite_explains_nothing():
    results = [Finding("a", MX1, Severity.OK, "好"), bad("b")]
    assert linked(results, {"a": (), "b": ("a",)}) == [None, None]


def test_a_mere_notice_explains_nothing():
    results = [bad("a", severity=Severity.NOTICE), bad("b")]
    assert linked(results, {"a": (), "b": ("a",)}) == [None, None]


def test_a_failure_on_another_host_explains_nothing():
    results = [bad("a", Target("bak1")), bad("b")]
    assert linked(results, {"a": (), "b": ("a",)}) == [None, None]


def test_a_dead_port_explains_only_its_own_port():
    results = [
        bad("a", Target("mx1", 995)),
        bad("b", Target("mx1", 995)),
        bad("b", Target("mx1", 993)),
    ]
    assert linked(results, {"a": (), "b": ("a",)}) == [None, "a", None]


def test_a_dead_service_explains_the_ports_behind_it():
    results = [
        bad("a", Target("mx1", 0, "dovecot")),
        bad("b", Target("mx1", 993)),
        bad("b", Target("mx1", 25)),
    ]
    assert linked(results, {"a": (), "b": ("a",)}) == [None, "a", None]


def test_a_full_disk_explains_what_fails_on_its_host():
    results = [bad("a", Target("mx1", 0, "/var")), bad("b", Target("mx1", 25))]
    assert linked(results, {"a": (), "b": ("a",)}) == [None, "a"]


def test_what_shows_in_the_whole_system_may_come_from_any_host():
    results = [bad("a"), bad("b", Target("", 0, "外到内"))]
    assert linked(results, {"a": (), "b": ("a",)}) == [None, "a"]


def test_what_could_not_be_measured_hangs_on_what_failed():
    results = [bad("a"), Unmeasured("b", MX1, "没有回复")]
    assert linked(results, {"a": (), "b": ("a",)}) == [None, "a"]


def test_what_could_not_be_measured_explains_no_finding():
    results = [Unmeasured("a", MX1, "没有回复"), bad("b")]
    assert linked(results, {"a": (), "b": ("a",)}) == [None, None]


def test_what_was_answered_but_not_understood_explains_what_hangs_on_it():
    results = [Unmeasured("a", MX1, "请稍后"), Unmeasured("b", MX1, "没有回复")]
    assert linked(results, {"a": (), "b": ("a",)}) == [None, "a"]


def test_what_was_never_asked_explains_nothing():
    results = [Unmeasured("a", MX1, "没有探测"), Unmeasured("b", MX1, "没有探测")]
    assert linked(results, {"a": (), "b": ("a",)}, heard=set()) == [None, None]


def test_the_worst_of_several_causes_is_named():
    results = [
        bad("a", severity=Severity.WARNING),
        bad("b"),
        bad("c", severity=Severity.WARNING),
    ]
    assert linked(results, {"a": (), "b": (), "c": ("a", "b")}) == [None, None, "b"]


def test_a_lesser_finding_explains_no_worse_one():
    results = [bad("a", severity=Severity.WARNING), bad("b")]
    assert linked(results, {"a": (), "b": ("a",)}) == [None, None]


def test_a_backup_host_explains_nothing_about_the_mail_flow():
    results = [bad("a", Target("bak1", 0, "/data")), bad("b", Target("", 0, "外部→内部"))]
    assert linked(results, {"a": (), "b": ("a",)}) == [None, None]


def test_one_domain_explains_nothing_about_another():
    site = lab_system().site
    other = site.domains[0].model_copy(update={"name": "other.example"})
    system = System(site.model_copy(update={"domains": (*site.domains, other)}), site.profile())
    results = [
        bad("a", Target("", 0, "mail._domainkey.other.example")),
        bad("b", Target("", 0, "shili-bank.example 外发签名")),
        bad("b", Target("", 0, "other.example 外发签名")),
    ]
    checks = {"a": number_check("a"), "b": number_check("b", after=("a",))}
    causes = link_causes(results, checks, system, heard=set())
    assert [getattr(one, "caused_by", None) for one in causes] == [None, None, "a"]


def linked_blind(results):
    """Link a port's check, a series that is blind without it, and a third that names the series."""
    port = number_check("port", after=("series",))
    series = replace(number_check("series"), blind_after=("port",))
    third = number_check("third", after=("series",))
    checks = {check.name: check for check in (port, series, third)}
    heard = {(one.check, one.target) for one in results}
    causes = link_causes(results, checks, lab_system(), heard=heard)
    return [getattr(result, "caused_by", None) for result in causes]


def test_what_blinds_a_check_explains_that_it_could_not_be_measured():
    assert linked_blind([bad("port"), Unmeasured("series", MX1, "无")]) == [None, "port"]


def test_what_blinds_a_check_explains_none_of_its_findings():
    assert linked_blind([bad("port"), bad("series")]) == ["series", None]


def test_a_check_that_is_blind_does_not_explain_what_blinds_it():
    blind = [Unmeasured("port", MX1, "无"), Unmeasured("series", MX1, "无")]
    assert linked_blind(blind) == [None, "port"]
    assert linked_blind([*blind, Unmeasured("third", MX1, "无")])[2] == "port"


def fleet(*hosts):
    """Return the lab's mail host under each name; `b<a` makes b depend on a."""
    site = lab_system().site
    nodes = []
    for host in hosts:
        name, _, below = host.partition("<")
        change = {"name": name, "depends_on": (below,) if below else ()}
        nodes.append(site.nodes[0].model_copy(update=change))
    return System(site.model_copy(update={"nodes": tuple(nodes)}), site.profile())


def caused_by(results, checks, system):
    heard = {(one.check, one.target) for one in results}
    linked_results = link_causes(results, checks, system, heard=heard)
    return [getattr(one, "caused_by", None) for one in linked_results]


AB = {"a": number_check("a"), "b": number_check("b", after=("a",))}


def test_a_host_explains_what_fails_on_those_that_depend_on_it_however_indirectly():
    system = fleet("db", "store<db", "mx<store", "other")
    results = [bad("a", Target("db")), bad("b", Target("mx", 25)), bad("b", Target("other", 25))]
    assert caused_by(results, AB, system) == [None, "a", None]


def test_what_a_mail_host_depends_on_explains_what_shows_in_the_whole_system():
    system = fleet("db", "mx<db")
    nodes = (system.site.nodes[0].model_copy(update={"roles": ()}), system.site.nodes[1])
    system = System(system.site.model_copy(update={"nodes": nodes}), system.profile)
    assert caused_by([bad("a", Target("db")), bad("b", Target())], AB, system) == [None, "a"]


def test_a_host_explains_nothing_on_one_that_it_depends_on():
    system = fleet("db", "mx<db")
    assert caused_by([bad("a", Target("mx")), bad("b", Target("db"))], AB, system) == [None, None]


def test_a_subdomain_explains_nothing_about_the_domain_above_it():
    site = lab_system().site
    names = ("bank.example", "hk.bank.example")
    domains = tuple(site.domains[0].model_copy(update={"name": name}) for name in names)
    system = System(site.model_copy(update={"domains": domains}), site.profile())
    results = [
        bad("a", Target(part="hk.bank.example")),
        bad("b", Target(part="bank.example")),
        bad("b", Target(part="mail._domainkey.hk.bank.example")),
    ]
    assert caused_by(results, AB, system) == [None, None, "a"]


def test_every_chain_of_the_real_checks_ends_at_a_failure_that_leads():
    checks, system = {check.name: check for check in all_checks()}, lab_system()
    targets = (Target(), MX1, Target("mx1", 993))
    states = (bad, lambda name, target: Unmeasured(name, target, "无"))
    for seed in range(100):
        chance = Random(seed)
        chosen = {name: chance.choice(targets) for name in chance.sample(sorted(checks), 12)}
        results = [chance.choice(states)(name, target) for name, target in chosen.items()]
        results += [Unmeasured(name, targets[2], "无") for name in _ROUND if name not in chosen]
        causes = caused_by(results, checks, system)
        leading = {one.check for one, cause in zip(results, causes, strict=True) if cause is None}
        assert set(causes) - {None} <= leading


# Without the first of these known, the steadiness is not known; without it, the second is not.
_ROUND = ("submission.login", "tls.certificate", "service.steadiness")


def test_a_fleet_with_hundreds_of_failures_a_host_is_linked():
    hosts = [f"mx{number}" for number in range(24)]
    mounts = [bad("a", Target(host, 0, f"/m{mount}")) for host in hosts for mount in range(200)]
    ports = [bad("b", Target(host, port)) for host in hosts for port in range(200)]
    causes = caused_by([*mounts, *ports], AB, fleet(*hosts))
    assert causes == [None] * len(mounts) + ["a"] * len(ports)

from mailcare.inspection.causes import link_causes
from mailcare.inspection.check import Finding, Severity, Target, Unmeasured
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

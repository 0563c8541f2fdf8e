"""What the checks of DNS, TLS and topology say of recorded replies."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailcare.inspection.check import DoesNotApply, Reply, ReplyError, Severity, Subject, Target
from mailcare.systems.site import Deployment, Store, VirtualAddress
from mailcare.systems.system import System
from tests.inspection.checks.reply_files import (
    RECORDED_AT,
    REPLIES,
    check_named,
    replies_in,
    verdicts,
)
from tests.inspection.samples import lab_system

OK, NOTICE, WARNING, CRITICAL = Severity

JUDGED = [
    ("dns.mta_sts", "ok", OK, "enforce"),
    ("dns.mta_sts", "bad-enforced-mismatch", CRITICAL, "外域将拒绝投递"),
    ("dns.mta_sts", "bad-wildcard-too-deep", CRITICAL, "不含 MX 主机 mx1.shili-bank.example"),
    ("dns.mta_sts", "testing-mismatch", WARNING, "改为 enforce 后"),
    ("dns.mta_sts", "mode-none", WARNING, "策略为 none"),
    ("dns.mta_sts", "notice-testing", NOTICE, "策略为 testing"),
    ("dns.mta_sts", "notice-short-age", NOTICE, "建议不少于 7 天"),
    ("dns.mta_sts", "notice-absent", NOTICE, "没有 MTA-STS 记录"),
    ("dns.mta_sts", "notice-other-text", NOTICE, "没有 MTA-STS 记录"),
    ("dns.mta_sts", "two-records", WARNING, "有 2 条 MTA-STS 记录"),
    ("dns.mta_sts", "bad-record", WARNING, "记录无效"),
    ("dns.mta_sts", "policy-404", WARNING, "HTTP 404"),
    ("dns.mta_sts", "policy-html", WARNING, "策略文件无效"),
    ("dns.mta_sts", "policy-no-address", WARNING, "没有地址记录"),
    ("dns.mta_sts", "policy-refused", WARNING, "连接被拒绝"),
    ("dns.mta_sts", "policy-untrusted", WARNING, "Hostname mismatch"),
    ("dns.mta_sts", "policy-no-tls", WARNING, "TLS 握手失败"),
    ("dns.tls_rpt", "ok", OK, "已发布"),
    ("dns.tls_rpt", "ok-https", OK, "已发布"),
    ("dns.tls_rpt", "bad-address", WARNING, "记录无效"),
    ("dns.tls_rpt", "bad-no-rua", WARNING, "missing the required rua"),
    ("dns.tls_rpt", "two-records", WARNING, "有 2 条记录"),
    ("dns.tls_rpt", "notice-absent", NOTICE, "没有 TLS-RPT 记录"),
    ("dns.tls_rpt", "notice-spf-instead", NOTICE, "没有 TLS-RPT 记录"),
    ("dns.dane", "ok", OK, "相符"),
    ("dns.dane", "ok-issuer", OK, "相符"),
    ("dns.dane", "ok-rollover", OK, "2 条 TLSA"),
    ("dns.dane", "ok-whole", OK, "相符"),
    ("dns.dane", "ok-none", OK, "没有发布 TLSA"),
    ("dns.dane", "bad", CRITICAL, "外域将拒绝投递"),
    ("dns.dane", "bad-issuer-not-sent", CRITICAL, "1 条 TLSA 记录均与"),
    ("dns.dane", "bad-unknown-digest", CRITICAL, "1 条 TLSA 记录均与"),
    ("dns.soa", "ok", OK, "2 台权威 DNS 服务器均有应答"),
    ("dns.soa", "ok-after-a-moment", OK, "序列号一致"),
    ("dns.soa", "ok-second-try", OK, "序列号一致"),
    ("dns.soa", "ok-ipv6-unreachable-from-here", OK, "序列号一致"),
    ("dns.soa", "bad-serials", WARNING, "序列号不同（6、7）"),
    ("dns.soa", "bad-silent", WARNING, "（10.66.0.54）没有应答"),
    ("dns.soa", "bad-no-route-to-host", WARNING, "（10.66.0.54）没有应答"),
    ("dns.soa", "bad-refused", WARNING, "回答 REFUSED"),
    ("dns.soa", "bad-lame", WARNING, "不是该域的权威服务器"),
    ("dns.soa", "bad-homeless", WARNING, "dns1.shili-bank.example 没有地址记录"),
    ("dns.soa", "notice-single", NOTICE, "建议不少于 2 台"),
    ("dns.dnssec", "ok", OK, "签名有效"),
    ("dns.dnssec", "bad-expired", CRITICAL, "DNSKEY 记录的签名无效"),
    ("dns.dnssec", "bad-signature", CRITICAL, "SOA 记录的签名无效"),
    ("dns.dnssec", "bad-other-key", CRITICAL, "没有一把 DNSKEY"),
    ("dns.dnssec", "bad-unsigned", CRITICAL, "没有 DNSKEY"),
    ("dns.dnssec", "bad-no-signature", CRITICAL, "DNSKEY 记录没有签名"),
    ("dns.dnssec", "notice-absent", NOTICE, "没有启用 DNSSEC"),
    ("dns.dnssec", "notice-not-delegated", NOTICE, "上级没有 DS"),
    ("dns.ptr6", "ok", OK, "均有反向解析"),
    ("dns.ptr6", "ok-no-ipv6", OK, "没有 IPv6 地址"),
    ("dns.ptr6", "bad", WARNING, "2001:db8::11 没有反向解析"),
    ("tls.offers", "ok", OK, "只提供 TLSv1.2、TLSv1.3"),
    ("tls.offers", "ok-without-1.3", OK, "只提供 TLSv1.2（"),
    ("tls.offers", "ok-partly-tested", OK, "无法测试 TLSv1、TLSv1.1"),
    ("tls.offers", "bad-old", NOTICE, "过时协议 TLSv1、TLSv1.1"),
    ("tls.offers", "bad-ciphers", NOTICE, "弱算法 3DES、不验证身份（匿名）"),
    ("tls.offers", "notice-no-forward-secrecy", NOTICE, "无前向保密"),
    ("tls.names", "ok", OK, "mail.shili-bank.example"),
    ("tls.names", "bad-virtual-name", CRITICAL, "mail.shili-bank.example（端口 25）"),
    ("tls.names", "bad-exchanger-name", WARNING, "in.shili-bank.example（端口 25）"),
    ("cluster.declared", "ok", OK, "登记为单机"),
    ("cluster.declared", "bad-foreign-exchanger", WARNING, "mx9.shili-bank.example（10.66.0.99）"),
    ("cluster.declared", "bad-port-silent", WARNING, "mx1 自身的 993 端口"),
    ("cluster.virtual_address", "ok", OK, "4 个端口均有应答"),
    ("cluster.virtual_address", "bad-port", CRITICAL, "25 端口没有应答"),
    ("cluster.virtual_address", "bad-gone", CRITICAL, "25、587、993、443 端口没有应答"),
    ("cluster.virtual_address", "bad-certificate", CRITICAL, "证书不含该名称"),
    ("cluster.address_holder", "ok", OK, "由 mx1 持有"),
    ("cluster.address_holder", "ok-centos6", OK, "由 mx1 持有"),
    ("cluster.address_holder", "bad-nobody", CRITICAL, "没有主机持有"),
    ("cluster.single_points", "notice", NOTICE, "只有一个 MX 主机"),
    ("cluster.single_points", "notice-one-resolver", NOTICE, "只用一台 DNS 服务器"),
    ("cluster.single_points", "ok-two-resolvers", OK, "没有发现单点"),
]

# Judged for another system: of another form, or with other hosts.
ELSEWHERE = {
    "cluster.declared": {"ok-dual", "bad-dual-one-answers", "bad-dual-one-unused"},
    "cluster.address_holder": {"bad-two"},
    "cluster.single_points": {"bad-one-network", "ok-two-networks"},
    "cluster.user_counts": {"ok", "unmeasured-no-users", "bad"},
}

UNMEASURED = [
    ("dns.mta_sts", "unmeasured", "SERVFAIL"),
    ("dns.mta_sts", "unmeasured-no-resolver", "LifetimeTimeout"),
    ("dns.mta_sts", "unmeasured-no-route", "没有到达该网络的路由"),
    ("dns.tls_rpt", "unmeasured", "SERVFAIL"),
    ("dns.dane", "unmeasured", "连接被拒绝"),
    ("dns.dane", "unmeasured-dns", "SERVFAIL"),
    ("dns.soa", "unmeasured", "SERVFAIL"),
    ("dns.soa", "unmeasured-no-route", "没有问到任何一台"),
    ("dns.soa", "unmeasured-all-silent", "没有问到任何一台"),
    ("dns.dnssec", "unmeasured", "SERVFAIL"),
    ("dns.dnssec", "unmeasured-keys", "SERVFAIL"),
    ("dns.dnssec", "unmeasured-digest", "摘要算法"),
    ("dns.ptr6", "unmeasured", "SERVFAIL"),
    ("tls.offers", "unmeasured", "连接被拒绝"),
    ("tls.offers", "unmeasured-421", "没有一个 TLS 版本握手成功"),
    ("tls.offers", "unmeasured-nothing-taken", "没有一个 TLS 版本握手成功"),
    ("tls.names", "unmeasured", "连接被拒绝"),
    ("tls.names", "unmeasured-dns", "SERVFAIL"),
    ("cluster.declared", "unmeasured", "SERVFAIL"),
    ("cluster.virtual_address", "unmeasured", "没有到达该网络的路由"),
    ("cluster.virtual_address", "unmeasured-certificate", "TLS 握手失败"),
    ("cluster.address_holder", "unmeasured", "没有那个文件或目录"),
    ("cluster.address_holder", "unmeasured-garbage", "没有读到主机自身的地址"),
    ("cluster.address_holder", "unmeasured-no-cat", "主机上没有命令"),
    ("cluster.single_points", "unmeasured", "没有 nameserver"),
    ("cluster.single_points", "unmeasured-empty", "没有输出"),
    ("cluster.single_points", "unmeasured-dns", "SERVFAIL"),
    ("cluster.user_counts", "unmeasured", "a password is required"),
    ("cluster.user_counts", "unmeasured-chinese", "需要密码"),
    ("cluster.user_counts", "unmeasured-no-find", "find: not found"),
]

CHECKS = sorted({check for check, *_ in UNMEASURED})


@pytest.mark.parametrize(("check", "file", "severity", "words"), JUDGED)
def test_a_recorded_reply_is_judged_as_the_table_says(check, file, severity, words):
    [verdict] = verdicts(check, file)
    assert words in verdict.summary
    assert verdict.severity is severity
    assert bool(verdict.advice) == (severity > OK)


@pytest.mark.parametrize(("check", "file", "words"), UNMEASURED)
def test_a_reply_without_the_fact_is_unmeasured_with_its_reason(check, file, words):
    with pytest.raises(ReplyError) as caught:
        check_named(check).parse(replies_in(check, file))
    assert words in str(caught.value)


@pytest.mark.parametrize("check", CHECKS)
def test_every_reply_file_stands_in_a_table(check):
    tabled = {file for name, file, *_ in [*JUDGED, *UNMEASURED] if name == check}
    assert {path.stem for path in (REPLIES / check).iterdir()} == tabled | ELSEWHERE.get(
        check, set()
    )


def system_of(deployment: Deployment, **changes: object) -> System:
    """Return the lab with a second mail host, under another form of deployment."""
    system = lab_system()
    first = system.site.nodes[0]
    other = {"name": "mx2", "hostname": "mx2.shili-bank.example"}
    address = {"address": "10.66.0.12", "public_address": "10.66.0.12"}
    product = system.site.system.model_copy(update={"deployment": deployment})
    update = {
        "system": product,
        "nodes": (first, first.model_copy(update=other | address), *system.site.nodes[1:]),
        "virtual_addresses": (),
        "stores": (),
        **changes,
    }
    return replace(system, site=system.site.model_copy(update=update))


def judged(check: str, file: str, system: System):
    target = next(iter(check_named(check).ask(system))).target
    fact = check_named(check).parse(replies_in(check, file))
    subject = Subject(system, target, RECORDED_AT)
    [verdict] = check_named(check).judge(fact, check_named(check).limits, subject)
    return verdict


VIRTUAL = VirtualAddress(
    name="vip", hostname="mail.shili-bank.example", address="10.66.0.10", nodes=("mx1", "mx2")
)


@pytest.mark.parametrize(
    ("file", "severity", "words"),
    [
        ("ok-dual", OK, "登记为双机：2 台"),
        ("bad-dual-one-answers", WARNING, "2 台邮件主机中只有 1 台应答"),
        ("bad-dual-one-unused", WARNING, "没有 MX 或虚拟地址指向 mx2"),
        ("ok", WARNING, "只有 1 台应答"),
    ],
)
def test_a_pair_is_asked_for_both_its_halves(file, severity, words):
    verdict = judged("cluster.declared", file, system_of(Deployment.DUAL))
    assert verdict.severity is severity
    assert words in verdict.summary


def test_a_host_behind_a_virtual_address_needs_no_exchanger_of_its_own():
    system = system_of(Deployment.DUAL, virtual_addresses=(VIRTUAL,))
    assert judged("cluster.declared", "bad-dual-one-unused", system).severity is OK


def test_a_pair_declared_with_one_host_is_no_pair():
    system = system_of(Deployment.DUAL, nodes=lab_system().site.nodes)
    assert "只登记了 1 台邮件主机" in judged("cluster.declared", "ok", system).summary


def test_two_hosts_declared_as_single_contradict_each_other():
    verdict = judged("cluster.declared", "ok-dual", system_of(Deployment.SINGLE))
    assert "登记了 2 台邮件主机" in verdict.summary


def test_an_address_held_twice_is_critical_and_names_both():
    system = system_of(Deployment.DUAL, virtual_addresses=(VIRTUAL,))
    verdict = judged("cluster.address_holder", "bad-two", system)
    assert verdict.severity is CRITICAL
    assert "mx1、mx2" in verdict.summary


def test_an_ipv6_address_is_looked_for_where_the_kernel_lists_those():
    address = VIRTUAL.model_copy(update={"address": "2001:db8::10"})
    system = system_of(Deployment.DUAL, virtual_addresses=(address,))
    [question] = check_named("cluster.address_holder").ask(system)
    assert {ask.words for ask in question.asks} == {("cat", "/proc/net/if_inet6")}
    text = "20010db8000000000000000000000010 02 40 00 80     eth0\n"
    reply = Reply(text, 0, RECORDED_AT, "ssh://mx1")
    none = Reply("0" * 31 + "1 01 80 10 80       lo\n", 0, RECORDED_AT, "ssh://mx2")
    fact = check_named("cluster.address_holder").parse((reply, none))
    subject = Subject(system, question.target, RECORDED_AT)
    [verdict] = check_named("cluster.address_holder").judge(fact, None, subject)
    assert verdict.severity is OK


def test_what_is_a_known_risk_of_one_host_is_a_warning_for_a_cluster():
    store = Store(name="s", title="主存储", nodes=("mx1",))
    system = system_of(Deployment.CLUSTER, stores=(store,))
    verdict = judged("cluster.single_points", "bad-one-network", system)
    assert verdict.severity is WARNING
    assert "同一网段 10.66.0.0/24；存储「主存储」没有镜像" in verdict.summary


def test_a_system_without_single_points_is_in_order():
    store = Store(name="s", title="主存储", nodes=("mx1",), mirrored=True)
    system = system_of(Deployment.CLUSTER, stores=(store,))
    assert judged("cluster.single_points", "ok-two-networks", system).severity is OK


@pytest.mark.parametrize(
    ("file", "severity", "words"),
    [("ok", OK, "相差 0.4%"), ("bad", WARNING, "相差 8.3%")],
)
def test_distributed_hosts_are_compared_by_their_numbers_of_users(file, severity, words):
    verdict = judged("cluster.user_counts", file, system_of(Deployment.DISTRIBUTED))
    assert verdict.severity is severity
    assert words in verdict.summary


def test_hosts_without_a_single_user_are_not_alike_but_unmeasured():
    with pytest.raises(ReplyError, match="mail_store"):
        judged("cluster.user_counts", "unmeasured-no-users", system_of(Deployment.DISTRIBUTED))


def test_users_are_counted_in_distributed_systems_only():
    assert not list(check_named("cluster.user_counts").ask(lab_system()))


def test_old_versions_are_a_warning_where_users_log_in():
    for file in ("bad-old", "bad-ciphers"):
        [verdict] = verdicts("tls.offers", file, target=Target("mx1", 993))
        assert verdict.severity is WARNING


BYTES = st.binary().map(lambda data: data.decode("utf-8", "backslashreplace"))
MARKED = st.lists(st.tuples(st.sampled_from(["> ", "< ", "# "]), st.text(max_size=30))).map(
    lambda rows: "\n".join(mark + text for mark, text in rows)
)


PAIR = system_of(Deployment.DISTRIBUTED, virtual_addresses=(VIRTUAL,))


def read(check: str, replies: tuple[Reply, ...]) -> None:
    """Parse and judge replies to the check's first question, about a pair of hosts."""
    question = next(iter(check_named(check).ask(PAIR)))
    try:
        fact = check_named(check).parse(replies)
        subject = Subject(PAIR, question.target, RECORDED_AT)
        assert list(check_named(check).judge(fact, check_named(check).limits, subject))
    except (ReplyError, DoesNotApply):
        return


@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_bytes_are_a_fact_or_a_reason(check, data):
    asks = next(iter(check_named(check).ask(PAIR))).asks
    texts = data.draw(st.lists(st.one_of(BYTES, MARKED), min_size=len(asks), max_size=len(asks)))
    sources = [f"{ask.channel}://test" for ask in asks]
    read(check, tuple(map(lambda t, s: Reply(t, 0, RECORDED_AT, s), texts, sources)))


@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_mangled_reply_is_a_fact_or_a_reason(check, data):
    file = data.draw(st.sampled_from(sorted(path.stem for path in (REPLIES / check).iterdir())))
    mangled = []
    for one in replies_in(check, file):
        lines = one.text.splitlines()
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, max(len(lines) - 1, 0)))
            lines[at : at + data.draw(st.integers(0, 2))] = data.draw(
                st.lists(st.sampled_from([*lines, "# server a b", "> SOA x", ""]), max_size=2)
            )
        mangled.append(replace(one, text="\n".join(lines)))
    read(check, tuple(mangled))

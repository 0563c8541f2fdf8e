import pytest

from mailcare.inspection.check import (
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Verdict,
)
from tests.inspection.checks.reply_files import RECORDED_AT, REPLIES, check_named, verdicts
from tests.inspection.samples import lab_system

OK, NOTICE, WARNING, CRITICAL = Severity
PORT_587 = Target("mx1", 587)

JUDGED = [
    ("network.reach", "ok", OK, "9 个端口中 9 个有应答"),
    ("network.reach", "bad", CRITICAL, "2 个端口均无应答"),
    ("service.ports", "ok", OK, "接受连接"),
    ("service.ports", "bad", CRITICAL, "连接被拒绝"),
    ("service.ports", "timeout", CRITICAL, "连接超时"),
    ("smtp.greeting", "ok", OK, "220 mx1.shili-bank.example ESMTP Postfix"),
    ("smtp.greeting", "bad-name-and-no-starttls", WARNING, "mailgw.localdomain"),
    ("smtp.greeting", "bad-name-and-no-starttls", WARNING, "未提供 STARTTLS"),
    ("smtp.greeting", "bad-silent", CRITICAL, "等待应答超时"),
    ("smtp.greeting", "bad-refused", CRITICAL, "554 5.3.2 no service here"),
    ("submission.login", "ok", OK, "235 2.7.0"),
    ("submission.login", "bad", CRITICAL, "535 5.7.8"),
    ("submission.login", "temporary", WARNING, "454 4.7.0"),
    ("submission.login", "no-starttls", CRITICAL, "没有 STARTTLS"),
    ("submission.login", "no-auth", CRITICAL, "没有 AUTH"),
    ("submission.login", "silent", CRITICAL, "等待应答超时"),
    ("imap.login", "ok", OK, "Logged in"),
    ("imap.login", "bad", CRITICAL, "[AUTHENTICATIONFAILED]"),
    ("imap.login", "temporary", WARNING, "[UNAVAILABLE]"),
    ("imap.login", "no-inbox", CRITICAL, "[SERVERBUG]"),
    ("pop3.login", "ok", OK, "+OK Logged in"),
    ("pop3.login", "bad", CRITICAL, "-ERR [AUTH]"),
    ("pop3.login", "temporary", WARNING, "[SYS/TEMP]"),
    ("pop3.login", "no-maildrop", CRITICAL, "-ERR cannot open"),
    ("web.login_page", "ok", OK, "登录页正常"),
    ("web.login_page", "bad", CRITICAL, "状态码 502"),
    ("web.login_page", "wrong-page", WARNING, "「Roundcube」、输入框 _user"),
    ("web.login_page", "elsewhere", WARNING, "https://sso.example/"),
    ("web.login_page", "not-http", CRITICAL, "应答不是 HTTP"),
    ("tls.handshake", "ok", OK, "TLSv1.3"),
    ("tls.handshake", "bad", WARNING, "502 5.5.1 not implemented"),
    ("tls.handshake", "no-tls", WARNING, "TLS 握手失败"),
    ("tls.handshake", "temporary", WARNING, "454 4.7.0 TLS not available"),
    ("tls.handshake", "outdated", WARNING, "TLSv1 ECDHE"),
    ("tls.certificate", "ok", OK, "端口 25、587、465、143、993、110、995、443"),
    ("tls.certificate", "bad-expired", CRITICAL, "过期"),
    ("tls.certificate", "bad-untrusted", WARNING, "self-signed certificate"),
    ("tls.certificate", "bad-name", CRITICAL, "www.outside.example"),
    ("tls.certificate", "expiring", WARNING, "下限 30 天"),
    ("tls.certificate", "one-port-refused", OK, "端口 993"),
    ("tls.certificate", "ok-chain", OK, "证书有效"),
    ("tls.certificate", "bad-chain-missing", WARNING, "没有发送中间证书「CN=Intermediate CA」"),
    ("tls.certificate", "notice-chain-order", NOTICE, "证书链顺序有误"),
    ("tls.certificate", "bad-weak-intermediate", WARNING, "CN=Old Intermediate RSA 1024 位"),
    ("tls.certificate", "bad-sha1", WARNING, "由 SHA1 签名"),
    ("security.open_relay", "ok", OK, "Relay access denied"),
    ("security.open_relay", "ok-454", OK, "454 4.7.1"),
    ("security.open_relay", "ok-login-first", OK, "530 5.7.0"),
    ("security.open_relay", "ok-recipient", OK, "Recipient address rejected"),
    ("security.open_relay", "ok-rcpthosts", OK, "rcpthosts"),
    ("security.open_relay", "bad", CRITICAL, "250 2.1.5 Ok"),
    ("dns.resolver", "ok", OK, "10.66.0.53:53"),
    ("dns.resolver", "bad", CRITICAL, "timeout"),
    ("dns.resolver", "bad-servfail", CRITICAL, "SERVFAIL"),
    ("dns.resolver", "bad-nxdomain", CRITICAL, "不存在"),
    ("dns.mx", "ok", OK, "mx1.shili-bank.example"),
    ("dns.mx", "ok-other-name", OK, "mail.shili-bank.example"),
    ("dns.mx", "bad-wrong", CRITICAL, "mx9.shili-bank.example（10.66.0.99）"),
    ("dns.mx", "bad-missing", CRITICAL, "没有 MX 记录"),
    ("dns.mx", "bad-unresolved", CRITICAL, "gone.shili-bank.example 没有地址记录"),
    ("dns.mx", "bad-null", CRITICAL, "声明本域不收邮件"),
    ("dns.mx", "ok-backup-elsewhere", OK, "backup.partner.example"),
    ("dns.mx", "ok-virtual-address", OK, "in.shili-bank.example"),
    ("dns.mx", "bad-backup-unresolved", WARNING, "gone.example 没有地址记录"),
    ("dns.mx", "bad-alias", WARNING, "别名（CNAME）"),
    ("dns.mx", "bad-address", CRITICAL, "MX 写成了地址 10.66.0.11"),
    ("dns.mx", "bad-half-elsewhere", CRITICAL, "mx.other.example（192.0.2.9）"),
    ("dns.mx", "notice-twice", NOTICE, "重复登记"),
    ("dns.addresses", "ok", OK, "10.66.0.11"),
    ("dns.addresses", "bad-missing", CRITICAL, "没有地址记录，应为 10.66.0.11"),
    ("dns.addresses", "bad-other", WARNING, "10.66.0.12，应为 10.66.0.11"),
    ("dns.addresses", "bad-exchanger", CRITICAL, "应为 10.66.0.11，外来邮件按此地址投递"),
    ("dns.addresses", "bad-other-than-exchanger", WARNING, "10.66.0.12，应为 10.66.0.11"),
    ("dns.addresses", "other-public", WARNING, "8.8.8.8，应为 10.66.0.11"),
    ("dns.ptr", "ok", OK, "正反一致"),
    ("dns.ptr", "bad-missing", WARNING, "没有反向解析"),
    ("dns.ptr", "bad-wrong", WARNING, "host-1.example，应为 mx1.shili-bank.example"),
    ("dns.ptr", "bad-not-confirmed", WARNING, "不能解析回 10.66.0.11"),
    ("dns.spf", "ok", OK, "授权了全部"),
    ("dns.spf", "ok-include", OK, "授权了全部"),
    ("dns.spf", "ok-redirect", OK, "授权了全部"),
    ("dns.spf", "bad-fail", CRITICAL, "10.66.0.11（fail）"),
    ("dns.spf", "softfail", WARNING, "10.66.0.11（softfail）"),
    ("dns.spf", "missing", WARNING, "没有 SPF 记录"),
    ("dns.spf", "nxdomain", WARNING, "没有 SPF 记录"),
    ("dns.spf", "invalid", WARNING, "permerror"),
    ("dns.spf", "two-records", WARNING, "permerror"),
    ("dns.spf", "include-without-record", WARNING, "permerror"),
    ("dns.spf", "everyone", WARNING, "+all"),
    ("dns.dkim", "ok", OK, "RSA 2048 位"),
    ("dns.dkim", "bad-missing", WARNING, "没有 DKIM 公钥"),
    ("dns.dkim", "bad-revoked", WARNING, "已撤销"),
    ("dns.dkim", "bad-unreadable", WARNING, "无法解析"),
    ("dns.dkim", "bad-no-keys-at-all", WARNING, "没有 DKIM 公钥"),
    ("dns.dkim", "notice-1024", NOTICE, "RSA 1024 位，建议 2048 位"),
    ("dns.dmarc", "ok", OK, "quarantine"),
    ("dns.dmarc", "bad", WARNING, "没有 DMARC 记录"),
    ("dns.dmarc", "invalid", WARNING, "DMARC 记录无效"),
    ("dns.dmarc", "notice-none", NOTICE, "none"),
    ("dns.dmarc", "notice-testing", NOTICE, "测试方式"),
    ("dns.dmarc", "notice-percentage", NOTICE, "测试方式"),
    ("dns.dmarc", "ok-whole-percentage", OK, "reject"),
    ("dns.dmarc", "notice-subdomains", NOTICE, "none"),
    ("dns.dmarc", "ok-parent", OK, "reject"),
    ("dns.blocklist", "ok", OK, "不在黑名单"),
    ("dns.blocklist", "bad", CRITICAL, "127.0.0.2、127.0.0.4：10.66.0.11 sent spam"),
    ("loop.internal", "ok", OK, "上限 15 秒"),
    ("loop.internal", "bad-lost", CRITICAL, "0.2 秒内没有到达"),
    ("loop.internal", "bad-refused", CRITICAL, "452 4.3.1 Insufficient system storage"),
    ("loop.inbound", "ok", OK, "外部→内部"),
    ("loop.inbound", "bad-junk", WARNING, "被放入 Junk"),
    ("loop.inbound", "bad-lost", CRITICAL, "没有到达"),
    ("loop.outbound", "ok", OK, "内部→外部"),
    ("loop.outbound", "late", WARNING, "20.3 秒到达（上限 15 秒）"),
    ("loop.outbound", "bad-bounced", CRITICAL, "已被退信（Diagnostic-Code: smtp; 550 no）"),
    ("loop.dkim", "ok", OK, "签名有效"),
    ("loop.dkim", "bad-other-key", WARNING, "签名与公布的公钥不符"),
    ("loop.dkim", "bad-padding", WARNING, "Incorrect padding"),
    ("loop.dkim", "bad-no-key", WARNING, "验证失败"),
    ("loop.dkim", "bad-unsigned", WARNING, "没有 DKIM 签名"),
]

UNMEASURED = [
    ("network.reach", "unmeasured", "没有到达该网络的路由"),
    ("service.ports", "unmeasured", "不是探测记录"),
    ("smtp.greeting", "unmeasured", "421 4.3.2 Too busy"),
    ("smtp.greeting", "unmeasured-closed-port", "端口 25 连接被拒绝"),
    ("submission.login", "unmeasured", "421 4.7.0 too many errors"),
    ("submission.login", "no-tls", "为保护口令"),
    ("submission.login", "unmeasured-distrusted", "未发送口令：self-signed certificate"),
    ("imap.login", "unmeasured-distrusted", "未发送口令：certificate has expired"),
    ("pop3.login", "unmeasured-distrusted", "未发送口令：Hostname mismatch"),
    ("loop.internal", "unmeasured-distrusted", "未发送口令：self-signed certificate"),
    ("imap.login", "unmeasured", "[LIMIT]"),
    ("imap.login", "unmeasured-bye", "BYE too many connections"),
    ("pop3.login", "unmeasured", "[IN-USE]"),
    ("web.login_page", "unmeasured", "TLS 握手失败"),
    ("tls.handshake", "unmeasured", "UNSUPPORTED_PROTOCOL"),
    ("tls.certificate", "unmeasured", "连接被拒绝"),
    ("tls.certificate", "unmeasured-odd-version", "not a valid X509 version"),
    ("security.open_relay", "unmeasured", "450 4.2.0 Greylisted"),
    ("security.open_relay", "unmeasured-blocked", "zen.example"),
    ("security.open_relay", "unmeasured-spf", "5.7.23"),
    ("security.open_relay", "unmeasured-sender-domain", "Domain not found"),
    ("security.open_relay", "unmeasured-client", "reverse hostname"),
    ("security.open_relay", "unmeasured-unknown", "no such user"),
    ("security.open_relay", "unmeasured-at-mail", "550 5.7.1 sender refused"),
    ("dns.resolver", "unmeasured", "巡检机的解析服务器"),
    ("dns.mx", "unmeasured", "SERVFAIL"),
    ("dns.addresses", "unmeasured", "REFUSED"),
    ("dns.ptr", "unmeasured", "SERVFAIL"),
    ("dns.spf", "unmeasured", "SERVFAIL"),
    ("dns.spf", "unmeasured-exists", "无法静态判断"),
    ("dns.spf", "unmeasured-a-macro", "无法静态判断"),
    ("dns.spf", "unmeasured-mx-macro", "无法静态判断"),
    ("dns.spf", "unmeasured-redirect-macro", "无法静态判断"),
    ("dns.spf", "unmeasured-mx-prefix", "无法静态判断"),
    ("dns.spf", "unmeasured-include", "_spf.vendor.example"),
    ("dns.dkim", "unmeasured", "SERVFAIL"),
    ("dns.dkim", "unmeasured-no-selector", "dkim_selectors"),
    ("dns.dmarc", "unmeasured", "SERVFAIL"),
    ("dns.blocklist", "unmeasured", "timeout"),
    ("dns.blocklist", "unmeasured-dead", "测试点 127.0.0.2 没有列出"),
    ("dns.blocklist", "unmeasured-wildcard", "测试点 127.0.0.1"),
    ("dns.blocklist", "unmeasured-refused", "127.255.255.254"),
    ("dns.blocklist", "unmeasured-hijacked", "192.0.2.80"),
    ("loop.internal", "unmeasured", "无法查看收件箱"),
    ("loop.internal", "unmeasured-421", "421 4.3.2"),
    ("loop.inbound", "unmeasured", "550 5.7.1 no"),
    ("loop.outbound", "unmeasured", "421 4.3.2 no"),
    ("loop.dkim", "unmeasured", "没有到达外部邮箱"),
    ("loop.dkim", "unmeasured-servfail", "SERVFAIL"),
]

CHECKS = sorted({check for check, *_ in JUDGED})


@pytest.mark.parametrize(("check", "file", "severity", "words"), JUDGED)
def test_a_recorded_reply_is_judged_as_the_table_says(check, file, severity, words):
    [verdict] = verdicts(check, file)
    assert verdict.severity is severity
    assert words in verdict.summary


@pytest.mark.parametrize(("check", "file", "severity", "_words"), JUDGED)
def test_a_bad_finding_says_what_to_do_and_a_good_one_does_not(check, file, severity, _words):
    [verdict] = verdicts(check, file)
    assert bool(verdict.advice) == (severity > OK)


@pytest.mark.parametrize(("check", "file", "words"), UNMEASURED)
def test_a_reply_without_the_fact_is_unmeasured_with_its_reason(check, file, words):
    with pytest.raises(ReplyError) as caught:
        verdicts(check, file)
    assert words in str(caught.value)


@pytest.mark.parametrize("check", CHECKS)
def test_every_reply_file_stands_in_a_table(check):
    tabled = {file for name, file, *_ in [*JUDGED, *UNMEASURED] if name == check}
    assert {path.stem for path in (REPLIES / check).iterdir()} - tabled <= {"two-certificates"}


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_has_an_ok_a_bad_and_an_unmeasured_reply(check):
    kinds = {path.stem.partition("-")[0] for path in (REPLIES / check).iterdir()}
    assert {"ok", "bad", "unmeasured"} <= kinds
    assert check_named(check).source


def test_a_lost_handshake_is_critical_where_users_passwords_hang_on_it():
    [verdict] = verdicts("tls.handshake", "no-tls", target=Target("mx1", 993))
    assert verdict.severity is CRITICAL


def test_two_certificates_on_one_host_are_two_findings_each_with_its_ports():
    found = {verdict.part: verdict for verdict in verdicts("tls.certificate", "two-certificates")}
    assert set(found) == {"993、995", "465"}
    assert found["993、995"].severity is OK
    assert found["465"].severity is CRITICAL
    assert found["465"].metrics["days_left"] < 0


def greeted(check: str, words: str) -> list[Reply]:
    """Answer a check's first question about an SMTP port: its server says this, and no more."""
    question = first_about_smtp(check)
    head = "# connecting 10.66.0.11 25\n# connected\n# connect_ms 0.2\n"
    stage = "# stage submission\n" if check.startswith("loop.") else ""
    said = f"{stage}{head}< {words}\n"
    if check == "service.steadiness":
        kind = "declined" if words.startswith("4") else "failed"
        rounds = (f"# round {number} {kind} {words}\n" for number in range(1, 11))
        said = "# series smtp 10 5\n" + "".join(rounds)
    return [Reply(said, 0, RECORDED_AT, f"{one.channel}://test") for one in question.asks]


def judge_greeting(check: str, words: str) -> list[Verdict]:
    judged = check_named(check)
    fact = judged.parse(tuple(greeted(check, words)))
    target = first_about_smtp(check).target
    return list(judged.judge(fact, judged.limits, Subject(lab_system(), target, RECORDED_AT)))


def first_about_smtp(check: str) -> Question:
    asked = check_named(check).ask(lab_system())
    return next(one for one in asked if one.target.port in (0, 25, 587))


AT_CONNECT = (
    *("smtp.greeting", "security.open_relay", "submission.login", "tls.handshake"),
    *("service.steadiness", "loop.matrix", "loop.providers", "loop.internal", "loop.outbound"),
)


@pytest.mark.parametrize("check", AT_CONNECT)
@pytest.mark.parametrize(
    "words",
    [
        "421 4.3.2 Too busy",
        "450 4.7.1 Client host rejected: cannot find your hostname",
        "451 4.7.1 Greylisting in action, please come back later",
        "454 4.7.0 Connection rate limit exceeded",
    ],
)
def test_a_server_that_puts_us_off_as_we_connect_is_unmeasured(check, words):
    with pytest.raises(ReplyError, match=words[:3]):
        judge_greeting(check, words)


@pytest.mark.parametrize("check", AT_CONNECT)
def test_a_server_that_refuses_us_for_good_is_never_called_sound(check):
    try:
        found = judge_greeting(check, "554 5.7.1 Your address is blocked")
    except ReplyError:
        assert check != "smtp.greeting"
        return
    assert all(one.severity > OK for one in found)

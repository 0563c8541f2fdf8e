"""What the checks of attacks and exposure say about recorded replies, and that none breaks them."""

import subprocess
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailcare.inspection.causes import link_causes
from mailcare.inspection.check import Finding, Reply, ReplyError, Severity, Subject, Target
from mailcare.inspection.checks import all_checks
from mailcare.inspection.collect.frames import decode
from mailcare.inspection.planning import plan_inspection
from mailcare.systems.profile import AttackSign, Confidence, Known, LogPattern
from mailcare.systems.site import Node
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
SYSTEM = lab_system()

CHECKS = (
    "security.attack_signs",
    "security.login_failures",
    "security.sending_spikes",
    "security.forwards",
    "security.admin_pages",
    "security.ssh_password",
    "security.ssh_root",
)

MEASURED = [
    ("security.attack_signs", "ok", OK, "已查 2026-11-18 00:00 至 2026-11-24 07:59 的日志"),
    ("security.attack_signs", "ok-few-failures", OK, "没有达到限值的攻击迹象"),
    (
        "security.attack_signs",
        "attempts",
        WARNING,
        "16 次；来自 2 个地址，最多的是 203.0.113.9（14",
    ),
    ("security.attack_signs", "attempts", WARNING, "首次 11-22 03:10，最近 11-23 03:12"),
    ("security.attack_signs", "bad", CRITICAL, "可能已得手"),
    ("security.attack_signs", "front-page", WARNING, "状态码 200×2"),
    ("security.attack_signs", "bad-beside-front-page", CRITICAL, "可能已得手"),
    ("security.attack_signs", "guessing", WARNING, "同一地址每小时 ≥ 50 次"),
    ("security.attack_signs", "cut-log", WARNING, "至少 3 次"),
    ("security.attack_signs", "cut-log", WARNING, "access.log 只读了最后 20 MiB"),
    ("security.attack_signs", "odd-format", WARNING, "状态码 不明×2"),
    ("security.login_failures", "ok", OK, "登录失败 3 次，单个地址最多 3 次"),
    ("security.login_failures", "ok-own-probes", OK, "登录失败 0 次"),
    ("security.login_failures", "ok-too-old", OK, "登录失败 0 次"),
    ("security.login_failures", "ok-old-phone", OK, "登录失败 40 次"),
    ("security.login_failures", "brute-force", WARNING, "210 次，最多一小时 120 次，涉及 2 个账号"),
    ("security.login_failures", "slow-brute-force", WARNING, "207 次，最多一小时 9 次"),
    ("security.login_failures", "bad", CRITICAL, "203.0.113.9 失败 40 次后，于 11-24 05:21"),
    ("security.login_failures", "guessed-old-postfix", CRITICAL, "账号 zhangsan 的口令可能已"),
    ("security.login_failures", "spraying", WARNING, "20 个账号登录失败（警告 ≥ 20 个）"),
    ("security.login_failures", "besieged", WARNING, "被 12 个地址猜口令，24 小时内失败 60 次"),
    ("security.sending_spikes", "ok", OK, "单个账号一小时最多 12 封"),
    ("security.sending_spikes", "ok-own-probes", OK, "没有用户发信"),
    ("security.sending_spikes", "ok-nobody", OK, "没有用户发信"),
    ("security.sending_spikes", "high", WARNING, "11-24 03 时发信 220 封"),
    ("security.sending_spikes", "bad", CRITICAL, "发信 至少 2400 封"),
    ("security.sending_spikes", "unusual", WARNING, "发信 80 封，其余时段每小时中位数 2 封"),
    ("security.forwards", "ok", OK, "共 3 条转发"),
    ("security.forwards", "ok-none", OK, "共 0 条转发"),
    ("security.forwards", "bad", WARNING, "2 条转发指向外部域，如 zhangsan@shili-bank.example →"),
    ("security.forwards", "notice-old", NOTICE, "其中 0 条"),
    ("security.forwards", "lookalike", WARNING, "lisi@notshili-bank.example"),
    ("security.forwards", "ok-local-names", OK, "共 4 条转发"),
    ("security.forwards", "partly", WARNING, "另有 1 处未能读取"),
    ("security.admin_pages", "ok", OK, "/postfixadmin/ 状态码 404"),
    ("security.admin_pages", "ok-same-page-everywhere", OK, "不存在"),
    ("security.admin_pages", "ok-forbidden", OK, "打不开管理页面"),
    ("security.admin_pages", "ok-refused", OK, "连接被拒绝"),
    ("security.admin_pages", "ok-elsewhere", OK, "跳转到 https://sso.shili-bank.example/"),
    ("security.admin_pages", "bad", WARNING, "状态码 200，页面标题「Postfix Admin」"),
    ("security.admin_pages", "bad-redirected", WARNING, "/postfixadmin/ 可从巡检机经 10.66.0.11"),
    ("security.admin_pages", "bad-basic", WARNING, "状态码 401"),
    ("security.ssh_password", "ok", OK, "只提供 publickey（应无 password"),
    ("security.ssh_password", "ok-gssapi", OK, "gssapi-with-mic"),
    ("security.ssh_password", "bad", WARNING, "提供 publickey、password"),
    ("security.ssh_password", "bad-keyboard", WARNING, "keyboard-interactive"),
    ("security.ssh_root", "ok", OK, "PermitRootLogin 为 no"),
    ("security.ssh_root", "ok-debian-default", OK, "PermitRootLogin 为 prohibit-password"),
    ("security.ssh_root", "ok-drop-in-first", OK, "PermitRootLogin 为 no"),
    ("security.ssh_root", "ok-busybox-image", OK, "prohibit-password"),
    ("security.ssh_root", "ok-match", OK, "PermitRootLogin 为 no"),
    ("security.ssh_root", "bad", WARNING, "root 可以用口令登录"),
    ("security.ssh_root", "bad-centos-7", WARNING, "root 可以用口令登录"),
    ("security.ssh_root", "bad-rhel-9-drop-in", WARNING, "root 可以用口令登录"),
    ("security.ssh_root", "bad-effective", WARNING, "root 可以用口令登录"),
    ("security.ssh_root", "notice-key-only", NOTICE, "root 可以用密钥登录"),
]

UNMEASURED = [
    ("security.attack_signs", "unmeasured", "没有权限读取 /var/log/nginx/access.log.*adm"),
    ("security.attack_signs", "unmeasured-absent", "没有产品档案所写的日志"),
    ("security.attack_signs", "unmeasured-stale", "多日没有写入"),
    ("security.attack_signs", "unmeasured-empty", "为空"),
    ("security.attack_signs", "unmeasured-not-finished", "没有查完"),
    ("security.attack_signs", "unmeasured-no-tools", "awk"),
    ("security.attack_signs", "unmeasured-no-clock", "时间和时区"),
    ("security.attack_signs", "unmeasured-chinese", "没有查完"),
    ("security.login_failures", "unmeasured", "没有权限读取 /var/log/mail.log"),
    ("security.login_failures", "unmeasured-silent", "近 24 小时邮件日志没有记录"),
    ("security.login_failures", "unmeasured-odd-time", "时间无法识别"),
    ("security.login_failures", "unmeasured-row", "无法识别"),
    ("security.login_failures", "unmeasured-row-time", "时间无法识别"),
    ("security.login_failures", "unmeasured-absent", "没有产品档案所写的日志"),
    ("security.login_failures", "unmeasured-busybox", "没有查完"),
    ("security.sending_spikes", "unmeasured", "没有权限读取 /var/log/maillog"),
    ("security.sending_spikes", "unmeasured-row", "无法识别"),
    ("security.forwards", "unmeasured", "转发设置有 1 处未能读取，如 proxy:mysql"),
    ("security.forwards", "unmeasured-too-long", "1200 条未列出"),
    ("security.forwards", "unmeasured-old-postfix", "无法识别"),
    ("security.forwards", "unmeasured-no-postconf", "没有读取转发设置的命令"),
    ("security.forwards", "unmeasured-cut", "退出码 141"),
    ("security.forwards", "unmeasured-no-clock", "date"),
    ("security.admin_pages", "unmeasured", "无法判断：状态码 502"),
    ("security.admin_pages", "unmeasured-timeout", "连接超时"),
    ("security.admin_pages", "unmeasured-tls", "TLS 握手失败"),
    ("security.admin_pages", "unmeasured-not-http", "不是 HTTP"),
    ("security.ssh_password", "unmeasured", "等待应答超时"),
    ("security.ssh_password", "unmeasured-refused", "端口 22 连接被拒绝"),
    ("security.ssh_password", "unmeasured-closed", "连接被对方中断"),
    ("security.ssh_password", "unmeasured-nothing", "没有说出登录方式"),
    ("security.ssh_root", "unmeasured", "没有权限读取 /etc/ssh/sshd_config"),
    ("security.ssh_root", "unmeasured-absent", "没有 /etc/ssh/sshd_config"),
    ("security.ssh_root", "unmeasured-sudo", "无法识别"),
    ("security.ssh_root", "unmeasured-no-sh", "没有 sh"),
]


@pytest.mark.parametrize(("check", "file", "severity", "words"), MEASURED)
def test_a_reply_is_judged_with_its_number_and_its_limit(check, file, severity, words):
    found = verdicts(check, file)
    assert max(one.severity for one in found) == severity
    assert any(words in one.summary for one in found)
    assert all(one.advice for one in found if one.severity)


@pytest.mark.parametrize(("check", "file", "words"), UNMEASURED)
def test_a_reply_that_does_not_hold_the_fact_is_unmeasured(check, file, words):
    with pytest.raises(ReplyError, match=words):
        verdicts(check, file)


def test_every_reply_file_has_a_verdict_of_its_own():
    told = {(row[0], row[1]) for row in [*MEASURED, *UNMEASURED]}
    files = {(check, path.stem) for check in CHECKS for path in (REPLIES / check).iterdir()}
    assert files == told


def test_an_address_that_guessed_a_password_is_not_reported_twice():
    [only] = verdicts("security.login_failures", "bad")
    assert only.part == "203.0.113.9 zhangsan@shili-bank.example"


def test_evidence_shows_the_requests_that_succeeded_first():
    [only] = verdicts("security.attack_signs", "bad")
    assert '" 200 ' in only.evidence[0]


def with_nodes(**changes: object) -> System:
    system = lab_system()
    nodes = tuple(node.model_copy(update=changes) for node in system.site.nodes)
    return System(system.site.model_copy(update={"nodes": nodes}), system.profile)


def judged(check: str, file: str, system: System, target: Target):
    subject_of = check_named(check)
    fact = subject_of.parse(replies_in(check, file))
    return list(subject_of.judge(fact, subject_of.limits, Subject(system, target, RECORDED_AT)))


def test_a_page_that_opens_from_the_inside_says_nothing_of_the_outside():
    hidden = with_nodes(public_address=None)
    with pytest.raises(ReplyError, match=r"从内网测得 /postfixadmin/.*public_address"):
        judged("security.admin_pages", "bad", hidden, Target("mx1", 443))
    [shut] = judged("security.admin_pages", "ok", hidden, Target("mx1", 443))
    assert shut.severity is OK


def test_passwords_at_an_inside_address_are_a_notice():
    hidden = with_nodes(public_address=None)
    [only] = judged("security.ssh_password", "bad", hidden, Target("mx1"))
    assert only.severity is NOTICE
    assert "内网地址" in only.summary


@pytest.mark.parametrize("cause", ["web.login_page", "storage.space", "network.reach"])
@pytest.mark.parametrize("check", [*CHECKS, "security.listeners"])
def test_what_was_found_open_or_attacked_is_no_consequence_of_another_failure(check, cause):
    target = Target("mx1", 443 if check == "security.admin_pages" else 0)
    results = (
        Finding(cause, Target("mx1", 0), CRITICAL, "x"),
        Finding(check, target, WARNING, "y"),
    )
    checks = {one.name: one for one in all_checks()}
    linked = link_causes(results, checks, SYSTEM, heard=set())
    assert [one.caused_by for one in linked if isinstance(one, Finding)] == [None, None]


def test_drop_ins_in_a_closed_folder_are_not_taken_for_absent(tmp_path):
    folder = tmp_path / "ssh" / "sshd_config.d"
    folder.mkdir(parents=True)
    (tmp_path / "ssh" / "sshd_config").write_text("PermitRootLogin no\n")
    [ask] = next(iter(check_named("security.ssh_root").ask(SYSTEM))).asks
    script = ask.words[2].replace("/etc/ssh", str(tmp_path / "ssh")).replace("sudo", "false")
    # Root may read whatever it likes, so the test of the folder stands in for the closed folder.
    closed = script.replace('[ -r "$file" ]', '[ ! -d "$file" ]')
    assert closed != script
    said = [run_shell(text) for text in (script, closed)]
    assert "mailcare: end" in said[0]
    assert said[1].startswith(f"mailcare: denied {folder}")


def run_shell(script: str) -> str:
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=False, text=True)
    return done.stdout


def test_admin_pages_are_fetched_at_the_address_that_the_outside_sees():
    outside = with_nodes(public_address="203.0.113.80", expected_ports=(80,))
    asked = plan_inspection(outside, [check_named("security.admin_pages")])
    doors = {question.target.port: question.asks[0].words for _, question in asked.questions}
    assert doors[443][1:4] == ("203.0.113.80", "443", "implicit")
    assert doors[80][1:4] == ("203.0.113.80", "80", "none")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("attack_signs", (AttackSign(name="x", title="x", regex=r"\d+"),), "POSIX"),
        ("attack_signs", (AttackSign(name="x", title="x", regex="("),), "不是正则表达式"),
        ("login_failures", (LogPattern(path="/l", regex="(?P<address>a)"),), "account"),
        ("login_failures", (LogPattern(path="/l", regex="(?:a)"),), "POSIX"),
    ],
)
def test_a_pattern_that_the_hosts_tools_cannot_look_for_is_a_gap(field, value, reason):
    system = lab_system()
    known = Known(value=value, confidence=Confidence.ASSUMED)
    changed = replace(system, profile=system.profile.model_copy(update={field: known}))
    name = "security.attack_signs" if field == "attack_signs" else "security.login_failures"
    [gap] = plan_inspection(changed, [check_named(name)]).settled
    assert reason in gap.reason


def read(check: str, texts: list[tuple[str, int]]) -> None:
    subject_of = check_named(check)
    system = SYSTEM
    target = next(iter(subject_of.ask(system))).target
    replies = tuple(Reply(text, code, RECORDED_AT, "ssh://mx1") for text, code in texts)
    try:
        fact = subject_of.parse(replies)
        assert list(subject_of.judge(fact, subject_of.limits, Subject(system, target, RECORDED_AT)))
    except ReplyError:
        return


@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_arbitrary_bytes_are_at_worst_unmeasured(check, data):
    count = len(next(iter(check_named(check).ask(SYSTEM))).asks)
    texts = data.draw(st.lists(st.binary(max_size=400), min_size=count, max_size=count))
    codes = st.sampled_from([0, 1, 2, 127, 141])
    read(check, [(decode(text), data.draw(codes)) for text in texts])


@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_mangled_reply_is_at_worst_unmeasured(check, data):
    file = data.draw(st.sampled_from(sorted(path.stem for path in (REPLIES / check).iterdir())))
    texts = []
    for reply in replies_in(check, file):
        words = reply.text.split(" ")
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, len(words) - 1))
            odd = st.sampled_from(["9" * 5000, "\t", "\n", "-1", "²", "0001-01-01T00:00:00Z", ""])
            words[at] = data.draw(st.one_of(odd, st.text(max_size=8)))
        texts.append((" ".join(words), reply.exit_code))
    read(check, texts)


def test_a_node_without_ssh_is_still_asked_what_it_offers():
    asked = plan_inspection(with_nodes(ssh=None), [check_named("security.ssh_password")])
    words = [question.asks[0].words for _, question in asked.questions]
    assert words[0] == ("ssh-methods", "10.66.0.11", "22", "mailcare")


def test_the_samples_have_a_public_address():
    node: Node = lab_system().node("mx1")
    assert node.is_seen

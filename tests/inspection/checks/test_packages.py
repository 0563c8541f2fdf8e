"""What the checks of versions, updates, restarts and own developments say about field replies."""

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailcare.inspection.advisories import known_advisories
from mailcare.inspection.causes import link_causes
from mailcare.inspection.check import (
    DoesNotApply,
    Finding,
    Manual,
    NotApplicable,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Unmeasured,
)
from mailcare.inspection.checks.processes import PROCESS_LIST
from mailcare.inspection.checks.updates import UPDATES
from mailcare.inspection.collect.frames import decode
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.planning import plan_inspection
from mailcare.systems.profile import Extension, Known, VersionQuery, load_profile
from mailcare.systems.system import System
from tests.inspection.checks.reply_files import (
    RECORDED_AT,
    REPLIES,
    check_named,
    replies_in,
    verdicts,
)
from tests.inspection.samples import lab_system, reply

OK, NOTICE, WARNING, CRITICAL = Severity
MX1 = Target("mx1")
SYSTEM = lab_system()
BRIDGE = Target("mx1", part="OA 待办提醒")
NAMES = (
    "app.advisory",
    "app.secondary_development",
    "os.restart",
    "os.serious_bugs",
    "os.updates",
)


@pytest.mark.parametrize(
    ("check", "file", "severity", "words"),
    [
        ("os.updates", "ok", OK, "apt：待装的安全更新 0 个（警告 ≥ 1）"),
        ("os.updates", "ok-ordinary", OK, "0 个（警告 ≥ 1），另有普通更新 2 个"),
        ("os.updates", "ok-rocky-8", OK, "dnf：待装的安全更新 0 个"),
        ("os.updates", "ok-sles-12", OK, "zypper：待装的安全更新 0 个"),
        ("os.updates", "bad", WARNING, "待装的安全更新 3 个（警告 ≥ 1），另有普通更新 1 个"),
        ("os.updates", "ubuntu-24.04", WARNING, "安全更新 2 个（警告 ≥ 1），另有普通更新 1 个"),
        ("os.updates", "debian-10", WARNING, "安全更新 1 个"),
        ("os.updates", "rhel-9", WARNING, "dnf：待装的安全更新 3 个"),
        ("os.updates", "openeuler", WARNING, "安全更新 2 个"),
        ("os.updates", "kylin-v10", WARNING, "安全更新 1 个"),
        ("os.updates", "dnf-5", WARNING, "安全更新 2 个"),
        ("os.updates", "dnf-by-sudo", WARNING, "安全更新 1 个"),
        ("os.updates", "oracle-7", WARNING, "yum：待装的安全更新 1 个"),
        ("os.updates", "yum-indented", WARNING, "yum：待装的安全更新 1 个"),
        ("os.updates", "sles-15", WARNING, "zypper：待装的安全更新 2 个"),
        ("os.restart", "ok", OK, "本机没有安装内核（容器，或内核由宿主机提供）"),
        ("os.restart", "ok-debian", OK, "已安装的最新内核为 6.1.0-41-amd64"),
        ("os.restart", "ok-rhel-8", OK, "没有重启标记"),
        ("os.restart", "ok-centos-6", OK, "最新内核为 2.6.32-754.35.1.el6.x86_64"),
        ("os.restart", "ok-needs-restarting-fails", OK, "没有重启标记"),
        ("os.restart", "ok-sles-15", OK, "5.14.21-150500.55.39-default"),
        ("os.restart", "ok-copies", OK, "最新内核为 5.14.0-427.el9.aarch64，"),
        ("os.restart", "ok-uek", OK, "最新内核为 4.18.0-553"),
        ("os.restart", "ok-other-line-only", OK, "都属于其他分支"),
        ("os.restart", "ok-kylin-v10", OK, "4.19.90-52.22.v2207.ky10"),
        ("os.restart", "bad", WARNING, "运行内核 6.1.0-18-amd64，已安装更新的 6.1.0-41-amd64"),
        ("os.restart", "ubuntu-flag", WARNING, "由 libc6、linux-image-5.15.0-91-generic 提出"),
        ("os.restart", "flag-without-packages", WARNING, "/var/run/reboot-required 存在"),
        ("os.restart", "rhel-9", WARNING, "needs-restarting 要求重启（glibc、kernel）"),
        ("os.restart", "centos-7", WARNING, "openssl-libs -> 1:1.0.2k-26.el7_9"),
        ("os.restart", "sles-needed", WARNING, "/run/reboot-needed 存在"),
        ("os.restart", "openeuler", WARNING, "已安装更新的 5.10.0-182"),
        ("os.serious_bugs", "ok", OK, "条涉及已安装的软件包，均已修复（名录截至 2026-11-23）"),
        ("os.serious_bugs", "ok-debian-newest-kernel", OK, "均已修复"),
        ("os.serious_bugs", "ok-removed-but-configured", OK, "均已修复"),
        ("os.serious_bugs", "ok-dns-tools-without-server", OK, "均已修复"),
        ("os.serious_bugs", "ok-rhel-8-extended", OK, "均已修复"),
        ("os.serious_bugs", "ok-almalinux-9", OK, "均已修复"),
        ("os.serious_bugs", "bad", WARNING, "openssh-server 1:9.2p1-2+deb12u2 有严重缺陷"),
        ("os.serious_bugs", "bad", WARNING, "自 1:9.2p1-2+deb12u3 起修复"),
        ("os.serious_bugs", "debian-signed-kernel", WARNING, "6.1.66-1 有严重缺陷 CVE-2024-1086"),
        ("os.serious_bugs", "half-configured", WARNING, "openssh-server 1:9.2p1-2+deb12u2"),
        ("os.serious_bugs", "ubuntu-pro-only", WARNING, "自 1.8.31-1ubuntu1.5+esm1 起修复"),
        ("os.serious_bugs", "ubuntu-22.04", WARNING, "CVE-2023-51764"),
        ("os.serious_bugs", "rhel-9", WARNING, "8.7p1-38.el9 有严重缺陷 CVE-2024-6387"),
        ("os.serious_bugs", "rhel-8-extended", WARNING, "自 2.28-225.el8_8.11 起修复"),
        ("app.advisory", "ok", OK, "3.9.1 不在名录中 1 条公告的受影响版本之列"),
        ("app.advisory", "ok-fixed-branch", OK, "3.7.9 不在"),
        ("app.advisory", "ok-snapshot", OK, "3.11 不在"),
        ("app.advisory", "bad", WARNING, "3.5.9 在受影响的版本之列：CVE-2023-51764"),
        ("app.advisory", "bad", WARNING, "修复版本：3.5.23、3.6.13、3.7.9、3.8.4、3.9"),
        ("app.advisory", "old-branch", WARNING, "2.10.1 在受影响"),
        ("app.advisory", "unfixed-branch", WARNING, "3.8.3 在受影响"),
        ("app.secondary_development", "ok", OK, "「OA 待办提醒」正常：进程在运行"),
        ("app.secondary_development", "ok-busybox", OK, "正常"),
        ("app.secondary_development", "bad", CRITICAL, "没有与「(^|/)oa-bridge( |$)」相符的进程"),
    ],
)
def test_a_reply_is_judged(check, file, severity, words):
    [verdict] = verdicts(check, file)
    assert verdict.severity is severity
    assert words in verdict.summary
    assert bool(verdict.advice) is (severity > OK)


@pytest.mark.parametrize(
    ("check", "file", "words"),
    [
        ("os.updates", "unmeasured", "元数据过期：45 天前取得（应 ≤ 30 天）"),
        ("os.updates", "unmeasured-stale-with-updates", "缓存中已有 1 个待装的安全更新"),
        ("os.updates", "unmeasured-never-fetched", "没有配置软件源，或从未取得"),
        ("os.updates", "unmeasured-kylin-desktop", "列表为空不等于没有"),
        ("os.updates", "unmeasured-centos-7", "列表为空不等于没有"),
        ("os.updates", "unmeasured-centos-6", "No such command"),
        ("os.updates", "unmeasured-dnf-no-cache", "Cache-only enabled but no cache"),
        ("os.updates", "unmeasured-dnf-denied", "sudo 运行 dnf"),
        ("os.updates", "unmeasured-apt-broken", "section with no Package"),
        ("os.updates", "unmeasured-sles-no-repos", "zypper 无法列出安全更新"),
        ("os.updates", "unmeasured-alpine", "没有 apt、dnf、yum 或 zypper"),
        ("os.updates", "unmeasured-yum-no-cache-folder", "无法列出安全更新"),
        ("os.updates", "unmeasured-centos-7-epel", "列表为空不等于没有；缓存中已有 1 个"),
        ("os.updates", "unmeasured-sles-11", "格式无法识别"),
        ("os.updates", "unmeasured-yum-without-severity", "格式无法识别"),
        ("os.updates", "unmeasured-clock-behind", "比主机时钟晚 730 天"),
        ("os.updates", "unmeasured-no-shell", "没有 sh"),
        ("os.updates", "unmeasured-garbage", "无法列出安全更新"),
        ("os.restart", "unmeasured", "无法列出 /boot"),
        ("os.restart", "unmeasured-no-uname", "内核版本无法识别"),
        ("os.restart", "unmeasured-garbage", "内核版本无法识别：命令未找到"),
        ("os.restart", "unmeasured-nothing", "没有输出"),
        ("os.serious_bugs", "unmeasured", "名录未覆盖 Kylin Linux Advanced Server V10"),
        ("os.serious_bugs", "unmeasured-rocky-9", "名录未覆盖 Rocky Linux 9.5"),
        ("os.serious_bugs", "unmeasured-sles-15", "名录未覆盖 SUSE Linux Enterprise Server 15"),
        ("os.serious_bugs", "unmeasured-openeuler", "名录未覆盖 openEuler 22.03"),
        ("os.serious_bugs", "unmeasured-kylin-v10", "名录未覆盖 Kylin Linux Advanced Server V10"),
        ("os.serious_bugs", "unmeasured-centos-7", "名录未覆盖 CentOS Linux 7"),
        ("os.serious_bugs", "unmeasured-no-manager", "没有 dpkg 或 rpm"),
        ("os.serious_bugs", "unmeasured-rpm-locked", "退出码 1"),
        ("os.serious_bugs", "unmeasured-rpm-broken", "清单可能不全：error: rpmdbNextIterator"),
        ("os.serious_bugs", "unmeasured-old-rpm", "unknown tag"),
        ("os.serious_bugs", "unmeasured-garbage", "命令未找到"),
        ("os.serious_bugs", "unmeasured-no-release", "没有可识别"),
        ("app.advisory", "unmeasured", "没有命令"),
        ("app.advisory", "unmeasured-odd", "无法与名录中的 1 条公告对照"),
        ("app.advisory", "unmeasured-no-manager", "没有 dpkg 或 rpm"),
        ("app.secondary_development", "unmeasured", "没有命令 ps"),
        ("app.secondary_development", "unmeasured-hidepid", "hidepid"),
    ],
)
def test_a_reply_without_the_fact_says_why(check, file, words):
    with pytest.raises(ReplyError) as raised:
        verdicts(check, file)
    assert words in str(raised.value)


@pytest.mark.parametrize("check", NAMES)
def test_every_reply_file_is_tested_here(check):
    text = Path(__file__).read_text("utf-8")
    files = [path.stem for path in (REPLIES / check).glob("*.txt")]
    assert files
    assert [name for name in files if f'"{name}"' not in text] == []


def test_each_bug_has_its_own_verdict_with_its_source():
    found = {one.part: one for one in verdicts("os.serious_bugs", "several")}
    assert set(found) == {
        "CVE-2021-4034 policykit-1",
        "CVE-2025-49113 roundcube-core",
        "CVE-2021-44228 liblog4j2-java",
    }
    assert any("DSA-5059-1" in line for line in found["CVE-2021-4034 policykit-1"].evidence)


def test_an_ended_release_explains_that_nothing_is_known_of_its_bugs():
    checks = {name: check_named(name) for name in ("os.eol", "os.serious_bugs")}
    ended = Finding("os.eol", MX1, WARNING, "已过期 877 天", "请升级", ())
    results = [ended, Unmeasured("os.serious_bugs", MX1, "名录未覆盖")]
    _, unknown = link_causes(results, checks, SYSTEM, heard=set())
    assert isinstance(unknown, Unmeasured)
    assert unknown.caused_by == "os.eol"


def test_a_fix_that_only_ubuntu_pro_brings_is_not_advised_as_a_plain_update():
    [verdict] = verdicts("os.serious_bugs", "ubuntu-pro-only")
    assert "Ubuntu Pro" in verdict.advice
    [plain] = verdicts("os.serious_bugs", "bad")
    assert "Ubuntu Pro" not in plain.advice


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Run the question about updates on a made-up host: its files, its package manager."""

    def ask(manager: str, says: str, files: dict[str, int]) -> str:
        tools, root = tmp_path / "bin", tmp_path / "root"
        tools.mkdir()
        root.mkdir()
        tool = tools / manager
        tool.write_text(f"#!/bin/sh\n{says}\n")
        tool.chmod(0o755)
        for name, age_days in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            at = path.stat().st_mtime - age_days * 86_400
            os.utime(path, (at, at))
        dpkg = root / "status"
        dpkg.write_text("Package: dpkg\n" if manager == "apt-get" else "")
        monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        script = UPDATES[2].replace("/var/lib/dpkg/status", str(dpkg))
        for folder in ("/var/lib/apt", "/var/cache/yum"):
            script = script.replace(folder, str(root))
        ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        return ran.stdout

    return ask


def test_what_epel_tells_says_nothing_about_the_distribution(asked):
    files = {
        "x86_64/7/base/repomd.xml": 1,
        "x86_64/7/epel/repomd.xml": 1,
        "x86_64/7/epel/gen/1-updateinfo.xml.bz2": 1,
    }
    assert "lists 0\n" in asked("yum", ":", files)


def test_a_fresh_list_of_others_does_not_make_the_security_list_fresh(asked):
    files = {
        "lists/security.debian.org_dists_bookworm-security_InRelease": 50,
        "lists/download.docker.com_linux_debian_dists_bookworm_InRelease": 0,
    }
    told = asked("apt-get", 'echo "Inst $*"', files)
    [age_s] = [int(line.split()[1]) for line in told.splitlines() if line.startswith("age_s")]
    assert age_s // 86_400 == 50
    assert "lists 1\n" in told


def test_packages_that_are_held_back_are_counted_too(asked):
    files = {"lists/security.debian.org_dists_bookworm-security_InRelease": 0}
    assert "--ignore-hold" in asked("apt-get", 'echo "Inst $*"', files)


@pytest.mark.parametrize(
    "command",
    [
        "sshpass -p hunter2 ssh a",
        "java -Ddb=jdbc:mysql://root:hunter2@db/x -Dk.keyStorePassword=hunter2 Main",
        "app --secret-key=hunter2 --token hunter2",
        'app {"password":"hunter2"}',
    ],
)
def test_a_secret_on_a_command_line_stays_on_the_host(command):
    _, _, strip = PROCESS_LIST[2].partition(" | ")
    ran = subprocess.run(
        ["sh", "-c", strip], input=f"  7 {command}\n", capture_output=True, text=True, check=True
    )
    assert "hunter2" not in ran.stdout
    assert command.split()[0] in ran.stdout


def test_pending_updates_are_the_evidence_and_the_number():
    [verdict] = verdicts("os.updates", "bad")
    assert verdict.metrics == {"pending_updates_count": 3.0, "metadata_age_days": 7200 / 86_400}
    assert any("linux-image-6.1.0-41-amd64" in line for line in verdict.evidence)


def test_a_product_from_the_distribution_is_judged_by_its_package():
    with pytest.raises(DoesNotApply, match="postfix 由操作系统的软件包提供"):
        verdicts("app.advisory", "packaged")


@pytest.mark.parametrize(("days", "count"), [(400, 1), (401, 2)])
@pytest.mark.parametrize("check", ["app.advisory", "os.serious_bugs"])
def test_an_old_list_says_that_it_is_old(check, days, count):
    made = datetime.combine(known_advisories().as_of, datetime.min.time(), UTC)
    subject_of = check_named(check)
    subject = Subject(lab_system(), MX1, made + timedelta(days=days))
    fact = subject_of.parse(replies_in(check, "ok"))
    found = list(subject_of.judge(fact, subject_of.limits, subject))
    assert len(found) == count
    if count > 1:
        assert found[1].severity is NOTICE
        assert f"已 {days} 天未更新（> 400 天提示）" in found[1].summary


def turbomail(**fields: object) -> System:
    system = lab_system()
    return replace(system, profile=load_profile("turbomail").model_copy(update=fields))


def judged(check: str, system: System, *replies: Reply):
    plan = plan_inspection(system, [check_named(check)])
    return judge_answers(plan, dict(zip(plan.asks(), replies, strict=True)))


QUERY = Known(value=VersionQuery(words=("turbomail", "version"), regex=r"(\d+(?:\.\d+)+)"))


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("LAB-STANDIN 5.2\n", {"TM-2022-viewfile": WARNING, "TM-2025-pm": NOTICE}),
        ("TurboMail 6.0.1\n", {"TM-2022-viewfile": WARNING}),
    ],
)
def test_a_flaw_without_known_versions_cannot_be_ruled_out(printed, found):
    results = judged("app.advisory", turbomail(version=QUERY), reply(printed))
    assert {one.target.part: one.severity for one in results} == found
    [viewfile] = [one for one in results if one.target.part == "TM-2022-viewfile"]
    assert isinstance(viewfile, Finding)
    assert "厂商未公布受影响的版本，无法排除" in viewfile.summary
    assert "尚无公布的修复版本" in viewfile.summary


@pytest.mark.parametrize("fields", [{}, {"version": QUERY}], ids=["no query", "no number"])
def test_an_unknown_version_is_unmeasured_and_names_what_is_left_open(fields):
    replies = [reply("unknown\n")] if fields else []
    [result] = judged("app.advisory", turbomail(**fields), *replies)
    assert isinstance(result, Unmeasured)
    assert "无法与名录中的 2 条公告对照；其中 TM-2022-viewfile 不限版本" in result.reason


def test_a_product_without_advisories_is_compared_by_a_person():
    system = replace(lab_system(), profile=load_profile("generic"))
    [result] = judged("app.advisory", system)
    assert isinstance(result, Manual)
    assert "与厂商最新发布对照" in result.reason


def developed(*extensions: Extension, known: bool = True) -> System:
    system = lab_system()
    field = Known(value=extensions) if known else Known()
    profile = system.profile.model_copy(update={"secondary_development": field})
    return replace(system, profile=profile)


THREE = Extension(name="OA 待办提醒", process="(^|/)oa-bridge( |$)", port=8100, page="/oa/")


def test_no_own_development_leaves_nothing_to_confirm():
    [result] = judged("app.secondary_development", developed())
    assert isinstance(result, NotApplicable)


def test_unknown_own_development_is_asked_about():
    [result] = judged("app.secondary_development", developed(known=False))
    assert isinstance(result, Manual)
    assert "核实有无" in result.reason


def test_a_development_without_a_sign_is_confirmed_by_a_person():
    [result] = judged("app.secondary_development", developed(Extension(name="公文流转")))
    assert isinstance(result, Manual)
    assert "公文流转" in result.reason


@pytest.mark.parametrize(
    ("file", "severity", "words"),
    [
        ("three-ok", OK, "进程在运行、8100 端口接受连接、页面 /oa/ 可打开"),
        ("three-bad", CRITICAL, "相符的进程；8100 端口连接被拒绝；页面 /oa/ 返回 502，应为 200"),
    ],
)
def test_process_port_and_page_are_looked_at_together(file, severity, words):
    replies = replies_in("app.secondary_development", file)
    [result] = judged("app.secondary_development", developed(THREE), *replies)
    assert isinstance(result, Finding)
    assert result.target == BRIDGE
    assert result.severity is severity
    assert words in result.summary


def test_a_page_that_nobody_could_ask_for_is_unmeasured():
    replies = replies_in("app.secondary_development", "three-unmeasured")
    [result] = judged("app.secondary_development", developed(THREE), *replies)
    assert isinstance(result, Unmeasured)


@pytest.mark.parametrize("process", ["(", "*"])
def test_a_development_with_a_broken_pattern_is_a_gap(process):
    broken = Extension(name="x", process=process)
    [result] = judged("app.secondary_development", developed(broken))
    assert isinstance(result, Unmeasured)
    assert "不是正则表达式" in result.reason


def read(check: str, replies: list[Reply]) -> None:
    subject_of = check_named(check)
    target = next(iter(subject_of.ask(SYSTEM))).target
    try:
        fact = subject_of.parse(tuple(replies))
        found = list(
            subject_of.judge(fact, subject_of.limits, Subject(SYSTEM, target, RECORDED_AT))
        )
    except (ReplyError, DoesNotApply):
        return
    assert found


FUZZ = settings(max_examples=60, suppress_health_check=list(HealthCheck))
CODES = st.sampled_from([0, 1, 2, 100, 127, 141])


@pytest.mark.parametrize("check", NAMES)
@FUZZ
@given(data=st.data())
def test_any_bytes_are_a_fact_or_a_reason(check, data):
    asks = len(next(iter(check_named(check).ask(SYSTEM))).asks)
    texts = data.draw(st.lists(st.binary().map(decode), min_size=asks, max_size=asks))
    read(check, [Reply(text, data.draw(CODES), RECORDED_AT, "ssh://mx1") for text in texts])


@pytest.mark.parametrize("check", NAMES)
@FUZZ
@given(data=st.data())
def test_a_mangled_reply_is_a_fact_or_a_reason(check, data):
    file = data.draw(st.sampled_from(sorted(path.stem for path in (REPLIES / check).iterdir())))
    replies = []
    for one in replies_in(check, file):
        at, end = sorted(data.draw(st.tuples(*[st.integers(0, len(one.text))] * 2)))
        middle = data.draw(st.one_of(st.text(max_size=9), st.sampled_from(["\t", "9" * 5000, "²"])))
        text = one.text[:at] + middle + one.text[end:]
        replies.append(replace(one, text=text, exit_code=data.draw(CODES)))
    read(check, replies)


@pytest.mark.parametrize("check", NAMES)
@pytest.mark.parametrize("text", ["a " * 500_000, "1" * 1_000_000, "Inst [" * 200_000])
def test_megabytes_on_one_line_are_read_at_once(check, text):
    asks = len(next(iter(check_named(check).ask(SYSTEM))).asks)
    for head in (
        "manager dpkg\n",
        "manager apt\nended 0\nInst ",
        "running 1\nkernel ",
        "PID CMD\n1 ",
    ):
        read(check, [Reply(head + text, 0, RECORDED_AT, "ssh://mx1")] * asks)

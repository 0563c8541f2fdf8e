"""What the checks of a host say about recorded replies: state, number, limit, advice."""

import re
from dataclasses import replace

import pytest

from mailcare.inspection.check import Area, ReplyError, Severity, Target
from tests.inspection.checks.reply_files import REPLIES, check_named, replies_in, verdicts

CHECKS = {
    "app.version": Area.APP,
    "hardware.cpu": Area.HARDWARE,
    "hardware.load": Area.HARDWARE,
    "hardware.memory": Area.HARDWARE,
    "os.clock": Area.OS,
    "os.eol": Area.OS,
    "os.release": Area.OS,
    "os.uptime": Area.OS,
    "queue.age": Area.QUEUE,
    "queue.depth": Area.QUEUE,
    "security.listeners": Area.SECURITY,
    "service.listeners": Area.SERVICE,
    "service.processes": Area.SERVICE,
    "ssh.login": Area.SECURITY,
    "storage.inodes": Area.STORAGE,
    "storage.mounts": Area.STORAGE,
    "storage.space": Area.STORAGE,
}

ONLY_STATED = {"app.version", "os.release"}  # their facts are neither good nor bad

OK, NOTICE, WARNING, CRITICAL = Severity

MEASURED = [
    ("app.version", "ok", OK, "3.7.11"),
    ("app.version", "postfix-2", OK, "2.10.1"),
    ("hardware.cpu", "ok", OK, "使用率中位 10%"),
    ("hardware.cpu", "busy", WARNING, "使用率中位 99%"),
    ("hardware.cpu", "bad", WARNING, "等待磁盘 50%"),
    ("hardware.cpu", "stolen", WARNING, "被宿主机占用 50%"),
    ("hardware.cpu", "old-kernel", OK, "使用率中位 8%"),
    ("hardware.cpu", "iowait-runs-back", OK, "等待磁盘 0%"),
    ("hardware.load", "ok", OK, "每核 0.01"),
    ("hardware.load", "high", WARNING, "每核 3.40"),
    ("hardware.load", "bad", CRITICAL, "8 个 CPU，每核 4.25"),
    ("hardware.memory", "ok", OK, "可用内存 82.7%"),
    ("hardware.memory", "low", WARNING, "可用内存 8.0%"),
    ("hardware.memory", "low", WARNING, "未设交换区"),
    ("hardware.memory", "bad", CRITICAL, "可用内存 1.9%"),
    ("hardware.memory", "swapping", NOTICE, "交换区已用 95%"),
    ("hardware.memory", "centos-6", OK, "估算可用内存 50.0%"),
    ("os.clock", "ok", OK, "慢 0.5 秒"),
    ("os.clock", "bad", CRITICAL, "快 600.2 秒"),
    ("os.clock", "behind", WARNING, "慢 45.0 秒"),
    ("os.clock", "busybox", OK, "一致"),
    ("os.clock", "busybox-dot", OK, "一致"),
    ("os.eol", "ok", OK, "2028-06-30"),
    ("os.eol", "bad", WARNING, "2024-06-30，已过期 877 天"),
    ("os.eol", "centos-6", WARNING, "2020-11-30"),
    ("os.eol", "centos-7", WARNING, "2024-06-30"),
    ("os.eol", "centos-stream-9", OK, "2027-05-31"),
    ("os.eol", "rhel-6", WARNING, "2020-11-30"),
    ("os.eol", "rocky-9", OK, "2032-05-31"),
    ("os.eol", "rocky-10", OK, "2035-05-31"),
    ("os.eol", "openeuler-22.03-sp3", WARNING, "2025-12-31"),
    ("os.eol", "openeuler-24.03-sp1", NOTICE, "2026-12-31，剩余 37 天"),
    ("os.eol", "ubuntu-22.04", NOTICE, "2027-04-01"),
    ("os.eol", "sles-12-sp5", WARNING, "2024-10-31"),
    ("os.release", "ok", OK, "Debian GNU/Linux 12.11 (bookworm)，内核 6.18.44"),
    ("os.release", "centos-6", OK, "CentOS release 6.10 (Final)，内核 2.6.32-754"),
    ("os.release", "centos-7", OK, "CentOS Linux release 7.9.2009 (Core)"),
    ("os.release", "rhel-6", OK, "Red Hat Enterprise Linux Server release 6.10"),
    ("os.release", "kylin-v10", OK, "Kylin Linux Advanced Server V10 (Lance)"),
    ("os.release", "uos-20", OK, "UnionTech OS Server 20"),
    ("os.release", "ubuntu-22.04", OK, "Ubuntu 22.04.5 LTS"),
    ("os.release", "odd", OK, "中标麒麟 V7.0，内核版本未取得"),
    ("os.release", "sles-15", OK, "SUSE Linux Enterprise Server 15，内核 4.12.14"),
    ("os.release", "sles-16", OK, "SUSE Linux Enterprise Server 16.0"),
    ("os.release", "rhel-8", OK, "Red Hat Enterprise Linux release 8.9 (Ootpa)"),
    ("os.release", "rhel-9", OK, "Red Hat Enterprise Linux release 9.3 (Plow)"),
    ("os.eol", "rhel-8", OK, "2029-05-31"),
    ("os.eol", "rhel-9", OK, "2032-05-31"),
    ("os.uptime", "ok", OK, "连续运行 37 天"),
    ("os.uptime", "bad", WARNING, "连续运行 612 天（> 400 天"),
    ("os.uptime", "restarted", NOTICE, "1.4 小时前启动"),
    ("queue.age", "ok", OK, "队列为空"),
    ("queue.age", "few", OK, "等待 0.2 小时"),
    ("queue.age", "bad", WARNING, "等待 7.6 小时（警告 ≥ 4 小时"),
    ("queue.age", "days", WARNING, "等待 50.0 小时"),
    ("queue.age", "cut", WARNING, "至少 7.6 小时"),
    ("queue.age", "from-tomorrow", OK, "等待 0.0 小时"),
    ("queue.age", "directory", OK, "等待 2.0 小时"),
    ("queue.age", "directory-empty", OK, "队列为空"),
    ("queue.depth", "ok", OK, "0 封"),
    ("queue.depth", "ok-warning-only", OK, "0 封"),
    ("queue.depth", "few", OK, "3 封邮件（警告 ≥ 100，严重 ≥ 1000）"),
    ("queue.depth", "bad", WARNING, "130 封"),
    ("queue.depth", "bad", WARNING, "Connection timed out"),
    ("queue.depth", "cut", WARNING, "至少 130 封"),
    ("queue.depth", "as-root-while-down", OK, "3 封"),
    ("queue.depth", "directory", CRITICAL, "1204 封"),
    ("queue.depth", "directory-empty", OK, "0 封"),
    ("security.listeners", "ok", OK, "没有未登记的对外 TCP 端口"),
    ("security.listeners", "bad", WARNING, "2375"),
    ("service.listeners", "ok", OK, "smtp（25 端口）正在监听"),
    ("service.listeners", "bad", CRITICAL, "smtp（25 端口）在主机上没有监听"),
    ("service.listeners", "nothing", CRITICAL, "没有监听"),
    ("service.listeners", "loopback", WARNING, "回环地址"),
    ("service.listeners", "ipv6-only", OK, "正在监听"),
    ("service.listeners", "one-address", OK, "正在监听"),
    ("ssh.login", "ok", OK, "SHA256:ZVJH7V4fn"),
    ("ssh.login", "bad", CRITICAL, "got ssh-ed25519 SHA256:ivTbjLWbS6"),
    ("ssh.login", "auth-failed", WARNING, "拒绝巡检账号"),
    ("ssh.login", "refused", WARNING, "拒绝连接"),
    ("ssh.login", "hanging", WARNING, "banner"),
    ("ssh.login", "unreachable", WARNING, "No route to host"),
    ("ssh.login", "closed", WARNING, "Connection lost"),
    ("storage.inodes", "btrfs", OK, "按需分配"),
    ("storage.mounts", "ok", OK, "3 个数据文件系统"),
    ("storage.mounts", "meant", OK, "其中 1 个按 /etc/fstab 只读"),
    ("storage.mounts", "bad", CRITICAL, "/data/mail 以只读方式挂载"),
    ("storage.mounts", "archive-read-only", NOTICE, "/mnt/archive"),
]

UNMEASURED = [
    ("app.version", "unmeasured", "没有命令"),
    ("app.version", "bad", "main.cf"),
    ("app.version", "odd", "mail_version unknown"),
    ("hardware.cpu", "unmeasured", "没有 /proc/stat"),
    ("hardware.cpu", "standing-still", "没有变化"),
    ("hardware.cpu", "counters-start-anew", "计数变小"),
    ("hardware.load", "unmeasured", "无法识别"),
    ("hardware.load", "no-cpus", "无法识别"),
    ("hardware.memory", "unmeasured", "无法识别"),
    ("os.clock", "unmeasured", "无法识别"),
    ("os.clock", "bundle", "离线"),
    ("os.eol", "unmeasured", "没有可识别"),
    ("os.eol", "kylin-v10", "没有 Kylin Linux Advanced Server V10 (Lance) 的停止维护日期"),
    ("os.eol", "unmeasured-sles-15", "没有 SUSE Linux Enterprise Server 15 的停止维护日期"),
    ("os.eol", "unmeasured-sles-16", "没有 SUSE Linux Enterprise Server 16.0 的停止维护日期"),
    ("os.eol", "uos-20", "请向操作系统厂商核实"),
    ("os.release", "unmeasured", "没有可识别"),
    ("os.release", "no-head", "没有命令 head"),
    ("os.uptime", "unmeasured", "No such file"),
    ("os.uptime", "odd", "无法识别"),
    ("queue.age", "unmeasured", "mail system is down"),
    ("queue.depth", "unmeasured", "mail system is down"),
    ("queue.depth", "old-postfix", "invalid option"),
    ("queue.depth", "not-allowed", "not allowed"),
    ("queue.depth", "missing", "没有读取队列的命令"),
    ("queue.depth", "no-clock", "date"),
    ("queue.depth", "directory-missing", "no such directory"),
    ("queue.depth", "directory-closed", "Permission denied"),
    ("security.listeners", "unmeasured", "Permission denied"),
    ("service.listeners", "unmeasured", "Permission denied"),
    ("service.processes", "unmeasured", "hidepid"),
    ("service.processes", "no-ps", "没有命令 ps"),
    ("service.processes", "odd", "命令 ps 失败"),
    ("ssh.login", "unmeasured", "没有结果"),
    ("storage.inodes", "unmeasured", "No such file"),
    ("storage.mounts", "unmeasured", "无法识别"),
    ("storage.space", "unmeasured", "没有命令 df"),
    ("storage.space", "nothing", "unrecognized option"),
]


@pytest.mark.parametrize(("check", "area"), CHECKS.items())
def test_every_check_has_an_area_a_source_and_reply_files(check, area):
    assert check_named(check).area is area
    assert check_named(check).source
    files = {path.stem for path in (REPLIES / check).iterdir()}
    assert {"ok", "unmeasured"} <= files
    assert "bad" in files or check in ONLY_STATED


@pytest.mark.parametrize(("check", "file", "severity", "words"), MEASURED)
def test_a_reply_is_judged(check, file, severity, words):
    [verdict] = verdicts(check, file)
    assert verdict.severity is severity
    assert words in verdict.summary
    assert bool(verdict.advice) is (severity > OK)


@pytest.mark.parametrize(("check", "file", "words"), UNMEASURED)
def test_a_reply_without_the_fact_says_why(check, file, words):
    with pytest.raises(ReplyError, match=re.escape(words)):
        verdicts(check, file)


def by_part(check: str, file: str) -> dict[str, Severity]:
    return {verdict.part: verdict.severity for verdict in verdicts(check, file)}


def test_each_disk_has_its_own_verdict():
    assert by_part("storage.space", "ok") == {
        "/": OK,
        "/var/spool/postfix": OK,
        "/var/vmail": OK,
    }


def test_only_file_systems_that_hold_data_are_judged():
    assert by_part("storage.space", "many-kinds") == {
        "/": OK,
        "/boot": OK,
        "/data/mail": OK,
        "/mnt/archive of mail": WARNING,
        "/mnt/share": OK,
    }


def test_a_full_disk_names_the_room_that_is_left():
    [full] = [one for one in verdicts("storage.space", "bad") if one.part == "/data/mail"]
    assert full.severity is CRITICAL
    assert "已用 100%，剩余 7.6 GiB（警告 ≥ 80%，严重 ≥ 90%）" in full.summary
    assert full.metrics == {"used_pct": 100.0}
    assert full.evidence[0].startswith("/dev/sdb1")


def test_a_silent_file_server_leaves_the_local_disks_measured():
    assert by_part("storage.space", "dead-server") == {
        "/": OK,
        "/data/mail": OK,
        "网络存储": NOTICE,
    }


def test_broken_file_systems_are_named():
    assert by_part("storage.space", "stale") == {
        "/": OK,
        "/mnt/archive": CRITICAL,
        "/data/mail": CRITICAL,
    }


def test_a_chinese_df_with_spaces_in_names_is_read():
    assert by_part("storage.space", "chinese") == {"/": WARNING, "/data/邮件 存储": OK}


def test_a_mount_that_may_not_be_looked_at_hides_no_other():
    assert by_part("storage.space", "forbidden-mount") == {"/": OK}


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("busybox", {"/": CRITICAL, "/boot": OK}),
        ("kylin-v10", {"/": OK, "/boot": OK, "/boot/efi": OK}),
        ("openeuler-22.03-sp3", {"/": OK, "/boot": OK, "/home": CRITICAL}),
    ],
)
def test_the_df_of_any_distribution_is_read(file, found):
    assert by_part("storage.space", file) == found


def test_subvolumes_that_share_their_room_are_told_once():
    assert by_part("storage.space", "sles-15") == {"/": WARNING, "/home": OK}


@pytest.mark.parametrize(
    ("file", "severity"),
    [("bad", CRITICAL), ("filling", WARNING), ("busybox", CRITICAL), ("chinese", CRITICAL)],
)
def test_inodes_are_judged_for_each_disk(file, severity):
    assert by_part("storage.inodes", file) == {"/": OK, "/data/mail": severity}


@pytest.mark.parametrize("file", ["ok", "system-v", "busybox"])
def test_running_services_are_found_in_any_kind_of_ps(file):
    assert by_part("service.processes", file) == {"postfix": OK, "dovecot": OK, "nginx": OK}


def test_a_stopped_service_is_named_and_others_are_not_blamed():
    assert by_part("service.processes", "bad") == {"postfix": CRITICAL, "dovecot": OK, "nginx": OK}


def test_a_listener_is_looked_for_on_its_own_port():
    [verdict] = verdicts("service.listeners", "bad", target=Target("mx1", 993))
    assert verdict.severity is OK


def test_a_queue_tells_the_most_frequent_reasons_first():
    [verdict] = verdicts("queue.depth", "bad")
    assert verdict.metrics == {"messages": 130.0}
    assert [line.split(" ")[0] for line in verdict.evidence[1:]] == ["86", "44"]


def test_samples_of_two_inspections_are_not_held_against_each_other():
    before, after = replies_in("hardware.cpu", "ok")
    late = replace(after, text=after.text.replace("1002.00 ", "1123.00 "))
    with pytest.raises(ReplyError, match="相隔 123 秒"):
        check_named("hardware.cpu").parse((before, late))

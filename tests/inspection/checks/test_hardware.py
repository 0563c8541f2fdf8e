"""What the checks of hardware, bandwidth and storage health say about replies from the field."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailcare.inspection.check import (
    DoesNotApply,
    ForPerson,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
)
from mailcare.inspection.collect.frames import decode
from mailcare.systems.site import Machine
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
CHECKS = (
    "hardware.history",
    "hardware.memory_errors",
    "hardware.raid",
    "hardware.sensors",
    "hardware.smart",
    "network.bandwidth",
    "network.errors",
    "network.gateway",
    "os.boots",
    "storage.errors",
    "storage.network",
    "storage.wait",
)

WORST = [
    ("hardware.history", "ok", OK, "近 1 天 CPU 使用率中位 13%"),
    ("hardware.history", "ok-12-hour", OK, "最高 13%"),
    ("hardware.history", "ok-ubuntu-16.04", OK, "最高 2%"),
    ("hardware.history", "ok-sles-12-after-restart", OK, "最高 0%"),
    ("hardware.history", "ok-ubuntu-18.04-empty-interval", OK, "最高 9%"),
    ("hardware.history", "ubuntu-24.04", WARNING, "繁忙时 100%"),
    ("hardware.history", "bad", WARNING, "中位 77%（≥ 70% 警告）"),
    ("hardware.history", "waiting", WARNING, "等待磁盘 45%（≥ 30% 警告）"),
    ("hardware.history", "ok-none", NOTICE, "没有保存 sar 历史"),
    ("hardware.history", "no-files", NOTICE, "没有保存 sar 历史"),
    ("hardware.memory", "thrashing", WARNING, "换入 10000 KiB/s（警告 ≥ 1024"),
    ("hardware.memory", "oom", WARNING, "终止过 3 个进程（应为 0）"),
    ("hardware.memory_errors", "ok", OK, "不可纠正 0 次"),
    ("hardware.memory_errors", "few", NOTICE, "已纠正 7 次（≥ 100 警告）"),
    ("hardware.memory_errors", "many", WARNING, "已纠正 4120 次"),
    ("hardware.memory_errors", "bad", CRITICAL, "不可纠正 1 次（应为 0）"),
    ("hardware.raid", "ok", OK, "软件阵列 md127：完整（2/2 块磁盘在线"),
    ("hardware.raid", "ok-checking", OK, "正在 check 8.1%"),
    ("hardware.raid", "ok-firmware-raid", OK, "md126：完整"),
    ("hardware.raid", "ok-storcli", OK, "硬件阵列 0/0 RAID1 的状态为 Optl"),
    ("hardware.raid", "bad", CRITICAL, "降级，缺少磁盘（1/2"),
    ("hardware.raid", "rebuilding", WARNING, "正在 recovery 12.6%"),
    ("hardware.raid", "resyncing", NOTICE, "正在同步"),
    ("hardware.raid", "inactive", CRITICAL, "没有启用"),
    ("hardware.raid", "storcli-degraded", CRITICAL, "1/1 RAID5 的状态为 Dgrd"),
    ("hardware.raid", "ssacli-failed", WARNING, "Interim Recovery Mode"),
    ("hardware.raid", "card-and-mirror", NOTICE, "另有硬件阵列卡（0000:3b:00.0 megaraid_sas"),
    ("hardware.raid", "none", NOTICE, "不含 LVM、ZFS、Btrfs 与外部存储"),
    ("hardware.raid", "ok-ddf-container", OK, "md126：完整"),
    ("hardware.raid", "spare-took-over", WARNING, "1 块坏盘尚未换下"),
    ("hardware.sensors", "ok", OK, "3 个传感器均正常，最高温度 47 ℃"),
    ("hardware.sensors", "ok-centos-6", OK, "最高温度 38 ℃"),
    ("hardware.sensors", "ok-arm", OK, "最高温度 51 ℃"),
    ("hardware.sensors", "ok-ipmi", OK, "最高温度 45 ℃"),
    ("hardware.sensors", "bad", CRITICAL, "95 ℃（警告 ≥ 84 ℃，严重 ≥ 94 ℃）"),
    ("hardware.sensors", "ok-ipmi-deasserted", OK, "2 个传感器均正常"),
    ("hardware.sensors", "ok-controller-refused", OK, "管理控制器未能读取"),
    ("hardware.sensors", "ok-unconnected-pin", OK, "1 个传感器均正常"),
    ("hardware.sensors", "warm", WARNING, "86 ℃（警告 ≥ 84 ℃"),
    ("hardware.sensors", "slow-fan", WARNING, "转速 220 RPM，低于下限 400 RPM"),
    ("hardware.sensors", "power-lost", CRITICAL, "AC lost"),
    ("hardware.smart", "ok", OK, "/dev/sda sat 自检结论 PASSED"),
    ("hardware.smart", "ok-nvme", OK, "寿命已用 3%"),
    ("hardware.smart", "ok-megaraid", OK, "/dev/bus/0 megaraid,8 自检结论 OK"),
    ("hardware.smart", "bad", CRITICAL, "FAILED!（应为 PASSED 或 OK），重映射扇区 4012"),
    ("hardware.smart", "pending", WARNING, "待映射 16"),
    ("hardware.smart", "few-reallocated", NOTICE, "重映射扇区 3（警告 ≥ 50）"),
    ("hardware.smart", "many-reallocated", WARNING, "重映射扇区 212"),
    ("hardware.smart", "nvme-worn", WARNING, "寿命已用 96%（警告 ≥ 90%）"),
    ("hardware.smart", "nvme-warning", CRITICAL, "nvme"),
    ("hardware.smart", "nvme-two-warnings", CRITICAL, "nvme"),
    ("hardware.smart", "scsi-failing", CRITICAL, "FAILURE PREDICTION"),
    ("hardware.smart", "some-refused", NOTICE, "1 块磁盘无权读取"),
    ("network.bandwidth", "ok", OK, "接收 8.0、发送 0.4 Mbit/s，占链路 1000 Mbit/s 的 0.8%"),
    ("network.bandwidth", "ok-virtio", OK, "链路速率未知"),
    ("network.bandwidth", "ok-old-virtio", OK, "链路速率未知"),
    ("network.bandwidth", "busy", WARNING, "84.8%（警告 ≥ 80%，严重 ≥ 95%）"),
    ("network.bandwidth", "bad", CRITICAL, "96.0%"),
    ("network.errors", "ok", OK, "错误包 0 个"),
    ("network.errors", "ok-one-error", OK, "错误包 3 个"),
    ("network.errors", "bad", CRITICAL, "错误包 120 个"),
    ("network.errors", "dropping", WARNING, "丢弃 180 个"),
    ("network.errors", "dropping-standby", NOTICE, "丢弃 180 个"),
    ("network.errors", "half-duplex", WARNING, "双工 half"),
    ("network.errors", "long-ago", NOTICE, "累计错误包占 0.249%"),
    ("network.errors", "flapping", NOTICE, "链路变动 64 次（≥ 20 次提示）"),
    ("network.errors", "hundred", NOTICE, "eth0"),
    ("network.gateway", "ok", OK, "默认网关 10.0.0.1（eth0）近期有应答"),
    ("network.gateway", "ok-silent", OK, "近期没有往来"),
    ("network.gateway", "ok-tunnel", OK, "ppp0"),
    ("network.gateway", "bad", WARNING, "不应答地址解析"),
    ("network.gateway", "none", NOTICE, "没有 IPv4 默认路由"),
    ("os.boots", "ok", OK, "启动 2 次（记录始于 2025-11-29），其中 0 次"),
    ("os.boots", "ok-none-since", OK, "启动 0 次"),
    ("os.boots", "ok-centos-6", OK, "启动 1 次"),
    ("os.boots", "bad", WARNING, "其中 1 次之前没有正常关机"),
    ("os.boots", "long-ago", NOTICE, "其中 1 次"),
    ("os.boots", "often", WARNING, "其中 3 次之前没有正常关机（30 天内出现或 ≥ 3 次警告）"),
    ("storage.errors", "ok", OK, "内核日志（dmesg）中磁盘错误 0 条"),
    ("storage.errors", "ok-journal", OK, "journalctl"),
    ("storage.errors", "bad", CRITICAL, "磁盘错误 2 条，ext4 记录的错误 2 次"),
    ("storage.errors", "centos-6", CRITICAL, "磁盘错误 2 条"),
    ("storage.errors", "rhel-8", CRITICAL, "磁盘错误 2 条"),
    ("storage.errors", "openeuler-22.03", CRITICAL, "磁盘错误 3 条"),
    ("storage.errors", "busybox-without-journal", CRITICAL, "磁盘错误 2 条"),
    ("storage.errors", "xfs-shutdown", CRITICAL, "磁盘错误 1 条"),
    ("storage.errors", "resetting", WARNING, "磁盘错误 2 条"),
    ("storage.errors", "log-refused", NOTICE, "无权读取，只核对了"),
    ("storage.errors", "ext4-counts", CRITICAL, "ext4 记录的错误 3 次"),
    ("storage.errors", "refusing", NOTICE, "磁盘 1 块（达到提示）"),
    ("storage.network", "ok", OK, "/mnt/archive（nfs4）正常应答"),
    ("storage.network", "bad", CRITICAL, "/mnt/archive of mail（nfs4）没有应答"),
    ("storage.network", "busybox-killed", CRITICAL, "没有应答（应在 3 秒内应答）"),
    ("storage.network", "stale", WARNING, "stat 退出码 1"),
    ("storage.wait", "ok", OK, "每个请求平均 4 毫秒"),
    ("storage.wait", "ok-centos-6", OK, "繁忙 15%"),
    ("storage.wait", "ok-idle", OK, "没有请求"),
    ("storage.wait", "ok-few-requests", OK, "900 毫秒"),
    ("storage.wait", "slow", WARNING, "150 毫秒（警告 ≥ 100"),
    ("storage.wait", "busy", NOTICE, "繁忙 100%（≥ 90% 提示）"),
    ("storage.wait", "bad", CRITICAL, "800 毫秒"),
]

NOTHING_TO_JUDGE = [
    ("hardware.memory_errors", "virtual", DoesNotApply, "虚拟机"),
    ("hardware.memory_errors", "physical-mute", ForPerson, "系统事件日志"),
    ("hardware.raid", "virtual", DoesNotApply, "虚拟机"),
    ("hardware.raid", "card-without-tool", ForPerson, "megaraid_sas"),
    ("hardware.sensors", "virtual", DoesNotApply, "虚拟机"),
    ("hardware.sensors", "virtual-centos-6", DoesNotApply, "虚拟机"),
    ("hardware.sensors", "physical-mute", ForPerson, "面板或管理口"),
    ("hardware.sensors", "kind-unknown", ForPerson, "面板或管理口"),
    ("hardware.smart", "virtual", DoesNotApply, "虚拟机"),
    ("hardware.smart", "virtual-no-tool", DoesNotApply, "虚拟机"),
    ("hardware.smart", "physical-no-tool", ForPerson, "未安装 smartmontools"),
    ("hardware.smart", "physical-no-smart", ForPerson, "没有可读取 SMART 的磁盘"),
    ("storage.network", "none", DoesNotApply, "没有挂载网络存储"),
]

UNMEASURED = [
    ("hardware.history", "unmeasured", "无法读取"),
    ("hardware.memory", "swap-starts-anew", "换页计数变小"),
    ("hardware.memory", "no-swap-lines", "/proc/meminfo"),
    ("hardware.memory_errors", "unmeasured", "没有完成"),
    ("hardware.memory_errors", "unmeasured-odd", "无法识别"),
    ("hardware.raid", "unmeasured", "没有完成"),
    ("hardware.raid", "unmeasured-odd", "/proc/mdstat"),
    ("hardware.sensors", "unmeasured", "没有完成"),
    ("hardware.sensors", "unmeasured-ipmi-refused", "sudo 免密执行 ipmitool"),
    ("hardware.smart", "unmeasured", "sudo 免密执行 smartctl"),
    ("hardware.smart", "unmeasured-odd", "无法识别"),
    ("network.bandwidth", "unmeasured", "没有完成"),
    ("network.bandwidth", "unmeasured-blank-line", "/proc/net/dev 的内容无法识别"),
    ("network.bandwidth", "unmeasured-rebuilt", "计数变小"),
    ("network.bandwidth", "unmeasured-restarted", "没有递增"),
    ("network.errors", "unmeasured-none", "没有可识别的网络接口"),
    ("network.gateway", "unmeasured", "Permission denied"),
    ("os.boots", "unmeasured", "wtmp"),
    ("os.boots", "unmeasured-no-last", "没有命令 last"),
    ("os.boots", "unmeasured-busybox", "-x -F"),
    ("storage.errors", "unmeasured", "systemd-journal"),
    ("storage.errors", "unmeasured-cut", "没有完成"),
    ("storage.network", "unmeasured", "没有命令 timeout"),
    ("storage.network", "unmeasured-cut", "没有完成"),
    ("storage.network", "unmeasured-no-mounts", "没有完成"),
    ("storage.wait", "unmeasured", "/proc/diskstats"),
    ("storage.wait", "unmeasured-container", "没有可识别的磁盘"),
    ("storage.wait", "unmeasured-anew", "计数变小"),
    ("storage.wait", "unmeasured-missing", "没有 /proc/diskstats"),
]


@pytest.mark.parametrize(("check", "file", "severity", "words"), WORST)
def test_the_worst_of_a_reply_is_told_with_its_value(check, file, severity, words):
    found = verdicts(check, file)
    worst = max(one.severity for one in found)
    assert worst is severity
    assert any(words in one.summary for one in found if one.severity is worst)
    assert all(bool(one.advice) is (one.severity > OK) for one in found)


@pytest.mark.parametrize(("check", "file", "raised", "words"), NOTHING_TO_JUDGE)
def test_where_there_is_nothing_to_judge_the_reason_is_told(check, file, raised, words):
    with pytest.raises(raised, match=re.escape(words)):
        verdicts(check, file)


@pytest.mark.parametrize(("check", "file", "words"), UNMEASURED)
def test_a_reply_without_the_fact_says_why(check, file, words):
    with pytest.raises(ReplyError, match=re.escape(words)):
        verdicts(check, file)


def declared(machine: Machine) -> Subject:
    system = lab_system()
    nodes = tuple(one.model_copy(update={"machine": machine}) for one in system.site.nodes)
    site = system.site.model_copy(update={"nodes": nodes})
    return Subject(System(site, system.profile), Target("mx1"), RECORDED_AT)


@pytest.mark.parametrize(
    ("file", "machine", "raised"),
    [
        ("virtual", Machine.PHYSICAL, ForPerson),
        ("physical-mute", Machine.VIRTUAL, DoesNotApply),
        ("kind-unknown", Machine.VIRTUAL, DoesNotApply),
    ],
)
def test_the_kind_of_machine_in_the_site_file_outweighs_what_the_host_says(file, machine, raised):
    check = check_named("hardware.sensors")
    fact = check.parse(replies_in("hardware.sensors", file))
    with pytest.raises(raised):
        list(check.judge(fact, check.limits, declared(machine)))


def test_a_virtual_machine_that_shows_a_sensor_is_judged_by_it():
    check = check_named("hardware.sensors")
    fact = check.parse(replies_in("hardware.sensors", "bad"))
    assert [one.severity for one in check.judge(fact, check.limits, declared(Machine.VIRTUAL))] == [
        CRITICAL
    ]


def test_a_bond_is_counted_once_and_its_ports_are_watched_for_errors():
    parts = [one.part for one in verdicts("network.bandwidth", "ok-bond")]
    assert parts == ["bond0"]
    watched = {one.part for one in verdicts("network.errors", "ok-bond")}
    assert {"eth0", "eth1", "bond0"} <= watched
    assert not watched & {"lo", "vethab"}


def test_the_speed_in_the_site_file_serves_where_the_machine_knows_none():
    system = lab_system()
    nodes = tuple(one.model_copy(update={"link_mbps": 10}) for one in system.site.nodes)
    system = System(system.site.model_copy(update={"nodes": nodes}), system.profile)
    check = check_named("network.bandwidth")
    fact = check.parse(replies_in("network.bandwidth", "ok-virtio"))
    [verdict] = check.judge(fact, check.limits, Subject(system, Target("mx1"), RECORDED_AT))
    assert verdict.severity is WARNING
    assert verdict.metrics == {"received_mbps": 8.0, "sent_mbps": 0.4, "bandwidth_used_pct": 80.0}


def test_the_processors_are_told_with_least_median_and_most():
    totals = [(100, 1000), (110, 1090), (150, 1150), (210, 1190)]  # 10 %, 40 %, 60 % busy
    replies = [
        Reply(
            f"==> /proc/uptime <==\n{number}.00 1\n\n"
            f"==> /proc/stat <==\ncpu  {user} 0 0 {idle} 0\n",
            0,
            RECORDED_AT,
            "ssh://mx1",
        )
        for number, (user, idle) in enumerate(totals)
    ]
    [verdict] = judged_as("hardware.cpu", *replies)
    assert verdict.metrics == {
        "cpu_used_min_pct": 10.0,
        "cpu_used_median_pct": 40.0,
        "cpu_used_max_pct": 60.0,
        "iowait_pct": 0.0,
        "steal_pct": 0.0,
    }


def judged_as(name, *replies):
    check = check_named(name)
    subject = Subject(lab_system(), Target("mx1"), RECORDED_AT)
    return list(check.judge(check.parse(replies), check.limits, subject))


SYSTEM = lab_system()
CODES = st.sampled_from([0, 1, 3, 127, 141, 255])
ODD_WORDS = st.sampled_from(
    ["9" * 5000, "9" * 25, "-1", "²", "٣", "nan", "1e999", "0", "", "|", "end", "==> /proc/x <=="]
)


def read(name, replies):
    check = check_named(name)
    target = next(iter(check.ask(SYSTEM))).target
    try:
        fact = check.parse(tuple(replies))
        found = list(check.judge(fact, check.limits, Subject(SYSTEM, target, RECORDED_AT)))
    except (ReplyError, DoesNotApply, ForPerson):
        return
    assert found


@st.composite
def mangled(draw, check):
    file = draw(st.sampled_from(sorted(path.stem for path in (REPLIES / check).iterdir())))
    replies = []
    for reply in replies_in(check, file):
        lines = reply.text.splitlines()
        for _ in range(draw(st.integers(0, 3))):
            at = draw(st.integers(0, max(len(lines) - 1, 0)))
            words = re.split("([ |])", lines[at]) if lines else [""]
            words[draw(st.integers(0, len(words) - 1))] = draw(st.one_of(ODD_WORDS, st.text()))
            lines[at : at + draw(st.integers(0, 2))] = ["".join(words)] * draw(st.integers(0, 2))
        text = "\n".join(lines)
        text = text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text
        code = draw(st.one_of(st.just(reply.exit_code), CODES))
        replies.append(Reply(text, code, RECORDED_AT, reply.source))
    return replies


@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_bytes_are_a_fact_or_a_reason(check, data):
    asks = len(next(iter(check_named(check).ask(SYSTEM))).asks)
    texts = data.draw(st.lists(st.binary().map(decode), min_size=asks, max_size=asks))
    read(check, [Reply(text, data.draw(CODES), RECORDED_AT, "ssh://mx1") for text in texts])


@pytest.mark.parametrize("check", [*CHECKS, "hardware.memory", "hardware.cpu"])
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_mangled_reply_is_a_fact_or_a_reason(check, data):
    read(check, data.draw(mangled(check)))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("text", [" " * 10**6, "a " * 500_000, "1" * 10**6, "| " * 500_000])
def test_a_megabyte_on_one_line_is_read_at_once(check, text):
    asks = len(next(iter(check_named(check).ask(SYSTEM))).asks)
    for head in ("", "==> /proc/uptime <==\n1.00 1\n\n==> /proc/net/dev <==\n", "md0 : active "):
        read(check, [Reply(f"{head}{text}\nend\n", 0, RECORDED_AT, "ssh://mx1")] * asks)

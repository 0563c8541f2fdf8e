"""An invented customer, its mail system, and the results of an inspection of every kind."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from mailcare.contracts.authorisation import Authorisation
from mailcare.inspection.check import (
    Area,
    Channel,
    Check,
    Finding,
    Manual,
    NotApplicable,
    Result,
    Severity,
    Target,
    Unmeasured,
)
from mailcare.inspection.comparison import Past
from mailcare.inspection.levels import Ceiling, Floor
from mailcare.inspection.proceedings import Consent, Login, Proceedings, Traffic
from mailcare.papers.document import Document
from mailcare.papers.inspection import Remarks, inspection_report
from mailcare.papers.items import Item, read_items
from mailcare.systems.site import Site
from mailcare.systems.system import System

STARTED_AT = datetime(2026, 3, 18, 1, 30, tzinfo=UTC)
FINISHED_AT = datetime(2026, 3, 18, 1, 42, 37, tzinfo=UTC)
NUMBER = "XJ-2026-0007"
RARE = "朱镕、王喆、𠮷田"
SCRIPT = "<script>alert('x')</script>"

SITE = Site.model_validate(
    {
        "schema": 1,
        "site": "shili-bank",
        "customer": {
            "name": "示例银行",
            "contacts": [
                {"name": "王示例", "phone": "000-0000-0000"},
                {"name": "李示例", "phone": "000-0000-0001", "gets_papers": True},
            ],
        },
        "system": {
            "title": "总行邮件系统",
            "profile": "postfix-dovecot",
            "deployment": "dual",
            "place": "示例市金融街一号数据中心（远程）",
        },
        "domains": [{"name": "shili-bank.example", "dkim_selectors": ["mail"]}],
        "nodes": [
            {"name": "mx1", "hostname": "mx1.shili-bank.example", "address": "192.0.2.11"},
            {"name": "mx2", "hostname": "mx2.shili-bank.example", "address": "192.0.2.12"},
            {
                "name": "bak1",
                "hostname": "bak1.shili-bank.example",
                "address": "192.0.2.31",
                "roles": ["backup"],
            },
        ],
    }
)
SYSTEM = System(SITE, SITE.profile())
EMPTY_PROFILE_SYSTEM = System(
    Site.model_validate(
        SITE.model_dump(mode="json", by_alias=True)
        | {"system": {"title": "总行邮件系统", "profile": "turbomail"}}
    ),
    Site.model_validate(
        SITE.model_dump(mode="json", by_alias=True)
        | {"system": {"title": "总行邮件系统", "profile": "turbomail"}}
    ).profile(),
)


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """As checks with several limits have them."""

    available_pct: Floor = field(default_factory=lambda: Floor(20, 10))
    swap_used_pct: Ceiling = field(default_factory=lambda: Ceiling(25, 60))


def _check(name: str, area: Area, title: str, limits: object = None, source: str = "") -> Check:
    return Check(
        name, area, title, f"{title}如何？", None, None, None, limits, source or "合同条款（示例）"
    )


CHECKS = (
    _check("os.release", Area.OS, "操作系统版本", source="os-release(5)"),
    _check("os.eol", Area.OS, "操作系统维护期", Floor(180, 0), "发行方公布的维护期"),
    _check("os.time_offset", Area.OS, "系统时间偏差", Ceiling(1, 30), "RFC 5905"),
    _check("os.serious_bugs", Area.OS, "操作系统严重 Bug"),
    _check("os.uptime", Area.OS, "连续运行时间"),
    _check("app.version", Area.APP, "邮件系统版本", source="产品档案 version"),
    _check("app.advisory", Area.APP, "升级与补丁"),
    _check("service.processes", Area.SERVICE, "邮件服务进程", source="产品档案 services"),
    _check("smtp.greeting", Area.SERVICE, "SMTP 应答", Ceiling(2000, 10000), "RFC 5321 §4.5.3.2"),
    _check("submission.login", Area.SERVICE, "SMTP 提交与登录", source="RFC 6409"),
    _check("imap.login", Area.SERVICE, "IMAP 登录", source="RFC 9051"),
    _check("pop3.login", Area.SERVICE, "POP3 登录", source="RFC 1939"),
    _check("loop.inside", Area.LOOP, "域内收发", Ceiling(60, 300)),
    _check("loop.inbound", Area.LOOP, "外域发入", Ceiling(60, 300)),
    _check("loop.outbound", Area.LOOP, "发往外域", Ceiling(60, 300)),
    _check("queue.length", Area.QUEUE, "队列长度与滞留", Ceiling(100, 1000)),
    _check("dns.mx", Area.DNS, "MX 记录", source="RFC 5321 §5"),
    _check("dns.spf", Area.DNS, "SPF 记录", source="RFC 7208"),
    _check("dns.dkim", Area.DNS, "DKIM 记录", source="RFC 6376"),
    _check("dns.ptr", Area.DNS, "反向解析", source="RFC 1912 §2.1"),
    _check("tls.days_left", Area.TLS, "证书剩余有效期", Floor(30, 7)),
    _check("tls.name", Area.TLS, "证书名称与链", source="RFC 6125"),
    _check("web.page", Area.WEB, "网页邮箱登录页", Ceiling(3000, 10000)),
    _check("security.open_relay", Area.SECURITY, "开放转发", source="RFC 5321 §3.6"),
    _check("security.dnsbl", Area.SECURITY, "黑名单收录", source="RFC 5782"),
    _check("hardware.cpu", Area.HARDWARE, "CPU 使用率", Ceiling(80, 95)),
    _check("hardware.memory", Area.HARDWARE, "内存使用率", MemoryLimits()),
    _check("hardware.temperature", Area.HARDWARE, "设备及温度"),
    _check("network.bandwidth", Area.NETWORK, "网络带宽占用", Ceiling(70, 90)),
    _check("network.ssh", Area.NETWORK, "远程登录", source="RFC 4253"),
    _check("storage.space", Area.STORAGE, "磁盘空间与 inode", Ceiling(80, 95)),
    _check("backup.age", Area.BACKUP, "最近一次备份", Ceiling(26, 50)),
    _check("cluster.state", Area.CLUSTER, "集群状态"),
    _check("function.archive", Area.FUNCTION, "归档"),
)

OK, NOTICE, WARNING, CRITICAL = Severity
LONG = (
    "投递队列持续增长：共 1,284 封，界限 1,000 封；其中发往 partner.example 的 1,102 封被对方以 "
    "“451 4.7.1 Connection frequency limited” 暂缓，最早一封已滞留 31 小时，"
    "超过多数服务器在 4 至 5 天后退信的时限之前应先查明限频原因。"
)
DF = (
    "ssh://mx1 $ df -P -k",
    "Filesystem     1024-blocks      Used Available Capacity Mounted on",
    "/dev/mapper/vg_mail-lv_var_vmail_2024_extended_volume "
    "1073741824 1041529569 32212255 97% /var/vmail",
)

DEFERRED = tuple(
    f'{{"queue_name": "deferred", "queue_id": "{number:010X}", "recipients": [{{"address": '
    f'"u{number}@partner.example", "delay_reason": "host mx.partner.example[198.51.100.7] said: '
    '451 4.7.1 Connection frequency limited (in reply to MAIL FROM command)"}]}'
    for number in range(20)
)


def _found(check: str, target: Target, severity: Severity, summary: str, **more: object) -> Finding:
    return Finding(check, target, severity, summary, **more)


def _per_node() -> list[Result]:
    results: list[Result] = []
    for node, cpu, memory, used in (("mx1", 23.4, 61.2, 97.0), ("mx2", 18.9, 55.0, 71.5)):
        host = Target(node)
        results += [
            _found("os.release", host, OK, "Debian GNU/Linux 12 (bookworm)，内核 6.1.0-28-amd64"),
            _found(
                "os.eol",
                host,
                OK,
                "维护期至 2028-06-30，尚余 835 天（界限 180 天）",
                metrics={"days_left": 835.0},
            ),
            _found("os.uptime", host, OK, "已连续运行 212 天", metrics={"uptime_days": 212.0}),
            _found(
                "hardware.cpu",
                host,
                OK,
                f"CPU 使用率 {cpu} %（警告 80 %，严重 95 %）",
                metrics={"used_pct": cpu},
            ),
            _found(
                "hardware.memory",
                host,
                OK,
                f"内存使用率 {memory} %（可用低于 20 % 警告）",
                metrics={"used_pct": memory, "available_bytes": 6.6e9},
            ),
            _found(
                "app.version",
                host,
                OK,
                "3.7.11",
                metrics={},
            ),
            _found(
                "storage.space",
                Target(node, part="/"),
                OK,
                "已用 41 %（警告 80 %，严重 95 %）",
                metrics={"used_pct": 41.0, "inodes_used_pct": 7.0, "free_bytes": 5.9e10},
            ),
            _found(
                "storage.space",
                Target(node, part="/var/vmail"),
                CRITICAL if used > 95 else OK,
                f"已用 {used} %（警告 80 %，严重 95 %）",
                advice="先清理或扩容 /var/vmail 再处理队列；剩余空间用尽后新邮件会被拒收。"
                if used > 95
                else "",
                evidence=DF if used > 95 else (),
                metrics={"used_pct": used, "inodes_used_pct": 12.0, "free_bytes": 3.3e10},
            ),
            _found(
                "smtp.greeting",
                Target(node, 25),
                OK,
                "应答 220，EHLO 与 STARTTLS 正常，用时 31 ms",
                metrics={"connect_ms": 31.0},
            ),
            _found(
                "tls.days_left",
                Target(node, 465),
                OK,
                "剩余 211 天（界限 30 天）",
                metrics={"days_left": 211.0},
            ),
        ]
    return results


RESULTS: tuple[Result, ...] = (
    *_per_node(),
    _found(
        "os.time_offset", Target("mx1"), OK, "偏差 0.02 秒（警告 1 秒）", metrics={"offset_s": 0.02}
    ),
    _found(
        "os.time_offset",
        Target("mx2"),
        NOTICE,
        "偏差 0.8 秒，接近界限 1 秒",
        advice="检查 chrony 的上级时间源。",
        metrics={"offset_s": 0.8},
    ),
    Manual("os.serious_bugs", Target(), "对照厂商公告核对内核与 OpenSSH 的严重缺陷"),
    Manual("app.advisory", Target(), "向厂商核对最新版本与补丁"),
    _found(
        "service.processes",
        Target("mx2", part="dovecot"),
        CRITICAL,
        "没有 dovecot 进程（应有 1 个以上）",
        advice="登录 mx2，执行 systemctl status dovecot 查看退出原因，排除后启动。",
        evidence=(
            "ssh://mx2 $ ps -eo pid,args",
            "  1 /sbin/init",
            f"612 /usr/sbin/sshd -D {SCRIPT}",
            "\x1b[31mred\x1b[0m 终端控制符 \u202egnp.exe 与表情 \U0001f600",
        ),
    ),
    _found(
        "imap.login",
        Target("mx2", 993),
        CRITICAL,
        "连接被拒绝",
        advice="先恢复 dovecot 进程。",
        evidence=("# refused",),
        caused_by="service.processes",
    ),
    _found(
        "pop3.login",
        Target("mx2", 995),
        CRITICAL,
        "连接被拒绝",
        advice="先恢复 dovecot 进程。",
        evidence=("# refused",),
        caused_by="service.processes",
    ),
    _found(
        "imap.login", Target("mx1", 993), OK, "登录成功，用时 48 ms", metrics={"connect_ms": 48.0}
    ),
    _found(
        "pop3.login", Target("mx1", 995), OK, "登录成功，用时 44 ms", metrics={"connect_ms": 44.0}
    ),
    _found("submission.login", Target("mx1", 587), OK, "TLSv1.3 下登录成功"),
    Unmeasured("submission.login", Target("mx2", 587), "421 4.3.2 服务器暂不接受连接"),
    _found(
        "loop.inside",
        Target(part="shili-bank.example"),
        OK,
        "4.2 秒送达（警告 60 秒）",
        metrics={"delay_s": 4.2},
    ),
    _found(
        "loop.inbound",
        Target(part="shili-bank.example"),
        OK,
        "9.7 秒送达（警告 60 秒）",
        metrics={"delay_s": 9.7},
    ),
    Unmeasured(
        "loop.outbound", Target(part="outside.example"), "外部探测邮箱 30 秒内无法登录", "dns.mx"
    ),
    _found(
        "queue.length",
        Target("mx1"),
        WARNING,
        LONG,
        advice="查看限频回应，向对方邮件管理员申请放行；同时检查是否有账号被盗发信。",
        evidence=DEFERRED,
        metrics={"queue_count": 1284.0, "oldest_age_hours": 31.0},
        caused_by="storage.space",
    ),
    _found(
        "dns.mx",
        Target(part="shili-bank.example"),
        WARNING,
        "MX 指向 1 台主机，登记的邮件主机有 2 台",
        advice="为 mx2 增加 MX 记录（优先级 20）。",
        evidence=("dns://192.0.2.53 $ shili-bank.example MX", "10 mx1.shili-bank.example."),
    ),
    _found(
        "dns.spf",
        Target(part="shili-bank.example"),
        NOTICE,
        "SPF 以 ~all 结尾，建议 -all",
        advice="确认发信来源齐全后改为 -all。",
    ),
    _found(
        "dns.dkim", Target(part="mail._domainkey.shili-bank.example"), OK, "RSA 2048 位公钥有效"
    ),
    _found("dns.ptr", Target("mx1"), OK, "192.0.2.11 → mx1.shili-bank.example，正反向一致"),
    _found(
        "tls.days_left",
        Target("mx1", 993),
        WARNING,
        "剩余 21 天（警告 30 天，严重 7 天）",
        advice="在 2026-04-08 之前更换证书。",
        metrics={"days_left": 21.0},
        evidence=("subject=CN = mx1.shili-bank.example", f"issuer=O = {RARE} 测试签发机构"),
    ),
    _found("tls.name", Target("mx1", 993), OK, "名称与链均有效"),
    _found(
        "web.page",
        Target("mx1", 443),
        OK,
        "登录页 412 ms 打开，登录表单齐全",
        metrics={"page_ms": 412.0, "connect_ms": 22.0},
    ),
    _found("security.open_relay", Target("mx1", 25), OK, "对外域收件人答复 554，不转发"),
    Unmeasured(
        "security.dnsbl", Target(part="dnsbl.example"), "黑名单测试点没有应答，查询结果不可信"
    ),
    Manual("hardware.temperature", Target("mx1"), "查看机箱指示灯、电源、风扇与温度"),
    Manual("hardware.temperature", Target("mx2"), "查看机箱指示灯、电源、风扇与温度"),
    Unmeasured("network.bandwidth", Target("mx1"), "网卡 eth0 没有报告速率"),
    _found("network.ssh", Target("bak1"), OK, "主机密钥与登记一致"),
    _found(
        "backup.age",
        Target("bak1"),
        OK,
        "最近一次备份 9 小时前完成（警告 26 小时）",
        metrics={"age_hours": 9.0},
    ),
    NotApplicable("cluster.state", Target(), "本系统不涉及此项"),
    Unmeasured("function.archive", Target(), "产品档案「Postfix + Dovecot」未填写 archive"),
)

ALL_GOOD: tuple[Result, ...] = (
    _found("os.release", Target("mx1"), OK, "Debian GNU/Linux 12"),
    _found("web.page", Target("mx1", 443), OK, "登录页 412 ms 打开", metrics={"page_ms": 412.0}),
)


def items_of(results: tuple[Result, ...] = RESULTS) -> tuple[Item, ...]:
    return read_items(results, CHECKS)


RECORD = Proceedings(
    product_version="0.1.0",
    consents=(
        Consent(
            Authorisation(
                "7",
                "李示例",
                frozenset({"mx1", "mx2", "bak1"}),
                datetime(2026, 1, 5, tzinfo=UTC),
                datetime(2027, 1, 5, tzinfo=UTC),
            ),
            given_at=datetime(2026, 1, 4, 2, 0, tzinfo=UTC),
            how="letter",
            purpose="年度远程巡检",
            evidence="授权书 2026-003",
        ),
    ),
    logins=tuple(
        Login(node, f"192.0.2.{part}", "inspector", STARTED_AT + timedelta(seconds=part), "7")
        for node, part in (("mx1", 11), ("mx2", 12), ("bak1", 31))
    ),
    traffic=(Traffic(Channel.SSH, 40, 39), Traffic(Channel.DNS, 9, 9), Traffic(Channel.LOOP, 3, 2)),
    replies_sha256="0f" * 32,
    handed_in=False,
)


def years_ago(years: int, results: tuple[Result, ...] = RESULTS) -> Past:
    return Past(STARTED_AT - timedelta(days=365 * years), results)


def report(
    results: tuple[Result, ...] = RESULTS,
    system: System = SYSTEM,
    *,
    past: tuple[Past, ...] | None = (),
    record: Proceedings = RECORD,
    **remarks: object,
) -> Document:
    remarks = {
        "vendor": "示例软件服务有限公司",
        "feedback_address": "tech@vendor.example",
    } | remarks
    return inspection_report(
        system,
        results,
        CHECKS,
        number=NUMBER,
        started_at=STARTED_AT,
        finished_at=FINISHED_AT,
        record=record,
        past=past,
        remarks=Remarks(**remarks),
    )


def photo(size: tuple[int, int], *, orientation: int = 1, latitude: float = 0.0) -> bytes:
    """Return a JPEG, red at the left and blue at the right, with what a phone writes into it."""
    picture = Image.new("RGB", size, "red")
    picture.paste("blue", (size[0] // 2, 0, *size))
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (latitude, 0.0, 0.0)
    body = BytesIO()
    picture.save(body, "JPEG", exif=exif)
    return body.getvalue()

"""The Chinese words of the inspection report and its statistics, each in one place.

The headings that belong to the form itself stand in the templates and in `inspection_form`.
"""

from collections.abc import Mapping

from mailcare.inspection.check import Area
from mailcare.systems.profile import Confidence, TlsMode
from mailcare.systems.site import Role

STATES: Mapping[str, str] = {
    "critical": "严重",
    "warning": "警告",
    "notice": "提示",
    "ok": "正常",
    "unmeasured": "未测得",
    "manual": "需人工",
    "not_applicable": "不适用",
}

TOTAL = "合计"

AREAS: Mapping[Area, str] = {
    Area.OS: "操作系统",
    Area.APP: "邮件系统",
    Area.SERVICE: "邮件服务",
    Area.LOOP: "邮件收发",
    Area.QUEUE: "邮件队列",
    Area.DNS: "域名解析",
    Area.TLS: "证书与加密",
    Area.WEB: "网页邮箱",
    Area.SECURITY: "安全",
    Area.HARDWARE: "硬件设备",
    Area.NETWORK: "网络",
    Area.STORAGE: "存储",
    Area.BACKUP: "备份",
    Area.CLUSTER: "集群",
    Area.FUNCTION: "高级功能",
}

ROLES: Mapping[Role, str] = {
    Role.MAIL: "邮件主机",
    Role.BACKUP: "备份主机",
    Role.OTHER: "其他主机",
}

CONFIDENCES: Mapping[Confidence, str] = {
    Confidence.VERIFIED: "已核实",
    Confidence.VENDOR: "厂商提供",
    Confidence.PUBLIC: "公开资料",
    Confidence.ASSUMED: "推定，待核实",
}

TLS_MODES: Mapping[TlsMode, str] = {
    TlsMode.NONE: "不加密",
    TlsMode.STARTTLS: "STARTTLS",
    TlsMode.IMPLICIT: "直接加密",
}

PROFILE_FIELDS: Mapping[str, str] = {
    "home": "安装目录",
    "services": "服务程序",
    "listeners": "监听端口",
    "version": "版本查询方式",
    "queue": "队列查询方式",
    "mail_store": "邮件存储目录",
    "mail_log": "邮件日志",
    "web_page": "网页邮箱登录页",
    "admin_pages": "管理后台页面",
    "access_log": "网页访问日志",
    "attack_signs": "攻击迹象",
    "login_failures": "登录失败记录",
    "logins": "登录成功记录",
    "submissions": "用户发信记录",
    "forwards": "转发设置查询方式",
    "archive": "归档",
    "approval": "审核",
    "query": "查询",
    "secondary_development": "二次开发功能",
}

# What a metric or a limit measures: its name without the unit.
MEASURES: Mapping[str, str] = {
    "used": "使用率",
    "cpu": "CPU 使用率",
    "cpu_used": "CPU 使用率",
    "cpu_used_min": "CPU 最低使用率",
    "cpu_used_median": "CPU 中位使用率",
    "cpu_used_max": "CPU 最高使用率",
    "iowait": "CPU 等待磁盘",
    "steal": "CPU 被占用",
    "memory_used": "内存使用率",
    "available": "可用内存",
    "total": "总量",
    "free": "剩余空间",
    "pending_updates": "待装安全更新",
    "pending_warning": "待装安全更新警告",
    "metadata": "软件源信息不早于",
    "metadata_age": "软件源信息时长",
    "list_notice": "缺陷名录提示",
    "swap_used": "交换区使用率",
    "load": "平均负载",
    "load1": "1 分钟平均负载",
    "load5": "5 分钟平均负载",
    "load15": "15 分钟平均负载",
    "load_per_cpu": "每核负载",
    "space_used": "空间使用率",
    "inodes_used": "inode 使用率",
    "inode_used": "inode 使用率",
    "uptime": "连续运行时间",
    "offset": "时间偏差",
    "queue": "队列邮件数",
    "messages": "队列邮件数",
    "size": "大小",
    "oldest": "最早邮件滞留",
    "age": "时长",
    "oldest_age": "最早邮件滞留",
    "delay": "邮件投递用时",
    "effect": "功能生效用时",
    "left": "剩余有效期",
    "connect": "连接用时",
    "page": "页面用时",
    "elapsed": "用时",
    "processes": "进程数",
    "temperature": "温度",
    "bandwidth": "带宽占用",
    "bandwidth_used": "带宽占用率",
    "received": "接收速率",
    "sent": "发送速率",
    "errors": "错误包比例",
    "drops": "丢包比例",
    "drops_warning": "丢包警告",
    "changes_notice": "链路变动提示",
    "available_min": "最低可用内存",
    "swap_in": "换入速率",
    "swap_out": "换出速率",
    "oom_kill": "因内存耗尽终止的进程",
    "history_used_median": "历史 CPU 中位使用率",
    "history_used_busy": "历史 CPU 繁忙时使用率",
    "history_used_max": "历史 CPU 最高使用率",
    "history_iowait_busy": "历史繁忙时等待磁盘",
    "median_warning": "中位使用率警告",
    "busy_warning": "繁忙时使用率警告",
    "fan": "风扇转速",
    "memory_corrected": "已纠正的内存错误",
    "memory_uncorrected": "不可纠正的内存错误",
    "corrected_warning": "已纠正的内存错误警告",
    "reallocated_sectors": "重映射扇区",
    "pending_sectors": "待映射扇区",
    "reallocated_warning": "重映射扇区警告",
    "worn_warning": "闪存寿命已用警告",
    "storage_errors": "磁盘错误记录",
    "failed_notice": "失败的磁盘命令提示",
    "disk_busy": "磁盘繁忙",
    "disk_wait": "磁盘请求等待",
    "wait": "磁盘请求等待",
    "busy_notice": "磁盘繁忙提示",
    "answer": "应答",
    "boots": "启动次数",
    "unclean_boots": "非正常停机次数",
    "unclean_warning": "非正常停机警告",
    "alarm": "非正常停机警告（近期）",
    "rsa": "RSA 密钥",
    "key": "密钥",
    "refused_below": "密钥下限",
    "advised": "建议密钥",
    "listings": "收录的黑名单数",
    "accepted": "接受外域转发",
    "wanted": "应有结果",
    "outdated": "已淘汰的协议",
    "broken": "已淘汰的加密算法",
    "broken_digests": "已淘汰的签名算法",
    "max_age": "策略有效期",
    "name_servers": "权威服务器至少",
    "apart": "相差",
    "recent": "启动不足（提示）",
    "long": "连续运行超过（提示）",
    "used_warning": "CPU 使用率警告",
    "iowait_warning": "等待磁盘警告",
    "steal_warning": "被宿主机占用警告",
    "swap_used_notice": "交换区使用率提示",
    "least": "进程至少",
    "notice": "到期前提示",
    "greeting_code": "问候应答码",
    "ehlo_code": "EHLO 应答码",
    "matches": "命中次数",
    "failures_per_hour": "一小时登录失败次数",
    "accounts": "涉及账号数",
    "addresses": "来源地址数",
    "sent_per_hour": "一小时发信数",
    "outside": "外部转发数",
    "changed": "新近改动的外部转发数",
    "lines": "命中次数",
    "address_per_hour": "单个地址每小时失败",
    "address_per_day": "单个地址每天失败",
    "accounts_per_address": "单个地址试探账号",
    "addresses_per_account": "单个账号被试地址",
    "account_per_day": "单个账号每天失败",
    "before_success": "成功前的失败",
    "per_hour": "每小时发信",
    "times_median": "自身中位数的倍数",
    "active": "至少有发信的时长",
    "least_peak": "异常峰值至少",
    "fresh": "新近改动",
    "by_password": "接受口令登录",
    "reachable": "可从外部打开",
    "failures": "失败次数",
    "failures_pct": "失败占比",
    "p50": "应答用时中位",
    "p95": "应答用时（95%）",
    "rounds": "探测次数",
    "rate_limit": "因发信频率受限等待",
    "content": "因内容被拒等待",
    "reputation": "因信誉被拒等待",
    "authentication": "因认证被拒等待",
    "unknown_user": "因收件人不存在等待",
    "mailbox_full": "因对方邮箱满等待",
    "too_big": "因邮件过大等待",
    "tls": "因加密失败等待",
    "temporary": "因对方暂缓等待",
    "name": "因解析失败等待",
    "unreachable": "因连接失败等待",
    "unknown": "因其他原因等待",
    "logged": "日志中的投递次数",
    "deliveries": "日志中的投递至少",
    "refused": "日志中被拒或暂缓",
    "refused_pct": "日志中被拒或暂缓占比",
    "providers": "外部邮箱",
    "failed": "未正常送达的邮箱",
    "depth": "队列邮件数",
    "alike": "同一原因或目的域的邮件数",
    "critical_from": "达到严重至少",
}

# A limit that is a word and not a number.
LIMIT_WORDS: Mapping[str, str] = {"accepted": "登录成功"}

# The unit at the end of a metric's name, and how it is written.
UNITS: Mapping[str, str] = {
    "pct": "%",
    "ms": "毫秒",
    "s": "秒",
    "min": "分钟",
    "hours": "小时",
    "days": "天",
    "years": "年",
    "bits": "位",
    "bytes": "字节",
    "mbps": "Mbit/s",
    "kibps": "KiB/s",
    "rpm": "RPM",
    "celsius": "℃",
    "c": "℃",
    "count": "个",
}

# What is counted, where its measure word is not 个.
COUNTED: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("messages", "depth", "alike", "sent_per_hour", "per_hour", "least_peak"),
            *("rate_limit", "content", "reputation", "authentication", "unknown_user"),
            *("mailbox_full", "too_big", "tls", "temporary", "name", "unreachable", "unknown"),
        ),
        "封",
    ),
    **dict.fromkeys(
        (
            *("matches", "failures", "failures_per_hour", "rounds", "boots", "unclean_boots"),
            *("unclean_warning", "changes_notice", "memory_corrected", "memory_uncorrected"),
            *("corrected_warning", "failed_notice", "logged", "deliveries", "refused"),
            *("address_per_hour", "address_per_day", "account_per_day", "before_success"),
        ),
        "次",
    ),
    "storage_errors": "条",
    "times_median": "倍",
    "name_servers": "台",
    "providers": "家",
    "failed": "家",
}


def measure_of(metric: str) -> tuple[str, str]:
    """Return what a metric measures and its unit; a name without a known part stands as it is."""
    stem, _, last = metric.rpartition("_")
    unit = UNITS.get(last, "")
    name = stem if unit and stem else metric
    # `days_left` names its unit first.
    first, _, rest = metric.partition("_")
    if not unit and first in UNITS and rest in MEASURES:
        return MEASURES[rest], UNITS[first]
    if unit in ("", UNITS["count"]):
        unit = COUNTED.get(name, unit)
    return MEASURES.get(metric, MEASURES.get(name, name)), unit

"""The Chinese words of the inspection report and its statistics, each in one place.

The headings that belong to the form itself stand in the templates and in `inspection_form`.
"""

from collections.abc import Mapping

from mailcare.inspection.check import Area
from mailcare.systems.profile import Confidence
from mailcare.systems.site import Deployment, Role

STATES: Mapping[str, str] = {
    "critical": "严重",
    "warning": "警告",
    "notice": "提示",
    "ok": "正常",
    "unmeasured": "未测得",
    "manual": "需人工",
    "not_applicable": "不适用",
}

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

DEPLOYMENTS: Mapping[Deployment, str] = {
    Deployment.SINGLE: "单机",
    Deployment.DUAL: "双机",
    Deployment.CLUSTER: "集群",
    Deployment.DISTRIBUTED: "分布式",
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
    "iowait": "CPU 等待磁盘",
    "steal": "CPU 被占用",
    "memory_used": "内存使用率",
    "available": "可用内存",
    "total": "总量",
    "free": "剩余空间",
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
    "left": "剩余有效期",
    "connect": "连接用时",
    "page": "页面用时",
    "elapsed": "用时",
    "processes": "进程数",
    "temperature": "温度",
    "bandwidth": "带宽占用",
    "rsa": "RSA 密钥",
    "key": "密钥",
    "refused_below": "密钥下限",
    "advised": "建议密钥",
    "listings": "收录的黑名单数",
    "accepted": "接受外域转发",
    "wanted": "应有结果",
    "outdated": "已淘汰的协议",
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
    "celsius": "℃",
    "c": "℃",
    "count": "个",
}


def measure_of(metric: str) -> tuple[str, str]:
    """Return what a metric measures and its unit; a name without a known part stands as it is."""
    stem, _, last = metric.rpartition("_")
    unit = UNITS.get(last, "")
    name = stem if unit and stem else metric
    if not unit and name.removesuffix("_count") in MEASURES:
        return MEASURES[name.removesuffix("_count")], ""
    # `days_left` names its unit first.
    first, _, rest = metric.partition("_")
    if not unit and first in UNITS and rest in MEASURES:
        return MEASURES[rest], UNITS[first]
    return MEASURES.get(name, name), unit

"""What is written down during the three days: which field, which check belongs to which day. Pure.

Day 1 is the hardware, day 2 the system's performance, day 3 training and exchange
(服务方案第四部分).
"""

from collections.abc import Mapping
from enum import StrEnum
from fnmatch import fnmatchcase

from mailcare.inspection.check import Area

HARDWARE_DAY, SYSTEM_DAY, TRAINING_DAY = 1, 2, 3
DAY_TITLES: Mapping[int, str] = {
    HARDWARE_DAY: "硬件设备运行情况",
    SYSTEM_DAY: "系统整体性能运行分析",
    TRAINING_DAY: "用户技术人员培训与交流",
}
_HARDWARE_CHECKS = ("*.cpu", "*.memory", "*.load", "hardware.*", "network.bandwidth*")
_HARDWARE_AREAS = (Area.HARDWARE,)


class Topic(StrEnum):
    """What the training is about: the three of annex 2."""

    SCREENS = "screens"
    COMMANDS = "commands"
    ARCHITECTURE = "architecture"


TOPIC_TITLES: Mapping[Topic, str] = {
    Topic.SCREENS: "界面使用",
    Topic.COMMANDS: "命令操作",
    Topic.ARCHITECTURE: "系统架构",
}
OUTLINE: Mapping[Topic, tuple[str, ...]] = {
    Topic.SCREENS: (
        "管理界面与用户界面的主要功能；邮箱、邮件组、域的管理",
        "反垃圾与过滤规则、归档、审核、查询的使用",
        "日志与统计页面：怎样查一封邮件的去向",
    ),
    Topic.COMMANDS: (
        "服务的启动、停止与状态查看；邮件队列的查看与处理",
        "磁盘、日志、证书到期的日常检查；备份与恢复操作",
        "只读采集脚本的使用与结果交回",
    ),
    Topic.ARCHITECTURE: (
        "本系统的服务器部署、邮件收发路径与依赖关系",
        "高可用与单点：故障时的现象与应急步骤",
        "报障方式、故障级别与响应时限",
    ),
}
# What an engineer writes in words, by the field of annex 2 that it answers.
FIELDS: Mapping[str, str] = {
    "faults_network": "故障排除：网络",
    "faults_dns": "故障排除：DNS",
    "faults_storage": "故障排除：存储",
    "done": "本次处理内容",
    "causes": "原因分析与建议",
    "others": "其他",
}
# What the customer wrote on the paper by hand, entered when the signed paper is back.
OPINIONS: Mapping[str, str] = {
    "opinion_score": "总体打分（满分 5 分）",
    "opinion_communication": "工程师沟通能力",
    "opinion_process": "检查过程是否满意",
    "opinion_attitude": "工程师服务态度",
    "opinion_advice": "建议改进",
}


def day_of_check(name: str, area: Area) -> int:
    """Return the day of the visit on which a check is looked at."""
    is_hardware = area in _HARDWARE_AREAS or any(fnmatchcase(name, one) for one in _HARDWARE_CHECKS)
    return HARDWARE_DAY if is_hardware else SYSTEM_DAY


def missing_to_complete(*, days_written: set[int], topics: set[Topic]) -> tuple[str, ...]:
    """Return what must still be written down before a visit is complete, in words."""
    days = [DAY_TITLES[day] for day in (HARDWARE_DAY, SYSTEM_DAY) if day not in days_written]
    return (*(f"「{one}」还没有任何记录" for one in days), *_untaught(topics))


def _untaught(topics: set[Topic]) -> tuple[str, ...]:
    return () if topics else ("「用户技术人员培训与交流」还没有培训记录",)

"""What the pages about backups say, in English."""

import re

STOOD = re.compile(r"(通过|不通过|降级|未执行|从未验证)（(?:(\d+)天前)?，?(逾期|合同外)?）")
BACKUP_ENGLISH = {
    "备份": "Backups",
    "备份副本": "Backup copy",
    "副本": "Copy",
    "L0 副本与备份代": "L0 copies",
    "L1 时效与容量": "L1 freshness",
    "L2 邮箱清点": "L2 inventory",
    "L3 完整性校验": "L3 integrity",
    "L4 恢复演练": "L4 restore drill",
    "L5 服务演练": "L5 service drill",
    "上次验证": "Last verified",
    "通过": "passed",
    "不通过": "failed",
    "降级": "degraded",
    "未执行": "not run",
    "从未验证": "never verified",
    "逾期": "overdue",
    "还没有任何证据。": "There is no evidence yet.",
    "历次验证": "Every verification",
    "级别": "Level",
    "备份代": "Generation",
    "应检": "Expected",
    "已检": "Examined",
    "合格": "Good",
    "不合格": "Bad",
    "不可读": "Unreadable",
    "原因": "Reason",
    "证据": "Evidence",
    "证据与记录不符：": "The evidence does not hold:",
    "全部证据签名有效、前后相连，结论与事实一致。": (
        "All evidence is signed and chained, and its verdicts follow from its facts."
    ),
    "备份验证报告": "Backup verification report",
}

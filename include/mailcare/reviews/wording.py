"""The Chinese words of reviews, each in one place."""

from collections.abc import Mapping

from mailcare.deadlines import Level, Terms, Unit
from mailcare.reviews.facts import Keeping

SERVICE_TITLES: Mapping[str, str] = {
    "remote_inspection": "远程巡检",
    "backup_verification": "备份验证",
    "visit": "现场巡检",
    "review": "年度回顾",
}
SERVICE_STATES: Mapping[str, str] = {
    "planned": "待执行",
    "running": "进行中",
    "done": "已完成",
    "withdrawn": "已撤回",
}
CLOCK_TITLES: Mapping[str, str] = {"response": "响应", "resolution": "处理", "report": "报告"}
KEEPINGS: Mapping[Keeping, str] = {
    Keeping.KEPT: "按时",
    Keeping.BROKEN: "违约",
    Keeping.OVER_TARGET: "超目标",
    Keeping.OPEN: "计时中",
}
FAULT_STATES: Mapping[str, str] = {
    "declared": "已申报",
    "accepted": "处理中",
    "paused": "暂停",
    "handled": "已处理",
    "reported": "已报告",
    "signed": "已签字",
    "cancelled": "已撤销",
    "merged": "已合并",
}
VISIT_STATES: Mapping[str, str] = {
    "open": "待约定",
    "proposed": "已提议",
    "countered": "客户另提",
    "confirmed": "已确认",
    "started": "进行中",
    "completed": "已完成",
    "cancelled": "已取消",
    "no_show": "未成行",
}
VERDICTS: Mapping[str, str] = {
    "PASS": "通过",
    "FAIL": "不通过",
    "DEGRADED": "降级",
    "NOT_RUN": "未执行",
}
# 服务方案附件一
REMOTE_SAYS = (
    "技术支持服务包括：1. 安装、培训；2. 电话、Email、SSH、MSN、QQ 远程技术支持，远程巡检一年一次。"
)
VISIT_SAYS = "现场培训、交流，对硬件及系统整体运行环境检查。"
PRICE_REMARK = "备注：现场巡检需单独购买，每次现场巡检周期为 3 个工作日。"


def promised_clocks(terms: Terms) -> tuple[tuple[str, str], ...]:
    """Say the promises of time in the words of the service plan (服务方案第五、六部分)."""
    return (
        ("响应", f"申报起 {terms.response_minutes} 分钟内电话响应，7×24×365"),
        *((f"处理 {level.label}", _resolution(terms, level)) for level in Level),
        ("报告", f"处理完毕次日起算，第 {terms.report_workdays} 个工作日 24:00 前送达"),
    )


def _resolution(terms: Terms, level: Level) -> str:
    promise = terms.promise(level)
    if promise.unit is Unit.HOURS:
        return f"申报起 {promise.count} 小时内提供解决方案或替代方法"
    return f"一般 {promise.count} 天（目标）" if promise.is_soft else f"{promise.count} 天内"

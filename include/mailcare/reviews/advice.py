"""Advice for the next year, from what the year has shown. Pure."""

from collections.abc import Iterator

from mailcare.reviews.facts import CustomerYear, Keeping, tally
from mailcare.reviews.wording import CLOCK_TITLES, SERVICE_TITLES, VERDICTS
from mailcare.surveys.statistics import OVERALL, figures_of_all

FINDINGS_MOST = 5
LOW_MEAN = 4.0  # 4 分：表示好
PASSED = "PASS"
GRAVE = ("P1", "P2")
GRAVE_FAULTS_MANY = 3  # own experience: as many in a year are worth a look on site


def advice(year: CustomerYear) -> tuple[str, ...]:
    """Return what to do next year, the most urgent first; one sentence where there is nothing."""
    found = (*_about_findings(year), *_about_faults(year), *_about_rest(year), *_about_marks(year))
    return found or ("本年度没有需要特别处理的问题，建议按现有方案继续。",)


def _about_findings(year: CustomerYear) -> Iterator[str]:
    if not year.inspections:
        return
    last = year.inspections[-1]
    for one in last.bad[:FINDINGS_MOST]:
        yield f"{one.title}：{one.summary}。{one.advice}".replace("。。", "。")
    if (more := len(last.bad) - FINDINGS_MOST) > 0:
        yield f"另有 {more} 项问题，见最近一次巡检报告。"
    if unmeasured := last.counts.get("unmeasured", 0):
        yield f"最近一次巡检有 {unmeasured} 项未能测得，建议补充授权或资料后复查。"


def _about_faults(year: CustomerYear) -> Iterator[str]:
    for clock, title in CLOCK_TITLES.items():
        if broken := tally(year.faults, clock)[Keeping.BROKEN]:
            yield f"{title}时限有 {broken} 次违约，我方将复核值班与处理流程，并向贵方说明改进措施。"
    grave = sum(one.level in GRAVE for one in year.faults)
    if grave >= GRAVE_FAULTS_MANY:
        yield f"一级、二级故障共 {grave} 次，建议来年安排现场巡检，检查硬件与整体运行环境。"


def _about_rest(year: CustomerYear) -> Iterator[str]:
    for one in year.balances:
        if one.left:
            title = SERVICE_TITLES[one.promise]
            yield f"{title}尚有 {one.left} 次未安排，合同年度结束后作废，请尽快约定。"
    for copy in year.backups:
        if copy.last_verdict != PASSED:
            said = f"最近一次验证的结论是「{VERDICTS[copy.last_verdict]}」，不能证明可以恢复"
            yield f"备份「{copy.copy}」{said}，请按《备份验证报告》处理。"
    if not year.backups:
        yield "本年度没有完成的备份验证，建议来年尽早验证备份能否恢复。"


def _about_marks(year: CustomerYear) -> Iterator[str]:
    figures = figures_of_all(year.surveys)
    mean = figures.tallies[OVERALL].mean
    if mean is not None and mean < LOW_MEAN:
        yield f"满意度平均 {mean:.2f} 分，低于「好」，我方将逐条回应客户意见。"

"""The Chinese words of surveys, each in one place."""

from collections.abc import Mapping

from mailcare.surveys.scores import QUESTIONS
from mailcare.surveys.statistics import OVERALL, Grouping

CASE_TITLES: Mapping[str, str] = {
    "visit": "现场巡检",
    "inspection": "远程巡检",
    "fault": "故障处理",
    "remote_support": "远程技术支持",
}
STATE_TITLES: Mapping[str, str] = {
    "asked": "待回访",
    "reminded": "已催办",
    "answered": "已答复",
    "refused": "谢绝",
    "expired": "过期",
}
OUTCOME_TITLES: Mapping[str, str] = {
    "answered": "已答复",
    "no_answer": "未接通",
    "call_again": "约定再打",
    "refused": "谢绝回访",
}
WAY_TITLES: Mapping[str, str] = {"call": "电话回访", "sheet": "签字表"}
GROUPING_TITLES: Mapping[Grouping, str] = {
    Grouping.ENGINEER: "工程师",
    Grouping.CUSTOMER: "客户",
    Grouping.SERVICE: "服务",
    Grouping.QUARTER: "季度",
}
QUESTION_TITLES: Mapping[str, str] = {**QUESTIONS, OVERALL: "四项合计"}

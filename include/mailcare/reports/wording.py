"""What the states of a report are called, and the letter that it goes out with."""

from mailcare.records.faults import ReportState

STATE_TITLES = {
    ReportState.DRAFT: "起草中",
    ReportState.IN_REVIEW: "待审核",
    ReportState.RETURNED: "已退回",
    ReportState.APPROVED: "已通过，待生成",
    ReportState.ISSUED: "已签发，待送达",
    ReportState.SENT: "已送达",
    ReportState.SIGNED: "客户已签回",
    ReportState.SUPERSEDED: "已由新的报告取代",
}
LETTER = """{name}：

您好！{customer}的故障（编号 {number}，{level}）已处理完成。
随信附上《故障处理报告》（第 {edition} 版，PDF，工程师已签字），请查收。

请核对报告内容，填写「用户意见与建议」；如无异议，请签字（盖章）后寄回扫描件或电子签章文件。
如有疑问，请直接回复本邮件。

{vendor}
"""
VIA_TITLES = {"console": "控制台", "airflow": "Airflow", "mailcare": "自动"}


def state_title(state: str) -> str:
    """Say how far a report has come."""
    return STATE_TITLES[ReportState(state)]

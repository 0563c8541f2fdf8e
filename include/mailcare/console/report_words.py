"""The English of the pages about reports on faults and their statistics."""

REPORT_ENGLISH = {
    "故障处理报告": "Fault reports",
    "最迟送达": "Due",
    "自动": "automatic",
    "开始起草": "begun",
    "更新时间": "Since",
    "来自": "Via",
    "收件人": "To",
    "答复": "Reply",
    "起草中": "draft",
    "待审核": "to be reviewed",
    "已退回": "returned",
    "已通过，待生成": "approved, being issued",
    "已签发，待送达": "issued, on its way",
    "已送达": "delivered",
    "客户已签回": "signed by the customer",
    "已由新的报告取代": "superseded",
    "还没有报告。故障处理完成后起草，内容先由登记的经过填好。": (
        "No report yet. It is begun when the fault is handled, filled in from what was recorded."
    ),
    "起草报告": "Begin the report",
    "起草新一轮处理的报告": "Begin the report on the next handling",
    "文书与签字": "Paper and signatures",
    "预览 PDF": "PDF preview",
    "故障时间（不清楚可空）": "When it happened (may be empty)",
    "故障时间": "When it happened",
    "处理方法": "What was done",
    "处理程度": "How far it is solved",
    "经验总结": "Lessons",
    "用户意见与建议": "The customer's remarks",
    "提交审核后不能再改；审核通过后以我的名义签字并投递给客户。": (
        "Once submitted it cannot be changed; once approved it is signed in my name and sent."
    ),
    "保存草稿": "Save the draft",
    "提交审核": "Submit for review",
    "审核": "Review",
    "也可以在 Airflow 的 Required Actions 中审核，先作出的决定有效；不能审核自己写过的报告。": (
        "Or under Required Actions in Airflow; the first decision counts. Nobody "
        "reviews what they wrote."
    ),
    "退回意见": "Remark, if it is returned",
    "通过，签发": "Approve and issue",
    "退回修改": "Return it",
    "登记当面送达": "Record a hand delivery",
    "签收人": "Received by",
    "送达时间": "Handed over at",
    "签收凭证": "Receipt",
    "投递": "Letters",
    "尚无邮件。": "No letters yet.",
    "故障统计": "Figures of faults",
    "月份": "Month",
    "各月按时率": "Share kept in time, by month",
    "违约与超目标": "Broken promises and missed targets",
    "按申报日期（北京时间）统计，由事件重新推算。": (
        "By the day of the declaration (Beijing), reckoned from the events."
    ),
    "按时率＝按时 ÷（按时＋违约＋超目标）；净用时不计暂停与重新打开前的时间。": (
        "In time = kept / (kept + broken + missed target); net leaves out pauses and the time "
        "before a reopening."
    ),
    "已提交审核。": "Submitted.",
    "已审核。": "Decided.",
    "已有人先作出决定，本次没有改变。": "Somebody decided before; nothing was changed.",
}

"""The words of the pages about visits: what is recorded in Chinese, and the English."""

VISIT_LABELS = {
    "visit/sheet.html": "现场巡检单",
    "visit_propose": "提出现场日期",
    "visit_counter": "客户另提现场日期",
    "visit_confirm": "约定现场日期",
    "visit_move": "现场改期",
    "visit_cancel": "取消现场",
    "visit_miss": "现场未成行",
    "visit_start": "开始现场",
    "visit_complete": "完成现场",
}

VISIT_ENGLISH = {
    "采集结果": "Collector output",
    "资料包脚本的输出，每台主机一个文件，可压缩": (
        "Output of the kit's script: a file for each host, packed or not"
    ),
    "打印现场巡检单": "Print the sheet",
    "现场巡检单": "visit sheet",
    "提出现场日期": "days proposed",
    "客户另提现场日期": "other days wanted",
    "约定现场日期": "days agreed",
    "现场改期": "visit moved",
    "取消现场": "visit cancelled",
    "现场未成行": "visit missed",
    "开始现场": "visit begun",
    "完成现场": "visit completed",
    "约定首日": "First day agreed",
    "约定日期": "Days agreed",
    "服务地点": "Place",
    "分段同意": "Agreed to split days",
    "被拒绝的链接访问": "Refused links",
    "登记客户的电话答复": "Record the customer's answer by phone",
    "另提日期": "Another day",
    "首日": "First day",
    "答复人": "Said by",
    "客户同意分段进行（被休息日隔开）": "The customer agrees to days split by rest days",
    "客户希望的首日": "First day that the customer wants",
    "接受客户提出的日期": "Accept the customer's days",
    "工程师与服务地点": "Engineer and place",
    "向客户提出日期": "Propose days to the customer",
    "连续三个工作日；客户收到邮件，可凭链接选定或另提日期。": (
        "Three working days in a row. The customer gets a letter with a link to choose, "
        "or to propose another day."
    ),
    "发出邮件": "Send the letter",
    "哪一方提出": "Who wants it",
    "取消或未成行": "Cancel, or did not take place",
    "服务次数退回；已约定的日期从双方日程中撤销。": (
        "The entitlement goes back; agreed days leave both calendars."
    ),
    "确认取消": "Yes, cancel",
    "登记未成行": "It did not take place",
    "开始现场巡检": "Begin the visit",
    "登记培训": "Record training",
    "培训主题": "Topic",
    "课时（小时）": "Hours",
    "参加人员": "Attendees",
    "培训内容": "Content",
    "处理记录": "What was done",
    "照片与文件": "Photos and files",
    "上传": "Upload",
    "完成现场巡检": "Complete the visit",
    "完成后不能再改；随后生成巡检报告与满意度调查表。": (
        "It cannot be changed afterwards; the report and the survey sheet are made then."
    ),
    "登记客户意见（签字后的报告）": "Record the customer's opinion (from the signed report)",
    "没有需要人工查看的项目。": "Nothing for a person to look at.",
    "其他项目": "Other items",
    "填写": "Fill in",
    "现场所见": "What was seen",
    "建议（警告与严重必填）": "Advice (required for warnings and critical findings)",
    "照片": "Photo",
    "哪一方": "Party",
}

"""The console's words: Chinese as they stand in the pages, and English as second language."""

import re
from collections.abc import Callable
from functools import partial

from starlette.requests import Request

from mailcare.console.backup_words import BACKUP_ENGLISH, STOOD
from mailcare.console.fault_words import FAULT_ENGLISH
from mailcare.console.report_words import REPORT_ENGLISH
from mailcare.console.sentences import in_english
from mailcare.console.visit_words import VISIT_ENGLISH, VISIT_FIELDS, VISIT_LABELS

LANGUAGE_COOKIE = "mailcare_language"
LANGUAGES = ("zh", "en")
CHINESE = re.compile(r"[一-鿿]")
SEPARATORS = {"；": "; ", "：": ": ", " → ": " → ", "、": ", "}
DEPTH_MOST = 5  # a line of a file, its place, what is wrong, what it names; no text nests deeper
COUNTED = re.compile(r"(?:严重|警告|未测得) \d+(?:，(?:严重|警告|未测得) \d+){0,2}")

LABELS = VISIT_LABELS | {
    "planned": "待执行",
    "running": "进行中",
    "done": "已完成",
    "withdrawn": "已撤回",
    "remote_inspection": "远程巡检",
    "visit": "现场巡检",
    "backup_verification": "备份验证",
    "review": "年度回顾",
    "annual": "年度",
    "follow_up": "复查",
    "bought": "购买",
    "used": "已用",
    "given_back": "退回",
    "in_force": "有效",
    "coming": "未生效",
    "expired": "已过期",
    "revoked": "已撤销",
    "phone": "电话",
    "email": "邮件",
    "letter": "书面",
    "onsite": "现场",
    "manager": "主管",
    "engineer": "工程师",
    "customer_service": "客服",
    "auditor": "审计（只读）",
    "proposed": "待确认",
    "asked": "待启动",
    "confirmed": "已确认",
    "replaced": "已被取代",
    "enter": "新增",
    "change": "修改",
    "delete": "删除",
    "revoke": "撤销",
    "grant": "授予",
    "withdraw": "收回",
    "confirm": "确认",
    "addition": "新增",
    "same": "不变",
    "error": "有误",
    "contract_ends": "合同到期",
    "used_up": "次数用完",
    "lapses": "次数将作废",
    "over_use": "合同外",
    "calendar_missing": "缺年度表",
    "rest_day": "休息日",
    "unstarted": "未能启动",
    "import": "导入",
    "add_visit": "加排现场巡检",
    "move": "改期",
    "answer": "登记答复",
    "correct_answer": "更正答复",
    "plan_again": "重新计划",
    "intact": "签字后未改动",
    "extended": "签字后仅增加了允许的内容（如客户签字）",
    "changed": "签字后被改动",
    "sign": "签字",
    "file_return": "登记签回",
    "restart": "重新启动",
    "inspection/report.html": "巡检报告",
    "fault/report.html": "故障处理报告",
    "backup/report.html": "备份验证报告",
    "inspection/actions.html": "工程师待办清单",
    "survey/sheet.html": "客户满意度调查表",
    "review/report.html": "年度服务报告",
    "decide": "处理信件",
    "render": "生成报告",
    "deliver": "交发件箱",
    "triage": "处理来信",
}

FIELDS = {
    "description": "故障描述",
    "contact": "联系人",
    "contact_details": "联系方式",
    "level": "级别",
    "recipient": "收件人",
    "rung": "级别",
    "email": "邮箱",
    "login": "登录名",
    "robot": "机器人",
    "vendor": "类型",
    "variable": "环境变量名",
    "connection": "Airflow 连接",
    "works_from": "工作时间开始",
    "works_until": "工作时间结束",
    "member": "姓名",
    "turn": "次序",
    "reason": "依据或原因",
    "number": "合同号",
    "customer": "客户",
    "starts_on": "开始日期",
    "ends_on": "结束日期",
    "systems": "系统",
    "terms_version": "承诺版本",
    "visits_per_year": "每年现场次数",
    "remote_cny": "远程服务年费（元）",
    "visit_cny": "现场巡检单价（元）",
    "note": "备注",
    "name": "名称",
    "contacts": "联系人",
    "given_by": "授权人",
    "given_at": "授权时间",
    "how": "方式",
    "purpose": "用途",
    "nodes": "主机",
    "valid_from": "生效",
    "valid_to": "失效",
    "evidence": "依据",
    "file": "附件",
    "site": "系统",
    "due_on": "日期",
    "satisfaction": "服务满意度",
    "attitude": "服务态度",
    "skill": "技术水平",
    "effect": "服务效果",
    "comments": "意见与建议",
    "answered_by": "作答人",
    "answered_at": "作答时间",
    "outcome": "结果",
    "call_again_at": "约定再打",
    "since": "开始日期",
    "contract": "合同号",
    "year": "年份",
    "until": "结束日期",
    **VISIT_FIELDS,
}

DONE = {
    "saved": "已保存。",
    "recorded": "已登记。",
    "revoked": "已撤销，正在进行的巡检不会再建立新的连接。",
    "imported": "已导入。",
    "deleted": "已删除。",
    "granted": "已授予。",
    "withdrawn": "已收回。",
    "confirmed": "已确认，自即刻起使用。",
    "proposed": "已载入，待另一人确认。",
    "asked": "已发起复查巡检，一分钟内启动。",
    "authorisation_asked": "已发信索取授权，处理时限已暂停。",
    "posted": "已交发件箱。",
    "signed": "已签字。",
    "submitted": "已提交审核。",
    "decided": "已审核。",
    "decided_before": "已有人先作出决定，本次没有改变。",
    "restarted": "已重新启动。",
}

AREAS_ENGLISH = FAULT_ENGLISH | VISIT_ENGLISH | REPORT_ENGLISH
ENGLISH = AREAS_ENGLISH | {
    "维保控制台": "Maintenance console",
    "年度远程巡检": "annual remote inspection",
    "是": "yes",
    "否": "no",
    "合同编号": "Number",
    "收取报告": "Gets papers",
    "每年现场巡检次数": "Visits a year",
    "远程服务价格": "Remote service, CNY",
    "现场巡检价格": "On-site visit, CNY",
    "一级": "first",
    "二级": "second",
    "三级": "third",
    "四级": "fourth",
    "现有的网络停机，或对最终用户的业务运作有重大影响": (
        "the service is down, or users' business suffers badly"
    ),
    "现有网络的操作性能严重降级，或由于网络性能失常严重影响用户业务运作": (
        "performance is badly degraded, or its faults hinder users' business badly"
    ),
    "网络的操作性能受损，但大部分业务运作仍可正常工作": (
        "performance is impaired, most business goes on"
    ),
    "在产品功能、安装或配置方面需要信息或支持，对用户的业务运作几乎没有影响": (
        "information or help is needed; users' business hardly suffers"
    ),
    "工作日 9:00–11:30、14:00–17:00": "working days 9:00–11:30, 14:00–17:00",
    "范围": "Of",
    "调查": "Surveys",
    "全部": "all",
    "项目": "Question",
    "份数": "Answers",
    "平均": "Mean",
    "季度": "quarter",
    "答复率（%）": "Answered (%)",
    "按时率（%）": "In time (%)",
    "按时": "in time",
    "超目标": "beyond the target",
    "未结": "open",
    "超时时刻": "Broken at",
    "（无工程师）": "(no engineer)",
    "班": "work",
    "休": "rest",
    "一": "Mon",
    "二": "Tue",
    "三": "Wed",
    "四": "Thu",
    "五": "Fri",
    "六": "Sat",
    "日": "Sun",
    "现行年度表": "the table in force",
    "chinesecalendar 内置的官方安排": "the official days in chinesecalendar",
    "暂行推算（周一至周五，除去法定节假日）": (
        "the provisional days (Monday to Friday but statutory holidays)"
    ),
    "到期与提醒": "Due and notices",
    "客户": "Customers",
    "合同": "Contracts",
    "系统": "Systems",
    "授权": "Authorisations",
    "文书": "Papers",
    "工作日历": "Working days",
    "人员": "People",
    "操作记录": "Audit",
    "待执行": "planned",
    "进行中": "running",
    "已完成": "done",
    "已撤回": "withdrawn",
    "远程巡检": "remote inspection",
    "现场巡检": "on-site visit",
    "备份验证": "backup verification",
    "年度回顾": "yearly review",
    "年度": "annual",
    "复查": "follow-up",
    "购买": "bought",
    "已用": "used",
    "退回": "given back",
    "有效": "in force",
    "未生效": "not yet",
    "已过期": "expired",
    "已撤销": "revoked",
    "电话": "phone",
    "邮件": "e-mail",
    "书面": "letter",
    "现场": "on site",
    "主管": "manager",
    "工程师": "engineer",
    "客服": "customer service",
    "审计（只读）": "auditor (read-only)",
    "待确认": "to be confirmed",
    "已确认": "confirmed",
    "已被取代": "replaced",
    "新增": "new",
    "修改": "changed",
    "删除": "deleted",
    "撤销": "revoke",
    "授予": "grant",
    "收回": "withdraw",
    "确认": "confirm",
    "不变": "unchanged",
    "有误": "wrong",
    "合同到期": "contract ends",
    "次数用完": "used up",
    "次数将作废": "about to lapse",
    "缺年度表": "year table missing",
    "休息日": "rest day",
    "巡检报告": "inspection report",
    "工程师待办清单": "engineer's action list",
    "已保存。": "Saved.",
    "已登记。": "Recorded.",
    "已撤销，正在进行的巡检不会再建立新的连接。": (
        "Revoked. Running inspections will not connect any more."
    ),
    "已导入。": "Imported.",
    "已删除。": "Deleted.",
    "已授予。": "Granted.",
    "已收回。": "Withdrawn.",
    "已确认，自即刻起使用。": "Confirmed and in force from now on.",
    "已签字。": "Signed.",
    "核对签字文件": "Check a signed file",
    "工程师签字": "Engineer's signature",
    "尚未签字。": "Not signed yet.",
    "以我的名义在工程师签字栏签字；签字后的文件不能再改。": (
        "Signs in the engineer's box in my name; a signed file cannot be changed any more."
    ),
    "签字": "Sign",
    "客户签回": "Signed by the customer",
    "客户尚未签回。": "Nothing came back yet.",
    "签字人": "Signed by",
    "签字日期": "Signed on",
    "签字时间": "Signed at",
    "签字件": "Signed file",
    "扫描件或电子签章文件：PDF、PNG、JPG、OFD，不超过 10 MiB": (
        "Scan or electronically sealed file: PDF, PNG, JPG, OFD, at most 10 MiB"
    ),
    "登记签回": "Record it",
    "文件中没有任何签字。": "There is no signature in this file.",
    "签字文件": "Signed file",
    "只核对，不保存。PDF，不超过 16 MiB": "It is checked and not kept. PDF, at most 16 MiB",
    "核对": "Check",
    "签字 PDF": "Signed PDF",
    "证书": "Certificate",
    "证书来源": "Issuer",
    "字节": "Bytes",
    "文件内的签字": "Signatures in it",
    "测试证书": "test certificate",
    "已核实": "verified",
    "签发者不在信任之列": "issuer not trusted",
    "签字后未改动": "unchanged since it was signed",
    "签字后仅增加了允许的内容（如客户签字）": "only what is allowed was added",
    "签字后被改动": "changed after it was signed",
    "已重新启动。": "Started anew.",
    "重新启动": "Start anew",
    "请先在 Airflow 查看失败的原因；重新启动后从失败处继续。": (
        "Look in Airflow for what failed first; started anew, it goes on where it failed."
    ),
    "已载入，待另一人确认。": "Loaded; another person has to confirm it.",
    "跳到正文": "Skip to content",
    "值班": "On duty",
    "通知人员": "People told",
    "机器人": "Robots",
    "新人员": "New person",
    "新机器人": "New robot",
    "级别": "Rung",
    "工作时间": "Hours",
    "工作时间开始": "Works from",
    "工作时间结束": "Works until",
    "在用": "in use",
    "停用": "not in use",
    "地址来源": "Address kept in",
    "环境变量名": "Environment variable",
    "或：Airflow 连接": "Or: Airflow connection",
    "排班": "Put on duty",
    "移除": "Remove",
    "还没有登记人员，请先登记通知人员。": "Nobody is entered yet; enter people first.",
    "有机器人的先在群里通知，群里未确认收到的改发邮件，再通知下一个人。": (
        "Whoever has a robot is told in its chat first; what a chat does not surely take goes by "
        "mail, then to the next person."
    ),
    "机器人地址含令牌，不在这里填写：写入上述环境变量的值，或 Airflow 连接的密码；"
    "启用加签的，在地址后加一个空格再写密钥。": (
        "A robot's address holds a token and is never entered here: it is the variable's value or "
        "the connection's password; a signing secret follows it after a space."
    ),
    "值班按北京时间 0 点到 24 点计。到时限的提醒先发给当日次序 1 的人；"
    "未排班时发给该级别的所有人。一级、二级随时发，其余在工作日的工作时间内发。": (
        "Duty runs from 0 to 24 o'clock in Beijing. Who stands first that day is told first; "
        "without a roster everybody of the rung is. P1 and P2 go at any hour, the rest in working "
        "hours of working days."
    ),
    "处理来信": "decide about a mail",
    "来信": "Mail received",
    "收到时间": "Received at",
    "主题": "Subject",
    "发件人": "Sender",
    "处理人": "Decided by",
    "刚收到": "just came",
    "待分诊": "to be looked at",
    "自动邮件": "automatic",
    "已归入故障": "on a fault",
    "已登记故障": "became a fault",
    "无需处理": "nothing to do",
    "原信": "Original",
    "登记为故障": "Make it a fault",
    "归入已有故障": "Put it on a fault",
    "归入": "Put on it",
    "故障编号": "Fault number",
    "申报时间为我方服务器收到来信的时间；级别是按来信用语推测的，请核对。": (
        "The fault counts as declared when our server received the mail; the le"
        "vel is guessed from its words, check it."
    ),
    "来信超过 25 MiB，只保存了开头，附件未读取；全文请在邮箱中查看。": (
        "Larger than 25 MiB: only its beginning is kept, files were not read; see the mailbox."
    ),
    "处理信件": "decide about a letter",
    "发件箱": "Outbox",
    "待发送": "waiting",
    "发送中": "being sent",
    "已送达": "sent",
    "被拒收": "refused",
    "待核实": "uncertain",
    "已放弃": "given up",
    "已核实送达": "arrived, says a person",
    "钉钉": "DingTalk",
    "飞书": "Feishu",
    "企业微信": "WeCom",
    "总监": "director",
    "标题": "Subject",
    "渠道": "Channel",
    "收件人": "Recipient",
    "已试": "Tries",
    "下次发送": "Next try",
    "对方答复": "Answer",
    "不早于": "Not before",
    "有效至": "Good until",
    "上次运行": "Last run",
    "尚未运行": "never",
    "撤销故障": "Cancel the fault",
    "依据或原因": "Reason",
    "再次发送": "Send again",
    "正文": "Text",
    "经过": "What happened",
    "故障": "Fault",
    "无人可通知的提醒": "Alerts that nobody got",
    "请在“值班”页登记人员，之后的提醒才有人收到。": (
        "Enter people on the page On duty; alerts reach them from then on."
    ),
    "发件任务 deliver_papers 超过 5 分钟没有运行，信件不会发出，请在 Airflow 检查。": (
        "deliver_papers has not run for 5 minutes: no letter goes out. Look into Airflow."
    ),
    "正文发出": "Text sent",
    "回复同一封来信": "it answers the same mail",
    "或在下列邮件服务器的日志中按 Message-ID 查找，也可看 deliver_papers 当时的任务日志："
    "已收下的选“已核实送达”，没有收下的选“再次发送”。": (
        "Or look for the Message-ID in that mail server's log, or into the log of deliver_papers "
        "at that time: choose “It has arrived” where it was taken, “Send again” where it was not."
    ),
    "所提醒的时限已停止，不再发送": "the clock has stopped; not sent any more",
    "正文发出后没有得到明确答复，可能已经送达。系统不会自行重发：请先向收件人核实。": (
        "No clear answer came after the text had gone: it may have arrived. It is not sent again "
        "by itself; ask the recipient first."
    ),
    "年度服务报告": "Yearly reviews",
    "全部客户": "All customers",
    "生成报告": "Make a review",
    "按现有数据生成": "Make it of the figures as they are",
    "交发件箱": "Hand to the outbox",
    "已交发件箱。": "Handed to the outbox.",
    "填写合同号为该合同一个年度的报告；不填为全部客户的公历年报告，只发给主管。": (
        "With a contract's number: the review of one of its years; without: that of all customers' "
        "calendar year, which goes to managers only."
    ),
    "年份不填为今天所在的年度。": "Without a year it is that of today.",
    "满意度": "Satisfaction",
    "打印调查表": "Print the form",
    "客户满意度调查表": "satisfaction form",
    "满意度回访": "Calls to make",
    "满意度调查": "Surveys",
    "满意度统计": "Survey figures",
    "全部调查": "All surveys",
    "统计": "Figures",
    "事由": "About",
    "发起时间": "Asked at",
    "已打": "Calls",
    "约定再打": "Call again",
    "催办": "Reminders",
    "次序": "Call",
    "结果": "Outcome",
    "方便时间": "Good hours",
    "意见与建议": "Comments",
    "故障说明": "What it was about",
    "服务完成情况": "What was done",
    "服务起始时间": "Began",
    "服务完成时间": "Ended",
    "客户的其他联系人": "The customer's other contacts",
    "客户的答复": "The customer's answer",
    "作答人": "Answered by",
    "作答时间": "Answered at",
    "签字表": "signed sheet",
    "签字表（须附扫描件）": "Signed sheet (with its scan)",
    "签字表扫描件": "Scan of the signed sheet",
    "电话回访": "By phone",
    "未评": "not given",
    "回访话术": "What to say",
    "登记答复": "Record the answer",
    "更正答复": "Correct the answer",
    "更正前的答复": "The answer before the correction",
    "更正原因": "Reason for the correction",
    "没有答复": "No answer",
    "登记回访": "Record the call",
    "回访记录": "Calls",
    "待回访": "to be called",
    "已催办": "reminded",
    "已答复": "answered",
    "谢绝": "refused",
    "过期": "expired",
    "待答复": "Open",
    "未接通": "no answer",
    "谢绝回访": "refused",
    "服务满意度": "Satisfaction",
    "服务态度": "Attitude",
    "技术水平": "Skill",
    "服务效果": "Effect",
    "四项合计": "All four",
    "很好": "very good",
    "好": "good",
    "一般": "fair",
    "较差": "poor",
    "很差": "very poor",
    "恶性事件": "serious incident",
    "评分分布": "How often each score was given",
    "各季度平均分": "Means by quarter",
    "按": "By ",
    "故障处理": "fault",
    "远程技术支持": "remote support",
    "没有记录": "not recorded",
    "按发起调查的日期统计。答复率＝已答复 ÷（已答复＋谢绝＋过期）。": (
        "By the day of asking. Rate = answered / (answered + refused + expired)."
    ),
    "平均只计给出的评分，未评的不计为 0。": (
        "A mean counts the scores that were given, never a blank as 0."
    ),
    "时间均为北京时间": "All times are Beijing time",
    "排序": "Sort by",
    "搜索": "Search",
    "清除": "Clear",
    "导出 Excel": "Excel file",
    "共": "Total",
    "条": "rows",
    "第": "Page",
    "页，共": "of",
    "页": "",
    "上一页": "Previous",
    "下一页": "Next",
    "没有符合的记录。": "Nothing found.",
    "本周到期": "Due this week",
    "全部待办": "All open",
    "等待客户授权": "Waiting for the customer's authorisation",
    "提醒": "Notices",
    "登记授权": "Record an authorisation",
    "新客户": "New customer",
    "导入": "Import",
    "从文件导入": "Import from a file",
    "编辑": "Edit",
    "保存": "Save",
    "返回": "Back",
    "名称": "Name",
    "联系人": "Contacts",
    "姓名": "Name",
    "角色": "Role",
    "邮箱": "E-mail",
    "接收文书": "Gets papers",
    "可授权": "May authorise",
    "指定了可授权的人之后，只有他们能授权远程登录；没有指定时不限。": (
        "Once somebody may authorise, only they may authorise remote login; else everybody may."
    ),
    "删除客户": "Delete the customer",
    "确认删除": "Yes, delete",
    "新合同": "New contract",
    "修改合同": "Change the contract",
    "合同号": "Number",
    "开始日期": "First day",
    "结束日期": "Last day",
    "远程服务": "Remote service",
    "每年现场次数": "Visits a year",
    "现场次数": "Visits",
    "远程服务年费（元）": "Remote service, CNY a year",
    "承诺版本": "Promises, version",
    "现场巡检单价（元）": "On-site visit, CNY each",
    "备注": "Note",
    "版本": "Version",
    "系统数": "Systems",
    "合同数": "Contracts",
    "状态": "State",
    "服务": "Service",
    "到期日": "Due on",
    "类型": "Kind",
    "日期": "Day",
    "内容": "Text",
    "站点": "Site",
    "产品": "Product",
    "上次巡检": "Last inspection",
    "结论": "State found",
    "授权至": "Authorised until",
    "主机": "Hosts",
    "授权人": "Given by",
    "授权时间": "Given at",
    "方式": "How",
    "用途": "Purpose",
    "有效期": "Valid",
    "生效": "From",
    "失效": "Until",
    "依据": "Evidence",
    "附件": "File",
    "登记人": "Recorded by",
    "登记时间": "Recorded at",
    "撤销授权": "Revoke",
    "确认撤销": "Yes, revoke now",
    "撤销人": "Revoked by",
    "撤销时间": "Revoked at",
    "编号": "Number",
    "生成时间": "Made at",
    "下载": "Download",
    "年份": "Year",
    "通知": "Notice",
    "载入人": "Loaded by",
    "载入时间": "Loaded at",
    "确认人": "Confirmed by",
    "确认时间": "Confirmed at",
    "年度表文件": "Year table file",
    "载入": "Load",
    "变化": "Changes",
    "登录名": "Login",
    "授予人": "Given by",
    "授予时间": "Given at",
    "时间": "At",
    "谁": "Who",
    "动作": "What",
    "对象": "Of what",
    "修改前": "Before",
    "修改后": "After",
    "文件": "File",
    "预览": "Preview",
    "确认导入": "Import all of it",
    "位置": "Place",
    "说明": "Remarks",
    "Airflow 连接": "Airflow connection",
    "登记系统": "Register a system",
    "或在这里填写、粘贴内容": "Or write or paste it here",
    "系统架构": "Architecture",
    "开始时间": "Since",
    "站点文件": "Site file",
    "合同年度": "Contract years",
    "服务次数台账": "Ledger",
    "历次版本": "Versions",
    "余": "left",
    "合同外": "beyond the contract",
    "数量": "Count",
    "原因": "Reason",
    "止": "to",
    "请登录": "Please log in",
    "不能访问": "Not allowed",
    "出错了": "Something is wrong",
    "没有找到": "Not found",
    "回到首页": "To the first page",
    "以下内容需要改正：": "Please correct:",
    "尚未巡检": "not yet",
    "正常": "good",
    "严重": "critical",
    "警告": "warning",
    "未测得": "not measured",
    "有": "yes",
    "无": "no",
    "暂行": "provisional",
    "暂行：日期涉及尚未公布的年度放假安排，按周一至周五及法定节假日推算；载入年度表后重新计算。": (
        "Provisional: the day lies in a year whose holidays are not published; it rests on Monday "
        "to Friday and statutory holidays, and is reckoned anew once the year table is loaded."
    ),
    "迟": "late",
    "迟，暂行": "late, provisional",
    "时限": "Deadline",
    "未能启动": "not started",
    "加排现场巡检": "add a visit",
    "改期": "moved",
    "重新计划": "planned again",
    "合同外，由我批准": "Beyond the contract; I approve",
    "没有登录，或登录已过期。请在 Airflow 重新登录后再打开本页；未保存的内容没有写入。": (
        "No login, or it has expired. Log in to Airflow and open this page again; "
        "what was not saved is not written."
    ),
    "登录无效，或您在 Airflow 中没有运行巡检（Dag inspect_system）的权限。": (
        "The login is not valid, or lacks the permission to run the Dag inspect_system."
    ),
    "没有这个地址，或记录已不存在。": "No such address, or the record is gone.",
    "您的角色不能做这件事": "Your role does not allow this",
    "姓名和单位": "Name",
    "电子邮件": "E-mail",
    "必填": "required",
    "写入的内容与预览完全一致；有任何变化会拒绝写入。": (
        "What is written is exactly what is shown; anything else is refused."
    ),
    "文件中有错误，请改正后重新上传；没有写入任何内容。": (
        "The file has errors; correct it and upload it again. Nothing was written."
    ),
    "文件与现有记录一致，没有要写入的内容。": "The file says what is recorded; nothing to write.",
    "另一人须核对后确认，载入人不能自己确认。": (
        "Another person has to check and confirm it, not the one who loaded it."
    ),
    "附件：PDF、PNG、JPG、EML、DOCX，不超过 10 MiB": (
        "File: PDF, PNG, JPG, EML, DOCX, at most 10 MiB"
    ),
    "可选多个：PDF、PNG、JPG、EML、DOCX、OFD，每个不超过 10 MiB，共 32 MiB": (
        "Files: PDF, PNG, JPG, EML, DOCX, OFD, at most 10 MiB each, 32 MiB together"
    ),
    "xlsx 或 YAML 文件，不超过 4 MiB": "xlsx or YAML, at most 4 MiB",
    "YAML 文件，不超过 4 MiB": "YAML, at most 4 MiB",
    "Postfix 邮件传输": "Postfix mail transfer",
    "Dovecot 收信服务": "Dovecot mailboxes",
    "Web 服务 nginx": "web server nginx",
    "互联网 / 办公网用户": "Internet / office users",
    "虚拟地址": "Virtual addresses",
    "邮件存储": "Mail stores",
    "邮件主机": "Mail hosts",
    "备份主机": "Backup hosts",
    "其他主机": "Other hosts",
    "客户系统架构图": "Architecture of the customer's system",
    "有第二份在线副本": "has a second copy online",
    "单份（无在线副本）": "single (no copy online)",
    "服务与端口：产品档案未填写": "services and ports: not in the product profile",
    "邮件系统管理员": "the administrator of the mail system",
    "邮件系统维保服务商": "the mail system's maintenance vendor",
    "请您按 0 至 5 分评价：5 很好，4 好，3 一般，2 较差，1 很差，0 恶性事件。": (
        "Please rate it from 0 to 5: 5 very good, 4 good, 3 fair, 2 poor, 1 very poor, "
        "0 a serious incident."
    ),
    "您还有什么意见与建议？（逐字记录。）": (
        "What else would you like to tell us? (Write it down word by word.)"
    ),
    "谢谢您。什么时间给您打电话比较方便，我记下来。": (
        "Thank you. When is it convenient to call you? I will note it."
    ),
    "查看现在的内容": "See what it says now",
    "新": "new",
    "旧": "old",
    "价": "price",
    "每年合计（元）": "CNY a year",
    "显示前 500 行": "The first 500 rows are shown",
    "系统内主机": "Hosts of the system",
    "进行中的巡检因没有有效授权而等待，登记后自行继续。": (
        "These inspections wait; they go on by themselves once it is recorded."
    ),
    "撤销即时生效：正在进行的巡检不再建立新的连接。": (
        "It takes effect at once: running inspections do not connect any more."
    ),
    "有合同、服务、文书或授权的客户不能删除。": (
        "A customer with contracts, services, papers or authorisations cannot be deleted."
    ),
}

ENGLISH |= BACKUP_ENGLISH


def language_of(request: Request) -> str:
    """Return the language that was chosen, or the one that the browser prefers; else Chinese."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    first = request.headers.get("accept-language", "").strip().lower()
    return "en" if first.startswith("en") else "zh"


class Quoted(str):
    """What people write to each other, such as a letter's subject; the same in every language."""

    __slots__ = ()


def translator(language: str) -> Callable[[str], str]:
    """Return the function that says a Chinese text in a language."""
    return _english if language == "en" else str


def _english(text: str, depth: int = DEPTH_MOST) -> str:
    """Say a text in English as far as it is ours; what people entered stays as it is."""
    if isinstance(text, Quoted):
        return str(text)
    if text in ENGLISH or not depth or not CHINESE.search(text):
        return ENGLISH.get(text, text)
    if COUNTED.fullmatch(text):
        told = (one.split() for one in text.split("，"))
        return ", ".join(f"{ENGLISH[word]} {count}" for word, count in told)
    if stood := STOOD.fullmatch(text):
        age = f"{stood[2]} days ago" if stood[2] else ""
        told = ", ".join(filter(None, (age, ENGLISH.get(stood[3], ""))))
        return f"{ENGLISH[stood[1]]} ({told})"
    if "\n" in text:
        return "\n".join(_english(one, depth) for one in text.split("\n"))
    bare, word = text.strip(), partial(_english, depth=depth - 1)
    return text.replace(bare, in_english(bare, word) or _in_parts(bare, word) or bare)


def _in_parts(text: str, word: Callable[[str], str]) -> str:
    """Say what is told of a field, a line or a record, or a list, where a part of it is known."""
    for chinese, english in SEPARATORS.items():
        parts = text.split(chinese, 1 if chinese == "：" else -1)
        told = [word(one) for one in parts] if len(parts) > 1 else parts
        if told != parts:
            return english.join(told).rstrip()
    return ""


def label(word: str) -> str:
    """Return how a recorded word is called; the word itself where nobody named it."""
    return LABELS.get(word, word)
